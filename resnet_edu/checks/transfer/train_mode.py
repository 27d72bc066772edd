"""Task 7.3: train mode, in which frozen batch norms stay in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import MethodType

import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.networks import ResNet, stage_of

Norms = Callable[[nn.Module], Iterable[nn.Module]]
"""From a model to the modules that are put into evaluation mode."""


def _train_mode(model: nn.Module) -> None:
    model.train()
    for norm in _frozen_norms(model):
        norm.eval()
        norm.train = MethodType(_stay_in_eval_mode, norm)


def _stay_in_eval_mode(norm: nn.Module, _mode: bool = True) -> nn.Module:
    return norm


def _norms(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def _frozen_norms(model: nn.Module) -> list[nn.Module]:
    return [m for m in _norms(model) if not m.weight.requires_grad]


def _once(norms: Norms) -> Answer:
    """Train mode, then evaluation mode for these; nothing that lasts."""

    def train_mode(model: nn.Module) -> None:
        model.train()
        for module in norms(model):
            module.eval()

    return train_mode


def _lasting(norms: Norms) -> Answer:
    """Train mode, and lasting evaluation mode for these."""

    def train_mode(model: nn.Module) -> None:
        model.train()
        for module in norms(model):
            module.eval()
            module.train = MethodType(_stay_in_eval_mode, module)

    return train_mode


def _both(norms: Norms) -> list[Answer]:
    return [_lasting(norms), _once(norms)]


def _without_eval(model: nn.Module) -> None:
    """Keeps later calls of `train` away, and forgets the first one."""
    model.train()
    for norm in _frozen_norms(model):
        norm.train = MethodType(_stay_in_eval_mode, norm)


def _no_momentum(model: nn.Module) -> None:
    model.train()
    for norm in _frozen_norms(model):
        norm.momentum = 0.0


def _untracked(model: nn.Module) -> None:
    model.train()
    for norm in _frozen_norms(model):
        norm.track_running_stats = False


def _train_for_ever(model: nn.Module) -> None:
    """Its own `train` forgets that `eval` calls it too."""

    def train(_mode: bool = True) -> nn.Module:
        type(model).train(model, True)
        for norm in _frozen_norms(model):
            norm.training = False
        return model

    train()
    model.train = train


def _frozen_modules(model: nn.Module) -> list[nn.Module]:
    """Whole stages, with all that is in them."""
    return [m for m in model.children() if not any(p.requires_grad for p in m.parameters())]


def _frozen_stages(model: nn.Module) -> list[nn.Module]:
    return [m for m in _frozen_modules(model) if any(True for _ in m.parameters())]


def _network(up_to: str) -> nn.Module:
    """A ResNet with two dropouts, frozen up to a stage; the model is in evaluation mode."""
    model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5, width=4)
    model.layer1.append(nn.Dropout(0.1))
    model.fc = nn.Sequential(nn.Dropout(0.1), model.fc)
    parts = ("", "stem", "layer1", "layer2", "layer3", "layer4")
    for name, parameter in model.named_parameters():
        part = stage_of(name)
        parameter.requires_grad = part not in parts[: parts.index(up_to) + 1]
    return model.eval()


MOMENTS = ("right after it", "after a later model.train()", "after model.eval()", "and train again")


def _observe(answer: Answer, up_to: str, see: See) -> None:
    model = _network(up_to)
    kept = {name: p.requires_grad for name, p in model.named_parameters()}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    norms, kinds = _norms(model), {m: _kind(m) for m in model.modules() if _kind(m)}
    with _pytorch_kept(model):
        answer(model)
        if {id(m) for m in norms} - {id(m) for m in model.modules()}:
            raise Wrong(
                "modules-replaced",
                "Batch norms of the model are gone, and something else is in their place. Weights "
                "that were saved, and an optimiser that was made before, would no longer fit: "
                "change how those that are there behave.",
                (("Looked at", "the batch norms of the model"), ("Got", "other modules")),
            )
        for moment in MOMENTS:
            if moment != MOMENTS[0]:
                _call(model, "eval" if "eval" in moment else "train")
            _see_modes(model, kinds, moment, see)
    after = model.state_dict()
    see("tensors of the model, afterwards", ", ".join(before.keys() ^ after.keys()) or "as before")
    moved = [k for k, value in before.items() if "running" not in k and "tracked" not in k]
    moved = [k for k in moved if k not in after or not after[k].equal(before[k])]
    see("weights, afterwards", f"{moved[0]} changed" if moved else "as before")
    now = {name: p.requires_grad for name, p in model.named_parameters()}
    see("what is frozen, afterwards", "as before" if now == kept else "something else")


def _see_modes(model: nn.Module, kinds: dict[nn.Module, str], moment: str, see: See) -> None:
    """Note how the modules behave in a pass: what counts is not what they say about themselves."""
    before = {m: (m.running_mean.clone(), m.running_var.clone()) for m in _norms(model)}
    with torch.no_grad():
        model(torch.randn(4, 3, 32, 32))
    moved = {m: not m.running_mean.equal(mean) for m, (mean, _) in before.items()}
    modes = {m: _uses_the_batch(m) if m in before else m.training for m in kinds}
    see(f"the model, {moment}", _mode([model.training]))
    for kind in dict.fromkeys(kinds.values()):
        inside = [m for m in kinds if kinds[m] == kind]
        see(f"{kind}, {moment}", _mode([modes[m] for m in inside]))
        if inside[0] in moved:
            see(
                f"statistics of {kind}, {moment}", "move" if any(map(moved.get, inside)) else "stay"
            )


@torch.no_grad()
def _uses_the_batch(norm: nn.BatchNorm2d) -> bool:
    """Whether it takes the mean and variance of its input, as in train mode."""
    mean, var = norm.running_mean.clone(), norm.running_var.clone()
    x = 3 + torch.randn(4, norm.num_features, 2, 2)
    wanted = F.batch_norm(x, mean, var, norm.weight, norm.bias, eps=norm.eps)
    batches = norm.num_batches_tracked.clone()
    uses_it = not torch.allclose(norm(x), wanted, atol=1e-4)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)
    norm.num_batches_tracked.copy_(batches)
    return uses_it


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.BatchNorm2d):
        return f"{'trainable' if module.weight.requires_grad else 'frozen'} batch norms"
    return "dropout" if isinstance(module, nn.Dropout) else ""


def _mode(values: list[bool]) -> str:
    if len(set(values)) > 1:
        return f"{sum(values)} of {len(values)} in train mode"
    return "train" if values[0] else "eval"


def _call(model: nn.Module, method: str) -> None:
    """As a training loop does. Raises Wrong where the answer has broken it."""
    try:
        returned = getattr(model, method)()
    except RecursionError as error:
        raise Wrong(
            "train-calls-itself",
            "Your own `train` calls itself without end. Call the one of the class, as "
            "`type(model).train(model, mode)`, or keep the old one before you replace it.",
            explain(error).evidence,
        ) from None
    except TypeError as error:
        raise Wrong(
            "train-without-mode",
            "Your own `train` cannot be called as PyTorch calls it: `model.train()` gives no "
            "argument, and each module inside gets the mode, True or False. Any training loop "
            "would stop here.",
            (("Error", f"{type(error).__name__}: {error}"),),
        ) from None
    if returned is not model:
        raise Wrong(
            "train-returns-nothing",
            "Your own `train` must return the model: `model.eval()` hands on what it returns. "
            "People write `network = network.eval()`, and would no longer hold the network.",
            (("Looked at", f"what model.{method}() returns"), ("Got", type(returned).__name__)),
        )


@contextmanager
def _pytorch_kept(model: nn.Module) -> Iterator[None]:
    """Is a class changed, and with it every network there is? Puts it right, and raises Wrong."""
    classes = {cls for m in model.modules() for cls in type(m).__mro__ if cls is not object}
    methods = ("train", "eval", "forward", "__call__")
    before = {cls: {name: vars(cls).get(name) for name in methods} for cls in classes}
    changed = []
    try:
        yield
    finally:
        for cls, functions in before.items():
            for name, function in functions.items():
                if vars(cls).get(name) is not function:
                    changed.append(f"{cls.__name__}.{name}")
                    delattr(cls, name) if function is None else setattr(cls, name, function)
    if changed:
        raise Wrong(
            "class-changed",
            "You change a class, and with it every network in this process. Change the modules of "
            "this model: an object can have a `train` of its own.",
            (("Changed", ", ".join(sorted(changed))),),
        )


train_mode = Check(
    signature="train_mode(model)",
    reference=_train_mode,
    observe=_observe,
    cases={
        f"a ResNet with dropout, frozen up to {up_to}"
        if up_to
        else "a ResNet, nothing frozen": up_to
        for up_to in ("layer2", "layer4", "stem", "")
    },
    mistakes=(
        Mistake(
            "undone-by-model-train",
            "Right after your function all is as it should be. But a later `model.train()` puts "
            "the frozen batch norms back into train mode, and a training loop calls it again and "
            "again. Let them stay.",
            [_once(_frozen_norms)],
        ),
        Mistake(
            "all-batch-norms",
            "All batch norms are in evaluation mode. Those that are trained then go on with "
            "statistics of the old images, and never learn those of the new ones.",
            _both(_norms),
        ),
        Mistake(
            "everything-in-eval-mode",
            "The whole model is in evaluation mode after your function, as it was before. Dropout "
            "drops nothing then, and no batch norm learns the statistics of the new images.",
            [*_both(lambda model: [model]), lambda _: None],
        ),
        Mistake(
            "nothing-in-eval-mode",
            "The frozen batch norms are in train mode, and their running statistics move. No "
            "gradient does that: the forward pass does.",
            [lambda model: model.train() and None],
        ),
        Mistake(
            "not-at-once",
            "Frozen batch norms are kept from changing their mode, and are in train mode when it "
            "happens. So they are held in the mode in which their statistics move.",
            [_without_eval],
        ),
        Mistake(
            "dropout-in-eval-mode",
            "Dropout in the frozen stages is in evaluation mode too, and drops nothing. It has no "
            "parameters that could be frozen: only the batch norms were to be held.",
            [*_both(_frozen_modules), *_both(_frozen_stages)],
        ),
        Mistake(
            "statistics-stopped",
            "The running statistics no longer move. But in train mode batch norm takes the "
            "statistics of the batch, and not its running ones: only evaluation mode changes that.",
            [_no_momentum, _untracked],
        ),
        Mistake(
            "no-way-to-eval-mode",
            "After `model.eval()` the model is still in train mode: `eval` calls `train(False)`. "
            "Your own `train` must listen to the mode that it is given.",
            [_train_for_ever],
        ),
        Mistake(
            "outermost-modules-only",
            "Only the batch norm of the stem is in evaluation mode. The others stand in blocks in "
            "stages, where `children` does not go: their statistics still follow every batch.",
            _both(lambda model: [m for m in model.children() if m in _frozen_norms(model)]),
        ),
        Mistake(
            "the-wrong-way-round",
            "The frozen batch norms are in train mode, and those that can be trained in "
            "evaluation mode. What was to stay follows the images, and what was to learn does "
            "not.",
            _both(lambda model: [m for m in _norms(model) if m.weight.requires_grad]),
        ),
        Mistake(
            "shortcuts-left-out",
            "The batch norms of the shortcuts (`downsample`) are in train mode, though they are "
            "frozen. Their statistics follow the new images, so the output of a frozen block "
            "changes.",
            _both(
                lambda model: [
                    m
                    for name, m in model.named_modules()
                    if m in _frozen_norms(model) and "downsample" not in name
                ]
            ),
        ),
    ),
    places=(
        Place(
            "frozen batch norms, right after it",
            "frozen-in-train-mode",
            "Not all frozen batch norms are in evaluation mode after your function. Those that "
            "are not follow the new images: the network changes in places that count as frozen.",
        ),
        Place(
            "frozen batch norms, after",
            "undone-by-model-train",
            "Right after your function all is as it should be. But a later `model.train()` puts "
            "frozen batch norms back into train mode, and a training loop calls it again and "
            "again. Let them stay.",
        ),
        Place(
            "after model.eval()",
            "no-way-to-eval-mode",
            "After `model.eval()` not everything is in evaluation mode. A validation would then "
            "measure another network than the one in use.",
        ),
        Place(
            "and train again",
            "no-way-back",
            "After `model.eval()` and another `model.train()`, not everything is in the mode it "
            "should be in. A training loop does this at each validation, and goes on otherwise "
            "than it began.",
        ),
        Place(
            "trainable batch norms",
            "trainable-in-eval-mode",
            "Batch norms that can be trained are in evaluation mode, or become so. They go on "
            "with statistics of the old images, and never learn those of the new ones.",
        ),
        Place(
            "dropout",
            "dropout-in-eval-mode",
            "Dropout must be in train mode, wherever it stands. In evaluation mode it drops "
            "nothing, and the training goes on without it.",
        ),
        Place(
            "the model",
            "model-in-eval-mode",
            "The model itself is not in train mode. Code that asks `model.training` takes it for "
            "a model in use.",
        ),
        Place(
            "tensors of the model",
            "modules-replaced",
            "The modes are right, but the model has other tensors than before: saved weights "
            "would no longer fit. Keep the modules that are there.",
        ),
        Place(
            "weights",
            "weights-changed",
            "The modes are right, but weights have changed. They are what the network has "
            "learned, and a mode was to change none of them.",
        ),
        Place(
            "what is frozen",
            "freezing-changed",
            "The modes are right, but other parameters are frozen than before. The next training "
            "would leave some out, or change some that were to stay.",
        ),
    ),
)
