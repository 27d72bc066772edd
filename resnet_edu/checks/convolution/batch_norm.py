"""Batch norm by hand, in train mode."""

from __future__ import annotations

import torch
from torch import Tensor

from resnet_edu.checks.block import see_gradients
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.text import beside


def _batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    over = (0, 2, 3)
    mean = x.mean(over, keepdim=True)
    variance = x.var(over, correction=0, keepdim=True)
    normalised = (x - mean) / (variance + eps).sqrt()
    scale, offset = gamma[:, None, None], beta[:, None, None]  # (C, 1, 1)
    return scale * normalised + offset


def _observe(
    answer: Answer, case: tuple[tuple[int, ...], float, tuple[float, ...]], see: See
) -> None:
    shape, size, eps = case
    channels = shape[1]
    numbers = torch.Generator().manual_seed(channels)
    leaves = {
        "x": size * _images(shape, numbers),
        "gamma": torch.randn(channels, generator=numbers),
        "beta": torch.randn(channels, generator=numbers),
    }
    given = [leaf.requires_grad_().clone() for leaf in leaves.values()]  # may be changed in place
    result = tensor(answer(*given, *eps))
    see("result", result)
    for name, value in zip(leaves, given, strict=True):
        see(f"{name}, afterwards", value)
    if size:  # where all is zero, some right ways to write it have no gradient
        weights = torch.randn(result.shape, generator=numbers)
        see_gradients((result * weights).sum(), leaves, see)


def _images(shape: tuple[int, ...], numbers: torch.Generator) -> Tensor:
    """Numbers whose mean and spread differ from image to image and from channel to channel."""
    offset, scale = torch.rand(2, *shape[:2], 1, 1, generator=numbers)
    return torch.randn(shape, generator=numbers) * (0.5 + scale) + 3 * offset


batch_norm = Check(
    signature="batch_norm(x, gamma, beta, eps=1e-5)",
    reference=_batch_norm,
    observe=_observe,
    cases={
        "x of shape (4, 3, 5, 6), gamma, beta": ((4, 3, 5, 6), 1, ()),
        "x of shape (2, 4, 3, 4), gamma, beta": ((2, 4, 3, 4), 1, ()),
        "x of shape (1, 2, 4, 5), gamma, beta, eps=0.1": ((1, 2, 4, 5), 1, (0.1,)),
        "x of shape (6, 5, 1, 1), gamma, beta": ((6, 5, 1, 1), 1, ()),
        "x of shape (3, 2, 2, 2) with tiny numbers, gamma, beta": ((3, 2, 2, 2), 0.002, ()),
        "x of shape (2, 2, 3, 2) with zeros alone, gamma, beta": ((2, 2, 3, 2), 0, ()),
    },
    said=beside(__file__),
)
