"""How good detections and segmentations are: intersection over union, average precision, recall by size.

Boxes are (N, 4): x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, in pixels or in fractions of the image.
The rules are those of the COCO evaluation (Lin et al. 2014) and, for `points="voc"`, of PASCAL VOC since
2010 (Everingham et al. 2010).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MOST = 100
"""Detections of an image that count, those with the highest scores."""
COCO_SIZES = (32.0**2, 96.0**2)
"""COCO's limits of area between small, medium and large objects, in pixels."""

Boxes = Mapping[str, Tensor]
"""The objects of one image: "boxes" (K, 4), "labels" (K,) and, of detections, "scores" (K,)."""


@dataclass(frozen=True)
class AveragePrecision:
    """`by_class` has the average precision, 0 to 1, of each class that occurs among the true objects.

    `recalls` and `precisions` are, by class, what one gets as the threshold of the score goes down, one
    detection after the other.
    """

    by_class: dict[int, float]
    recalls: dict[int, tuple[float, ...]]
    precisions: dict[int, tuple[float, ...]]

    @property
    def mean(self) -> float:
        """The mean over the classes, often called mAP. NaN where there are no objects at all."""
        values = list(self.by_class.values())
        return sum(values) / len(values) if values else math.nan


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box of `a` (N, 4) with each of `b` (M, 4): (N, M).

    A box without area has 0 with every box.
    """
    upper_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    lower_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (lower_right - upper_left).clamp(min=0).prod(2)
    either = _areas(a)[:, None] + _areas(b)[None] - both
    return torch.where(both > 0, both / either, torch.zeros_like(both))


def average_precision(
    detected: Sequence[Boxes], true: Sequence[Boxes], at: float = 0.5, points: str = "coco"
) -> AveragePrecision:
    """The average precision of detections in images, class by class.

    `detected[i]` and `true[i]` belong to image i. A detection is right where its intersection over union
    with an object of its class is at least `at`, and no detection with a higher score has that object.
    `points="coco"` takes the mean of 101 precisions, at the recalls 0, 0.01, ..., 1; "voc" the area below
    the curve of all points. In both, a precision is replaced by the largest one at that recall or above.

    Raises ValueError for images that do not correspond, boxes that are none, or another name of points.
    """
    if points not in ("coco", "voc"):
        raise ValueError(f'points is "coco" or "voc", not {points!r}.')
    _require_boxes(detected, true, at)
    by_class, recalls, precisions = {}, {}, {}
    for label in _classes(true):
        scores, hits, count = [], [], 0
        for found, objects in zip(detected, true, strict=True):
            boxes, order = _of_class(found, label)
            wanted = objects["boxes"][objects["labels"] == label]
            scores.append(order)
            hits.append(_hits(boxes, wanted, at, again=points == "coco"))
            count += len(wanted)
        order = torch.cat(scores).argsort(descending=True, stable=True)
        right = torch.cat(hits)[order].double().cumsum(0)
        recall = right / count
        precision = right / torch.arange(1, len(right) + 1)
        by_class[label] = _area(recall, precision, points)
        recalls[label], precisions[label] = tuple(recall.tolist()), tuple(precision.tolist())
    return AveragePrecision(by_class, recalls, precisions)


def recall_by_size(
    detected: Sequence[Boxes],
    true: Sequence[Boxes],
    at: float = 0.5,
    limits: tuple[float, float] = COCO_SIZES,
) -> dict[str, float]:
    """The share of small, medium and large objects that are found, by COCO's rules; mean over classes.

    `limits` are the areas, in pixels, between small and medium, and between medium and large. NaN for a
    size that no object has. Raises ValueError as `average_precision` does.
    """
    _require_boxes(detected, true, at)
    edges = (0.0, *limits, 1e10)
    names = ("small", "medium", "large")
    return {
        name: _recall(detected, true, at, low, high)
        for name, low, high in zip(names, edges, edges[1:], strict=False)
    }


def mean_iou(
    predictions: Tensor, targets: Tensor, num_classes: int, ignore_index: int = 255
) -> float:
    """The mean intersection over union of the classes, over all pixels of all images.

    Both are (N, H, W) whole numbers. Classes that occur in neither do not count, nor do pixels whose
    target is `ignore_index`. Raises ValueError for shapes that differ, or numbers that are no class.
    """
    if predictions.shape != targets.shape:
        raise ValueError(
            f"Predictions and targets are for the same pixels; their shapes were "
            f"{tuple(predictions.shape)} and {tuple(targets.shape)}."
        )
    if predictions.is_floating_point() or targets.is_floating_point():
        raise ValueError("Classes are whole numbers: take the argmax of scores over the channels.")
    counted = targets != ignore_index
    predicted, wanted = predictions[counted].long(), targets[counted].long()
    if not len(wanted):
        raise ValueError("No pixel counts: every target is ignore_index.")
    for what, classes in (("prediction", predicted), ("target", wanted)):
        if classes.min() < 0 or classes.max() >= num_classes:
            raise ValueError(
                f"Classes go from 0 to {num_classes - 1}; there is a {what} from {int(classes.min())} to "
                f"{int(classes.max())}."
            )
    table = torch.bincount(wanted * num_classes + predicted, minlength=num_classes**2)
    table = table.view(num_classes, num_classes).double()
    both, either = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
    return float((both[either > 0] / either[either > 0]).mean())


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _classes(images: Sequence[Boxes]) -> list[int]:
    return sorted({int(label) for image in images for label in image["labels"]})


def _of_class(found: Boxes, label: int) -> tuple[Tensor, Tensor]:
    """Boxes and scores of a class in one image, best first."""
    boxes, scores = (found[key][found["labels"] == label] for key in ("boxes", "scores"))
    order = scores.argsort(descending=True, stable=True)[:MOST]
    return boxes[order], scores[order].double()


def _hits(boxes: Tensor, wanted: Tensor, at: float, again: bool) -> Tensor:
    """Which of the boxes, best first, find an object that none before has found.

    Where the nearest object is taken, COCO goes on to the next (`again`), and VOC does not.
    """
    overlaps = iou(boxes.double(), wanted.double())
    free = torch.ones(len(wanted), dtype=torch.bool)
    hits = torch.zeros(len(boxes), dtype=torch.bool)
    for i, row in enumerate(overlaps):
        row = torch.where(free, row, -1.0) if again else row
        if len(row) and row.max() >= at:
            nearest = len(row) - 1 - int(row.flip(0).argmax())
            hits[i] = free[nearest]
            free[nearest] = False
    return hits


def _area(recall: Tensor, precision: Tensor, points: str) -> float:
    """The area below precision over recall, where each precision is the largest at its recall or above."""
    if not len(recall):
        return 0.0
    best = precision.flip(0).cummax(0)[0].flip(0)
    if points == "coco":
        place = torch.searchsorted(recall, torch.linspace(0, 1, 101, dtype=torch.float64))
        return float(torch.cat([best, best.new_zeros(1)])[place].mean())
    steps = recall.diff(prepend=recall.new_zeros(1))
    return float((steps * best).sum())


def _recall(
    detected: Sequence[Boxes], true: Sequence[Boxes], at: float, low: float, high: float
) -> float:
    """The recall of objects of one size, mean over the classes that have such objects."""
    of_class = []
    for label in _classes(true):
        hit, count = 0, 0
        for found, objects in zip(detected, true, strict=True):
            boxes, _ = _of_class(found, label)
            wanted = objects["boxes"][objects["labels"] == label].double()
            area = _areas(wanted)
            fits = (area >= low) & (area <= high)
            hit += _found(iou(boxes.double(), wanted), fits, at)
            count += int(fits.sum())
        if count:
            of_class.append(hit / count)
    return sum(of_class) / len(of_class) if of_class else math.nan


def _found(overlaps: Tensor, fits: Tensor, at: float) -> int:
    """How many objects of the size are found. A detection takes one of another size only if it must."""
    free = torch.ones(len(fits), dtype=torch.bool)
    for row in overlaps:
        for kind in (fits, ~fits):
            row_of_kind = torch.where(free & kind, row, -1.0)
            if len(row) and row_of_kind.max() >= at:
                free[len(row) - 1 - int(row_of_kind.flip(0).argmax())] = False
                break
    return int((~free & fits).sum())


def _require_boxes(detected: Sequence[Boxes], true: Sequence[Boxes], at: float) -> None:
    if not 0 < at <= 1:
        raise ValueError(f"The least overlap is above 0 and at most 1; it was {at!r}.")
    if len(detected) != len(true):
        raise ValueError(
            f"There are detections for {len(detected)} images, objects for {len(true)}."
        )
    for kind, images, keys in (
        ("detections", detected, ("boxes", "labels", "scores")),
        ("objects", true, ("boxes", "labels")),
    ):
        for i, image in enumerate(images):
            _require_image(f"The {kind} of image {i}", image, keys)


def _require_image(what: str, image: Boxes, keys: Sequence[str]) -> None:
    values: list[Any] = [image.get(key) for key in keys]
    if any(not isinstance(value, Tensor) for value in values):
        raise ValueError(
            f"{what} need the tensors {', '.join(keys)}; there are {', '.join(image)}."
        )
    boxes, labels = values[:2]
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{what}: boxes are (K, 4), not {tuple(boxes.shape)}.")
    if any(value.shape != (len(boxes),) for value in values[1:]):
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in zip(keys, values, strict=True))
        raise ValueError(f"{what} are not as many everywhere: {shapes}.")
    if labels.is_floating_point():
        raise ValueError(f"{what}: labels are whole numbers, not {labels.dtype}.")
    if not boxes.isfinite().all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError(
            f"{what}: a box is x1, y1, x2, y2 with x1 <= x2 and y1 <= y2. Are these x, y, width, height?"
        )
