"""Right answers that then harm the model: what was to be left as it was found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from bank import WRONG, Answer, Entry
from torch import nn

from resnet_edu.checks.check import Check

HARMS: dict[str, tuple[str, Callable[[nn.Module], object]]] = {
    "a_hook": (
        "hooks-not-as-before",
        lambda model: model.bn1.register_forward_hook(lambda *_: None),
    ),
    "a_module": (
        "modules-replaced",
        lambda model: model.layer2.__setitem__(0, copy.deepcopy(model.layer2[0])),
    ),
    "its_mode": ("mode-changed", lambda model: setattr(model, "training", not model.training)),
    "a_mode": ("mode-changed", lambda model: model.bn1.train(not model.bn1.training)),
    "a_weight": ("weights-changed", lambda model: model.bn1.weight.data.add_(0.1)),
    "a_statistic": ("statistics-changed", lambda model: model.bn1.running_mean.add_(0.1)),
    "a_buffer": (
        "further-tensors",
        lambda model: model.bn1.register_buffer("scale", torch.ones(1)),
    ),
    "a_parameter": (
        "new-parameters",
        lambda model: setattr(model.bn1, "bias", nn.Parameter(model.bn1.bias.detach().clone())),
    ),
    "what_can_be_trained": ("trainable-changed", lambda model: model.bn1.requires_grad_(False)),
    "a_gradient": (
        "gradients-left",
        lambda model: setattr(model.bn1.bias, "grad", torch.ones_like(model.bn1.bias)),
    ),
}
"""To each harm, what it is called in a check that has no name of its own for it."""


def add_harms(check: Check, answer: Answer, **names: str) -> None:
    """Wrong answers: a right one, and then each harm. `names` are those of the check's own."""
    for what, (name, harm) in HARMS.items():
        WRONG.append(Entry(check, _then(answer, what, harm), names.get(what, name)))


def _then(answer: Answer, what: str, harm: Callable[[nn.Module], object]) -> Answer:
    def harmed(*arguments: Any, **named: Any) -> Any:
        result = answer(*arguments, **named)
        harm(named["model"] if named else arguments[0])
        return result

    harmed.__name__ = f"{answer.__name__}_and_{what}_changed"
    return harmed
