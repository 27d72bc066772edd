"""Weights into a model by name, with a report of what did not fit."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from resnet_edu.networks import CifarResNet, accept_published_names

Shape = tuple[int, ...]

ALIKE = 0.5
"""From this likeness on (difflib's, 0 to 1) a name is taken for another one, misspelled."""


@dataclass(frozen=True, repr=False)
class LoadReport:
    """How weights fit a model: what was missing, unexpected, or of another shape.

    `wrong_shape` holds (name, the model's shape, the given shape). `suggestions` maps unexpected names to
    names of the model that they are probably meant for.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, Shape, Shape], ...]
    suggestions: dict[str, str]

    @property
    def is_complete(self) -> bool:
        """Whether every name was there, none was left over, and all shapes fit."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __repr__(self) -> str:
        if self.is_complete:
            return "Every name and every shape fits."
        meant = {name: f"{name} (meant: {to}?)" for name, to in self.suggestions.items()}
        shapes = [f"{name}: expected {ours}, got {given}" for name, ours, given in self.wrong_shape]
        lines = (
            _line("missing", self.missing),
            _line("unexpected", [meant.get(name, name) for name in self.unexpected]),
            _line("wrong shape", shapes),
        )
        return "\n".join(line for line in lines if line)


class LoadError(ValueError):
    """Weights that do not fit the model. `report` says what did not; the model is as it was."""

    def __init__(self, report: LoadReport) -> None:
        super().__init__(
            f"The weights do not fit the model, and nothing was loaded.\n{report}\n"
            f"Rename or correct them, or load only what fits: strict=False."
        )
        self.report = report


def load_by_name(
    model: nn.Module, state_dict: Mapping[str, Tensor], *, strict: bool = True
) -> LoadReport:
    """Copy `state_dict` into `model`, name by name, and report what did not fit.

    With `strict=False` all that fits is loaded, and the rest of the model stays as it was. A batch norm's
    `num_batches_tracked` may be missing, as in files from before PyTorch 0.4.1. Floating-point numbers of
    another precision are converted.

    Raises LoadError where something is missing, unexpected or of a wrong shape (strict), and TypeError
    for what is no state_dict. The model is then unchanged.
    """
    given = _require_state_dict(state_dict)
    if isinstance(model, CifarResNet):  # it takes some published names, in `load_state_dict` too
        accept_published_names(given)
    own = model.state_dict()
    for name in own.keys() & given.keys():
        _require_same_kind(name, own[name], given[name])

    missing = [n for n in own if n not in given]
    unexpected = [n for n in given if n not in own]
    report = LoadReport(
        tuple(n for n in missing if not n.endswith("num_batches_tracked")),
        tuple(unexpected),
        tuple(
            (n, tuple(own[n].shape), tuple(t.shape))
            for n, t in given.items()
            if n in own and own[n].shape != t.shape
        ),
        _suggest({n: given[n].shape for n in unexpected}, {n: own[n].shape for n in missing}),
    )
    if strict and not report.is_complete:
        raise LoadError(report)
    fits = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    model.load_state_dict(fits, strict=False)
    return report


def _require_state_dict(weights: Any) -> dict[str, Tensor]:
    wanted = "load_by_name takes a state_dict: names, and a tensor for each."
    if isinstance(weights, nn.Module):
        raise TypeError(f"{wanted} This is a whole model: give its weights, other.state_dict().")
    if isinstance(weights, str | os.PathLike):
        raise TypeError(
            f"{wanted} This is a path: read the file first, torch.load(path, weights_only=True)."
        )
    if not isinstance(weights, Mapping):
        raise TypeError(f"{wanted} This is a {type(weights).__name__}.")
    for name, value in weights.items():
        if isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values()):
            raise TypeError(f"{wanted} This is a checkpoint, and the weights are in its {name!r}.")
    for name, value in weights.items():
        if not isinstance(name, str):
            raise TypeError(f"{wanted} One name is {name!r}, which is no text.")
        if not isinstance(value, Tensor):
            hint = " torch.from_numpy makes one of it." if hasattr(value, "__array__") else ""
            raise TypeError(f"{wanted} {name!r} is a {type(value).__name__}, not a tensor.{hint}")
    return dict(weights)


def _require_same_kind(name: str, own: Tensor, given: Tensor) -> None:
    if own.is_floating_point() != given.is_floating_point() or given.is_complex():
        raise TypeError(
            f"{name} holds {given.dtype}, and the model needs {own.dtype}. Convert it yourself, if it "
            f"is the right tensor: {given.dtype} numbers may need a scale that is not known here."
        )
    if own.is_meta or given.is_meta:
        whose = "model's" if own.is_meta else "given"
        raise TypeError(
            f"The {whose} {name} is on the device 'meta', where tensors have a shape and no numbers."
        )


def _suggest(unexpected: dict[str, Shape], missing: dict[str, Shape]) -> dict[str, str]:
    """For an unexpected name the nearest missing one of the same shape; each is suggested once."""
    suggestions: dict[str, str] = {}
    for alike in (_is_end_of_other, _is_spelled_alike):  # the surer sign first
        for name in [n for n in unexpected if n not in suggestions]:
            free = missing.keys() - suggestions.values()
            fitting = [
                n
                for n in missing
                if n in free and missing[n] == unexpected[name] and alike(name, n)
            ]
            if fitting:
                suggestions[name] = max(fitting, key=partial(_likeness, name))
    return {name: suggestions[name] for name in unexpected if name in suggestions}


def _is_end_of_other(a: str, b: str) -> bool:
    return f".{a}".endswith(f".{b}") or f".{b}".endswith(f".{a}")


def _is_spelled_alike(a: str, b: str) -> bool:
    """Alike as a whole, and in the last word, which tells a weight from a bias."""
    last_words = a.rpartition(".")[2], b.rpartition(".")[2]
    return _likeness(*last_words) >= ALIKE and _likeness(a, b) >= ALIKE


def _likeness(a: str, b: str) -> float:
    return 1.0 if a == b else difflib.SequenceMatcher(None, a, b).ratio()


def _line(what: str, things: Iterable[str], most: int = 6) -> str:
    things = list(things)
    more = f", and {len(things) - most} more" if len(things) > most else ""
    return f"  {what} ({len(things)}): {', '.join(things[:most])}{more}" if things else ""
