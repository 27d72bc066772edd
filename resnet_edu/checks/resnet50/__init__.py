"""The checks of the lesson on ResNet-50. One module and one text for each task."""

from resnet_edu.checks.resnet50.bottleneck import bottleneck
from resnet_edu.checks.resnet50.count_layers import count_layers
from resnet_edu.checks.resnet50.load_by_name import load_by_name
from resnet_edu.checks.resnet50.make_stage import make_stage
from resnet_edu.checks.resnet50.resnet50 import resnet50

__all__ = ["bottleneck", "count_layers", "load_by_name", "make_stage", "resnet50"]
