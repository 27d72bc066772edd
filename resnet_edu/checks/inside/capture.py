"""The outputs of named modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, entries, tensor
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.text import beside


def _capture(model: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
            outputs[name] = output.clone()

        return hook

    modules = [(name, model.get_submodule(name)) for name in names]
    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: outputs[name] for name in names}


class _Block(nn.Module):
    """A residual block that works in place, as torchvision's do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        out += x
        return self.relu(out)


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(_Block(), _Block())
        self.layer2 = nn.Sequential(OrderedDict(down=nn.Conv2d(4, 6, 1, stride=2), block=nn.ReLU()))
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu_()
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean((2, 3)))


AFTER_ERROR = "after an error"
UNKNOWN = "layer9"


def _observe(answer: Answer, case: tuple[list[str], int], see: See) -> None:
    names, channels = case
    model = randomised(_Network()).eval()
    model.layer1.register_forward_hook(_somebody_elses)
    found = Found(model)
    x = torch.randn(2, channels, 12, 16)
    with hooks_of_all_modules_kept():
        if UNKNOWN in names or channels != 3:
            label = "a name that does not exist" if UNKNOWN in names else "images with 4 channels"
            see(f"{label} gives", _ends_in(lambda: answer(model, list(names), x)))
            found.see_left(see, "after an error")
            return
        try:
            outputs = entries(answer(model, list(names), x), "a dict of tensors")
        except (AttributeError, KeyError) as error:
            _require_nested_names(answer, names, error)
            raise
        _require_names(outputs, names)
        for name in names:
            see(f"output of {name}", tensor(outputs[name]))
        see("inputs, afterwards", x)
        found.see_left(see)


def _somebody_elses(*_: object) -> None:
    """A hook that was there before."""


def _ends_in(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception:
        return "an error"
    return "no error"


def _require_nested_names(answer: Answer, names: Sequence[str], error: Exception) -> None:
    """Does it work for modules that stand in no other module? Raises Wrong."""
    if all("." not in name for name in names):
        return
    try:
        answer(randomised(_Network()).eval(), ["layer1"], torch.randn(1, 3, 12, 16))
    except Exception:
        return
    raise Wrong("outermost-modules-only", explain(error).evidence)


def _require_names(outputs: dict[str, Any], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in outputs]
    rows = (("Expected names", ", ".join(names)), ("Got", ", ".join(outputs) or "no names"))
    if not missing and len(outputs) == len(names):
        return
    if not missing:
        raise Wrong("more-than-asked", rows)
    if not outputs:
        raise Wrong("nothing-captured", rows)
    if len(names) > 1 and list(outputs) == [names[-1]]:
        raise Wrong("last-name-only", rows)
    if len(names) > 1 and list(outputs) == [names[0]]:
        raise Wrong("first-name-only", rows)
    if len(outputs) == len(names) and not set(outputs) & set(names):
        raise Wrong("other-keys", rows)
    raise Wrong("names-missing", rows)


capture = Check(
    signature="capture(model, names, inputs)",
    reference=_capture,
    observe=_observe,
    cases={
        f"a small network in evaluation mode, names={names}, images (2, {channels}, 12, 16)": (
            names,
            channels,
        )
        for names, channels in (
            (["layer2", "layer1"], 3),
            (["conv1", "layer1.0.bn", "layer1.1.conv", "layer2.down", "fc"], 3),
            (["bn1"], 3),
            (["layer1", UNKNOWN], 3),
            (["layer1", "fc"], 4),
        )
    },
    said=beside(__file__),
)
