"""What a person at the notebook has of a training: a bar that moves, and a stop button that waits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

from resnet_edu.training.recipe import History


class Bar(tqdm):
    """The progress of one training, with the loss and the accuracy of the last batch."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(desc="Training", total=steps, initial=step, unit="step")

    def update(self, history: History) -> None:
        """One step further."""
        self.set_postfix_str(
            f"loss {history.losses[-1]:.2f}, accuracy {history.accuracies[-1]:.0%}", refresh=False
        )
        super().update(1)


def quiet(_history: History) -> None:
    """An `on_step` that shows nothing, for a cell that trains many networks."""


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An interrupt of the kernel sets the event, and the step at hand is finished; a second breaks off."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread is ever interrupted
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
