"""What suits the machine: the device, the order in memory, the precision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import nn

from resnet_edu.as_found import in_mode


def fastest_device(model: nn.Module) -> torch.device:
    """Where to train: where the model is, or, for a model on the CPU, on a GPU if there is one."""
    device = next(model.parameters()).device
    if device.type == "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if device.type == "cpu" and torch.backends.mps.is_available():
        return torch.device("mps")
    return device


@contextmanager
def prepared(model: nn.Module) -> Iterator[torch.device]:
    """The model in training mode, where it trains fastest, its memory ordered by pixel; and back."""
    home, device = next(model.parameters()).device, fastest_device(model)
    with in_mode(model, training=True):
        for norm in _frozen_norms(model):
            norm.eval()
        try:
            model.to(device, memory_format=torch.channels_last)
            yield device
        finally:
            model.to(home, memory_format=torch.contiguous_format)


def _frozen_norms(model: nn.Module) -> Iterator[nn.Module]:
    """The batch norms that have parameters, none of which is trained."""
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine
        if is_norm and not (module.weight.requires_grad or module.bias.requires_grad):
            yield module


@lru_cache
def bfloat16_pays(device: str) -> bool:
    """Whether the machine computes faster in bfloat16: a short timing, for flags do not tell.

    Processors that have it are faster in it, those that must imitate it ten times slower. The line is
    drawn between the two, at 1.5 times slower, so that chance never decides and runs can be repeated.
    """
    if device != "cpu":
        return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    layers = [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    network = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    images = torch.ones(32, 64, 16, 16).to(memory_format=torch.channels_last)
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(6):
        for bfloat16, measured in times.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                out = network(images)
            out.float().sum().backward()
            measured.append(time.perf_counter() - start)
    return min(times[True]) < 1.5 * min(times[False])
