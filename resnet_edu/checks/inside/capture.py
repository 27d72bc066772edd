"""Task 6.1: the outputs of named modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, tensor, wrong_type
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong, explain

Keep = Callable[[tuple[Tensor, ...], Tensor], Tensor]
"""What a hook keeps of the inputs and the output of a module."""


def _capture(model: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, Tensor]:
    return _captured(model, names, inputs, lambda _, output: output.clone())


def _captured(
    model: nn.Module, names: Sequence[str], inputs: Tensor, keep: Keep
) -> dict[str, Tensor]:
    """The reference, and with another `keep` its wrong versions."""
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            outputs[name] = keep(args, output)

        return hook

    modules = [(name, model.get_submodule(name)) for name in names]
    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: outputs[name] for name in names}


def _version(keep: Keep, mode: bool | None = None, back: bool = False) -> Answer:
    """Keeps something else, or puts the model into a mode first."""

    def capture(model: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, Tensor]:
        before = model.training
        if mode is not None:
            model.train(mode)
        try:
            return _captured(model, names, inputs, keep)
        finally:
            if back:
                model.train(before)

    return capture


def _in_the_order_of_running(
    model: nn.Module, names: Sequence[str], inputs: Tensor
) -> dict[str, Tensor]:
    outputs = _capture(model, names, inputs)
    ran = [name for name, _ in model.named_modules() if name in outputs]
    return dict(zip(names, (outputs[name] for name in ran), strict=True))


def _by_itself(model: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, Tensor]:
    return {name: model.get_submodule(name)(inputs) for name in names}


def _in_a_row(model: nn.Module, names: Sequence[str], inputs: Tensor) -> dict[str, Tensor]:
    outputs = {}
    for name, child in model.named_children():
        inputs = child(inputs)
        outputs[name] = inputs
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
    given = x.clone()
    with hooks_of_all_modules_kept():
        if UNKNOWN in names or channels != 3:
            label = "a name that does not exist" if UNKNOWN in names else "images with 4 channels"
            see(f"{label} gives", _ends_in(lambda: answer(model, list(names), x)))
            found.see_left(see, AFTER_ERROR)
            return
        try:
            outputs = _entries(answer(model, list(names), x), names)
        except (AttributeError, KeyError) as error:
            _require_nested_names(answer, names, error)
            raise
        for name in names:
            see(f"output of {name}", tensor(outputs[name]))
        see("inputs, afterwards", x if x.shape != given.shape else x - given)
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
    raise Wrong(
        "outermost-modules-only",
        "You find only the outermost modules. A name with dots, such as `layer1.0.bn`, leads into "
        "modules inside of modules, where nearly all layers of a ResNet stand.",
        explain(error).evidence,
    )


def _entries(found: Any, names: Sequence[str]) -> dict[str, Any]:
    """What was returned, by name. Raises Wrong where names are missing, or too many."""
    if not issubclass(type(found), dict):
        raise wrong_type(found, "a dict of tensors")
    entries = {
        key if type(key) is str else f"{type(key).__name__} {place}": value
        for place, (key, value) in enumerate(dict.items(found))
    }
    missing = [name for name in names if name not in entries]
    rows = (("Expected names", ", ".join(names)), ("Got", ", ".join(entries) or "no names"))
    if not missing and len(entries) == len(names):
        return entries
    if not missing:
        raise Wrong(
            "more-than-asked",
            "Your dictionary has more entries than names were asked for. Each is a tensor that "
            "takes memory, and that the caller does not expect: `layer1` is not `layer1.0`.",
            rows,
        )
    if not entries:
        raise Wrong(
            "nothing-captured",
            "Your dictionary is empty. A hook sees only what runs while it is on its module: are "
            "yours there, and still there, when the model runs?",
            rows,
        )
    if len(names) > 1 and list(entries) == [names[-1]]:
        raise Wrong(
            "last-name-only",
            "Everything is kept under the last name. A function made in a loop looks up the "
            "loop's variable when it is called, and the loop is over by then: each hook needs a "
            "name of its own.",
            rows,
        )
    if len(names) > 1 and list(entries) == [names[0]]:
        raise Wrong(
            "first-name-only",
            "Only the first name has an output, and whoever looks up another gets a KeyError. Is "
            "a `return`, or the run of the model, inside the loop?",
            rows,
        )
    if len(entries) == len(names) and not set(entries) & set(names):
        raise Wrong(
            "other-keys",
            "There is an entry for each name, but not under that name. Whoever looks one up gets "
            "a KeyError, though the output is there.",
            rows,
        )
    raise Wrong(
        "names-missing",
        "Some of the names have no output. Whoever looks one up gets a KeyError, far from "
        "where it went wrong.",
        rows,
    )


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
    mistakes=(
        Mistake(
            "not-copied",
            "An output has changed since: what comes later in the network works in place, as "
            "`nn.ReLU(inplace=True)` and `+=` do. Keep a copy; `detach` alone makes none.",
            [_version(lambda _, output: output)],
        ),
        Mistake(
            "inputs-instead-of-outputs",
            "You keep what goes into the modules, so each name stands for what the layer before "
            "it does. A forward hook gets the module, its inputs and its output, in this order.",
            [
                _version(lambda args, _: args[0].clone()),
                _version(lambda args, _: args[0]),
            ],
        ),
        Mistake(
            "order-of-running",
            "The outputs stand under each other's names: you put them in the order in which the "
            "modules run, and the names come in another. Whoever looks one up sees another layer.",
            [_in_the_order_of_running],
        ),
        Mistake(
            "one-image-only",
            "You keep the output for the first image only. A module puts out one tensor for the "
            "whole batch, and what is measured over images would rest on a single one.",
            [
                _version(lambda _, output: output[0].clone()),
                _version(lambda _, output: output[:1].clone()),
                _version(lambda _, output: output[0]),
            ],
        ),
        Mistake(
            "averaged",
            "You keep a mean of the output. How places, channels or images differ from each other "
            "is lost with it, and whoever needs that cannot get it back.",
            [
                _version(lambda _, output: output.mean((-2, -1))),
                _version(lambda _, output: output.mean(0)),
                _version(lambda _, output: output.mean(1)),
                _version(lambda _, output: output.mean()),
            ],
        ),
        Mistake(
            "train-mode",
            "The model runs in train mode, and batch norm takes the statistics of your batch. "
            "What it says of an image then depends on the images beside it, and a mere look "
            "changes its running statistics.",
            [
                _version(lambda _, output: output.clone(), True),
                _version(lambda _, output: output.clone(), True, True),
                _version(lambda _, output: output, True),
            ],
        ),
        Mistake(
            "run-by-itself",
            "You give the images to the named module itself. In the network it gets the output of "
            "those before it, so what you see is what it never puts out there, or an error.",
            [_by_itself],
        ),
        Mistake(
            "children-in-a-row",
            "You run the model's children one after the other. That leaves out what stands in the "
            "model's `forward` only: call the model.",
            [_in_a_row],
        ),
    ),
    places=(
        Place(
            "a name that does not exist",
            "unknown-name-ignored",
            "A name that the model does not have is passed over without a word. Whoever mistypes "
            "one should learn it: let it be an error.",
        ),
        Place(
            "images with 4 channels",
            "error-swallowed",
            "The model raises an error, and your code keeps it to itself. Tidy up, and let the "
            "error go on to the caller: that is what `finally` is for.",
        ),
        Place(
            f"hooks, {AFTER_ERROR}",
            "hooks-left-after-error",
            "The hooks are removed if all goes well. After an error they are still there, and go "
            "on working in each later run.",
        ),
        Place(
            "hooks, afterwards",
            "hooks-not-as-before",
            "The model does not have the hooks that it had before. Remove yours, and only those: "
            "`register_forward_hook` returns a handle that can do it.",
        ),
        Place(
            "modes of its modules",
            "mode-changed",
            "The model came in evaluation mode, and a module in it is left in train mode. It will "
            "treat the next images in another way than the modules beside it.",
        ),
        Place(
            "modules",
            "modules-replaced",
            "Other modules are in the model than before. Whoever holds the old ones, an optimiser "
            "for one, no longer works on this model; a hook can look without changing anything.",
        ),
        Place(
            "mode",
            "mode-changed",
            "The model came in evaluation mode and is left in another. The next answers depend on "
            "which images come together, and nobody knows why.",
        ),
        Place(
            "inputs, afterwards",
            "inputs-changed",
            "The images that were given have changed. Whoever calls you still needs them, and the "
            "next network would see other images.",
        ),
        Place(
            "output of",
            "another-output",
            "This is not what the module puts out while the whole model runs. A hook that returns "
            "something puts that in the place of the output.",
        ),
    ),
)
