"""The checks of exercise sheet 04: residual blocks. One file for each task."""

from resnet_edu.checks.sheet04.basic_block import basic_block
from resnet_edu.checks.sheet04.identity_shortcut import identity_shortcut
from resnet_edu.checks.sheet04.pre_activation_block import pre_activation_block
from resnet_edu.checks.sheet04.without_block import without_block
from resnet_edu.checks.sheet04.zero_init_residual import zero_init_residual_

__all__ = [
    "basic_block",
    "identity_shortcut",
    "pre_activation_block",
    "without_block",
    "zero_init_residual_",
]
