"""Put a trained network to new work: a new head, frozen stages, rates by stage, and what a step changed.

`replace_head`      a fresh last layer for other classes
`freeze`            keep the first stages as they are
`parameter_groups`  let parts of the network learn at rates of their own
`split`, `compute`  the frozen part on its own, so that its outputs are computed once
`linear_probe`      how far the features get with nothing but a linear classifier
`freeze_audit`      which parameters and buffers changed between two moments, stage by stage

They work on this course's networks and on torchvision's ResNets alike. `training.fit` does the training;
it keeps frozen batch norms in evaluation mode.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from resnet_edu.as_found import in_mode
from resnet_edu.networks import HEAD, head, stage_of
from resnet_edu.training import parameter_groups as parameter_groups

BATCH = 64


def stages(model: nn.Module) -> tuple[str, ...]:
    """What can be frozen, in the order of execution: ("stem", "layer1", ..., "layer4").

    Raises ValueError for a model that has no such stages, or no head `fc` after them.
    """
    names = [name for name, _ in model.named_children()]
    found = tuple(dict.fromkeys(stage_of(name) for name in names if name not in HEAD))
    if found[:1] != ("stem",) or not any(n.startswith("layer") for n in found):
        raise ValueError(
            f"This {type(model).__name__} is no ResNet: it needs conv1, bn1, the stages layer1, layer2, "
            f"... and the head fc. It has {', '.join(names) or 'no modules'}."
        )
    head(model)
    return found


def replace_head(model: nn.Module, num_classes: int) -> None:
    """Put a fresh, trainable linear layer with `num_classes` outputs in the place of `model.fc`.

    Make it before the optimiser, which would go on training the old one.
    Raises ValueError for a model without a linear `fc`, and for less than one class.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be 1 or more; it was {num_classes!r}.")
    old = head(model)
    model.fc = nn.Linear(
        old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype
    )


def freeze(model: nn.Module, up_to: str | None) -> None:
    """Freeze the stem and every stage up to and with `up_to`; all the rest becomes trainable.

    `up_to` is "stem", "layer1", ... "layer4", or None for nothing frozen. A frozen parameter gets no
    gradient. The running statistics of a frozen batch norm are no parameters, and still move in
    training mode: `training.fit` keeps it in evaluation mode, a loop of your own must do so itself.
    Raises ValueError for a stage that `model` has not; the model is then as it was.
    """
    frozen = _stages_up_to(model, up_to)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(stage_of(name) not in frozen)


def split(model: nn.Module, up_to: str | None) -> tuple[nn.Sequential, nn.Sequential]:
    """The network up to and with stage `up_to`, and what comes after it: two halves that share its modules.

    Training the second half on outputs of the first is training `model` with the first half frozen.
    Shapes, for the last stage: images (N, 3, H, W) to (N, C, 1, 1), averaged over all places, and from
    there to logits (N, num_classes). Raises ValueError for a stage that `model` has not.
    """
    frozen = _stages_up_to(model, up_to)
    if up_to == stages(model)[-1]:
        frozen |= {HEAD[0]}
    first, second = OrderedDict(), OrderedDict()
    for name, module in model.named_children():
        if name == HEAD[-1]:
            second["flatten"] = nn.Flatten()
        (first if stage_of(name) in frozen else second)[name] = module
    return nn.Sequential(first), nn.Sequential(second)


def compute(network: nn.Module, images: Tensor) -> Tensor:
    """The outputs of `network` for images (N, 3, H, W), in evaluation mode, in batches, without gradients.

    The network's modes are afterwards what they were.
    """
    device = next((p.device for p in network.parameters()), images.device)
    with in_mode(network, training=False), torch.no_grad():
        return torch.cat([network(part.to(device)).cpu() for part in images.split(BATCH)])


def linear_probe(model: nn.Module, train: TensorDataset, test: TensorDataset) -> float:
    """The test accuracy, 0 to 1, of logistic regression on the features before `model.fc`.

    `train` and `test` hold images (N, 3, H, W) and class numbers (N,). `model` is left as it is.
    """
    from sklearn.linear_model import LogisticRegression

    features, _ = split(model, stages(model)[-1])
    known, unknown = (
        (compute(features, images).flatten(1).numpy(), labels.numpy())
        for images, labels in (train.tensors, test.tensors)
    )
    return LogisticRegression(max_iter=5000).fit(*known).score(*unknown)


@dataclass(frozen=True)
class StageChanges:
    """How many tensors a part of a network has, and how many of them changed."""

    stage: str
    parameters: int
    parameters_changed: int
    buffers: int
    buffers_changed: int


@dataclass(frozen=True)
class FreezeAudit:
    """What changed between two moments of a network, part by part in the order of execution."""

    stages: tuple[StageChanges, ...]

    def __str__(self) -> str:
        lines = [f"{'':8}{'parameters changed':>20}{'buffers changed':>18}"]
        for s in self.stages:
            changed = (
                f"{s.parameters_changed} of {s.parameters}",
                f"{s.buffers_changed} of {s.buffers}",
            )
            lines.append(f"{s.stage:8}{changed[0]:>20}{changed[1]:>18}")
        return "\n".join(lines)


def freeze_audit(before: nn.Module, after: nn.Module) -> FreezeAudit:
    """Compare a copy made before a training step, `copy.deepcopy(model)`, with the model after it.

    Counted are tensors: weights and biases, and the buffers of batch norm (running mean, running
    variance, and the number of batches seen). Numbers that are NaN in both count as the same.
    Raises ValueError where the two have not the same tensors.
    """
    kinds = []
    for kind in ("named_parameters", "named_buffers"):
        old, new = (dict(getattr(model, kind)()) for model in (before, after))
        if {n: t.shape for n, t in old.items()} != {n: t.shape for n, t in new.items()}:
            raise ValueError(
                "The two are not the same network at two moments: they have other tensors. Copy the model "
                "after its head is replaced, right before the step: before = copy.deepcopy(model)."
            )
        kinds.append({name: not _same(old[name], new[name]) for name in old})
    parameters, buffers = kinds
    rows = []
    for stage in dict.fromkeys(stage_of(name) for name in parameters | buffers):
        p, b = ([c for name, c in kind.items() if stage_of(name) == stage] for kind in kinds)
        rows.append(StageChanges(stage, len(p), sum(p), len(b), sum(b)))
    return FreezeAudit(tuple(rows))


def _same(old: Tensor, new: Tensor) -> bool:
    old, new = old.detach().cpu(), new.detach().cpu()
    return bool(((old == new) | (old.isnan() & new.isnan())).all())


def _stages_up_to(model: nn.Module, up_to: str | None) -> set[str]:
    known = stages(model)
    if up_to is None:
        return set()
    if up_to not in known:
        raise ValueError(f"There is no stage {up_to!r}; the stages are {', '.join(known)}.")
    return set(known[: known.index(up_to) + 1])
