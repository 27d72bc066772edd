"""The checks of exercise sheet 10: two frameworks, one network. One file for each task."""

from resnet_edu.checks.sheet10.explain_difference import explain_difference
from resnet_edu.checks.sheet10.fold_bias import fold_bias
from resnet_edu.checks.sheet10.keras_kernel_to_torch import keras_kernel_to_torch

__all__ = ["explain_difference", "fold_bias", "keras_kernel_to_torch"]
