"""What transfer is worth: accuracy along the number of labels, or along the stages of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, Picture, axes
from resnet_edu.draw.training import dashes

Runs = Mapping[object, Sequence[float]]
"""For each place on the axis the accuracies, 0 to 1, of some runs."""


def accuracy_along(
    runs: Mapping[str, Runs],
    xlabel: str,
    *,
    colours: Mapping[str, str],
    low: float = 0.0,
    predicted: tuple[object, Mapping[str, float | None]] | None = None,
) -> Picture:
    """One line for each way, through the median of its runs at each place, and their whole spread.

    The places stand in the order in which `runs` first names them, at equal distances; a way may leave
    some out. `colours` maps a way to one of COLOURS; of the ways of one colour the last has a full line.
    The axis begins at `low`, or at the lowest prediction. `predicted` is a place, and for some ways a
    prediction there, in percent.
    """
    (ax,) = axes(width=7.5, height=3.8)
    places = list(dict.fromkeys(place for way in runs.values() for place in way))
    looks = dashes({name: colours[name] for name in runs})
    said = []
    # so that the spreads, and the predictions, can be told apart
    beside = {name: 0.05 * (i - (len(runs) - 1) / 2) for i, name in enumerate(runs)}
    for name, way in runs.items():
        x = [places.index(place) + beside[name] for place in way]
        middle = [float(np.median(values)) for values in way.values()]
        ends = [min(v) for v in way.values()], [max(v) for v in way.values()]
        colour = COLOURS[colours[name]]
        ax.vlines(x, *ends, color=colour, linewidth=2.5, alpha=0.4)
        ax.plot(x, middle, "o", linestyle=looks[name], color=colour, markersize=4.5, label=name)
        found = ", ".join(f"{p}: {m:.0%}" for p, m in zip(way, middle, strict=True))
        said.append(f"{name} {found}")
    if predicted:
        place, guesses = places.index(predicted[0]), predicted[1]
        known = {name: guess for name, guess in guesses.items() if guess is not None}
        _diamonds(ax, {name: place + beside[name] for name in known}, known, colours)
        said += [f"predicted for {name}: {guess:.0f}%" for name, guess in known.items()]
        low = min([low, *(guess / 100 - 0.03 for guess in known.values())])
    ax.set_xticks(range(len(places)), [str(place) for place in places])
    ax.set_xlabel(xlabel)
    ax.set_ylim(low, 1.0 + 0.03 * (1 - low))
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))  # no half percents
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", color="#E3E7EA")
    style.title(ax, "Accuracy on unseen images")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return Picture(
        [ax], f"Accuracy along {xlabel}, median and spread of the runs. {'; '.join(said)}."
    )


def _diamonds(
    ax: Axes, at: Mapping[str, float], guesses: Mapping[str, float], colours: Mapping[str, str]
) -> None:
    for number, (name, guess) in enumerate(guesses.items()):
        ax.plot(
            at[name],
            guess / 100,
            "D",
            markersize=8,
            markerfacecolor="white",
            markeredgewidth=2,
            color=COLOURS[colours[name]],
            label=None if number else "your prediction",
            zorder=5,
        )
