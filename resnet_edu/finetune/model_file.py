"""A fine-tuned network in one file, with all that it takes to use it: nothing else has to be known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from resnet_edu import files, weights
from resnet_edu.data.photos import PhotoError, Skipped
from resnet_edu.finetune.features import Preparation


@dataclass(frozen=True)
class Classifier:
    """A network, the names of its classes, and what photos must go through before it."""

    network: nn.Module
    classes: tuple[str, ...]
    preparation: Preparation

    def save(self, path: str | Path) -> None:
        """Write all of it to one safetensors file, whole or not at all."""
        notes = {"classes": json.dumps(self.classes), "preparation": self.preparation.name}
        weights.save(self.network, path, notes)


@dataclass(frozen=True)
class Prediction:
    """What a network takes a photo for: classes and their probabilities, the most probable first."""

    path: Path
    probabilities: dict[str, float]

    def __str__(self) -> str:
        likely = list(self.probabilities.items())[:MOST_NAMED]
        return f"{self.path}: " + ", ".join(f"{name} {p:.1%}" for name, p in likely)


MOST_NAMED = 3
"""Classes that a printed prediction names."""


def load(path: str | Path) -> Classifier:
    """The classifier that `finetune` wrote to `path`. Nothing that is in the file is run.

    Raises FileError for a file that is missing, damaged, or holds no classifier.
    """
    network = weights.load(path)
    notes = files.read(path)[1]
    try:
        classes = tuple(json.loads(notes["classes"]))
        preparation = Preparation(notes["preparation"], weights.preprocess(notes["preparation"]))
        fits = len(classes) == network.fc.out_features and all(type(c) is str for c in classes)
    except (LookupError, TypeError, ValueError):
        fits = False
    if not fits:
        raise files.FileError(
            f"{path} holds a network, but not the names of its classes and what photos go through before "
            f"it. A model.safetensors was expected, as `resnet-edu finetune` writes it."
        )
    return Classifier(network.float(), classes, preparation)


def predict(
    model: Classifier | str | Path, paths: Iterable[str | Path]
) -> Iterator[Prediction | Skipped]:
    """For each photo what the network takes it for, or why it could not be used.

    `model` is a classifier, or the file of one. Raises FileError as `load` does.
    """
    classifier = model if isinstance(model, Classifier) else load(model)
    return (_predict(classifier, Path(path)) for path in paths)


def _predict(classifier: Classifier, path: Path) -> Prediction | Skipped:
    try:
        prepared = classifier.preparation.read(path)
    except PhotoError as error:
        return error.skipped
    with torch.inference_mode():
        probabilities = classifier.network(prepared)[0].softmax(0)
    order = probabilities.argsort(descending=True, stable=True).tolist()
    return Prediction(path, {classifier.classes[i]: probabilities[i].item() for i in order})
