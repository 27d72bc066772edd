"""Move a pretrained network to a new task: few labels or many, how deep to freeze, how fast to learn."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import ipywidgets as widgets
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from resnet_edu import draw, training, transfer
from resnet_edu.draw import Picture
from resnet_edu.training import History, Recipe
from resnet_edu.widgets.background import Trainer

STEPS, BATCH_SIZE = 30, 32
MEASURED_EVERY = 10
_LABELS = (1, 2, 5, 10, 20, 50)
_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_NOTHING = "nothing"
_PAUSE = 0.3  # seconds between two pictures
_PART = 64  # images between two looks at whether to stop


@dataclass(frozen=True)
class DialSetting:
    """How a pretrained network is moved. `freeze` is the last frozen stage, or None."""

    labels_per_class: int = 20
    freeze: str | None = "layer3"
    head_rate: float = 0.05
    backbone_rate: float = 0.05

    def __str__(self) -> str:
        labels = f"{self.labels_per_class} label{'s' * (self.labels_per_class > 1)}"
        frozen = f"frozen to {self.freeze}" if self.freeze else "nothing frozen"
        backbone = "" if self.freeze == "layer4" else f", backbone {self.backbone_rate:g}"
        return f"{labels}, {frozen}, head {self.head_rate:g}{backbone}"


class TransferDial(Trainer):
    """Set labels, freezing and rates, press "Start", and watch `model` learn a new task.

    `model` is a trained ResNet with stages layer1 to layer4; it is left as it is, a copy of it gets a new
    head. `labelled` and `held_out` hold images (N, 3, H, W) as `model` takes them, and class numbers (N,)
    from 0. Of each class, the first images of `labelled` are learned from. What frozen stages make of the
    images is computed once for each depth of freezing.

    The first run is made at once, and readers who run nothing see it. `runs` maps what was run so far, in
    words, to the accuracy on the held-out images; the same setting gives the same run.
    """

    def __init__(self, model: nn.Module, labelled: TensorDataset, held_out: TensorDataset) -> None:
        self._model, self._held_out = model, held_out
        self._classes = int(torch.cat([labelled.tensors[1], held_out.tensors[1]]).max()) + 1
        counts = torch.bincount(labelled.tensors[1], minlength=self._classes)
        labels = [n for n in _LABELS if n <= counts.min()]
        if not labels:
            raise ValueError("Each class needs a labelled image.")
        self._labelled = TensorDataset(*labelled[_first_of_each(labelled.tensors[1], labels[-1])])
        self._outputs: dict[str | None, tuple[Tensor, Tensor]] = {
            None: (self._labelled.tensors[0], held_out.tensors[0])
        }
        self._drawing = draw.TransferDialDrawing([f"{c}" for c in range(self._classes)], STEPS)
        self._forget()
        self.runs: dict[str, float] = {}
        first = DialSetting(labels_per_class=min(20, labels[-1]))
        depths = (_NOTHING, *transfer.stages(model))
        self.controls = {
            "Labels per class": widgets.SelectionSlider(
                options=labels, value=first.labels_per_class
            ),
            "Freeze up to": widgets.Dropdown(options=depths, value=first.freeze),
            "Head rate": widgets.SelectionSlider(options=_RATES, value=first.head_rate),
            "Backbone rate": widgets.SelectionSlider(options=_RATES, value=first.backbone_rate),
        }
        for label, control in self.controls.items():
            control.description = label
            control.style = {"description_width": "112px"}
            control.layout = widgets.Layout(width="400px")
        row = widgets.Layout(flex_flow="row wrap", width="100%")
        super().__init__(widgets.Box(list(self.controls.values()), layout=row), width=1000)
        self.prepare()()
        self._show_first(*self._view("<b>The first run.</b>"))

    @property
    def setting(self) -> DialSetting:
        """What the controls say."""
        labels, freeze, head, backbone = (control.value for control in self.controls.values())
        return DialSetting(labels, None if freeze == _NOTHING else freeze, head, backbone)

    def prepare(self) -> Callable[[], None]:
        """A run with these settings, from the pretrained weights."""
        self._forget()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = copy.deepcopy(self._model)
            transfer.replace_head(model, self._classes)
        return partial(self._tune, model, self.setting)

    def _forget(self) -> None:
        self._history = History(STEPS)
        self._confusion = torch.zeros(self._classes, self._classes, dtype=torch.long).numpy()

    def _tune(self, model: nn.Module, setting: DialSetting) -> None:
        frozen, rest = transfer.split(model, setting.freeze)
        self._show(*self._view(f"What the frozen stages make of the images ({setting}) ..."))
        if setting.freeze not in self._outputs:
            computed = [
                self._compute(frozen, d.tensors[0]) for d in (self._labelled, self._held_out)
            ]
            if self.ended.is_set():
                self._show(*self._view("<b>Stopped.</b>"))
                return
            self._outputs[setting.freeze] = tuple(computed)
        known, unknown = self._outputs[setting.freeze]
        labels = self._labelled.tensors[1]
        chosen = _first_of_each(labels, setting.labels_per_class)
        run = training.steps(
            rest, TensorDataset(known[chosen], labels[chosen]), _recipe(setting, rest)
        )
        try:
            self._train(run, rest, unknown, setting)
        finally:
            run.close()
            over = "Stopped" if self._history.stopped else "Finished"
            self._show(*self._view(f"<b>{over}.</b>"))

    def _train(
        self, run: Iterator[History], rest: nn.Module, unknown: Tensor, setting: DialSetting
    ) -> None:
        drawn, validation = 0.0, {}
        for history in run:
            self._history = replace(history, validation=dict(validation))
            step = len(history.losses)
            if step % MEASURED_EVERY == 0:
                logits = self._compute(rest, unknown)
                if len(logits) == len(unknown):
                    self._note(logits, setting)
                    validation[step] = self.runs[str(setting)]
                    self._history = replace(history, validation=dict(validation))
            if self.ended.is_set():
                return
            if time.monotonic() - drawn > _PAUSE:
                self._show(*self._view(""))
                drawn = time.monotonic()

    def _compute(self, network: nn.Module, images: Tensor) -> Tensor:
        """The outputs of `network`; of the first images only, where it is to stop meanwhile."""
        parts = []
        for part in images.split(_PART):
            parts.append(transfer.compute(network, part))
            if self.ended.is_set():
                break
        return torch.cat(parts)

    def _note(self, logits: Tensor, setting: DialSetting) -> None:
        labels, taken_for = self._held_out.tensors[1], logits.argmax(1)
        counts = torch.bincount(labels * self._classes + taken_for, minlength=self._classes**2)
        self._confusion = counts.view(self._classes, self._classes).numpy()
        self.runs.pop(str(setting), None)  # a run that is made again moves to the end
        self.runs[str(setting)] = float((taken_for == labels).float().mean())

    def _view(self, said: str) -> tuple[Picture, str]:
        picture = self._drawing.update(self._history, self._confusion, list(self.runs.items()))
        return picture, f"{said} {_reading(self._history)}"


def _recipe(setting: DialSetting, rest: nn.Module) -> Recipe:
    parts = {name for name, _ in rest.named_children() if name.startswith("layer")}
    if setting.freeze is None:
        parts.add("stem")
    factor = setting.backbone_rate / setting.head_rate
    return Recipe(
        steps=STEPS,
        batch_size=BATCH_SIZE,
        learning_rate=setting.head_rate,
        rates=dict.fromkeys(parts, factor),
    )


def _first_of_each(labels: Tensor, count: int) -> Tensor:
    """The numbers of the first `count` images of each class."""
    return torch.cat([(labels == c).nonzero()[:count, 0] for c in range(int(labels.max()) + 1)])


def _reading(history: History) -> str:
    if not history.losses:
        return ""
    said = f"Step {len(history.losses)} of {history.steps}."
    said += f" Images trained on: {draw.smoothed(history.accuracies)[-1]:.0%}."
    if history.validation:
        said += f" Held-out images: {history.validation_accuracy:.1%}."
    return said
