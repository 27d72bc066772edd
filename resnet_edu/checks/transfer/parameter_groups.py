"""Parameters for the optimiser, in groups with learning rates of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.found import Found
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet, stage_of


def _parameter_groups(model: nn.Module, head_lr: float, backbone_lr: float) -> list[dict[str, Any]]:
    head, backbone = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            if name.startswith("fc."):
                head.append(parameter)
            else:
                backbone.append(parameter)
    return [{"params": head, "lr": head_lr}, {"params": backbone, "lr": backbone_lr}]


class _Gate(nn.Module):
    """The squeeze-and-excitation gate, whose layers people call fc1 and fc2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, 2), nn.Linear(2, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.fc2(self.fc1(x.mean((2, 3))).relu()))[..., None, None]


def _network(frozen: Iterable[str]) -> nn.Module:
    model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5, width=4)
    model.layer3.append(_Gate(16))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(tuple(frozen))
    return model


PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")


def _observe(answer: Answer, frozen: tuple[str, ...], see: See) -> None:
    model = _network(frozen)
    found = Found(model)
    parameters = found.parameters
    try:
        groups = _read(answer(model, 0.5, 0.25))
    except (RuntimeError, TypeError) as error:
        raise _compared_by_value(error) from error
    rates = _rates(groups)
    known = {id(p) for p in parameters.values()}
    strangers = [key for key in rates if key not in known]
    see("tensors that are no parameters of the model", len(strangers))
    for kind, wanted in (("that can be trained", True), ("that are frozen", False)):
        names = [name for name in parameters if (name in found.trainable) == wanted]
        for part in PARTS:
            inside = [name for name in names if stage_of(name) == part]
            if inside:
                see(f"parameters {kind} in {part}", _told(inside, parameters, rates))
    found.see_left(see)


def _told(
    names: list[str], parameters: dict[str, nn.Parameter], rates: dict[int, list[float]]
) -> str:
    """At which rates they learn: "0.5", or "0.25, and layer3.1.fc1.weight at 0.5"."""
    told = {name: _rate(rates.get(id(parameters[name]), [])) for name in names}
    texts = list(told.values())
    usual = max(dict.fromkeys(texts), key=texts.count)
    other = next((name for name in names if told[name] != usual), None)
    return usual if other is None else f"{usual}, and {other} {told[other]}"


def _rate(found: list[float]) -> str:
    if not found:
        return "in no group"
    names = {0.5: "at head_lr", 0.25: "at backbone_lr"}
    return names.get(found[0], f"at {found[0]:g}")


def _read(found: Any) -> list[dict[str, Any]]:
    """The groups, as lists of tensors. Raises Wrong for anything that is not a list of groups."""
    if issubclass(type(found), torch.optim.Optimizer):
        rows = (("Expected", "a list of dicts"), ("Got", type(found).__name__))
        raise Wrong("optimizer-instead-of-groups", rows)
    if not issubclass(type(found), (list, tuple)):
        raise wrong_type(found, "a list of dicts")
    for group in found:
        if not issubclass(type(group), dict):
            raise wrong_type(group, "a list of dicts")
        for key, name in (("params", "no-params"), ("lr", "no-lr")):
            if key not in group:
                got = ", ".join(map(str, group)) or "nothing"
                raise Wrong(name, (("Expected", "params, lr"), ("Got", got)))
        kind = type(group["lr"])
        if issubclass(kind, (str, list, tuple)):
            raise Wrong("rate-is-no-number", (("Expected", "a float"), ("Got", kind.__name__)))
    return list(found)


def _rates(groups: list[dict[str, Any]]) -> dict[int, list[float]]:
    """From each tensor's id to its rates. Raises Wrong for what no optimiser of PyTorch takes."""
    if not groups:
        raise Wrong("no-groups", (("Got", "[]"),))
    found: dict[int, list[float]] = {}
    for group in groups:
        for p in _listed(group["params"]):
            if not issubclass(type(p), torch.Tensor):
                rows = (("Expected", "parameters"), ("Got", type(p).__name__))
                raise Wrong("not-parameters", rows)
            found.setdefault(id(p), []).append(float(group["lr"]))
    if twice := sum(len(rates) > 1 for rates in found.values()):
        raise Wrong("in-two-groups", (("Parameters given more than once", str(twice)),))
    return found


def _listed(params: Any) -> list[Any]:
    """The tensors of a group: also of a generator, of one tensor, or of pairs with names."""
    if issubclass(type(params), torch.Tensor):
        return [params]
    if not hasattr(type(params), "__iter__"):
        return [params]
    return [p[1] if issubclass(type(p), tuple) and len(p) == 2 else p for p in params]


def _compared_by_value(error: Exception) -> Exception:
    text = str(error)
    if "The size of tensor" not in text and "Boolean value of Tensor" not in text:
        return error
    return Wrong("compared-by-value", explain(error).evidence)


parameter_groups = Check(
    signature="parameter_groups(model, head_lr, backbone_lr)",
    reference=_parameter_groups,
    observe=_observe,
    cases={
        "a ResNet in which everything can be trained, head_lr=0.5, backbone_lr=0.25": (),
        "a ResNet with stem and layer1 frozen": ("conv1", "bn1", "layer1"),
        "a ResNet with all but the head frozen": ("conv1", "bn1", "layer"),
        "a ResNet with the bias of the head and layer2 frozen": ("fc.bias", "layer2"),
    },
    said=beside(__file__),
)
