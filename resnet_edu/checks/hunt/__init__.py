"""Checks of the bug hunt: is the mistake gone, and for the right reason?

In each of them `still-there` is the mistake that the sheet comes with. The message tells by what it still
shows, and never the line.
"""

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

__all__ = [
    "accuracy_of_batches",
    "copy_weights",
    "fit_classes",
    "only_the_head",
    "photos_to_batch",
    "shortcut_block",
    "stack_blocks",
    "tested_accuracy",
    "train_frozen",
    "with_new_head",
]
