"""The checks of the lesson on two frameworks. One module and one text for each task."""

from resnet_edu.checks.frameworks.explain_difference import explain_difference
from resnet_edu.checks.frameworks.fold_bias import fold_bias
from resnet_edu.checks.frameworks.keras_kernel_to_torch import keras_kernel_to_torch

__all__ = ["explain_difference", "fold_bias", "keras_kernel_to_torch"]
