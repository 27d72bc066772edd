"""What an answer leaves behind in a model: hooks, modes, other numbers, modules, gradients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
    """A model as it was found. `see_left` notes in what it is no longer so.

    `but` names a module that the answer is to replace: nothing in it is looked at.
    """

    def __init__(self, model: nn.Module, but: str = "") -> None:
        self.model = model
        self.but = but
        self.hooks = _hooks(model)
        self.modules = self._named(model.named_modules())
        self.parameters = self._named(model.named_parameters())
        self.modes = {name: module.training for name, module in self.modules.items()}
        state = self._named(model.state_dict().items())
        self.state = {name: value.clone() for name, value in state.items()}
        self.trainable = self._trainable()

    def see_left(self, see: See, when: str = "afterwards", but: Collection[str] = ()) -> None:
        """Note hooks, modules, modes, numbers and gradients, each as a few words.

        `but` has labels of what the task itself is about: they are left out.
        """
        for label, words in self._left().items():
            if label not in but:
                see(f"{label}, {when}", words)

    def _left(self) -> dict[str, str]:
        hooks, gone = _hooks(self.model), "one that was there before is gone"
        left = f"{len(hooks - self.hooks)} left behind" if hooks - self.hooks else "as before"
        modules = self._named(self.model.named_modules())
        parameters = self._named(self.model.named_parameters())
        modes = [n for n in self.modes if n in modules and modules[n].training != self.modes[n]]
        further = [name for name in modules if name not in self.modules]
        state = self._named(self.model.state_dict().items())
        moved = [n for n, v in self.state.items() if n not in state or not _equal(v, state[n])]
        statistics = [name for name in moved if name.endswith(STATISTICS)]
        weights = [name for name in moved if name not in statistics]
        return {
            "hooks": gone if self.hooks - hooks else left,
            "modules": _other(self.modules, modules),
            "mode of the model": _mode(self.model.training),
            "modes of its modules": _listed(modes, "has another mode"),
            "weights": _listed(weights, "changed"),
            "statistics of batch norm": _listed(statistics, "changed"),
            "tensors": _listed([name for name in state if name not in self.state], "is new"),
            "parameters": _other(self.parameters, parameters),
            "further modules": _listed(further, "is new"),
            "what can be trained": _listed(sorted(self.trainable ^ self._trainable()), "changed"),
            "gradients": _listed(_with_gradient(parameters), "has one"),
        }

    def _named(self, named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Those that do not stand in the module that is left out."""
        return {n: v for n, v in named if not self.but or n.partition(".")[0] != self.but}

    def _trainable(self) -> set[str]:
        parameters = self._named(self.model.named_parameters())
        return {name for name, parameter in parameters.items() if parameter.requires_grad}


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


def _with_gradient(parameters: Mapping[str, Tensor]) -> list[str]:
    return [n for n, p in parameters.items() if p.grad is not None and bool(p.grad.any())]


def _equal(before: Tensor, after: Tensor) -> bool:
    return before.shape == after.shape and torch.equal(before, after)


def _other(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    others = [name for name in before if after.get(name) is not before[name]]
    return f"another one is at {others[0]}" if others else "as before"


def _mode(training: bool) -> str:
    return "train" if training else "eval"


def _listed(names: list[str], what: str) -> str:
    rest = f", and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]} {what}{rest}" if names else "as before"
