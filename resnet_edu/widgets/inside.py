"""Look into a trained network: what its channels see, and where it finds its evidence."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from torch import Tensor, nn

from resnet_edu import draw, measure
from resnet_edu.widgets.explorer import Explorer, View, one_thread


class FeatureExplorer(Explorer):
    """One channel of one layer: its map of an image, and the images that excite it most.

    `images` maps a name to a square image (3, side, side) as `model` takes it; among `others`
    (N, 3, side, side) it looks for those that excite a channel. The layers are the stem and all blocks.
    What the channels make of all images is measured at the start, so that moving only draws.
    """

    def __init__(self, model: nn.Module, images: Mapping[str, Tensor], others: Tensor) -> None:
        _require_images(images)
        layers = ("relu", *measure.block_names(model))  # the stem ends with relu
        with one_thread():
            self._maps = {
                name: measure.capture(model, layers, image[None]) for name, image in images.items()
            }
            self._excitation = measure.excitation(model, layers, others)
        self._images = {name: image.cpu().numpy() for name, image in images.items()}
        self._others = others.cpu().numpy()
        self._drawing = draw.FeaturePicture()
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

    def view(self, **values: Any) -> View:
        """The picture for "Image", "Layer" and "Channel"; past the last channel, the last counts."""
        name, layer = values["Image"], values["Layer"]
        record, maps = self._excitation[layer], self._maps[name][layer][0]
        channel = min(values["Channel"], len(maps) - 1)
        feature = maps[channel].cpu().numpy()
        png = self._drawing.update(self._images[name], feature, record, channel, self._others)
        reading = (
            f"{'The stem' if layer == 'relu' else layer} has {len(maps)} channels of "
            f"{feature.shape[0]} x {feature.shape[1]} numbers. In this image, channel {channel} is above "
            f"zero at {(feature > 0).mean():.0%} of the places. The rings show where the others excite it."
        )
        said = " ".join(ax.get_label() for ax in self._drawing.axes)
        return View(png, f"<b>{html.escape(reading)}</b>", f"{name}, {layer}. {said} {reading}")

    def _channels(self) -> int:
        return self._excitation[self._layer.value].peaks.shape[1]

    def _follow(self, change: object = None) -> None:
        last = self._channels() - 1
        if self._channel.max != last:
            self._channel.unobserve(self._follow, "value")  # one picture for one key press, not two
            self._channel.max = last
            self._channel.observe(self._follow, "value")
        super()._follow(change)


class AttentionExplorer(Explorer):
    """Where in an image a network finds its evidence for a class: Grad-CAM.

    `images` maps a name to a square image (3, side, side) as `model` takes it; `classes` names the
    classes in the order of the model's logits. For each image the likeliest class stands first.
    """

    def __init__(
        self, model: nn.Module, images: Mapping[str, Tensor], classes: Sequence[str]
    ) -> None:
        _require_images(images)
        self._model, self._images = model, dict(images)
        with one_thread():
            logits = {
                name: measure.capture(model, ["fc"], image[None])["fc"][0]
                for name, image in images.items()
            }
        self._answers = {}
        for name, of_image in logits.items():
            if len(of_image) != len(classes):
                raise ValueError(
                    f"The model has {len(of_image)} classes, and {len(classes)} are named."
                )
            order = of_image.argsort(descending=True).tolist()
            shares = of_image.softmax(0).tolist()
            self._answers[name] = {(classes[i], i): shares[i] for i in order}
        stages = list(dict.fromkeys(name.split(".")[0] for name in measure.block_names(model)))
        self._heats: dict[tuple[str, int, str], Any] = {}
        self._drawing = draw.HeatPicture()
        first = next(iter(images))
        self._image = widgets.Dropdown(options=list(images))
        self._class = widgets.Dropdown(options=list(self._answers[first]))
        super().__init__(
            {
                "Image": self._image,
                "Class": self._class,
                "Layer": widgets.SelectionSlider(options=stages, value=stages[-1]),
            },
            width=960,
        )

    def view(self, **values: Any) -> View:
        """The heat map for "Image", "Class" (its number) and "Layer"."""
        name, number, layer = values["Image"], values["Class"], values["Layer"]
        answers = {named: share for (named, _), share in self._answers[name].items()}
        wanted = next(named for named, i in self._answers[name] if i == number)
        heat = self._heat(name, number, layer)
        title = f"Evidence for {wanted}, at {layer}"
        image = self._images[name].cpu().numpy()
        png = self._drawing.update(image, heat, title, answers)
        found = "Bright is evidence" if heat.any() else "Nothing speaks"
        reading = f"{found} for {wanted}. The network gives it {answers[wanted]:.1%} in this image."
        said = " ".join(ax.get_label() for ax in self._drawing.axes)
        return View(png, f"<b>{html.escape(reading)}</b>", f"{name}. {said} {reading}")

    def _heat(self, name: str, number: int, layer: str) -> Any:
        key = (name, number, layer)
        if key not in self._heats:
            with one_thread():
                heat = measure.grad_cam(self._model, layer, self._images[name], number)
            self._heats[key] = heat.cpu().numpy()
        return self._heats[key]

    def _follow(self, change: object = None) -> None:
        options = tuple(self._answers[self._image.value])
        if self._class.options != options:
            self._class.unobserve(self._follow, "value")  # one picture for one key press, not two
            self._class.options = options  # the first is chosen
            self._class.observe(self._follow, "value")
        super()._follow(change)


def _require_images(images: Mapping[str, Tensor]) -> None:
    if not images:
        raise ValueError("An explorer needs an image: {'a letter': image}.")
    for name, image in images.items():
        if image.dim() != 3 or image.shape[1] != image.shape[2]:
            raise ValueError(
                f"Image {name!r} has the shape {tuple(image.shape)}, not (3, side, side). "
                "weights.preprocess makes such images."
            )
