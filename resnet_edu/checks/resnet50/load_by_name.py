"""Task 5.5: weights loaded by name."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.guard import Wrong, explain

State = dict[str, Tensor]
Names = tuple[list[str], list[str]]

RENAMED = {"fc.weight": "head.weight", "fc.bias": "head.bias"}
OTHER_SHAPE = "bn1.weight"
BY_POSITION = (
    "You go through both in step, one tensor after the other. In another order, tensors come into the "
    "wrong layers: with an error where shapes differ, and in silence where they agree."
)
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
    f"weights in which `{OTHER_SHAPE}` has one number": lambda given: (
        given | {OTHER_SHAPE: torch.ones(1)}
    ),
    "weights in which `fc.weight` is turned": lambda given: given | {"fc.weight": torch.ones(8, 5)},
    "weights in which `fc` has 7 classes": lambda given: (
        given | {"fc.weight": torch.ones(7, 8), "fc.bias": torch.ones(7)}
    ),
}


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


def _wrong_shapes(model: nn.Module, state: State) -> list[str]:
    own = model.state_dict()
    return [key for key in state if key in own and own[key].shape != state[key].shape]


def _report(model: nn.Module, state: State) -> Names:
    own = model.state_dict()
    return [key for key in own if key not in state], [key for key in state if key not in own]


def _copy(model: nn.Module, state: State) -> None:
    own = model.state_dict()
    for key in own.keys() & state.keys():
        own[key].copy_(state[key])


def _version(
    load: Callable[[nn.Module, State], object] = _copy,
    report: Callable[[nn.Module, State], object] = _report,
) -> Answer:
    def load_by_name(model: nn.Module, state_dict: State) -> object:
        if wrong := _wrong_shapes(model, state_dict):
            raise ValueError(f"These have another shape in the model: {wrong}")
        found = report(model, state_dict)
        load(model, state_dict)
        return found

    return load_by_name


def _some(wanted: Callable[[nn.Module, str], bool]) -> Callable[[nn.Module, State], None]:
    """Copies only some of the tensors."""
    return lambda model, state: _copy(model, {k: v for k, v in state.items() if wanted(model, k)})


def _is_parameter(model: nn.Module, key: str) -> bool:
    return key in dict(model.named_parameters())


def _is_no_counter(_model: nn.Module, key: str) -> bool:
    return not key.endswith("num_batches_tracked")


def _only_parameters(model: nn.Module, state: State) -> Names:
    missing, unexpected = _report(model, state)
    return (
        [key for key in missing if _is_parameter(model, key)],
        unexpected
        + [key for key in state if key in model.state_dict() and not _is_parameter(model, key)],
    )


def _missing_parameters(model: nn.Module, state: State) -> Names:
    missing, unexpected = _report(model, state)
    return [key for key in missing if _is_parameter(model, key)], unexpected


def _no_buffers(model: nn.Module, state: State) -> Names:
    missing, unexpected = _report(model, state)
    return missing, [key for key in unexpected if "running" not in key]


def _by_position(strict: bool) -> Callable[[nn.Module, State], None]:
    def load(model: nn.Module, state: State) -> None:
        for own, given in zip(model.state_dict().values(), state.values(), strict=False):
            if strict or own.shape == given.shape:
                own.copy_(given)

    return load


def _observe(answer: Answer, case: str, see: See) -> None:
    model, given = _network(), CASES[case](dict(reversed(_network().state_dict().items())))
    before, given_before = copy.deepcopy(model.state_dict()), copy.deepcopy(given)
    parameters, wrong_shapes = dict(model.named_parameters()), _wrong_shapes(model, given)
    missing, unexpected = _report(model, given)
    try:
        found = answer(model, given)
    except Exception as error:
        if not (missing or unexpected or wrong_shapes):
            _require_any_order(answer, error)
            raise
        _require_good_reason(error, missing, wrong_shapes, _changed(model.state_dict(), before))
        return
    if wrong_shapes:
        raise _not_refused(model, before, wrong_shapes[0])

    names = [_names(part) for part in _pair(found)]
    see("the first list, in alphabetical order", ", ".join(names[0]) or "no names")
    see("the second list, in alphabetical order", ", ".join(names[1]) or "no names")
    _require_same_objects(model, parameters)
    _require_others_unchanged(model.state_dict(), before, missing, given)
    for key, value in model.state_dict().items():
        see(key, value)
        see(f"type of {key}", str(value.dtype))
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    see("parameters that cannot be trained any more", ", ".join(frozen) or "none")
    _require_untouched(model, given, given_before)


def _require_any_order(answer: Answer, error: Exception) -> None:
    """Everything fits, and the answer raised an error: is it because of the order? Raises Wrong."""
    try:
        answer(_network(), _network().state_dict())
    except Exception:
        return
    raise Wrong("by-position", BY_POSITION, explain(error).evidence)


def _changed(state: State, before: State) -> list[str]:
    return [k for k in before if k not in state or not torch.equal(state[k], before[k])]


def _require_good_reason(
    error: Exception, missing: list[str], wrong_shapes: list[str], changed: list[str]
) -> None:
    """Where the answer raised an error: was it asked for?"""
    rows = explain(error).evidence
    if not wrong_shapes and type(error) is RuntimeError and "loading state_dict" not in str(error):
        raise error  # about something else than names
    if not wrong_shapes:
        raise Wrong(
            "missing-refused" if missing else "unexpected-refused",
            f"Your code stops with an error where a name is {'missing' if missing else 'unexpected'}. So "
            "nobody can load all but the head, which is what most people want: load what fits, and tell "
            "the names.",
            rows,
        )
    if changed:
        raise Wrong(
            "half-loaded",
            "You raise an error for a tensor of another shape, but other tensors are already "
            "loaded by then. Whoever catches the error goes on with a model that is half old and "
            "half new.",
            (
                ("Changed before the error", f"{len(changed)} tensors, the first is {changed[0]}"),
                *rows,
            ),
        )
    if not isinstance(error, ValueError):
        raise Wrong(
            "other-error",
            f"For a tensor of another shape you raise {type(error).__name__}. Whoever expects a "
            "ValueError, as the task has it, does not catch yours.",
            rows,
        )
    if not any(key in str(error) for key in wrong_shapes):
        raise Wrong(
            "key-not-named",
            "Your ValueError does not say which tensor has another shape. Whoever reads it needs the name.",
            (("Expected", f"a text with {wrong_shapes[0]}"), *rows),
        )


def _not_refused(model: nn.Module, before: State, key: str) -> Wrong:
    rows = (("Looked at", key), ("Expected", "ValueError"), ("Got", "no error"))
    if key in _changed(model.state_dict(), before):
        return Wrong(
            "shapes-ignored",
            "You copy a tensor of another shape. Where PyTorch can stretch it, `copy_` does so without a "
            "word, and the weights are not those that were given.",
            rows,
        )
    return Wrong(
        "wrong-shapes-skipped",
        "You leave out a tensor that has another shape, without a word that it does not fit. The model "
        "would go on with weights that nobody asked for: raise a ValueError.",
        rows,
    )


def _pair(found: Any) -> tuple[Any, Any]:
    if not issubclass(type(found), (tuple, list)) or len(found) != 2:
        raise wrong_type(found, "a tuple of two lists")
    return found[0], found[1]


def _names(part: Any) -> list[str]:
    kind = type(part)
    if issubclass(kind, int):
        raise Wrong(
            "counts-instead-of-names",
            'You give back how many names there are. Whoever reads "1 missing" still does not '
            "know which layer has no weights.",
            (("Expected", "a list of names"), ("Got", str(int(part)))),
        )
    if issubclass(kind, (set, frozenset, type({}.keys()), dict)):
        raise Wrong(
            "sets-instead-of-lists",
            "You give back names, but not in lists. Whoever then asks for the first of them, "
            "`missing[0]`, gets an error.",
            (("Expected", "a list"), ("Got", kind.__name__)),
        )
    if not issubclass(kind, (list, tuple)) or not all(issubclass(type(name), str) for name in part):
        raise wrong_type(part, "a list of names")
    return sorted(map(str, part))


def _require_same_objects(model: nn.Module, parameters: dict[str, nn.Parameter]) -> None:
    new = [k for k, p in model.named_parameters() if p is not parameters.get(k)]
    if new:
        raise Wrong(
            "new-parameters",
            "You put new parameters in the place of the old ones. An optimiser that was made before would "
            "go on training the old ones: write the numbers into those.",
            (("New", f"{len(new)} parameters, the first is {new[0]}"),),
        )


def _require_others_unchanged(own: State, before: State, missing: list[str], given: State) -> None:
    changed = [key for key in _changed(own, before) if key in missing]
    if changed and all(own[key].equal(given[key].to(own[key])) for key in own if key in given):
        raise Wrong(
            "missing-changed",
            "You change a tensor of the model for which no weights were given. What it held, a "
            "trained head perhaps, is lost, and nobody asked for that.",
            (("Looked at", changed[0]), ("Expected", "as before"), ("Got", "other numbers")),
        )


def _require_untouched(model: nn.Module, given: State, before: State) -> None:
    if given.keys() != before.keys() or _changed(given, before):
        raise Wrong(
            "dictionary-changed",
            "The dictionary that you were given has changed. Whoever calls your function still needs it.",
            (("Its tensors before", str(len(before))), ("afterwards", str(len(given)))),
        )
    memory = {value.data_ptr() for value in given.values()}
    shared = [key for key, value in model.state_dict().items() if value.data_ptr() in memory]
    if shared:
        raise Wrong(
            "shares-memory",
            "The model now uses the memory of the tensors that you were given. Train it, and they change "
            "too: copy the numbers.",
            (("Shared", f"{len(shared)} tensors, the first is {shared[0]}"),),
        )


load_by_name = Check(
    signature="load_by_name(model, state_dict)",
    reference=_version(),
    observe=_observe,
    cases={case: case for case in CASES},
    mistakes=(
        Mistake(
            "not-loaded",
            "The names are right, but the model's numbers are the old ones. Your report says that "
            "all is well, and the network answers as before. Did you load into a copy?",
            [_version(lambda *_: None)],
        ),
        Mistake(
            "by-position",
            BY_POSITION,
            [_version(_by_position(True)), _version(_by_position(False))],
        ),
        Mistake(
            "lists-swapped",
            "The two lists have changed places. Whoever reads them takes a layer that got no "
            "weights for a name too many, and goes on with a network that is partly random.",
            [_version(report=lambda *both: _report(*both)[::-1])],
        ),
        Mistake(
            "buffers-left-out",
            "The running statistics of batch norm are left out, of the loading or of the lists. "
            "They are buffers, not parameters, and evaluation mode works with them: without them, "
            "right weights give wrong answers.",
            [
                _version(_some(_is_parameter)),
                _version(_some(_is_parameter), _only_parameters),
                _version(_some(_is_parameter), _no_buffers),
                _version(report=_only_parameters),
                _version(report=_missing_parameters),
                _version(_some(_is_parameter), _missing_parameters),
            ],
        ),
        Mistake(
            "counter-left-out",
            "`num_batches_tracked` is not loaded. It is a tensor of the model like the others, if "
            "only one number: a batch norm with `momentum=None` weighs the next batch by it.",
            [_version(_some(_is_no_counter))],
        ),
        Mistake(
            "nothing-missing",
            "The first list is always empty, also where the model has names that the weights have "
            "not. So nobody learns which layers kept their old numbers, perhaps random ones.",
            [_version(report=lambda *both: ([], _report(*both)[1]))],
        ),
        Mistake(
            "nothing-unexpected",
            "The second list is always empty, also where the weights have names that the model "
            "has not. A layer under another name is then dropped, and nobody learns it.",
            [_version(report=lambda *both: (_report(*both)[0], []))],
        ),
    ),
    places=(
        Place(
            "the first list",
            "first-list-wrong",
            "The first list is not right. It is to tell which tensors of the model got nothing, "
            "and so have their old numbers.",
        ),
        Place(
            "the second list",
            "second-list-wrong",
            "The second list is not right. It is to tell which of the given tensors found no "
            "place in the model.",
        ),
        Place(
            "parameters that cannot be trained",
            "frozen",
            "Parameters can no longer be trained afterwards. Whoever trains the loaded network "
            "further would wonder why nothing changes.",
        ),
        Place(
            "type of",
            "type-changed",
            "The parameters now have the type of what was given. Images in float32 no longer fit "
            "them, and the model stops with an error.",
        ),
        Place(
            ".",
            "not-all-loaded",
            "A tensor of the model does not have the numbers that were given under its name. One "
            "such tensor is enough for wrong answers, and nothing complains.",
        ),
    ),
)
