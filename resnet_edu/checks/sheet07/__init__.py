"""The checks of exercise sheet 07: transfer learning. One file for each task."""

from resnet_edu.checks.sheet07.freeze import freeze
from resnet_edu.checks.sheet07.linear_probe import linear_probe
from resnet_edu.checks.sheet07.parameter_groups import parameter_groups
from resnet_edu.checks.sheet07.replace_head import replace_head
from resnet_edu.checks.sheet07.train_mode import train_mode

__all__ = ["freeze", "linear_probe", "parameter_groups", "replace_head", "train_mode"]
