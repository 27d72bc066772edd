"""Change a network's ingredients and see what becomes of its gradients."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
from torch import Tensor

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.measure import FlowSetting, Signals
from resnet_edu.widgets.explorer import Comparing, bold

_SHORTCUTS = {"none": False, "+ x": True}


class GradientFlowExplorer(Comparing):
    """Gradient and activation of every layer for one batch (N, 3, H, W) with labels (N,).

    The setting before the present one stays in grey, for comparison.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._batch = images, labels
        self._drawing = draw.GradientFlowDrawing()
        super().__init__(
            {
                "Depth": widgets.SelectionSlider(options=measure.DEPTHS, value=20),
                "Activation": widgets.Dropdown(options=list(measure.ACTIVATIONS)),
                "Initialisation": widgets.Dropdown(
                    options=list(measure.INITIALISATIONS), value="PyTorch default"
                ),
                "Normalisation": widgets.Dropdown(options=measure.NORMALISATIONS, value="none"),
                "Shortcut": widgets.Dropdown(options=list(_SHORTCUTS)),
            },
            width=1100,
        )

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The flow for "Depth", "Activation", "Initialisation", "Normalisation", "Shortcut"."""
        setting = FlowSetting(
            depth=values["Depth"],
            activation=values["Activation"],
            initialisation=values["Initialisation"],
            normalisation=values["Normalisation"],
            shortcut=_SHORTCUTS[values["Shortcut"]],
        )
        record, before = self.now_and_before(setting)
        picture = self._drawing.update(record, before, "residual" if setting.shortcut else "plain")
        return picture, bold(*map(draw.gradient_flow_reading, filter(None, (record, before))))

    def measure(self, setting: FlowSetting) -> Signals:
        """Gradient and activation of every layer, for the explorer's batch."""
        return measure.gradient_flow(setting, *self._batch)
