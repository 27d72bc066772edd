"""What Keras counts, and PyTorch does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, whole_number, wrong_type
from resnet_edu.checks.guard import Wrong, shortened
from resnet_edu.checks.text import beside
from resnet_edu.networks import resnet50, resnet101, resnet152

KEYS = ("biases", "statistics")
NO_BIAS = re.compile(
    r"'NoneType' object has no attribute '(numel|nelement|shape|size|data|sum)'"
    r"|object of type 'NoneType' has no len"
)


def _explain_difference(torch_model: nn.Module) -> dict[str, int]:
    biases = statistics = 0
    for module in torch_model.modules():
        if isinstance(module, nn.Conv2d):
            biases += module.out_channels
        if isinstance(module, nn.BatchNorm2d):
            statistics += 2 * module.num_features
    return {"biases": biases, "statistics": statistics}


@lru_cache
def _model(make: Callable[..., nn.Module], options: tuple[tuple[str, int], ...]) -> nn.Module:
    return make(**dict(options))


def _size(model: nn.Module) -> int:
    return sum(value.numel() for value in model.state_dict().values())


def _observe(
    answer: Answer, case: tuple[Callable[..., nn.Module], dict[str, int]], see: See
) -> None:
    make, options = case
    model = _model(make, tuple(options.items()))
    size = _size(model)
    try:
        found = answer(model)
    except (AttributeError, TypeError) as error:
        if not NO_BIAS.match(str(error)):
            raise
        rows = (("Error", shortened(f"{type(error).__name__}: {error}")),)
        raise Wrong("looked-for-biases", rows) from None
    finally:
        after = _size(model)
        if after != size:
            _model.cache_clear()  # the next answer gets one as it was
    numbers = {key: whole_number(value) for key, value in _entries(found).items()}
    wanted = _explain_difference(model)
    see("biases", numbers["biases"])
    if numbers["biases"] == wanted["biases"] or [*numbers.values()] == [*wanted.values()][::-1]:
        see("statistics", numbers["statistics"])  # one mistake at a time
    see("numbers in torch_model, afterwards", after - size)


def _entries(found: Any) -> dict[str, Any]:
    if not issubclass(type(found), dict):
        raise wrong_type(found, f"a dict with the keys {KEYS[0]!r} and {KEYS[1]!r}")
    entries = {k if type(k) is str else type(k).__name__: v for k, v in dict.items(found)}
    if sorted(entries) != sorted(KEYS):
        rows = (("Expected", ", ".join(KEYS)), ("Got", ", ".join(entries) or "no keys"))
        raise Wrong("wrong-keys", rows)
    return {key: entries[key] for key in KEYS}


explain_difference = Check(
    signature="explain_difference(torch_model)",
    reference=_explain_difference,
    observe=_observe,
    cases={
        f"{make.__name__}({', '.join(f'{k}={v}' for k, v in options.items())})": (make, options)
        for make, options in (
            (resnet50, {}),
            (resnet101, {"num_classes": 10, "width": 16}),
            (resnet152, {"width": 8}),
        )
    },
    said=beside(__file__),
)
