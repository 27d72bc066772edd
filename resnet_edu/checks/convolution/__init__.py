"""The checks of the lesson on convolution blocks. One module and one text for each task."""

from resnet_edu.checks.convolution.sheet01 import (
    batch_norm,
    conv_block,
    conv_output_size,
    conv_parameters,
    receptive_field,
)

__all__ = ["batch_norm", "conv_block", "conv_output_size", "conv_parameters", "receptive_field"]
