"""Pretraining: it learns, repeats, goes on after a kill, and is shared by several processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import load_file

from resnet_edu import cli, data, files, pretrain, training, weights
from resnet_edu.files import FileError
from resnet_edu.training import Recipe, evaluate

TINY = Recipe(steps=4, batch_size=8, learning_rate=0.05)


@pytest.fixture(scope="module")
def few():
    return pretrain.validation(20)


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    monkeypatch.setattr(training.machine, "bfloat16_pays", lambda _device: False)


def same(one, other):
    one, other = load_file(one), load_file(other)
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# One process


def test_the_network_is_a_resnet50_of_a_quarter_of_the_width_for_all_glyphs():
    model, other = pretrain.network(seed=1), pretrain.network(seed=2)

    blocks = [len(stage) for stage in (model.layer1, model.layer2, model.layer3, model.layer4)]
    assert blocks == [3, 4, 6, 3]
    assert model.conv1.out_channels == 16
    assert model.conv1.kernel_size == (7, 7)
    assert model.fc.out_features == len(data.GLYPHS)
    assert not model.layer1[0].bn3.weight.any()
    assert torch.equal(model.conv1.weight, pretrain.network(seed=1).conv1.weight)
    assert not torch.equal(model.conv1.weight, other.conv1.weight)


def test_a_pass_is_30000_images():
    recipe = pretrain.recipe(passes=2, seed=3)

    assert 0 <= 60_000 - recipe.steps * recipe.batch_size < recipe.batch_size
    assert recipe.seed == 3


def test_weights_are_saved_at_half_precision_and_can_be_loaded(tmp_path, few, capsys):
    state = torch.get_rng_state()
    history = pretrain.pretrain(tmp_path / "new" / "folder", TINY, few)
    saved = tmp_path / "new" / "folder" / "glyphs.safetensors"
    model = weights.load(saved).float()

    assert torch.equal(torch.get_rng_state(), state)
    assert len(history.losses) == 4
    assert "4/4" in capsys.readouterr().err
    assert {t.dtype for t in load_file(saved).values() if t.is_floating_point()} == {torch.float16}
    assert saved.stat().st_size < 4 * 2**20
    assert model.fc.out_features == len(data.GLYPHS)
    assert files.read(saved)[1]["preparation"] == "glyphs"  # finetune --weights FILE asks for it
    assert evaluate(model, few) == pytest.approx(history.validation_accuracy, abs=0.11)


def test_the_seed_decides_and_every_batch_is_new(tmp_path, few, monkeypatch):
    seen, make = [], data.glyphs

    def glyphs(split, count, seed):
        made = make(split, count, seed)
        seen.append((split, count, made.tensors[0]))
        return made

    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(pretrain.data, "glyphs", glyphs)
            pretrain.pretrain(tmp_path / name, Recipe(**{**vars(TINY), "seed": seed}), few)

    a, b, c = (tmp_path / name / pretrain.WEIGHTS for name in "abc")
    assert same(a, b)
    assert not same(a, c)
    batches = [images for _, count, images in seen if count == 8]
    assert {split for split, _, _ in seen} == {"train"}
    assert len(batches) == 12
    assert len({images.sum().item() for images in batches}) == 8  # a and b have the same four
    assert torch.equal(batches[0], batches[4])


def test_it_learns(tmp_path, few, monkeypatch):
    always_these = data.glyphs("train", 16)
    monkeypatch.setattr(pretrain.data, "glyphs", lambda *_: always_these)
    recipe = Recipe(steps=20, batch_size=16, learning_rate=0.05)
    history = pretrain.pretrain(tmp_path, recipe, few)

    assert history.losses[-1] < 0.5 * history.losses[0]
    assert history.accuracies[-1] > 0.8


def test_a_finished_pretraining_is_not_repeated(tmp_path, few, monkeypatch):
    pretrain.pretrain(tmp_path, TINY, few)
    before = load_file(tmp_path / pretrain.WEIGHTS)
    monkeypatch.setattr(training.Run, "take_step", None)
    pretrain.pretrain(tmp_path, TINY, few)

    after = load_file(tmp_path / pretrain.WEIGHTS)
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_checkpoint_of_another_pretraining_is_refused(tmp_path, few):
    pretrain.pretrain(tmp_path, TINY, few)

    with pytest.raises(FileError, match="another recipe: seed 0, now 1"):
        pretrain.pretrain(tmp_path, Recipe(**{**vars(TINY), "seed": 1}), few)


# The command, killed and shared

RUN = """
import os, sys
from resnet_edu import files, pretrain, training
training.machine.bfloat16_pays = lambda _device: False
training.loop.CHECKPOINT_STEPS = 2
made, make = [], pretrain.network
pretrain.network = lambda seed: made.append(make(seed)) or made[0]
recipe = training.Recipe(steps=12, batch_size=8, learning_rate=0.05)
pretrain.pretrain(sys.argv[1], recipe, pretrain.validation(20))
learned = {name: p.half() for name, p in made[0].named_parameters()}
files.write(learned, sys.argv[1] + "/rank" + os.environ.get("RANK", "0"), {})
"""


TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone")


def started(folder, *launcher):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*(launcher or [sys.executable]), str(folder.parent / "run.py"), str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "run.py").write_text(RUN)
    return tmp_path / "whole", tmp_path / "killed"


@pytest.mark.slow
def test_it_goes_on_after_a_kill_to_the_same_weights(folders):
    whole, killed = folders
    first = started(whole)
    _, bar = first.communicate()
    assert first.returncode == 0, bar
    assert " 0/12" in bar

    run = started(killed)
    while not (killed / pretrain.CHECKPOINT).exists():
        time.sleep(0.02)
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not (killed / pretrain.WEIGHTS).exists()

    second = started(killed)
    _, bar = second.communicate()
    assert second.returncode == 0, bar
    assert " 0/12" not in bar  # it did not start anew
    assert same(whole / pretrain.WEIGHTS, killed / pretrain.WEIGHTS)
    assert same(whole / pretrain.CHECKPOINT, killed / pretrain.CHECKPOINT)


@pytest.mark.slow
def test_two_processes_train_one_network(folders):
    shared, _ = folders
    run = started(shared, *TORCHRUN, "--nproc-per-node=2")
    _, said = run.communicate()

    assert run.returncode == 0, said
    assert said.count(" 0/12") == 1  # one bar
    assert weights.load(shared / pretrain.WEIGHTS).conv1.out_channels == 16
    assert same(shared / "rank0", shared / "rank1")  # though each has seen images of its own
    assert len(load_file(shared / pretrain.CHECKPOINT)["losses"]) == 12


def test_each_process_has_images_of_its_own():
    model, some = pretrain.network(), data.glyphs("train", 4)
    batches = []
    for rank in (0, 1):
        run = pretrain._Run(model, some, TINY, torch.device("cpu"))
        run.rank, run.processes = rank, 2
        batches.append(run.next_batch())

    assert [len(images) for images, _ in batches] == [4, 4]
    assert not torch.equal(batches[0][0], batches[1][0])


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tmp_path, few, monkeypatch):
    monkeypatch.setattr(pretrain, "_processes", lambda: nullcontext((0, 3)))
    with pytest.raises(ValueError, match="batch of 8 cannot be shared evenly by 3"):
        pretrain.pretrain(tmp_path, TINY, few)


# The command


def test_the_command_trains_and_reports(tmp_path, few, monkeypatch, capsys):
    monkeypatch.setattr(pretrain, "validation", lambda: few)
    monkeypatch.setattr(pretrain, "recipe", lambda _passes, _seed: TINY)

    assert cli.main(["pretrain", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "32 images" in said
    assert f"Written: {tmp_path / 'glyphs.safetensors'}" in said


def test_the_command_has_the_passes_and_the_seed(tmp_path, monkeypatch):
    asked = []

    def no_training(folder, recipe, _validation):
        asked.append((folder, recipe))
        return training.History(recipe.steps)

    monkeypatch.setattr(pretrain, "validation", lambda: None)
    monkeypatch.setattr(pretrain, "pretrain", no_training)
    cli.main(["pretrain", "--out", str(tmp_path), "--passes", "3", "--seed", "4"])

    assert asked == [(tmp_path, pretrain.recipe(3, 4))]


def test_a_stopped_training_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrain, "validation", lambda: None)
    monkeypatch.setattr(
        pretrain, "pretrain", lambda _f, r, _v: training.History(r.steps, (1.0,), (0.5,))
    )

    assert cli.main(["pretrain", "--out", str(tmp_path)]) == 1
    assert "same command goes on" in capsys.readouterr().out


def test_what_goes_wrong_is_one_sentence(tmp_path, few, monkeypatch, capsys):
    (tmp_path / pretrain.CHECKPOINT).write_bytes(b"not a checkpoint")
    monkeypatch.setattr(pretrain, "validation", lambda: few)

    assert cli.main(["pretrain", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "checkpoint.safetensors is not a whole safetensors file" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--out"),
        (["--out", "x", "--passes", "0"], "invalid whole number from 1 on value: '0'"),
        (["--out", "x", "--passes", "many"], "invalid whole number from 1 on value: 'many'"),
        (["--out", "x", "--seed", "-1"], "invalid whole number from 0 on value: '-1'"),
    ],
)
def test_wrong_options_are_named(options, says, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["pretrain", *options])

    assert error.value.code == 2
    assert says in capsys.readouterr().err
