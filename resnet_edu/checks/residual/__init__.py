"""The checks of the lesson on residual blocks. One module and one text for each task."""

from resnet_edu.checks.residual.basic_block import basic_block
from resnet_edu.checks.residual.identity_shortcut import identity_shortcut
from resnet_edu.checks.residual.zero_init_residual import zero_init_residual_

__all__ = ["basic_block", "identity_shortcut", "zero_init_residual_"]
