"""The checks of the lesson on convolution blocks. One module and one text for each task."""

from resnet_edu.checks.convolution.batch_norm import batch_norm
from resnet_edu.checks.convolution.conv_block import conv_block
from resnet_edu.checks.convolution.conv_output_size import conv_output_size
from resnet_edu.checks.convolution.conv_parameters import conv_parameters
from resnet_edu.checks.convolution.receptive_field import receptive_field

__all__ = ["batch_norm", "conv_block", "conv_output_size", "conv_parameters", "receptive_field"]
