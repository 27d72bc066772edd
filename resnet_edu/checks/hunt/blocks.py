"""Tasks B.3 and B.4: a shortcut that only ever adds, and blocks that are all the same one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, PlainBlock, conv3x3
from resnet_edu.checks.block import block_cases, observe_block, variant
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
            "No value ever comes out smaller than it came in: the branch can add, and never take away. "
            "So from block to block the values only grow, and no block can take back what another did.",
            [_ends(lambda out, x: F.relu(out) + x)],
        ),
        Mistake(
            "branch-made-weaker",
            "The branch counts for less now, and the values grow more slowly. But it still can only add, "
            "and never take away.",
            [_ends(lambda out, x, f=f: f * F.relu(out) + x) for f in (0.01, 0.1, 0.5)],
        ),
        Mistake(
            "other-function-on-the-branch",
            "Another function now stands where the ReLU stood. It lets a little of the branch's negative "
            "part through, but what the branch wants to take away is still cut short.",
            [
                _ends(lambda out, x, end=end: end(out) + x)
                for end in (F.leaky_relu, F.gelu, F.elu, F.silu, torch.tanh)
            ],
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
            "Values can get smaller now, because x is gone: it is a plain block. Without a way past the "
            "convolutions, many of them in a row are hard to train.",
            [_ends(lambda out, _x: F.relu(out)), _ends(lambda out, _x: out)],
        ),
        Mistake(
            "relu-on-the-shortcut",
            "There is a ReLU on the shortcut now. What comes in should pass it unchanged: that is the "
            "one way on which nothing is lost.",
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
            "Values get smaller now, because you take the mean of branch and shortcut. Each block then "
            "halves what came in: after sixteen of them hardly anything of it is left.",
            [
                _ends(lambda out, x: F.relu((out + x) / 2)),
                _ends(lambda out, x: (F.relu(out) + x) / 2),
            ],
        ),
        Mistake(
            "added-before-batch-norm",
            "x is added in front of the second batch norm, which scales it with all the rest. The "
            "shortcut is to pass x on as it is.",
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
            "The end of the block is right. But the ReLU between the two convolutions is gone, and "
            "without it two of them can do no more than one larger one.",
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
            "gradient",
            "other-gradient",
            "What comes out is right. But the gradient that goes back through the block is another: "
            "something keeps it from what came in.",
        ),
        Place(
            "output",
            "other-output",
            "The block gives something else than a residual block with the same weights. Follow one "
            "pixel through `forward`: what does the branch give, what comes over the shortcut, what "
            "becomes of both?",
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


def _shared(blocks: Sequence[nn.Module]) -> int:
    weights = [{id(p) for p in block.parameters() if p.dim() == 4} for block in set(blocks)]
    return sum(map(len, weights)) - len(set().union(*weights))


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
    observe=_observe_stack,
    cases={f"stack_blocks(channels={c}, n={n})": (c, n) for c, n in ((4, 3), (6, 1), (3, 5))},
    mistakes=(
        Mistake(
            "still-there",
            "The number of parameters still does not grow with the blocks. Each further block takes its "
            "time, and brings nothing of its own that could learn.",
            [_of(lambda c, n: [BasicBlock(c, c)] * n)],
        ),
        Mistake(
            "blocks-start-equal",
            "The parameters are as many as they should be. But all blocks start with the same random "
            "numbers: only different starts make them learn different things.",
            [_of(_copies)],
        ),
        Mistake(
            "only-one-block",
            "There is only one block, whatever `n` is. The network is not even deep any more, and has no "
            "more parameters than before.",
            [_of(lambda c, _n: [BasicBlock(c, c)])],
        ),
        Mistake(
            "one-block-too-few",
            "The blocks are different ones now. But there is one less than `n`, and the network is not "
            "as deep as its name says.",
            [_of(lambda c, n: [BasicBlock(c, c) for _ in range(n - 1)])],
        ),
        Mistake(
            "one-block-too-many",
            "There is one block more than `n`, and the network is deeper than its name says. Count what "
            "your code makes for `n = 1`.",
            [
                _of(lambda c, n: [BasicBlock(c, c) for _ in range(n + 1)]),
                _of(lambda c, n: [*([BasicBlock(c, c)] * n), BasicBlock(c, c)]),
            ],
        ),
        Mistake(
            "two-blocks-in-turn",
            "There are two different blocks now, and at least one of them is used again and again. All "
            "`n` should learn something of their own.",
            [
                _of(lambda c, n: ([BasicBlock(c, c), BasicBlock(c, c)] * n)[:n]),
                _of(lambda c, n: [BasicBlock(c, c)] + [BasicBlock(c, c)] * (n - 1)),
            ],
        ),
        Mistake(
            "no-shortcuts",
            "The parameters are as many as they should be. But the shortcuts are gone: they have no "
            "parameters, so no count could show it.",
            [_of(lambda c, n: [PlainBlock(c, c) for _ in range(n)])],
        ),
    ),
    places=(
        Place(
            "number of blocks",
            "other-number-of-blocks",
            "An image does not go through `n` blocks, one after the other. Count the modules that stand "
            "in the nn.Sequential.",
        ),
        Place(
            "kinds of blocks",
            "other-blocks",
            "The stack is made of something else than BasicBlocks. That part was right as it was.",
        ),
        Place(
            "different blocks",
            "blocks-shared",
            "Some of the blocks are still one and the same object. What one of them learns, the other "
            "knows; it brings nothing of its own.",
        ),
        Place(
            "that stand in two blocks",
            "weights-shared",
            "The blocks are different objects, but some of them share their weights. Training one of "
            "them changes the others.",
        ),
        Place(
            "number of parameters",
            "other-parameters",
            "The number of parameters grows with the blocks. But it is not that of `n` blocks with these "
            "channels.",
        ),
        Place(
            "convolutions that start",
            "blocks-start-equal",
            "Several convolutions start with the same random numbers. Each one should draw its own: only "
            "different starts make them learn different things.",
        ),
        Place(
            "can be trained",
            "frozen",
            "Not all of the blocks can be trained. They were made to learn.",
        ),
        Place(
            "all at zero",
            "starts-at-zero",
            "Convolutions start at zero. Their filters are then all alike, and learn alike: only random "
            "numbers make them differ.",
        ),
    ),
)
