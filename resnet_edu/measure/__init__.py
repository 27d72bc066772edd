"""Numbers about networks. Each function returns a small frozen dataclass, a record.

`convolve`       what one small kernel does to one image
`anatomy`        shape, parameters, multiply-adds and receptive field of every layer
`signals`        how large the activations and the gradients are, layer by layer
`gradient_flow`  the same for a network of given depth, activation, initialisation, ...

No function changes the model it is given: weights, gradients, running statistics, modes and hooks are
afterwards what they were, also when an error is raised.
"""

from resnet_edu.measure.anatomy import Anatomy, Layer, anatomy
from resnet_edu.measure.convolution import KERNELS, Convolution, convolve
from resnet_edu.measure.flow import (
    ACTIVATIONS,
    DEPTHS,
    INITIALISATIONS,
    NORMALISATIONS,
    FlowSetting,
    flow_network,
    gradient_flow,
)
from resnet_edu.measure.signals import LayerSignal, Signals, signals

__all__ = [
    "ACTIVATIONS",
    "DEPTHS",
    "INITIALISATIONS",
    "KERNELS",
    "NORMALISATIONS",
    "Anatomy",
    "Convolution",
    "FlowSetting",
    "Layer",
    "LayerSignal",
    "Signals",
    "anatomy",
    "convolve",
    "flow_network",
    "gradient_flow",
    "signals",
]
