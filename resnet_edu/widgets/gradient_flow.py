"""Change a network's ingredients and see what becomes of its gradients."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from resnet_edu import draw, measure
from resnet_edu.measure import FlowSetting, Signals
from resnet_edu.widgets.explorer import Explorer, View, one_thread

_SHORTCUTS = {"none": False, "+ x": True}


class GradientFlowExplorer(Explorer):
    """Gradient and activation of every layer for one batch (N, 3, H, W) with labels (N,).

    The setting before the present one stays in grey, for comparison.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self._batch = inputs, targets
        self._measured: dict[FlowSetting, Signals] = {}
        self._now: FlowSetting | None = None
        self._drawing = draw.FlowPicture()
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

    def view(self, **values: Any) -> View:
        """The flow for "Depth", "Activation", "Initialisation", "Normalisation", "Shortcut"."""
        setting = FlowSetting(
            depth=values["Depth"],
            activation=values["Activation"],
            initialisation=values["Initialisation"],
            normalisation=values["Normalisation"],
            shortcut=_SHORTCUTS[values["Shortcut"]],
        )
        record, before = self._measure(setting), self._measured.get(self._now)
        png = self._drawing.update(record, before, "residual" if setting.shortcut else "plain")
        self._now = setting
        reading = draw.flow_reading(record)
        ghost = (
            f"<br><span>Before: {html.escape(draw.flow_reading(before))}</span>" if before else ""
        )
        first, last = record.layers[0], record.layers[-1]
        alt = (
            f"Two curves over {len(record.layers)} layers. Gradient norm: "
            f"{first.gradient_norm:.1e} at the first layer, {last.gradient_norm:.1e} at the last. "
            f"Scale of what flows in: {first.activation_scale:.1e} at the first, "
            f"{last.activation_scale:.1e} at the last. {reading}"
        )
        return View(png, f"<b>{html.escape(reading)}</b>{ghost}", alt)

    def _measure(self, setting: FlowSetting) -> Signals:
        if setting not in self._measured:
            with one_thread():
                self._measured[setting] = measure.gradient_flow(setting, *self._batch)
        return self._measured[setting]
