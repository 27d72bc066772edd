"""How far two networks that should be equal drift apart: layer by layer, and in their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.collections import PolyCollection

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, KeptFigure, Picture, axes, scientific

POWERS = (-8, 1)


def drift_by_layer(
    drifts: Mapping[str, Sequence[float]],
    layers: Sequence[str],
    *,
    colours: Mapping[str, str],
) -> Picture:
    """One line for each comparison: the relative difference after each of `layers`, on a logarithmic axis.

    `colours` maps the name of a comparison to a name in `COLOURS`.
    """
    (ax,) = axes(width=9, height=3.8)
    places = range(1, len(layers) + 1)
    for (name, values), marker in zip(drifts.items(), cycle("os^Dv*"), strict=False):
        powers = [style.log_power(value, POWERS) for value in values]
        ax.plot(
            places,
            powers,
            marker=marker,
            markersize=4.5,
            linewidth=1.5,
            color=COLOURS[colours[name]],
            label=name,
        )
    style.log_axis(ax, POWERS)
    ax.set_xticks(places, layers, rotation=60, ha="right", fontsize=8)
    ax.set_ylabel("relative difference")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    style.title(ax, "How far apart, after each layer")
    said = "; ".join(
        f"{name}: {scientific(values[0])} after {layers[0]}, {scientific(values[-1])} after {layers[-1]}"
        for name, values in drifts.items()
    )
    return Picture([ax], f"Relative difference by layer: {said}.")


def corrections_reading(
    expected: np.ndarray, found: np.ndarray, missing: Iterable[str], image: int
) -> str:
    """One sentence on what becomes of the answers where corrections are missing.

    `expected` and `found` are probabilities (N, classes), of Keras's network and of ours.
    """
    changed = int((expected.argmax(1) != found.argmax(1)).sum())
    listed = " and ".join(missing)
    drift = float(np.abs(expected[image] - found[image]).max())
    return (
        f"{f'Without {listed}' if listed else 'With all corrections'}, {changed} of {len(found)} answers "
        f"are not Keras's. For this image a probability differs by up to {scientific(drift)}."
    )


class CorrectionsDrawing:
    """An image, and its probabilities from Keras and from ours, kept so that it redraws quickly.

    `size` is the height and width of the images in pixels, `classes` the names of the classes.
    """

    def __init__(self, size: tuple[int, int], classes: Sequence[str]) -> None:
        picture, bars = axes(2, width=4.6, height=2.9, width_ratios=(1, 2.6))
        picture.axis("off")
        self._image = picture.imshow(np.zeros((*size, 3)))
        self._heading = picture.text(
            0.5, 1.04, "", ha="center", fontweight="bold", transform=picture.transAxes
        )
        self._classes = list(classes)
        self._bars = []
        for colour, name in (("neutral", "Keras"), ("residual", "ours")):
            patches = PolyCollection([], facecolors=COLOURS[colour], label=name)
            self._bars.append(bars.add_collection(patches))
        bars.set_xlim(-0.6, len(classes) - 0.4)
        bars.set_ylim(0, 1.05)
        bars.set_xticks(range(len(classes)), classes)
        bars.set_ylabel("probability")
        bars.legend(loc="upper right", bbox_to_anchor=(1, 1.18), ncols=2, frameon=False)
        style.title(bars, "What the two networks say")
        self._axes = picture, bars
        self._kept = KeptFigure(bars.figure, [self._image, self._heading, *self._bars])

    def update(
        self, image: np.ndarray, heading: str, expected: np.ndarray, found: np.ndarray
    ) -> Picture:
        """Draw an image (3, H, W) in 0..1, and its probabilities (classes,)."""
        self._image.set_data(np.clip(image.transpose(1, 2, 0), 0, 1))
        self._heading.set_text(heading)
        for collection, values, shift in zip(
            self._bars, (expected, found), (-0.4, 0.0), strict=True
        ):
            collection.set_verts([_box(x + shift, 0.38, v) for x, v in enumerate(values)])
        said = [
            f"{name}: " + ", ".join(f"{c} {v:.2f}" for c, v in self._largest(values))
            for name, values in (("Keras", expected), ("ours", found))
        ]
        words = f"Image: {heading}. The three largest probabilities. {'; '.join(said)}."
        return Picture(self._axes, words, self._kept.png())

    def _largest(self, values: np.ndarray) -> list[tuple[str, float]]:
        order = np.argsort(-values, kind="stable")[:3]
        return [(self._classes[i], float(values[i])) for i in order]


def _box(left: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(left, 0), (left, height), (left + width, height), (left + width, 0)]
