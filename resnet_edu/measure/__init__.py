"""Numbers about networks. Each function returns a small frozen dataclass, a record.

`convolution`    what one small kernel does to one image
`anatomy`        shape, parameters, multiply-adds and receptive field of every layer
`architecture`   the same for a ResNet of 18 to 152 layers, block by block, with the code of each
`signals`        how large the activations and the gradients are, layer by layer
`gradient_flow`  the same for a network of given depth, activation, initialisation, ...
`lesions`        what a network answers with one block removed; `without_block`, `shuffled` make such a copy
`shortcut_signal`  signal and gradient at every block, for each kind of shortcut
`path_gradients`   how much gradient a path carries, by the number of branches that it passes
`gradients_along_line`  the slope of each logit between two images; `autocorrelation` of it
`capture`        what named modules put out; `grad_cam` where a network finds its evidence for a class
`excitation`     which images excite a channel most; `loss_surface` the loss around trained weights
`average_precision`  how good detections are, with `recall_by_size` and `iou`; `mean_iou` of segmentations

No function changes the model it is given: weights, gradients, running statistics, modes and hooks are
afterwards what they were, also when an error is raised.
"""

from resnet_edu.measure.anatomy import Anatomy, Layer, anatomy
from resnet_edu.measure.architecture import STAGES, Architecture, Place, Step, architecture
from resnet_edu.measure.capture import capture
from resnet_edu.measure.convolution import KERNELS, Convolution, convolution
from resnet_edu.measure.detections import (
    AveragePrecision,
    average_precision,
    iou,
    mean_iou,
    recall_by_size,
)
from resnet_edu.measure.excitation import Excitation, excitation
from resnet_edu.measure.flow import (
    ACTIVATIONS,
    DEPTHS,
    INITIALISATIONS,
    NORMALISATIONS,
    FlowSetting,
    flow_network,
    gradient_flow,
)
from resnet_edu.measure.heat_map import grad_cam
from resnet_edu.measure.lesions import Lesions, lesions, shuffled, without_block
from resnet_edu.measure.paths import path_counts, path_gradients
from resnet_edu.measure.shattering import autocorrelation, gradients_along_line
from resnet_edu.measure.shortcuts import (
    SHORTCUTS,
    BlockSignal,
    ShortcutSetting,
    ShortcutSignal,
    shortcut_network,
    shortcut_signal,
)
from resnet_edu.measure.signals import LayerSignal, Signals, signals
from resnet_edu.measure.surface import LossSurface, loss_surface
from resnet_edu.networks import RESNETS, block_names

__all__ = [
    "ACTIVATIONS",
    "DEPTHS",
    "INITIALISATIONS",
    "KERNELS",
    "NORMALISATIONS",
    "RESNETS",
    "SHORTCUTS",
    "STAGES",
    "Anatomy",
    "Architecture",
    "AveragePrecision",
    "BlockSignal",
    "Convolution",
    "Excitation",
    "FlowSetting",
    "Layer",
    "LayerSignal",
    "Lesions",
    "LossSurface",
    "Place",
    "ShortcutSetting",
    "ShortcutSignal",
    "Signals",
    "Step",
    "anatomy",
    "architecture",
    "autocorrelation",
    "average_precision",
    "block_names",
    "capture",
    "convolution",
    "excitation",
    "flow_network",
    "grad_cam",
    "gradient_flow",
    "gradients_along_line",
    "iou",
    "lesions",
    "loss_surface",
    "mean_iou",
    "path_counts",
    "path_gradients",
    "recall_by_size",
    "shortcut_network",
    "shortcut_signal",
    "shuffled",
    "signals",
    "without_block",
]
