"""Change the shortcut of all blocks and see what becomes of the signal and the gradient."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
from torch import Tensor

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.measure import ShortcutSetting, ShortcutSignal
from resnet_edu.widgets.explorer import Comparing, bold

_GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)


class ShortcutExplorer(Comparing):
    """Signal and gradient at every block, untrained, for one batch (N, 3, H, W) with labels (N,).

    The setting before the present one stays in grey, for comparison.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._batch = images, labels
        self._drawing = draw.ShortcutDrawing()
        super().__init__(
            {
                "Shortcut": widgets.Dropdown(options=list(measure.SHORTCUTS), value="identity"),
                "Depth": widgets.SelectionSlider(options=measure.DEPTHS, value=56),
                "Gamma at start": widgets.SelectionSlider(options=_GAMMAS, value=0.0),
            },
            width=1100,
        )

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The signals for "Shortcut", "Depth" and "Gamma at start"."""
        setting = ShortcutSetting(values["Shortcut"], values["Depth"], values["Gamma at start"])
        record, before = self.now_and_before(setting)
        colour = "plain" if setting.shortcut == "none" else "residual"
        picture = self._drawing.update(record, before, colour)
        return picture, bold(*map(draw.shortcut_reading, filter(None, (record, before))))

    def measure(self, setting: ShortcutSetting) -> ShortcutSignal:
        """Scale and gradient at the output of every block, for the explorer's batch."""
        return measure.shortcut_signal(setting, *self._batch)
