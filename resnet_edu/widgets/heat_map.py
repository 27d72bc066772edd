"""Look into a trained network: where in an image it finds its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from torch import Tensor, nn

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.widgets.explorer import Explorer, bold, one_thread, require_images


class HeatMapExplorer(Explorer):
    """Where in an image a network finds its evidence for a class: Grad-CAM.

    `images` maps a name to a square image (3, side, side) as `model` takes it; `classes` names the
    classes in the order of the model's logits. For each image the likeliest class stands first.
    """

    def __init__(
        self, model: nn.Module, images: Mapping[str, Tensor], classes: Sequence[str]
    ) -> None:
        require_images(images)
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
        self._drawing = draw.HeatMapDrawing()
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

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The heat map for "Image", "Class" (its number) and "Layer"."""
        name, number, layer = values["Image"], values["Class"], values["Layer"]
        answers = {named: share for (named, _), share in self._answers[name].items()}
        wanted = next(named for named, i in self._answers[name] if i == number)
        heat = self._heat(name, number, layer)
        title = f"Evidence for {wanted}, at {layer}"
        image = self._images[name].cpu().numpy()
        picture = self._drawing.update(image, heat, title, answers)
        found = "Bright is evidence" if heat.any() else "Nothing speaks"
        reading = f"{found} for {wanted}. The network gives it {answers[wanted]:.1%} in this image."
        return replace(picture, words=f"{name}. {picture.words} {reading}"), bold(reading)

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
            with self._unheard(self._class):
                self._class.options = options  # the first is chosen
        super()._follow(change)
