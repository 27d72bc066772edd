"""Signal and gradient at every block, for one kind of shortcut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from resnet_edu.draw import style
from resnet_edu.draw.style import (
    COLOURS,
    KeptFigure,
    axes,
    log_axis,
    log_power,
    marked_line,
    scientific,
)

if TYPE_CHECKING:
    from resnet_edu.measure import BlockSignal, ShortcutSignal

_RANGE = (-12, 6)  # powers of ten, always the same, so that two pictures can be compared
_LAST_BLOCK = 27


def shortcut_reading(record: ShortcutSignal) -> str:
    """One sentence on whether the signal and the gradient get through."""
    first, last = record.blocks[0], record.blocks[-1]
    numbers = (
        f"of the signal, the last block has {_times(last.scale, first.scale)} the first one's; "
        f"of the gradient, the first has {_times(first.gradient_norm, last.gradient_norm)} "
        "the last one's"
    )
    if last.scale == 0:
        return (
            "Nothing gets through: each block puts out zero, for it has no shortcut and its branch "
            "is switched off. The loss is that of guessing."
        )
    forward, back = last.scale / first.scale, first.gradient_norm / last.gradient_norm
    if forward < 1e-2 or back < 1e-2:
        return f"The path fades: {numbers}."
    if back > 100 or forward > 100:
        return f"The path explodes: {numbers}."
    return f"The path is open: {numbers}."


class ShortcutPicture:
    """Scale and gradient of the blocks' outputs, kept so that an explorer can redraw them quickly."""

    def __init__(self) -> None:
        self.axes = axes(2, width=5.0, height=3.3)
        forward, backward = self.axes
        _frame(forward, "Forward: scale of each block's output")
        _frame(backward, "Backward: gradient at each block's output")
        self._ghosts = [marked_line(ax, "ghost") for ax in self.axes]
        self._lines = [marked_line(ax, "residual") for ax in self.axes]
        forward.legend([self._ghosts[0]], ["the setting before"], loc="upper right", frameon=False)
        self._kept = KeptFigure(forward.figure, self._ghosts + self._lines)

    def update(
        self, record: ShortcutSignal, before: ShortcutSignal | None = None, colour: str = "residual"
    ) -> bytes:
        """Draw `record`, and `before` in grey behind it; give the picture as a PNG file."""
        for lines, source in ((self._lines, record), (self._ghosts, before)):
            for line, of in zip(lines, (_scale, _gradient), strict=True):
                values = [log_power(of(block), _RANGE) for block in source.blocks] if source else []
                line.set_data(range(1, len(values) + 1), values)
        for line in self._lines:
            line.set_color(COLOURS[colour])
        for ax, of, what in zip(
            self.axes, (_scale, _gradient), ("Scale", "Gradient norm"), strict=True
        ):
            ends = [scientific(of(block)) for block in (record.blocks[0], record.blocks[-1])]
            ax.set_label(
                f"{what} at the output of each of {len(record.blocks)} blocks: {ends[0]} at the first, "
                f"{ends[1]} at the last."
            )
        return self._kept.png()


def _scale(block: BlockSignal) -> float:
    return block.scale


def _gradient(block: BlockSignal) -> float:
    return block.gradient_norm


def _times(value: float, of: float) -> str:
    return f"{scientific(value / of)} times" if of else "many times"


def _frame(ax: Axes, title: str) -> None:
    style.title(ax, title)
    ax.set_xlabel("block (1 is next to the image)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(0, _LAST_BLOCK + 1)
    log_axis(ax, _RANGE)
