"""Task 3.4: a deeper plain network that computes the same."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import PlainBlock
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, tensor, wrong_type
from resnet_edu.checks.guard import Wrong
from resnet_edu.networks import cifar_plain


def identity_block(channels: int) -> PlainBlock:
    """A plain block that hands on any input without negative numbers, in evaluation mode."""
    block = PlainBlock(channels, channels)
    for conv in (block.conv1, block.conv2):
        nn.init.dirac_(conv.weight)
    for bn in (block.bn1, block.bn2):
        nn.init.constant_(bn.weight, (1 + bn.eps) ** 0.5)
    return block


def _deepen_by_identity(model: nn.Module, extra_blocks: int) -> nn.Module:
    return _deepened(model, extra_blocks)


def _deepened(
    model: nn.Module,
    extra_blocks: int,
    make: Callable[[int], nn.Module] = identity_block,
    copied: Callable[[nn.Module], nn.Module] = copy.deepcopy,
    count: Callable[[int], int] = lambda extra: extra,
) -> nn.Module:
    """The reference, and with other arguments its wrong versions."""
    deeper = copied(model)
    for _ in range(count(extra_blocks)):
        deeper.layer3.append(make(64))
    return deeper


def _version(**changes: Any) -> Answer:
    def version(model: nn.Module, extra_blocks: int) -> nn.Module:
        return _deepened(model, extra_blocks, **changes)

    return version


def _observe(answer: Answer, case: tuple[int, int], see: See) -> None:
    depth, extra = case
    model, x = _trained(depth), torch.randn(4, 3, 8, 8)
    wanted = model.eval()(x).detach()
    before = copy.deepcopy(model.state_dict())
    layers = len(_layers_run(model, x))

    deeper = answer(model, extra)
    if not issubclass(type(deeper), nn.Module):
        raise wrong_type(deeper, "an nn.Module")
    _require_unchanged(model, before)
    deeper.eval()
    with torch.no_grad():
        got = tensor(deeper(x))
    see("shape of the output", tuple(got.shape))
    see(
        "layers that an image passes, more than before",
        len(_layers_run(deeper, x)) - layers,
    )
    _require_identities(deeper, model)
    see("output in eval mode", got if got.shape != wanted.shape else got - wanted)
    _require_own_weights(deeper, model)
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


def _require_unchanged(model: nn.Module, before: dict[str, Tensor]) -> None:
    after = model.state_dict()
    if after.keys() != before.keys():
        rows = (("Its tensors before", str(len(before))), ("afterwards", str(len(after))))
    elif any(not after[name].equal(before[name]) for name in before):
        rows = (("Looked at", "its weights, afterwards"), ("Got", "other numbers"))
    else:
        return
    raise Wrong(
        "original-changed",
        "The network that you were given has changed. Work on a copy: whoever gave it to you still needs "
        "the shallow one, to compare.",
        rows,
    )


def _require_identities(deeper: nn.Module, model: nn.Module) -> None:
    """Look at each block that is new, by itself: does it hand on what it gets?"""
    old = [_numbers(block) for block in _blocks(model)]
    new = [block for block in _blocks(deeper) if not _is_among(_numbers(block), old)]
    kept = len(_blocks(deeper)) - len(new)
    if kept < len(old):
        raise Wrong(
            "weights-not-copied",
            "The blocks that were there before have other weights now. What the shallow network has "
            "learned must go into the deeper one.",
            (("Old blocks found again, expected", str(len(old))), ("Got", str(kept))),
        )
    for block in new:
        with _seen_by(block) as passed:
            deeper(torch.randn(2, 3, 24, 24))
        x, out = passed[0]
        if out.shape == x.shape and not torch.allclose(out, x, rtol=1e-2, atol=1e-3):
            _explain(block, out)


@contextmanager
def _seen_by(block: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    passed: list[tuple[Tensor, Tensor]] = []
    hook = block.register_forward_hook(lambda _, args, out: passed.append((args[0].clone(), out)))
    with torch.no_grad():
        try:
            yield passed
        finally:
            hook.remove()


def _explain(block: nn.Module, out: Tensor) -> None:
    rows = (("Looked at", "an added block by itself"), ("Expected", "output equal to input"))
    if not out.any():
        raise Wrong(
            "zeros-instead-of-identity",
            "An added block gives nothing but zeros. With weights of zero a plain block forgets its "
            "input: there is no shortcut that would carry it around.",
            (*rows, ("Got", "zeros")),
        )
    kernels = [conv.weight for conv in (block.conv1, block.conv2)]
    deltas = [k.equal(nn.init.dirac_(torch.empty_like(k))) for k in kernels]
    if all(deltas):
        raise Wrong(
            "batch-norm-not-neutral",
            "The convolutions of an added block hand on their input, but a batch norm changes it. In eval "
            "mode it subtracts its running mean, divides, multiplies and adds: what must each of them be?",
            (*rows, ("Got", "something else")),
        )
    if any(deltas):
        raise Wrong(
            "one-convolution-only",
            "Only one of the two convolutions of an added block hands on its input. The other mixes it "
            "up, and what the layers before have worked out is lost there.",
            (*rows, ("Got", "something else")),
        )
    if any((k.count_nonzero((1, 2, 3)) > 1).any() for k in kernels):
        raise Wrong(
            "not-the-identity",
            "An added block does not hand on its input. In the kernel of each channel, a single number is "
            "not zero: which one, and what is it?",
            (*rows, ("Got", "something else")),
        )
    raise Wrong(
        "kernel-shifted",
        "An added block moves the image, or mixes up its channels; the layers after it have learned "
        "where things stand. From which pixel of which channel should each number of the output come?",
        (*rows, ("Got", "something else")),
    )


def _blocks(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if all(hasattr(m, n) for n in ("conv1", "bn1", "conv2"))]


def _numbers(block: nn.Module) -> list[Tensor]:
    return [value for value in block.state_dict().values() if value.is_floating_point()]


def _is_among(numbers: list[Tensor], others: list[list[Tensor]]) -> bool:
    return any(all(map(torch.equal, numbers, other)) for other in others)


def _require_own_weights(deeper: nn.Module, model: nn.Module) -> None:
    own = {p.data_ptr() for p in deeper.parameters()}
    shared = [name for name, p in model.named_parameters() if p.data_ptr() in own]
    if shared:
        raise Wrong(
            "shared-parameters",
            "The new network shares its weights with the old one: train one, and the other changes too. "
            "Copy deeply.",
            (("Shared", f"{len(shared)} parameters, the first is {shared[0]}"),),
        )


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
    mistakes=(
        Mistake(
            "blocks-per-stage",
            "Your network has more new blocks than asked for, so it is deeper than its owner believes. "
            "`extra_blocks` is their number in the whole network, not in each stage.",
            [_version(count=lambda extra: 3 * extra)],
        ),
        Mistake(
            "layers-not-blocks",
            "Your network has half of the new blocks, so it is shallower than its owner believes. "
            "`extra_blocks` counts blocks, and a block has two layers.",
            [_version(count=lambda extra: extra // 2)],
        ),
        Mistake(
            "rest-left-out",
            "Where `extra_blocks` is not a multiple of three, some are missing, and the network is "
            "shallower than its owner believes. The stages need not get equally many.",
            [_version(count=lambda extra: extra // 3 * 3)],
        ),
        Mistake(
            "not-deeper",
            "The network computes the same, but an image passes no more convolutions than before. So it "
            "shows nothing about depth: it has no layer that could have learned something else.",
            [_version(make=lambda _: nn.Identity()), lambda model, _: copy.deepcopy(model)],
        ),
        Mistake(
            "one-block-only",
            "There is one new block, however many were asked for. Whoever compares depths with your "
            "function compares networks that are all equally deep.",
            [_version(count=lambda extra: min(extra, 1)), _version(count=lambda _: 1)],
        ),
    ),
)
