"""The shortcut without parameters (option A)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_edu.checks.block import see_gradients
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.text import beside


def _identity_shortcut(x: Tensor, out_channels: int, stride: int) -> Tensor:
    x = x[:, :, ::stride, ::stride]
    zeros = (out_channels - x.shape[1]) // 2
    return F.pad(x, (0, 0, 0, 0, zeros, zeros))


def _observe(answer: Answer, case: tuple[tuple[int, ...], int, int], see: See) -> None:
    shape, out_channels, stride = case
    leaf = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    leaf.requires_grad_()
    x = leaf.clone()
    out = tensor(answer(x, out_channels, stride))
    see("result", out)
    see("x, afterwards", x)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(7))
    see_gradients((out * weights).sum(), {"x": leaf}, see)


identity_shortcut = Check(
    signature="identity_shortcut(x, out_channels, stride)",
    reference=_identity_shortcut,
    observe=_observe,
    cases={
        f"x of shape {shape}, out_channels={channels}, stride={stride}": (shape, channels, stride)
        for shape, channels, stride in (
            ((2, 4, 6, 6), 8, 2),
            ((2, 4, 5, 7), 8, 1),
            ((1, 6, 7, 9), 6, 2),
            ((3, 4, 6, 6), 4, 1),
            ((2, 4, 8, 5), 12, 2),
        )
    },
    said=beside(__file__),
)
