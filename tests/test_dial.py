"""TransferDial without a browser, and its picture."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu import draw, training, transfer, widgets
from resnet_edu.draw.dial import RUNS_SHOWN
from resnet_edu.draw.finetuning import confusion_cells
from resnet_edu.networks import ResNet, resnet18
from resnet_edu.training import History, Recipe, quiet

CLASSES = 3


def bright(count: int, seed: int) -> TensorDataset:
    """Noise of one colour channel more than of the others: easily told apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    images = torch.rand(count, 3, 32, 32, generator=generator)
    images[torch.arange(count), labels] += 1
    return TensorDataset(images, labels)


LABELLED, HELD_OUT = bright(30, 0), bright(40, 1)


@pytest.fixture(scope="module")
def model() -> ResNet:
    torch.manual_seed(0)
    return resnet18(7, width=8)


@pytest.fixture
def dial(model: nn.Module) -> Iterator[widgets.TransferDial]:
    made = widgets.TransferDial(model, LABELLED, HELD_OUT)
    yield made
    made.close()


def choose(dial: widgets.TransferDial, **values: object) -> None:
    for label, value in values.items():
        dial.controls[label.replace("_", " ")].value = value


def threads() -> int:
    return sum(thread.name == "training" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("freeze", "frozen"), [("nothing", None), ("layer2", "layer2"), ("layer4", "layer4")]
)
def test_it_trains_as_fit_does(
    dial: widgets.TransferDial, model: nn.Module, freeze: str, frozen: str | None
) -> None:
    choose(dial, Labels_per_class=5, Freeze_up_to=freeze, Head_rate=0.1, Backbone_rate=0.02)
    dial.start()
    dial.wait()

    torch.manual_seed(0)
    network = copy.deepcopy(model)
    transfer.replace_head(network, CLASSES)
    transfer.freeze(network, frozen)
    chosen = [i for c in range(CLASSES) for i in range(c, 30, CLASSES)[:5]]
    slow = dict.fromkeys(("stem", "layer1", "layer2", "layer3", "layer4"), 0.2)
    recipe = Recipe(steps=30, batch_size=32, learning_rate=0.1, rates=slow)
    training.fit(network, TensorDataset(*LABELLED[chosen]), recipe, on_step=quiet)

    *_, accuracy = dial.runs.values()
    # The frozen part computes in float32 here, and in fit perhaps in bfloat16.
    assert accuracy == pytest.approx(training.evaluate(network, HELD_OUT), abs=0.051)


def test_the_model_is_left_as_it_is(model: nn.Module) -> None:
    before = copy.deepcopy(model)
    widgets.TransferDial(model, LABELLED, HELD_OUT).close()
    audit = transfer.freeze_audit(before, model)
    assert not any(s.parameters_changed or s.buffers_changed for s in audit.stages)
    assert model.fc.out_features == 7


def test_readers_who_run_nothing_see_a_finished_run(dial: widgets.TransferDial) -> None:
    data, metadata = dial._repr_mimebundle_()
    (what,) = dial.runs
    assert what == "10 labels, frozen to layer3, head 0.05, backbone 0.05"
    assert "image/png" in data
    assert what in metadata["image/png"]["alt"]
    assert "30 of 30" in metadata["image/png"]["alt"]


def test_runs_are_kept_and_the_same_setting_gives_the_same_run(dial: widgets.TransferDial) -> None:
    first = dict(dial.runs)
    choose(dial, Freeze_up_to="layer4")
    dial.start()
    dial.wait()
    choose(dial, Freeze_up_to="layer3")
    dial.start()
    dial.wait()
    assert list(dial.runs)[-1] == next(iter(first))
    assert dial.runs.items() > first.items()
    assert len(dial.runs) == 2
    assert threads() == 0


def test_a_new_picture_shows_what_was_measured(dial: widgets.TransferDial) -> None:
    choose(dial, Freeze_up_to="layer4", Labels_per_class=1)
    dial.start()
    dial.wait()
    *_, accuracy = dial.runs.values()
    said = dial.children[2].tooltip
    assert f"{accuracy * 40:.0f} of 40 held-out images are right" in said
    assert f"1 label, frozen to layer4, head 0.05: {accuracy:.1%}" in said
    assert "Finished" in dial.children[3].value


def test_stop_ends_a_run_and_leaves_no_thread(dial: widgets.TransferDial) -> None:
    before = dict(dial.runs)
    choose(dial, Freeze_up_to="nothing")
    dial.start()
    assert threads() == 1
    dial.stop()
    assert threads() == 0
    assert "Stopped" in dial.children[3].value
    assert dial.runs.items() >= before.items()
    dial.stop()  # a second time is no harm


def test_another_dial_or_start_stops_the_one_before(
    dial: widgets.TransferDial, model: nn.Module
) -> None:
    choose(dial, Freeze_up_to="nothing")
    dial.start()
    dial.start()
    assert threads() == 1
    other = widgets.TransferDial(model, LABELLED, HELD_OUT)
    assert threads() == 0
    other.start()
    dial.start()
    assert threads() == 1
    other.close()


def test_a_training_that_breaks_says_so(
    dial: widgets.TransferDial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Iterator[History]:
        raise RuntimeError("no such data")
        yield

    monkeypatch.setattr(training, "steps", fails)
    dial.start()
    dial.wait()
    assert "no such data" in dial.children[1].value
    assert threads() == 0


def test_each_class_needs_an_image(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="labelled image"):
        widgets.TransferDial(model, TensorDataset(*LABELLED[:2]), HELD_OUT)


# Pictures


NONE = np.zeros((2, 2), dtype=int)


def history(*validation: float) -> History:
    measured = {10 * place: accuracy for place, accuracy in enumerate(validation, 1)}
    return History(30, (1.0,) * 4, (0.5,) * 4, measured)


def test_the_dial_has_a_row_for_each_of_the_last_runs() -> None:
    drawing = draw.TransferDialDrawing(["a", "b"], 30)
    runs = [(f"setting {n}", n / 10) for n in range(1, RUNS_SHOWN + 2)]
    picture = drawing.update(history(0.5, 0.9), np.array([[3, 1], [0, 4]]), runs)
    curve, matrix, rows = picture.axes
    earlier, last = rows.lines
    assert list(curve.lines[1].get_xdata()) == [10, 20]
    assert list(curve.lines[1].get_ydata()) == [0.5, 0.9]
    assert [t.get_text() for t in matrix.texts] == ["3", "1", "", "4"]
    assert list(last.get_xdata()) == [runs[-1][1]]
    assert list(earlier.get_xdata()) == [accuracy for _, accuracy in runs[1:-1]]
    assert f"{len(runs)}:  {runs[-1][0]}" in [t.get_text() for t in rows.texts]
    assert "7 of 8 held-out images are right" in picture.words


def test_before_a_measurement_all_runs_are_earlier_ones() -> None:
    drawing = draw.TransferDialDrawing(["a", "b"], 30)
    picture = drawing.update(history(), NONE, [("setting", 0.5)])
    earlier, last = picture.axes[2].lines
    assert (list(earlier.get_xdata()), list(last.get_xdata())) == ([0.5], [])


def test_the_dial_forgets_what_it_showed() -> None:
    drawing = draw.TransferDialDrawing(["a", "b"], 30)
    empty = drawing.update(History(30), NONE, [])
    full = drawing.update(history(0.5), np.eye(2, dtype=int), [("setting", 0.5)])
    assert full.png != empty.png
    assert drawing.update(History(30), NONE, []) == empty


def test_a_confusion_is_green_where_right_and_pink_where_wrong() -> None:
    cells = confusion_cells(np.array([[4, 0], [2, 2]]), np.array([4, 4]))
    red, green = cells[..., 0], cells[..., 1]
    assert green[0, 0] > red[0, 0]
    assert red[1, 0] > green[1, 0]
    assert list(cells[0, 1]) == [1, 1, 1]
    assert red[0, 0] < red[1, 1] < 1  # the more, the deeper


def test_accuracy_along_shows_middle_and_spread() -> None:
    runs = {"probe": {1: [0.5, 0.7, 0.9], 5: [0.8, 0.8]}, "tuned": {5: [0.6]}}
    picture = draw.accuracy_along(
        runs,
        "labels per class",
        colours={"probe": "third", "tuned": "residual"},
        predicted=(5, {"probe": 90, "tuned": None}),
    )
    (ax,) = picture.axes
    probe, tuned, guess = ax.lines
    assert list(probe.get_ydata()) == [0.7, 0.8]
    assert np.round(tuned.get_xdata()).tolist() == [1]
    assert (guess.get_xdata()[0], guess.get_ydata()[0]) == (probe.get_xdata()[1], 0.9)
    spread = ax.collections[0].get_segments()[0][:, 1]
    assert list(spread) == [0.5, 0.9]
    assert "probe 1: 70%, 5: 80%" in picture.words
    assert "predicted for probe: 90%" in picture.words
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "5"]


def test_a_prediction_below_the_axis_makes_it_longer_and_equal_ones_stand_side_by_side() -> None:
    runs = {"probe": {5: [0.8]}, "tuned": {5: [0.9]}}
    picture = draw.accuracy_along(
        runs,
        "labels per class",
        colours={"probe": "third", "tuned": "residual"},
        low=0.5,
        predicted=(5, {"probe": 10, "tuned": 10}),
    )
    (ax,) = picture.axes
    one, other = ax.lines[2:]
    assert ax.get_ylim()[0] < 0.1 < ax.get_ylim()[1]
    assert one.get_xdata()[0] < other.get_xdata()[0]
