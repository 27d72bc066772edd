"""How every picture of the course looks."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

# The palette of Okabe and Ito, which people with the common forms of colour blindness can tell apart.
# The same thing has the same colour in the whole course.
COLOURS = {
    "plain": "#D55E00",
    "residual": "#0072B2",
    "neutral": "#5F6B76",
    "third": "#009E73",
    "fourth": "#CC79A7",
    "prediction": "#8A6D00",
    "ghost": "#B4BCC4",
}
DPI = 110
_FRAME = {"axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#5F6B76"}


def axes(
    columns: int = 1, width: float = 6.0, height: float = 3.2, **options: object
) -> list[Axes]:
    """New Axes side by side in one new Figure; `width` and `height` in inches, for each of them."""
    with mpl.rc_context(_FRAME):
        figure = blank(columns * width, height, "constrained")
        return list(figure.subplots(1, columns, squeeze=False, **options)[0])


def blank(width: float, height: float, layout: str = "none") -> Figure:
    """A new Figure without Axes; `width` and `height` in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def title(ax: Axes, text: str) -> None:
    """A title above the left end of `ax`."""
    ax.set_title(text, loc="left", fontsize=11, fontweight="bold")


def readable_on(background: Sequence[float]) -> str:
    """Black or white, whichever has the greater contrast to `background` (red, green, blue in 0..1).

    Source: Web Content Accessibility Guidelines 2.1, relative luminance.
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


def png_of(figure: Figure, *, compress_level: int = 9) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    options = {"compress_level": compress_level}
    figure.savefig(buffer, format="png", dpi=DPI, pil_kwargs=options)
    return buffer.getvalue()


@dataclass(frozen=True)
class Picture:
    """A picture, and the same in words. A notebook displays it, with the words as alternative text.

    `axes` are the Axes of its Figure that `words` speak of, `png` is the file. Where no file is given,
    the Figure is drawn now.
    """

    axes: Sequence[Axes]
    words: str
    png: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not self.png:
            object.__setattr__(self, "png", png_of(self.axes[0].figure))

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        return (
            {"image/png": self.png, "text/plain": "(picture)"},
            {"image/png": {"alt": self.words}},
        )


def show(drawn: Picture | Axes, words: str = "") -> Picture:
    """The picture that a notebook displays, as the last line of a cell or in `display`.

    What this module draws has its words. To Axes of your own, made by `axes`, give them here.
    """
    return drawn if isinstance(drawn, Picture) else Picture([drawn], words)


class KeptFigure:
    """A figure for explorers: what never changes is drawn once, what does is drawn over it.

    `png` is then several times as fast as drawing the whole figure again.
    """

    def __init__(self, figure: Figure, moving: Iterable[Artist]) -> None:
        self._canvas = figure.canvas
        self._moving = list(moving)
        for artist in self._moving:
            artist.set_visible(False)
        self._canvas.draw()
        figure.set_layout_engine("none")
        self._still = self._canvas.copy_from_bbox(figure.bbox)
        for artist in self._moving:
            artist.set_visible(True)

    def png(self) -> bytes:
        """The figure as it is now, as a PNG file."""
        self._canvas.restore_region(self._still)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        buffer = io.BytesIO()
        pixels = Image.fromarray(np.asarray(self._canvas.buffer_rgba()))
        pixels.convert("RGB").save(buffer, format="png", compress_level=1)
        return buffer.getvalue()


def marked_line(ax: Axes, colour: str) -> Line2D:
    """A line with marks, still without points."""
    return ax.plot([], [], marker="o", markersize=3.5, linewidth=1.6, color=COLOURS[colour])[0]


def log_axis(ax: Axes, powers: tuple[int, int]) -> None:
    """A logarithmic axis. What lies beyond its ends, 0 and infinity too, is drawn at the ends."""
    low, high = powers
    step = 6 if high - low > 12 else 3
    ticks = range(low + step, high + 1, step)
    ax.set_ylim(low - 0.5, high + 0.5)
    names = [f"$10^{{{t}}}$" if t else "1" for t in ticks]
    ax.set_yticks([low, *ticks], [f"$\\leq 10^{{{low}}}$", *names])
    ax.grid(axis="y", color="#E3E7EA")


def log_power(value: float, powers: tuple[int, int]) -> float:
    """The power of ten of `value`, kept within the axis."""
    low, high = powers
    if math.isnan(value) or value >= 10.0**high:
        return high
    return max(math.log10(value), low) if value > 0 else low


def scientific(value: float) -> str:
    """A number as people write it: 0.25, 310, 7e-17, 0."""
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 99.5 else f"{value:.0f}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
