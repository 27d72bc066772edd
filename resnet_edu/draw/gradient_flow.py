"""The two signals on their way through a network: activations forward, gradients backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from resnet_edu.draw import style
from resnet_edu.draw.before import BeforeAndNow, frame
from resnet_edu.draw.style import (
    COLOURS,
    Picture,
    axes,
    log_axis,
    log_power,
    marked_line,
    scientific,
)

if TYPE_CHECKING:
    from resnet_edu.measure import Signals

# Few scales, so that two pictures can be compared at a glance.
_GRADIENT_RANGE = (-24, 6)  # powers of ten
_CLOSER_RANGE = (-6, 6)  # where nothing vanishes
_ACTIVATION_RANGE = (-6, 6)
_LAST_LAYER = 55
_GRADIENT = "Gradient norm of each layer's weight"
_ACTIVATION = "Scale of what flows into each layer"
_SAID = {_GRADIENT: "Gradient norm", _ACTIVATION: "Activation scale"}
_ORDER = ("plain", "third", "fourth", "neutral")  # blue is left to residual networks


def gradient_norms(records: Mapping[str, Signals], *, colours: Sequence[str] = _ORDER) -> Picture:
    """The gradient norm of each convolution's weight, first layer to last; a line for each record."""
    powers = _range(value for record in records.values() for value in _gradients(record))
    return _lines(records, _gradients, colours, _GRADIENT, powers)


def activation_scales(
    records: Mapping[str, Signals], *, colours: Sequence[str] = _ORDER
) -> Picture:
    """The scale of what flows into each convolution, first layer to last; a line for each record."""
    return _lines(records, _activations, colours, _ACTIVATION, _ACTIVATION_RANGE)


def ratios_by_depth(
    ratios: Mapping[str, Mapping[int, Sequence[float]]],
    *,
    predicted: Mapping[int, float | None] | None = None,
    colours: Sequence[str] = _ORDER,
) -> Picture:
    """Gradient of the first layer over that of the last, against depth: the median, and each seed.

    `ratios` maps a name to depth to one ratio for each seed.
    """
    (ax,) = axes(width=7, height=3.8)
    guesses = {d: p for d, p in (predicted or {}).items() if p is not None}
    measured = [r for by_depth in ratios.values() for seeds in by_depth.values() for r in seeds]
    powers = _range([*measured, *guesses.values()])
    said = []
    for (name, by_depth), colour in zip(ratios.items(), cycle(colours), strict=False):
        depths = list(by_depth)
        middle = [log_power(float(np.median(by_depth[d])), powers) for d in depths]
        ax.plot(depths, middle, marker="o", color=COLOURS[colour], label=name)
        for depth in depths:
            seeds = [log_power(r, powers) for r in by_depth[depth]]
            ax.plot([depth] * len(seeds), seeds, "_", color=COLOURS[colour], markersize=9)
        said.append(
            f"{name}: "
            + ", ".join(f"{scientific(float(np.median(by_depth[d])))} at depth {d}" for d in depths)
        )
    if guesses:
        ax.plot(
            list(guesses),
            [log_power(p, powers) for p in guesses.values()],
            "D",
            markersize=8,
            markerfacecolor="white",
            markeredgecolor=COLOURS["prediction"],
            markeredgewidth=2,
            label="your prediction",
        )
        said.append(
            "you predicted " + ", ".join(f"{scientific(p)} at {d}" for d, p in guesses.items())
        )
    ax.axhline(0, color=COLOURS["ghost"], linewidth=1, zorder=0)
    ax.set_xticks(sorted({d for by_depth in ratios.values() for d in by_depth}))
    ax.set_xlabel("depth (layers)")
    style.title(ax, "Gradient of the first layer over that of the last")
    log_axis(ax, powers)
    ax.legend(frameon=False)
    return Picture(
        [ax], "Gradient of the first layer over that of the last. " + "; ".join(said) + "."
    )


def flow_grid(ratios: Mapping[str, Mapping[str, float]], *, title: str = "") -> Picture:
    """A table in colour: ratio of gradients (first layer over last) for each row and column.

    Orange vanishes, violet explodes, white is healthy; the number stands in each field.
    """
    rows, columns = list(ratios), list(next(iter(ratios.values())))
    (ax,) = axes(width=3.2 + 0.95 * len(columns), height=1.4 + 0.36 * len(rows))
    powers = np.array([[log_power(ratios[r][c], _GRADIENT_RANGE) for c in columns] for r in rows])
    colours = ax.imshow(powers, cmap="PuOr", norm=TwoSlopeNorm(0, -12, 6), aspect="auto")
    for (row, column), power in np.ndenumerate(powers):
        ax.text(
            column,
            row,
            scientific(ratios[rows[row]][columns[column]]),
            ha="center",
            va="center",
            color=style.readable_on(colours.to_rgba(power)),
        )
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    style.title(ax, title)
    said = "; ".join(
        f"{r}: " + ", ".join(f"{scientific(ratios[r][c])} at {c}" for c in columns) for r in rows
    )
    return Picture([ax], f"{title}. {said}.")


def gradient_flow_reading(record: Signals) -> str:
    """One sentence on what one setting does to gradients and activations."""
    ratio, growth = record.gradient_ratio, record.activation_ratio
    first, last = record.layers[0].gradient_norm, record.layers[-1].gradient_norm
    largest = max(layer.gradient_norm for layer in record.layers)
    loss = f"Initial loss {scientific(record.loss)} (guessing: 2.3)."
    first_over_last = f"the first layer gets {scientific(ratio)} times that of the last"
    if not math.isfinite(record.loss) or not math.isfinite(largest):
        return f"The numbers have grown beyond what a float can hold. {loss}"
    if growth > 100:
        text = f"they grow {scientific(growth)} times on the way to the last layer"
        return f"The activations explode: {text}. {loss}"
    if first == 0 or last == 0:
        text = f"{scientific(first)} at the first layer, {scientific(last)} at the last"
        return f"The gradient has vanished: {text}. {loss}"
    if ratio < 1e-3:
        return f"The gradient vanishes: {first_over_last}. {loss}"
    if ratio > 100:
        return f"The gradient explodes: {first_over_last}. {loss}"
    if largest < 1e-5:
        text = f"the largest is {scientific(largest)}, for the signal fades on its way forward too"
        return f"All gradients are tiny: {text}. {loss}"
    if ratio < 0.05:
        return f"The gradient shrinks: {first_over_last}. {loss}"
    return f"The gradient arrives: {first_over_last}. {loss}"


class GradientFlowDrawing:
    """Gradients and activations side by side, kept so that an explorer can redraw them quickly."""

    def __init__(self) -> None:
        panels = {_GRADIENT: _GRADIENT_RANGE, _ACTIVATION: _ACTIVATION_RANGE}
        self._kept = BeforeAndNow(panels, "layer", _LAST_LAYER, "lower right")

    def update(
        self, record: Signals, before: Signals | None = None, colour: str = "plain"
    ) -> Picture:
        """Draw `record`, and `before` in grey behind it."""
        now, then = (r and (_gradients(r), _activations(r)) for r in (record, before))
        gradients, scales = now
        words = (
            f"Two curves over {len(record.layers)} layers. Gradient norm: {gradients[0]:.1e} at the "
            f"first layer, {gradients[-1]:.1e} at the last. Scale of what flows in: {scales[0]:.1e} at "
            f"the first, {scales[-1]:.1e} at the last. {gradient_flow_reading(record)}"
        )
        return Picture(self._kept.axes, words, self._kept.png(now, then, colour))


def _gradients(record: Signals) -> list[float]:
    return [layer.gradient_norm for layer in record.layers]


def _activations(record: Signals) -> list[float]:
    return [layer.activation_scale for layer in record.layers]


def _lines(
    records: Mapping[str, Signals],
    of: Callable[[Signals], list[float]],
    colours: Sequence[str],
    title: str,
    powers: tuple[int, int],
) -> Picture:
    (ax,) = axes(width=7)
    longest = max((len(r.layers) for r in records.values()), default=1)
    frame(ax, title, powers, "layer", longest)
    said = []
    for (name, record), colour in zip(records.items(), cycle(colours), strict=False):
        values = of(record)
        line = marked_line(ax, colour)
        line.set_data(range(1, len(values) + 1), [log_power(v, powers) for v in values])
        line.set_label(name)
        said.append(
            f"{name}: {scientific(values[0])} at the first, {scientific(values[-1])} at the last"
        )
    ax.legend(frameon=False)
    return Picture([ax], f"{_SAID[title]} of each layer. {'; '.join(said)}.")


def _range(values: Iterable[float]) -> tuple[int, int]:
    return _CLOSER_RANGE if min(values, default=1.0) > 1e-6 else _GRADIENT_RANGE
