"""What a residual network is seen as: many paths, and smooth gradients along a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, Picture, axes


def path_lengths(counts: Sequence[int], gradients: Sequence[float]) -> Picture:
    """Of all paths, the share with each length; of all gradient, the share that each length carries.

    `counts` says how many paths pass 0, 1, 2, ... branches, `gradients` what one of them carries.
    """
    (ax,) = axes(width=7.5, height=3.4)
    style.title(ax, "Paths by the number of branches they pass")
    carried = [count * gradient for count, gradient in zip(counts, gradients, strict=True)]
    said = []
    for name, values, colour in (
        ("paths", counts, "neutral"),
        ("gradient they carry together", carried, "residual"),
    ):
        shares = [value / sum(values) for value in values]
        mean = sum(length * share for length, share in enumerate(shares))
        ax.bar(range(len(shares)), shares, color=COLOURS[colour], alpha=0.75, label=name)
        said.append(f"{name}: {mean:.1f} branches on average")
    ax.set_xlabel("branches on the path")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(frameon=False)
    return Picture(
        [ax], f"Paths by the number of branches they pass. {'; '.join(said).capitalize()}."
    )


def autocorrelations(
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    colours: Mapping[str, str],
) -> Picture:
    """How alike the gradient is to itself so many points further on; several runs for each network.

    `curves` maps a network's name to one curve for each run, from lag 0 on; `colours` to its colour.
    """
    (ax,) = axes(width=7, height=3.4)
    style.title(ax, "Autocorrelation of the gradient along a line")
    said = []
    for name, runs in curves.items():
        middle = [sorted(values)[len(values) // 2] for values in zip(*runs, strict=True)]
        lowest, highest = map(min, zip(*runs, strict=True)), map(max, zip(*runs, strict=True))
        lags = range(len(middle))
        colour = COLOURS[colours[name]]
        ax.fill_between(lags, list(lowest), list(highest), color=colour, alpha=0.18, linewidth=0)
        ax.plot(lags, middle, marker="o", markersize=3.5, color=colour, label=name)
        said.append(f"{name}: {middle[1]:.2f} from one point to the next")
    ax.axhline(0, color=COLOURS["neutral"], linewidth=0.8)
    ax.set_xlabel("points further on")
    ax.set_ylim(-0.35, 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False)
    return Picture([ax], f"Autocorrelation of the gradient along a line. {'; '.join(said)}.")
