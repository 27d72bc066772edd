"""A class for each pixel.

Sources: Long et al. 2015, fully convolutional networks, for the skips; Chen et al. 2018 for dilation.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import ConvBlock, conv1x1
from resnet_edu.dense.backbone import STAGES, Backbone
from resnet_edu.dense.dilation import dilate_network_
from resnet_edu.networks import ResNet

DILATED_FROM = {32: None, 16: "layer4", 8: "layer3", 4: "layer2"}
"""The first stage without stride, by the output stride."""


class Segmenter(nn.Module):
    """Images (N, 3, H, W) to logits (N, num_classes, H, W).

    `output_stride` is how many pixels a place of the last map stands for: 32 as the network is, 16, 8 or 4
    by dilation. `skips` finer stages are added on the way up, from layer3 on. The network is copied, as
    dilation would change it. Raises ValueError for another output stride, or more than 3 skips.
    """

    def __init__(
        self,
        network: ResNet,
        num_classes: int,
        output_stride: int = 32,
        skips: int = 0,
        *,
        frozen: bool = True,
        channels: int = 64,
    ) -> None:
        super().__init__()
        if output_stride not in DILATED_FROM:
            known = ", ".join(map(str, DILATED_FROM))
            raise ValueError(f"The output stride is one of {known}, not {output_stride!r}.")
        if skips not in range(4):
            raise ValueError(f"There are 0 to 3 stages to skip from, and not {skips!r}.")
        network = copy.deepcopy(network)
        if DILATED_FROM[output_stride]:
            dilate_network_(network, DILATED_FROM[output_stride])
        self.backbone = Backbone(network, STAGES[3 - skips :], frozen=frozen)
        *fine, last = self.backbone.channels
        self.hidden = ConvBlock(last, channels)
        self.skips = nn.ModuleList(
            nn.Sequential(conv1x1(c, channels), nn.BatchNorm2d(channels)) for c in reversed(fine)
        )
        self.classes = nn.Conv2d(channels, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits at each pixel."""
        *fine, x = self.backbone(images)
        x = self.hidden(x)
        for skip, finer in zip(self.skips, reversed(fine), strict=True):
            x = _enlarged(x, finer.shape[-2:]) + skip(finer)
        return _enlarged(self.classes(F.relu(x)), images.shape[-2:])


def segmentation_loss(logits: Tensor, classes: Tensor, ground: float = 0.3) -> Tensor:
    """The cross-entropy of each pixel, mean; pixels of class 0, the ground, count less.

    `logits` (N, num_classes, H, W), `classes` (N, H, W) whole numbers.
    """
    weight = torch.ones(logits.shape[1])
    weight[0] = ground
    return F.cross_entropy(logits, classes, weight)


def _enlarged(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
