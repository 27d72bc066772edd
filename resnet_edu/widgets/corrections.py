"""Take corrections away from a network that was carried over, and see whether it still says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from resnet_edu import draw
from resnet_edu.draw import Picture
from resnet_edu.widgets.explorer import Explorer, bold

Missing = frozenset[str]
"""The corrections that are missing."""


class CorrectionsExplorer(Explorer):
    """A box for each correction; the probabilities of one image, from Keras and from ours.

    `expected` are Keras's probabilities, an array (N, classes) for images (N, 3, H, W) with values in
    0..1, and `found` ours, one array for every set of missing corrections. `start` are those that are
    missing at first.
    Raises ValueError where a set is not among `found`.
    """

    def __init__(
        self,
        images: Tensor,
        expected: Any,
        found: Mapping[Missing, Any],
        start: Missing = frozenset(),
    ) -> None:
        self._corrections = list(dict.fromkeys(c for missing in found for c in sorted(missing)))
        if len(found) != 2 ** len(self._corrections) or start not in found:
            raise ValueError(
                f"CorrectionsExplorer needs the probabilities for each of the "
                f"{2 ** len(self._corrections)} sets of missing corrections, and got {len(found)}."
            )
        self._expected, self._found = expected, found
        self._images = images.cpu().numpy()
        classes = [str(i) for i in range(expected.shape[1])]
        self._drawing = draw.CorrectionsDrawing(self._images.shape[2:], classes)
        boxes = {name: widgets.Checkbox(value=name not in start) for name in self._corrections}
        numbers = widgets.SelectionSlider(options=range(1, len(images) + 1))
        super().__init__({**boxes, "Image": numbers}, width=1000)

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The picture for these boxes, by the name of the correction, and for "Image", from 1."""
        missing = [name for name in self._corrections if not values[name]]
        found, image = self._found[frozenset(missing)], values["Image"] - 1
        picture = self._drawing.update(
            self._images[image], f"image {image + 1}", self._expected[image], found[image]
        )
        reading = draw.corrections_reading(self._expected, found, missing, image)
        return replace(picture, words=f"{picture.words} {reading}"), bold(reading)
