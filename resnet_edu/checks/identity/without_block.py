"""Task 4.4: a network in which one block is the identity."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, tensor, wrong_type
from resnet_edu.checks.guard import Wrong
from resnet_edu.measure import without_block as _without_block
from resnet_edu.networks import cifar_resnet


class _Zeros(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def _version(change: Callable[[nn.Sequential, int], Any], strict: bool = True) -> Answer:
    """A copy in which something else is done to the stage, at the place of the block."""

    def version(model: nn.Module, name: str) -> nn.Module:
        stage, place = name.split(".")
        if strict and place == "0" and stage != "layer1":
            raise ValueError(f"{name} changes the shape")
        copied = copy.deepcopy(model)
        change(copied.get_submodule(stage), int(place))
        return copied

    return version


def _set(make: Callable[[], nn.Module], offset: int = 0) -> Callable[[nn.Sequential, int], None]:
    def change(stage: nn.Sequential, place: int) -> None:
        stage[(place + offset) % len(stage)] = make()

    return change


def _empty(stage: nn.Sequential, _place: int) -> None:
    for place in range(1, len(stage)):
        stage[place] = nn.Identity()


def _first_blocks_refused(model: nn.Module, name: str) -> nn.Module:
    if name.endswith(".0"):
        raise ValueError(f"{name} changes the shape")
    return _without_block(model, name)


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
    _require_unchanged(model, before)
    if refused or not _removable(name):
        return
    if not issubclass(type(found), nn.Module):
        raise wrong_type(found, "an nn.Module")
    with torch.no_grad():
        see("output in eval mode", tensor(found.eval()(x)))
    _require_own_weights(found, model)


def _removable(name: str) -> bool:
    return name not in ("layer2.0", "layer3.0")


def _require_unchanged(model: nn.Module, before: dict[str, Tensor]) -> None:
    after = model.state_dict()
    if after.keys() != before.keys() or any(not after[k].equal(before[k]) for k in before):
        raise Wrong(
            "original-changed",
            "The network that you were given has changed. Work on a deep copy: it is still needed, for the "
            "next block.",
            (("Its tensors before", str(len(before))), ("afterwards", str(len(after)))),
        )


def _require_own_weights(found: nn.Module, model: nn.Module) -> None:
    own = {p.data_ptr() for p in found.parameters()}
    shared = [name for name, p in model.named_parameters() if p.data_ptr() in own]
    if shared:
        raise Wrong(
            "shared-parameters",
            "The new network shares its weights with the old one: train one, and the other changes too. "
            "Copy deeply.",
            (("Shared", f"{len(shared)} parameters, the first is {shared[0]}"),),
        )


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
    mistakes=(
        Mistake(
            "no-value-error",
            "For a block that changes the shape you raise no ValueError. It cannot be the identity: the "
            "block after it gets other channels than it was made for, and stops with an error that does "
            "not say why.",
            [_version(_set(nn.Identity), strict=False)],
        ),
        Mistake(
            "block-still-there",
            "The block is still at work: the network computes what it did before. Whoever measures with "
            "it what the block is worth finds that no block is ever missed.",
            [_version(lambda *_: None), _version(lambda *_: None, strict=False)],
        ),
        Mistake(
            "zeros-instead-of-identity",
            "In the place of the block comes zero. So nothing of the image reaches the blocks after it, "
            "and what you measure is the loss of all layers before, not of one block.",
            [_version(_set(_Zeros)), _version(_set(_Zeros), strict=False)],
        ),
        Mistake(
            "another-block",
            "Another block is missing than the one that was named, so each result stands beside the "
            "wrong name. The number after the dot counts from 0.",
            [
                _version(_set(nn.Identity, -1)),
                _version(_set(nn.Identity, 1)),
                _version(lambda stage, _: _set(nn.Identity)(stage, len(stage) - 1)),
            ],
        ),
        Mistake(
            "whole-stage",
            "All blocks of the stage that keep the shape are missing, and only one was named. What you "
            "measure is the loss of all of them together, and says nothing of any one.",
            [_version(_empty)],
        ),
        Mistake(
            "first-blocks-refused",
            "You raise a ValueError for the first block of each stage. That of `layer1` keeps the "
            "shape, and it is the block that the lesson's ResNet-56 misses most: just this measurement "
            "is refused.",
            [_first_blocks_refused],
        ),
    ),
)
