"""The checks of the lesson on the degradation problem. One module and one text for each task."""

from resnet_edu.checks.degradation.accuracy import accuracy
from resnet_edu.checks.degradation.deepen_by_identity import deepen_by_identity
from resnet_edu.checks.degradation.plain_network import plain_network
from resnet_edu.checks.degradation.train_step import train_step

__all__ = ["accuracy", "deepen_by_identity", "plain_network", "train_step"]
