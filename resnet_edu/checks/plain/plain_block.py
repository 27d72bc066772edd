"""Two 3x3 convolutions in a row, with nothing around them."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.block import block_cases, observe_block
from resnet_edu.checks.check import Check
from resnet_edu.checks.text import beside


class _PlainBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)))


plain_block = Check(
    signature="PlainBlock(in_channels, out_channels, stride=1)",
    reference=_PlainBlock,
    observe=partial(observe_block, _PlainBlock),
    cases=block_cases(
        _PlainBlock,
        ((4, 4), (2, 4, 7, 6)),
        ((3, 8), (2, 3, 6, 5)),
        ((4, 8, 2), (3, 4, 9, 7)),
        ((6, 6, 2), (2, 6, 8, 8)),
        ((6, 4, 1), (1, 6, 6, 6)),
    ),
    said=beside(__file__),
    versions={"shortcut": [BasicBlock]},
)
