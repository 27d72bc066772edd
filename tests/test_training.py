"""The training loop: what it learns, that it repeats, stops, goes on, and says what is wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from resnet_edu import training
from resnet_edu.files import FileError
from resnet_edu.networks import cifar_plain, cifar_resnet
from resnet_edu.training import NotFiniteError, Recipe, evaluate, fit, quiet, steps


@pytest.fixture(scope="module")
def data():
    """Images that are brighter in the class's own corner: easy, and quickly made."""
    numbers = torch.Generator().manual_seed(0)
    images = torch.rand((96, 3, 8, 8), generator=numbers) / 2
    labels = torch.arange(96) % 4
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.5
    return TensorDataset(images, labels)


def network(seed=0):
    torch.manual_seed(seed)
    return cifar_resnet(8, num_classes=4)


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(training.machine, "bfloat16_pays", lambda _device: False)


SHORT = Recipe(steps=12, batch_size=32)


# What it does


def test_it_learns_and_notes_every_step(data):
    model = network()
    history = fit(model, data, Recipe(steps=30, batch_size=32), validation=data, on_step=quiet)

    assert len(history.losses) == len(history.accuracies) == 30
    assert history.losses[-1] < 0.2 < history.losses[0]
    assert history.validation_accuracy == evaluate(model, data) > 0.95
    assert list(history.validation) == [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert not history.stopped


@pytest.mark.usefixtures("float32")
def test_a_step_is_that_of_torchs_own_optimiser_and_schedule_formula(data):
    """The ordinary loop, written out, with the whole data as one batch: order then plays no part."""
    recipe = Recipe(
        steps=8, batch_size=96, learning_rate=0.05, label_smoothing=0.1, weight_decay=0.01
    )
    ours, plain = linear(), linear()
    history = fit(ours, data, recipe, on_step=quiet)

    optimizer = torch.optim.SGD(plain.parameters(), lr=1.0, momentum=0.9, weight_decay=0.01)
    images, labels = data.tensors
    for step in range(8):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate_at(step)
        loss = F.cross_entropy(plain(images), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert history.losses[step] == pytest.approx(loss.item(), rel=1e-4)
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_learning_rate_rises_for_three_tenths_and_falls_to_nearly_nothing():
    rates = [Recipe(steps=100, learning_rate=0.4).learning_rate_at(step) for step in range(100)]

    assert max(rates) == pytest.approx(0.4)
    assert rates.index(max(rates)) == 30
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert rates[0] == pytest.approx(0.4 / 31)


@pytest.mark.parametrize("few", [1, 2, 3, 4])
def test_very_short_trainings_have_a_learning_rate_above_zero(few):
    rates = [Recipe(steps=few).learning_rate_at(step) for step in range(few)]
    assert all(0 < rate <= Recipe().learning_rate for rate in rates)


@pytest.mark.usefixtures("float32")
def test_a_round_shows_each_image_once():
    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(x[:, 0, 0, 0].clone())
            return super().forward(x.flatten(1))

    images = torch.arange(40.0)[:, None, None, None].expand(-1, 3, 1, 1) / 40
    data = TensorDataset(images.contiguous(), torch.zeros(40).long())
    fit(Watching(3, 4), data, Recipe(steps=8, batch_size=10), on_step=quiet)

    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert torch.equal(first.sort().values, images[:, 0, 0, 0])
    assert torch.equal(second.sort().values, images[:, 0, 0, 0])
    assert not torch.equal(first, second)


def test_the_model_is_left_as_it_was_found_but_for_what_it_learned(data):
    model = network().eval()
    model.layer1.train()
    modes = [m.training for m in model.modules()]
    parameters = list(model.parameters())
    fit(model, data, SHORT, on_step=quiet)

    assert [m.training for m in model.modules()] == modes
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    assert all(p.is_contiguous() and p.dtype == torch.float32 for p in model.parameters())


def test_a_frozen_parameter_stays_as_it_is(data):
    model = network()
    model.conv1.weight.requires_grad = False
    before = model.conv1.weight.clone()
    fit(model, data, SHORT, on_step=quiet)

    assert torch.equal(model.conv1.weight, before)


def test_evaluate_counts_right_images_in_evaluation_mode(data):
    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            assert not self.training
            return x.unfold(2, 4, 4).unfold(3, 4, 4).mean((1, 4, 5)).flatten(1)

    wrong = TensorDataset(data.tensors[0], torch.where(torch.arange(96) < 24, 0, data.tensors[1]))
    model = Corner()
    assert evaluate(model, data) == 1.0
    assert evaluate(model, wrong) == pytest.approx(78 / 96)
    assert model.training


# The same again


def test_the_same_seed_gives_the_same_weights_bit_for_bit(data):
    one, other, third = network(), network(), network()
    first = fit(one, data, SHORT, on_step=quiet)
    second = fit(other, data, SHORT, on_step=quiet)
    fit(third, data, Recipe(steps=12, batch_size=32, seed=1), on_step=quiet)

    assert first == second
    assert same(weights(one), weights(other))
    assert not same(weights(one), weights(third))


def test_pytorchs_own_generator_is_left_alone(data):
    model = network()
    before = torch.get_rng_state()
    fit(model, data, SHORT, on_step=quiet)
    assert torch.equal(torch.get_rng_state(), before)


# The bar


def test_the_bar_shows_loss_and_accuracy(data, capsys):
    fit(linear(), data, SHORT)
    said = capsys.readouterr().err
    assert "12/12" in said
    assert "loss" in said
    assert "accuracy" in said


# Stopping


def interrupted_at(steps):
    """An `on_step` that interrupts as JupyterLab's stop button does."""

    def watch(history):
        if len(history.losses) == steps:
            os.kill(os.getpid(), signal.SIGINT)

    return watch


def test_an_interrupt_ends_after_the_step_and_keeps_what_was_learned(data):
    before = signal.getsignal(signal.SIGINT)
    model, undisturbed = network(), network()
    history = fit(model, data, SHORT, on_step=interrupted_at(5))
    states = []
    fit(undisturbed, data, SHORT, on_step=lambda _: states.append(weights(undisturbed)))

    assert history.stopped
    assert len(history.losses) == 5
    assert "5 of 12 steps" in repr(history)
    assert same(weights(model), states[4])
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_in_the_middle_of_a_step_waits_for_its_end(data):
    class Interrupting(nn.Linear):
        def forward(self, x):
            os.kill(os.getpid(), signal.SIGINT)
            return super().forward(x.flatten(1))

    history = fit(Interrupting(3 * 8 * 8, 4), data, SHORT, on_step=quiet)
    assert len(history.losses) == 1


def test_a_second_interrupt_breaks_off_at_once(data):
    class Interrupting(nn.Linear):
        def forward(self, x):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            return super().forward(x.flatten(1))

    before = signal.getsignal(signal.SIGINT)
    model = Interrupting(3 * 8 * 8, 4).eval()
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, SHORT, on_step=quiet)
    assert not model.training
    assert signal.getsignal(signal.SIGINT) is before


def test_step_by_step_is_the_same_training(data):
    whole, stepped = network(), network()
    history = fit(whole, data, SHORT, on_step=quiet)
    histories = list(steps(stepped, data, SHORT))

    assert histories[-1] == history
    assert [len(h.losses) for h in histories] == list(range(1, 13))
    assert same(weights(whole), weights(stepped))


def test_two_networks_trained_in_turns_do_not_disturb_each_other(data):
    alone, one, other = network(), network(), network(seed=1)
    fit(alone, data, SHORT, on_step=quiet)
    for _ in zip(steps(one, data, SHORT), steps(other, data, SHORT), strict=True):
        pass
    assert same(weights(one), weights(alone))


def test_a_thread_can_train_and_a_closed_generator_leaves_the_model_as_it_was(data):
    model = network().eval()
    found = []

    def train():
        run = steps(model, data, SHORT)
        found.extend(next(run) for _ in range(3))
        run.close()

    thread = threading.Thread(target=train)
    thread.start()
    thread.join(timeout=60)

    assert [len(h.losses) for h in found] == [1, 2, 3]
    assert not model.training
    assert all(p.is_contiguous() for p in model.parameters())


def test_an_error_in_on_step_is_the_callers(data):
    def fail(_history):
        raise KeyError("mine")

    model = network().eval()
    with pytest.raises(KeyError, match="mine"):
        fit(model, data, SHORT, on_step=fail)
    assert not model.training


# A loss that is not finite


@pytest.mark.parametrize("rate", [1e6, 1e15, 1e30])
def test_a_loss_that_is_not_finite_stops_and_the_weights_stay_finite(data, rate):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    with pytest.raises(
        NotFiniteError, match=r"step \d+ of 60, .* learning rate is .*Try a learning_rate"
    ):
        fit(model, data, Recipe(steps=60, batch_size=32, learning_rate=rate), on_step=quiet)

    assert all(torch.isfinite(t).all() for t in model.state_dict().values())
    assert torch.isfinite(model(data.tensors[0])).all()


def test_images_with_nan_stop_before_running_statistics_are_spoiled(data):
    images = data.tensors[0].clone()
    images[:, 0, 0, 0] = float("nan")
    model = network()
    before = weights(model)
    with pytest.raises(NotFiniteError, match="step 1 of 12"):
        fit(model, TensorDataset(images, data.tensors[1]), SHORT, on_step=quiet)

    assert same(weights(model), before)


# Checkpoints

CHECKPOINTED = Recipe(
    steps=70, batch_size=20
)  # the 20 of a checkpoint do not divide the rounds of 4


@pytest.mark.parametrize("moment", [1, 20, 33, 69])
def test_a_stopped_training_goes_on_to_the_same_weights(data, tmp_path, moment):
    path = tmp_path / "run.safetensors"
    undisturbed, model = network(), network()
    whole = fit(undisturbed, data, CHECKPOINTED, validation=data, on_step=quiet)
    fit(model, data, CHECKPOINTED, validation=data, checkpoint=path, on_step=interrupted_at(moment))
    again = network(seed=7)
    history = fit(again, data, CHECKPOINTED, validation=data, checkpoint=path, on_step=quiet)

    assert history == whole
    assert same(weights(again), weights(undisturbed))
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_training_is_not_repeated(data, tmp_path):
    path = tmp_path / "run.safetensors"
    model, again = network(), network(seed=3)
    first = fit(model, data, CHECKPOINTED, checkpoint=path, on_step=quiet)
    taken = []
    second = fit(again, data, CHECKPOINTED, checkpoint=path, on_step=taken.append)

    assert second == first
    assert taken == []
    assert same(weights(again), weights(model))


KILLED = """
import sys, torch
sys.path.insert(0, {tests!r})
import test_training as t
data = torch.load(sys.argv[2], weights_only=True)
t.fit(t.network(), t.TensorDataset(*data), t.Recipe(steps=400, batch_size=20),
      checkpoint=sys.argv[1], on_step=lambda h: print(len(h.losses), flush=True))
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_to_exactly_the_same_weights(data, tmp_path):
    path, images = tmp_path / "run.safetensors", tmp_path / "data.pt"
    torch.save(list(data.tensors), images)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the processes that are killed
    undisturbed, resumed = network(), network()
    recipe = Recipe(steps=400, batch_size=20)
    code = KILLED.format(tests=str(Path(__file__).parent))
    reached = []
    for moment in (
        7,
        20,
        61,
        140,
        279,
    ):  # the 20th and 140th step are checkpoints: killed while writing
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(images)],
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            text=True,
        )
        for line in process.stdout:
            if int(line) >= moment:
                break
        time.sleep(0.0007 * moment % 0.01)
        process.kill()
        process.communicate()
        reached.append(int(line))
    try:
        history = fit(resumed, data, recipe, checkpoint=path, on_step=quiet)
        whole = fit(undisturbed, data, recipe, on_step=quiet)
    finally:
        torch.set_num_threads(threads)

    assert reached == sorted(reached)
    assert history == whole
    assert same(weights(resumed), weights(undisturbed))


def test_a_file_that_cannot_be_written_leaves_the_one_before(data, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    fit(network(), data, CHECKPOINTED, checkpoint=path, on_step=interrupted_at(20))
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fit(network(), data, CHECKPOINTED, checkpoint=path, on_step=quiet)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def pickled(path):
    torch.save({"model": {}}, path)


def of_something_else(path):
    save_file({"model.conv1.weight": torch.zeros(3)}, path)


def older(path):
    tensors = load_file(path)
    save_file(tensors, path, {"format": "resnet_edu training 0", "recipe": "{}"})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_off, "not a whole safetensors file"),
        (pickled, "not a whole safetensors file"),
        (of_something_else, "no checkpoint"),
        (older, "another version"),
    ],
)
def test_a_checkpoint_that_is_none_is_refused_and_left_alone(data, tmp_path, spoil, said):
    path = tmp_path / "run.safetensors"
    fit(network(), data, CHECKPOINTED, checkpoint=path, on_step=interrupted_at(20))
    spoil(path)
    before, model = path.read_bytes(), network(seed=5)
    untouched = weights(model)
    with pytest.raises(FileError, match=said):
        fit(model, data, CHECKPOINTED, checkpoint=path, on_step=quiet)

    assert path.read_bytes() == before
    assert same(weights(model), untouched)


def test_a_checkpoint_of_another_training_is_refused_and_says_what_differs(data, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(network(), data, CHECKPOINTED, checkpoint=path, on_step=interrupted_at(20))
    other = Recipe(steps=70, batch_size=20, learning_rate=0.2)
    fewer = TensorDataset(*(t[:90] for t in data.tensors))
    deeper = cifar_plain(14, num_classes=4)

    with pytest.raises(FileError, match=r"another recipe: learning_rate 0\.03, now 0\.2"):
        fit(network(), data, other, checkpoint=path, on_step=quiet)
    with pytest.raises(FileError, match="other images"):
        fit(network(), fewer, CHECKPOINTED, checkpoint=path, on_step=quiet)
    with pytest.raises(FileError, match="another network: they differ in layer1"):
        fit(deeper, data, CHECKPOINTED, checkpoint=path, on_step=quiet)


def test_a_folder_is_no_checkpoint(data, tmp_path):
    with pytest.raises(FileError, match="is a folder"):
        fit(network(), data, SHORT, checkpoint=tmp_path, on_step=quiet)


# Bad input


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": 0}, "steps must be a whole number, 1 or more; it was 0"),
        ({"steps": 1.5}, "steps"),
        ({"batch_size": -1}, "batch_size"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0 and at most 1e30"),
        ({"learning_rate": -0.1}, "learning_rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"label_smoothing": 2.0}, "label_smoothing"),
        ({"seed": "a"}, "seed"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Recipe(**wrong)


def test_data_that_cannot_be_used_is_refused(data):
    with pytest.raises(ValueError, match="TensorDataset of images and labels"):
        fit(network(), [data[0]], SHORT)
    with pytest.raises(ValueError, match="holds no image"):
        evaluate(network(), TensorDataset(torch.zeros(0, 3, 8, 8), torch.zeros(0).long()))


def test_a_model_that_is_frozen_whole_is_refused(data):
    model = network().requires_grad_(False)
    with pytest.raises(ValueError, match="nothing can be learned"):
        fit(model, data, SHORT, on_step=quiet)


# Precision


@pytest.mark.slow
def test_bfloat16_learns_as_well_as_float32(data, monkeypatch):
    found = {}
    for bfloat16 in (False, True):
        monkeypatch.setattr(training.machine, "bfloat16_pays", lambda _device, b=bfloat16: b)
        model = network()
        history = fit(model, data, Recipe(steps=30, batch_size=32), on_step=quiet)
        found[history.precision] = evaluate(model, data)
        assert all(p.dtype == torch.float32 for p in model.parameters())

    assert found["bfloat16"] > 0.95
    assert found["float32"] > 0.95
