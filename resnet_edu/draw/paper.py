"""Axes to draw on freely, with lengths and letters in one unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.path import Path

INK = "#1F2933"


class Paper:
    """Axes of `width` x `height` ems, where a letter of size 1 is one em high.

    Shapes are painted in the order in which they come, below all text, and all at once by `finish`:
    one artist with 200 shapes is much quicker than 200 artists. What was on the Axes before is removed.
    """

    def __init__(self, ax: Axes, width: float, height: float) -> None:
        for artist in [*ax.texts, *ax.collections]:
            artist.remove()
        ax.axis("off")
        ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        room = ax.get_window_extent()
        self._em = 72 / ax.figure.dpi * min(room.width / width, room.height / height)  # in points
        self._ax = ax
        self._paths: list[Path] = []
        self._looks: list[tuple[str, str, float]] = []

    def shape(self, points: Sequence, face: str, edge: str = "none", line: float = 0) -> None:
        """Straight lines from point to point, filled with `face`; the `line` around has colour `edge`."""
        self._paths.append(Path(points))
        self._looks.append((face, edge, line * self._em))

    def line(self, points: Sequence, colour: str, width: float) -> None:
        """A line from point to point."""
        self.shape(points, "none", colour, width)

    def box(self, corner: Sequence[float], size: Sequence[float], *look: object) -> None:
        """A rectangle from one corner; a negative size goes left or down."""
        (x, y), (width, height) = corner, size
        steps = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
        self.shape((x, y) + steps * (width, height), *look)

    def pill(
        self, centre: Sequence[float], size: Sequence[float], radius: float, *look: object
    ) -> None:
        """A rectangle around its centre, with round corners."""
        turn = np.radians(90 * np.arange(4)[:, None] + np.linspace(0, 90, 8))
        arcs = radius * np.stack((np.cos(turn), np.sin(turn)), 2)
        corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])[:, None]
        points = (centre + corners * (np.array(size) / 2 - radius) + arcs).reshape(-1, 2)
        self.shape([*points, points[0]], *look)

    def text(self, x: float, y: float, text: str, size: float = 1, **options: object) -> None:
        """Letters of `size` ems, around (x, y) where the options do not say otherwise."""
        options = {"ha": "center", "va": "center_baseline", "color": INK} | options
        self._ax.text(x, y, text, fontsize=size * self._em, **options)

    def finish(self) -> Axes:
        """Paint the shapes."""
        faces, edges, widths = zip(*self._looks, strict=True)
        shapes = PathCollection(
            self._paths, facecolors=faces, edgecolors=edges, linewidths=widths, zorder=0
        )
        shapes.set(capstyle="round", joinstyle="round", transform=self._ax.transData)
        self._ax.add_collection(shapes, autolim=False)
        return self._ax
