"""One training at one moment: the model, the optimiser, the next batch, and what was noted so far."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from resnet_edu.training import machine
from resnet_edu.training.recipe import (
    History,
    NotFiniteError,
    Recipe,
    parameter_groups,
    require_data,
)


class State:
    """Everything that a checkpoint must hold.

    A subclass with a `next_batch` of its own trains on images that are made on the way.
    Raises ValueError for data that cannot be used, and for a model that has nothing to learn.
    """

    def __init__(
        self, model: nn.Module, train: TensorDataset, recipe: Recipe, device: torch.device
    ) -> None:
        require_data(train)
        self.model, self.recipe, self.device = model, recipe, device
        self.images, self.labels = train.tensors
        groups = parameter_groups(model, 1.0, recipe.rates)
        self.factors = [group["lr"] for group in groups]
        self.optimizer = torch.optim.SGD(
            groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=True
        )
        self.bfloat16 = machine.bfloat16_pays(device.type)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.round_start = self.generator.get_state()
        self.step = 0
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.validation: dict[int, float] = {}
        self.state = [*model.parameters(), *model.buffers()]  # all that a step changes
        self.last_finite = [t.detach().clone() for t in self.state]

    def set_learning_rate(self, learning_rate: float) -> None:
        """Give each group of parameters its rate: `learning_rate` times the factor of the recipe."""
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = learning_rate * factor

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Each image once in each round, in an order of its own; what is left of a round is left out."""
        size = min(self.recipe.batch_size, len(self.images))
        place = self.step % (len(self.images) // size)
        if place == 0:
            self.round_start = self.generator.get_state()
            self.order = torch.randperm(len(self.images), generator=self.generator)
        chosen = self.order[place * size : (place + 1) * size]
        images = self.images[chosen].to(self.device, memory_format=torch.channels_last)
        return images, self.labels[chosen].to(self.device)

    def require_finite(self, loss: float, learning_rate: float) -> None:
        """Keep these weights if their loss is finite; if not, go back to those that were kept."""
        with torch.no_grad():
            if math.isfinite(loss):
                torch._foreach_copy_(self.last_finite, self.state)
                return
            torch._foreach_copy_(self.state, self.last_finite)
        raise NotFiniteError(
            f"The loss is {loss} at step {self.step + 1} of {self.recipe.steps}, where the learning rate "
            f"is {learning_rate:.2g}. The model has its last weights with a finite loss. Try a "
            f"learning_rate of {self.recipe.learning_rate / 10:.2g}, check that the images hold no NaN "
            f"or infinite numbers, and see that the network has batch norm or a careful initialisation."
        )

    def history(self) -> History:
        """All that was noted so far."""
        return History(
            self.recipe.steps,
            tuple(self.losses),
            tuple(self.accuracies),
            dict(self.validation),
            "bfloat16" if self.bfloat16 else "float32",
        )
