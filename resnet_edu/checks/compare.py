"""What was seen of an answer, and whether two answers were seen to do the same."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from resnet_edu.checks.guard import Wrong

See = Callable[[str, Any], None]
"""Notes one thing about an answer: a label and a tensor, number, text or `Near`."""

Evidence = tuple[tuple[str, str], ...]
MOST_NUMBERS = 10_000_000


@dataclass(frozen=True, eq=False)
class Near:
    """A measured number that may differ by `within`, for answers that draw random numbers."""

    value: float
    within: float
    text: str


def snapshot(value: Any) -> Any:
    """A copy that nothing done later can change."""
    if not issubclass(type(value), Tensor):
        return value
    if value.numel() > MOST_NUMBERS:
        raise Wrong("wrong-shape", (("Got", f"shape {tuple(value.shape)}"),))
    return value.detach().cpu().to(torch.float64, copy=True).as_subclass(Tensor)


def same(got: Any, want: Any) -> bool:
    """Whether two snapshots agree, up to rounding."""
    if type(got) is not type(want):
        return False
    if isinstance(want, Tensor):
        return got.shape == want.shape and bool(_close(got, want).all())
    if isinstance(want, float):
        return math.isclose(got, want, rel_tol=1e-4, abs_tol=1e-7) or (got != got and want != want)
    if isinstance(want, Near):
        return abs(got.value - want.value) <= want.within
    return got == want


def same_everywhere(seen: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether all that was noted agrees."""
    return seen.keys() == wanted.keys() and all(same(seen[key], wanted[key]) for key in wanted)


def first_difference(seen: dict[str, Any], wanted: dict[str, Any]) -> Evidence:
    """The first thing that differs from what is wanted, as labels and texts. Empty where nothing does."""
    label = first_other_label(seen, wanted)
    return () if label is None else _difference(label, seen[label], wanted[label])


def first_other_label(seen: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """The label of the first thing that differs. None where nothing does, or an error came before."""
    for label, want in wanted.items():
        if label not in seen:
            return None
        if not same(seen[label], want):
            return label
    return None


def _close(got: Tensor, want: Tensor) -> Tensor:
    finite = want.nan_to_num(0.0, 0.0, 0.0)
    scale = finite.abs().max().item() if want.numel() else 0.0
    return torch.isclose(got, want, rtol=0, atol=1e-5 + 1e-4 * scale, equal_nan=True)


def _difference(label: str, got: Any, want: Any) -> Evidence:
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        if got.shape != want.shape:
            got, want = f"shape {tuple(got.shape)}", f"shape {tuple(want.shape)}"
        else:
            index = tuple(torch.nonzero(~_close(got, want))[0].tolist())
            label += f", first difference at {list(index)}" if index else ""
            got, want = got[index].item(), want[index].item()
    expected, gotten = _shown(want), _shown(got)
    if expected == gotten:
        expected, gotten = (
            f"{text} ({type(v).__name__})" for text, v in ((expected, want), (gotten, got))
        )
    rows = (("Expected", expected), ("Got", gotten))
    return rows if label == "result" else (("Looked at", label), *rows)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return value.text if isinstance(value, Near) else str(value)


def as_call(function: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """The text of a call, with names: "conv_output_size(size=7, kernel_size=3)"."""
    names = inspect.signature(function).parameters
    pairs = zip(names, arguments, strict=False)
    text = ", ".join(f"{name}={value}" for name, value in pairs)
    return f"{function.__name__.removeprefix('_')}({text})"


# Reading what a learner's function returned. Nothing is asked of the value itself but its type: its own
# methods are the learner's code.


def whole_number(value: Any) -> int | float:
    """The returned number: an int of any kind as an int, a float as it is. Raises Wrong for others."""
    if type(value) is float or issubclass(type(value), float):
        return float(value)
    if hasattr(type(value), "__index__") and type(value) is not bool:
        try:
            return operator.index(value)
        except TypeError:  # an array or a tensor of floats, or of many numbers
            pass
    raise wrong_type(value, "a whole number (int)")


def tensor(value: Any) -> Tensor:
    """The returned tensor. Raises Wrong for anything else."""
    if not issubclass(type(value), Tensor):
        raise wrong_type(value, "a tensor")
    return value


def entries(value: Any, expected: str = "a dict") -> dict[str, Any]:
    """What stands in the returned dict; a key that is no text by its type. Raises Wrong for others."""
    if not issubclass(type(value), dict):
        raise wrong_type(value, expected)
    return {
        key if type(key) is str else f"{type(key).__name__} {place}": found
        for place, (key, found) in enumerate(dict.items(value))
    }


def wrong_type(value: Any, expected: str) -> Wrong:
    """The mistake of a value that is not `expected`."""
    evidence = (("Expected", expected), ("Got", type(value).__name__))
    return Wrong("returns-none" if value is None else "wrong-type", evidence)


def require(mistake: str, looked_at: str, expected: object, got: object) -> None:
    """Raises Wrong, with what was looked at, expected and got, where the two are not equal."""
    if got != expected:
        rows = (("Looked at", looked_at), ("Expected", str(expected)), ("Got", str(got)))
        raise Wrong(mistake, rows)


def see_float(label: str, value: Any, see: See) -> None:
    """Note a returned number and its type: numbers of any kind count as floats, tensors do not."""
    kind = type(value)
    if value is None:
        raise wrong_type(value, "a float")
    is_number = issubclass(kind, Real) and kind is not bool
    see(f"type of {label}", "float" if is_number else kind.__name__)
    if is_number or (issubclass(kind, Tensor) and value.numel() == 1):
        see(label, float(value))
