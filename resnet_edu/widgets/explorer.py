"""What all explorers have in common: controls above, one picture, one sentence that reads it."""

from __future__ import annotations

import base64
import html
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from resnet_edu.draw import Picture


class _Image(widgets.Image):
    """An image that can say in words what it shows: `tooltip` becomes the title of the page's <img>.

    The browser's side looks for a description before it sets a title, and fails where there is none, as
    in ipywidgets' own Image (8.1).
    """

    description = traitlets.Unicode("").tag(sync=True)


class Shown(widgets.VBox):
    """Controls, and below them one picture and one sentence; an error is shown between the two.

    Readers who run nothing see the first picture.
    """

    def __init__(self, controls: widgets.Widget, width: int) -> None:
        self._picture = _Image(
            format="png", layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto")
        )
        self._reading = widgets.HTML()
        self._error = widgets.HTML()
        super().__init__(
            [controls, self._error, self._picture, self._reading],
            layout=widgets.Layout(align_items="flex-start", width="100%"),
        )

    def _show(self, picture: Picture, reading: str) -> None:
        """Show a picture, and below it a sentence (HTML)."""
        with self._picture.hold_sync():  # one message: the page draws the picture once
            self._picture.tooltip = picture.words
            self._picture.value = picture.png
        self._reading.value = f'<div role="status" style="max-width: 900px">{reading}</div>'

    def _show_first(self, picture: Picture, reading: str) -> None:
        self._show(picture, reading)
        self._first = picture

    def _say(self, error: Exception | None) -> None:
        self._error.value = (
            (
                '<div role="alert" style="border-left: 4px solid #D55E00; padding: 4px 10px">'
                f"<b>This setting does not work.</b> {html.escape(str(error))}</div>"
            )
            if error
            else ""
        )

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**options) or {}
        bundle["image/png"] = base64.b64encode(self._first.png).decode()
        bundle["text/plain"] = f"({type(self).__name__}: run the notebook to move it)"
        return bundle, {"image/png": {"alt": self._first.words}}


class Explorer(Shown):
    """Controls and a picture that follows them. A subclass writes `view`.

    `controls` maps a label to a widget with a `value`. An error in `view` is shown to the learner below
    the controls, and the picture before it stays.
    """

    def __init__(self, controls: dict[str, widgets.DOMWidget], width: int) -> None:
        for label, control in controls.items():
            control.description = label
            control.style = {"description_width": "92px"}
            control.layout = widgets.Layout(width="330px")
            control.observe(self._follow, "value")
        self._controls = controls
        row = widgets.Layout(flex_flow="row wrap", width="100%")
        super().__init__(widgets.Box(list(controls.values()), layout=row), width)
        # An error here is the caller's: it is raised.
        self._show_first(*self.view(**self._values()))

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The picture for these values of the controls, by label, and a sentence (HTML) that reads it."""
        raise NotImplementedError

    def _follow(self, _change: object = None) -> None:
        try:
            shown = self.view(**self._values())
        except Exception as error:  # shown here, for in a callback it would show nowhere
            self._say(error)
            return
        self._say(None)
        self._show(*shown)

    def _values(self) -> dict[str, Any]:
        return {label: control.value for label, control in self._controls.items()}

    @contextmanager
    def _unheard(self, control: widgets.DOMWidget) -> Iterator[None]:
        """In the `with` block the picture does not follow this control: one picture for one key press."""
        control.unobserve(self._follow, "value")
        try:
            yield
        finally:
            control.observe(self._follow, "value")


class Comparing(Explorer):
    """An explorer that measures each setting once, and shows the one before in grey, for comparison.

    A subclass writes `measure`, and in `view` it asks `now_and_before`.
    """

    def __init__(self, controls: dict[str, widgets.DOMWidget], width: int) -> None:
        self._measured: dict[Hashable, Any] = {}
        self._now: Hashable = None
        super().__init__(controls, width)

    def measure(self, setting: Hashable) -> Any:
        """The record of a setting."""
        raise NotImplementedError

    def now_and_before(self, setting: Hashable) -> tuple[Any, Any]:
        """The record of a setting, and that of the setting before, or None."""
        before = self._measured.get(self._now)
        if setting not in self._measured:
            with one_thread():
                self._measured[setting] = self.measure(setting)
        self._now = setting
        return self._measured[setting], before


def bold(reading: str, before: str | None = None) -> str:
    """A sentence as HTML, and below it the one of the setting before, if there is one."""
    ghost = f"<br><span>Before: {html.escape(before)}</span>" if before else ""
    return f"<b>{html.escape(reading)}</b>{ghost}"


@contextmanager
def one_thread() -> Iterator[None]:
    """A second thread gains nothing here, and would keep the browser from its core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def require_images(images: Mapping[str, Tensor]) -> None:
    """Raise ValueError where `images` are not one square image (3, side, side) or more, by name."""
    if not images:
        raise ValueError("An explorer needs an image: {'a letter': image}.")
    for name, image in images.items():
        if image.dim() != 3 or image.shape[1] != image.shape[2]:
            raise ValueError(
                f"Image {name!r} has the shape {tuple(image.shape)}, not (3, side, side). "
                "weights.preprocess makes such images."
            )
