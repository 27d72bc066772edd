"""The paths through a residual network, and how much gradient they carry.

Each block lets the signal through its branch or around it. So n blocks make 2^n paths, and comb(n, k) of
them pass k branches. Source: Veit et al., "Residual Networks Behave Like Ensembles of Relatively Shallow
Networks" (2016), section 5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.as_found import hooked, in_mode
from resnet_edu.networks import block_names, is_residual, last_norm


def path_counts(blocks: int) -> tuple[int, ...]:
    """How many paths through so many blocks pass 0, 1, 2, ... branches.

    Raises ValueError for a negative number.
    """
    if blocks < 0:
        raise ValueError(f"There cannot be {blocks} blocks; give 0 or more.")
    return tuple(math.comb(blocks, length) for length in range(blocks + 1))


def path_gradients(
    model: nn.Module, images: Tensor, labels: Tensor, samples: int = 2, seed: int = 0
) -> tuple[float, ...]:
    """The gradient norm at the first block's input that one path of each length carries, on average.

    For each length k, `samples` sets of k blocks are drawn; the gradient then goes through the branches of
    these, and through the shortcuts of all others. The forward pass is the usual one. `images` are
    (N, 3, H, W), `labels` (N,); evaluation mode, cross-entropy. The model is left as it was.
    Raises ValueError for a model whose blocks have no shortcut.
    """
    names = block_names(model)
    blocks = [model.get_submodule(name) for name in names]
    if not all(is_residual(block) for block in blocks):
        raise ValueError(
            "This network has blocks without a shortcut (`downsample`): there is one path only. Give a "
            "residual network."
        )
    generator = torch.Generator().manual_seed(seed)
    found = []
    with in_mode(model, training=False), torch.enable_grad():
        for length in range(len(blocks) + 1):
            norms = [
                _gradient_through(
                    model,
                    set(torch.randperm(len(blocks), generator=generator)[:length].tolist()),
                    (images, labels),
                )
                for _ in range(samples)
            ]
            found.append(sum(norms) / samples)
    return tuple(found)


def _gradient_through(model: nn.Module, chosen: set[int], batch: tuple[Tensor, Tensor]) -> float:
    """The gradient norm at the first block's input, through the branches of the chosen blocks alone."""
    blocks = [model.get_submodule(name) for name in block_names(model)]
    inputs: list[Tensor] = []

    def start(_block: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        inputs.append(args[0].detach().requires_grad_())
        return (inputs[0],)

    def cut(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
        return output.detach()

    hooks = [blocks[0].register_forward_pre_hook(start)]
    for place, block in enumerate(blocks):
        part = block.downsample if place in chosen else last_norm(block)
        hooks.append(part.register_forward_hook(cut))
    with hooked(hooks):
        loss = F.cross_entropy(model(batch[0]), batch[1])
    (gradient,) = torch.autograd.grad(loss, inputs)
    return gradient.double().norm().item()
