"""What came of a fine-tuning, measured on the photos that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resnet_edu import measure, transfer
from resnet_edu.data.photos import PhotoFolder
from resnet_edu.finetune.features import Features
from resnet_edu.finetune.model_file import Classifier
from resnet_edu.training import History, Recipe

MOST_MISTAKES = 12
"""The most confident mistakes that are looked at."""
SMALLEST_MAP = 4
"""A heat map is made of the last stage whose maps have at least so many places each way."""


@dataclass(frozen=True)
class Mistake:
    """A photo of one class that was taken for another, and where the network saw the other.

    `image` (3, H, W) is what the network was given, in values from 0 to 1; `heat` (H, W) the heat map.
    """

    path: Path
    true: str
    taken_for: str
    probability: float
    image: np.ndarray
    heat: np.ndarray


@dataclass(frozen=True, repr=False)
class Result:
    """What came of a fine-tuning. Accuracies go from 0 to 1, on the photos of validation.

    `photos` are those that could be used; `photos.skipped` says what could not, and why.
    `confusion` (C, C) counts photos: row i, column j are photos of class i that were taken for class j.
    `step` is the step whose state was kept. `layer` is the stage that heat maps are made of.
    """

    photos: PhotoFolder
    classifier: Classifier
    history: History
    step: int
    accuracy: float
    confusion: np.ndarray
    mistakes: tuple[Mistake, ...]
    layer: str
    weights: str
    freeze: str | None
    recipe: Recipe
    model_file: Path
    report: Path

    def __repr__(self) -> str:
        right, of = int(self.confusion.trace()), int(self.confusion.sum())
        skipped = self.photos.skipped
        aside = f"; {len(skipped)} files were not used" if skipped else ""
        return (
            f"{self.accuracy:.1%} of the photos of validation are right ({right:,} of {of:,}){aside}.\n"
            f"Model:  {self.model_file}\nReport: {self.report}"
        )


def confusion(labels: Tensor, taken_for: Tensor, classes: int) -> np.ndarray:
    """Counts (classes, classes) of true class (rows) and class taken for (columns)."""
    pairs = labels * classes + taken_for
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes).numpy()


def mistakes(classifier: Classifier, validation: Features, logits: Tensor) -> list[Mistake]:
    """The most confident mistakes among `logits` (N, C) for the photos of validation."""
    probabilities, taken_for = logits.softmax(1).max(1)
    wrong = (taken_for != validation.labels).nonzero().flatten()
    wrong = wrong[probabilities[wrong].argsort(descending=True, stable=True)]
    layer = heat_layer(classifier)
    found = []
    for row in wrong[:MOST_MISTAKES].tolist():
        photo, other = validation.photos[row], int(taken_for[row])
        prepared = classifier.preparation.read(photo.path)[0]
        found.append(
            Mistake(
                photo.path,
                classifier.classes[photo.label],
                classifier.classes[other],
                probabilities[row].item(),
                classifier.preparation.shown(prepared).numpy(),
                measure.grad_cam(classifier.network, layer, prepared, other).numpy(),
            )
        )
    return found


def heat_layer(classifier: Classifier) -> str:
    """The last stage whose maps are not too coarse: layer4 at 224 pixels, layer3 at 64."""
    side = classifier.preparation.side
    blank = torch.zeros(1, 3, side, side)
    stages: Sequence[str] = transfer.stages(classifier.network)[1:]
    maps = measure.capture(classifier.network, stages, blank)
    fine = [name for name in stages if maps[name].shape[-1] >= SMALLEST_MAP]
    return fine[-1] if fine else stages[0]
