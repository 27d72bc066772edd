"""Walk through a ResNet, from 18 to 152 layers: what each block does and what it costs."""

from __future__ import annotations

from itertools import product
from typing import Any

import ipywidgets as widgets

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.widgets.explorer import Explorer, bold

_IMAGE_SIZES = (32, 64, 128, 224, 320, 448)


class ArchitectureExplorer(Explorer):
    """The network as a whole, one place of it seen from near, and the code that builds this place.

    All networks are measured at the start, so that moving only draws.
    """

    def __init__(self) -> None:
        for depth, size in product(measure.RESNETS, _IMAGE_SIZES):
            measure.architecture(depth, size)  # it remembers what it has measured
        self._drawing = draw.ArchitectureDrawing()
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

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The picture for "Network", "Image size", "Stage" and, where the stage has blocks, "Block"."""
        record = measure.architecture(values["Network"], values["Image size"])
        stage = record.stage(values["Stage"])
        place = stage[min(values["Block"], len(stage)) - 1]
        return self._drawing.update(record, place), bold(draw.architecture_reading(place))

    def _follow(self, change: object = None) -> None:
        record = measure.architecture(self._network.value)
        blocks = record.blocks[self._stage.value]
        self._block.disabled = not blocks  # the stem and the head have none
        options = tuple(range(1, blocks + 1)) or self._block.options
        if self._block.options != options:
            kept = min(self._block.value, blocks)
            with self._unheard(self._block):
                self._block.options = options
                self._block.value = kept
        super()._follow(change)
