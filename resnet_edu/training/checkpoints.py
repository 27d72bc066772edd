"""Checkpoints: the state of a training in a file, from which it goes on to the same weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from resnet_edu import files

if TYPE_CHECKING:
    from resnet_edu.training.state import State

_FORMAT = "resnet_edu training 2"


def save(state: State, path: str | Path) -> None:
    """Write the state of this training, whole or not at all."""
    tensors = {f"model.{name}": t for name, t in state.model.state_dict().items()}
    for index, momentum in enumerate(_momenta(state)):
        tensors[f"momentum.{index}"] = momentum
    tensors["round_start"] = state.round_start
    for name in ("losses", "accuracies"):
        tensors[name] = torch.tensor(getattr(state, name), dtype=torch.float64)
    words = {
        "format": _FORMAT,
        "step": str(state.step),
        "validation": json.dumps(list(state.validation.items())),
        "bfloat16": json.dumps(state.bfloat16),
        "recipe": json.dumps(asdict(state.recipe)),
        "data": _fingerprint(state.images, state.labels),
    }
    files.write(tensors, path, words)


def load(state: State, path: str | Path) -> None:
    """Go on from a checkpoint. Nothing is changed where it does not belong to this training."""
    tensors, words = files.read(path)
    own = state.model.state_dict()
    _require_same_training(state, path, tensors, words)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[f"model.{name}"])
        for index, momentum in enumerate(_momenta(state)):
            momentum.copy_(tensors[f"momentum.{index}"])
        torch._foreach_copy_(state.last_finite, state.state)
    state.step = int(words["step"])
    state.bfloat16 = json.loads(words["bfloat16"])
    state.validation = dict(json.loads(words["validation"]))
    state.losses, state.accuracies = (tensors[n].tolist() for n in ("losses", "accuracies"))
    state.round_start = tensors["round_start"]
    state.generator.set_state(state.round_start)
    state.order = torch.randperm(len(state.images), generator=state.generator)


def _momenta(state: State) -> list[Tensor]:
    """The optimiser's memory, one tensor for each parameter; it starts at zero."""
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    if not state.recipe.momentum:
        return []
    for p in parameters:
        if state.optimizer.state[p].get("momentum_buffer") is None:
            state.optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return [state.optimizer.state[p]["momentum_buffer"] for p in parameters]


def _require_same_training(
    state: State, path: str | Path, tensors: dict[str, Tensor], words: dict[str, str]
) -> None:
    """Raise FileError where a checkpoint is not one, or is one of another training."""
    way_out = "Give another path as checkpoint, or move this file away to start anew."
    if words.get("format") != _FORMAT:
        what = "made by another version of resnet_edu" if "recipe" in words else "no checkpoint"
        raise files.FileError(f"{path} is {what} of a training. {way_out}")
    theirs, ours = json.loads(words["recipe"]), asdict(state.recipe)
    other = [f"{k} {theirs.get(k)!r}, now {v!r}" for k, v in ours.items() if theirs.get(k) != v]
    if other:
        raise files.FileError(f"{path} was made with another recipe: {'; '.join(other)}. {way_out}")
    own = {f"model.{name}": t.shape for name, t in state.model.state_dict().items()}
    own |= {f"momentum.{index}": m.shape for index, m in enumerate(_momenta(state))}
    kept = {n: t.shape for n, t in tensors.items() if n.startswith(("model.", "momentum."))}
    if own != kept:
        first = min(n for n in own.keys() | kept.keys() if own.get(n) != kept.get(n))
        raise files.FileError(
            f"{path} was made with another network: they differ in {first.partition('.')[2]}. {way_out}"
        )
    if words["data"] != _fingerprint(state.images, state.labels):
        raise files.FileError(f"{path} was made with other images or labels. {way_out}")


def _fingerprint(images: Tensor, labels: Tensor) -> str:
    """A short name for the data, from the labels and up to a hundred of the images."""
    some = images[:: max(1, len(images) // 100)]
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for tensor in (some, labels):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
