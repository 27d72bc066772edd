"""Gradient flow in the course's networks, with one ingredient changed at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnet_edu.measure.signals import Signals, signals
from resnet_edu.networks import CifarResNet, cifar_plain, cifar_resnet

DEPTHS = (8, 14, 20, 26, 32, 38, 44, 50, 56)
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "ReLU": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
INITIALISATIONS: dict[str, Callable[[nn.Conv2d], object]] = {
    "He": lambda conv: nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu"),
    "Xavier": lambda conv: nn.init.xavier_normal_(conv.weight),
    "PyTorch default": lambda conv: conv.reset_parameters(),
}
NORMALISATIONS = ("batch norm", "none")


@dataclass(frozen=True)
class FlowSetting:
    """The five ingredients that the lesson on plain networks changes.

    `shortcut` puts `+ x` around every two layers.
    """

    depth: int = 20
    activation: str = "ReLU"
    initialisation: str = "He"
    normalisation: str = "batch norm"
    shortcut: bool = False

    def __post_init__(self) -> None:
        for what, value, known in (
            ("activation", self.activation, ACTIVATIONS),
            ("initialisation", self.initialisation, INITIALISATIONS),
            ("normalisation", self.normalisation, NORMALISATIONS),
        ):
            if value not in list(known):
                raise ValueError(
                    f"There is no {what} {value!r} here; choose of {', '.join(known)}."
                )


def flow_network(setting: FlowSetting, seed: int = 0) -> CifarResNet:
    """The network of the CIFAR-10 form with these ingredients, its weights drawn from `seed`.

    Where batch norm is left out, each convolution gets a bias, as it would have without batch norm: it
    starts at zero, but for PyTorch's default initialisation, which draws it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (cifar_resnet if setting.shortcut else cifar_plain)(setting.depth)
        convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
        if setting.normalisation == "none":
            _swap(model, nn.BatchNorm2d, nn.Identity)
            for conv in convolutions:
                conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
        for conv in convolutions:
            INITIALISATIONS[setting.initialisation](conv)
        _swap(model, nn.ReLU, ACTIVATIONS[setting.activation])
    return model


def gradient_flow(setting: FlowSetting, images: Tensor, labels: Tensor, seed: int = 0) -> Signals:
    """`signals` of `flow_network(setting, seed)` on one batch (N, 3, H, W) with labels (N,)."""
    return signals(flow_network(setting, seed), images, labels)


def _swap(model: nn.Module, old: type[nn.Module], new: type[nn.Module]) -> None:
    for name, child in model.named_children():
        if isinstance(child, old):
            setattr(model, name, new())
        else:
            _swap(child, old, new)
