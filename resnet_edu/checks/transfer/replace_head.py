"""A new last layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.block import make_lazy_modules
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.found import Found, randomised
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet


def _replace_head(model: nn.Module, num_classes: int) -> None:
    model.fc = nn.Linear(model.fc.in_features, num_classes)


def _observe(answer: Answer, case: tuple[type[nn.Module], int, int], see: See) -> None:
    block, width, num_classes = case
    model = randomised(ResNet(block, (1, 1, 1, 1), num_classes=6, width=width)).eval()
    old, numbers = model.fc, {k: v.clone() for k, v in model.fc.state_dict().items()}
    found = Found(model, but="fc")
    x = torch.randn(3, 3, 32, 32)
    answer(model, num_classes)

    head = model.fc
    further = [k for k in model.state_dict() if k not in found.state and not k.startswith("fc.")]
    _require_new(model, old, numbers, further, num_classes)
    features: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, args: features.append(args[0].detach().clone()))
    with torch.no_grad():
        make_lazy_modules(model, x)
        try:
            logits = model(x)
        except (RuntimeError, ValueError) as error:
            raise _does_not_fit(head, old) from error
    hook.remove()
    see("shape of the logits", tuple(logits.shape))
    _require_linear(head, features[-1], logits)
    see("bias of the head", "none" if head.bias is None else tuple(head.bias.shape))
    kept = [k for k in numbers if _shares_rows(getattr(head, k), numbers[k])]
    see("numbers of the old head in the new one", ", ".join(kept) or "none")
    alike = head.weight.numel() > 1 and bool((head.weight == head.weight.flatten()[0]).all())
    see("weights of the head", "all the same number" if alike else "different numbers")
    trainable = all(parameter.requires_grad for parameter in head.parameters())
    see("the head can be trained", "yes" if trainable else "no")
    found.see_left(see)


def _require_new(
    model: nn.Module,
    old: nn.Module,
    numbers: dict[str, Tensor],
    further: list[str],
    num_classes: int,
) -> None:
    head: Any = model.fc
    if not issubclass(type(head), nn.Module):
        raise Wrong("not-a-module", (("Got", f"an object of type {type(head).__name__}"),))
    rows = (("Looked at", "model.fc"), ("Expected", "a new layer"), ("Got", "the old one"))
    if head is old and further:
        raise Wrong("another-name", (*rows[:2], ("Got", f"the old one, and a new {further[0]}")))
    if head is old and all(head.state_dict()[k].equal(numbers[k]) for k in numbers):
        if old.out_features != 6:
            raise Wrong("number-only", rows)
        raise Wrong("old-head-kept" if num_classes == 6 else "head-unchanged", rows)
    if head is not old and any(part is old for part in head.modules()):
        rows = (*rows[:2], ("Got", "a module with the old one in it"))
        raise Wrong("on-top-of-the-old-head", rows)


def _does_not_fit(head: nn.Module, old: nn.Linear) -> Wrong:
    shape = tuple(getattr(head, "weight", torch.zeros(())).shape)
    rows = (("Features before `fc`", str(old.in_features)), ("Shape of `fc.weight`", str(shape)))
    if head is old:
        return Wrong("old-layer-changed", rows)
    swapped = len(shape) == 2 and shape[0] == old.in_features
    return Wrong("arguments-swapped" if swapped else "does-not-fit", rows)


def _require_linear(head: nn.Module, features: Tensor, logits: Tensor) -> None:
    """Is the output a linear function of the features, with the head's own weight and bias?"""
    weight = getattr(head, "weight", None)
    total = logits.sum(1)
    if torch.allclose(total, torch.ones_like(total)) and bool((logits >= 0).all()):
        raise Wrong("softmax-inside", (("Sum of the outputs for an image", "1"),))
    fits = issubclass(type(weight), Tensor) and weight.shape == (logits.shape[1], features.shape[1])
    bias = getattr(head, "bias", None)
    if not fits or not torch.allclose(F.linear(features, weight, bias), logits, atol=1e-4):
        kinds = ", ".join(type(part).__name__ for part in head.modules())
        raise Wrong("not-one-linear-layer", (("Expected", "Linear"), ("Got", kinds)))


def _shares_rows(new: Tensor | None, old: Tensor) -> bool:
    if new is None:
        return False
    return any(bool((row == new[i]).all()) for i, row in enumerate(old[: len(new)]))


replace_head = Check(
    signature="replace_head(model, num_classes)",
    reference=_replace_head,
    observe=_observe,
    cases={
        f"a ResNet of {block.__name__} with 6 classes, num_classes={num_classes}": (
            block,
            width,
            num_classes,
        )
        for block, width, num_classes in (
            (BasicBlock, 4, 3),
            (Bottleneck, 4, 9),
            (BasicBlock, 6, 6),
        )
    },
    said=beside(__file__),
)
