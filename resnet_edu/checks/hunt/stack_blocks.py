"""Blocks that are all the same one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, PlainBlock  # noqa: F401 - the text beside has the second
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.text import beside


def _stack_blocks(channels: int, n: int) -> nn.Sequential:
    blocks = [BasicBlock(channels, channels) for _ in range(n)]
    return nn.Sequential(*blocks)


def _shared(blocks: Sequence[nn.Module]) -> int:
    weights = [{id(p) for p in block.parameters() if p.dim() == 4} for block in set(blocks)]
    return sum(map(len, weights)) - len(set().union(*weights))


def _observe(answer: Answer, case: tuple[int, int], see: See) -> None:
    channels, n = case
    stack = answer(channels, n)
    if not issubclass(type(stack), nn.Sequential):
        raise wrong_type(stack, "an nn.Sequential")
    blocks = list(stack)
    kinds = sorted({type(block).__name__ for block in blocks})
    see("number of blocks that an image goes through", len(blocks))
    see("kinds of blocks", ", ".join(kinds))
    see("different blocks", len({id(block) for block in blocks}))
    see("convolutions that stand in two blocks", _shared(blocks))
    see("number of parameters", sum(p.numel() for p in stack.parameters()))
    see("can be trained", all(p.requires_grad for p in stack.parameters()))
    weights = [p.detach() for p in stack.parameters() if p.dim() == 4]
    pairs = [(a.flatten(), b.flatten()) for a, b in combinations(weights, 2) if a.shape == b.shape]
    twice = sum(F.cosine_similarity(a, b, dim=0).item() > 0.9 for a, b in pairs)
    see("convolutions that start with the numbers of another", twice)
    see("all at zero at the start", any(not p.any() for p in weights))
    x = torch.randn(2, channels, 4, 4)
    see("shape of the output", tuple(stack(x).shape))


stack_blocks = Check(
    signature="stack_blocks(channels, n)",
    reference=_stack_blocks,
    observe=_observe,
    cases={f"stack_blocks(channels={c}, n={n})": (c, n) for c, n in ((4, 3), (6, 1), (3, 5))},
    said=beside(__file__),
)
