"""Tasks B.3 and B.4: a shortcut that only ever adds, and blocks that are all the same one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, PlainBlock, conv3x3
from resnet_edu.checks.block import NO_SHORTCUT, block_cases, observe_block, variant
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, wrong_type


class _ShortcutBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(channels, channels), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv3x3(channels, channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(_branch(self, x) + x)


def _branch(block: nn.Module, x: Tensor) -> Tensor:
    return block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))


def _ends(end: Callable[[Tensor, Tensor], Tensor]) -> type[nn.Module]:
    """The block with another end; it gets the branch's output and x."""
    return variant(_ShortcutBlock, lambda self, x: end(_branch(self, x), x))


shortcut_block = Check(
    signature="ShortcutBlock(channels)",
    reference=_ShortcutBlock,
    observe=partial(observe_block, _ShortcutBlock),
    cases=block_cases(_ShortcutBlock, ((4,), (2, 4, 5, 6)), ((3,), (3, 3, 4, 4))),
    mistakes=(
        Mistake(
            "still-there",
            "No value ever gets smaller than that of the shortcut: the branch can still only add, and "
            "never take away.",
            [_ends(lambda out, x: F.relu(out) + x)],
        ),
        Mistake(
            "two-relus",
            "A ReLU after the addition is right. But the branch still ends in one of its own, so it can "
            "only add, and never take away.",
            [_ends(lambda out, x: F.relu(F.relu(out) + x))],
        ),
        Mistake(
            "no-relu-at-the-end",
            "Values can get smaller now. But there is no ReLU at the end of the block any more, and "
            "negative values come out.",
            [_ends(lambda out, x: out + x)],
        ),
        Mistake(
            "no-shortcut",
            "Values can get smaller now, because x is gone. " + NO_SHORTCUT,
            [_ends(lambda out, _x: F.relu(out)), _ends(lambda out, _x: out)],
        ),
        Mistake(
            "relu-on-the-shortcut",
            "The ReLU now works on the shortcut, and not on what the block gives back: negative values "
            "come out.",
            [
                _ends(lambda out, x: out + F.relu(x)),
                _ends(lambda out, x: F.relu(out) + F.relu(x)),
                _ends(lambda out, x: F.relu(out + F.relu(x))),
            ],
        ),
        Mistake(
            "subtracts",
            "Values get smaller now, because something is subtracted. A residual block adds; the branch "
            "itself decides on the sign.",
            [
                _ends(lambda out, x: F.relu(x - out)),
                _ends(lambda out, x: F.relu(out - x)),
                _ends(lambda out, x: x - F.relu(out)),
                _ends(lambda out, x: F.relu(x - F.relu(out))),
            ],
        ),
        Mistake(
            "mean-instead-of-sum",
            "Values get smaller now, because you take the mean of branch and shortcut. The shortcut is to "
            "pass x on as it is.",
            [
                _ends(lambda out, x: F.relu((out + x) / 2)),
                _ends(lambda out, x: (F.relu(out) + x) / 2),
            ],
        ),
        Mistake(
            "added-before-batch-norm",
            "x is added in front of the second batch norm, which scales it. The shortcut is to pass x on "
            "as it is.",
            [
                variant(
                    _ShortcutBlock,
                    lambda self, x: F.relu(
                        self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))) + x)
                    ),
                )
            ],
        ),
        Mistake(
            "no-relu-inside",
            "The end of the block is right. But the ReLU between the two convolutions is gone.",
            [
                variant(
                    _ShortcutBlock,
                    lambda self, x: F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))) + x),
                )
            ],
        ),
    ),
    places=(
        Place(
            "x, afterwards",
            "changes-its-input",
            "Your block changes the x that it was given. Whoever calls it still needs that value.",
        ),
        Place(
            "output",
            "other-output",
            "The block gives something else than the ReLU of branch and x together.",
        ),
    ),
)


def _stack_blocks(channels: int, n: int) -> nn.Sequential:
    return nn.Sequential(*[BasicBlock(channels, channels) for _ in range(n)])


def _of(make: Callable[[int, int], Sequence[nn.Module]]) -> Answer:
    return lambda channels, n: nn.Sequential(*make(channels, n))


def _copies(channels: int, n: int) -> Sequence[nn.Module]:
    block = BasicBlock(channels, channels)
    return [copy.deepcopy(block) for _ in range(n)]


def _observe_stack(answer: Answer, case: tuple[int, int], see: See) -> None:
    channels, n = case
    stack = answer(channels, n)
    if not issubclass(type(stack), nn.Sequential):
        raise wrong_type(stack, "an nn.Sequential")
    blocks = list(stack)
    kinds = sorted({type(block).__name__ for block in blocks})
    see("number of blocks that an image goes through", len(blocks))
    see("kinds of blocks", ", ".join(kinds))
    see("different blocks", len({id(block) for block in blocks}))
    see("different convolutions", len({id(p) for p in stack.parameters() if p.dim() == 4}))
    see("number of parameters", sum(p.numel() for p in stack.parameters()))
    see("can be trained", all(p.requires_grad for p in stack.parameters()))
    weights = [p for p in stack.parameters() if p.dim() == 4]
    pairs = pairwise(sorted(weights, key=lambda p: p.flatten()[0].item()))
    twice = sum(torch.equal(a, b) for a, b in pairs if a.shape == b.shape)
    see("convolutions that start with the numbers of another", twice)
    see("all at zero at the start", any(not p.any() for p in weights))
    x = torch.randn(2, channels, 4, 4)
    see("shape of the output", tuple(stack(x).shape))


stack_blocks = Check(
    signature="stack_blocks(channels, n)",
    reference=_stack_blocks,
    observe=_observe_stack,
    cases={f"stack_blocks(channels={c}, n={n})": (c, n) for c, n in ((4, 3), (6, 1), (3, 5))},
    mistakes=(
        Mistake(
            "still-there",
            "The parameters still do not grow with the number of blocks: an image goes through several, "
            "but they are one and the same.",
            [_of(lambda c, n: [BasicBlock(c, c)] * n)],
        ),
        Mistake(
            "blocks-start-equal",
            "The parameters are as many as they should be. But all blocks start with the same random "
            "numbers; each one should draw its own.",
            [_of(_copies)],
        ),
        Mistake(
            "only-one-block",
            "There is only one block, whatever `n` is.",
            [_of(lambda c, _n: [BasicBlock(c, c)])],
        ),
        Mistake(
            "one-block-too-few",
            "The blocks are different ones now. But there is one less than `n`.",
            [_of(lambda c, n: [BasicBlock(c, c) for _ in range(n - 1)])],
        ),
        Mistake(
            "one-block-too-many",
            "The blocks are different ones now. But there is one more than `n`.",
            [
                _of(lambda c, n: [BasicBlock(c, c) for _ in range(n + 1)]),
                _of(lambda c, n: [*([BasicBlock(c, c)] * n), BasicBlock(c, c)]),
            ],
        ),
        Mistake(
            "two-blocks-in-turn",
            "There are two different blocks, and they are used in turn, or one of them again and again. "
            "All `n` should be different.",
            [
                _of(lambda c, n: ([BasicBlock(c, c), BasicBlock(c, c)] * n)[:n]),
                _of(lambda c, n: [BasicBlock(c, c)] + [BasicBlock(c, c)] * (n - 1)),
            ],
        ),
        Mistake(
            "no-shortcuts",
            "The parameters are as many as they should be. But the blocks have no shortcuts any more.",
            [_of(lambda c, n: [PlainBlock(c, c) for _ in range(n)])],
        ),
    ),
    places=(
        Place(
            "number of blocks",
            "other-number-of-blocks",
            "An image does not go through `n` blocks, one after the other.",
        ),
        Place(
            "kinds of blocks",
            "other-blocks",
            "The stack is made of something else than BasicBlocks: that part was right as it was.",
        ),
        Place(
            "different blocks",
            "blocks-shared",
            "Some of the blocks are still one and the same object.",
        ),
        Place(
            "different convolutions",
            "weights-shared",
            "The blocks are different objects, but some of them share their weights: training one of "
            "them changes the others.",
        ),
        Place(
            "number of parameters",
            "other-parameters",
            "The number of parameters grows with the blocks, but it is not that of `n` blocks with these "
            "channels.",
        ),
        Place(
            "convolutions that start",
            "blocks-start-equal",
            "Several convolutions start with the same random numbers; each one should draw its own.",
        ),
        Place("can be trained", "frozen", "Not all of the blocks can be trained."),
        Place(
            "all at zero", "starts-at-zero", "Convolutions start at zero: they would never learn."
        ),
    ),
)
