"""An accuracy that must not depend on how the images are put into batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, see_float
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside


@torch.no_grad()
def _accuracy_of_batches(model: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    model.eval()
    results = []
    for images, labels in batches:
        hits = (model(images).argmax(1) == labels).double()
        results += hits.tolist()
    return sum(results) / len(results)


def _observe(answer: Answer, case: tuple[Sequence[int], Sequence[int]], see: See) -> None:
    """`case`: the sizes of the batches, and how many of each are classified right."""
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9)).train()
    batches = []
    for size, right in zip(*case, strict=True):
        labels = torch.arange(size) % 4
        guesses = torch.where(torch.arange(size) < right, labels, (labels + 1) % 4)
        scores = 0.3 * nn.functional.one_hot(
            guesses, 4
        )  # unsure: no class has half the probability
        batches.append((scores[:, :, None, None], labels))
    modes = set[bool]()
    model[1].register_forward_pre_hook(lambda module, _: modes.add(module.training))
    result = answer(model, batches)
    if True in modes:
        raise Wrong("in-train-mode")
    see_float("the accuracy", result, see)


accuracy_of_batches = Check(
    signature="accuracy_of_batches(model, batches)",
    reference=_accuracy_of_batches,
    observe=_observe,
    cases={
        f"batches of {', '.join(map(str, sizes))}, with {', '.join(map(str, right))} right": (
            sizes,
            right,
        )
        for sizes, right in (
            ((8, 8, 2), (7, 5, 0)),
            ((8, 8, 8), (8, 3, 4)),
            ((2, 9, 5, 1), (2, 3, 1, 1)),
            ((5,), (3,)),
        )
    },
    said=beside(__file__),
)
