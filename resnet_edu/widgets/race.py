"""Train two or three networks side by side and watch their training curves grow."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import ipywidgets as widgets
import torch
from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu import draw, training
from resnet_edu.networks import cifar_plain, cifar_resnet
from resnet_edu.training import History, Recipe
from resnet_edu.widgets.background import Trainer

_DEPTHS = (8, 14, 20, 32, 44, 56)
_KINDS = ("plain", "residual", "none")
_START = (("plain", 20), ("plain", 56), ("none", 56))
_PAUSE = 0.25  # seconds between two pictures
_CLASSES = 10
_RECIPE = Recipe()


class DegradationRace(Trainer):
    """Pick networks, press "Start", and watch them train in turns on `data`, one step each.

    `data` holds images (N, 3, H, W) and class numbers (N,) from 0 to 9. "Stop" ends the race after the
    step at hand.

    `lanes` are the three pairs of controls (kind, depth), `histories` what was measured so far, by name.
    """

    thread_name = "race"

    def __init__(self, data: TensorDataset) -> None:
        self._data = data
        self._drawing = draw.DegradationRaceDrawing(len(_START), _RECIPE.steps)
        self.histories: dict[str, History] = {}
        self.lanes = [_lane(kind, depth) for kind, depth in _START]
        lanes = [
            widgets.VBox([widgets.HTML(f"<b>Network {number}</b>"), *lane])
            for number, lane in enumerate(self.lanes, 1)
        ]
        wrap = widgets.Layout(flex_flow="row wrap", width="100%")
        super().__init__(widgets.Box(lanes, layout=wrap), width=990)
        self._show_first(self._drawing.update({}), "Choose two or three networks and press Start.")

    def prepare(self) -> Callable[[], None]:
        """A race of the chosen networks, from their first weights."""
        networks = self._networks()
        self.histories = {name: History(_RECIPE.steps) for name in networks}
        return partial(self._race, networks)

    def _networks(self) -> dict[str, nn.Module]:
        chosen = [(kind.value, depth.value) for kind, depth in self.lanes if kind.value != "none"]
        if len(chosen) < 2 or len(set(chosen)) < len(chosen):
            raise ValueError("Choose two networks or more that differ in kind or depth.")
        networks = {}
        for kind, depth in chosen:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_RECIPE.seed)
                if kind == "plain":
                    networks[f"plain-{depth}"] = cifar_plain(depth, _CLASSES)
                else:
                    networks[f"ResNet-{depth}"] = cifar_resnet(depth, _CLASSES)
        return networks

    def _race(self, networks: dict[str, nn.Module]) -> None:
        histories = self.histories
        runs = {
            name: training.steps(model, self._data, _RECIPE) for name, model in networks.items()
        }
        drawn = 0.0
        try:
            for _ in range(_RECIPE.steps):
                for name, run in runs.items():
                    if self.ended.is_set():
                        return
                    histories[name] = next(run)
                if time.monotonic() - drawn > _PAUSE:
                    self._show(self._drawing.update(histories), _reading(histories))
                    drawn = time.monotonic()
        finally:
            for run in runs.values():
                run.close()
            over = "Finished" if not _least(histories).stopped else "Stopped"
            self._show(self._drawing.update(histories), f"<b>{over}.</b> {_reading(histories)}")


def _lane(kind: str, depth: int) -> tuple[widgets.Dropdown, widgets.Dropdown]:
    layout = widgets.Layout(width="250px")
    style = {"description_width": "56px"}
    return (
        widgets.Dropdown(
            description="Kind", options=_KINDS, value=kind, layout=layout, style=style
        ),
        widgets.Dropdown(
            description="Depth", options=_DEPTHS, value=depth, layout=layout, style=style
        ),
    )


def _least(histories: dict[str, History]) -> History:
    return min(histories.values(), key=lambda history: len(history.losses))


def _reading(histories: dict[str, History]) -> str:
    history = _least(histories)
    now = ", ".join(
        f"{name} {draw.smoothed(h.accuracies)[-1]:.0%}" for name, h in histories.items() if h.losses
    )
    return f"Step {len(history.losses)} of {history.steps}. Training accuracy: {now}."
