"""A training whose loss cannot come near zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.hunt.training import see_losses
from resnet_edu.checks.text import beside


def _fit_classes(
    model: nn.Module, images: Tensor, labels: Tensor, steps: int, learning_rate: float
) -> list[float]:
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        scores = model(images)
        loss = F.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _observe(answer: Answer, case: tuple[int, int, float, int], see: See) -> None:
    classes, steps, learning_rate, contrast = case
    model = nn.Sequential(nn.Flatten(), nn.Linear(27, classes))
    images = torch.randn(24, 3, 3, 3)
    labels = torch.arange(24) % classes
    images[torch.arange(24), 0, 0, 0] += 3.0 * labels
    images *= contrast
    losses = answer(model, images, labels, steps, learning_rate)
    for name, parameter in model.named_parameters():
        see(f"{name}, after {steps} steps", parameter)
    see_losses(losses, see)


fit_classes = Check(
    signature="fit_classes(model, images, labels, steps, learning_rate)",
    reference=_fit_classes,
    observe=_observe,
    cases={
        f"{classes} classes, {steps} steps at a learning rate of {rate}, contrast {contrast}": (
            classes,
            steps,
            rate,
            contrast,
        )
        for classes, steps, rate, contrast in ((4, 3, 0.1, 1), (3, 5, 0.02, 1), (5, 1, 0.3, 4))
    },
    said=beside(__file__),
)
