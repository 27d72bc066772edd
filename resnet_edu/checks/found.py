"""What an answer leaves behind in a model: hooks, modes, statistics, other modules, gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from resnet_edu.checks.compare import Evidence, See
from resnet_edu.checks.guard import Wrong

OF_MODULES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
OF_ALL_MODULES = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


class Found:
    """A model as it was found. `see_left` notes in what it is no longer so."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self.modes = {name: module.training for name, module in self.modules.items()}
        self.hooks = _hooks(model)
        self.state = {key: value.clone() for key, value in model.state_dict().items()}
        self.trainable = _trainable(model)

    def see_left(self, see: See, when: str = "afterwards") -> None:
        """Note hooks, modules, modes, numbers and gradients, each as a few words."""
        hooks, gone = _hooks(self.model), "one that was there before is gone"
        left = f"{len(hooks - self.hooks)} left behind" if hooks - self.hooks else "as before"
        see(f"hooks, {when}", gone if self.hooks - hooks else left)
        modules = dict(self.model.named_modules())
        others = [name for name in self.modules if modules.get(name) is not self.modules[name]]
        others += [name for name in modules if name not in self.modules]
        see(f"modules, {when}", f"another one is at {others[0]}" if others else "as before")
        modes = {name: modules[name].training for name in self.modes if name in modules}
        see(f"mode of the model, {when}", _mode(self.model.training))
        other = [name for name, mode in modes.items() if mode != self.modes[name]]
        see(f"modes of its modules, {when}", _listed(other, "has another mode"))
        changed = self._changed()
        for label, is_statistic in (("weights", False), ("statistics of batch norm", True)):
            moved = [key for key in changed if key.endswith(STATISTICS) == is_statistic]
            see(f"{label}, {when}", _listed(moved, "changed"))
        trainable = sorted(self.trainable ^ _trainable(self.model))
        see(f"what can be trained, {when}", _listed(trainable, "changed"))
        see(f"gradients, {when}", _listed(_with_gradient(self.model), "has one"))

    def _changed(self) -> list[str]:
        after = self.model.state_dict()
        return [k for k, v in self.state.items() if k not in after or not _equal(v, after[k])]


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@contextmanager
def hooks_of_all_modules_kept() -> Iterator[None]:
    """Afterwards no hook is left that an answer registered for all modules of the process."""
    before = [dict(hooks) for hooks in OF_ALL_MODULES]
    try:
        yield
    finally:
        for hooks, kept in zip(OF_ALL_MODULES, before, strict=True):
            for key in [key for key in hooks if key not in kept]:
                del hooks[key]


def changed_tensors(model: nn.Module, before: Mapping[str, Tensor]) -> Evidence:
    """Rows that tell in what a model's tensors are no longer those of before. Empty where they are."""
    after = model.state_dict()
    if after.keys() != before.keys():
        return (("Its tensors before", str(len(before))), ("afterwards", str(len(after))))
    if all(_equal(before[name], after[name]) for name in before):
        return ()
    return (("Looked at", "its weights, afterwards"), ("Got", "other numbers"))


def require_own_weights(new: nn.Module, model: nn.Module) -> None:
    """Raises Wrong where a network that was made of another one shares its weights."""
    own = {p.data_ptr() for p in new.parameters()}
    shared = [name for name, p in model.named_parameters() if p.data_ptr() in own]
    if shared:
        rows = (("Shared", f"{len(shared)} parameters, the first is {shared[0]}"),)
        raise Wrong("shared-parameters", rows)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with no weight and no statistic of batch norm at its start value, as if it were trained."""
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            if value.dim() > 1:  # about as large as what went in
                fan_in = value[0].numel()
                value.normal_(0, (2 / fan_in) ** 0.5, generator=numbers)
            elif key.endswith(("running_var", "weight")):
                value.uniform_(0.5, 1.5, generator=numbers)
            else:
                value.normal_(0, 0.3, generator=numbers)
    return model


def _hooks(model: nn.Module) -> set[tuple[str, str, int]]:
    found = {("", str(place), key) for place, hooks in enumerate(OF_ALL_MODULES) for key in hooks}
    for name, module in model.named_modules():
        found |= {(name, kind, key) for kind in OF_MODULES for key in getattr(module, kind)}
        if "forward" in vars(module):  # a function of the answer's in the place of the method
            found.add((name, "forward", id(vars(module)["forward"])))
    return found


def _trainable(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def _with_gradient(model: nn.Module) -> list[str]:
    return [n for n, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())]


def _equal(before: Tensor, after: Tensor) -> bool:
    return before.shape == after.shape and torch.equal(before, after)


def _mode(training: bool) -> str:
    return "train" if training else "eval"


def _listed(names: list[str], what: str) -> str:
    rest = f", and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]} {what}{rest}" if names else "as before"
