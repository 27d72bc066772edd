"""The training loop, from top to bottom: `fit` trains a network, `evaluate` says what it has learned.

It is the ordinary one: stochastic gradient descent with momentum, a learning rate that rises and falls
once, cross-entropy. What stands around it has files of its own: `recipe`, `state`, `checkpoints`, ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from resnet_edu.as_found import in_mode
from resnet_edu.training import checkpoints
from resnet_edu.training.machine import prepared
from resnet_edu.training.progress import Bar, interrupts
from resnet_edu.training.recipe import History, Recipe, require_data, validation_is_due
from resnet_edu.training.state import State

CHECKPOINT_STEPS = 20
EVALUATION_BATCH = 250


def fit(
    model: nn.Module,
    train: TensorDataset,
    recipe: Recipe,
    *,
    validation: TensorDataset | None = None,
    checkpoint: str | Path | None = None,
    on_step: Callable[[History], None] | None = None,
) -> History:
    """Train `model` in place by `recipe`, and tell how it went.

    `train` and `validation` hold images (N, 3, H, W) and labels (N,), class numbers. After each step
    `on_step` gets the History so far; without it, a bar is shown. An interrupt of the kernel ends the
    training after the step at hand. With a path as `checkpoint`, the state is saved there every 20 steps;
    called again with the same arguments, `fit` goes on from there. See `resnet_edu.training` for more.

    Raises NotFiniteError where the loss is infinite or NaN (the model then has its last good weights),
    FileError for a checkpoint of another training, ValueError for data that cannot be used.
    """
    with prepared(model) as device:
        return complete(Run(model, train, recipe, device), validation, checkpoint, on_step)


def complete(
    run: Run,
    validation: TensorDataset | None = None,
    checkpoint: str | Path | None = None,
    on_step: Callable[[History], None] | None = None,
) -> History:
    """Take all steps of `run` that are left, as `fit` describes it."""
    if checkpoint is not None and Path(checkpoint).exists():
        checkpoints.load(run, checkpoint)
    bar = Bar(run.step, run.recipe.steps) if on_step is None else nullcontext()
    with interrupts() as interrupted, bar:
        while run.step < run.recipe.steps and not interrupted.is_set():
            run.take_step()
            if validation is not None and validation_is_due(run.step, run.recipe.steps):
                run.validation[run.step] = evaluate(run.model, validation)
            (on_step or bar.update)(run.history())
            ends = run.step == run.recipe.steps or interrupted.is_set()
            if checkpoint is not None and (ends or run.step % CHECKPOINT_STEPS == 0):
                checkpoints.save(run, checkpoint)
    return run.history()


class Run(State):
    """One training, step by step."""

    @torch.backends.cudnn.flags(enabled=True, deterministic=True)
    def take_step(self) -> None:
        """The step of every training loop: forward, loss, backward, a little downhill."""
        learning_rate = self.recipe.learning_rate_at(self.step)
        self.set_learning_rate(learning_rate)
        images, labels = self.next_batch()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)
        self.require_finite(loss.item(), learning_rate)

        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

        self.step += 1
        self.losses.append(loss.item())
        self.accuracies.append((logits.argmax(1) == labels).float().mean().item())


def steps(model: nn.Module, train: TensorDataset, recipe: Recipe) -> Iterator[History]:
    """`fit` step by step: each `next` takes one step and gives the History so far.

    So a network can be watched while it trains, and several train in turns. Close the generator, or let
    it run to its end, before the model is used for something else.
    """
    with prepared(model) as device:
        run = Run(model, train, recipe, device)
        while run.step < recipe.steps:
            run.take_step()
            yield run.history()


def evaluate(model: nn.Module, data: TensorDataset) -> float:
    """The share, 0 to 1, of the images (N, 3, H, W) that `model` puts into the right class.

    Measured in evaluation mode and float32; the model's modes are afterwards what they were.
    """
    require_data(data)
    images, labels = data.tensors
    device = next(model.parameters()).device
    with in_mode(model, training=False), torch.inference_mode():
        answers = [model(x.to(device)).argmax(1).cpu() for x in images.split(EVALUATION_BATCH)]
    return int((torch.cat(answers) == labels).sum()) / len(labels)
