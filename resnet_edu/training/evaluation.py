"""What a network has learned."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import TensorDataset

from resnet_edu.as_found import in_mode
from resnet_edu.training.recipe import require_data

EVALUATION_BATCH = 250


def evaluate(model: nn.Module, data: TensorDataset) -> float:
    """The share, 0 to 1, of the images (N, 3, H, W) that `model` puts into the right class.

    Measured in evaluation mode and float32; the model's modes are afterwards what they were.
    """
    require_data(data)
    images, labels = data.tensors
    device = next(model.parameters()).device
    with in_mode(model, training=False), torch.inference_mode():
        answers = [model(x.to(device)).argmax(1).cpu() for x in images.split(EVALUATION_BATCH)]
    return int((torch.cat(answers) == labels).sum()) / len(labels)
