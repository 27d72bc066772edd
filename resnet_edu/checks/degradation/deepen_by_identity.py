"""A deeper plain network that computes the same."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from resnet_edu.blocks import PlainBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, require, tensor, wrong_type
from resnet_edu.checks.found import changed_tensors, require_own_weights
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside
from resnet_edu.networks import cifar_plain


def _deepen_by_identity(model: nn.Module, extra_blocks: int) -> nn.Module:
    deeper = copy.deepcopy(model)
    channels = deeper.fc.in_features
    for _ in range(extra_blocks):
        block = PlainBlock(channels, channels)
        for conv, bn in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            nn.init.dirac_(conv.weight)
            nn.init.constant_(bn.weight, (1 + bn.eps) ** 0.5)
        deeper.layer3.append(block)
    return deeper.train(model.training)


def _observe(answer: Answer, case: tuple[int, int], see: See) -> None:
    depth, extra = case
    model, x = _trained(depth), torch.randn(4, 3, 8, 8)
    wanted = model.eval()(x).detach()
    before = copy.deepcopy(model.state_dict())
    layers = len(_layers_run(model, x))

    deeper = answer(model, extra)
    if not issubclass(type(deeper), nn.Module):
        raise wrong_type(deeper, "an nn.Module")
    if rows := changed_tensors(model, before):
        raise Wrong("original-changed", rows)
    deeper.eval()
    with torch.no_grad():
        got = tensor(deeper(x))
    see("shape of the output", tuple(got.shape))
    see("layers that an image passes, more than before", len(_layers_run(deeper, x)) - layers)
    _require_identities(deeper, model)
    see("output in eval mode", got if got.shape != wanted.shape else got - wanted)
    require_own_weights(deeper, model)
    see("two calls", "give two networks" if answer(model, extra) is not deeper else "give one")


def _trained(depth: int) -> nn.Module:
    """A plain network in which no number is at its start value."""
    model = cifar_plain(depth, 5)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "bn" in name and value.is_floating_point():
                value.uniform_(0.5, 1.5)
    return model


def _layers_run(model: nn.Module, x: Tensor) -> list[str]:
    """The names of the convolutions that an image passes."""
    run: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: run.append(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return run


def _require_identities(deeper: nn.Module, model: nn.Module) -> None:
    """Look at each block that is new, by itself: does it hand on what it gets?"""
    old = [_numbers(block) for block in _blocks(model)]
    new = [block for block in _blocks(deeper) if not _is_among(_numbers(block), old)]
    kept = len(_blocks(deeper)) - len(new)
    if kept < len(old):
        rows = (("Old blocks found again, expected", str(len(old))), ("Got", str(kept)))
        raise Wrong("weights-not-copied", rows)
    for block in new:
        x, out = _passed(block, deeper)
        if out.shape == x.shape and not torch.allclose(out, x, rtol=1e-2, atol=1e-3):
            _explain(block, out)


@torch.no_grad()
def _passed(block: nn.Module, model: nn.Module) -> tuple[Tensor, Tensor]:
    """What goes into a block of the model, and what comes out."""
    passed: list[tuple[Tensor, Tensor]] = []
    hook = block.register_forward_hook(lambda _, args, out: passed.append((args[0].clone(), out)))
    try:
        model(torch.randn(2, 3, 24, 24))
    finally:
        hook.remove()
    return passed[0]


def _explain(block: nn.Module, out: Tensor) -> None:
    """Say why an added block is not the identity. Raises Wrong."""
    kernels = [conv.weight for conv in (block.conv1, block.conv2)]
    deltas = [k.equal(nn.init.dirac_(torch.empty_like(k))) for k in kernels]
    if not out.any():
        name = "zeros-instead-of-identity"
    elif all(deltas):
        name = "batch-norm-not-neutral"
    elif any(deltas):
        name = "one-convolution-only"
    elif any((k.count_nonzero((1, 2, 3)) > 1).any() for k in kernels):
        name = "not-the-identity"
    else:
        name = "kernel-shifted"
    got = "something else" if out.any() else "zeros"
    require(name, "an added block by itself", "output equal to input", got)


def _blocks(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if all(hasattr(m, n) for n in ("conv1", "bn1", "conv2"))]


def _numbers(block: nn.Module) -> list[Tensor]:
    return [value for value in block.state_dict().values() if value.is_floating_point()]


def _is_among(numbers: list[Tensor], others: list[list[Tensor]]) -> bool:
    return any(all(map(torch.equal, numbers, other)) for other in others)


deepen_by_identity = Check(
    signature="deepen_by_identity(model, extra_blocks)",
    reference=_deepen_by_identity,
    observe=_observe,
    cases={
        "a plain network of 8 layers, extra_blocks=3": (8, 3),
        "a plain network of 14 layers, extra_blocks=1": (14, 1),
        "a plain network of 8 layers, extra_blocks=4": (8, 4),
        "a plain network of 8 layers, extra_blocks=0": (8, 0),
    },
    said=beside(__file__),
)
