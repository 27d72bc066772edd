"""Two panels of lines over the places of a network, with the setting before in grey behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, KeptFigure, axes, log_axis, log_power, marked_line

Lines = Sequence[Sequence[float]]
"""For each panel the values from the first place to the last."""


class BeforeAndNow:
    """Kept so that an explorer can redraw it quickly: the frame never changes, and is drawn once.

    `panels` maps the title of each panel to the powers of ten at the ends of its axis; `place` says what
    stands along the other axis, up to number `last`. `corner` is where the first panel's legend goes.
    """

    def __init__(
        self, panels: Mapping[str, tuple[int, int]], place: str, last: int, corner: str
    ) -> None:
        self.axes = axes(2, width=5.0, height=3.3)
        self._powers = list(panels.values())
        for ax, (title, powers) in zip(self.axes, panels.items(), strict=True):
            frame(ax, title, powers, place, last)
        self._before = [marked_line(ax, "ghost") for ax in self.axes]
        self._now = [marked_line(ax, "plain") for ax in self.axes]
        self.axes[0].legend([self._before[0]], ["the setting before"], loc=corner, frameon=False)
        self._kept = KeptFigure(self.axes[0].figure, self._before + self._now)

    def png(self, now: Lines, before: Lines | None, colour: str) -> bytes:
        """`now` in this colour, and `before`, if there is one, in grey behind it: a PNG file."""
        for lines, values in ((self._now, now), (self._before, before or ((), ()))):
            for line, powers, of_panel in zip(lines, self._powers, values, strict=True):
                heights = [log_power(value, powers) for value in of_panel]
                line.set_data(range(1, len(heights) + 1), heights)
        for line in self._now:
            line.set_color(COLOURS[colour])
        return self._kept.png()


def frame(ax: Axes, title: str, powers: tuple[int, int], place: str, last: int) -> None:
    """The frame of a panel: a logarithmic axis over the places 1 to `last`."""
    style.title(ax, title)
    ax.set_xlabel(f"{place} (1 is next to the image)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(0, last + 1)
    log_axis(ax, powers)
