"""The residual block with batch norm and ReLU before the convolutions."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.block import block_cases, observe_block
from resnet_edu.checks.check import Check
from resnet_edu.checks.text import beside


class _PreActivationBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return x + out


pre_activation_block = Check(
    signature="PreActivationBlock(channels)",
    reference=_PreActivationBlock,
    observe=partial(observe_block, _PreActivationBlock),
    cases=block_cases(
        _PreActivationBlock, ((4,), (2, 4, 7, 6)), ((6,), (3, 6, 5, 5)), ((3,), (1, 3, 8, 9))
    ),
    said=beside(__file__),
)
