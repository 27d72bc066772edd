"""Task 7.4: parameters for the optimiser, in groups with learning rates of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.networks import ResNet, stage_of

IN_TWO_GROUPS = (
    "Parameters are in two groups, or twice in one, and no optimiser takes that. The head is a "
    "part of the model: `model.parameters()` has it too."
)


def _parameter_groups(model: nn.Module, head_lr: float, backbone_lr: float) -> list[dict[str, Any]]:
    return _version()(model, head_lr, backbone_lr)


def _is_head(name: str) -> bool:
    return name.startswith("fc.")


def _version(
    is_head: Callable[[str], bool] = _is_head,
    keep: Callable[[str, nn.Parameter], bool] = lambda _, p: p.requires_grad,
    rates: Callable[[float, float], tuple[Any, Any]] = lambda head, backbone: (head, backbone),
    key: str = "lr",
) -> Answer:
    """The reference, and with other arguments its wrong versions."""

    def parameter_groups(
        model: nn.Module, head_lr: float, backbone_lr: float
    ) -> list[dict[str, Any]]:
        parameters = [(n, p) for n, p in model.named_parameters() if keep(n, p)]
        head, backbone = rates(head_lr, backbone_lr)
        return [
            {"params": [p for n, p in parameters if is_head(n)], key: head},
            {"params": [p for n, p in parameters if not is_head(n)], key: backbone},
        ]

    return parameter_groups


def _only(wanted: Callable[[str], bool]) -> Answer:
    return _version(keep=lambda name, p: p.requires_grad and wanted(name))


def _all_and_head(model: nn.Module, head_lr: float, backbone_lr: float) -> list[dict[str, Any]]:
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": trainable, "lr": backbone_lr},
        {"params": list(model.fc.parameters()), "lr": head_lr},
    ]


def _by_value(model: nn.Module, _head_lr: float, backbone_lr: float) -> list[dict[str, Any]]:
    head = list(model.fc.parameters())
    return [{"params": [p for p in model.parameters() if p not in head], "lr": backbone_lr}]


class _Gate(nn.Module):
    """The squeeze-and-excitation gate, whose layers people call fc1 and fc2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, 2), nn.Linear(2, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.fc2(self.fc1(x.mean((2, 3))).relu()))[..., None, None]


def _network(frozen: Iterable[str]) -> nn.Module:
    model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5, width=4)
    model.layer3.append(_Gate(16))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(tuple(frozen))
    return model


PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")


def _observe(answer: Answer, frozen: tuple[str, ...], see: See) -> None:
    model = _network(frozen)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    parameters = dict(model.named_parameters())
    try:
        groups = _read(answer(model, 0.5, 0.25))
    except (RuntimeError, TypeError) as error:
        raise _compared_by_value(error) from error
    rates = _rates(groups)
    known = {id(p) for p in parameters.values()}
    strangers = [key for key in rates if key not in known]
    see("tensors that are no parameters of the model", len(strangers))
    for kind, wanted in (("that can be trained", True), ("that are frozen", False)):
        names = [name for name, on in before.items() if on == wanted]
        for part in PARTS:
            inside = [name for name in names if stage_of(name) == part]
            if inside:
                see(f"parameters {kind} in {part}", _told(inside, parameters, rates))
    now = {name: p.requires_grad for name, p in model.named_parameters()}
    see("what is frozen, afterwards", "as before" if now == before else "something else")


def _told(
    names: list[str], parameters: dict[str, nn.Parameter], rates: dict[int, list[float]]
) -> str:
    """At which rates they learn: "0.5", or "0.25, and layer3.1.fc1.weight at 0.5"."""
    told = {name: _rate(rates.get(id(parameters[name]), [])) for name in names}
    texts = list(told.values())
    usual = max(dict.fromkeys(texts), key=texts.count)
    other = next((name for name in names if told[name] != usual), None)
    return usual if other is None else f"{usual}, and {other} {told[other]}"


def _rate(found: list[float]) -> str:
    if not found:
        return "in no group"
    names = {0.5: "at head_lr", 0.25: "at backbone_lr"}
    return names.get(found[0], f"at {found[0]:g}")


def _read(found: Any) -> list[dict[str, Any]]:
    """The groups, as lists of tensors. Raises Wrong for anything that is not a list of groups."""
    if issubclass(type(found), torch.optim.Optimizer):
        raise Wrong(
            "optimizer-instead-of-groups",
            "You return an optimiser. The task asks for the groups that it is made of, so that "
            "anybody can choose an optimiser.",
            (("Expected", "a list of dicts"), ("Got", type(found).__name__)),
        )
    if not issubclass(type(found), (list, tuple)):
        raise wrong_type(found, "a list of dicts")
    for group in found:
        if not issubclass(type(group), dict):
            raise wrong_type(group, "a list of dicts")
        if "params" not in group:
            raise Wrong(
                "no-params",
                "A group has no entry `params`. Under this name every optimiser of PyTorch looks "
                "for the parameters.",
                (("Expected", "params, lr"), ("Got", ", ".join(map(str, group)) or "nothing")),
            )
        _require_rate(group)
    return list(found)


def _require_rate(group: dict[str, Any]) -> None:
    if "lr" not in group:
        raise Wrong(
            "no-lr",
            "A group has no entry `lr`. Under this name an optimiser looks for the group's "
            "learning rate; other names it passes over without a word.",
            (("Expected", "params, lr"), ("Got", ", ".join(map(str, group)))),
        )
    rate = group["lr"]
    if issubclass(type(rate), (str, list, tuple)):
        raise Wrong(
            "rate-is-no-number",
            "The `lr` of a group is not a number. An optimiser multiplies by it, and stops with "
            "an error.",
            (("Expected", "a float"), ("Got", type(rate).__name__)),
        )


def _rates(groups: list[dict[str, Any]]) -> dict[int, list[float]]:
    """From each tensor's id to its rates. Raises Wrong for what no optimiser of PyTorch takes."""
    if not groups:
        raise Wrong(
            "no-groups",
            "Your list is empty. An optimiser refuses it, as there would be nothing to train.",
            (("Got", "[]"),),
        )
    found: dict[int, list[float]] = {}
    for group in groups:
        for p in _listed(group["params"]):
            if not issubclass(type(p), torch.Tensor):
                raise Wrong(
                    "not-parameters",
                    "Under `params` there is something that is no tensor. An optimiser changes "
                    "the numbers in tensors, and takes nothing else.",
                    (("Expected", "parameters"), ("Got", type(p).__name__)),
                )
            found.setdefault(id(p), []).append(float(group["lr"]))
    twice = sum(len(rates) > 1 for rates in found.values())
    if twice:
        raise Wrong(
            "in-two-groups",
            IN_TWO_GROUPS,
            (("Parameters given more than once", str(twice)),),
        )
    return found


def _listed(params: Any) -> list[Any]:
    """The tensors of a group: also of a generator, of one tensor, or of pairs with names."""
    if issubclass(type(params), torch.Tensor):
        return [params]
    if not hasattr(type(params), "__iter__"):
        return [params]
    return [p[1] if issubclass(type(p), tuple) and len(p) == 2 else p for p in params]


def _compared_by_value(error: Exception) -> Exception:
    text = str(error)
    if "The size of tensor" not in text and "Boolean value of Tensor" not in text:
        return error
    return Wrong(
        "compared-by-value",
        "`in` and `==` compare tensors number by number, and cannot say whether two are the same "
        "object. Compare names, or `id(p)`.",
        explain(error).evidence,
    )


parameter_groups = Check(
    signature="parameter_groups(model, head_lr, backbone_lr)",
    reference=_parameter_groups,
    observe=_observe,
    cases={
        "a ResNet in which everything can be trained, head_lr=0.5, backbone_lr=0.25": (),
        "a ResNet with stem and layer1 frozen": ("conv1", "bn1", "layer1"),
        "a ResNet with all but the head frozen": ("conv1", "bn1", "layer"),
        "a ResNet with the bias of the head and layer2 frozen": ("fc.bias", "layer2"),
    },
    mistakes=(
        Mistake(
            "rates-swapped",
            "The two learning rates have changed places. The backbone, which knows a lot, is "
            "moved by large steps and forgets; the head, which knows nothing, hardly learns.",
            [
                _version(rates=lambda head, backbone: (backbone, head)),
                _version(is_head=lambda name: not _is_head(name)),
            ],
        ),
        Mistake(
            "one-rate",
            "Everything learns at one rate, and the other one has no effect. Whoever asks for a "
            "slow backbone under a fast head does not get it, and nothing says so.",
            [
                _version(rates=lambda head, _: (head, head)),
                _version(rates=lambda _, backbone: (backbone, backbone)),
            ],
        ),
        Mistake(
            "frozen-too",
            "There are frozen parameters in the groups. An optimiser may still move them, by "
            "weight decay for one: leave them out.",
            [
                _version(keep=lambda *_: True),
                _version(keep=lambda name, p: p.requires_grad or _is_head(name)),
                _version(keep=lambda name, p: p.requires_grad or not _is_head(name)),
            ],
        ),
        Mistake(
            "head-left-out",
            "The head is in no group, so no optimiser ever moves it. A new head is made of random "
            "numbers, and would keep them.",
            [_only(lambda name: not _is_head(name))],
        ),
        Mistake(
            "head-only",
            "Only the head is in your groups, so no optimiser moves anything else. The backbone "
            "stays as it was, though each step computes gradients for it.",
            [_only(_is_head), _version(keep=lambda name, _: _is_head(name))],
        ),
        Mistake(
            "stem-left-out",
            "The stem is in no group: `conv1` and `bn1`, in front of the stages. It stays as it "
            "is while all behind it learns, as if somebody had frozen it.",
            [_only(lambda name: stage_of(name) != "stem")],
        ),
        Mistake(
            "batch-norms-left-out",
            "Batch norms are in no group. Their weights and biases stay as they are, though they "
            "can be trained, and each step computes gradients for them.",
            [
                _only(lambda name: "bn" not in name and "downsample.1" not in name),
                _only(lambda name: "bn" not in name),
            ],
        ),
        Mistake(
            "weights-or-biases-only",
            "Only weights are in your groups, or only biases. The others stay as they are, though "
            "they can be trained, and each step computes gradients for them.",
            [
                _only(lambda name: name.endswith("weight")),
                _only(lambda name: name.endswith("bias")),
            ],
        ),
        Mistake(
            "head-weight-only",
            "Of the head, only the weight learns at `head_lr`. Its bias is as new and random as "
            "the weight, and learns more slowly, or not at all.",
            [
                _version(is_head=lambda name: name == "fc.weight"),
                _only(lambda name: name != "fc.bias"),
            ],
        ),
        Mistake(
            "fc-anywhere-in-the-name",
            "A module inside a block has `fc` in its name too, and learns at the head's rate. It "
            "is trained already, and large steps can spoil what it knows.",
            [
                _version(is_head=lambda name: "fc" in name),
                _version(is_head=lambda name: ".fc" in name),
            ],
        ),
        Mistake(
            "last-stage-in-the-head",
            "A stage learns at the head's rate. It is trained already, and large steps can spoil "
            "what it knows.",
            [_version(is_head=lambda name: _is_head(name) or name.startswith("layer4"))],
        ),
        Mistake(
            "in-two-groups",
            IN_TWO_GROUPS,
            [_all_and_head],
        ),
        Mistake(
            "no-lr",
            "A group has no entry `lr`. Under this name an optimiser looks for the group's "
            "learning rate; other names it passes over without a word.",
            [_version(key="learning_rate"), _version(key="rate")],
        ),
        Mistake(
            "compared-by-value",
            "`in` and `==` compare tensors number by number, and cannot say whether two are the "
            "same object. Compare names, or `id(p)`.",
            [_by_value],
        ),
    ),
    places=(
        Place(
            "that can be trained in fc",
            "head-wrong",
            "The parameters of the head do not all learn at `head_lr`. What is new and random "
            "would learn too slowly, or not at all.",
        ),
        Place(
            "that can be trained",
            "backbone-wrong",
            "Not all parameters that can be trained learn at their rate, each in one group. A "
            "parameter in no group stays as it is, and nothing says so.",
        ),
        Place(
            "that are frozen",
            "frozen-too",
            "There are frozen parameters in the groups. An optimiser may still move them, by "
            "weight decay for one: leave them out.",
        ),
        Place(
            "no parameters of the model",
            "copies",
            "There are tensors in the groups that are not the model's own parameters. An "
            "optimiser must get those themselves, not copies.",
        ),
        Place(
            "what is frozen",
            "freezing-changed",
            "The groups are right, but other parameters are frozen than before. Whoever froze "
            "them does not expect that a function which sorts them changes it.",
        ),
    ),
)
