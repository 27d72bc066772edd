"""Remove one block of a trained network and see which digits it now misreads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from torch import Tensor, nn

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.networks import is_residual
from resnet_edu.widgets.explorer import Explorer, bold
from resnet_edu.widgets.lesson import progress

_NONE = "none"


class LesionsExplorer(Explorer):
    """Accuracy without each block, and the digits that are then misread.

    `models` maps a name to a trained network, `images` are (N, 3, H, W) with values in 0..1, `labels`
    (N,). All removals are measured at the start, under a progress bar, so that moving only draws.
    """

    def __init__(self, models: Mapping[str, nn.Module], images: Tensor, labels: Tensor) -> None:
        if not models:
            raise ValueError("LesionsExplorer needs a trained network: {'ResNet-56': model}")
        pairs = progress(models.items(), len(models), "removing blocks")
        self._records = {name: measure.lesions(model, images, labels) for name, model in pairs}
        self._colours = {name: _colour(model) for name, model in models.items()}
        self._images = images.mean(1).cpu().numpy()
        most = max(len(record.blocks) for record in self._records.values())
        self._drawing = draw.LesionsDrawing(most, self._images.shape[1:])
        first = next(iter(self._records.values()))
        self._network = widgets.Dropdown(options=list(models))
        self._block = widgets.SelectionSlider(options=[_NONE, *first.removed])
        super().__init__({"Network": self._network, "Block to remove": self._block}, width=1100)

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The picture for "Network" and "Block to remove"; a block the network lacks counts as none."""
        record = self._records[values["Network"]]
        chosen = values["Block to remove"]
        removed = chosen if chosen in record.removed else None
        colour = self._colours[values["Network"]]
        picture = self._drawing.update(record, removed, self._images, colour)
        return picture, bold(draw.lesions_reading(record, removed))

    def _follow(self, change: object = None) -> None:
        options = (_NONE, *self._records[self._network.value].removed)
        if self._block.options != options:
            kept = self._block.value if self._block.value in options else _NONE
            with self._unheard(self._block):
                self._block.options = options
                self._block.value = kept
        super()._follow(change)


def _colour(model: nn.Module) -> str:
    return "residual" if any(is_residual(module) for module in model.modules()) else "plain"
