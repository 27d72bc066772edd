"""Convolution, batch norm, ReLU."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.block import block_cases, observe_block
from resnet_edu.checks.check import Check
from resnet_edu.checks.text import beside


class _ConvBlock(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        return F.relu(out)


conv_block = Check(
    signature="ConvBlock(in_channels, out_channels, kernel_size=3, stride=1)",
    reference=_ConvBlock,
    observe=partial(observe_block, _ConvBlock),
    cases=block_cases(
        _ConvBlock,
        ((3, 8), (2, 3, 9, 7)),
        ((4, 4, 5), (2, 4, 8, 9)),
        ((6, 3, 3, 2), (3, 6, 7, 8)),
        ((2, 5, 1, 2), (2, 2, 6, 7)),
        ((4, 4), (1, 4, 5, 5)),
    ),
    said=beside(__file__),
)
