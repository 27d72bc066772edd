"""What explorers that train have in common: "Start", "Stop", and a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar

import ipywidgets as widgets

from resnet_edu.widgets.explorer import Shown


class Trainer(Shown):
    """Controls, a "Start" and a "Stop" button, and a picture that grows while something trains.

    The training runs in a thread, so that the page stays alive. "Stop" ends it, and `close` does so too.
    Only one trains at a time: starting or making another one stops it. A subclass writes `prepare`, whose
    work ends soon after `ended` is set, and sets values of widgets and nothing else.
    """

    thread_name = "training"
    _running: ClassVar[Trainer | None] = None
    _thread: threading.Thread | None = None

    def __init__(self, controls: widgets.Widget, width: int) -> None:
        _stop_running()
        self.ended = threading.Event()
        self._start = widgets.Button(description="Start", button_style="primary", icon="play")
        self._stop = widgets.Button(description="Stop", icon="stop", disabled=True)
        self._start.on_click(lambda _: self.start())
        self._stop.on_click(lambda _: self.stop())
        buttons = widgets.HBox([self._start, self._stop])
        super().__init__(widgets.VBox([controls, buttons]), width=width)

    def prepare(self) -> Callable[[], None]:
        """The work for what the controls say. Raises ValueError for what cannot be trained."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin anew, with what the controls say. A training that runs is stopped before."""
        _stop_running()
        try:
            work = self.prepare()
        except ValueError as error:
            self._say(error)
            return
        self._say(None)
        self.ended.clear()
        self._stop.disabled = False
        Trainer._running = self
        self._thread = threading.Thread(
            name=self.thread_name, target=self._do, args=(work,), daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the training."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """End the training after what is at hand. Nothing happens where none runs."""
        if self._thread is not None:
            self.ended.set()
            self.wait()
            self._stop.disabled = True
        if Trainer._running is self:
            Trainer._running = None

    def close(self) -> None:
        """Stop, and take the explorer off the page."""
        self.stop()
        super().close()

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # shown here, for in a thread it would show nowhere
            self._say(error)
        finally:
            self._stop.disabled = True


def _stop_running() -> None:
    if Trainer._running is not None:
        Trainer._running.stop()
