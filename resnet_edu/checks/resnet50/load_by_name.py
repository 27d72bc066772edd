"""Weights loaded by name."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.text import beside

State = dict[str, Tensor]

RENAMED = {"fc.weight": "head.weight", "fc.bias": "head.bias"}
OTHER_SHAPE = "bn1.weight"
CASES: dict[str, Callable[[State], State]] = {
    "weights with the same names, in another order": lambda given: given,
    "weights without `fc` and `bn1.running_mean`": lambda given: {
        k: v for k, v in given.items() if k not in (*RENAMED, "bn1.running_mean")
    },
    "weights with one name more": lambda given: given | {"aux.weight": torch.ones(5, 8)},
    "weights in which `fc` is called `head`": lambda given: {
        RENAMED.get(key, key): value for key, value in given.items()
    },
    "weights in float64": lambda given: {
        k: v.double() if v.is_floating_point() else v for k, v in given.items()
    },
    f"weights in which `{OTHER_SHAPE}` has one number, and stands first": lambda given: (
        {OTHER_SHAPE: torch.ones(1)} | given | {OTHER_SHAPE: torch.ones(1)}
    ),
    "weights in which `fc.weight` is turned": lambda given: given | {"fc.weight": torch.ones(8, 5)},
    "weights in which `fc.weight` has one column": lambda given: (
        given | {"fc.weight": torch.ones(5, 1)}
    ),
    "weights in which `fc` has 7 classes": lambda given: (
        given | {"fc.weight": torch.ones(7, 8), "fc.bias": torch.ones(7)}
    ),
}


def _load_by_name(model: nn.Module, state_dict: State) -> tuple[list[str], list[str]]:
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape != value.shape:
            raise ValueError(f"{key} has another shape in the model.")
    for key in own:
        if key in state_dict:
            own[key].copy_(state_dict[key])
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    return missing, unexpected


def _network() -> nn.Module:
    """All numbers are random, also those of a batch norm that has seen nothing."""
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, bias=False),
            bn1=nn.BatchNorm2d(8),
            layer1=nn.Sequential(Bottleneck(8, 2)),
            fc=nn.Linear(8, 5),
        )
    )
    for value in model.state_dict().values():
        value.copy_(
            torch.randint(1, 1000, value.shape) if value.dim() == 0 else torch.rand(value.shape)
        )
    return model


def _observe(answer: Answer, case: str, see: See) -> None:
    model, given = _network(), CASES[case](dict(reversed(_network().state_dict().items())))
    before, given_before = copy.deepcopy(model.state_dict()), copy.deepcopy(given)
    parameters = dict(model.named_parameters())
    missing, unexpected = before.keys() - given.keys(), given.keys() - before.keys()
    wrong_shapes = [k for k in given if k in before and before[k].shape != given[k].shape]
    try:
        found = answer(model, given)
    except Exception as error:
        if wrong_shapes:
            _require_good_refusal(error, wrong_shapes, _changed(model.state_dict(), before))
            return
        if not (missing or unexpected):
            _require_any_order(answer, error)
            raise
        if type(error) is RuntimeError and "loading state_dict" not in str(error):
            raise  # about something else than names
        name = "missing-refused" if missing else "unexpected-refused"
        raise Wrong(name, explain(error).evidence) from None
    own = model.state_dict()
    if wrong_shapes:
        key = wrong_shapes[0]
        rows = (("Looked at", key), ("Expected", "ValueError"), ("Got", "no error"))
        loaded = key in _changed(own, before)
        raise Wrong("shapes-ignored" if loaded else "wrong-shapes-skipped", rows)

    first, second = map(_names, _pair(found))
    see("the first list, in alphabetical order", ", ".join(first) or "no names")
    see("the second list, in alphabetical order", ", ".join(second) or "no names")
    _require_same_objects(model, parameters)
    _require_others_unchanged(own, before, missing, given)
    for key, value in own.items():
        see(key, value)
        see(f"type of {key}", str(value.dtype))
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    see("parameters that cannot be trained any more", ", ".join(frozen) or "none")
    _require_untouched(own, given, given_before)


def _require_any_order(answer: Answer, error: Exception) -> None:
    """Everything fits, and the answer raised an error: is it because of the order? Raises Wrong."""
    try:
        answer(_network(), _network().state_dict())
    except Exception:
        return
    raise Wrong("by-position", explain(error).evidence)


def _changed(state: State, before: State) -> list[str]:
    return [k for k in before if k not in state or not torch.equal(state[k], before[k])]


def _require_good_refusal(error: Exception, wrong_shapes: list[str], changed: list[str]) -> None:
    """Was it a ValueError with the name of a tensor, before anything was loaded? Raises Wrong."""
    rows = explain(error).evidence
    if changed:
        found = f"{len(changed)} tensors, the first is {changed[0]}"
        raise Wrong("half-loaded", (("Changed before the error", found), *rows))
    if not isinstance(error, ValueError):
        raise Wrong("other-error", rows, error=type(error).__name__)
    if not any(key in str(error) for key in wrong_shapes):
        raise Wrong("key-not-named", (("Expected", f"a text with {wrong_shapes[0]}"), *rows))


def _pair(found: Any) -> tuple[Any, Any]:
    if not issubclass(type(found), (tuple, list)) or len(found) != 2:
        raise wrong_type(found, "a tuple of two lists")
    return found[0], found[1]


def _names(part: Any) -> list[str]:
    kind = type(part)
    if issubclass(kind, int):
        rows = (("Expected", "a list of names"), ("Got", str(int(part))))
        raise Wrong("counts-instead-of-names", rows)
    if issubclass(kind, (set, frozenset, type({}.keys()), dict)):
        raise Wrong("sets-instead-of-lists", (("Expected", "a list"), ("Got", kind.__name__)))
    if not issubclass(kind, (list, tuple)) or not all(issubclass(type(name), str) for name in part):
        raise wrong_type(part, "a list of names")
    return sorted(map(str, part))


def _require_same_objects(model: nn.Module, parameters: dict[str, nn.Parameter]) -> None:
    new = [k for k, p in model.named_parameters() if p is not parameters.get(k)]
    if new:
        raise Wrong("new-parameters", (("New", f"{len(new)} parameters, the first is {new[0]}"),))


def _require_others_unchanged(own: State, before: State, missing: set[str], given: State) -> None:
    changed = [key for key in _changed(own, before) if key in missing]
    if changed and all(own[key].equal(given[key].to(own[key])) for key in own if key in given):
        rows = (("Looked at", changed[0]), ("Expected", "as before"), ("Got", "other numbers"))
        raise Wrong("missing-changed", rows)


def _require_untouched(own: State, given: State, before: State) -> None:
    if given.keys() != before.keys() or _changed(given, before):
        rows = (("Its tensors before", str(len(before))), ("afterwards", str(len(given))))
        raise Wrong("dictionary-changed", rows)
    memory = {value.data_ptr() for value in given.values()}
    shared = [key for key, value in own.items() if value.data_ptr() in memory]
    if shared:
        found = f"{len(shared)} tensors, the first is {shared[0]}"
        raise Wrong("shares-memory", (("Shared", found),))


load_by_name = Check(
    signature="load_by_name(model, state_dict)",
    reference=_load_by_name,
    observe=_observe,
    cases={case: case for case in CASES},
    said=beside(__file__),
)
