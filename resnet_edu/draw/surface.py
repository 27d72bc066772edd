"""The loss around the weights of a trained network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from resnet_edu.draw import style
from resnet_edu.draw.style import Picture, axes

if TYPE_CHECKING:
    from resnet_edu.measure import LossSurface

_GUESSING = float(np.log(10))


def loss_surfaces(surfaces: Mapping[str, LossSurface]) -> Picture:
    """A map of the loss around each network's weights, all with one scale; a line where it is ln 10."""
    grid = axes(len(surfaces), width=11 / len(surfaces), height=3.4)
    levels = np.linspace(0, 3, 13)
    said = []
    for ax, (name, surface) in zip(grid, surfaces.items(), strict=True):
        x = y = np.array(surface.distances)
        shown = np.clip(surface.losses, 0, 3)
        filled = ax.contourf(x, y, shown, levels, cmap="cividis")
        if shown.min() < _GUESSING < shown.max():
            ax.contour(x, y, shown, [_GUESSING], colors="white", linestyles="--", linewidths=1.4)
        ax.plot(
            0, 0, "+", color=style.readable_on(filled.cmap(shown[len(x) // 2, len(x) // 2] / 3))
        )
        ax.set_aspect("equal")
        ax.set_xlabel("first direction")
        style.title(ax, name)
        middle, away = surface.at_distance(0), surface.at_distance(0.4)
        said.append(
            f"Loss around {name}: {middle:.2f} in the middle, {away:.2f} at distance 0.4, "
            f"{surface.losses.max():.1f} at most."
        )
    grid[0].set_ylabel("second direction")
    bar = grid[-1].figure.colorbar(filled, ax=grid, ticks=[0, 1, 2, 3], label="loss")
    bar.ax.set_yticklabels(["0", "1", "2", "3+"])
    return Picture(grid, " ".join(said))
