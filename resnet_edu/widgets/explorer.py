"""What all explorers have in common: controls above, one picture, one sentence that reads it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import torch
import traitlets


@dataclass(frozen=True)
class View:
    """What an explorer shows for one position of its controls.

    `png` is the picture, `reading` the sentence below it (HTML), `alt` the picture in words.
    """

    png: bytes
    reading: str
    alt: str


class _Picture(widgets.Image):
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
        self._picture = _Picture(
            format="png", layout=widgets.Layout(width=f"{width}px", max_width="100%", height="auto")
        )
        self._reading = widgets.HTML()
        self._error = widgets.HTML()
        super().__init__(
            [controls, self._error, self._picture, self._reading],
            layout=widgets.Layout(align_items="flex-start", width="100%"),
        )

    def _show(self, view: View) -> None:
        with self._picture.hold_sync():  # one message: the page draws the picture once
            self._picture.tooltip = view.alt
            self._picture.value = view.png
        self._reading.value = f'<div role="status" style="max-width: 900px">{view.reading}</div>'

    def _show_first(self, view: View) -> None:
        self._show(view)
        self._first = view

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
        return bundle, {"image/png": {"alt": self._first.alt}}


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
        self._show_first(self.view(**self._values()))  # an error here is the caller's: it is raised

    def view(self, **values: Any) -> View:
        """Measure and draw for these values of the controls, by label."""
        raise NotImplementedError

    def _follow(self, _change: object = None) -> None:
        try:
            view = self.view(**self._values())
        except Exception as error:  # shown here, for in a callback it would show nowhere
            self._say(error)
            return
        self._say(None)
        self._show(view)

    def _values(self) -> dict[str, Any]:
        return {label: control.value for label, control in self._controls.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """A second thread gains nothing here, and would keep the browser from its core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
