"""A check never raises, whatever the answer does, and leaves everything as it was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu import checks
from resnet_edu.checks import guard
from resnet_edu.checks.check import Check

Answer = Callable[..., Any]
CHECKS = [value for value in vars(checks).values() if isinstance(value, Check)]


class Evil:
    """An object that answers every question with an error."""

    def _fail(self, *_: object) -> Any:
        raise SystemExit("evil")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __float__ = _fail
    __index__ = __format__ = __getattr__ = _fail
    __class__ = property(_fail)


class EvilError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raises(error: BaseException) -> Answer:
    def answer(*_: object, **__: object) -> None:
        raise error

    return answer


def returns(value: object) -> Answer:
    return lambda *_, **__: value


def catches_everything(*_: object, **__: object) -> None:
    while True:
        with suppress(Exception):
            time.sleep(0.001)


def never_ends(*_: object, **__: object) -> None:
    while True:
        pass


def recurses(*arguments: object, **names: object) -> Any:
    return recurses(*arguments, **names)


def prints_without_end(*_: object, **__: object) -> None:
    while True:
        print("x" * 1000)


def allocates(*_: object, **__: object) -> torch.Tensor:
    return torch.empty(10**15)


def returns_a_huge_view(*_: object, **__: object) -> torch.Tensor:
    return torch.zeros(1).expand(10**12)


class EvilModule(nn.Module):
    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class EvilTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *_: object, **__: object) -> Any:
        raise RuntimeError("evil")


HOSTILE = {
    "none": None,
    "number": 3,
    "instance": nn.Linear(2, 2),
    "evil-object": Evil(),
    "evil-class": Evil,
    "builtin": len,
    "raises": raises(ValueError("wrong")),
    "raises-a-huge-text": raises(ValueError("<b>" + "x" * 1_000_000)),
    "raises-without-text": raises(EvilError()),
    "raises-stop-iteration": raises(StopIteration()),
    "raises-generator-exit": raises(GeneratorExit()),
    "exits": lambda *_, **__: sys.exit(3),
    "recursion": recurses,
    "allocates": allocates,
    "returns-none": returns(None),
    "returns-nan": returns(float("nan")),
    "returns-infinity": returns(float("-inf")),
    "returns-nan-tensor": returns(torch.full((4, 3, 5, 6), float("nan"))),
    "returns-complex": returns(torch.zeros(4, 3, 5, 6, dtype=torch.complex64)),
    "returns-sparse": returns(torch.zeros(4, 3, 5, 6).to_sparse()),
    "returns-meta": returns(torch.zeros(4, 3, 5, 6, device="meta")),
    "returns-a-huge-view": returns_a_huge_view,
    "returns-evil": returns(Evil()),
    "returns-evil-keys": returns({Evil.__new__: Evil()}),
    "returns-huge-keys": returns({"<b>" * 1_000_000: 1.0}),
    "returns-evil-module": returns(nn.Identity()),
    "returns-evil-tensor": returns(torch.zeros(4, 3, 5, 6).as_subclass(EvilTensor)),
    "returns-a-class": returns(int),
    "evil-module": EvilModule,
    "no-parameters": lambda: 3,
}


@pytest.mark.bank
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", HOSTILE)  # by name: pytest, too, stumbles over evil objects
def test_a_check_never_raises(check: Check, name: str) -> None:
    verdict = check(HOSTILE[name])
    assert not verdict.passed
    assert verdict.message
    assert len(verdict._repr_html_()) < 10_000
    assert len(repr(verdict)) < 5_000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no time limit on this system")
@pytest.mark.parametrize("answer", [never_ends, catches_everything, prints_without_end])
def test_an_endless_answer_is_stopped(answer: Answer) -> None:
    verdict = checks.conv_output_size(answer)
    assert verdict.mistake == "too-slow"
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no time limit on this system")
def test_a_slow_answer_is_not_blamed_for_its_signature() -> None:
    """It comes through when called by position, and time is up when it is called by name."""

    def slow(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
        end = time.thread_time() + 1.2 / len(checks.conv_output_size.cases)
        while time.thread_time() < end:
            pass
        return (size + 2 * padding - kernel_size) // stride + 1

    assert checks.conv_output_size(slow).mistake == "too-slow"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no time limit on this system")
def test_a_busy_computer_makes_no_answer_too_slow() -> None:
    """Somebody else has the processor for longer than the learner's code has."""

    def interrupted(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
        time.sleep(1 / len(checks.conv_output_size.cases))
        return (size + 2 * padding - kernel_size) // stride + 1

    assert checks.conv_output_size(interrupted).passed


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no time limit on this system")
def test_a_computer_that_slept_makes_no_answer_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.4)  # 0.6 seconds of waiting are too many
    slept = []

    def sleeps_once(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
        if not slept:
            slept.append(subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {os.getpid()}"]))
            os.kill(os.getpid(), signal.SIGSTOP)
        return (size + 2 * padding - kernel_size) // stride + 1

    assert checks.conv_output_size(sleeps_once).passed
    slept[0].wait()
    assert checks.conv_output_size(lambda *_, **__: time.sleep(5)).mistake == "too-slow"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no time limit on this system")
def test_an_alarm_of_somebody_else_still_rings() -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 30)
        assert checks.conv_output_size(never_ends).mistake == "too-slow"
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 20 < left < 29
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while not rung:
            time.sleep(0.001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_checks_work_in_a_thread() -> None:
    verdicts = []
    check = checks.conv_output_size
    thread = threading.Thread(target=lambda: verdicts.append(check(check.reference)))
    thread.start()
    thread.join()
    assert verdicts[0].passed


def test_the_persons_own_interrupt_comes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        checks.conv_output_size(raises(KeyboardInterrupt()))


@pytest.fixture
def _own_settings() -> Iterator[None]:
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)


def state() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "filters": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr),
        "directory": os.getcwd(),
    }


def changes_everything(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = True
    warnings.simplefilter("always")
    sys.stdout = sys.stderr
    print("some words")
    return (size + 2 * padding - kernel_size) // stride + 1


@pytest.mark.usefixtures("_own_settings")
def test_global_state_is_put_back() -> None:
    before = state()
    assert checks.conv_output_size(changes_everything).passed
    assert state() == before


@pytest.mark.bank
@pytest.mark.usefixtures("_own_settings")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_persons_own_settings_do_not_change_a_verdict(check: Check) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    before = state()
    assert check(check.reference).passed
    assert state() == before


def test_what_is_printed_is_kept_for_the_panel(capsys: pytest.CaptureFixture[str]) -> None:
    def prints(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
        print("size", size, "<b>", "x" * 10_000)
        return stride + padding + kernel_size

    verdict = checks.conv_output_size(prints)
    printed = dict(verdict.evidence)["Printed"]
    assert printed.startswith("size 32 <b> xxx")
    assert len(printed) <= 300
    assert "<b>" not in verdict._repr_html_()
    assert capsys.readouterr() == ("", "")


def test_an_error_is_shown_with_the_learners_own_line() -> None:
    def divides(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-5) -> Any:
        return F.relu(x, gamma, beta, eps)

    verdict = checks.batch_norm(divides)
    assert verdict.mistake == "raised-error"
    line = divides.__code__.co_firstlineno + 1
    assert dict(verdict.evidence)[f"Your line {line}"] == "return F.relu(x, gamma, beta, eps)"
    assert "Traceback" not in repr(verdict)


def test_a_stub_is_not_attempted() -> None:
    def stub(layers: list[tuple[int, int]]) -> int:
        raise NotImplementedError

    verdict = checks.receptive_field(stub)
    assert (verdict.passed, verdict.mistake) == (False, "not-attempted")
    assert verdict.status == "○ Not attempted yet"


def test_a_block_without_its_forward_is_not_attempted() -> None:
    class HalfABlock(nn.Module):
        def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out_channels)
            self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out_channels)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    assert checks.plain_block(HalfABlock).mistake == "not-attempted"


@pytest.mark.parametrize("strict", ["1", "", "0"])
def test_in_strict_mode_a_verdict_that_is_not_passed_raises(
    strict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_EDU_STRICT", strict)
    assert checks.conv_parameters(checks.conv_parameters.reference).passed
    if strict == "1":
        with pytest.raises(checks.CheckNotPassed, match="returns None"):
            checks.conv_parameters(returns(None))
    else:
        assert checks.conv_parameters(returns(None)).mistake == "returns-none"


@pytest.mark.bank
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_verdict_is_the_same_each_time(check: Check) -> None:
    answer = check.mistakes[0].versions[0]
    assert check(answer) == check(answer)
    assert check(answer)._repr_html_() == check(answer)._repr_html_()
