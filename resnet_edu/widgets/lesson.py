"""The small widgets of a lesson: a prediction, a question, a progress bar."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ipywidgets as widgets
from IPython.display import display

from resnet_edu import draw

T = TypeVar("T")


class _StaticText:
    """Shows `static` (HTML) to readers who run nothing, where the widget itself cannot show."""

    static: str

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**options) or {}  # type: ignore[misc]
        bundle["text/html"] = self.static
        bundle["text/plain"] = f"({type(self).__name__}: run the notebook to answer)"
        return bundle


class Prediction(_StaticText, widgets.VBox):
    """A slider for each number to predict, before it is measured.

    `names` are what stands beside the sliders, or map a key to it. `values` maps each name, or key, to
    the number, or to None as long as its slider was not moved. With `log`, `low` and `high` are powers of
    ten. Between whole numbers `low` and `high`, the sliders move by whole numbers.
    """

    def __init__(
        self,
        question: str,
        names: Sequence[str] | Mapping[Any, str],
        low: float,
        high: float,
        *,
        log: bool = False,
    ) -> None:
        labels = names if isinstance(names, Mapping) else {name: name for name in names}
        self.values: dict[Any, float | None] = dict.fromkeys(labels)
        rows = [self._row(key, label, low, high, log) for key, label in labels.items()]
        self.static = f"<p><b>Predict.</b> {html.escape(question)}</p>"
        super().__init__([widgets.HTML(self.static), *rows])

    def _row(self, key: Any, label: str, low: float, high: float, log: bool) -> widgets.Box:
        layout = widgets.Layout(width="480px", max_width="100%")
        options = {
            "description": label,
            "readout": False,
            "layout": layout,
            "style": {"description_width": "200px"},
        }
        if log:
            slider = widgets.FloatLogSlider(value=10**low, min=low, max=high, step=0.5, **options)
        elif isinstance(low, int) and isinstance(high, int):
            slider = widgets.IntSlider(value=low, min=low, max=high, **options)
        else:
            slider = widgets.FloatSlider(
                value=low, min=low, max=high, step=(high - low) / 100, **options
            )
        said = widgets.HTML("not predicted yet")

        def note(change: dict[str, Any]) -> None:
            self.values[key] = change["new"]
            said.value = draw.scientific(change["new"])

        slider.observe(note, "value")
        return widgets.Box([slider, said], layout=widgets.Layout(flex_flow="row wrap"))


class Question(_StaticText, widgets.VBox):
    """A question with a few answers; choosing one says at once whether it is right, and why.

    `answers` maps each answer to what is said about it; `right` is the right one.
    """

    def __init__(self, question: str, answers: Mapping[str, str], right: str) -> None:
        if right not in answers:
            raise ValueError(
                f"The right answer {right!r} is not among the answers {list(answers)}."
            )
        self._answers, self._right = dict(answers), right
        listed = "".join(f"<li>{html.escape(answer)}</li>" for answer in answers)
        self.static = f"<p><b>{html.escape(question)}</b></p><ul>{listed}</ul>"
        self._feedback = widgets.HTML()
        # Toggle buttons, for JupyterLab keeps the arrow keys that radio buttons need to itself.
        options = widgets.ToggleButtons(
            options=list(answers), value=None, style={"button_width": "max-content"}
        )
        options.observe(self._judge, "value")
        super().__init__([widgets.HTML(f"<b>{html.escape(question)}</b>"), options, self._feedback])

    def _judge(self, change: dict[str, Any]) -> None:
        answer = change["new"]
        right = answer == self._right
        word, colour = ("✓ Right.", "#0072B2") if right else ("✗ Not quite.", "#D55E00")
        self._feedback.value = (
            f'<div role="status" style="border-left: 4px solid {colour}; padding: 4px 10px; '
            f'max-width: 800px"><b>{word}</b> {html.escape(self._answers[answer])}</div>'
        )


class _Bar(widgets.IntProgress):
    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        return (super()._repr_mimebundle_(**options) or {}) | {"text/plain": self.description}


def progress(steps: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Go through `steps` with a progress bar; `label` says what is being done."""
    bar = _Bar(0, 0, total, description=label, style={"description_width": "initial"})
    bar.layout = widgets.Layout(width="480px", max_width="95%")
    display(bar)
    for step in steps:
        yield step
        bar.value += 1
