"""Finer maps from the same weights: dilation in the place of stride.

Sources: Yu and Koltun 2016, "Multi-Scale Context Aggregation by Dilated Convolutions"; Chen et al. 2018.
"""

from __future__ import annotations

from torch import nn

from resnet_edu.blocks import PaddingShortcut
from resnet_edu.networks import CifarResNet, ResNet, is_residual, stages


def dilate_network_(model: ResNet | CifarResNet, first: str = "layer3") -> None:
    """From the stage `first` on, let no stage make the map smaller. In place; weights stay as they are.

    Where a convolution skipped every second place, those behind it now look at neighbours twice as far
    apart. So, in evaluation mode, every second place of the new map (every fourth, after two such stages)
    is what came out before.

    Raises ValueError for a stage that the network does not have, and for a module in it that makes the map
    smaller in another way than by the stride of a convolution.
    """
    names = list(found := stages(model))
    if first not in names:
        raise ValueError(f"There is no stage {first!r}; the stages are {', '.join(names)}.")
    blocks = [block for name in names[names.index(first) :] for block in found[name]]
    for block in blocks:
        _require_only_convolutions(block)
    dilation = 1
    for block in blocks:
        after = dilation
        for name, module in block.named_modules():
            if name.startswith("downsample"):
                continue
            if isinstance(module, nn.Conv2d):  # in the order of execution
                after *= _dilate_(module, after)
        for module in block.downsample.modules() if is_residual(block) else ():
            if isinstance(module, nn.Conv2d):
                _dilate_(module, dilation)
            elif isinstance(module, PaddingShortcut):
                module.stride = 1
        dilation = after


def _dilate_(conv: nn.Conv2d, dilation: int) -> int:
    """Let it look at places `dilation` apart, and skip none. Returns the stride that it had."""
    stride = conv.stride[0]
    conv.stride = (1, 1)
    conv.dilation = (dilation, dilation)
    conv.padding = tuple(dilation * (size - 1) // 2 for size in conv.kernel_size)
    return stride


def _require_only_convolutions(block: nn.Module) -> None:
    for name, module in block.named_modules():
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d) and module.stride not in (1, (1, 1)):
            raise ValueError(
                f"{name} ({type(module).__name__}) makes the map smaller. Only the stride of convolutions "
                f"can become dilation."
            )
