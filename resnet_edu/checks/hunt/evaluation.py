"""Tasks B.5 and B.6: accuracies that depend on how the images are put into batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn

from resnet_edu.as_found import in_mode
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, see_float
from resnet_edu.checks.guard import Wrong

Batches = Sequence[tuple[Tensor, Tensor]]
Score = Callable[[Sequence[Tensor]], float]
"""From the hits of each batch, as ones and zeros, to an accuracy."""


def _accuracy_of_batches(model: nn.Module, batches: Batches) -> float:
    return _score(lambda hits: torch.cat(list(hits)).mean().item())(model, batches)


def _score(score: Score) -> Answer:
    @torch.no_grad()
    def accuracy_of_batches(model: nn.Module, batches: Batches) -> float:
        model.eval()
        return score([(model(x).argmax(1) == y).double() for x, y in batches])

    return accuracy_of_batches


def _mean_of_means(hits: Sequence[Tensor]) -> float:
    return sum(h.mean().item() for h in hits) / len(hits)


def _weighted(weights: Callable[[Sequence[int]], Sequence[float]]) -> Score:
    """The mean of the batches' accuracies with a weight for each."""

    def score(hits: Sequence[Tensor]) -> float:
        by = weights([len(h) for h in hits])
        means = [h.mean().item() for h in hits]
        return sum(w * m for w, m in zip(by, means, strict=True)) / sum(by)

    return score


def _total(hits: Sequence[Tensor]) -> float:
    return sum(h.sum().item() for h in hits)


def _observe_batches(answer: Answer, case: tuple[Sequence[int], Sequence[int]], see: See) -> None:
    """`case`: the sizes of the batches, and how many of each are classified right."""
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9)).train()
    batches = []
    for size, right in zip(*case, strict=True):
        labels = torch.arange(size) % 4
        guesses = torch.where(torch.arange(size) < right, labels, (labels + 1) % 4)
        batches.append((10.0 * nn.functional.one_hot(guesses, 4)[:, :, None, None], labels))
    modes = set[bool]()
    model[1].register_forward_pre_hook(lambda module, _: modes.add(module.training))
    result = answer(model, batches)
    if True in modes:
        raise Wrong(
            "in-train-mode",
            "The network is no longer in evaluation mode while it is tested. A dropout in it then loses "
            "numbers by chance, and the accuracy is another one each time.",
        )
    see_float("the accuracy", result, see)


accuracy_of_batches = Check(
    signature="accuracy_of_batches(model, batches)",
    reference=_accuracy_of_batches,
    observe=_observe_batches,
    cases={
        f"batches of {', '.join(map(str, sizes))}, with {', '.join(map(str, right))} right": (
            sizes,
            right,
        )
        for sizes, right in (
            ((8, 8, 2), (7, 5, 0)),
            ((8, 8, 8), (8, 3, 4)),
            ((2, 9, 5, 4), (2, 3, 1, 4)),
            ((5,), (3,)),
        )
    },
    mistakes=(
        Mistake(
            "still-there",
            "The same images, in other batches, still give another accuracy. Which images share a batch "
            "is chance, and must not count.",
            [_score(_mean_of_means)],
        ),
        Mistake(
            "last-batch-left-out",
            "All batches that count now have the same size, because the last one is left out. Its images "
            "are images too.",
            [
                _score(lambda hits: _mean_of_means(hits[:-1] or hits)),
                _score(lambda hits: _total(hits[:-1] or hits) / sum(map(len, hits[:-1] or hits))),
                _score(lambda hits: _mean_of_means([h for h in hits if len(h) == len(hits[0])])),
                _score(
                    lambda hits: _mean_of_means(
                        [h for h in hits if len(h) == max(len(other) for other in hits)]
                    )
                ),
            ],
        ),
        Mistake(
            "all-batches-as-large-as-the-first",
            "You count the images as if every batch were as large as the first one, or the last one. "
            "Each batch has a length of its own.",
            [
                _score(lambda hits: _total(hits) / (len(hits) * len(hits[0]))),
                _score(lambda hits: _total(hits) / (len(hits) * len(hits[-1]))),
            ],
        ),
        Mistake(
            "one-batch-only",
            "Only one of the batches counts. The others are computed, and their hits are lost.",
            [
                _score(lambda hits: hits[0].mean().item()),
                _score(lambda hits: hits[-1].mean().item()),
            ],
        ),
        Mistake(
            "median-or-best",
            "The mean of the batches' accuracies is gone. But their median, or the best, is not the "
            "share of right images either.",
            [
                _score(lambda hits: torch.stack([h.mean() for h in hits]).median().item()),
                _score(lambda hits: min(h.mean().item() for h in hits)),
            ],
        ),
        Mistake(
            "weighted-the-wrong-way-round",
            "The batches have weights now. But the small ones get the large weights, so that an image in "
            "a small batch counts even more than before.",
            [_score(_weighted(lambda sizes: [1 / size for size in sizes]))],
        ),
        Mistake(
            "count-instead-of-share",
            "You give back how many images are right, or their mean for each batch. The task asks for "
            "their share of all images.",
            [
                _score(_total),
                _score(lambda hits: _total(hits) / len(hits)),
                _score(lambda hits: sum(h.mean().item() for h in hits)),
            ],
        ),
        Mistake(
            "percent",
            "The accuracy is right, but in percent. It is to be a number from 0 to 1, and whoever uses "
            "it next counts on that.",
            [_score(lambda hits: 100 * torch.cat(list(hits)).mean().item())],
        ),
        Mistake(
            "rounded",
            "The accuracy is rounded. That hides the difference between the batches, and does not mend "
            "it.",
            [_score(lambda hits: round(_mean_of_means(hits), 1))],
        ),
    ),
    places=(
        Place(
            "type of the accuracy",
            "wrong-type",
            "The accuracy is to be a float. A tensor would carry on more than its number, such as a "
            "place on a graphics card.",
        ),
        Place(
            "the accuracy",
            "other-accuracy",
            "The result is not the share of all images that are classified right. Each image is to count "
            "once, whatever batch it is in.",
        ),
    ),
)


def _tested_accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> float:
    return _tested()(model, images, labels, batch_size)


def _tested(
    training: bool | None = False,
    parts: Callable[[Tensor, int], Sequence[Tensor]] = lambda images, size: images.split(size),
    share: Callable[[Tensor, Tensor], float] = lambda found, y: (found == y).double().mean().item(),
    momentum: float = 0.1,
) -> Answer:
    """The reference, and with other arguments its wrong versions."""

    @torch.no_grad()
    def tested_accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> float:
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = momentum
        with in_mode(model, training=model.training if training is None else training):
            found = torch.cat([model(part).argmax(1) for part in parts(images, batch_size)])
        return share(found, labels[: len(found)])

    return tested_accuracy


def _with_statistics_put_back(
    model: nn.Module, images: Tensor, labels: Tensor, batch_size: int
) -> float:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    accuracy = _tested(training=None)(model, images, labels, batch_size)
    model.load_state_dict(before)
    return accuracy


def _trained_network() -> nn.Sequential:
    """It tells four brightnesses of red apart, as long as it uses its running statistics."""
    model = nn.Sequential(
        nn.Conv2d(3, 1, 1, bias=False),
        nn.BatchNorm2d(1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1, 4),
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1))
        model[1].running_mean.fill_(1.5)
        middle = torch.tensor([-1.5, -0.5, 0.5, 1.5])  # nearest of these: largest m * x - m^2 / 2
        model[4].weight.copy_(middle[:, None])
        model[4].bias.copy_(-(middle**2) / 2)
    return model


def require_more_than_one_flag(
    model: nn.Module, norms: Sequence[nn.Module], modes: Collection[bool]
) -> None:
    """Raise Wrong where `model.training` alone was set to False, and batch norms computed in train mode."""
    if any(modes) and not model.training and all(norm.training for norm in norms):
        raise Wrong(
            "only-one-flag",
            "The network's own flag `training` is False now. But every module inside has a flag of its "
            "own, and the batch norms still go by theirs.",
            (
                ("Looked at", "a batch norm, while it computes"),
                ("Expected", "eval"),
                ("Got", "train"),
            ),
        )


def _observe_test(answer: Answer, case: tuple[int, int, bool], see: See) -> None:
    n, batch_size, training = case
    numbers = torch.Generator().manual_seed(n)
    labels = torch.randint(4, (n,), generator=numbers).sort().values
    images = torch.randn(n, 3, 3, 3, generator=numbers) * 0.1
    images[:, 0] += labels[:, None, None]
    labels[::5] = (labels[::5] + 1) % 4  # a fifth of the images has a label that no network finds
    model = _trained_network().train(training)
    modes: list[bool] = []
    model[1].register_forward_pre_hook(lambda module, _: modes.append(module.training))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    result = answer(model, images, labels, batch_size)
    require_more_than_one_flag(model, [model[1]], modes)
    if any(modes) and not all(modes):
        raise Wrong(
            "mode-changes-midway",
            "The network changes its mode in the middle of the test. The images before that are still "
            "judged by their batch, and the others by themselves.",
        )
    see("the network", "used" if modes else "not used")
    see_float("the accuracy", result, see)
    see("its mode while it computes", "train" if any(modes) else "eval")
    after = model.state_dict()
    changed = [key for key, value in state.items() if not torch.equal(value, after[key])]
    see("numbers of the network, afterwards", f"{changed[0]} changed" if changed else "as before")


tested_accuracy = Check(
    signature="tested_accuracy(model, images, labels, batch_size)",
    reference=_tested_accuracy,
    observe=_observe_test,
    cases={
        "60 images in batches of 7, a network in train mode": (60, 7, True),
        "40 images in batches of 10, a network in train mode": (40, 10, True),
        "30 images in one batch, a network in eval mode": (30, 30, False),
        "11 images, one by one, a network in train mode": (11, 1, True),
    },
    mistakes=(
        Mistake(
            "still-there",
            "What the network says about an image still depends on the others in its batch. And each "
            "batch moves its running statistics, so the test itself changes the network.",
            [_tested(training=None), _tested(training=True)],
        ),
        Mistake(
            "one-batch-of-everything",
            "The order no longer matters, because there is only one batch. But what the network says "
            "about an image still depends on the others in it.",
            [_tested(training=None, parts=lambda images, _: [images])],
        ),
        Mistake(
            "statistics-kept-still",
            "The running statistics no longer move. But in the test the network still takes those of "
            "each batch, so what it says about an image depends on the others.",
            [_tested(training=None, momentum=0.0), _with_statistics_put_back],
        ),
        Mistake(
            "first-batch-only",
            "The network is in the right mode now. But only the first batch is counted: three images, or "
            "seven, are not a test.",
            [
                _tested(parts=lambda images, size: [images[:size]]),
            ],
        ),
        Mistake(
            "last-batch-left-out",
            "The network is in the right mode now. But the images that fill no batch are left out, and "
            "they are images too.",
            [
                _tested(
                    parts=lambda images, size: images[: len(images) // size * size].split(size)
                ),
            ],
        ),
        Mistake(
            "count-instead-of-share",
            "The network is in the right mode now. But you give back how many images are right, and the "
            "task asks for their share.",
            [_tested(share=lambda found, y: float((found == y).sum()))],
        ),
    ),
    places=(
        Place(
            "the network",
            "network-not-used",
            "Your code never runs the network. The accuracy is to be measured, whatever it is.",
        ),
        Place(
            "the accuracy",
            "other-accuracy",
            "The result is not the share of images that the network classifies right. What it says about "
            "an image must not depend on the others, and every image counts once.",
        ),
        Place(
            "numbers of the network",
            "network-changed",
            "The accuracy is right. But a test must leave the numbers of the network as they are.",
        ),
    ),
)
