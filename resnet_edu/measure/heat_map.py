"""Where in an image a network finds its evidence for a class.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization" (2017), section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.as_found import hooked, in_mode
from resnet_edu.measure.capture import named_module


def grad_cam(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    """The heat map (H, W) of one class for one prepared image (C, H, W), with values from 0 to 1.

    `layer` names a module that puts out maps (1, channels, h, w), such as "layer4". Each of its channels
    is weighed by the mean gradient of the class's logit with respect to it; the sum, without what is
    negative, is enlarged bilinearly to the image and divided by its maximum. All zeros where nothing
    speaks for the class. In evaluation mode; the model is left as it was.
    Raises ValueError for another name, shape or class.

    On a network that ends, as ResNets do, with an average over places and a linear layer, and for its last
    maps, this is the older class activation map (Zhou et al. 2016) without its negative part.
    """
    if image.dim() != 3:
        raise ValueError(f"grad_cam takes one image (C, H, W), not {tuple(image.shape)}.")
    module, caught = named_module(model, layer), []

    def split(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
        caught.append(output.detach().requires_grad_())  # from here on gradients are wanted
        return caught[-1].clone()  # the next module may work in place

    with (
        hooked([module.register_forward_hook(split)]),
        in_mode(model, training=False),
        torch.enable_grad(),
    ):
        logits = model(image[None])[0]
        if not caught:
            raise ValueError(f"{layer!r} took no part in the forward pass.")
        maps = caught[-1]  # (1, channels, h, w)
        if maps.dim() != 4:
            raise ValueError(
                f"{layer!r} puts out {tuple(maps.shape)}, not maps (1, channels, h, w)."
            )
        if class_index not in range(len(logits)):
            raise ValueError(
                f"The classes are 0 to {len(logits) - 1}; there is no {class_index!r}."
            )
        (gradient,) = torch.autograd.grad(logits[class_index], maps)

    weight = gradient.mean((2, 3), keepdim=True)
    evidence = (weight * maps.detach()).sum(1, keepdim=True).relu()  # (1, 1, h, w)
    heat = F.interpolate(evidence, image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    return heat / heat.max() if heat.max() > 0 else heat
