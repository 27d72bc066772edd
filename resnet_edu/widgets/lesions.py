"""Remove one block of a trained network and see which digits it now misreads."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from torch import Tensor, nn

from resnet_edu import draw, measure
from resnet_edu.networks import is_residual
from resnet_edu.widgets.explorer import Explorer, View
from resnet_edu.widgets.lesson import progress

_NONE = "none"


class LesionExplorer(Explorer):
    """Accuracy without each block, and the digits that are then misread.

    `models` maps a name to a trained network, `images` are (N, 3, H, W) with values in 0..1, `labels`
    (N,). All removals are measured at the start, under a progress bar, so that moving only draws.
    """

    def __init__(self, models: Mapping[str, nn.Module], images: Tensor, labels: Tensor) -> None:
        if not models:
            raise ValueError("LesionExplorer needs a trained network: {'ResNet-56': model}")
        pairs = progress(models.items(), len(models), "removing blocks")
        self._records = {name: measure.lesions(model, images, labels) for name, model in pairs}
        self._colours = {name: _colour(model) for name, model in models.items()}
        self._pictures = images.mean(1).cpu().numpy()
        most = max(len(record.blocks) for record in self._records.values())
        self._drawing = draw.LesionPicture(most, self._pictures.shape[1:])
        first = next(iter(self._records.values()))
        self._network = widgets.Dropdown(options=list(models))
        self._block = widgets.SelectionSlider(options=[_NONE, *first.removed])
        super().__init__({"Network": self._network, "Block to remove": self._block}, width=1100)

    def view(self, **values: Any) -> View:
        """The picture for "Network" and "Block to remove"; a block the network lacks counts as none."""
        record = self._records[values["Network"]]
        chosen = values["Block to remove"]
        removed = chosen if chosen in record.removed else None
        png = self._drawing.update(
            record, removed, self._pictures, self._colours[values["Network"]]
        )
        reading = draw.lesion_reading(record, removed)
        said = " ".join(ax.get_label() for ax in self._drawing.axes)
        return View(png, f"<b>{html.escape(reading)}</b>", f"{said} {reading}")

    def _follow(self, change: object = None) -> None:
        options = (_NONE, *self._records[self._network.value].removed)
        if self._block.options != options:
            kept = self._block.value if self._block.value in options else _NONE
            self._block.unobserve(self._follow, "value")  # one picture for one key press, not two
            self._block.options = options
            self._block.value = kept
            self._block.observe(self._follow, "value")
        super()._follow(change)


def _colour(model: nn.Module) -> str:
    return "residual" if any(is_residual(module) for module in model.modules()) else "plain"
