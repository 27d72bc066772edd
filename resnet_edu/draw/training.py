"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, KeptFigure, Picture, axes

if TYPE_CHECKING:
    from resnet_edu.training import History

SMOOTHED = 5
"""Each point of a curve is the mean of so many steps: a single batch says little."""
_DASHES = ("-", "--", ":")


def training_accuracy(
    histories: Mapping[str, Sequence[History]],
    *,
    colours: Mapping[str, str] | None = None,
    predicted: Mapping[str, float | None] | None = None,
) -> Picture:
    """Accuracy of the training batches against the step: the median over runs, and their whole spread.

    `histories` maps a network's name to one History for each run; all runs of a network are equally long.
    `colours` maps a name to one of COLOURS; without it, names with "ResNet" are residual, others plain.
    Of the networks of one colour the last has a full line, those before it are dashed or dotted.
    `predicted` maps names to a prediction of the last accuracy, in percent, or None.
    """
    if colours is None:
        colours = {name: _colour(name) for name in histories}
    (ax,) = axes(width=7.5, height=3.8)
    steps_shown = max(len(runs[0].accuracies) for runs in histories.values())
    _frame(ax, "Training accuracy", steps_shown)
    said = []
    for name, look in dashes(colours).items():
        colour = COLOURS[colours[name]]
        curves = np.array([smoothed(history.accuracies) for history in histories[name]])
        middle, steps = np.median(curves, axis=0), range(1, curves.shape[1] + 1)
        ax.fill_between(steps, curves.min(0), curves.max(0), color=colour, alpha=0.18, linewidth=0)
        ax.plot(steps, middle, color=colour, linestyle=look, linewidth=2, label=name)
        ends = f"{curves[:, -1].min():.0%} to {curves[:, -1].max():.0%}"
        said.append(f"{name} ends at {middle[-1]:.0%} ({ends})")
    guesses = {name: guess for name, guess in (predicted or {}).items() if guess is not None}
    _diamonds(ax, guesses, steps_shown)
    said += [f"predicted for {name}: {guess:.0f}%" for name, guess in guesses.items()]
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return Picture(
        [ax],
        f"Training accuracy against the step, median and spread of the runs. {'; '.join(said)}.",
    )


def validation_accuracy(
    accuracies: Mapping[str, Sequence[float]],
    *,
    colours: Mapping[str, str] | None = None,
    title: str = "Validation accuracy",
) -> Picture:
    """One row for each network: a dot for each run, and the median as a line and a number.

    `accuracies` maps a network's name to one accuracy, 0 to 1, for each run.
    """
    (ax,) = axes(width=7, height=1.1 + 0.38 * len(accuracies))
    style.title(ax, title)
    said = []
    for row, (name, values) in enumerate(accuracies.items()):
        colour = COLOURS[colours[name] if colours else _colour(name)]
        middle = float(np.median(values))
        ax.plot(values, [row] * len(values), "o", color=colour, alpha=0.55, markersize=7)
        ax.plot([middle, middle], [row - 0.32, row + 0.32], color=colour, linewidth=2.5)
        ax.text(1.04, row, f"{middle:.0%}", va="center", fontweight="bold", color=colour)
        said.append(f"{name} {middle:.0%} ({min(values):.0%} to {max(values):.0%})")
    ax.set_yticks(range(len(accuracies)), list(accuracies))
    ax.set_ylim(len(accuracies) - 0.5, -0.5)
    ax.set_xlim(0, 1.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", color="#E3E7EA")
    return Picture([ax], f"{title}, a dot for each run and the median. {'; '.join(said)}.")


def smoothed(accuracies: Sequence[float]) -> list[float]:
    """At each step the mean of this step and of up to four before it."""
    return [
        float(np.mean(accuracies[max(0, step - SMOOTHED + 1) : step + 1]))
        for step in range(len(accuracies))
    ]


def dashes(colours: Mapping[str, str]) -> dict[str, str]:
    """Full, dashed or dotted: tells apart the networks of one colour, of which the last is full."""
    looks = {}
    for _, group in groupby(sorted(colours, key=colours.__getitem__), key=colours.__getitem__):
        for place, name in enumerate(reversed(list(group))):
            looks[name] = _DASHES[min(place, len(_DASHES) - 1)]
    return {name: looks[name] for name in colours}


class DegradationRaceDrawing:
    """Training curves that grow, kept so that they can be redrawn many times in a second.

    `lanes` is the largest number of networks, `steps` the length of the race.
    """

    def __init__(self, lanes: int, steps: int) -> None:
        (ax,) = self._axes = axes(width=9, height=3.6)
        _frame(ax, "Training accuracy", steps)
        ax.figure.set_layout_engine("none")
        ax.set_position((0.075, 0.15, 0.71, 0.74))
        self._lines = [ax.plot([], [], linewidth=2.2)[0] for _ in range(lanes)]
        self._names = [
            ax.text(
                1.02,
                0.8 - 0.2 * lane,
                "",
                transform=ax.transAxes,
                fontsize=11,
                fontweight="bold",
                va="center",
            )
            for lane in range(lanes)
        ]
        self._hint = ax.text(
            0.5,
            0.5,
            "The curves grow here after Start",
            transform=ax.transAxes,
            ha="center",
            color=COLOURS["neutral"],
            fontsize=12,
        )
        self._kept = KeptFigure(ax.figure, [*self._lines, *self._names, self._hint])

    def update(self, histories: Mapping[str, History]) -> Picture:
        """Draw the networks' histories so far."""
        for line, text in zip(self._lines, self._names, strict=True):
            line.set_data([], [])
            text.set_text("")
        self._hint.set_alpha(0 if histories else 1)
        looks = dashes({name: _colour(name) for name in histories})
        said = []
        for (name, history), line, text in zip(
            histories.items(), self._lines, self._names, strict=False
        ):
            curve = smoothed(history.accuracies)
            line.set_data(range(1, len(curve) + 1), curve)
            line.set(color=COLOURS[_colour(name)], linestyle=looks[name])
            now = f"{curve[-1]:.0%}" if curve else ""
            sample = {"-": "\u2014", "--": "- -", ":": "\u00b7\u00b7\u00b7"}[looks[name]]
            text.set(text=f"{sample} {name}  {now}", color=COLOURS[_colour(name)])
            said.append(f"{name} {now}".strip())
        words = f"Training accuracy against the step: {', '.join(said) or 'nothing yet'}."
        return Picture(self._axes, words, self._kept.png())


def _diamonds(ax: Axes, guesses: Mapping[str, float], step: int) -> None:
    style = {"color": COLOURS["prediction"], "clip_on": False, "zorder": 5}
    for number, (name, guess) in enumerate(guesses.items()):
        label = None if number else "your prediction"
        ax.plot(step, guess / 100, "D", markersize=8, markerfacecolor="white", label=label, **style)
        ax.text(step * 0.98, guess / 100, name, ha="right", va="center", **style)


def _frame(ax: Axes, title: str, steps: int) -> None:
    style.title(ax, title)
    ax.set_xlabel(f"step (each point is the mean of the last {SMOOTHED})")
    ax.set_xlim(0, steps)
    ax.set_ylim(0, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", color="#E3E7EA")


def _colour(name: str) -> str:
    return "residual" if "ResNet" in name else "plain"
