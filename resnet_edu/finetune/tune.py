"""The fine-tuning itself: from a folder of photos to a model file and a report."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu import files, training, transfer, weights
from resnet_edu.data import photos
from resnet_edu.data.photos import PhotoFolder, Skipped
from resnet_edu.finetune import features
from resnet_edu.finetune.features import Features, Preparation
from resnet_edu.finetune.model_file import Classifier
from resnet_edu.finetune.result import Result, confusion, heat_layer, mistakes
from resnet_edu.networks import HEAD, head, stage_of
from resnet_edu.training import History, Recipe

MODEL, REPORT = "model.safetensors", "report.html"
PLAN, CHECKPOINT, BEST = "run.json", "checkpoint.safetensors", "best.safetensors"
HEAD_ONLY, TUNED = (64, 40, 400), (16, 10, 100)
"""Photos in a batch, passes over all photos, and steps that are taken where these are fewer."""
VALIDATIONS = 20
CONVOLUTION_RATE = 0.01
SAMPLE = 100
"""Photos that the learning rate of the head is found with."""


def finetune(
    folder: str | Path,
    out: str | Path,
    *,
    weights: str | Path = "imagenet",
    freeze: str | None = "layer4",
) -> Result:
    """Teach a pretrained network the classes of the photos in `folder`; leave model and report in `out`.

    `folder` has one folder of photos for each class, or train/ and val/ with one for each: see
    `data.photos.find`. `weights` is "imagenet" (a ResNet-50, downloaded once), "glyphs" (the small one
    that comes with the course), or a file written by `finetune`. `freeze` is the last stage that stays as
    it is: "stem", "layer1", ... "layer4"; None trains all.

    What the frozen stages make of each photo is computed once. Of the rest, the state that is best on the
    photos of validation is kept. `out` also holds the state of the work: called again with the same
    arguments, `finetune` goes on from there, to the same result as without a break.

    Raises FolderError for a folder that nothing can be learned from, FileError where `out` holds something
    else, DownloadError where ImageNet's weights cannot be had, ValueError for other arguments that cannot
    work, OSError where the disk does not allow it, KeyboardInterrupt where the training was interrupted.
    """
    folder, out = Path(folder), Path(out)
    _require_apart(folder, out)
    found = photos.find(folder)
    print(found, flush=True)
    settings = {
        "weights": str(weights),
        "freeze": freeze or "none",
        "photos": _digest_of_photos(found),
    }
    _require_own(out, settings)  # before a download
    network, preparation = _pretrained(weights)
    classifier = Classifier(_with_new_head(network, len(found.classes)), found.classes, preparation)
    transfer.freeze(network, freeze)
    frozen, rest = transfer.split(network, freeze)
    _claim(out, settings | {"network": _digest_of(network)})

    device = training.fastest_device(network)
    network.to(device, memory_format=torch.channels_last)
    computed, unreadable = features.compute(
        frozen, found.train + found.validation, preparation, out
    )
    train, validation = _parts(computed, found)
    _require_every_class(train, validation, found.classes, unreadable)
    recipe = _recipe(rest, train)
    history, step = _train(rest, train, validation, recipe, out)

    logits = transfer.compute(rest, validation.outputs)
    network.to("cpu", memory_format=torch.contiguous_format).eval().requires_grad_(True)
    classifier.save(out / MODEL)
    used = replace(
        found,
        train=train.photos,
        validation=validation.photos,
        skipped=found.skipped + unreadable,
    )
    result = Result(
        photos=used,
        classifier=classifier,
        history=history,
        step=step,
        accuracy=history.validation[step],
        confusion=confusion(validation.labels, logits.argmax(1), len(found.classes)),
        mistakes=tuple(mistakes(classifier, validation, logits)),
        layer=heat_layer(classifier),
        weights=str(weights),
        freeze=freeze,
        recipe=recipe,
        model_file=out / MODEL,
        report=out / REPORT,
    )
    from resnet_edu.finetune import report  # here, for it loads matplotlib

    report.write(result)
    return result


# Before the training


def _require_apart(folder: Path, out: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{out} lies in {folder}, where it would be taken for a class the next time. Give a folder "
            f"beside it."
        )


def _pretrained(name: str | Path) -> tuple[nn.Module, Preparation]:
    """The network with these weights, and what photos go through before it."""
    if name == "imagenet":
        return weights.imagenet(), _preparation("imagenet")
    if name == "glyphs":
        return weights.bundled(), _preparation("glyphs")
    if not Path(name).exists():
        raise ValueError(
            f"The weights are imagenet, glyphs, or a file; there is no file {str(name)!r}."
        )
    network = weights.load(name).float()
    prepared_by = files.read(name)[1].get("preparation")
    if prepared_by is None:
        raise files.FileError(
            f"{name} holds a network, but does not say what photos go through before it. Write it with "
            f'this note: weights.save(network, path, {{"preparation": "imagenet"}}), or "glyphs".'
        )
    return network, _preparation(prepared_by)


def _preparation(name: str) -> Preparation:
    return Preparation(name, weights.preprocess(name))


def _with_new_head(network: nn.Module, classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        transfer.replace_head(network, classes)
    nn.init.zeros_(head(network).weight)  # at first all classes are equally likely
    nn.init.zeros_(head(network).bias)
    return network


def _claim(out: Path, settings: dict[str, str]) -> None:
    """Make the folder this run's own, if it is not so already."""
    _require_own(out, settings)
    out.mkdir(parents=True, exist_ok=True)
    files.put(json.dumps(settings, indent=2).encode(), out / PLAN)


def _require_own(out: Path, settings: dict[str, str]) -> None:
    """Refuse the folder of another run, or of anything else. It is left as it is."""
    if not out.exists():
        return
    if not (out / PLAN).exists():
        begun = (".", PLAN)  # hidden files, and a plan that a kill left half written
        if others := [p.name for p in out.iterdir() if not p.name.startswith(begun)]:
            raise files.FileError(
                f"{out} holds other things already, such as {min(others)}. Nothing was changed. Give a "
                f"new or empty folder."
            )
        return
    try:
        theirs = dict(json.loads((out / PLAN).read_text(encoding="utf-8")))
    except ValueError:
        theirs = {}
    for name, ours in settings.items():
        if theirs.get(name) != ours:
            raise files.FileError(
                f"{out} holds another run, {_difference(name, theirs, settings)}. Nothing was changed. "
                f"Give a new folder, or move this one away."
            )


def _difference(name: str, theirs: dict[str, str], ours: dict[str, str]) -> str:
    if name in ("weights", "freeze"):
        return f"with {name} {theirs.get(name)!r}, now {ours[name]!r}"
    what = {"network": "other weights in a file of that name", "photos": "other photos"}[name]
    return f"with {what}, or they were changed since"


def _digest_of(network: nn.Module) -> str:
    """A short name for a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _digest_of_photos(found: PhotoFolder) -> str:
    """A short name for the photos and their classes, from names, sizes and times of change."""
    digest = hashlib.sha256(json.dumps(found.classes).encode())
    for part in (found.train, found.validation):
        for path, label in part:
            about = path.stat()
            name = path.relative_to(found.path).as_posix()
            line = [name, label, about.st_size, about.st_mtime_ns]
            digest.update(json.dumps(line).encode())
    return digest.hexdigest()


# The training


def _recipe(rest: nn.Module, train: Features) -> Recipe:
    """How to train what is not frozen.

    A step of 1 / |x|^2 is safe for a linear layer with inputs x, whatever their scale. Convolutions are
    held to a rate that hardly hurts what they have learned before.
    """
    inputs = transfer.compute(rest[:-1], train.outputs[:SAMPLE])  # of the head
    size = inputs.square().sum(1).mean().item()
    if not 0 < size < math.inf:
        raise ValueError(
            "The network puts out nothing but zeros, or infinite numbers, for these photos. Its weights "
            "cannot be used."
        )
    head_rate = float(f"{1 / size:.1e}")
    tuned = {stage_of(name) for name, _ in rest.named_parameters()} - {*HEAD}
    most, passes, fewest_steps = TUNED if tuned else HEAD_ONLY
    batch_size = min(most, len(train.photos))
    return Recipe(
        steps=max(fewest_steps, passes * (len(train.photos) // batch_size)),
        batch_size=batch_size,
        learning_rate=head_rate,
        weight_decay=5e-3,
        rates=dict.fromkeys(sorted(tuned), CONVOLUTION_RATE / head_rate),
    )


def _parts(computed: Features, found: PhotoFolder) -> tuple[Features, Features]:
    """The features of the photos to train on, and those of the photos to validate with."""
    known = set(found.train)
    rows = sum(photo in known for photo in computed.photos)
    return (
        Features(computed.outputs[:rows], computed.photos[:rows]),
        Features(computed.outputs[rows:], computed.photos[rows:]),
    )


def _require_every_class(
    train: Features, validation: Features, classes: Sequence[str], unreadable: Sequence[Skipped]
) -> None:
    of_class = Counter(photo.label for photo in train.photos)
    first = f" The first of the damaged files: {unreadable[0]}" if unreadable else ""
    for label, name in enumerate(classes):
        if not of_class[label]:
            raise photos.FolderError(
                f"No photo of the class {name!r} is left to train on. Add some, or take its folder away, "
                f"and give a new folder for the results.{first}"
            )
    if not validation.photos:
        raise photos.FolderError(f"No photo is left to validate with. Add some.{first}")


def _train(
    rest: nn.Module, train: Features, validation: Features, recipe: Recipe, out: Path
) -> tuple[History, int]:
    """Train, and leave `rest` in its best state; give the history, and the step of that state."""
    data = TensorDataset(train.outputs, train.labels)
    with training.prepared(rest) as device:
        run = _Run(rest, data, recipe, device)
        run.unseen, run.best = validation, out / BEST
        run.bfloat16 &= any(isinstance(module, nn.Conv2d) for module in rest.modules())
        history = training.complete(run, checkpoint=out / CHECKPOINT)
    if history.stopped:
        raise KeyboardInterrupt
    state, words = files.read(out / BEST)
    weights.load_by_name(rest, state)
    return history, int(words["step"])


class _Run(training.Run):
    """A training that measures itself on photos it does not see, and keeps its best state in a file."""

    unseen: Features
    best: Path

    def take_step(self) -> None:
        """One step, and twenty times in a training the accuracy after it."""
        before = self.step * VALIDATIONS // self.recipe.steps
        super().take_step()
        if self.step * VALIDATIONS // self.recipe.steps == before:
            return
        taken_for = transfer.compute(self.model, self.unseen.outputs).argmax(1)
        accuracy = (taken_for == self.unseen.labels).float().mean().item()
        self.validation[self.step] = accuracy
        if accuracy == max(self.validation.values()):  # of equals the later one, longer trained
            files.write(self.model.state_dict(), self.best, {"step": str(self.step)})
