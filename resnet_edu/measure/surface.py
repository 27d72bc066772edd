"""The loss around the weights of a trained network, on a plane through them.

Source: Li et al., "Visualizing the Loss Landscape of Neural Nets" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from resnet_edu.as_found import in_mode

Direction = Mapping[str, Tensor]
"""For each parameter, by name, where to move it; parameters that are not named stay."""


@dataclass(frozen=True)
class LossSurface:
    """The loss on a grid: `losses[i, j]` at distances[i] along the first direction, [j] the second."""

    distances: tuple[float, ...]
    losses: np.ndarray

    def at_distance(self, distance: float, tolerance: float = 0.05) -> float:
        """The median loss of the points so far from the middle, give or take `tolerance`.

        Raises ValueError where the grid has no such point.
        """
        radius = np.hypot(*np.meshgrid(self.distances, self.distances))
        ring = self.losses[np.abs(radius - distance) <= tolerance]
        if not ring.size:
            raise ValueError(f"No point of the grid is {distance} from the middle.")
        return float(np.median(ring))


def loss_surface(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    directions: tuple[Direction, Direction],
    distances: Sequence[float],
) -> LossSurface:
    """The cross-entropy of `model` with its weights moved along two directions.

    `images` (N, 3, H, W) and `labels` (N,) are one batch. In training mode: where the weights have moved,
    the running statistics of batch norm no longer fit, so each point uses those of the batch. The model
    is left as it was. Raises ValueError for a direction that names no parameter of the model.
    """
    weights = {name: p.detach() for name, p in model.named_parameters()}
    statistics = dict(model.named_buffers())
    for name in {*directions[0], *directions[1]} - weights.keys():
        raise ValueError(f"This {type(model).__name__} has no parameter {name!r} to move.")

    def loss(first: float, second: float) -> float:
        moved = dict(weights)
        for distance, direction in zip((first, second), directions, strict=True):
            for name, step in direction.items():
                moved[name] = moved[name] + distance * step
        kept = {name: buffer.clone() for name, buffer in statistics.items()}
        return F.cross_entropy(functional_call(model, moved | kept, (images,)), labels).item()

    with in_mode(model, training=True), torch.no_grad():
        losses = np.array([[loss(a, b) for b in distances] for a in distances])
    return LossSurface(tuple(distances), losses)
