"""A network as a row of boxes: how the image shrinks, how the channels grow, where the cost is."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib.patches import FancyBboxPatch

from resnet_edu.draw.style import COLOURS, Picture, axes, title

if TYPE_CHECKING:
    from resnet_edu.measure import Anatomy, Layer


def anatomy(record: Anatomy) -> Picture:
    """One box for each part of the network (`conv1`, `layer1`, ...) that multiplies.

    The taller a box, the larger its output's height and width; the wider, the more channels (both on a
    logarithmic scale). Below it: its parameters and multiply-adds, and its receptive field.
    """
    parts = []
    for name, group in groupby(record.layers, key=lambda layer: layer.name.split(".")[0]):
        layers = list(group)
        parameters = sum(layer.parameters for layer in layers)
        cost = sum(layer.multiply_adds for layer in layers)
        if cost:
            parts.append((name, layers[-1], parameters, cost))

    tallest = max(math.log2(_side(last) + 1) for _, last, _, _ in parts)
    (ax,) = axes(width=max(6.0, 1.6 * len(parts)), height=3.6)
    ax.axis("off")
    left = 0.0
    for name, last, parameters, cost in parts:
        channels = last.output_shape[0]
        width = 0.12 + 0.11 * math.log2(channels)
        height = 2.1 * math.log2(_side(last) + 1) / tallest
        middle = left + 0.75
        ax.add_patch(
            FancyBboxPatch(
                (middle - width / 2, 1.1 - height / 2),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.05",
                facecolor="#DCE6EE",
                edgecolor=COLOURS["residual"],
                linewidth=1.5,
            )
        )
        ax.text(middle, 2.62, name, ha="center", fontweight="bold")
        ax.text(middle, 1.1, f"{channels}", ha="center", va="center")
        shape = " x ".join(map(str, last.output_shape[1:])) or "logits"
        ax.text(middle, 2.42, shape, ha="center", color=COLOURS["neutral"], fontsize=9)
        field = f"sees {last.receptive_field} px" if last.receptive_field else "sees all"
        lines = (
            f"{_short(parameters)} parameters",
            f"{_short(cost)} multiply-adds",
            field,
        )
        for row, line in enumerate(lines):
            ax.text(middle, -0.35 - 0.24 * row, line, ha="center", fontsize=8.5)
        left += 1.5
    ax.set_xlim(0, left)
    ax.set_ylim(-1.05, 2.9)
    said = "; ".join(
        f"{name}: output {' x '.join(map(str, last.output_shape))}, {_short(p)} parameters"
        for name, last, p, _ in parts
    )
    title(
        ax,
        f"{_short(record.parameters)} parameters, {_short(record.multiply_adds)} multiply-adds "
        f"for one image of {record.image_size} x {record.image_size}",
    )
    return Picture([ax], f"The parts of the network: {said}.")


def _side(layer: Layer) -> int:
    return layer.output_shape[1] if len(layer.output_shape) > 1 else 1


def _short(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"
