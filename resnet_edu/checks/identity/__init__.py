"""The checks of the lesson on identity mappings. One module and one text for each task."""

from resnet_edu.checks.identity.pre_activation_block import pre_activation_block
from resnet_edu.checks.identity.without_block import without_block

__all__ = ["pre_activation_block", "without_block"]
