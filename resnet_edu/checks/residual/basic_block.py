"""The residual block of two 3x3 convolutions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.block import BlockCase, block_cases, observe_block, require_projection
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.text import beside


class _BasicBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


def _observe(answer: Answer, case: BlockCase, see: See) -> None:
    arguments, _ = case
    block = answer(*arguments)
    if isinstance(block, nn.Module):
        require_projection(answer, block, arguments)
    observe_block(_BasicBlock, answer, case, see)


basic_block = Check(
    signature="BasicBlock(in_channels, out_channels, stride=1)",
    reference=_BasicBlock,
    observe=_observe,
    cases=block_cases(
        _BasicBlock,
        ((4, 4), (2, 4, 7, 6)),
        ((4, 8, 2), (3, 4, 9, 7)),
        ((3, 8), (2, 3, 6, 5)),
        ((6, 6, 2), (2, 6, 8, 8)),
        ((6, 4, 1), (1, 6, 6, 6)),
    ),
    said=beside(__file__),
)
