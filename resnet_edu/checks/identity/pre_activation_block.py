"""Task 4.5: the residual block with batch norm and ReLU before the convolutions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import conv3x3
from resnet_edu.checks.block import NO_SHORTCUT, block_cases, observe_block, variant
from resnet_edu.checks.check import Answer, Check, Mistake


class _PreActivationBlock(nn.Module):
    """He et al. 2016, figure 1 (b): batch norm, ReLU, convolution, twice; then the addition alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + _branch(self, x)


def _branch(block: _PreActivationBlock, x: Tensor) -> Tensor:
    out = block.conv1(F.relu(block.bn1(x)))
    return block.conv2(F.relu(block.bn2(out)))


def _after(block: _PreActivationBlock, x: Tensor) -> Tensor:
    """The branch with batch norm and ReLU after the convolutions, as in 2015."""
    return block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))


def _version(forward: Callable[[Any, Tensor], Tensor] | None = None, **modules: Any) -> Answer:
    return variant(_PreActivationBlock, forward, **modules)


def _from_the_activation(block: _PreActivationBlock, x: Tensor) -> Tensor:
    x = F.relu(block.bn1(x))
    return x + block.conv2(F.relu(block.bn2(block.conv1(x))))


def _one_batch_norm(block: _PreActivationBlock, x: Tensor) -> Tensor:
    return x + block.conv2(F.relu(block.bn1(block.conv1(F.relu(block.bn1(x))))))


def _convolutions(**options: Any) -> list[Answer]:
    def make(channels: int) -> nn.Module:
        return nn.Conv2d(channels, channels, 3, **({"padding": 1, "bias": False} | options))

    return [_version(conv1=make), _version(conv2=make), _version(conv1=make, conv2=make)]


pre_activation_block = Check(
    signature="PreActivationBlock(channels)",
    reference=_PreActivationBlock,
    observe=partial(observe_block, _PreActivationBlock),
    cases=block_cases(
        _PreActivationBlock, ((4,), (2, 4, 7, 6)), ((6,), (3, 6, 5, 5)), ((3,), (1, 3, 8, 9))
    ),
    mistakes=(
        Mistake(
            "relu-after-addition",
            "There is a ReLU after the addition. What the sum holds below zero is lost there, and gets "
            "no gradient on its way back, in every block: this form of the block was made to end that.",
            [_version(lambda b, x: F.relu(x + _branch(b, x)))],
        ),
        Mistake(
            "post-activation",
            "This is the order of 2015: batch norm and ReLU come after the convolutions. In the order "
            "of 2016 each convolution gets normalised numbers while the sum goes on untouched, and 56 "
            "layers learned sooner in the lesson.",
            [
                _version(lambda b, x: F.relu(x + _after(b, x))),
                _version(lambda b, x: x + _after(b, x)),
                _version(lambda b, x: x + F.relu(_after(b, x))),
            ],
        ),
        Mistake(
            "no-shortcut",
            NO_SHORTCUT,
            [_version(_branch)],
        ),
        Mistake(
            "shortcut-from-the-activation",
            "You add what comes out of the first batch norm and ReLU. What x holds below zero is lost "
            "in every block, and the gradient has to pass both on its way back: the way around is not "
            "free.",
            [_version(_from_the_activation)],
        ),
        Mistake(
            "no-first-relu",
            "The ReLU before the first convolution is missing. Nothing is bent then between it and the "
            "last convolution of the block before, and the two can do no more than one.",
            [_version(lambda b, x: x + b.conv2(F.relu(b.bn2(b.conv1(b.bn1(x))))))],
        ),
        Mistake(
            "no-second-relu",
            "The ReLU before the second convolution is missing. Nothing is bent then between the two "
            "convolutions, and together they can do no more than one with a larger kernel.",
            [_version(lambda b, x: x + b.conv2(b.bn2(b.conv1(F.relu(b.bn1(x))))))],
        ),
        Mistake(
            "no-relu",
            "There is no ReLU in the block. Without one, two convolutions can do no more than one.",
            [_version(lambda b, x: x + b.conv2(b.bn2(b.conv1(b.bn1(x)))))],
        ),
        Mistake(
            "relu-before-batch-norm",
            "A ReLU comes before its batch norm. Batch norm centres the numbers, so that a ReLU behind "
            "it cuts off about half of them; in front of it, the ReLU may cut off all of them, or none.",
            [
                _version(lambda b, x: x + b.conv2(b.bn2(F.relu(b.conv1(b.bn1(F.relu(x))))))),
                _version(lambda b, x: x + b.conv2(F.relu(b.bn2(b.conv1(b.bn1(F.relu(x))))))),
                _version(lambda b, x: x + b.conv2(b.bn2(F.relu(b.conv1(F.relu(b.bn1(x))))))),
            ],
        ),
        Mistake(
            "relu-before-addition",
            "There is a ReLU at the end of the branch. Then the branch can only add, never take away, "
            "and the numbers grow from block to block.",
            [_version(lambda b, x: x + F.relu(_branch(b, x)))],
        ),
        Mistake(
            "one-batch-norm-twice",
            "`forward` uses one batch norm twice. What reaches the two places has another mean and "
            "variance: its running ones become a mix that fits neither, and in eval mode both are "
            "normalised wrongly.",
            [_version(_one_batch_norm)],
        ),
        Mistake(
            "batch-norms-swapped",
            "The two batch norms have changed places in `forward`. Weights are loaded by name: those of "
            "a trained network would stand in front of the wrong convolution, and its answers would be "
            "wrong without an error.",
            [_version(lambda b, x: x + b.conv2(F.relu(b.bn1(b.conv1(F.relu(b.bn2(x)))))))],
        ),
        Mistake(
            "one-convolution-twice",
            "`forward` uses the first convolution twice. The second one gets no gradient and can never "
            "learn: the block has half of the weights that it seems to have.",
            [_version(lambda b, x: x + b.conv1(F.relu(b.bn2(b.conv1(F.relu(b.bn1(x)))))))],
        ),
        Mistake(
            "bias",
            "A convolution has a bias. Whichever batch norm comes next takes the mean away, and any "
            "bias with it: those parameters would do nothing.",
            _convolutions(bias=True),
        ),
        Mistake(
            "no-padding",
            "The image shrinks: a 3x3 kernel without padding takes a pixel from each side. What the "
            "shortcut carries is then larger than what the branch gives, and the two cannot be added.",
            _convolutions(padding=0),
        ),
    ),
)
