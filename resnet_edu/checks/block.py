"""How a block of layers is looked at: its modules, its outputs and gradients, in train and eval mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks.compare import Evidence, See, as_call, tensor, wrong_type
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
    make_lazy_modules(block, leaf)
    own = block.state_dict(keep_vars=True)
    require_names(block, own, state)
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


def require_projection(
    answer: Callable[..., Any], block: nn.Module, arguments: tuple[int, ...], expansion: int = 1
) -> None:
    """Say what is wrong with the shortcut, rather than that its names are missing or its shapes differ.

    `arguments` are those of `block`: input channels, width and stride. `expansion` times the width comes
    out. Raises Wrong.
    """
    i, width, stride = (*arguments, 1)[:3]
    o = expansion * width
    if i == o and stride == 1:
        return
    kinds = [type(m) for m in _downsample(block).modules()]
    has_bn = any(issubclass(kind, nn.modules.batchnorm._BatchNorm) for kind in kinds)
    has_conv = any(issubclass(kind, nn.modules.conv._ConvNd) for kind in kinds)
    rows = (("Looked at", f"downsample where {i} channels become {o}, at stride {stride}"),)
    if has_conv and not has_bn:
        raise Wrong(
            "projection-without-batch-norm",
            (*rows, ("Expected", "a convolution and a batch norm"), ("Got", "a convolution")),
        )
    elsewhere = not hasattr(block, "downsample") and _has_sequential(block)
    if has_conv or elsewhere or holds_modules(getattr(block, "downsample", None)):
        return  # it is there, or it may be: under another name, or in a list
    rows += (("Expected", "a 1x1 convolution and a batch norm"), ("Got", "no projection"))
    if i > o and projects(answer, 4, 8, 1):
        raise Wrong("projection-only-for-more-channels", rows)
    with_both = projects(answer, 4, 8, 2)
    if with_both and projects(answer, 4 * expansion, 4, 2):
        raise Wrong("projection-only-with-stride", rows)
    if with_both and projects(answer, 4, 8, 1):
        raise Wrong("projection-only-with-channels", rows)
    if with_both:
        raise Wrong("projection-only-with-both", rows)
    if not _adds_its_input(answer, expansion):
        raise Wrong("no-shortcut", rows)
    raise Wrong("no-projection", rows)


def projects(answer: Callable[..., Any], *arguments: int) -> bool:
    """Whether the block has weights on its shortcut."""
    with torch.no_grad():
        return any(True for _ in _downsample(answer(*arguments)).parameters())


def _downsample(block: nn.Module) -> nn.Module:
    found = getattr(block, "downsample", None)
    return found if isinstance(found, nn.Module) else nn.Identity()


def _has_sequential(block: nn.Module) -> bool:
    return any(issubclass(type(child), nn.Sequential) for child in block.children())


@torch.no_grad()
def _adds_its_input(answer: Callable[..., Any], expansion: int) -> bool:
    """Whether anything gets through where all weights of the branch are zero."""
    block = answer(4 * expansion, 4).eval()
    for value in block.state_dict().values():
        value.zero_()
    return bool(block(torch.ones(1, 4 * expansion, 3, 3)).any())


def see_gradients(total: Tensor, leaves: Mapping[str, Tensor], see: See) -> None:
    """Note the gradient of a sum by each leaf."""
    gradients = [None] * len(leaves)
    if total.requires_grad:
        gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    for name, gradient in zip(leaves, gradients, strict=True):
        see(f"gradient of {name}", "none" if gradient is None else gradient)


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


def make_lazy_modules(block: nn.Module, x: Tensor) -> None:
    """Give lazy modules their weights, by a first pass."""
    if any(map(nn.parameter.is_lazy, chain(block.parameters(), block.buffers()))):
        with torch.no_grad():
            block(x)


def require_names(block: nn.Module, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Say which names are missing, and whether it is for modules in a Python list. Raises Wrong."""
    missing = [key for key in state if key not in own and "running" not in key]
    if not missing:
        return
    wanted = dict.fromkeys(key.partition(".")[0] for key in state)
    found = list(block._modules)
    rows: Evidence = (
        ("Expected", ", ".join(wanted)),
        ("Got", ", ".join(found) or "no modules"),
    )
    if wanted.keys() <= set(found):  # a name inside one of them
        rows = (
            ("Missing", missing[0]),
            ("Got", next((key for key in own if key not in state), "nothing")),
        )
    if any(holds_modules(value) for name, value in vars(block).items() if name != "_modules"):
        raise Wrong("modules-in-a-list", rows)
    raise Wrong("missing-module", rows)


def holds_modules(value: object) -> bool:
    """Whether it is a list or dictionary of Python's with modules in it."""
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
    for key in _further(block, own, state):  # those that were not asked for
        own[key].copy_(_random(key, own[key].shape, numbers))
        if key.endswith("bias"):
            own[key].zero_()
