"""How the blocks of a stage are looked at: by themselves, and in the whole network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.checks.compare import require
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside

MODULES = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")
SAID = beside(__file__)


def require_blocks(blocks: Sequence[nn.Module], number: int, width: int, stage: str) -> None:
    """Say what is wrong with the blocks, rather than that keys are missing. Raises Wrong."""
    different = len({id(block) for block in blocks})
    require("one-block-repeated", f"different blocks in {stage}", len(blocks), different)
    require("wrong-number-of-blocks", f"blocks in {stage}", number, len(blocks))
    wider = Bottleneck.expansion * width
    for block in blocks:
        names = [name for name, _ in block.named_children()]
        if not all(name in names for name in MODULES):
            got = ", ".join(names) or "no modules"
            require("other-blocks", f"a block of {stage}", ", ".join(MODULES), got)
        inside = getattr(block.conv2, "out_channels", width)
        require("wrong-width", f"channels inside a block of {stage}", width, inside)
        outside = getattr(block.conv3, "out_channels", wider)
        require("bottleneck-is-wrong", f"channels after {stage}", wider, outside)


def projection_problem(block: nn.Module, name: str) -> Wrong | None:
    """What is wrong with the weights on the shortcut of a block that changes the shape."""
    keys = [key for key in block.state_dict() if key.startswith("downsample.")]
    rows = (("Looked at", f"{name}.downsample"), ("Expected", "a 1x1 convolution and a batch norm"))
    if not keys:
        return Wrong("projection-missing", (*rows, ("Got", "no weights")))
    if not any(key.endswith("running_mean") for key in keys):
        return Wrong("projection-without-batch-norm", (*rows, ("Got", ", ".join(keys))))
    return None
