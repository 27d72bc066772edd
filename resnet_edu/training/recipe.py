"""What goes into a training and what comes out of it: the recipe, the groups of its rates, the history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu.networks import stage_of

WARM_UP = 0.3
"""The share of the steps in which the learning rate rises."""
VALIDATIONS = 10


@dataclass(frozen=True)
class Recipe:
    """How to train. `learning_rate` is the highest of the one-cycle schedule; `seed` orders the images.

    `rates` has factors on the learning rate, by the name of a part: "stem", "layer1", ..., "fc".
    {"layer4": 0.1} lets the last stage learn ten times more slowly than the rest.
    Raises ValueError for numbers that cannot work.
    """

    steps: int = 100
    batch_size: int = 64
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, fits, wanted in (
            ("steps", _whole(self.steps, 1), "a whole number, 1 or more"),
            ("batch_size", _whole(self.batch_size, 1), "a whole number, 1 or more"),
            ("learning_rate", 0 < self.learning_rate <= 1e30, "above 0 and at most 1e30"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and less than 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "a finite number, 0 or more"),
            ("label_smoothing", 0 <= self.label_smoothing <= 1, "between 0 and 1"),
            ("seed", _whole(self.seed, 0), "a whole number, 0 or more"),
            (
                "rates",
                all(0 < factor < math.inf for factor in self.rates.values()),
                "finite factors above 0 by name, like {'layer4': 0.1}; freeze what is not to learn",
            ),
        ):
            if not fits:
                raise ValueError(f"{name} must be {wanted}; it was {getattr(self, name)!r}.")

    def learning_rate_at(self, step: int) -> float:
        """One cycle (Smith 2018): up in a straight line, down along half a cosine to nearly 0."""
        peak = WARM_UP * self.steps
        if step < peak:
            return self.learning_rate * (step + 1) / (math.floor(peak) + 1)
        return (
            self.learning_rate * (1 + math.cos(math.pi * (step - peak) / (self.steps - peak))) / 2
        )


@dataclass(frozen=True)
class History:
    """What was noted in training: for each step, loss and accuracy of its batch before the step.

    `steps` is how many the recipe asks for. Accuracies go from 0 to 1. `validation` maps a number of
    steps to the validation accuracy after them. `precision` is what the convolutions computed in:
    "float32" or "bfloat16".
    """

    steps: int
    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()
    validation: dict[int, float] = field(default_factory=dict)
    precision: str = "float32"

    @property
    def stopped(self) -> bool:
        """Whether the training ended before the recipe's last step."""
        return len(self.losses) < self.steps

    @property
    def validation_accuracy(self) -> float | None:
        """The last validation accuracy, or None where there was no validation."""
        return list(self.validation.values())[-1] if self.validation else None

    def __repr__(self) -> str:
        if not self.losses:
            return f"History(none of {self.steps} steps)"
        validated = self.validation_accuracy
        return (
            f"History({len(self.losses)} of {self.steps} steps, last batch: "
            f"loss {self.losses[-1]:.2f}, accuracy {self.accuracies[-1]:.0%}"
            + (f"; validation {validated:.0%}" if validated is not None else "")
            + ")"
        )


class NotFiniteError(ArithmeticError):
    """The loss became infinite or NaN."""


def parameter_groups(
    model: nn.Module, learning_rate: float, rates: Mapping[str, float]
) -> list[dict]:
    """The trainable parameters for an optimiser of PyTorch, in groups that learn at different rates.

    `rates` maps the name of a part ("stem", "layer1", ..., "fc") to a factor on `learning_rate`; parts
    that it does not name have factor 1. Each trainable parameter is in one group, frozen ones in none.
    Raises ValueError for a name that `model` has not, and where nothing is trainable.
    """
    groups: dict[float, dict] = {}
    names = {stage_of(name) for name, _ in model.named_parameters()}
    if unknown := rates.keys() - names:
        raise ValueError(
            f"rates names {min(unknown)!r}; the model's parts are {', '.join(sorted(names))}."
        )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = rates.get(stage_of(name), 1.0)
            group = groups.setdefault(factor, {"params": [], "lr": learning_rate * factor})
            group["params"].append(parameter)
    if not groups:
        raise ValueError("No parameter of the model requires a gradient: nothing can be learned.")
    return list(groups.values())


def validation_is_due(step: int, steps: int) -> bool:
    """True ten times in a training, the last time after its last step."""
    return step * VALIDATIONS // steps > (step - 1) * VALIDATIONS // steps


def require_data(data: TensorDataset) -> None:
    """Raise ValueError where `data` is not images and labels, or has none."""
    if not isinstance(data, TensorDataset) or len(data.tensors) != 2:
        raise ValueError(
            f"The data must be a TensorDataset of images and labels, like data.digits(); it was "
            f"{type(data).__name__}."
        )
    if not len(data):
        raise ValueError("The data holds no image.")


def _whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least
