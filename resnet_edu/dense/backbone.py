"""A ResNet without its head, and the pyramid that joins the maps of its stages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import ConvBlock, conv1x1
from resnet_edu.networks import STEM, ResNet, stages

STAGES = ("layer1", "layer2", "layer3", "layer4")


class Backbone(nn.Module):
    """The stem and stages of a ResNet: images (N, 3, H, W) to the maps of the `wanted` stages.

    The maps go from fine to coarse.

    It shares the network's modules. A frozen one stays in evaluation mode, whatever is asked, and no
    gradient passes it. `channels` tells how many channels each map has.
    Raises ValueError for stages that are none.
    """

    def __init__(
        self, network: ResNet, wanted: Sequence[str] = STAGES[1:], *, frozen: bool = True
    ) -> None:
        super().__init__()
        if unknown := [name for name in wanted if name not in STAGES]:
            raise ValueError(
                f"There is no stage {unknown[0]!r}; the stages are {', '.join(STAGES)}."
            )
        self.stem = nn.Sequential(*(getattr(network, name) for name in STEM))
        self.stages = nn.ModuleDict(stages(network))
        self.wanted = tuple(name for name in self.stages if name in wanted)
        self.channels = tuple(self.stages[name][-1].out_channels for name in self.wanted)
        self.frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """As in every module; a frozen backbone stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of the wanted stages: strides 4, 8, 16 and 32, where nothing is dilated."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.stem(images)
            maps = {}
            for name, stage in self.stages.items():
                x = maps[name] = stage(x)
        return [maps[name] for name in self.wanted]


class Pyramid(nn.Module):
    """A feature pyramid (Lin et al. 2017): each map gets what the coarser ones know, by an addition.

    `forward` takes maps from fine to coarse, (N, in_channels[i], H_i, W_i), and gives as many of the same
    sizes with `channels` channels each.
    """

    def __init__(self, in_channels: Sequence[int], channels: int = 64) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(conv1x1(i, channels), nn.BatchNorm2d(channels)) for i in in_channels
        )
        self.smooth = nn.ModuleList(ConvBlock(channels, channels) for _ in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps, each with what the coarser ones know."""
        joined = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for fine in reversed(range(len(joined) - 1)):
            coarse = F.interpolate(joined[fine + 1], joined[fine].shape[-2:])  # each value repeated
            joined[fine] = joined[fine] + coarse
        return [smooth(x) for smooth, x in zip(self.smooth, joined, strict=True)]
