"""Task 3.1: one step of training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from resnet_edu.blocks import PlainBlock
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, see_float

Loss = Callable[[Tensor, Tensor], Tensor]


def _train_step(model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
    return _in_order("zero forward backward step", model, optimizer, inputs, targets)


def _in_order(
    order: str,
    model: nn.Module,
    optimizer: Optimizer,
    inputs: Tensor,
    targets: Tensor,
    loss_of: Loss = F.cross_entropy,
) -> float:
    """The reference, and with another order, or another loss, its wrong versions."""
    loss = loss_of(model(inputs), targets)
    for part in order.split():
        if part == "zero":
            optimizer.zero_grad()
        elif part == "backward":
            loss.backward()
        elif part == "step":
            optimizer.step()
    return loss.item()


def _version(order: str = "zero forward backward step", **changes: Any) -> Answer:
    return partial(_in_order, order, **changes)


def _returning(give: Callable[[nn.Module, float, Tensor, Tensor], Any]) -> Answer:
    """A right step that gives back something else; `give` gets model, loss, inputs and targets."""

    def version(model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> Any:
        loss = _train_step(model, optimizer, inputs, targets)
        return give(model, loss, inputs, targets)

    return version


def _in_eval_mode(back: bool) -> Answer:
    def version(model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
        model.eval()
        loss = _train_step(model, optimizer, inputs, targets)
        model.train(back)
        return loss

    return version


def _by_hand(model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
    loss = _in_order("zero backward", model, optimizer, inputs, targets)
    with torch.no_grad():
        for p in model.parameters():
            p -= optimizer.param_groups[0]["lr"] * p.grad
    return loss


def _new_optimizer(
    model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor
) -> float:
    new = torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    return _train_step(model, new, inputs, targets)


def _before_the_step(
    model: nn.Module, optimizer: Optimizer, inputs: Tensor, targets: Tensor
) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss


def _accuracy(model: nn.Module, _loss: float, inputs: Tensor, targets: Tensor) -> float:
    return (model(inputs).argmax(1) == targets).float().mean().item()


def _network() -> nn.Module:
    return nn.Sequential(
        PlainBlock(3, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )


def _sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)


def _observe(answer: Answer, case: tuple[Callable[..., Optimizer], bool], see: See) -> None:
    make_optimizer, leftover = case
    model = _network().train()
    optimizer = make_optimizer(model)
    if leftover:
        for p in model.parameters():
            p.grad = torch.randn_like(p)
    numbers = torch.Generator().manual_seed(1)
    for step in ("first", "second"):
        inputs = torch.randn(6, 3, 8, 8, generator=numbers)
        targets = torch.randint(4, (6,), generator=numbers)
        given = inputs.clone()
        loss = answer(model, optimizer, given, targets.clone())
        for name, value in model.state_dict().items():
            see(f"{name}, after the {step} step", value)
        see_float(f"the loss that the {step} step returns", loss, see)
        see("inputs, afterwards", given)
        see("mode of the model, afterwards", "train" if model.training else "eval")


train_step = Check(
    signature="train_step(model, optimizer, inputs, targets)",
    reference=_train_step,
    observe=_observe,
    cases={
        "two steps with SGD and momentum": (_sgd, False),
        "two steps with SGD, where the model has gradients of an earlier pass": (_sgd, True),
        "two steps with Adam": (lambda model: torch.optim.Adam(model.parameters(), lr=0.01), False),
    },
    mistakes=(
        Mistake(
            "gradients-added-up",
            "Nothing clears the gradients of the step before. PyTorch adds the new ones to them, so "
            "each step also repeats all earlier ones, and goes by gradients of weights that are long "
            "gone.",
            [_version("backward step")],
        ),
        Mistake(
            "gradients-cleared-late",
            "You clear the gradients after the step only. Where the model has gradients of an earlier "
            "pass, the first step still uses them.",
            [_version("backward step zero")],
        ),
        Mistake(
            "weights-unchanged",
            "The weights stay as they are: there is a loss and no error, and nothing is learned. The "
            "backward pass makes the gradients and the optimiser steps by them. Is one missing, or are "
            "they cleared in between?",
            [
                _version("zero backward"),
                _version("backward"),
                _version("backward zero step"),
                _version("zero step backward"),
                _version("zero step"),
            ],
        ),
        Mistake(
            "step-before-backward",
            "The optimiser steps before the backward pass. So it goes by gradients that an earlier "
            "batch has left, and in the first step by none: the loss is of this batch, and the step is "
            "not.",
            [_version("step backward"), _version("step zero backward")],
        ),
        Mistake(
            "no-backward",
            "There is no backward pass, so this batch teaches the network nothing. The optimiser goes "
            "by gradients that were there before, or stands still where there are none, and no error "
            "says so.",
            [_version("step")],
        ),
        Mistake(
            "two-steps",
            "The optimiser steps twice by the same gradients. They hold for the place where they were "
            "measured; the second step goes on blindly, as if the learning rate were twice as large or "
            "more.",
            [_version("zero backward step step")],
        ),
        Mistake(
            "eval-mode",
            "The model is in eval mode while it trains. Batch norm then uses old statistics and learns "
            "no new ones: in a new network these are 0 and 1, so nothing is normalised at all.",
            [_in_eval_mode(back=True), _in_eval_mode(back=False)],
        ),
        Mistake(
            "loss-is-a-tensor",
            "You return a tensor. The task asks for a float: a tensor keeps the whole graph of the step "
            "in memory.",
            [_before_the_step],
        ),
        Mistake(
            "loss-after-the-step",
            "You return the loss after the step. That costs a second forward pass, moves batch norm's "
            "running statistics once more, and flatters: the network has just learned from these very "
            "images.",
            [
                _returning(lambda m, _loss, x, y: F.cross_entropy(m(x), y).item()),
            ],
        ),
        Mistake(
            "returns-accuracy",
            "You return an accuracy. It does not show how sure the network is, and whoever stops "
            "training when the loss is small would stop while the network is still bad.",
            [_returning(_accuracy)],
        ),
        Mistake(
            "softmax-first",
            "You put a softmax in front of the cross-entropy, which has its own. With two, the gradient "
            "becomes small, and a network that is sure and right still has a loss of 1.46 with ten "
            "classes.",
            [_version(loss_of=lambda logits, y: F.cross_entropy(logits.softmax(1), y))],
        ),
        Mistake(
            "no-log-softmax",
            "`nll_loss` takes log-probabilities, and the model gives logits. Such a loss looks at the "
            "right class alone: it pushes that logit up by the same amount, however sure the network is "
            "already.",
            [_version(loss_of=F.nll_loss)],
        ),
        Mistake(
            "sum-over-batch",
            "Your loss is a sum over the batch. With the mean, the size of a step does not depend on the "
            "size of the batch.",
            [_version(loss_of=partial(F.cross_entropy, reduction="sum"))],
        ),
        Mistake(
            "loss-not-a-mean",
            "The step is right, but the loss that you return is multiplied by the size of the batch, or "
            "divided by it. The cross-entropy is a mean already; yours cannot be compared between "
            "batches of other sizes.",
            [
                _returning(lambda _m, loss, _x, y: loss * len(y)),
                _returning(lambda _m, loss, _x, y: loss / len(y)),
            ],
        ),
        Mistake(
            "optimizer-not-used",
            "The weights do not move as the given optimiser would move them. It may have a momentum, and "
            "remembers the steps before; so use it, and neither a new one nor a formula of your own.",
            [_by_hand, _new_optimizer],
        ),
    ),
)
