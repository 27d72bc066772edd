"""The race of the lesson on degradation, without a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from resnet_edu import data, training, widgets
from resnet_edu.networks import cifar_plain
from resnet_edu.training import History

DIGITS = data.digits("train", size=16)


@pytest.fixture
def race() -> Iterator[widgets.DegradationRace]:
    made = widgets.DegradationRace(DIGITS)
    yield made
    made.close()


def choose(race: widgets.DegradationRace, *networks: tuple[str, int]) -> None:
    for (kind, depth), (name, layers) in zip(race.lanes, networks, strict=True):
        kind.value, depth.value = name, layers


def racers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "race"]


def test_it_trains_as_fit_does(race: widgets.DegradationRace) -> None:
    choose(race, ("plain", 8), ("residual", 8), ("none", 8))
    race.start()
    race.wait()
    torch.manual_seed(0)
    alone = training.fit(cifar_plain(8), DIGITS, training.Recipe(), on_step=training.quiet)
    assert race.histories["plain-8"] == alone
    assert race.histories["ResNet-8"].accuracies != alone.accuracies
    assert not racers()


def test_stop_keeps_what_was_measured_and_leaves_no_thread(race: widgets.DegradationRace) -> None:
    race.start()
    assert len(racers()) == 1
    race.stop()
    assert not racers()
    assert all(history.stopped for history in race.histories.values())
    race.stop()  # a second time is no harm


def test_another_race_stops_the_one_before(race: widgets.DegradationRace) -> None:
    race.start()
    other = widgets.DegradationRace(DIGITS)
    assert not racers()
    other.start()
    race.start()
    assert len(racers()) == 1
    assert all(history.stopped for history in other.histories.values())


def test_start_begins_anew(race: widgets.DegradationRace) -> None:
    race.start()
    choose(race, ("plain", 8), ("residual", 8), ("none", 8))
    race.start()
    assert list(race.histories) == ["plain-8", "ResNet-8"]
    assert len(racers()) == 1


@pytest.mark.parametrize(
    "networks",
    [
        (("plain", 8), ("none", 8), ("none", 8)),
        (("plain", 8), ("residual", 8), ("plain", 8)),
    ],
)
def test_a_race_needs_networks_that_differ(
    race: widgets.DegradationRace, networks: tuple[tuple[str, int], ...]
) -> None:
    choose(race, *networks)
    race.start()
    assert not racers()
    assert "differ in kind or depth" in race.children[1].value


def test_an_error_in_the_thread_is_shown(
    race: widgets.DegradationRace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Iterator[History]:
        raise RuntimeError("no such data")
        yield

    monkeypatch.setattr(training, "steps", fails)
    race.start()
    race.wait()
    assert "no such data" in race.children[1].value
