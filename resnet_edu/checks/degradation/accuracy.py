"""Task 3.2: the accuracy over batches of unequal sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.blocks import PlainBlock
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, see_float

Batches = Iterable[tuple[Tensor, Tensor]]
Counts = list[tuple[int, int]]
"""Of each batch: how many answers are right, and how many images there are."""


def _accuracy(model: nn.Module, batches: Batches) -> float:
    return _measured(model, batches)


def _share(counts: Counts) -> float:
    return sum(right for right, _ in counts) / sum(size for _, size in counts)


def _measured(
    model: nn.Module,
    batches: Batches,
    give: Callable[[Counts], Any] = _share,
    answers: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(1),
    mode: bool | None = False,
    mode_after: bool | None = None,
) -> Any:
    """The reference, and with other arguments its wrong versions."""
    before = model.training
    if mode is not None:
        model.train(mode)
    with torch.no_grad():
        counts = [
            (int((answers(model(inputs)) == targets).sum()), len(targets))
            for inputs, targets in batches
        ]
    model.train(before if mode_after is None else mode_after)
    return give(counts)


def _version(**changes: Any) -> Answer:
    return partial(_measured, **changes)


def _least(logits: Tensor) -> Tensor:
    return logits.argmin(1)


class _Once:
    """Batches that can be gone through once, like those of a generator, and have no length."""

    def __init__(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        self._left = iter(batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._left


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
    mistakes=(
        Mistake(
            "mean-of-batch-means",
            "You take the mean of the batches' accuracies. The last batch is often smaller, and then each "
            "of its images counts for more than the others.",
            [_version(give=lambda counts: sum(r / n for r, n in counts) / len(counts))],
        ),
        Mistake(
            "train-mode",
            "The model stays in train mode while you measure. Batch norm then uses the statistics of "
            "each batch, so an image's answer depends on its neighbours; and it changes its running "
            "ones: measuring changes the model.",
            [_version(mode=None), _version(mode=True)],
        ),
        Mistake(
            "train-mode-and-batch-means",
            "Two things: the model stays in train mode, so an image's answer depends on its neighbours; "
            "and you take the mean of the batches' accuracies. An image in a small batch then counts "
            "for more than one in a large batch.",
            [_version(mode=None, give=lambda counts: sum(r / n for r, n in counts) / len(counts))],
        ),
        Mistake(
            "left-in-eval-mode",
            "The number is right, but the model is left in eval mode. Whoever goes on training would "
            "train with batch norm's old statistics.",
            [_version(mode_after=False)],
        ),
        Mistake(
            "left-in-train-mode",
            "The model came in eval mode and is left in train mode. Whoever uses it next gets answers "
            "that depend on the other images of the batch, and changes batch norm's running statistics "
            "without knowing.",
            [_version(mode_after=True)],
        ),
        Mistake(
            "percent",
            "You return a percentage, where a number from 0 to 1 was asked for. A test like `accuracy > "
            "0.95` would then pass for a network that has one image in a hundred right.",
            [_version(give=lambda counts: 100 * _share(counts))],
        ),
        Mistake(
            "count",
            "You return how many are right. That says little without how many there were: 90 is good "
            "out of 100 and poor out of 1,000, so two data sets cannot be compared.",
            [
                _version(give=lambda counts: sum(r for r, _ in counts)),
                _version(give=lambda counts: float(sum(r for r, _ in counts))),
            ],
        ),
        Mistake(
            "error-rate",
            "You return the share of wrong answers. The best network then has the smallest number, and "
            "whoever keeps the one with the highest accuracy keeps the worst.",
            [_version(give=lambda counts: 1 - _share(counts))],
        ),
        Mistake(
            "divided-by-batches",
            "You divide by the number of batches. That gives right answers per batch: it can be far "
            "above 1, and it changes with the batch size, though the network is the same.",
            [_version(give=lambda counts: sum(r for r, _ in counts) / len(counts))],
        ),
        Mistake(
            "first-batch-only",
            "Only the first batch counts: your function is over before it sees the second. An accuracy "
            "of a few images is largely luck.",
            [
                _version(give=lambda counts: counts[0][0] / counts[0][1]),
                _version(give=lambda counts: counts[0][0] / counts[0][1], mode_after=False),
            ],
        ),
        Mistake(
            "last-batch-only",
            "Only the last batch counts: what you counted before it is forgotten. An accuracy of a few "
            "images is largely luck, and the last batch is often the smallest.",
            [_version(give=lambda counts: counts[-1][0] / counts[-1][1])],
        ),
        Mistake(
            "equal-batches-assumed",
            "You take all batches to be as large as the first, or the last. Often the last one is "
            "smaller: then your total is not the number of images, and the accuracy is too low, or even "
            "above 1.",
            [
                _version(give=lambda c: sum(r for r, _ in c) / (len(c) * c[0][1])),
                _version(give=lambda c: sum(r for r, _ in c) / (len(c) * c[-1][1])),
            ],
        ),
        Mistake(
            "smallest-logit",
            "You take the class with the smallest logit. That is the one which the network holds least "
            "likely: the more it learns, the lower your accuracy falls.",
            [_version(answers=_least)],
        ),
        Mistake(
            "result-is-a-tensor",
            "You return a tensor. Whoever writes results into a file or a table needs a plain number: "
            "Python's `json`, for one, refuses a tensor.",
            [_version(give=lambda counts: torch.tensor(_share(counts)))],
        ),
        Mistake(
            "rounded-down",
            "You divide whole numbers and throw the rest away, so all that is less than 1 becomes 0. A "
            "network with 99% right then looks like one that has learned nothing.",
            [
                _version(give=lambda c: sum(r for r, _ in c) // sum(n for _, n in c)),
                _version(give=lambda c: int(_share(c))),
            ],
        ),
    ),
)
