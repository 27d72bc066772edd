"""A frozen backbone whose features change all the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.hunt.modes import require_more_than_one_flag
from resnet_edu.checks.hunt.training import see_losses, tiny_resnet
from resnet_edu.checks.text import beside


def _train_frozen(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> list[float]:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("fc.")
    model.eval()
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _features(model: nn.Module, images: Tensor) -> Tensor:
    """What comes into the head in evaluation."""
    features: list[Tensor] = []
    hook = model.fc.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    model.eval()(images)
    hook.remove()
    return features[0]


def _observe(answer: Answer, case: tuple[int, bool], see: See) -> None:
    steps, training = case
    model = tiny_resnet(3)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    numbers = torch.Generator().manual_seed(steps)
    with torch.no_grad():
        for norm in norms:  # as if it had been trained
            norm.running_mean.normal_(0, 0.3, generator=numbers)
            norm.running_var.uniform_(0.5, 1.5, generator=numbers)
    model.train(training)
    images = torch.randn(8, 3, 16, 16, generator=numbers)
    labels = torch.arange(8) % 3
    before = {key: value.clone() for key, value in model.state_dict().items()}
    buffers = [name for name, _ in model.named_buffers()]
    parameters = [name for name, _ in model.named_parameters() if not name.startswith("fc.")]
    modes = set[bool]()
    hooks = [
        n.register_forward_pre_hook(lambda module, _: modes.add(module.training)) for n in norms
    ]
    losses = answer(model, images, labels, steps)
    require_more_than_one_flag(model, norms, modes)
    for hook in hooks:
        hook.remove()
    after = model.state_dict()
    see("features of the images", _features(model, images))
    for kind, names in (("statistics", buffers), ("parameters of the backbone", parameters)):
        moved = [n for n in names if n not in after or not after[n].equal(before[n])]
        see(kind, f"{moved[0]} changed" if moved else "as before")
    see("batch norms, while it trains", "train mode" if True in modes else "evaluation mode")
    for name, parameter in model.fc.named_parameters():
        see(f"{name} of the head, after the training", parameter)
    see_losses(losses, see)


train_frozen = Check(
    signature="train_frozen(model, images, labels, steps)",
    reference=_train_frozen,
    observe=_observe,
    cases={
        "3 steps, a model in train mode": (3, True),
        "2 steps, a model in eval mode": (2, False),
    },
    said=beside(__file__),
)
