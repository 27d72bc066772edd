"""What pretraining on glyphs is worth for handwritten digits, with few labels: 5 draws, 800 held out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from resnet_edu import data, weights
from resnet_edu.networks import resnet50
from resnet_edu.training import Recipe, evaluate, fit, quiet

DRAWS = 5
HELD_OUT = 800
Method = Callable[[Tensor, Tensor, int], float]
"""From the numbers of the labelled images, those of the held-out ones, and a seed to an accuracy."""


def accuracies(labels_per_class: int) -> Iterator[tuple[str, list[float]]]:
    """For each way to learn from that many labels: its name, and its accuracy in each draw."""
    images, labels = _digits(48)
    images = F.pad(images, (8, 8, 8, 8))  # as much margin as glyphs have: (1797, 3, 64, 64)
    pixels = _digits(8)[0][:, 0].flatten(1)  # (1797, 64)
    model = weights.bundled()
    with torch.inference_mode():
        headless = nn.Sequential(*list(model.children())[:-1], nn.Flatten())
        features = torch.cat([headless(part) for part in images.split(200)])  # (1797, 512)

    def probe(inputs: Tensor) -> Method:
        def train(chosen: Tensor, held_out: Tensor, _seed: int) -> float:
            linear = LogisticRegression(max_iter=5000).fit(inputs[chosen], labels[chosen])
            return linear.score(inputs[held_out], labels[held_out])

        return train

    def tuned(make: Callable[[], nn.Module], steps: int, rate: float) -> Method:
        def train(chosen: Tensor, held_out: Tensor, seed: int) -> float:
            torch.manual_seed(seed)
            network = make()
            few = TensorDataset(images[chosen], labels[chosen])
            recipe = Recipe(steps=steps, batch_size=64, learning_rate=rate, seed=seed)
            fit(network, few, recipe, on_step=quiet)
            return evaluate(network, TensorDataset(images[held_out], labels[held_out]))

        return train

    def pretrained() -> nn.Module:
        network = weights.bundled()
        network.fc = nn.Linear(network.fc.in_features, 10)
        return network

    methods = {
        "pixels": probe(pixels),
        "linear probe": probe(features),
        "fine-tuned": tuned(pretrained, steps=60, rate=0.05),
        "from scratch": tuned(lambda: resnet50(10, 16, zero_init_residual=True), 120, 0.2),
    }
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    held_out, pool = shuffled[:HELD_OUT], shuffled[HELD_OUT:]
    for name, method in methods.items():
        yield (
            name,
            [
                method(_draw(labels, pool, labels_per_class, seed), held_out, seed)
                for seed in range(DRAWS)
            ],
        )


def _digits(size: int) -> tuple[Tensor, Tensor]:
    train, validation = (data.digits(split, size).tensors for split in ("train", "validation"))
    return torch.cat([train[0], validation[0]]), torch.cat([train[1], validation[1]])


def _draw(labels: Tensor, pool: Tensor, labels_per_class: int, seed: int) -> Tensor:
    """The numbers of `labels_per_class` images of each class, out of `pool`."""
    mixed = pool[torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))]
    return torch.cat([mixed[labels[mixed] == digit][:labels_per_class] for digit in range(10)])


if __name__ == "__main__":
    for count in (1, 5, 20):
        for name, found in accuracies(count):
            mean, least, most = statistics.mean(found), min(found), max(found)
            print(f"{count:2} labels  {name:13} {mean:.1%} ({least:.1%} to {most:.1%})", flush=True)
