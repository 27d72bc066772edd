"""How large activations and gradients are on their way through a network, from one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from resnet_edu.as_found import hooked, in_mode


@dataclass(frozen=True)
class LayerSignal:
    """One convolution: its name, and the two signals that pass it.

    `activation_scale` is the root mean square of the numbers that flow in (forward pass);
    `gradient_norm` the L2 norm of the loss's gradient with respect to its weight (backward pass).
    """

    name: str
    activation_scale: float
    gradient_norm: float


@dataclass(frozen=True)
class Signals:
    """The cross-entropy of one batch, and what was measured at every convolution, first to last."""

    loss: float
    layers: tuple[LayerSignal, ...]

    @property
    def gradient_ratio(self) -> float:
        """Gradient norm of the first convolution over that of the last.

        Far below 1: the gradient vanishes on its way back. Far above 1: it explodes.
        """
        first, last = self.layers[0].gradient_norm, self.layers[-1].gradient_norm
        return first / last if last else float("nan")

    @property
    def activation_ratio(self) -> float:
        """Activation scale at the last convolution over that at the second.

        (The first sees the image itself, before any layer.)
        """
        second, last = self.layers[1].activation_scale, self.layers[-1].activation_scale
        return last / second if second else float("nan")


def signals(model: nn.Module, images: Tensor, labels: Tensor) -> Signals:
    """Measure one forward and one backward pass in training mode.

    `images` are (N, 3, H, W), or what else the model takes; `labels` (N,) are class numbers. The model
    is left as it was. Raises ValueError for a model with fewer than two convolutions.
    """
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    if len(convolutions) < 2:
        raise ValueError(
            f"signals needs a network with two convolutions or more; this {type(model).__name__} has "
            f"{len(convolutions)}."
        )
    # The pass runs on stand-ins for the weights and on copies of the running statistics.
    weights = {n: p.detach().requires_grad_() for n, p in model.named_parameters()}
    statistics = {n: b.clone() for n, b in model.named_buffers()}
    scales: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def note_root_mean_square(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            scales[name] = args[0].detach().square().mean().sqrt()

        return note_root_mean_square

    handles = [m.register_forward_pre_hook(hook_for(n)) for n, m in convolutions.items()]
    with hooked(handles), in_mode(model, training=True), torch.enable_grad():
        logits = functional_call(model, weights | statistics, (images,))
        if len(scales) < 2:
            raise ValueError(
                f"Of its convolutions, only {len(scales)} took part in the forward pass."
            )
        loss = F.cross_entropy(logits, labels)
        of_weight = {name: weights[f"{name}.weight"] for name in scales}
        gradients = torch.autograd.grad(loss, list(of_weight.values()))

    norms = torch.stack(
        [g.cpu().double().norm() for g in gradients]
    ).tolist()  # squares of 1e-23 need it
    rms = torch.stack(list(scales.values())).tolist()
    layers = (LayerSignal(*row) for row in zip(of_weight, rms, norms, strict=True))
    return Signals(loss.item(), tuple(layers))
