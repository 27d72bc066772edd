"""A detector without anchors: at each place a score for each class, and four distances to a box's sides.

Sources: Tian et al. 2019, FCOS, here with one level; Lin et al. 2017, focal loss; Yu et al. 2016, IoU loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from resnet_edu.as_found import in_mode
from resnet_edu.blocks import ConvBlock
from resnet_edu.dense.backbone import Backbone, Pyramid
from resnet_edu.networks import ResNet

RARE = 0.01
"""What a fresh head says of every place: an object is rare."""
RADIUS = 8.0
"""Places within so many pixels of an object's middle are to find it."""


class Detector(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes, h, w) and distances (N, 4, h, w), h = H / 8.

    Scores are logits, a sigmoid for each class. Distances are from the middle of a place to the left,
    upper, right and lower side of the box, in pixels. `stages` of the network feed the pyramid, whose
    finest map is read.
    """

    def __init__(
        self,
        network: ResNet,
        num_classes: int,
        stages: Sequence[str] = ("layer2", "layer3", "layer4"),
        *,
        frozen: bool = True,
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(network, stages, frozen=frozen)
        self.pyramid = Pyramid(self.backbone.channels, channels)
        self.hidden = ConvBlock(channels, channels)
        self.scores = nn.Conv2d(channels, num_classes, 1)
        self.distances = nn.Conv2d(channels, 4, 1)
        nn.init.constant_(self.scores.bias, -math.log((1 - RARE) / RARE))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and distances at each place."""
        x = self.pyramid(self.backbone(images))[0]
        x = self.hidden(x)
        stride = images.shape[-1] / x.shape[-1]
        return self.scores(x), stride * self.distances(x).clamp(-4, 4).exp()


def middles(height: int, width: int, stride: float) -> Tensor:
    """The middle of each place of a map, x and y in pixels of the image: (height, width, 2)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack([x, y], dim=-1) + 0.5) * stride


def assign(boxes: Tensor, labels: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Which object each place is to find: its label (h, w), -1 for the ground, and its box (h, w, 4).

    A place finds the object whose middle is within 8 pixels; of several the nearest.
    """
    label = torch.full(places.shape[:2], -1)
    box = torch.zeros(*places.shape[:2], 4)
    if not len(boxes):
        return label, box
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance, nearest = torch.cdist(places.flatten(0, 1), middle).view(*label.shape, -1).min(-1)
    found = distance < RADIUS
    label[found] = labels[nearest[found]]
    box[found] = boxes[nearest[found]]
    return label, box


def focal_loss(scores: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """The cross-entropy of each sigmoid, with little weight where it is right already: a sum.

    `scores` are logits and `targets` 0 or 1, of one shape. With gamma 0 it is the plain cross-entropy.
    """
    loss = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    wrong = torch.sigmoid(scores).sub(targets).abs()
    return (wrong**gamma * loss).sum()


def iou_loss(distances: Tensor, wanted: Tensor) -> Tensor:
    """-log of the intersection over union of boxes, given by distances from a place: (K, 4), a sum."""
    both = torch.minimum(distances, wanted).clamp(min=0)
    both = (both[:, 0] + both[:, 2]) * (both[:, 1] + both[:, 3])
    areas = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (distances, wanted)]
    return -(both / (areas[0] + areas[1] - both)).clamp(min=1e-4).log().sum()


def detection_loss(
    outputs: tuple[Tensor, Tensor], targets: Sequence[Mapping[str, Tensor]], stride: float = 8
) -> Tensor:
    """Focal loss of the scores and IoU loss of the boxes, for each place that is to find an object.

    `outputs` are a `Detector`'s for N images, `targets` as many times "boxes" (K, 4) and "labels" (K,),
    counted from 0.
    """
    scores, distances = outputs
    places = middles(*scores.shape[-2:], stride)
    found = [assign(target["boxes"], target["labels"], places) for target in targets]
    label, box = (torch.stack(values) for values in zip(*found, strict=True))
    is_object = label >= 0
    classes = torch.arange(scores.shape[1]).view(1, -1, 1, 1)
    loss = focal_loss(scores, (label[:, None] == classes).float())
    if is_object.any():
        x, y = places.unbind(-1)
        wanted = torch.stack(
            [x - box[..., 0], y - box[..., 1], box[..., 2] - x, box[..., 3] - y], -1
        )
        inside = is_object & (wanted > 0).all(-1)
        loss = loss + iou_loss(distances.permute(0, 2, 3, 1)[inside], wanted[inside])
    return loss / max(1, int(is_object.sum()))


def detect(
    detector: Detector, images: Tensor, score: float = 0.05, overlap: float = 0.5
) -> list[dict[str, Tensor]]:
    """What the detector finds in images (N, 3, H, W): for each "boxes", "scores", "labels", best first.

    Scores below `score` do not count. Of boxes of one class that overlap by more than `overlap`
    (intersection over union), the best stays: non-maximum suppression. With `overlap=1` all stay.
    In evaluation mode, without gradients; the detector is left as it was.
    """
    found = []
    with in_mode(detector, training=False), torch.no_grad():
        scores, distances = detector(images)
    stride = images.shape[-1] / scores.shape[-1]
    places = middles(*scores.shape[-2:], stride)
    high, wide = images.shape[-2:]
    limit = torch.tensor([wide, high, wide, high])
    for chances, sides in zip(scores.sigmoid(), distances, strict=True):
        label, row, column = (chances > score).nonzero(as_tuple=True)
        middle = places[row, column]
        sides = sides[:, row, column].T
        boxes = torch.cat([middle - sides[:, :2], middle + sides[:, 2:]], 1).clamp(min=0)
        boxes = torch.minimum(boxes, limit)
        values = chances[label, row, column]
        kept = batched_nms(boxes, values, label, overlap)
        found.append({"boxes": boxes[kept], "scores": values[kept], "labels": label[kept]})
    return found
