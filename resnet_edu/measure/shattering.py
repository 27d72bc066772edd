"""How quickly a network's gradient changes from one image to the next.

Source: Balduzzi et al., "The Shattered Gradients Problem: If resnets are the answer, then what is the
question?" (2017), section 2. They go along a line in a space of one dimension; here the line lies
between two images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_edu.as_found import in_mode


def gradients_along_line(model: nn.Module, start: Tensor, end: Tensor, points: int = 128) -> Tensor:
    """The slope of each logit at points on the line from image `start` to image `end` (3, H, W).

    The shape is (classes, points). In training mode, with all points as one batch, as an untrained network
    has no statistics of its own; the model is left as it was.
    Raises ValueError for fewer than two points.
    """
    if points < 2:
        raise ValueError(f"A line needs two points at least, not {points}.")
    places = torch.linspace(0, 1, points).view(-1, 1, 1, 1)
    images = (start + places * (end - start)).detach().requires_grad_()
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with in_mode(model, training=True), torch.enable_grad():
            logits = model(images)
            slopes = [
                (torch.autograd.grad(logit.sum(), images, retain_graph=True)[0] * (end - start))
                .flatten(1)
                .sum(1)
                for logit in logits.unbind(1)
            ]
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    return torch.stack(slopes).detach()


def autocorrelation(values: Tensor, lags: int) -> Tensor:
    """How alike `values` (rows, points) are to themselves so many points further on: 1 at lag 0.

    The mean over the rows, of shape (lags + 1,). Near 0 is white noise: neighbours know nothing of each
    other. Raises ValueError where there are not more points than lags.
    """
    points = values.shape[-1]
    if lags >= points:
        raise ValueError(f"{lags} lags need more than {lags} points, and there are {points}.")
    values = values.double() - values.double().mean(-1, keepdim=True)
    whole = values.square().sum(-1)
    found = [
        (values[..., : points - lag] * values[..., lag:]).sum(-1) / whole for lag in range(lags + 1)
    ]
    return torch.stack([f.mean() for f in found])
