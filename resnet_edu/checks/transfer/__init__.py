"""The checks of the lesson on transfer learning. One module and one text for each task."""

from resnet_edu.checks.transfer.freeze import freeze
from resnet_edu.checks.transfer.linear_probe import linear_probe
from resnet_edu.checks.transfer.parameter_groups import parameter_groups
from resnet_edu.checks.transfer.replace_head import replace_head
from resnet_edu.checks.transfer.train_mode import train_mode

__all__ = ["freeze", "linear_probe", "parameter_groups", "replace_head", "train_mode"]
