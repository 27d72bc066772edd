"""What the tasks on trainings share: a small network, and the losses that are given back."""

from __future__ import annotations

from typing import Any

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.compare import See, see_float, wrong_type
from resnet_edu.networks import ResNet


def tiny_resnet(num_classes: int) -> ResNet:
    """A ResNet that is trained in no time."""
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes=num_classes, width=4)


def see_losses(losses: Any, see: See) -> None:
    """Note how many losses were given back, and each of them. Raises Wrong where it is no list."""
    if not isinstance(losses, list | tuple):
        raise wrong_type(losses, "a list of floats")
    see("number of losses", len(losses))
    for step, loss in enumerate(losses, 1):
        see_float(f"loss of step {step}", loss, see)
