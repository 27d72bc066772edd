"""Task 4.1: the residual block of two 3x3 convolutions."""

# ruff: noqa: ARG005 - a wrong version takes all arguments, and may well ignore some

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, conv1x1, conv3x3
from resnet_edu.checks.block import (
    NO_SHORTCUT,
    BlockCase,
    block_cases,
    observe_block,
    require_projection,
    variant,
)
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See


class _Reference(BasicBlock):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, stride)


def _branch(block: BasicBlock, x: Tensor) -> Tensor:
    return block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))


def _version(forward: Callable[[Any, Tensor], Tensor] | None = None, **modules: Any) -> Answer:
    return variant(_Reference, forward, **modules)


def _options(**options: Any) -> list[Answer]:
    """The first, the second or both 3x3 convolutions with other options."""
    options = {"padding": 1, "bias": False} | options
    first = {"conv1": lambda i, o, s=1: nn.Conv2d(i, o, 3, s, **options)}
    second = {"conv2": lambda i, o, s=1: nn.Conv2d(o, o, 3, **options)}
    return [_version(**changed) for changed in (first, second, first | second)]


def _projection(i: int, o: int, s: int = 1) -> nn.Module:
    return nn.Sequential(conv1x1(i, o, s), nn.BatchNorm2d(o))


def _projection_3x3(i: int, o: int, s: int = 1) -> nn.Module:
    if i == o and s == 1:
        return nn.Identity()
    return nn.Sequential(conv3x3(i, o, s), nn.BatchNorm2d(o))


def _projection_with_bias(i: int, o: int, s: int = 1) -> nn.Module:
    if i == o and s == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(i, o, 1, s), nn.BatchNorm2d(o))


def _projection_with_relu(i: int, o: int, s: int = 1) -> nn.Module:
    if i == o and s == 1:
        return nn.Identity()
    return nn.Sequential(conv1x1(i, o, s), nn.BatchNorm2d(o), nn.ReLU())


def _relu_of_x(block: BasicBlock, x: Tensor) -> Tensor:
    return F.relu(_branch(block, x) + block.downsample(F.relu(x)))


def _from_the_middle(block: BasicBlock, x: Tensor) -> Tensor:
    out = F.relu(block.bn1(block.conv1(x)))
    return F.relu(block.bn2(block.conv2(out)) + out)


def _observe(answer: Answer, case: BlockCase, see: See) -> None:
    arguments, _ = case
    block = answer(*arguments)
    if isinstance(block, nn.Module):
        require_projection(answer, block, arguments)
    observe_block(_Reference, answer, case, see)


basic_block = Check(
    signature="BasicBlock(in_channels, out_channels, stride=1)",
    reference=_Reference,
    observe=_observe,
    cases={
        text.replace("Reference(", "BasicBlock("): case
        for text, case in block_cases(
            _Reference,
            ((4, 4), (2, 4, 7, 6)),
            ((4, 8, 2), (3, 4, 9, 7)),
            ((3, 8), (2, 3, 6, 5)),
            ((6, 6, 2), (2, 6, 8, 8)),
            ((6, 4, 1), (1, 6, 6, 6)),
        ).items()
    },
    mistakes=(
        Mistake(
            "no-shortcut",
            NO_SHORTCUT,
            [_version(lambda b, x: F.relu(_branch(b, x)))],
        ),
        Mistake(
            "no-last-relu",
            "Negative numbers come out: there is no ReLU after the addition. Nothing is bent then "
            "between the last convolution of this block and the first of the next, and the two can do "
            "no more than one.",
            [_version(lambda b, x: _branch(b, x) + b.downsample(x))],
        ),
        Mistake(
            "relu-before-addition",
            "The ReLU comes before the addition. Then the branch can only add, never take away, and the "
            "numbers grow from block to block. In this block the sum goes through the ReLU.",
            [_version(lambda b, x: F.relu(_branch(b, x)) + b.downsample(x))],
        ),
        Mistake(
            "relu-before-and-after",
            "There is a ReLU on the branch's end as well as after the addition. Then the branch can "
            "only add, never take away, and the numbers grow from block to block.",
            [_version(lambda b, x: F.relu(F.relu(_branch(b, x)) + b.downsample(x)))],
        ),
        Mistake(
            "no-first-relu",
            "There is no ReLU between the two convolutions. Two convolutions with nothing bent between "
            "them can do no more than one.",
            [_version(lambda b, x: F.relu(b.bn2(b.conv2(b.bn1(b.conv1(x)))) + b.downsample(x)))],
        ),
        Mistake(
            "batch-norm-after-addition",
            "The second batch norm comes after the addition. So the shortcut is no longer free: what it "
            "carries is normalised in each block.",
            [
                _version(
                    lambda b, x: F.relu(b.bn2(b.conv2(F.relu(b.bn1(b.conv1(x)))) + b.downsample(x)))
                )
            ],
        ),
        Mistake(
            "relu-on-shortcut",
            "There is a ReLU on the shortcut. What is below zero is lost there, and gets no gradient on "
            "its way back: the way around the branch is no longer free.",
            [_version(_relu_of_x), _version(downsample=_projection_with_relu)],
        ),
        Mistake(
            "shortcut-from-the-middle",
            "You add what the first convolution has made of x. So there is no way around that "
            "convolution: the gradient has to pass it in every block, as in a plain network.",
            [_version(_from_the_middle)],
        ),
        Mistake(
            "added-twice",
            "The shortcut is added twice, so x doubles in every block. After ten such blocks in a row "
            "it is a thousand times as large, and so is the gradient on its way back.",
            [_version(lambda b, x: F.relu(_branch(b, x) + 2 * b.downsample(x)))],
        ),
        Mistake(
            "subtracted",
            "The shortcut is subtracted. What comes from the block before is never negative, so without "
            "the branch all of it falls below zero and the ReLU throws it away: the block can no longer "
            "just hand on x.",
            [_version(lambda b, x: F.relu(_branch(b, x) - b.downsample(x)))],
        ),
        Mistake(
            "projection-always",
            "There is a projection also where the shape stays. Then every shortcut holds random weights "
            "and a batch norm, and none is free: in the lesson, such a network learned more slowly.",
            [_version(downsample=_projection)],
        ),
        Mistake(
            "projection-3x3",
            "The projection has 3x3 kernels. 1x1 is enough to change the shape, at a ninth of the cost, "
            "and the weights of published networks would not fit yours.",
            [_version(downsample=_projection_3x3)],
        ),
        Mistake(
            "stride-on-second-convolution",
            "The stride is on the second convolution. The sizes come out the same, but the first one "
            "then works on four times the pixels at stride 2, and weights from elsewhere give other "
            "numbers.",
            [
                _version(
                    conv1=lambda i, o, s=1: conv3x3(i, o), conv2=lambda i, o, s=1: conv3x3(o, o, s)
                )
            ],
        ),
        Mistake(
            "bias",
            "A convolution has a bias. The batch norm after it takes the mean away, and any bias with "
            "it: those parameters would do nothing.",
            [*_options(bias=True), _version(downsample=_projection_with_bias)],
        ),
        Mistake(
            "no-padding",
            "The image shrinks: a 3x3 kernel without padding takes a pixel from each side. What the "
            "shortcut carries is then larger than what the branch gives, and the two cannot be added.",
            _options(padding=0),
        ),
        Mistake(
            "one-batch-norm-twice",
            "`forward` uses one batch norm twice. The two convolutions have different means and "
            "variances: its running ones become a mix that fits neither, and in eval mode both are "
            "normalised wrongly.",
            [
                _version(
                    lambda b, x: F.relu(b.bn1(b.conv2(F.relu(b.bn1(b.conv1(x))))) + b.downsample(x))
                )
            ],
        ),
        Mistake(
            "batch-norm-unused",
            "A batch norm is made but not used in `forward`. Nothing sets the scale of what its "
            "convolution gives. Without any in the branch, the sum grows from block to block until "
            "nothing can be learned.",
            [
                _version(lambda b, x: F.relu(b.conv2(F.relu(b.bn1(b.conv1(x)))) + b.downsample(x))),
                _version(lambda b, x: F.relu(b.bn2(b.conv2(F.relu(b.conv1(x)))) + b.downsample(x))),
                _version(lambda b, x: F.relu(b.conv2(F.relu(b.conv1(x))) + b.downsample(x))),
            ],
        ),
    ),
)
