"""Running code that may do anything: its errors are caught, its time is limited, its traces are removed."""

from __future__ import annotations

import io
import linecache
import os
import random
import signal
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_stack, walk_tb
from types import FrameType
from typing import Any

import torch

from resnet_edu.checks.verdict import NOT_ATTEMPTED, TOO_SLOW

LONGEST_TEXT = 300
TICK = 0.05  # seconds between two looks at the clock
PATIENCE = 4  # as many seconds of the clock count as one of the processor's
NOT_THE_LEARNERS = (
    f"{Path(__file__).parents[1]}{os.sep}",
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")),
    "<frozen",
)


class Wrong(Exception):  # noqa: N818 - it is a finding, not a failure
    """A mistake that is plain at once: its name, and what shows it, as pairs of a label and a text.

    What to say stands under the name in the text beside the check, or in that of all checks; `values` take
    the places in braces there.
    """

    def __init__(
        self, mistake: str, evidence: tuple[tuple[str, str], ...] = (), **values: str
    ) -> None:
        super().__init__(mistake)
        self.mistake = mistake
        self.evidence = evidence
        self.values = values


class TooSlow(BaseException):
    """Time is up. Not an `Exception`, so that a learner's `except Exception` lets it through."""


@dataclass(frozen=True)
class Raised:
    """An exception that came out of the learner's code.

    Two are equal where type and beginning of the text are: the rest may hold names and shapes.
    """

    kind: str
    beginning: str
    text: str = field(compare=False)
    line_number: int | None = field(compare=False)  # of the learner's own code
    line: str = field(compare=False)

    @property
    def evidence(self) -> tuple[tuple[str, str], ...]:
        """What was raised, and where."""
        rows = (("Error", f"{self.kind}: {self.text}" if self.text else self.kind),)
        if self.line_number is not None:
            rows += ((f"Your line {self.line_number}", self.line),)
        return rows


class TimeLimit:
    """Stops the learner's code after some seconds, where the system can: not on Windows, nor in a thread.

    What counts is the processor's time: a busy computer makes no answer too slow, nor does one that slept.
    Of the time that the code itself waits, a part counts. It runs from the start of the `with` block, but
    not while a module is imported: that happens once, and a module imported by half would stay broken. Only
    what `run` does is stopped.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.stoppable = False
        self.over = False
        self.works = (
            hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        )

    def __enter__(self) -> TimeLimit:
        if self.works:
            self.started, self.started_cpu = time.monotonic(), time.thread_time()
            self.last_look, self.waited = self.started, 0.0
            self.last_tick, self.end = 0.0, self.seconds
            self.handler_before = signal.signal(signal.SIGALRM, self._tick)
            # It goes on when time is up, for code that catches everything once.
            self.timer_before = signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
        return self

    def __exit__(self, *_: object) -> None:
        if self.works:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self.handler_before or signal.SIG_DFL)
            left, interval = self.timer_before
            if left:
                left = max(left - (time.monotonic() - self.started), 0.001)
                signal.setitimer(signal.ITIMER_REAL, left, interval)

    def _tick(self, _signal: int, frame: FrameType | None) -> None:
        now = self._used()
        importing = _is_importing(frame)
        if importing:
            self.end += now - self.last_tick
        self.last_tick = now
        self.over = now >= self.end
        if self.over and self.stoppable and not importing:
            raise TooSlow

    def _used(self) -> float:
        now = time.monotonic()
        # A tick that comes late was kept back by the computer, not by the code.
        self.waited += min(now - self.last_look, 2 * TICK)
        self.last_look = now
        return max(time.thread_time() - self.started_cpu, self.waited / PATIENCE)

    def run(self, work: Callable[[], None]) -> bool:
        """Do it. False where it was stopped."""
        try:
            self.stoppable = True
            if self.over:
                raise TooSlow
            work()
            return True
        except TooSlow:
            return False
        finally:
            self.stoppable = False


UNLIMITED = TimeLimit(float("inf"))  # for our own code; never started


def _is_importing(frame: FrameType | None) -> bool:
    """Whether what `TimeLimit.run` does is importing a module right now."""
    for inner, _ in walk_stack(frame):
        if inner.f_code is TimeLimit.run.__code__:
            return False
        if "importlib._bootstrap" in inner.f_code.co_filename:
            return True
    return False


class FirstWords(io.TextIOBase):
    """A stream that keeps the beginning of what is printed, however much that is."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Keep what fits."""
        self.text = (self.text + text)[: LONGEST_TEXT + 1]
        return len(text)


def _attribute(owner: object, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


SETTINGS = (  # how to read it, how to set it
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, torch.set_default_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    _attribute(torch.backends.cudnn, "deterministic"),
    _attribute(torch.backends.cudnn, "benchmark"),
    (random.getstate, random.setstate),
)


@contextmanager
def standard_state(seed: int = 0) -> Iterator[FirstWords]:
    """The same surroundings for all code under check; afterwards, those that were there before.

    Yields the stream that catches what is printed.
    """
    printed = FirstWords()
    before = [read() for read, _ in SETTINGS]
    numpy = sys.modules.get("numpy")  # a learner may seed it; no need to load it for that
    numpy_state = numpy.random.get_state() if numpy else None
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(redirect_stdout(printed))
        stack.enter_context(redirect_stderr(printed))
        warnings.simplefilter("ignore")
        try:
            if before[0] != torch.float32:
                torch.set_default_dtype(torch.float32)
            if before[1].type != "cpu":
                torch.set_default_device("cpu")
            torch.set_num_threads(1)  # tensors are small: threads would wait for each other
            torch.default_generator.manual_seed(seed)
            yield printed
        finally:
            for (read, write), value in zip(SETTINGS, before, strict=True):
                if read() != value:
                    write(value)
            if numpy:
                numpy.random.set_state(numpy_state)


def guarded(
    work: Callable[[], None], limit: TimeLimit = UNLIMITED
) -> tuple[Wrong | Raised | None, str]:
    """Do it. Returns what went wrong, if anything, and the beginning of what was printed.

    Only a KeyboardInterrupt comes through: it is the person's own.
    """
    problem: Wrong | Raised | None = None

    def explained() -> None:
        nonlocal problem
        try:
            work()
        except (KeyboardInterrupt, TooSlow):
            raise
        except Wrong as wrong:
            problem = wrong
        except BaseException as error:
            problem = explain(error)  # in here: to read the error's text may run the learner's code

    with standard_state() as printed:
        if not limit.run(explained):
            problem = Wrong(TOO_SLOW, seconds=f"{limit.seconds:g}")
    return problem, shortened(printed.text)


# What Python and PyTorch say, and the name of what it means: the same whatever the task.
PLAIN_WORDS = {
    "before Module.__init__() call": "no-super-init",
    'missing the required "forward" function': "no-forward",
    "leaf Variable that requires grad is being used in an in-place": "recorded-by-autograd",
}


def explain(error: BaseException) -> Wrong | Raised:
    """What an exception of the learner's code means."""
    raised = _raised(error)
    for part, name in PLAIN_WORDS.items():
        if part in raised.text:
            return Wrong(name, raised.evidence)
    is_stub = "NotImplementedError" in raised.line or not raised.text
    if type(error) is NotImplementedError and raised.line_number is not None and is_stub:
        return Wrong(NOT_ATTEMPTED, raised.evidence[1:])
    if type(error) is TypeError and raised.line_number is None:
        return Wrong("wrong-signature", raised.evidence)
    return raised


def _raised(error: BaseException) -> Raised:
    line_number, line = None, ""
    for frame, number in walk_tb(error.__traceback__):
        filename = frame.f_code.co_filename
        if not filename.startswith(NOT_THE_LEARNERS):
            line_number = number
            line = shortened(linecache.getline(filename, number, frame.f_globals).strip())
    try:
        text = str(error)
    except Exception:
        text = "(an error whose text cannot be read)"
    return Raised(type(error).__name__, text[:30], shortened(text), line_number, line)


def shortened(text: str) -> str:
    """The text, cut where it is long."""
    text = text.strip()
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
