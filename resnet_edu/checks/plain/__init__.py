"""The checks of the lesson on plain networks. One module and one text for each task."""

from resnet_edu.checks.plain.gradient_norms import gradient_norms
from resnet_edu.checks.plain.he_init_ import he_init_
from resnet_edu.checks.plain.plain_block import plain_block

__all__ = ["gradient_norms", "he_init_", "plain_block"]
