"""Change the shortcut of all blocks and see what becomes of the signal and the gradient."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from resnet_edu import draw, measure
from resnet_edu.measure import ShortcutSetting, ShortcutSignal
from resnet_edu.widgets.explorer import Explorer, View, one_thread

_GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)


class ShortcutExplorer(Explorer):
    """Signal and gradient at every block, untrained, for one batch (N, 3, H, W) with labels (N,).

    The setting before the present one stays in grey, for comparison.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._batch = images, labels
        self._measured: dict[ShortcutSetting, ShortcutSignal] = {}
        self._now: ShortcutSetting | None = None
        self._drawing = draw.ShortcutPicture()
        super().__init__(
            {
                "Shortcut": widgets.Dropdown(options=list(measure.SHORTCUTS), value="identity"),
                "Depth": widgets.SelectionSlider(options=measure.DEPTHS, value=56),
                "Gamma at start": widgets.SelectionSlider(options=_GAMMAS, value=0.0),
            },
            width=1100,
        )

    def view(self, **values: Any) -> View:
        """The signals for "Shortcut", "Depth" and "Gamma at start"."""
        setting = ShortcutSetting(values["Shortcut"], values["Depth"], values["Gamma at start"])
        record, before = self._measure(setting), self._measured.get(self._now)
        colour = "plain" if setting.shortcut == "none" else "residual"
        png = self._drawing.update(record, before, colour)
        self._now = setting
        reading = draw.shortcut_reading(record)
        ghost = (
            f"<br><span>Before: {html.escape(draw.shortcut_reading(before))}</span>"
            if before
            else ""
        )
        said = " ".join(ax.get_label() for ax in self._drawing.axes)
        return View(png, f"<b>{html.escape(reading)}</b>{ghost}", f"{said} {reading}")

    def _measure(self, setting: ShortcutSetting) -> ShortcutSignal:
        if setting not in self._measured:
            with one_thread():
                self._measured[setting] = measure.shortcut_signal(setting, *self._batch)
        return self._measured[setting]
