"""Walk through a ResNet, from 18 to 152 layers: what each block does and what it costs."""

from __future__ import annotations

import html
from itertools import product
from typing import Any

import ipywidgets as widgets

from resnet_edu import draw, measure
from resnet_edu.widgets.explorer import Explorer, View

_IMAGE_SIZES = (32, 64, 128, 224, 320, 448)


class ArchitectureExplorer(Explorer):
    """The network as a whole, one place of it seen from near, and the code that builds this place.

    All networks are measured at the start, so that moving only draws.
    """

    def __init__(self) -> None:
        for depth, size in product(measure.RESNETS, _IMAGE_SIZES):
            measure.architecture(depth, size)  # it remembers what it has measured
        self._drawing = draw.ArchitecturePicture()
        self._network = widgets.SelectionSlider(options=tuple(measure.RESNETS), value=50)
        self._stage = widgets.SelectionSlider(options=measure.STAGES, value="conv3_x")
        self._block = widgets.SelectionSlider(options=(1, 2, 3, 4))
        super().__init__(
            {
                "Network": self._network,
                "Image size": widgets.SelectionSlider(options=_IMAGE_SIZES, value=224),
                "Stage": self._stage,
                "Block": self._block,
            },
            width=820,
        )

    def view(self, **values: Any) -> View:
        """The picture for "Network", "Image size", "Stage" and, where the stage has blocks, "Block"."""
        record = measure.architecture(values["Network"], values["Image size"])
        stage = record.stage(values["Stage"])
        place = stage[min(values["Block"], len(stage)) - 1]
        png = self._drawing.update(record, place)
        reading = draw.architecture_reading(place)
        alt = f"{reading} {self._drawing.axes.get_label()}"
        return View(png, f"<b>{html.escape(reading)}</b>", alt)

    def _follow(self, change: object = None) -> None:
        record = measure.architecture(self._network.value)
        blocks = record.blocks[self._stage.value]
        self._block.disabled = not blocks  # the stem and the head have none
        options = tuple(range(1, blocks + 1)) or self._block.options
        if self._block.options != options:
            kept = min(self._block.value, blocks)
            self._block.unobserve(self._follow, "value")  # one picture for one key press, not two
            self._block.options = options
            self._block.value = kept
            self._block.observe(self._follow, "value")
        super()._follow(change)
