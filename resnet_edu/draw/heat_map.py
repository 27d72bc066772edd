"""Where in an image a network finds its evidence."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np

from resnet_edu.draw import style
from resnet_edu.draw.images import coarse, in_colour, picture_in
from resnet_edu.draw.style import KeptFigure, Picture, axes


def heat_maps(images: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Heat maps (H, W) in 0..1 over grey copies of their images (3, H, W): bright is evidence."""
    grid = axes(len(images), width=min(2.6, 11 / len(images)), height=2.9)
    for ax, (name, (image, heat)) in zip(grid, images.items(), strict=True):
        ax.imshow(coarse(_heated(image, heat)), interpolation="nearest")
        ax.axis("off")
        ax.set_title(name, fontsize=15)
    said = (
        f"Heat map, {name}: brightest {where_brightest(heat)}."
        for name, (_, heat) in images.items()
    )
    return Picture(grid, " ".join(said))


class HeatMapDrawing:
    """An image beside its heat map, and the likeliest classes, kept so that it redraws quickly."""

    def __init__(self) -> None:
        figure = style.blank(9, 3.5)
        self._image, image = picture_in(figure, (0.01, 0.03, 0.335, 0.86))
        self._heat, heat = picture_in(figure, (0.36, 0.03, 0.335, 0.86))
        text = {"fontsize": 11, "fontweight": "bold", "va": "bottom"}
        self._titles = [
            ax.text(0, 1.02, "", transform=ax.transAxes, **text) for ax in (image, heat)
        ]
        read = figure.add_axes((0.72, 0.03, 0.27, 0.86))
        read.axis("off")
        read.text(0, 1.02, "What the network reads", transform=read.transAxes, **text)
        self._names = [
            read.text(0, 0.92 - 0.12 * i, "", transform=read.transAxes, va="center", fontsize=11)
            for i in range(5)
        ]
        self._numbers = [
            read.text(1, 0.92 - 0.12 * i, "", transform=read.transAxes, va="center", ha="right")
            for i in range(5)
        ]
        self._axes = image, heat, read
        moving = [self._image, self._heat, *self._titles, *self._names, *self._numbers]
        self._kept = KeptFigure(figure, moving)

    def update(
        self, image: np.ndarray, heat: np.ndarray, title: str, answers: Mapping[str, float]
    ) -> Picture:
        """Draw an image (3, H, W), its heat map (H, W) in 0..1 and up to five probabilities by class."""
        self._image.set_data(coarse(in_colour(image)))
        self._heat.set_data(coarse(_heated(image, heat)))
        for text, said in zip(self._titles, ("The image", title), strict=True):
            text.set_text(said)
        lines = [*answers.items()][:5]
        for text in (*self._names, *self._numbers):
            text.set_text("")
        for name, number, (answer, share) in zip(self._names, self._numbers, lines, strict=False):
            name.set_text(answer if len(answer) < 22 else f"{answer[:20]}...")
            number.set_text(f"{share:.0%}")
        likeliest = ", ".join(f"{answer} {share:.0%}" for answer, share in lines)
        words = f"An image. {title}: brightest {where_brightest(heat)}. The likeliest classes: {likeliest}."
        return Picture(self._axes, words, self._kept.png())


def over_image(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image (3, H, W) with a heat map (H, W) over it, both in 0..1: dark where the heat is low."""
    colours = mpl.colormaps["inferno"](heat)[..., :3].transpose(2, 0, 1)  # (3, H, W)
    grey = image.mean(0)
    return np.clip(0.5 * grey + 0.65 * colours, 0, 1)


def where_brightest(heat: np.ndarray) -> str:
    """In words, in which ninth of a map its largest number stands."""
    heat = np.asarray(heat)
    if heat.max() <= 0:
        return "nowhere"
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    across = ("left", "in the middle", "right")[int(3 * (column + 0.5) / heat.shape[1])]
    down = ("at the top", "half way down", "at the bottom")[int(3 * (row + 0.5) / heat.shape[0])]
    return f"{down}, {across}"


def _heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    pixels = in_colour(image).transpose(2, 0, 1)
    return over_image(pixels, np.asarray(heat)).transpose(1, 2, 0)
