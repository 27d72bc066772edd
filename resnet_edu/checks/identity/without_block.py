"""A network in which one block is the identity."""

from __future__ import annotations

import copy

import torch
from torch import nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, tensor, wrong_type
from resnet_edu.checks.found import changed_tensors, require_own_weights
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside
from resnet_edu.networks import cifar_resnet


def _without_block(model: nn.Module, name: str) -> nn.Module:
    block = model.get_submodule(name)
    changes_channels = block.conv1.in_channels != block.conv2.out_channels
    changes_shape = changes_channels or block.conv1.stride != (1, 1)
    if changes_shape:
        raise ValueError(f"{name} changes the shape, so it cannot be the identity")
    copied = copy.deepcopy(model)
    stage, place = name.split(".")
    blocks = copied.get_submodule(stage)
    blocks[int(place)] = nn.Identity()
    return copied


def _network(depth: int) -> nn.Module:
    model = cifar_resnet(depth, 5)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "bn" in name and value.is_floating_point():
                value.uniform_(0.5, 1.5)
    return model


def _observe(answer: Answer, case: tuple[int, str], see: See) -> None:
    depth, name = case
    model, x = _network(depth).eval(), torch.randn(3, 3, 8, 8)
    before = copy.deepcopy(model.state_dict())
    try:
        found, refused = answer(model, name), False
    except ValueError:
        found, refused = None, True
    label = "for a block that keeps the shape" if _removable(name) else "for this block"
    see(label, "a ValueError" if refused else "a network")
    if rows := changed_tensors(model, before):
        raise Wrong("original-changed", rows)
    if refused or not _removable(name):
        return
    if not issubclass(type(found), nn.Module):
        raise wrong_type(found, "an nn.Module")
    with torch.no_grad():
        see("output in eval mode", tensor(found.eval()(x)))
    require_own_weights(found, model)


def _removable(name: str) -> bool:
    return name not in ("layer2.0", "layer3.0")


without_block = Check(
    signature="without_block(model, name)",
    reference=_without_block,
    observe=_observe,
    cases={
        f"a trained ResNet-{depth}, name={name!r}": (depth, name)
        for depth, name in (
            (20, "layer1.1"),
            (20, "layer3.2"),
            (14, "layer2.1"),
            (14, "layer1.0"),
            (14, "layer2.0"),
            (14, "layer3.0"),
        )
    },
    said=beside(__file__),
)
