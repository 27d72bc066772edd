"""A shortcut that only ever adds."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import conv3x3
from resnet_edu.checks.block import block_cases, observe_block
from resnet_edu.checks.check import Check
from resnet_edu.checks.text import beside


class _ShortcutBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(channels, channels), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv3x3(channels, channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + x)


shortcut_block = Check(
    signature="ShortcutBlock(channels)",
    reference=_ShortcutBlock,
    observe=partial(observe_block, _ShortcutBlock),
    cases=block_cases(_ShortcutBlock, ((4,), (2, 4, 5, 6)), ((3,), (3, 3, 4, 4))),
    said=beside(__file__),
)
