"""The accuracy that is lost without each block."""

from __future__ import annotations

import copy  # noqa: F401 - wrong versions need it
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: F401 - wrong versions need it

from resnet_edu.as_found import in_mode
from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, entries, see_float
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet, last_norm

Batches = Sequence[tuple[Tensor, Tensor]]


def _block_importance(model: nn.Module, batches: Batches) -> dict[str, float]:
    @torch.no_grad()
    def accuracy(network: nn.Module) -> float:
        right, total = 0, 0
        for images, labels in batches:
            right += (network(images).argmax(1) == labels).sum().item()
            total += len(labels)
        return right / total

    lost = {}
    with in_mode(model, training=False):
        whole = accuracy(model)
        for name, stage, place in _removable(model):
            block = stage[place]
            stage[place] = nn.Identity()
            try:
                lost[name] = whole - accuracy(model)
            finally:
                stage[place] = block
    return lost


def _blocks(model: nn.Module) -> Iterator[tuple[str, nn.Sequential, int]]:
    for name, stage in model.named_children():
        if name.startswith("layer"):
            for place in range(len(stage)):
                yield f"{name}.{place}", stage, place


def _removable(model: nn.Module) -> list[tuple[str, nn.Sequential, int]]:
    return [
        (name, stage, place)
        for name, stage, place in _blocks(model)
        if isinstance(stage[place].downsample, nn.Identity)
    ]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet of BasicBlock": lambda: ResNet(BasicBlock, (1, 2, 1, 1), num_classes=5, width=4),
    "ResNet of Bottleneck": lambda: ResNet(Bottleneck, (1, 3, 1, 1), num_classes=5, width=4),
}
SIZES = (17, 7)


def _observe(answer: Answer, case: tuple[str, int, str], see: See) -> None:
    kind, size, state = case
    trained, batches = _trained(kind, size)
    model = NETWORKS[kind]().eval()
    model.load_state_dict(trained)
    model.train("train" in state)
    if "frozen" in state:
        model.layer1[0].bn1.eval()
    if "error" in state:
        model.fc.register_forward_pre_hook(_fails_at(2 * len(SIZES)))
    found = Found(model)
    wanted, blocks = ([name for name, *_ in of(model)] for of in (_removable, _blocks))
    with hooks_of_all_modules_kept():
        try:
            values = answer(model, [(x.clone(), y.clone()) for x, y in batches])
        except Exception as error:
            if "error" not in state:
                raise _about_shapes(error) from error
        if "error" in state:
            found.see_left(see, "after an error")
            return
        values = entries(values)
        _require_names(values, wanted, blocks)
        _see_values({name: values[name] for name in wanted}, see)
        found.see_left(see)


def _see_values(values: dict[str, Any], see: See) -> None:
    """Note all of them at once: one of them may be right by chance."""
    read: dict[str, Any] = {}
    for name, value in values.items():
        see_float(f"the number of {name}", value, read.__setitem__)
        see(f"type of the number of {name}", read[f"type of the number of {name}"])
    numbers = [read.get(f"the number of {name}", 0.0) for name in values]
    see(f"accuracy lost without {', '.join(values)}", torch.tensor(numbers))


def _about_shapes(error: Exception) -> Exception:
    text = str(error)
    if not any(part in text for part in ("Given groups", "size of tensor", "shapes cannot be")):
        return error
    return Wrong("every-block", explain(error).evidence)


@lru_cache
def _trained(kind: str, size: int) -> tuple[dict[str, Tensor], Batches]:
    """The weights of a network, and images with labels.

    Some images are read rightly by the whole network, and others without its last removable block.
    """
    model = randomised(NETWORKS[kind](), seed=1).eval()
    numbers = torch.Generator().manual_seed(size)
    images = torch.randn(sum(SIZES), 3, size, size, generator=numbers)
    *_, (_name, stage, place) = _removable(model)
    with torch.no_grad():
        for _, stage, place in _removable(model):
            last_norm(stage[place]).bias.mul_(4)  # without weight, a branch is not yet nothing
        model.fc.bias -= model(images).mean(0)  # so that it does not always say the same
        whole, trained = model(images).argmax(1), model.state_dict()
        stage[place] = nn.Identity()
        without = model(images).argmax(1)
    labels = torch.where(torch.arange(len(images)) % 9 < 5, without, whole)
    return trained, list(zip(images.split(SIZES), labels.split(SIZES), strict=True))


def _fails_at(call: int) -> Callable[..., None]:
    calls = []

    def hook(*_: object) -> None:
        calls.append(1)
        if len(calls) == call:
            raise RuntimeError("out of memory")

    return hook


def _require_names(values: dict[str, Any], wanted: list[str], blocks: list[str]) -> None:
    missing = [name for name in wanted if name not in values]
    rows = (("Expected names", ", ".join(wanted)), ("Got", ", ".join(values) or "no names"))
    only_blocks = set(values) <= set(blocks)
    if not missing and len(values) == len(wanted):
        return
    if not values and not all(name.endswith(".0") for name in wanted):
        raise Wrong("no-blocks-found", rows)
    if not missing and only_blocks:
        raise Wrong("shape-changing-blocks-too", rows)
    if missing and all(name.endswith(".0") for name in missing) and only_blocks:
        raise Wrong("first-blocks-left-out", rows)
    if set(values) & set(wanted) and only_blocks:
        raise Wrong("blocks-missing", rows)
    if set(values) <= {name.partition(".")[0] for name in blocks}:
        raise Wrong("stages-instead-of-blocks", rows)
    if len(values) == len(wanted):
        raise Wrong("other-names", rows)
    raise Wrong("not-blocks", rows)


block_importance = Check(
    signature="block_importance(model, batches)",
    reference=_block_importance,
    observe=_observe,
    cases={
        f"a {kind} {state}, batches of {' and '.join(map(str, SIZES))} images": (kind, size, state)
        for kind, size, state in (
            ("ResNet of BasicBlock", 16, "in train mode, a frozen batch norm in evaluation mode"),
            ("ResNet of Bottleneck", 16, "in evaluation mode"),
            ("ResNet of BasicBlock", 16, "in train mode, and an error on the way"),
        )
    },
    said=beside(__file__),
)
