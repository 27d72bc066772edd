"""How strongly the loss asks each convolution to change."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import PlainBlock, conv3x3
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.text import beside


def _gradient_norms(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, float]:
    model.zero_grad()  # before
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    norms = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            norms[name] = module.weight.grad.norm().item()
    model.zero_grad()  # after
    return norms


class _Network(nn.Module):
    """A small network whose layers are not defined in the order of use, nor of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = nn.Conv2d(6, 5, 1)
        self.block = PlainBlock(4, 6, stride=2)
        self.stem = conv3x3(3, 4)
        self.fc = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.tail(self.block(self.stem(x))))
        return self.fc(x.mean((2, 3)))


def _observe(answer: Answer, case: tuple[bool, bool], see: See) -> None:
    training, leftover = case
    model = _Network().train(training)
    inputs, targets = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 2, 1])
    if leftover:
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
    found = {name: p.grad.clone() for name, p in model.named_parameters() if leftover}
    given = inputs.clone()

    norms = answer(model, given, targets)
    if not issubclass(type(norms), dict):
        raise wrong_type(norms, "a dict of names and floats")
    items = [(k if type(k) is str else f"{type(k).__name__}", v) for k, v in dict.items(norms)]
    see("names", tuple(name for name, _ in items))
    for name, value in items:
        _see_number(name, value, see)

    see("inputs, afterwards", given)
    see("mode of the model, afterwards", "train" if model.training else "eval")
    stepped = any(not p.equal(parameters[name]) for name, p in model.named_parameters())
    see("weights, afterwards", "changed" if stepped else "unchanged")
    # Gradients that an earlier pass has left may stay: autograd.grad does not touch them.
    left = any(
        p.grad is not None and p.grad.any() and not (leftover and p.grad.equal(found[name]))
        for name, p in model.named_parameters()
    )
    see("gradients of the model, afterwards", "some" if left else "none")


def _see_number(name: str, value: Any, see: See) -> None:
    kind = type(value)
    is_tensor = issubclass(kind, Tensor)
    see(f"type of the value of {name}", "float" if issubclass(kind, Real) else kind.__name__)
    if issubclass(kind, Real) or (is_tensor and value.numel() == 1):
        see(f"norm of {name}", float(value))


gradient_norms = Check(
    signature="gradient_norms(model, inputs, targets)",
    reference=_gradient_norms,
    observe=_observe,
    cases={
        "a model in train mode, inputs, targets": (True, False),
        "a model in eval mode, inputs, targets": (False, False),
        "a model with gradients of an earlier pass, inputs, targets": (True, True),
    },
    said=beside(__file__),
)
