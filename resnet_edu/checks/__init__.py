"""Verdicts on exercises: `checks.conv_output_size(my_function)` says what is right, and what is not.

A check looks at what an answer does, never at how it is written: it compares with a reference, and, where
the two differ, with versions that make a known mistake. It never raises, whatever the answer does.
"""

from resnet_edu.checks.convolution.batch_norm import batch_norm
from resnet_edu.checks.convolution.conv_block import conv_block
from resnet_edu.checks.convolution.conv_output_size import conv_output_size
from resnet_edu.checks.convolution.conv_parameters import conv_parameters
from resnet_edu.checks.convolution.receptive_field import receptive_field
from resnet_edu.checks.degradation.accuracy import accuracy
from resnet_edu.checks.degradation.deepen_by_identity import deepen_by_identity
from resnet_edu.checks.degradation.plain_network import plain_network
from resnet_edu.checks.degradation.train_step import train_step
from resnet_edu.checks.frameworks.explain_difference import explain_difference
from resnet_edu.checks.frameworks.fold_bias import fold_bias
from resnet_edu.checks.frameworks.keras_kernel_to_torch import keras_kernel_to_torch
from resnet_edu.checks.hunt.accuracy_of_batches import accuracy_of_batches
from resnet_edu.checks.hunt.copy_weights import copy_weights
from resnet_edu.checks.hunt.fit_classes import fit_classes
from resnet_edu.checks.hunt.only_the_head import only_the_head
from resnet_edu.checks.hunt.photos_to_batch import photos_to_batch
from resnet_edu.checks.hunt.shortcut_block import shortcut_block
from resnet_edu.checks.hunt.stack_blocks import stack_blocks
from resnet_edu.checks.hunt.tested_accuracy import tested_accuracy
from resnet_edu.checks.hunt.train_frozen import train_frozen
from resnet_edu.checks.hunt.with_new_head import with_new_head
from resnet_edu.checks.identity.pre_activation_block import pre_activation_block
from resnet_edu.checks.identity.without_block import without_block
from resnet_edu.checks.inside.block_importance import block_importance
from resnet_edu.checks.inside.capture import capture
from resnet_edu.checks.inside.grad_cam import grad_cam
from resnet_edu.checks.overview import progress, summary
from resnet_edu.checks.plain.gradient_norms import gradient_norms
from resnet_edu.checks.plain.he_init_ import he_init_
from resnet_edu.checks.plain.plain_block import plain_block
from resnet_edu.checks.residual.basic_block import basic_block
from resnet_edu.checks.residual.identity_shortcut import identity_shortcut
from resnet_edu.checks.residual.zero_init_residual import zero_init_residual_
from resnet_edu.checks.resnet50.bottleneck import bottleneck
from resnet_edu.checks.resnet50.count_layers import count_layers
from resnet_edu.checks.resnet50.load_by_name import load_by_name
from resnet_edu.checks.resnet50.make_stage import make_stage
from resnet_edu.checks.resnet50.resnet50 import resnet50
from resnet_edu.checks.transfer.freeze import freeze
from resnet_edu.checks.transfer.linear_probe import linear_probe
from resnet_edu.checks.transfer.parameter_groups import parameter_groups
from resnet_edu.checks.transfer.replace_head import replace_head
from resnet_edu.checks.transfer.train_mode import train_mode
from resnet_edu.checks.verdict import CheckNotPassed, Verdict

__all__ = [
    "CheckNotPassed",
    "Verdict",
    "accuracy",
    "accuracy_of_batches",
    "basic_block",
    "batch_norm",
    "block_importance",
    "bottleneck",
    "capture",
    "conv_block",
    "conv_output_size",
    "conv_parameters",
    "copy_weights",
    "count_layers",
    "deepen_by_identity",
    "explain_difference",
    "fit_classes",
    "fold_bias",
    "freeze",
    "grad_cam",
    "gradient_norms",
    "he_init_",
    "identity_shortcut",
    "keras_kernel_to_torch",
    "linear_probe",
    "load_by_name",
    "make_stage",
    "only_the_head",
    "parameter_groups",
    "photos_to_batch",
    "plain_block",
    "plain_network",
    "pre_activation_block",
    "progress",
    "receptive_field",
    "replace_head",
    "resnet50",
    "shortcut_block",
    "stack_blocks",
    "summary",
    "tested_accuracy",
    "train_frozen",
    "train_mode",
    "train_step",
    "with_new_head",
    "without_block",
    "zero_init_residual_",
]
