"""Verdicts on exercises: `checks.conv_output_size(my_function)` says what is right, and what is not.

A check looks at what an answer does, never at how it is written: it compares with a reference, and, where
the two differ, with versions that make a known mistake. It never raises, whatever the answer does.
"""

from resnet_edu.checks.convolution import (
    batch_norm,
    conv_block,
    conv_output_size,
    conv_parameters,
    receptive_field,
)
from resnet_edu.checks.degradation import accuracy, deepen_by_identity, plain_network, train_step
from resnet_edu.checks.frameworks import explain_difference, fold_bias, keras_kernel_to_torch
from resnet_edu.checks.hunt import (
    accuracy_of_batches,
    copy_weights,
    fit_classes,
    only_the_head,
    photos_to_batch,
    shortcut_block,
    stack_blocks,
    tested_accuracy,
    train_frozen,
    with_new_head,
)
from resnet_edu.checks.identity import pre_activation_block, without_block
from resnet_edu.checks.inside import block_importance, capture, grad_cam
from resnet_edu.checks.overview import progress, summary
from resnet_edu.checks.plain import gradient_norms, he_init_, plain_block
from resnet_edu.checks.residual import basic_block, identity_shortcut, zero_init_residual_
from resnet_edu.checks.resnet50 import (
    bottleneck,
    count_layers,
    load_by_name,
    make_stage,
    resnet50,
)
from resnet_edu.checks.transfer import (
    freeze,
    linear_probe,
    parameter_groups,
    replace_head,
    train_mode,
)
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
