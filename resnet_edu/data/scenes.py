"""Scenes: several handwritten digits on one spotted ground, and exactly what is where.

The digits are real handwriting, those of `digits`; a test scene shows none that is in a training scene.
Each is enlarged, turned a little, put in a colour and set at a place. Where one covers another, boxes and
masks are of what can still be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_edu.data.real import digits
from resnet_edu.data.rendered import smooth

SIDE = 128
"""Pixels of a scene, in each direction."""
LEAST_VISIBLE = 0.25
"""A digit is set only where every digit, it and those before, still shows this share of its pixels."""
_CROP = 48
"""Side of the square in which an object is drawn. The largest object, turned, fits into it."""
_PART = 64
"""Scenes that are made at once: few enough for a processor's cache."""
_TRIES = 6
"""Places that are tried for an object before it is left out."""


@dataclass(frozen=True)
class Scenes:
    """N scenes. `boxes[i]` and `labels[i]` belong to the objects of scene i, in the order of drawing.

    `images` (N, 3, 128, 128) from 0 to 1. `boxes[i]` (K, 4), float32: x1, y1, x2, y2 in pixels from the
    upper left corner, so that x2 - x1 is the width of what can be seen. `labels[i]` (K,) from 0 to 9.
    `instances` (N, 128, 128), uint8: k at the pixels of the k-th object, counted from 1; the ground is 0.
    """

    images: Tensor
    boxes: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    instances: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Scenes:
        """Some of the scenes: `scenes[:100]`."""
        return Scenes(self.images[part], self.boxes[part], self.labels[part], self.instances[part])

    @property
    def classes(self) -> Tensor:
        """The class of each pixel, (N, 128, 128), int64: 0 is the ground, 1 to 10 are the digits 0 to 9."""
        rows = [
            torch.cat([labels.new_zeros(1), labels + 1])[instances.long()]
            for labels, instances in zip(self.labels, self.instances, strict=True)
        ]
        return torch.stack(rows)

    def targets(self, first_label: int = 1) -> list[dict[str, Tensor]]:
        """What torchvision's detectors take to learn from: for each scene `boxes`, `labels` and `masks`.

        `first_label` is the number of the digit 0. Faster and Mask R-CNN keep label 0 for the ground, so
        there it is 1; RetinaNet and FCOS count from 0.
        """
        return [
            {
                "boxes": boxes,
                "labels": labels + first_label,
                "masks": (instances == torch.arange(1, len(labels) + 1)[:, None, None]).byte(),
            }
            for boxes, labels, instances in zip(
                self.boxes, self.labels, self.instances, strict=True
            )
        ]


@dataclass(frozen=True)
class _Kind:
    """What is in a scene: how many digits and other shapes, how large, and turned by how much."""

    digits: tuple[int, int]
    clutter: tuple[int, int]
    pixels: tuple[float, float]
    turn: float
    tries: int  # so many of the places must be free before one that is not is taken


_USUAL = _Kind(digits=(1, 6), clutter=(0, 0), pixels=(20, 44), turn=0.2, tries=4)
_DIFFICULT = _Kind(digits=(5, 12), clutter=(6, 12), pixels=(12, 30), turn=0.8, tries=1)


def scenes(
    split: str = "train", count: int = 600, seed: int = 0, *, difficult: bool = False
) -> Scenes:
    """`count` scenes of handwritten digits.

    `split` is "train" or "test"; test scenes show digits that are in no training scene. A usual scene has 1
    to 6 digits of 20 to 44 pixels. A difficult one has 5 to 12 of 12 to 30 pixels, turned by up to 45
    degrees, among bars, crosses and other shapes that are no digits. A digit of which less than a quarter
    would be seen is not set, so there may be fewer. The same seed gives the same scenes.

    Raises ValueError for another split, a count below 1, or a seed that is not a whole number from 0 on.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split is "train" or "test", not {split!r}.')
    if type(count) is not int or count < 1:
        raise ValueError(f"The count is a whole number of scenes, 1 or more; it was {count!r}.")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError(f"The seed is a whole number from 0 to 2**32 - 1; it was {seed!r}.")
    generator = torch.Generator().manual_seed(seed)
    kind = _DIFFICULT if difficult else _USUAL
    parts = [
        _part(kind, split, min(_PART, count - first), generator) for first in range(0, count, _PART)
    ]
    images, boxes, labels, instances = zip(*parts, strict=True)
    return Scenes(torch.cat(images), sum(boxes, ()), sum(labels, ()), torch.cat(instances))


Objects = tuple[Tensor, ...]
"""A tensor for each scene."""


def _part(
    kind: _Kind, split: str, n: int, generator: torch.Generator
) -> tuple[Tensor, Objects, Objects, Tensor]:
    """`n` scenes. All chance is drawn at once; then the objects are set, one after the other."""

    def whole(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (n,), generator=generator)

    def between(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * (high - low) + low

    light = between(0, 1, n, 1, 1, 1)
    spots = torch.randn((n, 3, 16, 16), generator=generator) * between(0, 0.12, n, 1, 1, 1)
    spots += light + between(-0.15, 0.15, n, 3, 1, 1)
    images = smooth(16, SIDE) @ spots @ smooth(16, SIDE).T  # (n, 3, 128, 128)

    masks, labels = _digits(split)
    digits_in, others_in = whole(*kind.digits), whole(*kind.clutter)
    scene = torch.arange(n).repeat_interleave(digits_in + others_in)  # of each object
    first = (digits_in + others_in).cumsum(0) - digits_in - others_in
    is_digit = torch.arange(len(scene)) >= (first + others_in)[scene]  # the others lie below
    chosen = torch.randint(len(masks), (len(scene),), generator=generator)
    odd = _clutter()[chosen % len(_clutter())]
    ink = _drawn(torch.where(is_digit[:, None, None], masks[chosen], odd), kind, between)
    contrast = between(0.4, 0.8, len(scene), 1)
    light = light[scene, :, 0, 0]  # (objects, 1)
    other = torch.where(light > 0.5, light - contrast, light + contrast).clamp(0, 1)
    colours = other + between(-0.15, 0.15, len(scene), 3)
    places = between(0, 1, len(scene), _TRIES, 2)

    canvases = [_Canvas(image, kind.tries) for image in images.numpy()]
    objects = zip(
        scene.tolist(),
        ink.numpy(),
        colours.numpy(),
        places.tolist(),
        torch.where(is_digit, labels[chosen], -1).tolist(),
        strict=True,
    )
    for place, *one in objects:
        canvases[place].set(*one)
    grain = torch.randn((n, 1, SIDE, SIDE), generator=generator) * between(0, 0.08, n, 1, 1, 1)
    return (
        images.add_(grain).clamp_(0, 1),
        tuple(canvas.boxes() for canvas in canvases),
        tuple(torch.tensor(canvas.labels, dtype=torch.int64) for canvas in canvases),
        torch.from_numpy(np.stack([canvas.instances for canvas in canvases])),
    )


class _Canvas:
    """One scene while objects are set into it. Its arrays are small: numpy is quicker there."""

    def __init__(self, image: np.ndarray, tries: int) -> None:
        self.image = image  # (3, 128, 128), changed in place
        self.tries = tries
        self.instances = np.zeros((SIDE, SIDE), np.uint8)
        self.labels: list[int] = []
        self.pixels: list[int] = []  # of each digit, also of those that are covered

    def set(
        self, ink: np.ndarray, colour: np.ndarray, places: list[list[float]], label: int
    ) -> None:
        """Set an object, (H, W) in 0..1, where all digits can still be seen, or not at all.

        Label -1 is for one that is no digit.
        """
        rows, columns = (np.flatnonzero((ink > 0).any(axis)) for axis in (1, 0))
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        dark = ink > 0.5
        number = 0 if label < 0 else len(self.labels) + 1
        for i, place in enumerate(places):
            top, left = (
                int(p * (SIDE - side + 1)) for p, side in zip(place, ink.shape, strict=True)
            )
            here = slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1])
            if i < self.tries and self.instances[here].any():
                continue
            if self._all_stay_visible(self.instances[here][dark]):
                self.instances[here][dark] = number
                self.image[:, *here] += ink * (colour[:, None, None] - self.image[:, *here])
                if number:
                    self.labels.append(label)
                    self.pixels.append(int(dark.sum()))
                return

    def _all_stay_visible(self, covered: np.ndarray) -> bool:
        """Whether each digit keeps enough pixels where those of `covered` are lost."""
        lost = np.bincount(covered)
        return all(
            (self.instances == k).sum() - lost[k] >= LEAST_VISIBLE * self.pixels[k - 1]
            for k in lost.nonzero()[0]
            if k > 0
        )

    def boxes(self) -> Tensor:
        """The corners of what can be seen of each digit: (K, 4)."""
        corners = np.empty((len(self.labels), 4), np.float32)
        for k in range(len(self.labels)):
            seen = self.instances == k + 1
            rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
            corners[k] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return torch.from_numpy(corners)


def _drawn(masks: Tensor, kind: _Kind, between: Callable[..., Tensor]) -> Tensor:
    """Masks (N, 24, 24), enlarged and turned: (N, 48, 48) in 0..1."""
    n = len(masks)
    scale, turn = _CROP / between(*kind.pixels, n), between(-kind.turn, kind.turn, n)
    stretch = between(-0.15, 0.15, n).exp()
    at = torch.zeros(n, 2, 3)
    at[:, 0, 0], at[:, 0, 1] = scale * stretch * turn.cos(), scale * stretch * turn.sin()
    at[:, 1, 0], at[:, 1, 1] = -scale / stretch * turn.sin(), scale / stretch * turn.cos()
    grid = F.affine_grid(at, [n, 1, _CROP, _CROP], align_corners=False)
    ink = F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0]
    ink.sub_(between(0.3, 0.45, n, 1, 1)).mul_(between(3, 8, n, 1, 1))
    return ink.add_(0.5).clamp_(0, 1)


@lru_cache
def _digits(split: str) -> tuple[Tensor, Tensor]:
    """The ink of each digit of a split, (N, 24, 24) in 0..1, and its label."""
    images, labels = digits("train" if split == "train" else "validation", size=24).tensors
    return images[:, 0].contiguous(), labels


@lru_cache
def _clutter() -> Tensor:
    """Shapes that are no digits, (N, 24, 24) in 0..1: bars, crosses, corners, triangles, dots in a row."""
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, 24)], indexing="ij")

    def line(distance: Tensor) -> Tensor:
        return (1.3 - distance.abs() / 0.14).clamp(0, 1)

    inside = (torch.maximum(x.abs(), y.abs()) < 0.8).float()
    long_bar, cross = line(y), torch.maximum(line(x), line(y))
    corner = torch.maximum(line(x + 0.7) * (y < 0.75), line(y - 0.7) * (x > -0.75))
    triangle = torch.maximum(line(y - 0.6) * (x.abs() < 0.75), line(x.abs() - (y + 0.7) / 1.8))
    square = line(torch.maximum(x.abs(), y.abs()) - 0.65)
    dots = line(y) * ((x * 4).cos() > 0.2)
    rows = line(y.abs() - 0.45)
    return torch.stack(
        [s * inside for s in (long_bar, cross, corner, triangle, square, dots, rows)]
    )
