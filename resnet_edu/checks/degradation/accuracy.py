"""The accuracy over batches of unequal sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from resnet_edu.blocks import PlainBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, see_float
from resnet_edu.checks.text import beside


def _accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    before = model.training
    model.eval()
    right = total = 0
    with torch.no_grad():
        for inputs, targets in batches:
            right += (model(inputs).argmax(1) == targets).sum().item()
            total += len(targets)
    model.train(before)
    return right / total


class _Once:
    """Batches that can be gone through once, like those of a generator, and have no length."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self._left = iter(batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._left


@torch.no_grad()
def _make_unsure(model: nn.Sequential, inputs: Tensor) -> None:
    """Logits near zero, and largest for one class in some images and for another one in others."""
    logits = model.eval()(inputs)
    head = model[-1]
    head.bias -= logits.mean(0)
    for parameter in head.parameters():
        parameter /= logits.std(0).mean()


def _observe(answer: Answer, case: tuple[tuple[int, ...], bool, bool], see: See) -> None:
    sizes, training, once = case
    numbers = torch.Generator().manual_seed(len(sizes))
    model = nn.Sequential(PlainBlock(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=numbers))
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
    _make_unsure(model, torch.randn(64, 3, 6, 6, generator=numbers))
    batches = []
    for number, size in enumerate(sizes):
        inputs = torch.randn(size, 3, 6, 6, generator=numbers)
        with torch.no_grad():
            targets = model.eval()(inputs).argmax(1)  # all right, and then some of them wrong
        shift = torch.randint(1, 4, (size,), generator=numbers)
        wrong = torch.arange(size) < size * (number + 1) // (len(sizes) + 2)
        batches.append((inputs, torch.where(wrong, (targets + shift) % 4, targets)))
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    result = answer(model, _Once(batches) if once else batches)
    see_float("result", result, see)
    see("mode of the model, afterwards", "train" if model.training else "eval")
    after = model.state_dict()
    running = [n for n in after if "running" in n or "tracked" in n]
    moved = any(not after[n].equal(before[n]) for n in running)
    see("statistics of batch norm, afterwards", "changed" if moved else "as before")
    stepped = any(not after[n].equal(before[n]) for n in after if n not in running)
    see("weights, afterwards", "changed" if stepped else "as before")


accuracy = Check(
    signature="accuracy(model, batches)",
    reference=_accuracy,
    observe=_observe,
    cases={
        "a model in train mode and batches of 10, 6 and 3 images": ((10, 6, 3), True, False),
        "a model in eval mode and batches of 8, 8 and 2 images": ((8, 8, 2), False, False),
        "a model in train mode and a generator of batches of 4, 9 and 6": ((4, 9, 6), True, True),
        "a single batch of 7 images": ((7,), True, False),
    },
    said=beside(__file__),
)
