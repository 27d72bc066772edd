"""One step of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from resnet_edu.blocks import PlainBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, see_float
from resnet_edu.checks.text import beside

LEFT = ", where the model has gradients of an earlier pass"
LARGE = ", where the gradients are large"


def _train_step(model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


def _network() -> nn.Module:
    return nn.Sequential(
        PlainBlock(3, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )


def _sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)


def _observe(answer: Answer, case: tuple[Callable[..., Optimizer], str], see: See) -> None:
    make_optimizer, special = case
    model = _network().train()
    optimizer = make_optimizer(model)
    if special == LARGE:  # large features give large gradients: their norm is about 30
        nn.init.constant_(model[0].bn2.weight, 30.0)
    if special == LEFT:
        for p in model.parameters():
            p.grad = torch.randn_like(p)
    numbers = torch.Generator().manual_seed(1)
    for step in ("first", "second"):
        shape, where = ((5, 3, 6, 8), LARGE) if special == LARGE else ((6, 3, 8, 8), "")
        inputs = torch.randn(shape, generator=numbers)
        targets = torch.randint(4, shape[:1], generator=numbers)
        given = inputs.clone()
        loss = answer(model, optimizer, given, targets.clone())
        for name, value in model.state_dict().items():
            see(f"{name}, after the {step} step{where}", value)
        see_float(f"the loss that the {step} step returns", loss, see)
        see("inputs, afterwards", given)
        see("mode of the model, afterwards", "train" if model.training else "eval")


train_step = Check(
    signature="train_step(model, optimizer, inputs, targets)",
    reference=_train_step,
    observe=_observe,
    cases={
        "two steps with SGD and momentum": (_sgd, ""),
        f"two steps with SGD{LEFT}": (_sgd, LEFT),
        "two steps with Adam": (lambda model: torch.optim.Adam(model.parameters(), lr=0.01), ""),
        f"two steps with SGD{LARGE}": (
            lambda model: torch.optim.SGD(model.parameters(), lr=0.001),
            LARGE,
        ),
    },
    said=beside(__file__),
)
