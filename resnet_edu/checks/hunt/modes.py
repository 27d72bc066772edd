"""Whether a network is in evaluation mode as a whole, or by its own flag alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import nn

from resnet_edu.checks.compare import require


def require_more_than_one_flag(
    model: nn.Module, norms: Sequence[nn.Module], modes: Collection[bool]
) -> None:
    """Raises Wrong where only `model.training` is False, and batch norms computed in train mode."""
    if any(modes) and not model.training and all(norm.training for norm in norms):
        require("only-one-flag", "a batch norm, while it computes", "eval", "train")
