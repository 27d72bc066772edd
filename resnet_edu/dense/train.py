"""Steps of AdamW on whatever gives a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

BACKBONE_RATE = 1 / 3
"""The learning rate of a backbone that is not frozen, in parts of the head's."""


def train(
    model: nn.Module,
    images: Tensor,
    targets: Sequence[Any] | Tensor,
    loss_of: Callable[[Any, Any], Tensor],
    steps: int = 150,
    *,
    learning_rate: float = 0.004,
    batch_size: int = 16,
    seed: int = 0,
) -> Iterator[float]:
    """Train in place, step by step: each `next` takes a step and gives its loss.

    `targets[i]` belongs to `images[i]`; `loss_of(outputs, targets)` gets those of a batch. The learning
    rate goes up and down once. Raises FloatingPointError where the loss is infinite or NaN.
    """
    learning = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    frozen = getattr(getattr(model, "backbone", None), "frozen", False)
    backbone = [p for name, p in learning if name.startswith("backbone.") and not frozen]
    head = [p for name, p in learning if not name.startswith("backbone.")]
    groups = [{"params": head}, {"params": backbone, "lr": learning_rate * BACKBONE_RATE}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps
    )
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch_size,), generator=generator)
        some = targets[chosen] if isinstance(targets, Tensor) else [targets[i] for i in chosen]
        loss = loss_of(model(images[chosen]), some)
        if not loss.isfinite():
            raise FloatingPointError(
                "The loss is no finite number any more. Try a smaller learning_rate."
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.item()
    model.eval()
