"""Train mode, in which frozen batch norms stay in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType

import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.found import Found
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet, stage_of


def _train_mode(model: nn.Module) -> None:
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()
            module.train = MethodType(_stay_in_eval_mode, module)


def _stay_in_eval_mode(norm: nn.Module, _mode: bool = True) -> nn.Module:
    return norm


def _norms(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


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
ASKED_FOR = ("hooks", "mode of the model", "modes of its modules", "statistics of batch norm")


def _observe(answer: Answer, up_to: str, see: See) -> None:
    model = _network(up_to)
    norms, kinds = _norms(model), {m: _kind(m) for m in model.modules() if _kind(m)}
    found = Found(model)
    with _pytorch_kept(model):
        answer(model)
        if {id(m) for m in norms} - {id(m) for m in model.modules()}:
            rows = (("Looked at", "the batch norms of the model"), ("Got", "other modules"))
            raise Wrong("modules-replaced", rows)
        for moment in MOMENTS:
            if moment != MOMENTS[0]:
                _call(model, "eval" if "eval" in moment else "train")
            _see_modes(model, kinds, moment, see)
    found.see_left(see, but=ASKED_FOR)


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
        raise Wrong("train-calls-itself", explain(error).evidence) from None
    except TypeError as error:
        rows = (("Error", f"{type(error).__name__}: {error}"),)
        raise Wrong("train-without-mode", rows) from None
    if returned is not model:
        rows = (("Looked at", f"what model.{method}() returns"), ("Got", type(returned).__name__))
        raise Wrong("train-returns-nothing", rows)


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
        raise Wrong("class-changed", (("Changed", ", ".join(sorted(changed))),))


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
    said=beside(__file__),
)
