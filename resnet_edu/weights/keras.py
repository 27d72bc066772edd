"""A ResNet of Keras as one of ours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.networks import ResNet
from resnet_edu.weights.by_name import load_by_name

STAGES = ("conv2", "conv3", "conv4", "conv5")
WANTED_OF_KERAS = (
    "from_keras takes ResNet50, ResNet101 or ResNet152 of keras.applications, with the head "
    "(include_top=True)."
)
KERAS_NAMES = {
    "conv1": "conv1_conv",
    "bn1": "conv1_bn",
    "relu": "conv1_relu",
    "maxpool": "pool1_pool",
    "avgpool": "avg_pool",
    "fc": "predictions",
}
KERAS_NAMES_IN_A_BLOCK = {
    "conv1": "1_conv",
    "bn1": "1_bn",
    "relu1": "1_relu",
    "conv2": "2_conv",
    "bn2": "2_bn",
    "relu2": "2_relu",
    "conv3": "3_conv",
    "bn3": "3_bn",
    "downsample.0": "0_conv",
    "downsample.1": "0_bn",
    "relu3": "out",
}
KERAS_WEIGHTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def keras_name(name: str) -> str:
    """The layer of Keras's ResNet-50 that is our module `name`: conv2_block1_1_conv is layer1.0.conv1.

    Keras counts stages from the stem and blocks from 1. Raises ValueError where Keras has no such layer.
    """
    if name in KERAS_NAMES:
        return KERAS_NAMES[name]
    match = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", name)
    if match and match[3] in KERAS_NAMES_IN_A_BLOCK:
        stage, block, module = int(match[1]) + 1, int(match[2]) + 1, match[3]
        return f"conv{stage}_block{block}_{KERAS_NAMES_IN_A_BLOCK[module]}"
    raise ValueError(f"Keras's ResNets have no layer that is our {name!r}.")


def from_keras(keras_model: Any) -> ResNet:
    """Keras's ResNet50, ResNet101 or ResNet152 as one of our networks, in evaluation mode.

    It computes what Keras computes, up to the softmax: our networks end in logits, and
    `logits.softmax(1)` are Keras's probabilities. Images are (N, 3, H, W), prepared as by Keras's
    `resnet.preprocess_input`: BGR, less the mean.

    Strides, epsilon and momentum are Keras's. The biases of its convolutions move into the batch norm
    behind them, which takes the mean off again: of x + bias the mean m, or of x the mean m - bias. So
    the network has the names and the number of parameters of every other ResNet here.

    Raises ValueError for other models, and where a weight is missing or left over.
    """
    layers = {layer.name: layer for layer in getattr(keras_model, "layers", ())}
    starts = [f"{stage}_block1_1_conv" for stage in STAGES]
    for name in ("conv1_conv", "conv1_bn", *starts, "predictions"):
        if name not in layers:
            raise ValueError(
                f"{WANTED_OF_KERAS} This {type(keras_model).__name__} has no layer {name!r}."
            )
    blocks = [len([n for n in layers if re.fullmatch(rf"{s}_block\d+_1_conv", n)]) for s in STAGES]
    block = partial(Bottleneck, stride_in_1x1=True)
    classes, width = layers["predictions"].units, layers["conv1_conv"].filters
    model = ResNet(block, blocks, classes, width).eval()

    report = load_by_name(model, _state_of_keras(model, layers.values()), strict=False)
    if not report.is_complete:
        raise ValueError(f"{WANTED_OF_KERAS} This {type(keras_model).__name__} differs.\n{report}")
    for name, module in _layers_with_weights(model):
        layer = layers[keras_name(name)]
        if isinstance(module, nn.BatchNorm2d):
            module.eps = layer.epsilon
            module.momentum = round(1 - layer.momentum, 6)  # Keras: of the old; PyTorch: of the new
        elif isinstance(module, nn.Conv2d) and tuple(layer.strides) != module.stride:
            raise ValueError(f"{WANTED_OF_KERAS} The stride of {layer.name} is {layer.strides}.")
    return model


def _layers_with_weights(model: nn.Module) -> list[tuple[str, nn.Module]]:
    kinds = nn.Conv2d | nn.BatchNorm2d | nn.Linear
    return [(name, m) for name, m in model.named_modules() if isinstance(m, kinds)]


def _state_of_keras(model: ResNet, layers: Iterable[Any]) -> dict[str, Tensor]:
    """All weights of Keras's layers under our names; one that we have no name for keeps its own."""
    modules = {keras_name(name): name for name, _ in _layers_with_weights(model)}
    state = {}
    for layer in layers:
        for weight in layer.weights:
            with warnings.catch_warnings():  # Keras copies in a way that NumPy 2 deprecates
                warnings.simplefilter("ignore", DeprecationWarning)
                tensor = torch.from_numpy(weight.numpy().astype("float32"))
            if weight.name == "kernel":  # (in, out), or (height, width, in, out)
                tensor = tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor.T
            name = modules.get(layer.name, layer.name)
            state[f"{name}.{KERAS_WEIGHTS.get(weight.name, weight.name)}"] = tensor
    for name in [n for n in state if re.search(r"(conv\d|downsample\.0)\.bias$", n)]:
        norm = name.replace("conv", "bn").replace("downsample.0", "downsample.1")
        mean = norm.replace("bias", "running_mean")
        if mean in state:
            state[mean] = state[mean] - state.pop(name)
    return state
