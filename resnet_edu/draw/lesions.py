"""What a network answers with one of its blocks removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, KeptFigure, Picture

if TYPE_CHECKING:
    from resnet_edu.measure import Lesions

_SHOWN = 10
_PALE = 0.35


def lesions_reading(record: Lesions, removed: str | None = None) -> str:
    """One sentence on what the removal of block `removed` does to the accuracy."""
    whole = f"{record.intact_accuracy:.1%}"
    if removed is None:
        worst = min(record.accuracies, key=record.accuracies.__getitem__, default=None)
        if worst is None:
            return f"The whole network reads {whole} rightly; none of its blocks can be removed."
        return (
            f"The whole network reads {whole} rightly. The block it misses most is {worst}: "
            f"{record.accuracies[worst]:.1%} without it."
        )
    now, missed = record.accuracies[removed], len(record.misread(removed))
    digits = f"{missed} digit{'' if missed == 1 else 's'} that it read before "
    digits += "is now misread" if missed == 1 else "are now misread"
    return f"Without {removed} it reads {now:.1%} rightly (whole: {whole}); {digits}."


class LesionsDrawing:
    """A bar for each removed block and the digits now misread, kept so that it redraws quickly.

    `most_blocks` is the largest number of blocks that it will be asked to show; `size` the height and
    width of the images in pixels.
    """

    def __init__(self, most_blocks: int, size: tuple[int, int]) -> None:
        figure = style.blank(10, 3.6)
        bars = figure.add_axes((0.065, 0.15, 0.5, 0.68))
        bars.spines[["top", "right"]].set_visible(False)
        bars.set_title(
            "Accuracy with one block removed", loc="left", fontsize=11, fontweight="bold", pad=22
        )
        bars.set_xlabel("the removed block (1 is next to the image)")
        bars.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars.set_xlim(0.2, most_blocks + 0.8)
        bars.set_ylim(0, 1.08)
        bars.yaxis.set_major_formatter(PercentFormatter(1))
        self._bars = LineCollection([], linewidths=0.6 * 5 * 72 / most_blocks, capstyle="butt")
        bars.add_collection(self._bars)
        self._whole = bars.plot([], [], "--", color=COLOURS["neutral"], linewidth=1.2)[0]
        self._fixed = bars.plot([], [], "x", color=COLOURS["neutral"], markersize=6)[0]
        bars.legend(
            [self._whole, self._fixed],
            ["whole network", "changes the shape: cannot be removed"],
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.98),
            ncols=2,
            frameon=False,
            fontsize=9,
        )
        self._number = bars.text(0, 0, "", ha="center", va="bottom", fontweight="bold")
        heading = figure.add_axes((0.61, 0.86, 0.38, 0.1))
        heading.axis("off")
        self._says = heading.text(0, 0.4, "", fontsize=11, fontweight="bold", va="center")
        places = [(0.61 + 0.077 * (i % 5), 0.54 - 0.38 * (i // 5)) for i in range(_SHOWN)]
        small = [figure.add_axes((x, y, 0.072, 0.24)) for x, y in places]
        for ax in small:
            ax.axis("off")
        self._images = [ax.imshow(np.zeros(size), cmap="gray", vmin=0, vmax=1) for ax in small]
        self._captions = [
            ax.text(0.5, 1.06, "", ha="center", va="bottom", fontsize=8, transform=ax.transAxes)
            for ax in small
        ]
        self._axes = bars, heading
        moving = [self._bars, self._whole, self._fixed, self._number, self._says]
        self._kept = KeptFigure(figure, [*moving, *self._images, *self._captions])

    def update(
        self,
        record: Lesions,
        removed: str | None,
        images: Sequence[np.ndarray],
        colour: str = "residual",
    ) -> Picture:
        """Draw `record` with block `removed` chosen; `images` are all its images, (H, W) in 0..1."""
        said = (
            self._draw_bars(record, removed, colour),
            self._draw_digits(record, removed, images),
            lesions_reading(record, removed),
        )
        return Picture(self._axes, " ".join(said), self._kept.png())

    def _draw_bars(self, record: Lesions, removed: str | None, colour: str) -> str:
        place = {name: i for i, name in enumerate(record.blocks, 1)}
        found = record.accuracies
        self._bars.set_segments([[(place[n], 0), (place[n], a)] for n, a in found.items()])
        strong = [removed in (None, name) for name in found]
        self._bars.set_color([to_rgba(COLOURS[colour], 1 if s else _PALE) for s in strong])
        fixed = [place[name] for name in record.blocks if name not in found]
        self._fixed.set_data(fixed, [0.04] * len(fixed))
        whole = record.intact_accuracy
        self._whole.set_data((0.4, len(place) + 0.6), (whole, whole))
        self._number.set_text("" if removed is None else f"{found[removed]:.0%}")
        if removed is not None:
            self._number.set_position((place[removed], found[removed] + 0.01))
        said = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in found.items())
        return f"Accuracy of the whole network {whole:.1%}; with one block removed: {said}."

    def _draw_digits(
        self, record: Lesions, removed: str | None, images: Sequence[np.ndarray]
    ) -> str:
        places = record.misread(removed)
        answers = record.intact if removed is None else record.removed[removed]
        captions = [f"{record.labels[i]} read as {answers[i]}" for i in places[:_SHOWN]]
        for image, caption in zip(self._images, self._captions, strict=True):
            image.set_alpha(0)
            caption.set_text("")
        shown = zip(self._images, self._captions, places, captions, strict=False)
        for image, caption, i, text in shown:
            image.set_data(images[i])
            image.set_alpha(1)
            caption.set_text(text)
        kind = "Misread by the whole" if removed is None else f"Now misread without {removed}"
        count = f": {len(places)}" + (f" ({_SHOWN} shown)" if len(places) > _SHOWN else "")
        self._says.set_text(kind + count)
        digits = f" ({'; '.join(captions)})" if captions else ""
        return f"{kind}{count}{digits}."
