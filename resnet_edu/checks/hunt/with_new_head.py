"""A new head that nobody trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.hunt.training import see_losses, tiny_resnet
from resnet_edu.checks.text import beside


def _with_new_head(
    model: nn.Module, head: nn.Linear, images: Tensor, labels: Tensor, steps: int
) -> list[float]:
    model.fc = head
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _observe(answer: Answer, case: tuple[int, int], see: See) -> None:
    classes, steps = case
    model = tiny_resnet(5).train()
    head = nn.Linear(model.fc.in_features, classes)
    images = torch.randn(8, 3, 16, 16)
    labels = torch.arange(8) % classes
    losses = answer(model, head, images, labels, steps)
    see("the new head", "in the model" if model.fc is head else "not in the model")
    start = "of the head after the training"
    see(f"bias {start}", head.bias)
    see(f"weight {start}", head.weight)
    for name in ("conv1.weight", "layer2.0.conv1.weight", "layer4.0.bn2.weight"):
        see(f"{name} after the training", model.get_parameter(name))
    see_losses(losses, see)


with_new_head = Check(
    signature="with_new_head(model, head, images, labels, steps)",
    reference=_with_new_head,
    observe=_observe,
    cases={
        "3 steps with a head for 3 classes": (3, 3),
        "2 steps with a head for 4 classes": (4, 2),
    },
    said=beside(__file__),
)
