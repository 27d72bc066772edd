"""Signal and gradient at every block, for one kind of shortcut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_edu.draw.before import BeforeAndNow
from resnet_edu.draw.style import Picture, scientific

if TYPE_CHECKING:
    from resnet_edu.measure import ShortcutSignal

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


class ShortcutDrawing:
    """Scale and gradient of the blocks' outputs, kept so that an explorer can redraw them quickly."""

    def __init__(self) -> None:
        panels = {
            "Forward: scale of each block's output": _RANGE,
            "Backward: gradient at each block's output": _RANGE,
        }
        self._kept = BeforeAndNow(panels, "block", _LAST_BLOCK, "upper right")

    def update(
        self, record: ShortcutSignal, before: ShortcutSignal | None = None, colour: str = "residual"
    ) -> Picture:
        """Draw `record`, and `before` in grey behind it."""
        now, then = (r and _scales_and_gradients(r) for r in (record, before))
        said = [
            f"{what} at the output of each of {len(values)} blocks: {scientific(values[0])} at the "
            f"first, {scientific(values[-1])} at the last."
            for what, values in zip(("Scale", "Gradient norm"), now, strict=True)
        ]
        words = " ".join([*said, shortcut_reading(record)])
        return Picture(self._kept.axes, words, self._kept.png(now, then, colour))


def _scales_and_gradients(record: ShortcutSignal) -> tuple[list[float], list[float]]:
    return [b.scale for b in record.blocks], [b.gradient_norm for b in record.blocks]


def _times(value: float, of: float) -> str:
    return f"{scientific(value / of)} times" if of else "many times"
