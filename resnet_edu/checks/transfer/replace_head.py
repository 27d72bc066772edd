"""Task 7.1: a new last layer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.block import make_lazy_modules
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See
from resnet_edu.checks.found import randomised
from resnet_edu.checks.guard import Wrong
from resnet_edu.networks import ResNet


def _replace_head(model: nn.Module, num_classes: int) -> None:
    model.fc = nn.Linear(model.fc.in_features, num_classes)


def _version(make: Callable[[nn.Linear, int], nn.Module]) -> Answer:
    """Puts something else in the place of the head."""

    def replace_head(model: nn.Module, num_classes: int) -> None:
        model.fc = make(model.fc, num_classes)

    return replace_head


def _then(change: Callable[[nn.Module], Any]) -> Answer:
    """A right head, and something else that is done to the model."""

    def replace_head(model: nn.Module, num_classes: int) -> None:
        _replace_head(model, num_classes)
        change(model)

    return replace_head


def _freeze_backbone(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("fc.")


def _start_anew(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
            module.reset_parameters()


def _keep_if_same(model: nn.Module, num_classes: int) -> None:
    if model.fc.out_features != num_classes:
        _replace_head(model, num_classes)


def _keep_rows(old: nn.Linear, num_classes: int) -> nn.Linear:
    new = nn.Linear(old.in_features, num_classes)
    with torch.no_grad():
        rows = min(num_classes, old.out_features)
        new.weight[:rows], new.bias[:rows] = old.weight[:rows], old.bias[:rows]
    return new


def _renamed_only(model: nn.Module, num_classes: int) -> None:
    model.fc.out_features = num_classes


def _all_alike(value: float) -> Callable[[nn.Linear, int], nn.Linear]:
    def make(old: nn.Linear, num_classes: int) -> nn.Linear:
        new = nn.Linear(old.in_features, num_classes)
        nn.init.constant_(new.weight, value)
        return new

    return make


def _on_a_copy(model: nn.Module, num_classes: int) -> nn.Module:
    copied = copy.deepcopy(model)
    _replace_head(copied, num_classes)
    return copied


def _beside(name: str) -> Answer:
    def replace_head(model: nn.Module, num_classes: int) -> None:
        setattr(model, name, nn.Linear(model.fc.in_features, num_classes))

    return replace_head


def _observe(answer: Answer, case: tuple[type[nn.Module], int, int], see: See) -> None:
    block, width, num_classes = case
    model = randomised(ResNet(block, (1, 1, 1, 1), num_classes=6, width=width)).eval()
    old, before = model.fc, {k: v.clone() for k, v in model.state_dict().items()}
    parameters = dict(model.named_parameters())
    x = torch.randn(3, 3, 32, 32)
    answer(model, num_classes)

    head = model.fc
    _require_new(model, head, old, before, num_classes)
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
    kept = [k for k in ("weight", "bias") if _shares_rows(getattr(head, k), before[f"fc.{k}"])]
    see("numbers of the old head in the new one", ", ".join(kept) or "none")
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    alike = head.weight.numel() > 1 and bool((head.weight == head.weight.flatten()[0]).all())
    see("weights of the head", "all the same number" if alike else "different numbers")
    see("the head can be trained", "no" if any(n.startswith("fc.") for n in fixed) else "yes")
    _see_backbone(model, before, parameters, see)


def _see_backbone(
    model: nn.Module, before: dict[str, Tensor], parameters: dict[str, Tensor], see: See
) -> None:
    after, names = model.state_dict(), dict(model.named_parameters())
    rest = [key for key in before if not key.startswith("fc.")]
    changed = [k for k in rest if k not in after or not after[k].equal(before[k])]
    see("backbone, numbers", f"{changed[0]} changed" if changed else "as before")
    new = [k for k in rest if k in parameters and names.get(k) is not parameters[k]]
    see("backbone, parameters", "new objects" if new else "as before")
    frozen = [k for k in rest if k in names and not names[k].requires_grad]
    see("backbone, frozen parameters", f"{len(frozen)}")
    further = [key for key in after if key not in before and not key.startswith("fc.")]
    see("further tensors in the model", ", ".join(further) or "none")


def _require_new(
    model: nn.Module, head: Any, old: nn.Module, before: dict[str, Tensor], num_classes: int
) -> None:
    if not issubclass(type(head), nn.Module):
        raise Wrong(
            "not-a-module",
            "There is no module under the name `fc` any more. The model calls it to get its logits.",
            (("Got", f"an object of type {type(head).__name__}"),),
        )
    rows = (("Looked at", "model.fc"), ("Expected", "a new layer"), ("Got", "the old one"))
    further = [key for key in model.state_dict() if key not in before]
    if head is old and further:
        raise Wrong(
            "another-name",
            "There is a new layer, but not in the place of the old one: the model's `forward` "
            "calls `fc`, and knows no other name. So it goes on answering with the old classes.",
            (*rows[:2], ("Got", f"the old one, and a new {further[0]}")),
        )
    same = head is old and all(
        head.state_dict()[k].equal(before[f"fc.{k}"]) for k in ("weight", "bias")
    )
    if same and old.out_features != 6:
        raise Wrong(
            "number-only",
            "You set `out_features` to another number. That is only a note in the layer: the "
            "weights are as they were, and as many logits come out as before.",
            rows,
        )
    if same and num_classes == 6:
        raise Wrong(
            "old-head-kept",
            "Where the number of classes stays the same, you keep the old layer. It knows other "
            "classes: the new ones need a fresh one.",
            rows,
        )
    if same:
        raise Wrong(
            "head-unchanged",
            "The model has its old head, and goes on answering with the old classes. What you do "
            "to a copy, or to a variable of yours, does not reach it.",
            rows,
        )
    if any(part is old for part in head.modules()) and head is not old:
        raise Wrong(
            "on-top-of-the-old-head",
            "The old head is still there, and the new layer gets its logits. Take its place "
            "instead: the features before `fc` know more than the logits of other classes.",
            (*rows[:2], ("Got", "a module with the old one in it")),
        )


def _does_not_fit(head: nn.Module, old: nn.Linear) -> Wrong:
    shape = tuple(getattr(head, "weight", torch.zeros(())).shape)
    rows = (("Features before `fc`", str(old.in_features)), ("Shape of `fc.weight`", str(shape)))
    if head is old:
        return Wrong(
            "old-layer-changed",
            "You give the old layer new numbers, and its weight and its bias no longer have the same "
            "number of classes. It cannot add the two, and stops with an error.",
            rows,
        )
    if len(shape) == 2 and shape[0] == old.in_features:
        return Wrong(
            "arguments-swapped",
            "The new layer does not fit: what goes in and what comes out have changed places. The "
            "features come to a layer that expects as many numbers as there are classes, and it "
            "stops.",
            rows,
        )
    return Wrong(
        "does-not-fit",
        "The new layer does not fit the features that come in. Their number differs from network "
        "to network: ask the old head for it.",
        rows,
    )


def _require_linear(head: nn.Module, features: Tensor, logits: Tensor) -> None:
    """Is the output a linear function of the features, with the head's own weight and bias?"""
    weight = getattr(head, "weight", None)
    total = logits.sum(1)
    if torch.allclose(total, torch.ones_like(total)) and bool((logits >= 0).all()):
        raise Wrong(
            "softmax-inside",
            "Your head ends with a softmax. Cross-entropy has one too, and two in a row press the "
            "classes together: even a sure and right answer keeps a large loss.",
            (("Sum of the outputs for an image", "1"),),
        )
    fits = issubclass(type(weight), Tensor) and weight.shape == (logits.shape[1], features.shape[1])
    bias = getattr(head, "bias", None)
    if not fits or not torch.allclose(F.linear(features, weight, bias), logits, atol=1e-4):
        kinds = [type(part).__name__ for part in head.modules()]
        raise Wrong(
            "not-one-linear-layer",
            "The task asks for one linear layer in the place of the old one, with its weight "
            "under the name `fc.weight`. Whoever saves this head, or loads it, goes by that name.",
            (("Expected", "Linear"), ("Got", ", ".join(kinds))),
        )


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
    mistakes=(
        Mistake(
            "head-unchanged",
            "The model has its old head, and goes on answering with the old classes. What you do "
            "to a copy, or to a variable of yours, does not reach it.",
            [_on_a_copy, lambda *_: None],
        ),
        Mistake(
            "number-only",
            "You set `out_features` to another number. That is only a note in the layer: the "
            "weights are as they were, and as many logits come out as before.",
            [_renamed_only],
        ),
        Mistake(
            "another-name",
            "There is a new layer, but not in the place of the old one: the model's `forward` "
            "calls `fc`, and knows no other name. So it goes on answering with the old classes.",
            [_beside("classifier"), _beside("head")],
        ),
        Mistake(
            "no-bias",
            "The new layer has no bias. Without one, no class can have a lead over the others: "
            "where all features are zero, all classes get the same logit, however common each is.",
            [_version(lambda old, n: nn.Linear(old.in_features, n, bias=False))],
        ),
        Mistake(
            "not-random",
            "All weights of the new head are the same number. Every class then weighs the features in the "
            "same way, and at first no gradient gets through the head to the layers before it.",
            [_version(_all_alike(0.0)), _version(_all_alike(1.0))],
        ),
        Mistake(
            "backbone-frozen",
            "The head is right, but the rest of the model can no longer be trained. Whoever wants "
            "to tune all of it trains the head alone, and nothing says so.",
            [_then(_freeze_backbone)],
        ),
        Mistake(
            "backbone-changed",
            "The head is right, but other weights of the model have changed as well. They are "
            "what the network has learned: leave them alone.",
            [_then(_start_anew)],
        ),
        Mistake(
            "head-frozen",
            "The new head cannot be trained. It knows nothing yet, and must learn.",
            [
                _then(lambda model: model.requires_grad_(False)),
                _then(lambda model: model.fc.requires_grad_(False)),
            ],
        ),
        Mistake(
            "old-rows-kept",
            "The new head has numbers of the old one in it. They stand for other classes: the new "
            "class 0 would begin as the old class 0, and be mistaken for it.",
            [_version(_keep_rows)],
        ),
    ),
    places=(
        Place(
            "shape of the logits",
            "wrong-number-of-classes",
            "The model does not give one logit for each of the new classes. Then a label has no "
            "logit, or a logit stands for a class that does not exist.",
        ),
        Place(
            "numbers of the old head",
            "old-rows-kept",
            "The new head has numbers of the old one in it. They stand for other classes: the new "
            "class 0 would begin as the old class 0, and be mistaken for it.",
        ),
        Place(
            "backbone",
            "backbone-changed",
            "The head is right, but the rest of the model is not as it was. It is what the "
            "network has learned, and what the new head is to build on.",
        ),
        Place(
            "weights of the head",
            "not-random",
            "All weights of the new head are the same number. Every class then weighs the features in the "
            "same way, and at first no gradient gets through the head to the layers before it.",
        ),
        Place(
            "further tensors",
            "further-tensors",
            "The head is right, but the model has further tensors that nothing needs. They are "
            "saved with it, and whoever loads the weights meets names that a ResNet does not "
            "have.",
        ),
        Place(
            "the head can be trained",
            "head-frozen",
            "The new head cannot be trained. It knows nothing yet, and must learn.",
        ),
        Place(
            "bias of the head",
            "no-bias",
            "The new layer does not have a bias for each class. A class without one cannot have a "
            "lead over the others, however common it is.",
        ),
    ),
)
