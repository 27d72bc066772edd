"""Fine-tuning on a folder of photos: from the files to a model, a report and predictions."""

import base64
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest
from sklearn.datasets import load_sample_image
from sklearn.metrics import confusion_matrix

from resnet_edu import cli, data, files, finetune, training, transfer, weights
from resnet_edu.data import photos
from resnet_edu.finetune import features, model_file, report, result, tune
from resnet_edu.networks import resnet18


@pytest.fixture(scope="module", autouse=True)
def short():
    """Trainings of few steps, in float32."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tune, "HEAD_ONLY", (64, 40, 100))
        patched.setattr(tune, "TUNED", (16, 10, 30))
        patched.setattr(training.machine, "bfloat16_pays", lambda _device: False)
        yield


COLOURS = {"red": (200, 40, 40), "green": (40, 180, 40), "blue & <b>": (40, 40, 200)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The file of a small network with random weights, for photos of 64 pixels."""
    path = tmp_path_factory.mktemp("source") / "net.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet18(
            num_classes=7, width=8
        )  # at 4, oneDNN can crash where there is only AVX2
        for _ in range(50):  # its batch norms know images
            network(torch.rand(16, 3, 64, 64))
    weights.save(network, path, {"preparation": "glyphs"})
    return path


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Twenty photos in each of three classes; four of them cannot be used."""
    folder = tmp_path_factory.mktemp("colours")
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for k in range(20):
            noise = generator.normal(0, 30, (80, 70, 3))
            pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k:02}.jpg")
    for name in ("03.jpg", "10.jpg"):
        path = folder / "red" / name
        path.write_bytes(path.read_bytes()[:-1500])
    (folder / "green" / "note.txt").write_text("no photo")
    (folder / "green" / "gone.jpg").symlink_to("nowhere")
    return folder


@pytest.fixture(scope="module")
def done(colours, source, tmp_path_factory):
    """A fine-tuning of the head."""
    return finetune.finetune(
        colours, tmp_path_factory.mktemp("out") / "new" / "run", weights=source
    )


def content_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def same_tensors(one, other):
    one, other = (files.read(path)[0] for path in (one, other))
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def head_inputs(network, paths):
    """The inputs of the head for photos, in the plainest way."""
    prepare = weights.preprocess("glyphs")
    images = torch.cat([prepare(photos.read(path, 64)[None]) for path in paths])
    with torch.no_grad():
        return transfer.split(network.eval(), "layer4")[0](images).flatten(1)


# The whole way


def test_it_learns_and_tells(done):
    assert done.accuracy > 0.9
    assert done.classifier.classes == ("blue & <b>", "green", "red")
    assert done.confusion.sum() == len(done.photos.validation)
    assert done.accuracy == pytest.approx(done.confusion.trace() / done.confusion.sum())
    assert done.accuracy == done.history.validation[done.step]
    assert f"{done.accuracy:.1%} of the photos of validation are right" in repr(done)
    assert str(done.report) in repr(done)
    assert str(done.model_file) in repr(done)


def test_what_cannot_be_used_is_told_and_not_counted(done, colours):
    reasons = {str(s.path.relative_to(colours)): s.reason for s in done.photos.skipped}

    assert reasons.keys() == {"green/gone.jpg", "green/note.txt", "red/03.jpg", "red/10.jpg"}
    assert "cut off" in reasons["red/10.jpg"]
    assert "4 files were not used" in repr(done)
    used = {photo.path for photo in done.photos.train + done.photos.validation}
    assert len(used) == 58
    assert colours / "red" / "03.jpg" not in used


def test_the_head_is_trained_and_nothing_else(done, source):
    before = weights.load(source).state_dict()
    after = weights.load(done.model_file).state_dict()

    assert {n for n in before if not torch.equal(before[n], after[n])} == {"fc.weight", "fc.bias"}
    assert after["fc.weight"].shape == (3, before["fc.weight"].shape[1])


def test_with_layer3_frozen_layer4_learns_and_the_rest_stays_to_the_last_buffer(
    colours, source, tmp_path
):
    tuned = finetune.finetune(colours, tmp_path / "out", weights=source, freeze="layer3")
    before = weights.load(source).state_dict()
    after = weights.load(tuned.model_file).state_dict()
    changed = {n for n in before if not torch.equal(before[n], after[n])}

    assert {n.split(".")[0] for n in changed} == {"layer4", "fc"}
    assert {n for n in before if n.startswith("layer4") and n not in changed} == set()
    assert tuned.accuracy > 0.9


def test_with_nothing_frozen_all_stages_learn(colours, source, tmp_path):
    tuned = finetune.finetune(colours, tmp_path / "out", weights=source, freeze=None)
    before = weights.load(source).state_dict()
    after = weights.load(tuned.model_file).state_dict()
    changed = {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}

    assert changed == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}
    assert tuned.accuracy > 0.9
    rows = (tmp_path / "out" / "features.bin").stat().st_size
    assert rows == 58 * 3 * 64 * 64 * 4  # the photos themselves, each read once


def test_the_weights_of_imagenet_get_photos_of_224_pixels(colours, tmp_path, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(weights, "imagenet", lambda: resnet18(width=8).eval())
    got, compute = [], transfer.compute
    monkeypatch.setattr(
        transfer, "compute", lambda net, x: got.append(tuple(x.shape)) or compute(net, x)
    )
    tuned = finetune.finetune(colours, tmp_path / "out")
    first = next(photo.path for photo in tuned.photos.train)
    expected = weights.preprocess("imagenet")(photos.read(first, 232)[None])

    assert tuned.layer == "layer4"
    assert {shape[2:] for shape in got if shape[1] == 3} == {(224, 224)}
    assert max(shape[0] for shape in got if shape[1] == 3) == features.BATCH
    torch.testing.assert_close(tuned.classifier.preparation.read(first), expected)


def test_the_callers_random_numbers_are_as_they_were(colours, source, tmp_path):
    state = torch.get_rng_state()
    finetune.finetune(colours, tmp_path / "out", weights=source)

    assert torch.equal(torch.get_rng_state(), state)


# Features


def test_features_are_what_the_frozen_part_puts_out_pooled(done, source):
    used = done.photos.train + done.photos.validation
    rows = np.fromfile(done.model_file.with_name("features.bin"), np.float32).reshape(58, -1)
    expected = head_inputs(weights.load(source), [photo.path for photo in used])

    torch.testing.assert_close(torch.from_numpy(rows), expected, atol=1e-5, rtol=1e-4)


def test_features_are_computed_once(done, colours, source, monkeypatch, capsys):
    before = content_of(done.model_file.parent)
    monkeypatch.setattr(tune._Run, "take_step", None)
    read, only = photos.read, {m.path for m in done.mistakes}
    monkeypatch.setattr(photos, "read", lambda path, side: path in only and read(path, side))
    again = finetune.finetune(colours, done.model_file.parent, weights=source)

    after = content_of(done.model_file.parent)
    assert {n for n in before if n != tune.MODEL and after[n] != before[n]} == set()
    assert again.accuracy == done.accuracy
    assert again.photos == done.photos
    assert "58 to train" not in capsys.readouterr().out


def test_without_room_on_the_disk_nothing_is_computed(colours, source, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    monkeypatch.setattr(photos, "read", None)

    with pytest.raises(OSError, match=r"takes 0\.0 GB.*0\.0 GB are free. Make room.*freeze up to"):
        finetune.finetune(colours, tmp_path / "out", weights=source, freeze="stem")


# The best state


def test_the_state_that_was_best_in_validation_is_kept(colours, source, tmp_path, monkeypatch):
    step = training.Run.take_step

    def collapse_later(run):
        step(run)
        if run.step > 50:
            with torch.no_grad():
                run.model.fc.bias += torch.tensor([1e3, 0.0, 0.0])

    monkeypatch.setattr(training.Run, "take_step", collapse_later)
    tuned = finetune.finetune(colours, tmp_path / "out", weights=source)

    assert tuned.history.validation_accuracy < 0.5
    assert tuned.accuracy == max(tuned.history.validation.values()) > 0.9
    assert tuned.step == 50  # of equals the last
    right = [
        next(finetune.predict(tuned.model_file, [photo.path])).probabilities
        for photo in tuned.photos.validation
    ]
    assert [next(iter(p)) for p in right].count("blue & <b>") == 4


# Broken off


def in_a_process_of_its_own(folder, out, source):
    tune.HEAD_ONLY = (64, 40, 100)
    read, take_step = photos.read, training.Run.take_step

    def slow_read(path, side):
        time.sleep(0.01)
        return read(path, side)

    def slow_step(run):
        time.sleep(0.02)
        take_step(run)

    photos.read, training.Run.take_step = slow_read, slow_step  # so that the kills hit work
    finetune.finetune(folder, out, weights=source)


@pytest.mark.slow
def test_after_kills_at_any_moment_the_result_is_the_same(colours, source, done, tmp_path):
    fresh = multiprocessing.get_context("forkserver")
    fresh.set_forkserver_preload([__name__, "resnet_edu.finetune.report", "torchvision.models"])
    chance, out, killed = Random(0), tmp_path / "run", 0
    for moment in ("features.bin", "features.json", tune.CHECKPOINT, tune.CHECKPOINT, tune.BEST):
        before = [p.stat().st_mtime_ns for p in (out / moment,) if p.exists()]
        process = fresh.Process(target=in_a_process_of_its_own, args=(colours, out, source))
        process.start()
        until = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < until:
            if [p.stat().st_mtime_ns for p in (out / moment,) if p.exists()] != before:
                break
            time.sleep(0.002)
        time.sleep(0.1 * chance.random())
        killed += process.is_alive()
        process.kill()
        process.join()
    assert killed >= 4
    finished = finetune.finetune(colours, out, weights=source)

    assert same_tensors(finished.model_file, done.model_file)
    assert finished.history == done.history
    assert finished.photos == done.photos
    assert (out / "features.bin").read_bytes() == (
        done.model_file.with_name("features.bin").read_bytes()
    )


def test_rows_that_do_not_count_yet_are_written_again(colours, source, done, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(done.model_file.parent, out)
    for path in out.iterdir():
        if path.name not in (tune.PLAN, "features.bin"):
            path.unlink()
    rows = (out / "features.bin").read_bytes()
    with (out / "features.bin").open("r+b") as file:
        file.truncate(len(rows) // 2 + 3)  # a row begun, and no note of how many there are
    again = finetune.finetune(colours, out, weights=source)

    assert (out / "features.bin").read_bytes() == rows
    assert same_tensors(again.model_file, done.model_file)


def test_an_interrupt_while_photos_are_read(colours, source, done, tmp_path, monkeypatch, capsys):
    read, count = photos.read, iter(range(1000))

    def interrupted(path, side):
        if next(count) == 40:
            raise KeyboardInterrupt
        return read(path, side)

    command = ["finetune", str(colours), "--weights", str(source), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patched:
        patched.setattr(photos, "read", interrupted)
        assert cli.main(command) == 1
    assert "Stopped. The same command goes on from here." in capsys.readouterr().err

    assert cli.main(command) == 0
    said = capsys.readouterr()
    assert re.search(r"Photos: +\d+%.* 32/60", said.err)
    assert "not used: " in said.err
    assert f"Model:  {tmp_path / 'run' / tune.MODEL}" in said.out
    assert same_tensors(tmp_path / "run" / tune.MODEL, done.model_file)


def test_an_interrupt_while_it_trains(colours, source, done, tmp_path, monkeypatch, capsys):
    step = tune._Run.take_step

    def interrupted(run):
        step(run)
        if run.step == 33:
            os.kill(os.getpid(), signal.SIGINT)

    command = ["finetune", str(colours), "--weights", str(source), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patched:
        patched.setattr(tune._Run, "take_step", interrupted)
        assert cli.main(command) == 1
    assert "The same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "run" / tune.MODEL).exists()

    assert cli.main(command) == 0
    assert "33/100" in capsys.readouterr().err
    assert same_tensors(tmp_path / "run" / tune.MODEL, done.model_file)


# What is refused


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"freeze": "layer3"}, "another run, with freeze 'layer4', now 'layer3'"),
        ({"weights": "glyphs"}, "another run, with weights '.*net.safetensors', now 'glyphs'"),
    ],
)
def test_the_folder_of_another_run_is_left_as_it_is(done, colours, source, change, says):
    before = content_of(done.model_file.parent)
    with pytest.raises(files.FileError, match=f"{says}.*Nothing was changed.*new folder"):
        finetune.finetune(colours, done.model_file.parent, **{"weights": source, **change})

    assert content_of(done.model_file.parent) == before


def test_the_folder_of_another_run_is_refused_before_a_download(done, colours, monkeypatch):
    monkeypatch.setattr(weights, "imagenet", None)

    with pytest.raises(files.FileError, match=r"net.safetensors', now 'imagenet'"):
        finetune.finetune(colours, done.model_file.parent)


def test_a_run_with_other_photos_or_other_weights_of_that_name(done, colours, source, tmp_path):
    for name, path in (("photos", colours), ("net", source)):
        copy = partial(shutil.copytree, symlinks=True) if path.is_dir() else shutil.copy2
        copy(path, tmp_path / name)
    out = tmp_path / "run"
    plan = json.loads(done.model_file.with_name(tune.PLAN).read_text())
    out.mkdir()
    (out / tune.PLAN).write_text(json.dumps(plan | {"weights": str(tmp_path / "net")}))

    Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "red" / "new.png")
    with pytest.raises(files.FileError, match="with other photos, or they were changed since"):
        finetune.finetune(tmp_path / "photos", out, weights=tmp_path / "net")
    weights.save(resnet18(7, width=4), tmp_path / "net", {"preparation": "glyphs"})
    with pytest.raises(files.FileError, match="with other weights in a file of that name"):
        finetune.finetune(colours, out, weights=tmp_path / "net")
    assert [p.name for p in out.iterdir()] == [tune.PLAN]


@pytest.mark.parametrize("name", ["letter.txt", tune.PLAN])
def test_a_folder_with_other_things_is_left_as_it_is(colours, source, tmp_path, name):
    (tmp_path / name).write_text("mine")

    with pytest.raises(files.FileError, match=r"holds (other things already|another run)"):
        finetune.finetune(colours, tmp_path, weights=source)
    assert content_of(tmp_path) == {name: b"mine"}


def test_a_half_written_plan_is_no_other_thing(colours, source, tmp_path):
    (tmp_path / f"{tune.PLAN}.part").write_bytes(b"{")

    assert finetune.finetune(colours, tmp_path, weights=source).accuracy > 0.9


def test_a_folder_among_the_photos_is_refused(colours, source):
    for out in (colours, colours / "out", colours / "red" / ".." / "out"):
        with pytest.raises(ValueError, match="would be taken for a class the next time"):
            finetune.finetune(colours, out, weights=source)
    assert not (colours / "out").exists()


def test_other_weights(colours, tmp_path):
    plain = tmp_path / "plain.safetensors"
    weights.save(resnet18(7, width=4), plain)
    torch.save({}, tmp_path / "net.pth")

    for name, says in (
        ("no such", "imagenet, glyphs, or a file; there is no file 'no such'"),
        (plain, "does not say what photos go through before it"),
        (tmp_path / "net.pth", "not a whole safetensors file"),
    ):
        with pytest.raises(ValueError, match=says):
            finetune.finetune(colours, tmp_path / "out", weights=name)
    assert not (tmp_path / "out").exists()


def test_weights_that_put_out_no_numbers(colours, tmp_path):
    network = resnet18(7, width=4)
    torch.nn.init.constant_(network.layer4[1].bn2.bias, float("nan"))
    weights.save(network, tmp_path / "nan", {"preparation": "glyphs"})

    with pytest.raises(ValueError, match="Its weights cannot be used"):
        finetune.finetune(colours, tmp_path / "out", weights=tmp_path / "nan")


def test_an_unknown_stage(colours, source, tmp_path):
    with pytest.raises(ValueError, match="no stage 'layer9'; the stages are stem, layer1"):
        finetune.finetune(colours, tmp_path / "out", weights=source, freeze="layer9")
    assert not (tmp_path / "out").exists()


def test_a_class_of_which_every_photo_is_damaged(colours, source, tmp_path):
    shutil.copytree(colours, tmp_path / "photos", symlinks=True)
    for path in (tmp_path / "photos" / "green").glob("*.jpg"):
        if path.exists():
            path.write_bytes(path.read_bytes()[:-1500])

    with pytest.raises(photos.FolderError, match=r"No photo of the class 'green' is left.*cut off"):
        finetune.finetune(tmp_path / "photos", tmp_path / "out", weights=source)


def test_no_photo_left_to_validate_with(colours, source, tmp_path):
    made = tmp_path / "photos"
    for path in ("train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"):
        (made / path).parent.mkdir(parents=True)
        shutil.copy(colours / "red" / "00.jpg", made / path)
    (made / "val/a/1.jpg").write_bytes((made / "val/a/1.jpg").read_bytes()[:-1500])

    with pytest.raises(photos.FolderError, match=r"No photo is left to validate with.*cut off"):
        finetune.finetune(made, tmp_path / "out", weights=source)


def test_two_photos_are_enough_to_train_on(colours, source, tmp_path):
    for path in ("train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "val/b/2.jpg"):
        (tmp_path / "photos" / path).parent.mkdir(parents=True)
        name = {"a": "red", "b": "green"}[path.split("/")[1]]
        shutil.copy(colours / name / f"0{path[-5]}.jpg", tmp_path / "photos" / path)
    for freeze in ("layer4", None):
        out = tmp_path / str(freeze)
        tuned = finetune.finetune(tmp_path / "photos", out, weights=source, freeze=freeze)
        assert tuned.confusion.sum() == 2


# The model file and predictions


def test_a_model_file_is_all_that_predict_needs(done, tmp_path):
    moved = shutil.copy(done.model_file, tmp_path / "elsewhere")
    of = [photo.path for photo in done.photos.validation]
    inputs = head_inputs(weights.load(done.model_file), of)
    head = weights.load(done.model_file).fc
    expected = head(inputs).softmax(1).detach()
    predicted = list(finetune.predict(moved, of))

    assert [p.path for p in predicted] == of
    for prediction, probabilities in zip(predicted, expected, strict=True):
        given = prediction.probabilities
        assert list(given.values()) == sorted(given.values(), reverse=True)
        torch.testing.assert_close(
            torch.tensor([given[name] for name in done.classifier.classes]),
            probabilities,
            atol=1e-4,
            rtol=0,
        )


def test_a_fine_tuned_model_can_be_tuned_on(done, colours, tmp_path):
    again = finetune.finetune(colours, tmp_path / "out", weights=done.model_file)

    assert again.accuracy > 0.9


@pytest.mark.parametrize(
    "notes",
    [
        {},
        {"classes": '["a", "b"]', "preparation": "glyphs"},
        {"classes": '["a", "b", 3]', "preparation": "glyphs"},
        {"classes": "[", "preparation": "glyphs"},
        {"classes": "3", "preparation": "glyphs"},
        {"classes": '["a", "b", "c"]'},
        {"classes": '["a", "b", "c"]', "preparation": "os.system"},
    ],
)
def test_a_network_without_right_notes_is_no_classifier(tmp_path, notes):
    weights.save(resnet18(3, width=4), tmp_path / "net", notes)

    with pytest.raises(files.FileError, match="not the names of its classes"):
        finetune.load(tmp_path / "net")


def test_a_damaged_model_file(done, tmp_path):
    whole = done.model_file.read_bytes()
    (tmp_path / "net").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(files.FileError, match="not a whole safetensors file"):
        finetune.predict(tmp_path / "net", [])


def test_a_prediction_names_the_three_most_likely_classes():
    likely = {"cat": 0.61234, "dog": 0.3, "emu": 0.05, "fox": 0.03766}

    assert str(model_file.Prediction(Path("a.jpg"), likely)) == (
        "a.jpg: cat 61.2%, dog 30.0%, emu 5.0%"
    )


def test_the_command_predicts_the_others_though_one_is_bad(done, colours, capsys):
    good, other = colours / "red" / "00.jpg", colours / "green" / "01.jpg"
    bad = colours / "green" / "note.txt"

    assert cli.main(["predict", str(done.model_file), str(good), str(bad), str(other)]) == 1
    said = capsys.readouterr()
    assert [line.split(" ")[0] for line in said.out.splitlines()] == [f"{good}:", f"{other}:"]
    assert re.search(r": red \d+\.\d%, ", said.out)
    assert said.err.startswith(f"{bad}: Not a photo")

    assert cli.main(["predict", str(done.model_file), str(good)]) == 0
    assert cli.main(["predict", str(bad), str(good)]) == 1
    assert "resnet-edu predict: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "PHOTOS"),
        (["photos"], "--out"),
        (["photos", "--out", "x", "--freeze", "layer5"], "invalid choice: 'layer5'"),
    ],
)
def test_a_command_that_is_not_understood(arguments, says, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["finetune", *arguments])
    assert says in capsys.readouterr().err


def test_what_goes_wrong_is_one_sentence(tmp_path, capsys):
    command = ["finetune", str(tmp_path / "no"), "--out", str(tmp_path / "out")]

    assert cli.main(command) == 1
    assert capsys.readouterr().err.startswith("resnet-edu finetune: ")
    assert not (tmp_path / "out").exists()


def test_none_is_a_choice_of_the_command(monkeypatch, tmp_path):
    asked = []

    def refuse(_folder, _out, *, weights, freeze):
        asked.append((weights, freeze))
        raise ValueError

    monkeypatch.setattr(finetune, "finetune", refuse)
    for freeze in (["--freeze", "none"], ["--freeze", "stem"], []):
        assert cli.main(["finetune", "photos", "--out", str(tmp_path), *freeze]) == 1
    assert asked == [("imagenet", None), ("imagenet", "stem"), ("imagenet", "layer4")]


# The result


def test_the_confusion_matrix_is_scikit_learns():
    true, taken = torch.tensor([0, 0, 1, 1, 1, 3]), torch.tensor([0, 2, 1, 1, 0, 3])
    ours = result.confusion(true, taken, 4)

    assert np.array_equal(ours, confusion_matrix(true, taken, labels=range(4)))


def test_the_most_confident_mistakes_come_first(done, monkeypatch):
    monkeypatch.setattr(result, "MOST_MISTAKES", 3)
    some = done.photos.validation[:5]
    assert {photo.label for photo in some} <= {0, 1}
    unseen = features.Features(torch.empty(0), some)
    logits = torch.full((5, 3), -9.0)
    for row, photo in enumerate(some):
        logits[row, 2] = row * (row != 3)  # all are taken for red
        logits[row, photo.label] = 9.0 if row == 3 else 0.5  # but the fourth
    found = result.mistakes(done.classifier, unseen, logits)

    assert [m.path for m in found] == [some[4].path, some[2].path, some[1].path]
    assert all(m.taken_for == "red" and m.true != "red" for m in found)
    assert found[0].probability == pytest.approx(logits[4].softmax(0)[2].item())
    assert found[0].image.shape == (3, 64, 64)
    assert found[0].heat.shape == (64, 64)
    expected = photos.read(some[4].path, 64)[:, 4:68, :]  # 64 x 73: the middle
    np.testing.assert_allclose(found[0].image, expected, atol=1e-6)


def test_heat_maps_are_made_of_the_last_stage_that_is_not_too_coarse(done):
    imagenet = features.Preparation("imagenet", weights.preprocess("imagenet"))

    assert result.heat_layer(done.classifier) == "layer3"  # 4 x 4; layer4 has 2 x 2
    assert result.heat_layer(replace(done.classifier, preparation=imagenet)) == "layer4"


@pytest.mark.parametrize("name", ["imagenet", "glyphs"])
def test_a_prepared_photo_can_be_shown_again(name):
    preparation = features.Preparation(name, weights.preprocess(name))
    image = torch.rand(3, 300, 300)
    prepared = preparation.apply(image[None])[0]
    side, resized = preparation.side, preparation.apply.resize_size[0]
    small = torch.nn.functional.interpolate(image[None], resized, mode="bilinear", antialias=True)
    start = (resized - side) // 2
    middle = small[0, :, start : start + side, start : start + side]

    torch.testing.assert_close(preparation.shown(prepared), middle, atol=1e-5, rtol=0)


# The report


class Page(HTMLParser):
    """The tags of a page, their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.text += text


@pytest.fixture(scope="module")
def with_mistakes(done, tmp_path_factory):
    """The same result, had it made three mistakes."""
    mistakes = tuple(
        result.Mistake(
            photo.path, "green", "blue & <b>", 0.9, np.full((3, 64, 64), 0.5), np.eye(64)
        )
        for photo in done.photos.validation[:2]
    )
    confusion = np.array([[4, 0, 0], [3, 1, 0], [0, 0, 4]])
    path = tmp_path_factory.mktemp("report") / "report.html"
    wrong = replace(done, mistakes=mistakes, confusion=confusion, accuracy=9 / 12, report=path)
    report.write(wrong)
    return Page(path.read_text(encoding="utf-8"))


def test_a_report_is_one_file_that_asks_nobody(with_mistakes):
    tags = [tag for tag, _ in with_mistakes.tags]
    sources = [a["src"] for _, a in with_mistakes.tags if "src" in a]

    assert not {"script", "link", "iframe", "object"} & set(tags)
    assert len(sources) == 2 + 2 * 2
    assert all(source.startswith("data:image/") for source in sources)
    assert not any("href" in attributes for _, attributes in with_mistakes.tags)
    for source in sources:
        content = base64.b64decode(source.partition(",")[2], validate=True)
        assert content.startswith((b"\x89PNG", b"\xff\xd8"))
    assert all(a.get("alt") for tag, a in with_mistakes.tags if tag == "img")


def test_a_report_says_all_that_came_of_it(with_mistakes, done, colours):
    text = " ".join(with_mistakes.text.split())

    assert "75.0% of the photos of validation are right: 9 of 12." in text
    assert "always names the most frequent class is right in 33%" in text
    assert "The 2 most confident of 3 mistakes" in text
    assert "Is green, taken for blue & <b> (90%)" in text
    assert "red/03.jpg" in text
    assert "cut off or damaged" in text
    assert f"resnet-edu finetune {colours} --weights" in text
    assert "--freeze layer4" in text
    assert f"resnet-edu predict {done.model_file} PHOTO" in text
    assert f"the state after step {done.step}, the best" in text
    assert not any(tag == "b" and a for tag, a in with_mistakes.tags)


def test_a_report_without_mistakes_and_with_nothing_put_aside(done, tmp_path):
    clean = replace(
        done,
        mistakes=(),
        confusion=np.diag([4, 4, 4]),
        photos=replace(done.photos, skipped=()),
        report=tmp_path / "report.html",
    )
    report.write(clean)
    text = Page(clean.report.read_text(encoding="utf-8")).text

    assert "There are none: every photo of validation is right." in text
    assert "every file is a photo that could be read" in text


@pytest.mark.parametrize(("right", "of"), [(0, 1), (1, 1), (13, 29), (50, 50), (799, 800)])
def test_the_range_of_an_accuracy_is_wilsons(right, of):
    expected = binomtest(right, of).proportion_ci(0.95, method="wilson")

    assert report.interval(right, of) == pytest.approx((expected.low, expected.high), abs=1e-4)


# By the command line, with real photos


MAIN = "import sys; from resnet_edu.cli import main; sys.exit(main())"


@pytest.mark.slow
def test_photos_to_predictions_by_the_command_line(tmp_path):
    folder, out, new = tmp_path / "my photos", tmp_path / "my run", tmp_path / "new"
    new.mkdir()
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 300, (24, 2))
    for name, file in (("flower", "flower.jpg"), ("palace", "china.jpg")):
        (folder / name).mkdir(parents=True)
        photo = Image.fromarray(load_sample_image(file))
        for k, (x, y) in enumerate(corners):
            crop = photo.crop((x, y // 3, x + 330, y // 3 + 320))
            crop.save((folder / name if k < 20 else new) / f"{name} {k}.jpg")
    images, labels = data.digits(size=48).tensors
    (folder / "seven").mkdir()
    for k, image in enumerate(images[labels == 7][:24]):
        pixels = (image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save((folder / "seven" if k < 20 else new) / f"seven {k}.png")

    def command(*words):
        run = [sys.executable, "-c", MAIN, *map(str, words)]
        return subprocess.run(run, capture_output=True, text=True)

    tuned = command("finetune", folder, "--weights", "glyphs", "--out", out)
    assert tuned.returncode == 0, tuned.stderr
    assert "60 photos in 3 classes: 48 to train on, 12 to validate with" in tuned.stdout
    assert "Warning" not in tuned.stderr
    assert (out / "report.html").stat().st_size < 2**20

    predicted = command("predict", out / "model.safetensors", *sorted(new.iterdir()))
    assert predicted.returncode == 0, predicted.stderr
    lines = predicted.stdout.splitlines()
    assert len(lines) == 12
    right = [
        Path(line.split(": ")[0]).name.split()[0] == line.split(": ")[1].split()[0]
        for line in lines
    ]
    assert sum(right) >= 11
