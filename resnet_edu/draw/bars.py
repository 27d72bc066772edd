"""Bars: the plain way to compare a few numbers, and to see how far a prediction was off."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, Picture, axes, scientific


def bars(
    measured: Mapping[str, float],
    *,
    predicted: Mapping[str, float | None] | None = None,
    predicted_by: str = "your prediction",
    title: str = "",
    unit: str = "",
    log: bool = False,
) -> Picture:
    """One horizontal bar for each measured number, and a diamond where there is a prediction."""
    (ax,) = axes(height=1.1 + 0.42 * len(measured))
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
    return Picture([ax], f"Bars, {title or unit}: {said}{foreseen}.")


def by_block(
    panels: Mapping[str, Mapping[str, float]],
    *,
    units: Mapping[str, str],
    colours: Mapping[str, str],
    predicted: Mapping[str, float | None] | None = None,
) -> Picture:
    """A panel for each network or measure: one bar for each block, the first next to the image.

    `units` maps a panel to its unit, and panels of one unit have one scale; `colours` maps a panel to one
    of COLOURS; `predicted` maps blocks of the first panel to a prediction, or None.
    """
    grid = axes(len(panels), width=11 / len(panels), height=3.4)
    of_unit: dict[str, Axes] = {}
    words = []
    for ax, (name, values) in zip(grid, panels.items(), strict=True):
        places = range(len(values))
        ax.bar(places, list(values.values()), width=0.65, color=COLOURS[colours[name]])
        ax.set_xticks(places, list(values), rotation=60, ha="right", rotation_mode="anchor")
        ax.set_ylabel(units[name])
        if (other := of_unit.setdefault(units[name], ax)) is not ax:
            ax.sharey(other)
        ax.grid(axis="y", color="#E3E7EA")
        ax.set_axisbelow(True)
        style.title(ax, name)
        said = ", ".join(f"{block} {value:.2g}" for block, value in values.items())
        words.append(f"{name}, {units[name]}, by block: {said}.")
    first = next(iter(panels.values()))
    guesses = {b: g for b, g in (predicted or {}).items() if b in first and g is not None}
    if guesses:
        look = {"facecolor": "white", "edgecolor": COLOURS["prediction"], "linewidth": 2}
        at = [list(first).index(block) for block in guesses]
        grid[0].scatter(
            at, list(guesses.values()), marker="D", s=60, zorder=3, label="your prediction", **look
        )
        grid[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
        said = ", ".join(f"{block} {value:.2g}" for block, value in guesses.items())
        words[0] += f" Your prediction: {said}."
    return Picture(grid, " ".join(words))


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else scientific(value)
