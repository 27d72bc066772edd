"""How a block of layers is looked at: its modules, its outputs and gradients, in train and eval mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks.compare import See, as_call, tensor, wrong_type
from resnet_edu.checks.guard import Wrong

BlockCase = tuple[tuple[int, ...], tuple[int, ...]]
"""The arguments of the block and the shape of its input."""


def block_cases(block: type[nn.Module], *cases: BlockCase) -> dict[str, BlockCase]:
    """The cases under a text like "ConvBlock(in_channels=3, out_channels=8), x of shape (2, 3, 9, 7)"."""
    return {f"{as_call(block, case[0])}, x of shape {case[1]}": case for case in cases}


def observe_block(
    reference: type[nn.Module], answer: Callable[..., Any], case: BlockCase, see: See
) -> None:
    """Give the answer's block the weights of a reference block, by name, and note all that it does."""
    arguments, shape = case
    numbers = torch.Generator().manual_seed(sum(shape))
    state = _random_state(reference(*arguments), numbers)
    leaf = torch.randn(shape, generator=numbers).requires_grad_()

    block = answer(*arguments)
    if not issubclass(type(block), nn.Module):
        raise wrong_type(block, "an nn.Module")
    _make_lazy_modules(block, leaf)
    own = block.state_dict(keep_vars=True)
    _require_names(block, own, state)
    see("statistics of batch norm", "kept" if own.keys() >= state.keys() else "not kept")
    for key in [key for key in state if key in own]:
        see(f"shape of {key}", tuple(own[key].shape))
    see("parameters that were not asked for", ", ".join(_further(block, own, state)) or "none")
    _load(block, own, state)

    x = leaf.clone()  # not the leaf itself: it may be changed in place
    out = tensor(block.train()(x))
    see("output in train mode", out)
    see("x, afterwards", x)
    weights = torch.randn(out.shape, generator=numbers)
    parameters = {key: own[key] for key in state if type(own.get(key)) is nn.Parameter}
    see_gradients((out * weights).sum(), {"x": leaf, **parameters}, see)
    for key in state:
        if "running" in key and key in own:
            see(f"{key} after one pass in train mode", own[key])
    see("output in eval mode", tensor(block.eval()(leaf.detach().clone())))


def see_gradients(total: Tensor, leaves: Mapping[str, Tensor], see: See) -> None:
    """Note the gradient of a sum by each leaf."""
    gradients = [None] * len(leaves)
    if total.requires_grad:
        gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    for name, gradient in zip(leaves, gradients, strict=True):
        see(f"gradient of {name}", "none" if gradient is None else gradient)


def variant(
    block: type[nn.Module],
    forward: Callable[[nn.Module, Tensor], Tensor] | None = None,
    **modules: Callable[..., nn.Module],
) -> type[nn.Module]:
    """`block` with another `forward`, or with modules made by other functions of its arguments."""

    class Variant(block):
        def __init__(self, *arguments: int) -> None:
            super().__init__(*arguments)
            for name, make in modules.items():
                setattr(self, name, make(*arguments))

    if forward:
        Variant.forward = forward
    return Variant


def _random_state(model: nn.Module, numbers: torch.Generator) -> dict[str, Tensor]:
    """Numbers for each weight and running statistic, so that none is at its start value by chance."""
    return {
        key: _random(key, value.shape, numbers)
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }


def _random(key: str, shape: torch.Size, numbers: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=numbers)
    return values.abs() + 0.5 if key.endswith("running_var") else values


def _make_lazy_modules(block: nn.Module, x: Tensor) -> None:
    if any(map(nn.parameter.is_lazy, chain(block.parameters(), block.buffers()))):
        with torch.no_grad():
            block(x)


def _require_names(
    block: nn.Module, own: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    missing = {key.partition(".")[0] for key in state.keys() - own.keys() if "running" not in key}
    if not missing:
        return
    wanted = ", ".join(dict.fromkeys(key.partition(".")[0] for key in state))
    rows = (
        ("Expected", wanted),
        ("Got", ", ".join(name for name, _ in block.named_children()) or "no modules"),
    )
    if any(_holds_modules(value) for name, value in vars(block).items() if name != "_modules"):
        raise Wrong(
            "modules-in-a-list",
            "Your modules are in a Python list or dictionary. PyTorch does not look into those: an "
            "optimiser would not see the weights, and they would never be trained.",
            rows,
        )
    raise Wrong(
        "missing-module",
        "The modules do not have the names that the task asks for. Weights are loaded by name, so names "
        "are part of what a network is.",
        rows,
    )


def _holds_modules(value: object) -> bool:
    if type(value) is dict:
        value = list(value.values())
    return type(value) in (list, tuple) and any(issubclass(type(v), nn.Module) for v in value)


def _further(block: nn.Module, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    asked_for = {id(own[key]) for key in state if key in own}
    return [name for name, value in block.named_parameters() if id(value) not in asked_for]


@torch.no_grad()
def _load(block: nn.Module, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Numbers that depend on nothing but names and shapes, so that equal mistakes give equal outputs."""
    numbers = torch.Generator().manual_seed(0)
    for key, value in state.items():
        if key in own:
            fits = own[key].shape == value.shape
            own[key].copy_(value if fits else _random(key, own[key].shape, numbers))
    for key in _further(block, own, state):
        if key.endswith("bias"):  # one that was not asked for
            own[key].zero_()
