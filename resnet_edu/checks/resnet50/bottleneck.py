"""A block of 1x1, 3x3 and 1x1."""

from __future__ import annotations

from typing import Any

import torch  # noqa: F401 - for what the text beside makes of the reference
from torch import Tensor, nn

from resnet_edu.checks.block import (
    BlockCase,
    block_cases,
    observe_block,
    projects,
    require_projection,
)
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, require
from resnet_edu.checks.text import beside


class _Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.downsample(x))


EXPANSION = _Bottleneck.expansion


def _observe(answer: Answer, case: BlockCase, see: See) -> None:
    arguments, _ = case
    block = answer(*arguments)
    if isinstance(block, nn.Module):
        _require_expansion(block, arguments[1])
        _require_condition(answer)
        require_projection(answer, block, arguments, EXPANSION)
        _require_layers(block, *arguments[:2])
    observe_block(_Bottleneck, answer, case, see)


def _require_expansion(block: nn.Module, width: int) -> None:
    """Say what is wrong with the channels that come out, before the shortcut is blamed for it."""
    inner, outer = _attribute(block, "conv1.out_channels"), _attribute(block, "conv3.out_channels")
    if isinstance(outer, int):
        name = "wrong-expansion"
        if outer == width:
            name = "width-taken-for-output" if inner == width // EXPANSION else "no-expansion"
        label = f"channels that come out of conv3, at a width of {width}"
        require(name, label, EXPANSION * width, outer)
    found = getattr(block, "expansion", None)
    name = "no-expansion-attribute" if found is None else "wrong-expansion"
    require(name, "expansion", EXPANSION, found)


def _require_condition(answer: Answer) -> None:
    if projects(answer, 16, 4):
        wanted = "a 1x1 convolution and a batch norm"
        got = wanted if projects(answer, 4, 4) else "no projection"
        label = "downsample where 4 channels become 16, at stride 1"
        require("projection-compares-width", label, wanted, got)


def _require_layers(block: nn.Module, in_channels: int, width: int) -> None:
    """Say which layer does not fit the others, rather than that the block stops with an error."""
    channels = _attribute(block, "bn1.num_features")
    if channels == in_channels != width:
        require("pre-activation", "channels of bn1", width, channels)
    out_channels = EXPANSION * width
    layers = ((in_channels, width, 1), (width, width, 3), (width, out_channels, 1))
    for number, (before, after, kernel) in enumerate(layers, 1):
        conv, bn = (getattr(block, f"{name}{number}", None) for name in ("conv", "bn"))
        if isinstance(conv, nn.Conv2d):
            conv_number = f"conv{number}"
            require("wrong-kernels", f"kernel of {conv_number}", (kernel,) * 2, conv.kernel_size)
            if not nn.parameter.is_lazy(conv.weight):
                require("wrong-channels", f"channels into {conv_number}", before, conv.in_channels)
            require("wrong-channels", f"channels out of {conv_number}", after, conv.out_channels)
            require("groups", f"groups of {conv_number}", 1, conv.groups)
            require("dilation", f"dilation of {conv_number}", (1, 1), conv.dilation)
            if kernel == 1 and conv.padding not in ("same", "valid"):
                require("padding-around-1x1", f"padding of {conv_number}", (0, 0), conv.padding)
        if isinstance(bn, nn.BatchNorm2d) and not nn.parameter.is_lazy(bn.weight):
            require("wrong-channels", f"channels of bn{number}", after, bn.num_features)


def _attribute(block: nn.Module, path: str) -> Any:
    module, name = path.split(".")
    return getattr(getattr(block, module, None), name, None)


bottleneck = Check(
    signature="Bottleneck(in_channels, width, stride=1)",
    reference=_Bottleneck,
    observe=_observe,
    cases=block_cases(
        _Bottleneck,
        ((16, 4), (2, 16, 6, 5)),
        ((8, 4, 2), (3, 8, 9, 7)),
        ((4, 4, 1), (2, 4, 5, 6)),
        ((20, 5, 2), (2, 20, 6, 6)),
        ((24, 4), (2, 24, 4, 5)),
    ),
    said=beside(__file__),
)
