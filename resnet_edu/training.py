"""One training loop, for every network of the course.

`Recipe`    the numbers that decide how a network is trained
`fit`       trains a network by a recipe and gives a `History`
`steps`     the same step by step, for a network that is watched while it trains
`evaluate`  the share of images that a network gets right
`parameter_groups`  what an optimiser is given, where parts of a network learn at rates of their own

The loop is the ordinary one: stochastic gradient descent with momentum, a learning rate that rises and
falls once, cross-entropy. Around it stands what makes it fast and safe: the memory order and the precision
that suit the machine, checkpoints, an orderly stop.
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

from resnet_edu import files
from resnet_edu.as_found import in_mode
from resnet_edu.networks import stage_of

WARM_UP = 0.3
"""The share of the steps in which the learning rate rises."""
CHECKPOINT_STEPS = 20
VALIDATIONS = 10
EVALUATION_BATCH = 250
_FORMAT = "resnet_edu training 2"


@dataclass(frozen=True)
class Recipe:
    """How to train. `learning_rate` is the highest of the one-cycle schedule; `seed` orders the images.

    `rates` has factors on the learning rate, by the name of a part: "stem", "layer1", ..., "fc".
    {"layer4": 0.1} lets the last stage learn ten times more slowly than the rest.
    Raises ValueError for numbers that cannot work.
    """

    steps: int = 100
    batch_size: int = 64
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, fits, wanted in (
            ("steps", _whole(self.steps, 1), "a whole number, 1 or more"),
            ("batch_size", _whole(self.batch_size, 1), "a whole number, 1 or more"),
            ("learning_rate", 0 < self.learning_rate <= 1e30, "above 0 and at most 1e30"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and less than 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "a finite number, 0 or more"),
            ("label_smoothing", 0 <= self.label_smoothing <= 1, "between 0 and 1"),
            ("seed", _whole(self.seed, 0), "a whole number, 0 or more"),
            (
                "rates",
                all(0 < factor < math.inf for factor in self.rates.values()),
                "finite factors above 0 by name, like {'layer4': 0.1}; freeze what is not to learn",
            ),
        ):
            if not fits:
                raise ValueError(f"{name} must be {wanted}; it was {getattr(self, name)!r}.")

    def learning_rate_at(self, step: int) -> float:
        """One cycle (Smith 2018): up in a straight line, down along half a cosine to nearly 0."""
        peak = WARM_UP * self.steps
        if step < peak:
            return self.learning_rate * (step + 1) / (math.floor(peak) + 1)
        return (
            self.learning_rate * (1 + math.cos(math.pi * (step - peak) / (self.steps - peak))) / 2
        )


@dataclass(frozen=True)
class History:
    """What was noted in training: for each step, loss and accuracy of its batch before the step.

    `steps` is how many the recipe asks for. Accuracies go from 0 to 1. `validation` maps a number of
    steps to the validation accuracy after them. `precision` is what the convolutions computed in:
    "float32" or "bfloat16".
    """

    steps: int
    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()
    validation: dict[int, float] = field(default_factory=dict)
    precision: str = "float32"

    @property
    def stopped(self) -> bool:
        """Whether the training ended before the recipe's last step."""
        return len(self.losses) < self.steps

    @property
    def validation_accuracy(self) -> float | None:
        """The last validation accuracy, or None where there was no validation."""
        return list(self.validation.values())[-1] if self.validation else None

    def __repr__(self) -> str:
        if not self.losses:
            return f"History(none of {self.steps} steps)"
        validated = self.validation_accuracy
        return (
            f"History({len(self.losses)} of {self.steps} steps, last batch: "
            f"loss {self.losses[-1]:.2f}, accuracy {self.accuracies[-1]:.0%}"
            + (f"; validation {validated:.0%}" if validated is not None else "")
            + ")"
        )


class NotFiniteError(ArithmeticError):
    """The loss became infinite or NaN."""


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

    `train` and `validation` hold images (N, 3, H, W) and class numbers (N,). After each step `on_step`
    gets the History so far; without it, a progress bar is shown. Interrupting the kernel ends the training
    after the step at hand; the model keeps what it has learned.

    With a path as `checkpoint`, the state of the training is saved there every 20 steps. Called again
    with the same path, network, data and recipe, `fit` goes on from there to the same weights as
    without a break; a finished training is not repeated.

    The same seed and the same weights at the start give the same result bit for bit, on the same machine
    with the same number of threads. (A network with random layers, like dropout, also draws from
    PyTorch's own generator.) A batch norm whose parameters are frozen, `requires_grad` False, is kept in
    evaluation mode, so that its running statistics stay as they are. Afterwards the model has the modes
    and the device that it came with.

    Raises NotFiniteError where the loss is infinite or NaN (the model then has the last weights whose
    loss was finite), FileError for a checkpoint that does not belong to this training, ValueError for
    data that cannot be used.
    """
    with prepared(model, train) as device:
        return complete(Run(model, train, recipe, device), validation, checkpoint, on_step)


def complete(
    run: Run,
    validation: TensorDataset | None = None,
    checkpoint: str | Path | None = None,
    on_step: Callable[[History], None] | None = None,
) -> History:
    """Take all steps of `run` that are left, as `fit` describes it."""
    if checkpoint is not None and Path(checkpoint).exists():
        run.load(checkpoint)
    with _interrupts() as interrupted, _Bar(run) if on_step is None else nullcontext() as bar:
        while run.step < run.recipe.steps and not interrupted.is_set():
            run.take_step()
            if validation is not None and _is_due(run.step, run.recipe.steps):
                run.validation[run.step] = evaluate(run.model, validation)
            (on_step or bar.update)(run.history())
            ends = run.step == run.recipe.steps or interrupted.is_set()
            if checkpoint is not None and (ends or run.step % CHECKPOINT_STEPS == 0):
                run.save(checkpoint)
    return run.history()


def steps(model: nn.Module, train: TensorDataset, recipe: Recipe) -> Iterator[History]:
    """`fit` step by step: each `next` takes one step and gives the History so far.

    So a network can be looked at while it trains, and several can be trained in turns. Close the
    generator, or let it run to its end, before the model is used for something else.
    """
    with prepared(model, train) as device:
        run = Run(model, train, recipe, device)
        while run.step < recipe.steps:
            run.take_step()
            yield run.history()


def quiet(_history: History) -> None:
    """An `on_step` that shows nothing, for a cell that trains many networks."""


def evaluate(model: nn.Module, data: TensorDataset) -> float:
    """The share, 0 to 1, of the images (N, 3, H, W) that `model` puts into the right class.

    Measured in evaluation mode and float32; the model's modes are afterwards what they were.
    """
    _require_data(data)
    images, labels = data.tensors
    device = next(model.parameters()).device
    right = 0
    with in_mode(model, training=False), torch.inference_mode():
        for part in range(0, len(images), EVALUATION_BATCH):
            batch = slice(part, part + EVALUATION_BATCH)
            right += int((model(images[batch].to(device)).argmax(1).cpu() == labels[batch]).sum())
    return right / len(images)


def parameter_groups(
    model: nn.Module, learning_rate: float, rates: Mapping[str, float]
) -> list[dict]:
    """The trainable parameters for an optimiser of PyTorch, in groups that learn at different rates.

    `rates` maps the name of a part ("stem", "layer1", ..., "fc") to a factor on `learning_rate`; parts
    that it does not name have factor 1. Each trainable parameter is in one group, frozen ones in none.
    Raises ValueError for a name that `model` has not, and where nothing is trainable.
    """
    groups: dict[float, dict] = {}
    names = {stage_of(name) for name, _ in model.named_parameters()}
    if unknown := rates.keys() - names:
        raise ValueError(
            f"rates names {min(unknown)!r}; the model's parts are {', '.join(sorted(names))}."
        )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = rates.get(stage_of(name), 1.0)
            group = groups.setdefault(factor, {"params": [], "lr": learning_rate * factor})
            group["params"].append(parameter)
    if not groups:
        raise ValueError("No parameter of the model requires a gradient: nothing can be learned.")
    return list(groups.values())


class Run:
    """One training at one moment: everything that a checkpoint must hold.

    A subclass with a `next_batch` of its own trains on images that are made on the way.
    """

    def __init__(
        self, model: nn.Module, train: TensorDataset, recipe: Recipe, device: torch.device
    ) -> None:
        self.model, self.recipe, self.device = model, recipe, device
        self.images, self.labels = train.tensors
        groups = parameter_groups(model, 1.0, recipe.rates)
        self.factors = [group["lr"] for group in groups]
        self.optimizer = torch.optim.SGD(
            groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=True
        )
        self.bfloat16 = _bfloat16_pays(device.type)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.round_start = self.generator.get_state()
        self.step = 0
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.validation: dict[int, float] = {}
        self.state = [*model.parameters(), *model.buffers()]  # all that a step changes
        self.last_finite = [t.detach().clone() for t in self.state]

    @torch.backends.cudnn.flags(enabled=True, deterministic=True)
    def take_step(self) -> None:
        """The step of every training loop: forward, loss, backward, a little downhill."""
        learning_rate = self.recipe.learning_rate_at(self.step)
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = learning_rate * factor
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

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Each image once in each round, in an order of its own; what is left of a round is left out."""
        size = min(self.recipe.batch_size, len(self.images))
        place = self.step % (len(self.images) // size)
        if place == 0:
            self.round_start = self.generator.get_state()
            self.order = torch.randperm(len(self.images), generator=self.generator)
        chosen = self.order[place * size : (place + 1) * size]
        images = self.images[chosen].to(self.device, memory_format=torch.channels_last)
        return images, self.labels[chosen].to(self.device)

    def require_finite(self, loss: float, learning_rate: float) -> None:
        """Keep these weights if their loss is finite; if not, go back to those that were kept."""
        with torch.no_grad():
            if math.isfinite(loss):
                torch._foreach_copy_(self.last_finite, self.state)
                return
            torch._foreach_copy_(self.state, self.last_finite)
        raise NotFiniteError(
            f"The loss is {loss} at step {self.step + 1} of {self.recipe.steps}, where the learning rate "
            f"is {learning_rate:.2g}. The model has its last weights with a finite loss. Try a "
            f"learning_rate of {self.recipe.learning_rate / 10:.2g}, check that the images hold no NaN "
            f"or infinite numbers, and see that the network has batch norm or a careful initialisation."
        )

    def history(self) -> History:
        """All that was noted so far."""
        return History(
            self.recipe.steps,
            tuple(self.losses),
            tuple(self.accuracies),
            dict(self.validation),
            "bfloat16" if self.bfloat16 else "float32",
        )

    def save(self, path: str | Path) -> None:
        """Write the state of this training, whole or not at all."""
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for index, momentum in enumerate(self.momenta()):
            tensors[f"momentum.{index}"] = momentum
        tensors["round_start"] = self.round_start
        for name in ("losses", "accuracies"):
            tensors[name] = torch.tensor(getattr(self, name), dtype=torch.float64)
        words = {
            "format": _FORMAT,
            "step": str(self.step),
            "validation": json.dumps(list(self.validation.items())),
            "bfloat16": json.dumps(self.bfloat16),
            "recipe": json.dumps(asdict(self.recipe)),
            "data": _fingerprint(self.images, self.labels),
        }
        files.write(path, tensors, words)

    def load(self, path: str | Path) -> None:
        """Go on from a checkpoint. Nothing is changed where it does not belong to this training."""
        tensors, words = files.read(path)
        own = self.model.state_dict()
        self.require_same_training(path, tensors, words)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[f"model.{name}"])
            for index, momentum in enumerate(self.momenta()):
                momentum.copy_(tensors[f"momentum.{index}"])
            torch._foreach_copy_(self.last_finite, self.state)
        self.step = int(words["step"])
        self.bfloat16 = json.loads(words["bfloat16"])
        self.validation = dict(json.loads(words["validation"]))
        self.losses, self.accuracies = (tensors[n].tolist() for n in ("losses", "accuracies"))
        self.round_start = tensors["round_start"]
        self.generator.set_state(self.round_start)
        self.order = torch.randperm(len(self.images), generator=self.generator)

    def momenta(self) -> list[Tensor]:
        """The optimiser's memory, one tensor for each parameter; it starts at zero."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if not self.recipe.momentum:
            return []
        for p in parameters:
            if self.optimizer.state[p].get("momentum_buffer") is None:
                self.optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
        return [self.optimizer.state[p]["momentum_buffer"] for p in parameters]

    def require_same_training(
        self, path: str | Path, tensors: dict[str, Tensor], words: dict[str, str]
    ) -> None:
        """Raise FileError where a checkpoint is not one, or is one of another training."""
        way_out = "Give another path as checkpoint, or move this file away to start anew."
        if words.get("format") != _FORMAT:
            what = "made by another version of resnet_edu" if "recipe" in words else "no checkpoint"
            raise files.FileError(f"{path} is {what} of a training. {way_out}")
        theirs, ours = json.loads(words["recipe"]), asdict(self.recipe)
        other = [f"{k} {theirs.get(k)!r}, now {v!r}" for k, v in ours.items() if theirs.get(k) != v]
        if other:
            raise files.FileError(
                f"{path} was made with another recipe: {'; '.join(other)}. {way_out}"
            )
        own = {f"model.{name}": t.shape for name, t in self.model.state_dict().items()}
        own |= {f"momentum.{index}": m.shape for index, m in enumerate(self.momenta())}
        kept = {n: t.shape for n, t in tensors.items() if n.startswith(("model.", "momentum."))}
        if own != kept:
            first = min(n for n in own.keys() | kept.keys() if own.get(n) != kept.get(n))
            raise files.FileError(
                f"{path} was made with another network: they differ in {first.partition('.')[2]}. {way_out}"
            )
        if words["data"] != _fingerprint(self.images, self.labels):
            raise files.FileError(f"{path} was made with other images or labels. {way_out}")


class _Bar(tqdm):
    """The progress of one training, with the loss and the accuracy of the last batch."""

    def __init__(self, run: Run) -> None:
        super().__init__(desc="Training", total=run.recipe.steps, initial=run.step, unit="step")

    def update(self, history: History) -> None:
        self.set_postfix_str(
            f"loss {history.losses[-1]:.2f}, accuracy {history.accuracies[-1]:.0%}", refresh=False
        )
        super().update(1)


def _whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _is_due(step: int, steps: int) -> bool:
    """True ten times in a training, the last time after its last step."""
    return step * VALIDATIONS // steps > (step - 1) * VALIDATIONS // steps


def fastest_device(model: nn.Module) -> torch.device:
    """Where to train: where the model is, or, for a model on the CPU, on a GPU if there is one."""
    device = next(model.parameters()).device
    if device.type == "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if device.type == "cpu" and torch.backends.mps.is_available():
        return torch.device("mps")
    return device


@contextmanager
def prepared(model: nn.Module, train: TensorDataset) -> Iterator[torch.device]:
    """The model in training mode, where it trains fastest, its memory ordered by pixel; and back."""
    _require_data(train)
    home, device = next(model.parameters()).device, fastest_device(model)
    with in_mode(model, training=True):
        for norm in _frozen_norms(model):
            norm.eval()
        try:
            model.to(device, memory_format=torch.channels_last)
            yield device
        finally:
            model.to(home, memory_format=torch.contiguous_format)


def _frozen_norms(model: nn.Module) -> Iterator[nn.Module]:
    """The batch norms that have parameters, none of which is trained."""
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine
        if is_norm and not (module.weight.requires_grad or module.bias.requires_grad):
            yield module


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An interrupt of the kernel sets the event, and the step at hand is finished; a second breaks off."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread is ever interrupted
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@lru_cache
def _bfloat16_pays(device: str) -> bool:
    """Whether the machine computes faster in bfloat16: a short timing, for flags do not tell.

    Processors that have it are faster in it, those that must imitate it ten times slower. The line is
    drawn between the two, at 1.5 times slower, so that chance never decides and runs can be repeated.
    """
    if device != "cpu":
        return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    layers = [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    network = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    images = torch.ones(32, 64, 16, 16).to(memory_format=torch.channels_last)
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(6):
        for bfloat16, measured in times.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                out = network(images)
            out.float().sum().backward()
            measured.append(time.perf_counter() - start)
    return min(times[True]) < 1.5 * min(times[False])


def _fingerprint(images: Tensor, labels: Tensor) -> str:
    """A short name for the data, from the labels and up to a hundred of the images."""
    some = images[:: max(1, len(images) // 100)]
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for tensor in (some, labels):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _require_data(data: TensorDataset) -> None:
    if not isinstance(data, TensorDataset) or len(data.tensors) != 2:
        raise ValueError(
            f"The data must be a TensorDataset of images and labels, like data.digits(); it was "
            f"{type(data).__name__}."
        )
    if not len(data):
        raise ValueError("The data holds no image.")
