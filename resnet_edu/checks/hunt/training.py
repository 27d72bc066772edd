"""Tasks B.7, B.9 and B.10: trainings that run to the end, and do not train what they should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, see_float, wrong_type
from resnet_edu.checks.hunt.modes import require_more_than_one_flag
from resnet_edu.networks import ResNet

Loss = Callable[[Tensor, Tensor], Tensor]


def _train(
    model: nn.Module,
    optimizer: Optimizer,
    images: Tensor,
    labels: Tensor,
    steps: int,
    loss_of: Loss,
) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = loss_of(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _see_losses(losses: Any, see: See) -> None:
    if not isinstance(losses, list | tuple):
        raise wrong_type(losses, "a list of floats")
    see("number of losses", len(losses))
    for step, loss in enumerate(losses, 1):
        see_float(f"loss of step {step}", loss, see)


# B.7


def _fit_classes(
    model: nn.Module, images: Tensor, labels: Tensor, steps: int, learning_rate: float
) -> list[float]:
    return _fit()(model, images, labels, steps, learning_rate)


def _fit(
    loss_of: Loss = F.cross_entropy,
    told: Callable[[float], float] = lambda loss: loss,
    more_steps: int = 1,
    faster: float = 1.0,
) -> Answer:
    """The reference, and with other arguments its wrong versions."""

    def fit_classes(
        model: nn.Module, images: Tensor, labels: Tensor, steps: int, learning_rate: float
    ) -> list[float]:
        optimizer = torch.optim.SGD(model.parameters(), lr=faster * learning_rate)
        losses = _train(model, optimizer, images, labels, more_steps * steps, loss_of)
        return [told(loss) for loss in losses]

    return fit_classes


def _after_softmax(loss_of: Loss) -> Loss:
    return lambda scores, labels: loss_of(scores.softmax(1), labels)


def _told_by_scores(
    model: nn.Module, images: Tensor, labels: Tensor, steps: int, learning_rate: float
) -> list[float]:
    """Trains as before, and tells another loss."""
    losses: list[float] = []

    def loss_of(scores: Tensor, labels: Tensor) -> Tensor:
        losses.append(F.cross_entropy(scores, labels).item())
        return F.cross_entropy(scores.softmax(1), labels)

    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    _train(model, optimizer, images, labels, steps, loss_of)
    return losses


def _mean_square(scores: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(scores, F.one_hot(labels, scores.shape[1]).float())


def _yes_or_no(scores: Tensor, labels: Tensor) -> Tensor:
    """One question for each class."""
    wanted = F.one_hot(labels, scores.shape[1]).float()
    return F.binary_cross_entropy_with_logits(scores, wanted)


def _observe_fit(answer: Answer, case: tuple[int, int, float], see: See) -> None:
    classes, steps, learning_rate = case
    model = nn.Sequential(nn.Flatten(), nn.Linear(27, classes))
    images = torch.randn(24, 3, 3, 3)
    labels = torch.arange(24) % classes
    images[torch.arange(24), 0, 0, 0] += 3.0 * labels
    losses = answer(model, images, labels, steps, learning_rate)
    for name, parameter in model.named_parameters():
        see(f"{name}, after {steps} steps", parameter)
    _see_losses(losses, see)


fit_classes = Check(
    signature="fit_classes(model, images, labels, steps, learning_rate)",
    reference=_fit_classes,
    observe=_observe_fit,
    cases={
        f"{classes} classes, {steps} steps at a learning rate of {rate}": (classes, steps, rate)
        for classes, steps, rate in ((4, 3, 0.1), (3, 5, 0.02), (5, 1, 0.3))
    },
    mistakes=(
        Mistake(
            "curve-moved",
            "The network learns exactly as before. Only the losses that you give back are others: a "
            "curve that is pushed down mends nothing.",
            [
                _fit(_after_softmax(F.cross_entropy), told=lambda loss: loss - 0.7437),
                _told_by_scores,
            ],
        ),
        Mistake(
            "still-there",
            "The loss still cannot come near zero, not even for a network that is sure and right. What "
            "the loss gets are never large numbers.",
            [_fit(_after_softmax(F.cross_entropy))],
        ),
        Mistake(
            "no-logarithm",
            "The loss has lost its logarithm: it goes by the probability itself. So a mistake that the "
            "network is sure of costs hardly more than a doubt, and teaches it little.",
            [_fit(_after_softmax(F.nll_loss))],
        ),
        Mistake(
            "no-softmax-at-all",
            "The scores are now taken as they are for logarithms of probabilities. Nothing makes these "
            "probabilities sum to 1, so the loss falls below zero, and on without an end.",
            [_fit(F.nll_loss)],
        ),
        Mistake(
            "softmax-over-the-batch",
            "The softmax, or the log-softmax, goes along the images of the batch now. So the images "
            "compete for a class, and it should be the classes that compete for an image.",
            [
                _fit(lambda s, y: F.cross_entropy(s.softmax(0), y)),
                _fit(lambda s, y: F.cross_entropy(s.log_softmax(0), y)),
                _fit(lambda s, y: F.nll_loss(s.log_softmax(0), y)),
            ],
        ),
        Mistake(
            "squeezed-otherwise",
            "The scores are still squeezed to small numbers before the loss gets them, by another "
            "function now. So the network still cannot say how sure it is.",
            [
                _fit(lambda s, y, f=f: F.cross_entropy(f(s), y))
                for f in (torch.sigmoid, torch.tanh, F.softsign, partial(F.normalize, dim=1))
            ],
        ),
        Mistake(
            "one-more-softmax",
            "There is one more softmax now. What the loss gets lies even closer together, and its floor "
            "is higher than before.",
            [
                _fit(lambda s, y: F.cross_entropy(s.softmax(1).softmax(1), y)),
            ],
        ),
        Mistake(
            "trained-harder",
            "The learning rate, or the number of steps, is another one. That does not move the floor: "
            "the loss still cannot come near zero.",
            [
                *(_fit(_after_softmax(F.cross_entropy), faster=f) for f in (2, 5, 10, 100)),
                *(_fit(_after_softmax(F.cross_entropy), more_steps=f) for f in (2, 5, 10)),
            ],
        ),
        Mistake(
            "sharper-softmax",
            "The scores are multiplied before the softmax, so it comes nearer to 0 and 1. But the loss "
            "still gets no numbers beyond these, and the floor stays.",
            [
                _fit(lambda s, y, f=f: F.cross_entropy((f * s).softmax(1), y))
                for f in (2, 5, 10, 100)
            ],
        ),
        Mistake(
            "multiplied-probabilities",
            "The probabilities are multiplied before the loss gets them. Its floor is lower now, but it "
            "is still there, and the gradients are still not those of the cross-entropy.",
            [
                _fit(lambda s, y, f=f: F.cross_entropy(f * s.softmax(1), y))
                for f in (2, 4, 5, 10, 100)
            ],
        ),
        Mistake(
            "another-loss",
            "The loss can come near zero now. But it is no longer the cross-entropy, and a network that "
            "goes by another loss learns something else.",
            [
                *(_fit(loss) for loss in (_mean_square, _yes_or_no, F.multi_margin_loss)),
                _fit(_after_softmax(_mean_square)),
            ],
        ),
        Mistake(
            "scores-multiplied",
            "There is no floor any more. But the scores are multiplied before the loss gets them, and so "
            "are the steps of the training.",
            [_fit(lambda s, y, f=f: F.cross_entropy(f * s, y)) for f in (0.1, 2, 4, 5, 10, 100)],
        ),
        Mistake(
            "smoothed-labels",
            "The labels are smoothed now: the network is told never to be quite sure. So there is a "
            "floor again, only another one.",
            [
                _fit(lambda s, y, by=by: F.cross_entropy(s, y, label_smoothing=by))
                for by in (0.01, 0.05, 0.1, 0.2)
            ],
        ),
        Mistake(
            "sum-over-the-batch",
            "The scores go into the loss as they should. But it is a sum over the images now, and was a "
            "mean: each step is as many times larger as there are images.",
            [_fit(lambda s, y: F.cross_entropy(s, y, reduction="sum"))],
        ),
    ),
    places=(
        Place(
            ", after",
            "trained-otherwise",
            "The network does not learn what it would with the mistake mended and all else as it was. "
            "What does the loss get, and what does the optimiser do with it?",
        ),
        Place(
            "number of losses",
            "other-steps",
            "There is to be one loss for each step. The list that you give back has another length.",
        ),
        Place(
            "loss of step",
            "other-losses",
            "The training is right. But the losses that you give back are not those it went by, as "
            "floats.",
        ),
    ),
)


# B.9


def _with_new_head(
    model: nn.Module, head: nn.Linear, images: Tensor, labels: Tensor, steps: int
) -> list[float]:
    return _new_head()(model, head, images, labels, steps)


def _sgd(parameters: Any, **changes: float) -> Optimizer:
    return torch.optim.SGD(parameters, **{"lr": 0.05, "momentum": 0.9, **changes})


def _new_head(
    trained: Callable[[nn.Module, nn.Module], Any] = lambda model, _old: model.parameters(),
    make: Callable[[Any], Optimizer] = _sgd,
    anew: bool = False,
) -> Answer:
    """The reference, and with other arguments its wrong versions: `trained` gets model and old head."""

    def with_new_head(
        model: nn.Module, head: nn.Linear, images: Tensor, labels: Tensor, steps: int
    ) -> list[float]:
        old, model.fc = model.fc, head
        if anew:
            return [
                _train(model, make(trained(model, old)), images, labels, 1, F.cross_entropy)[0]
                for _ in range(steps)
            ]
        return _train(model, make(trained(model, old)), images, labels, steps, F.cross_entropy)

    return with_new_head


def _all_but_the_head(model: nn.Module, _old: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in model.named_parameters() if not name.startswith("fc.")]


def _head_set_at_the_end(
    model: nn.Module, head: nn.Linear, images: Tensor, labels: Tensor, steps: int
) -> list[float]:
    losses = _train(model, _sgd(model.parameters()), images, labels, steps, F.cross_entropy)
    model.fc = head
    return losses


def _tiny_resnet(num_classes: int) -> ResNet:
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes=num_classes, width=4)


def _observe_new_head(answer: Answer, case: tuple[int, int], see: See) -> None:
    classes, steps = case
    model = _tiny_resnet(5).train()
    head = nn.Linear(model.fc.in_features, classes)
    images = torch.randn(8, 3, 16, 16)
    labels = torch.arange(8) % classes
    losses = answer(model, head, images, labels, steps)
    see("the new head", "in the model" if model.fc is head else "not in the model")
    start = "of the head after the training"
    see(f"bias {start}", head.bias)
    see(f"weight {start}", head.weight)
    for name in ("conv1.weight", "layer2.0.conv1.weight", "layer4.0.bn2.weight"):
        see(f"{name} after the training", model.get_parameter(name))
    _see_losses(losses, see)


with_new_head = Check(
    signature="with_new_head(model, head, images, labels, steps)",
    reference=_with_new_head,
    observe=_observe_new_head,
    cases={
        "3 steps with a head for 3 classes": (3, 3),
        "2 steps with a head for 4 classes": (4, 2),
    },
    mistakes=(
        Mistake(
            "still-there",
            "The new head still has the numbers that it came with: nobody trains it. The rest of the "
            "network learns to live with that, so the loss comes down all the same and hides the "
            "mistake.",
            [
                _new_head(_all_but_the_head),
                _new_head(lambda model, old: [*_all_but_the_head(model, old), *old.parameters()]),
            ],
        ),
        Mistake(
            "backbone-stands-still",
            "The new head learns now. But the rest of the network does not any more, and was to be "
            "trained with it.",
            [_new_head(lambda model, _: model.fc.parameters())],
        ),
        Mistake(
            "momentum-lost",
            "The new head learns now. But the optimiser has lost its momentum: it has none any more, or "
            "a new one is made in each step.",
            [_new_head(anew=True)],
        ),
        Mistake(
            "another-optimizer",
            "The new head learns now. But the optimiser or its learning rate is another one; that part "
            "was right as it was.",
            [
                _new_head(make=lambda parameters: torch.optim.Adam(parameters, lr=0.05)),
                _new_head(make=lambda parameters: torch.optim.Adam(parameters)),
                _new_head(make=lambda parameters: _sgd(parameters, lr=0.1)),
                _new_head(make=lambda parameters: _sgd(parameters, lr=0.01)),
                _new_head(make=lambda parameters: _sgd(parameters, lr=0.5)),
            ],
        ),
        Mistake(
            "nothing-learns",
            "Nothing in the network learns any more: all numbers are those of the beginning. That part "
            "was right as it was.",
            [_new_head(make=lambda parameters: _sgd(parameters, lr=0.0))],
        ),
        Mistake(
            "head-set-at-the-end",
            "The old head is trained, and the new one comes into the network when all is over. What the "
            "old one has learned is thrown away.",
            [_head_set_at_the_end],
        ),
    ),
    places=(
        Place(
            "the new head",
            "head-not-in-the-model",
            "The head that the function was given is not the head of the model afterwards. Whoever made "
            "it looks for its trained numbers there.",
        ),
        Place(
            "bias of the head",
            "head-trained-otherwise",
            "The numbers of the new head are not what the training would make of them. All of the "
            "network is to be trained, in train mode, by the optimiser that stood there.",
        ),
        Place(
            "weight of the head",
            "head-trained-otherwise",
            "The numbers of the new head are not what the training would make of them. All of the "
            "network is to be trained, in train mode, by the optimiser that stood there.",
        ),
        Place(
            "after the training",
            "backbone-trained-otherwise",
            "The new head learns. But the rest of the network does not learn as before.",
        ),
        Place(
            "number of losses",
            "other-steps",
            "There is to be one loss for each step. The list that you give back has another length.",
        ),
        Place(
            "loss of step",
            "other-losses",
            "The network learns as it should. But the losses that you give back are not those it went "
            "by.",
        ),
    ),
)


# B.10


def _train_frozen(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> list[float]:
    return _frozen()(model, images, labels, steps)


def _frozen(
    mode: Callable[[nn.Module], object] = lambda model: model.eval(),
    trained: Callable[[nn.Module], Any] = lambda model: model.fc.parameters(),
    is_frozen: bool = True,
    learning_rate: float = 0.1,
    statistics: str = "as they come",
) -> Answer:
    """The reference, and with other arguments its wrong versions."""

    def train_frozen(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> list[float]:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith("fc.") or not is_frozen
        mode(model)
        optimizer = torch.optim.SGD(trained(model), lr=learning_rate)
        with _put_back(model) if statistics == "put back" else _nothing():
            return _train(model, optimizer, images, labels, steps, F.cross_entropy)

    return train_frozen


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    before = {key: value.clone() for key, value in model.named_buffers()}
    yield
    for key, value in model.named_buffers():
        value.copy_(before[key])


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def _no_momentum(model: nn.Module) -> None:
    model.train()
    for norm in _norms(model):
        norm.momentum = 0.0


def _only(choose: Callable[[str], bool]) -> Callable[[nn.Module], None]:
    """In train mode, with the batch norms in evaluation mode whose name is chosen."""

    def mode(model: nn.Module) -> None:
        model.train()
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d) and choose(name):
                module.eval()

    return mode


def _features(model: nn.Module, images: Tensor) -> Tensor:
    """What comes into the head in evaluation."""
    features: list[Tensor] = []
    hook = model.fc.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    model.eval()(images)
    hook.remove()
    return features[0]


def _observe_frozen(answer: Answer, case: tuple[int, bool], see: See) -> None:
    steps, training = case
    model = _tiny_resnet(3)
    numbers = torch.Generator().manual_seed(steps)
    with torch.no_grad():
        for norm in _norms(model):  # as if it had been trained
            norm.running_mean.normal_(0, 0.3, generator=numbers)
            norm.running_var.uniform_(0.5, 1.5, generator=numbers)
    model.train(training)
    images = torch.randn(8, 3, 16, 16, generator=numbers)
    labels = torch.arange(8) % 3
    before = {key: value.clone() for key, value in model.state_dict().items()}
    buffers = [name for name, _ in model.named_buffers()]
    parameters = [name for name, _ in model.named_parameters() if not name.startswith("fc.")]
    norms, modes = _norms(model), set[bool]()
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
    _see_losses(losses, see)


train_frozen = Check(
    signature="train_frozen(model, images, labels, steps)",
    reference=_train_frozen,
    observe=_observe_frozen,
    cases={
        "3 steps, a model in train mode": (3, True),
        "2 steps, a model in eval mode": (2, False),
    },
    mistakes=(
        Mistake(
            "still-there",
            "The features of an image are still others after the training than before, though no "
            "parameter of the backbone has moved. Something else in it has.",
            [_frozen(mode=lambda model: model.train())],
        ),
        Mistake(
            "statistics-kept-still",
            "The running statistics are as before. But while it trained, the network took those of each "
            "batch: the head has learned from features that no longer come in evaluation.",
            [
                _frozen(mode=_no_momentum),
                _frozen(mode=lambda model: model.train(), statistics="put back"),
            ],
        ),
        Mistake(
            "mode-as-it-comes",
            "The function now leaves the mode as it finds it. A model that comes in train mode still "
            "changes its features.",
            [_frozen(mode=lambda model: None)],  # noqa: ARG005
        ),
        Mistake(
            "some-batch-norms-left",
            "Some batch norms are in evaluation mode now. But not all of them: blocks stand in stages, "
            "and a shortcut can have a batch norm, too.",
            [
                _frozen(mode=_only(lambda name: name == "bn1")),
                _frozen(mode=_only(lambda name: "downsample" not in name)),
                _frozen(mode=_only(lambda name: name != "bn1")),
                _frozen(mode=_only(lambda name: "bn" in name and name != "bn1")),
            ],
        ),
        Mistake(
            "nothing-learns",
            "The features are as before, because nothing learns any more. The head was to learn, and at "
            "the rate that stands there.",
            [
                _frozen(learning_rate=0.0),
                _frozen(mode=lambda model: model.train(), statistics="put back", learning_rate=0.0),
                lambda model, images, labels, steps: [],  # noqa: ARG005
            ],
        ),
        Mistake(
            "backbone-trained",
            "The batch norms no longer move by themselves. But the backbone is trained now, and the "
            "features change with it.",
            [
                _frozen(is_frozen=False, trained=lambda model: model.parameters()),
            ],
        ),
        Mistake(
            "other-learning-rate",
            "The features are as before. But the head learns at another rate: that part was right as it "
            "was.",
            [_frozen(learning_rate=rate) for rate in (0.01, 0.001, 0.05, 0.5, 1.0)],
        ),
    ),
    places=(
        Place(
            "features of the images",
            "features-change",
            "The features of an image are others after the training than before. The head is the only "
            "part that is to change: what else does?",
        ),
        Place(
            "statistics",
            "statistics-move",
            "The features are as before. But running statistics of batch norms still move, or are gone.",
        ),
        Place(
            "parameters of the backbone",
            "backbone-trained",
            "Parameters of the backbone change. They were to stay as they are: only the head is to "
            "learn.",
        ),
        Place(
            "batch norms, while",
            "batch-norms-in-train-mode",
            "The features are as before. But while it trains, the network takes the statistics of each "
            "batch: the head learns from other features than those it will get.",
        ),
        Place(
            "of the head",
            "head-trained-otherwise",
            "The features are as before. But the head is not what the training would make of it, with "
            "this optimiser and these images.",
        ),
        Place(
            "number of losses",
            "other-steps",
            "There is to be one loss for each step. The list that you give back has another length.",
        ),
        Place(
            "loss of step",
            "other-losses",
            "The head learns as it should. But the losses that you give back are not those it went by.",
        ),
    ),
)
