"""The checks of the lesson on plain networks. One module and one text for each task."""

from resnet_edu.checks.plain.sheet02 import gradient_norms, he_init_, plain_block

__all__ = ["gradient_norms", "he_init_", "plain_block"]
