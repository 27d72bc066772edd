"""Bars: the plain way to compare a few numbers, and to see how far a prediction was off."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, axes, scientific


def bars(
    measured: Mapping[str, float],
    *,
    predicted: Mapping[str, float | None] | None = None,
    predicted_by: str = "your prediction",
    title: str = "",
    unit: str = "",
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """One horizontal bar for each measured number, and a diamond where there is a prediction."""
    ax = ax or axes(height=1.1 + 0.42 * len(measured))[0]
    names = list(measured)
    values = list(measured.values())
    rows = range(len(names))
    if log:
        ax.set_xscale("log")
    ax.barh(rows, values, height=0.6, color=COLOURS["neutral"])
    for row, value in zip(rows, values, strict=True):
        ax.annotate(
            _text(value),
            (value, row),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )
    guesses = {n: p for n, p in (predicted or {}).items() if n in measured and p is not None}
    if guesses:
        ax.scatter(
            list(guesses.values()),
            [names.index(n) for n in guesses],
            marker="D",
            s=60,
            facecolor="white",
            edgecolor=COLOURS["prediction"],
            linewidth=2,
            zorder=3,
            label=predicted_by,
        )
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    ax.set_yticks(rows, names)
    ax.invert_yaxis()
    if not log and all(isinstance(value, int) for value in values):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.margins(x=0.15)
    ax.set_xlabel(unit)
    style.title(ax, title)
    said = "; ".join(f"{n}: {_text(v)}" for n, v in measured.items())
    foreseen = "".join(f"; {predicted_by} for {n}: {_text(v)}" for n, v in guesses.items())
    ax.set_label(f"Bars, {title or unit}: {said}{foreseen}.")
    return ax


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else scientific(value)
