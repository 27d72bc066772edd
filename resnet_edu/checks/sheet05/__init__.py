"""The checks of exercise sheet 05: bottlenecks and ResNet-50. One file for each task."""

from resnet_edu.checks.sheet05.bottleneck import bottleneck
from resnet_edu.checks.sheet05.count_layers import count_layers
from resnet_edu.checks.sheet05.load_by_name import load_by_name
from resnet_edu.checks.sheet05.make_stage import make_stage
from resnet_edu.checks.sheet05.resnet50 import resnet50

__all__ = ["bottleneck", "count_layers", "load_by_name", "make_stage", "resnet50"]
