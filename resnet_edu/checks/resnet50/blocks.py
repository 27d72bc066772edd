"""How the blocks of a stage are looked at, in tasks 5.2 and 5.3."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.checks.guard import Wrong

MODULES = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")
SEE_5_1 = "`checks.bottleneck` says what is wrong with it."


def require_blocks(blocks: Sequence[nn.Module], number: int, width: int, stage: str) -> None:
    """Say what is wrong with the blocks, rather than that keys are missing. Raises Wrong."""
    different = len({id(block) for block in blocks})
    if different < len(blocks):
        raise Wrong(
            "one-block-repeated",
            "The same block stands in the stage more than once: multiplying a list copies nothing. Then "
            "several places share their weights.",
            _rows(f"different blocks in {stage}", len(blocks), different),
        )
    if len(blocks) != number:
        raise Wrong(
            "wrong-number-of-blocks",
            "A stage has another number of blocks than is asked for; the one that changes the "
            "shape counts too. The network's depth is another then, and of published weights some "
            "are left over or missing.",
            _rows(f"blocks in {stage}", number, len(blocks)),
        )
    for block in blocks:
        names = [name for name, _ in block.named_children()]
        if not all(name in names for name in MODULES):
            raise Wrong(
                "other-blocks",
                "The blocks are not bottlenecks: they lack modules that task 5.1 asks for. "
                "Weights are loaded by those names, and would find no place.",
                _rows(f"a block of {stage}", ", ".join(MODULES), ", ".join(names) or "no modules"),
            )
        inside, outside = (_channels(block, name) for name in ("conv2", "conv3"))
        if inside not in (None, width):
            raise Wrong(
                "wrong-width",
                "The blocks have another width than is asked for. `width` counts the channels "
                "inside a block, which multiplies it by itself: the next stage is built for what "
                "then comes out.",
                _rows(f"channels inside a block of {stage}", width, inside),
            )
        if outside not in (None, Bottleneck.expansion * width):
            raise Wrong(
                "bottleneck-is-wrong",
                f"The block itself gives another number of channels than a bottleneck. {SEE_5_1}",
                _rows(f"channels after {stage}", Bottleneck.expansion * width, outside),
            )


def projection_problem(block: nn.Module, name: str) -> Wrong | None:
    """What is wrong with the weights on the shortcut of a block that changes the shape."""
    keys = [key for key in block.state_dict() if key.startswith("downsample.")]
    rows = (("Looked at", f"{name}.downsample"), ("Expected", "a 1x1 convolution and a batch norm"))
    if not keys:
        return Wrong(
            "projection-missing",
            "The first block of a stage changes the shape, and has no weights on its shortcut "
            "(`downsample`): its input does not fit what it is added to. A block decides by its "
            "arguments whether it needs them.",
            (*rows, ("Got", "no weights")),
        )
    if not any(key.endswith("running_mean") for key in keys):
        return Wrong(
            "projection-without-batch-norm",
            "The projection has no batch norm. The paper has one after every convolution, and published "
            "weights bring its numbers.",
            (*rows, ("Got", ", ".join(keys))),
        )
    return None


def _channels(block: nn.Module, name: str) -> int | None:
    return getattr(getattr(block, name), "out_channels", None)


def _rows(looked_at: str, expected: object, got: object) -> tuple[tuple[str, str], ...]:
    return (("Looked at", looked_at), ("Expected", str(expected)), ("Got", str(got)))
