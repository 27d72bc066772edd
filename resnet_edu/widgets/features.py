"""Look into a trained network: what its channels see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from torch import Tensor, nn

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.widgets.explorer import Explorer, bold, one_thread, require_images


class FeatureExplorer(Explorer):
    """One channel of one layer: its map of an image, and the images that excite it most.

    `images` maps a name to a square image (3, side, side) as `model` takes it; among `others`
    (N, 3, side, side) it looks for those that excite a channel. The layers are the stem and all blocks.
    What the channels make of all images is measured at the start, so that moving only draws.
    """

    def __init__(self, model: nn.Module, images: Mapping[str, Tensor], others: Tensor) -> None:
        require_images(images)
        layers = ("relu", *measure.block_names(model))  # the stem ends with relu
        with one_thread():
            self._maps = {
                name: measure.capture(model, layers, image[None]) for name, image in images.items()
            }
            self._excitation = measure.excitation(model, layers, others)
        self._images = {name: image.cpu().numpy() for name, image in images.items()}
        self._others = others.cpu().numpy()
        self._drawing = draw.FeatureDrawing()
        names = [("stem", "relu"), *((name, name) for name in layers[1:])]
        self._layer = widgets.SelectionSlider(options=names, value=layers[1])
        self._channel = widgets.IntSlider(0, min=0, max=self._channels() - 1)
        super().__init__(
            {
                "Image": widgets.Dropdown(options=list(images)),
                "Layer": self._layer,
                "Channel": self._channel,
            },
            width=1000,
        )

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The picture for "Image", "Layer" and "Channel"; past the last channel, the last counts."""
        name, layer = values["Image"], values["Layer"]
        record, maps = self._excitation[layer], self._maps[name][layer][0]
        channel = min(values["Channel"], len(maps) - 1)
        feature = maps[channel].cpu().numpy()
        picture = self._drawing.update(self._images[name], feature, record, channel, self._others)
        reading = (
            f"{'The stem' if layer == 'relu' else layer} has {len(maps)} channels of "
            f"{feature.shape[0]} x {feature.shape[1]} numbers. In this image, channel {channel} is above "
            f"zero at {(feature > 0).mean():.0%} of the places. The rings show where the others excite it."
        )
        words = f"{name}, {layer}. {picture.words} {reading}"
        return replace(picture, words=words), bold(reading)

    def _channels(self) -> int:
        return self._excitation[self._layer.value].peaks.shape[1]

    def _follow(self, change: object = None) -> None:
        last = self._channels() - 1
        if self._channel.max != last:
            with self._unheard(self._channel):
                self._channel.max = last
        super()._follow(change)
