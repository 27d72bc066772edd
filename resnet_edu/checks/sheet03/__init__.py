"""The checks of exercise sheet 03: training, and the degradation problem. One file for each task."""

from resnet_edu.checks.sheet03.accuracy import accuracy
from resnet_edu.checks.sheet03.deepen_by_identity import deepen_by_identity
from resnet_edu.checks.sheet03.plain_network import plain_network
from resnet_edu.checks.sheet03.train_step import train_step

__all__ = ["accuracy", "deepen_by_identity", "plain_network", "train_step"]
