"""Train two or three networks side by side and watch their training curves grow."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

import ipywidgets as widgets
import torch
from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu import draw, training
from resnet_edu.networks import cifar_plain, cifar_resnet
from resnet_edu.training import History, Recipe
from resnet_edu.widgets.explorer import Shown, View

_DEPTHS = (8, 14, 20, 32, 44, 56)
_KINDS = ("plain", "residual", "none")
_START = (("plain", 20), ("plain", 56), ("none", 56))
_PAUSE = 0.25  # seconds between two pictures
_CLASSES = 10
_RECIPE = Recipe()


class DegradationRace(Shown):
    """Pick networks, press "Start", and watch them train in turns on `data`, one step each.

    `data` holds images (N, 3, H, W) and class numbers (N,) from 0 to 9. The training runs in a thread of
    its own, so that the page stays alive; "Stop" ends it after the step at hand, `close` does so too.
    Only one race runs at a time: starting or making another one stops it.

    `lanes` are the three pairs of controls (kind, depth), `histories` what was measured so far, by name.
    """

    _running: ClassVar[DegradationRace | None] = None

    def __init__(self, data: TensorDataset) -> None:
        _stop_running()
        self._data = data
        self._drawing = draw.RacePicture(len(_START), _RECIPE.steps)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.histories: dict[str, History] = {}
        self.lanes = [_lane(kind, depth) for kind, depth in _START]
        self._start = widgets.Button(description="Start", button_style="primary", icon="play")
        self._stop = widgets.Button(description="Stop", icon="stop", disabled=True)
        self._start.on_click(lambda _: self.start())
        self._stop.on_click(lambda _: self.stop())
        lanes = [
            widgets.VBox([widgets.HTML(f"<b>Network {number}</b>"), *lane])
            for number, lane in enumerate(self.lanes, 1)
        ]
        wrap = widgets.Layout(flex_flow="row wrap", width="100%")
        buttons = widgets.HBox([self._start, self._stop])
        super().__init__(widgets.VBox([widgets.Box(lanes, layout=wrap), buttons]), width=990)
        self._show_first(self._view({}, "Choose two or three networks and press Start."))

    def start(self) -> None:
        """Train the chosen networks from their first weights. A race that runs is stopped before."""
        _stop_running()
        try:
            networks = self._networks()
        except ValueError as error:
            self._say(error)
            return
        self._say(None)
        self._ended.clear()
        self._stop.disabled = False
        DegradationRace._running = self
        self.histories = {name: History(_RECIPE.steps) for name in networks}
        self._thread = threading.Thread(
            name="race", target=self._race, args=(networks,), daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the race."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """End the race after the step at hand. Nothing happens where none runs."""
        self._ended.set()
        self.wait()
        self._stop.disabled = True
        if DegradationRace._running is self:
            DegradationRace._running = None

    def close(self) -> None:
        """Stop, and take the explorer off the page."""
        self.stop()
        super().close()

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
                    if self._ended.is_set():
                        return
                    histories[name] = next(run)
                if time.monotonic() - drawn > _PAUSE:
                    self._show(self._view(histories, _reading(histories)))
                    drawn = time.monotonic()
        except Exception as error:  # shown here, for in a thread it would show nowhere
            self._say(error)
        finally:
            for run in runs.values():
                run.close()
            over = "Finished" if not _least(histories).stopped else "Stopped"
            self._show(self._view(histories, f"<b>{over}.</b> {_reading(histories)}"))
            self._stop.disabled = True

    def _view(self, histories: dict[str, History], reading: str) -> View:
        png = self._drawing.update(histories)
        return View(png, reading, self._drawing.axes.get_label())


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


def _stop_running() -> None:
    if DegradationRace._running is not None:
        DegradationRace._running.stop()


def _least(histories: dict[str, History]) -> History:
    return min(histories.values(), key=lambda history: len(history.losses))


def _reading(histories: dict[str, History]) -> str:
    history = _least(histories)
    now = ", ".join(
        f"{name} {draw.smoothed(h.accuracies)[-1]:.0%}" for name, h in histories.items() if h.losses
    )
    return f"Step {len(history.losses)} of {history.steps}. Training accuracy: {now}."
