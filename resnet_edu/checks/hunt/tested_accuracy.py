"""A test in evaluation mode, so that an image does not depend on the others in its batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, see_float
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.hunt.modes import require_more_than_one_flag
from resnet_edu.checks.text import beside


@torch.no_grad()
def _tested_accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> float:
    model.eval()
    right = 0
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        right += (model(images[part]).argmax(1) == labels[part]).sum().item()
    return right / len(images)


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


def _observe(answer: Answer, case: tuple[int, int, bool], see: See) -> None:
    n, batch_size, training = case
    numbers = torch.Generator().manual_seed(n)
    labels = torch.randint(4, (n,), generator=numbers).sort().values
    images = torch.randn(n, 3, 3, 3, generator=numbers) * 0.1
    images[:, 0] += labels[:, None, None]
    labels[2::5] = (
        labels[2::5] + 1
    ) % 4  # a fifth has a label that no network finds; the first has not
    model = _trained_network().train(training)
    modes: list[bool] = []
    model[1].register_forward_pre_hook(lambda module, _: modes.append(module.training))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    result = answer(model, images, labels, batch_size)
    require_more_than_one_flag(model, [model[1]], modes)
    if any(modes) and not all(modes):
        raise Wrong("mode-changes-midway")
    see("the network", "used" if modes else "not used")
    see_float("the accuracy", result, see)
    see("its mode while it computes", "train" if any(modes) else "eval")
    after = model.state_dict()
    changed = [key for key, value in state.items() if not torch.equal(value, after[key])]
    see("numbers of the network, afterwards", f"{changed[0]} changed" if changed else "as before")


tested_accuracy = Check(
    signature="tested_accuracy(model, images, labels, batch_size)",
    reference=_tested_accuracy,
    observe=_observe,
    cases={
        "60 images in batches of 7, a network in train mode": (60, 7, True),
        "40 images in batches of 10, a network in train mode": (40, 10, True),
        "30 images in one batch, a network in eval mode": (30, 30, False),
        "11 images, one by one, a network in train mode": (11, 1, True),
    },
    said=beside(__file__),
)
