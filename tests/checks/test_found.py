"""What an answer leaves behind in a model is seen under its own label, and each label has its words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from resnet_edu.checks import text
from resnet_edu.checks.found import Found


def network() -> nn.Sequential:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Sequential(nn.Linear(3, 3)))
    model[0].register_forward_hook(print)
    return model.eval()


def left(found: Found, **more: object) -> dict[str, str]:
    """What is not as it was, by label."""
    seen: dict[str, str] = {}
    found.see_left(seen.__setitem__, **more)
    usual = {"mode of the model": "eval"}
    return {k: v for k, v in seen.items() if v != usual.get(k.partition(",")[0], "as before")}


HARMS: dict[str, list[Callable[[nn.Sequential], object]]] = {
    "hooks": [
        lambda model: model[2].register_forward_hook(print),
        lambda model: model[2].register_full_backward_hook(print),
        lambda model: model[0]._forward_hooks.clear(),
        lambda model: setattr(model[2], "forward", print),
    ],
    "modules": [lambda model: model.__setitem__(2, nn.Sequential(*model[2]))],
    "mode of the model": [lambda model: setattr(model, "training", True)],
    "modes of its modules": [lambda model: model[1].train()],
    "weights": [lambda model: model[1].weight.data.mul_(1.5)],
    "statistics of batch norm": [lambda model: model[1].running_var.mul_(1.5)],
    "tensors": [
        lambda model: model[1].register_buffer("scale", torch.ones(1)),
        lambda model: model.append(nn.Linear(1, 1)),
    ],
    "parameters": [
        lambda model: setattr(model[1], "weight", nn.Parameter(model[1].weight.detach().clone())),
    ],
    "further modules": [lambda model: model.append(nn.ReLU().eval())],
    "what can be trained": [lambda model: model[1].requires_grad_(False)],
    "gradients": [lambda model: model[2](torch.ones(1, 3)).sum().backward()],
}


@pytest.mark.parametrize(
    ("label", "harm"), [(label, harm) for label, harms in HARMS.items() for harm in harms]
)
def test_a_harm_is_seen_first_under_its_own_label(
    label: str, harm: Callable[[nn.Sequential], object]
) -> None:
    model = network()
    found = Found(model)
    assert not left(found)
    harm(model)
    assert next(iter(left(found))) == f"{label}, afterwards"


def test_every_label_has_a_harm_here_and_words_of_its_own_in_all_checks() -> None:
    seen: list[str] = []
    Found(network()).see_left(lambda label, _: seen.append(label))
    assert seen == [f"{label}, afterwards" for label in HARMS]
    for label in seen:
        section = text.place_of(label, text.common())
        assert section, label
        assert section.name != "changes-its-input", label


def test_what_the_task_is_about_is_left_out() -> None:
    model = network()
    found = Found(model)
    model.train()
    model[2][0].weight.data.zero_()
    assert list(left(found, when="after an error", but=("mode of the model", "weights"))) == [
        "modes of its modules, after an error"
    ]


def test_a_module_that_is_to_be_replaced_is_not_looked_at() -> None:
    model = network()
    found = Found(model, but="2")
    model[2] = nn.Linear(3, 7).requires_grad_(False)
    assert not left(found)
    model[1].weight.data.zero_()
    assert left(found) == {"weights, afterwards": "1.weight changed"}
