"""Task 7.2: the first stages stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See
from resnet_edu.checks.guard import Wrong
from resnet_edu.networks import ResNet, stage_of

PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
STAGES = PARTS[:-1]
UNKNOWN = ("layer5", "layer", "block2", "fc")

Frozen = Callable[[str], Collection[str]]
"""From a stage's name to the names of the parts that are frozen."""


def _freeze(model: nn.Module, up_to: str) -> None:
    _version()(model, up_to)


def _up_to(up_to: str) -> Collection[str]:
    return STAGES[: STAGES.index(up_to) + 1]


def _version(
    frozen: Frozen = _up_to,
    left_out: Callable[[str], bool] = lambda _: False,
    refused: Callable[[str], bool] = lambda up_to: up_to not in STAGES,
) -> Answer:
    """The reference, and with other arguments its wrong versions. `left_out` names single parameters."""

    def freeze(model: nn.Module, up_to: str) -> None:
        if refused(up_to):
            raise ValueError(f"There is no stage {up_to!r}; the stages are {', '.join(STAGES)}.")
        for name, parameter in model.named_parameters():
            if stage_of(name) in frozen(up_to) and not left_out(name):
                parameter.requires_grad = False

    return freeze


def _by_the_alphabet(up_to: str) -> Collection[str]:
    """Compares the names of modules as texts."""
    return [part for part in PARTS if ("conv1" if part == "stem" else part) <= up_to]


def _late(frozen: Collection[str]) -> Answer:
    """Freezes, and only then looks at the name."""

    def freeze(model: nn.Module, up_to: str) -> None:
        _version(lambda _: _up_to(up_to) if up_to in STAGES else frozen, refused=lambda _: False)(
            model, up_to
        )
        if up_to not in STAGES:
            raise ValueError(up_to)

    return freeze


def _if_unknown(frozen: Collection[str]) -> Answer:
    return _version(
        lambda up_to: _up_to(up_to) if up_to in STAGES else frozen, refused=lambda _: False
    )


def _misspelt(model: nn.Module, up_to: str) -> None:
    for parameter in model.parameters():
        parameter.require_grad = False
    _only_refuses(model, up_to)


def _only_refuses(_model: nn.Module, up_to: str) -> None:
    if up_to not in STAGES:
        raise ValueError(up_to)


def _of_modules(model: nn.Module, up_to: str) -> None:
    _only_refuses(model, up_to)
    model.layer1.requires_grad = False


def _is_norm(name: str) -> bool:
    return "bn" in name or "downsample.1" in name


def _observe(answer: Answer, up_to: str, see: See) -> None:
    model = ResNet(BasicBlock, (1, 2, 1, 1), num_classes=5, width=4)
    parameters = dict(model.named_parameters())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    raised: Exception | None = None
    try:
        answer(model, up_to)
    except NotImplementedError:
        raise
    except Exception as error:
        if up_to in STAGES and not isinstance(error, ValueError):
            raise
        raised = error
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    if up_to in STAGES:
        see("for a name that exists", "a ValueError" if raised else "no error")
    else:
        _require_unchanged(frozen, raised)
        see("for a name that no stage has", "no error" if raised is None else type(raised).__name__)
    _require_spelling(model, frozen)
    for part in PARTS:
        names = [name for name in parameters if stage_of(name) == part]
        see(f"frozen in {part}", _which(names, frozen))
    after, names = model.state_dict(), dict(model.named_parameters())
    changed = [k for k, value in before.items() if k not in after or not after[k].equal(value)]
    see("numbers, afterwards", f"{changed[0]} changed" if changed else "as before")
    new = [name for name, p in parameters.items() if names.get(name) is not p]
    see("parameters, afterwards", f"{new[0]} is another object" if new else "as before")


def _which(names: list[str], frozen: set[str]) -> str:
    hit = [name for name in names if name in frozen]
    if len(hit) in (0, len(names)):
        return "all" if hit else "nothing"
    return f"not {next(name for name in names if name not in frozen)}"


def _require_unchanged(frozen: set[str], raised: Exception | None) -> None:
    if raised is not None and frozen:
        raise Wrong(
            "frozen-before-the-error",
            "You raise an error for a name that no stage has, but parameters are already frozen "
            "by then. Whoever catches the error goes on with a model that is partly frozen.",
            (("Frozen before the error", f"{len(frozen)} parameters"),),
        )
    if raised is not None and not isinstance(raised, ValueError):
        raise Wrong(
            "other-error",
            "For a name that no stage has, the task asks for a ValueError. Whoever waits for that "
            "one does not catch yours.",
            (("Expected", "ValueError"), ("Got", type(raised).__name__)),
        )


def _require_spelling(model: nn.Module, frozen: set[str]) -> None:
    """Is there an attribute that PyTorch does not know, and nothing frozen? Raises Wrong."""
    if frozen:
        return
    of_parameters = {key for p in model.parameters() for key in vars(p) if "grad" in key}
    of_modules = {key for m in model.modules() for key in vars(m) if "grad" in key}
    if of_parameters:
        raise Wrong(
            "misspelt",
            f"You set `{min(of_parameters)}`, which PyTorch does not know: Python makes a new "
            "attribute of it, without a word. Look at the spelling of the real one.",
            (("Set", min(of_parameters)), ("Frozen", "nothing")),
        )
    if of_modules:
        raise Wrong(
            "attribute-of-a-module",
            f"You set `{min(of_modules)}` of a module, and a module has no such attribute: its "
            "parameters stay as they are. Set it on each parameter, or call the method "
            "`requires_grad_`.",
            (("Set", min(of_modules)), ("Frozen", "nothing")),
        )


def _just(*parts: str) -> Frozen:
    return lambda _: parts


freeze = Check(
    signature="freeze(model, up_to)",
    reference=_freeze,
    observe=_observe,
    cases={
        f"a ResNet in which everything can be trained, up_to={up_to!r}": up_to
        for up_to in ("layer2", "stem", "layer4", "layer1", *UNKNOWN)
    },
    mistakes=(
        Mistake(
            "nothing-frozen",
            "Every parameter can still be trained, so the next training moves what was to be "
            "kept. Did you change a copy, or a name instead of the parameter's attribute?",
            [_only_refuses, lambda *_: None],
        ),
        Mistake(
            "named-stage-left-out",
            "The stage that is named is not frozen, only those before it. It goes on learning, "
            "and for `stem` nothing is frozen at all.",
            [
                _version(lambda up_to: STAGES[: STAGES.index(up_to)]),
            ],
        ),
        Mistake(
            "one-stage-too-many",
            "The stage after the one that is named is frozen too. It keeps what it learned for "
            "the old task, where it was to learn the new one.",
            [_version(lambda up_to: PARTS[: PARTS.index(up_to) + 2])],
        ),
        Mistake(
            "named-stage-only",
            "Only the stage that is named is frozen. What stands before it goes on changing, so "
            "the frozen stage gets other inputs than those that its weights were trained on.",
            [_version(lambda up_to: (up_to,))],
        ),
        Mistake(
            "stem-left-out",
            "The stem, in front of the stages, is not frozen. All others get what it gives: while "
            "it learns, frozen stages get other inputs than those that they were trained on.",
            [
                _version(lambda up_to: _up_to(up_to)[1:]),
                _version(
                    lambda up_to: _up_to(up_to)[1:],
                    refused=lambda up_to: up_to not in STAGES[1:],
                ),
            ],
        ),
        Mistake(
            "first-batch-norm-left-out",
            "Of the stem, the convolution is frozen and the batch norm `bn1` is not. It scales "
            "and shifts every channel that goes on, so the frozen stages still get other inputs.",
            [_version(left_out=lambda name: name.startswith("bn1"))],
        ),
        Mistake(
            "first-convolution-left-out",
            "Of the stem, the batch norm is frozen and the convolution `conv1` is not. Its "
            "kernels see the image first: when they change, so does all that the frozen stages "
            "get.",
            [_version(left_out=lambda name: name.startswith("conv1"))],
        ),
        Mistake(
            "stem-refused",
            "You raise an error for `stem`, which is one of the names. Whoever wants to keep the "
            "first kernels only, and to train all else, cannot use your function.",
            [_version(refused=lambda up_to: up_to not in STAGES[1:])],
        ),
        Mistake(
            "stem-not-found",
            "No module is called `stem`: looked for by that name it is never met, and your loop "
            "freezes everything, or nothing. The stem is two modules.",
            [
                _version(lambda up_to: PARTS if up_to == "stem" else _up_to(up_to)),
                _version(lambda up_to: () if up_to == "stem" else _up_to(up_to)),
            ],
        ),
        Mistake(
            "alphabet",
            "You compare names by the alphabet. There `fc` stands before every layer, and `stem` "
            "behind them all: the head is frozen too, and for `stem` everything.",
            [_version(_by_the_alphabet)],
        ),
        Mistake(
            "batch-norms-left-out",
            "The convolutions are frozen, and the batch norms are not. Their weights and biases "
            "scale and shift every channel, so a stage that counts as frozen goes on changing.",
            [
                _version(left_out=_is_norm),
                _version(left_out=lambda name: "bn" in name),
                _version(left_out=lambda name: "bn" in name and "." in name.partition(".bn")[0]),
            ],
        ),
        Mistake(
            "weights-or-biases-only",
            "Only weights are frozen, or only biases. The other half goes on learning, so a stage "
            "that counts as frozen goes on changing.",
            [
                _version(left_out=lambda name: name.endswith("bias")),
                _version(left_out=lambda name: name.endswith("weight")),
            ],
        ),
        Mistake(
            "shortcuts-left-out",
            "The projections of the shortcuts (`downsample`) are not frozen. Their output is a "
            "part of the sum, so a stage that counts as frozen goes on changing.",
            [_version(left_out=lambda name: "downsample" in name)],
        ),
        Mistake(
            "first-blocks-only",
            "In each stage only the first block is frozen. The others go on learning, so a stage "
            "that counts as frozen goes on changing.",
            [_version(left_out=lambda name: name.partition(".")[2].startswith("1."))],
        ),
        Mistake(
            "everything-frozen",
            "Everything is frozen, the head too. No parameter gets a gradient any more, and "
            "`loss.backward()` stops with an error: nothing is left that could learn.",
            [_version(_just(*PARTS)), _version(_just(*PARTS), refused=lambda _: False)],
        ),
        Mistake(
            "all-but-the-head",
            "Everything but the head is frozen, whatever stage is named. The later stages cannot "
            "learn the new task then, also where somebody wants them to.",
            [_version(_just(*STAGES)), _version(_just(*STAGES), refused=lambda _: False)],
        ),
        Mistake(
            "the-wrong-way-round",
            "What is to be frozen can be trained, and what is to be trained is frozen. The early "
            "stages change what was worth keeping, and the late ones cannot learn the new task.",
            [
                _version(lambda up_to: PARTS[PARTS.index(up_to) + 1 :]),
                _version(lambda up_to: PARTS[PARTS.index(up_to) :]),
                _version(lambda up_to: STAGES[STAGES.index(up_to) + 1 :]),
            ],
        ),
        Mistake(
            "head-frozen-too",
            "The head is frozen as well. A new head is made of random numbers, and frozen it "
            "would keep them: the other layers would have to learn around it.",
            [_version(lambda up_to: (*_up_to(up_to), "fc"))],
        ),
        Mistake(
            "unknown-name-ignored",
            "For a name that no stage has there is no ValueError. Whoever gives one trains a "
            "network that is frozen otherwise than they think, and nothing tells them.",
            [_if_unknown(parts) for parts in ((), STAGES, PARTS, ("stem",))],
        ),
    ),
    places=(
        Place(
            "for a name that exists",
            "good-name-refused",
            "You raise a ValueError for a stage that the model has. Nobody can freeze the network "
            "up to there.",
        ),
        Place(
            "for a name that no stage has",
            "unknown-name-ignored",
            "For a name that no stage has there is no ValueError. Whoever gives one trains a "
            "network that is frozen otherwise than they think, and nothing tells them.",
        ),
        Place(
            "frozen in",
            "other-parts-frozen",
            "Not the right parts of the network are frozen. In order they are: the stem (`conv1`, "
            "`bn1`), `layer1` to `layer4`, and the head `fc`.",
        ),
        Place(
            "numbers, afterwards",
            "numbers-changed",
            "The right parameters are frozen, but numbers in the model have changed. They are "
            "what the network has learned, and were to be kept.",
        ),
        Place(
            "parameters, afterwards",
            "new-parameters",
            "You put new parameters in the place of the old ones. An optimiser that was made "
            "before would go on with the old ones, which the model no longer has.",
        ),
    ),
)
