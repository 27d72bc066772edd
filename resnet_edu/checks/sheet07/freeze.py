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
UNKNOWN = ("layer5", "layer", "block2")

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
            "by then. Look at the name first.",
            (("Frozen before the error", f"{len(frozen)} parameters"),),
        )
    if raised is not None and not isinstance(raised, ValueError):
        raise Wrong(
            "other-error",
            "For a name that no stage has, the task asks for a ValueError.",
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
            "Every parameter can still be trained. Did you change a copy, or a name instead of "
            "the parameter's attribute?",
            [_only_refuses, lambda *_: None],
        ),
        Mistake(
            "named-stage-left-out",
            "The stage that is named is not frozen, only those before it. `up_to` means: with "
            "this one.",
            [
                _version(lambda up_to: STAGES[: STAGES.index(up_to)]),
            ],
        ),
        Mistake(
            "one-stage-too-many",
            "The stage after the one that is named is frozen too.",
            [_version(lambda up_to: PARTS[: PARTS.index(up_to) + 2])],
        ),
        Mistake(
            "named-stage-only",
            "Only the stage that is named is frozen. Those before it must be, too, and the stem.",
            [_version(lambda up_to: (up_to,))],
        ),
        Mistake(
            "stem-left-out",
            "The stem is not frozen: `conv1` and `bn1`, in front of the stages.",
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
            "Of the stem, the convolution is frozen and the batch norm `bn1` is not.",
            [_version(left_out=lambda name: name.startswith("bn1"))],
        ),
        Mistake(
            "first-convolution-left-out",
            "Of the stem, the batch norm is frozen and the convolution `conv1` is not.",
            [_version(left_out=lambda name: name.startswith("conv1"))],
        ),
        Mistake(
            "stem-refused",
            "You raise an error for `stem`. It counts as a name too: then nothing but the stem is "
            "frozen.",
            [_version(refused=lambda up_to: up_to not in STAGES[1:])],
        ),
        Mistake(
            "batch-norms-left-out",
            "The convolutions are frozen, and the batch norms are not. They have parameters too.",
            [
                _version(left_out=_is_norm),
                _version(left_out=lambda name: "bn" in name),
                _version(left_out=lambda name: "bn" in name and "." in name.partition(".bn")[0]),
            ],
        ),
        Mistake(
            "weights-or-biases-only",
            "Only weights are frozen, or only biases. Batch norm has both.",
            [
                _version(left_out=lambda name: name.endswith("bias")),
                _version(left_out=lambda name: name.endswith("weight")),
            ],
        ),
        Mistake(
            "shortcuts-left-out",
            "The projections of the shortcuts (`downsample`) are not frozen.",
            [_version(left_out=lambda name: "downsample" in name)],
        ),
        Mistake(
            "first-blocks-only",
            "In each stage only the first block is frozen.",
            [_version(left_out=lambda name: name.partition(".")[2].startswith("1."))],
        ),
        Mistake(
            "everything-frozen",
            "Everything is frozen, the head too: nothing is left that could learn.",
            [_version(_just(*PARTS)), _version(_just(*PARTS), refused=lambda _: False)],
        ),
        Mistake(
            "all-but-the-head",
            "Everything but the head is frozen, whatever stage is named.",
            [_version(_just(*STAGES)), _version(_just(*STAGES), refused=lambda _: False)],
        ),
        Mistake(
            "the-wrong-way-round",
            "What is to be frozen can be trained, and what is to be trained is frozen.",
            [
                _version(lambda up_to: PARTS[PARTS.index(up_to) + 1 :]),
                _version(lambda up_to: PARTS[PARTS.index(up_to) :]),
                _version(lambda up_to: STAGES[STAGES.index(up_to) + 1 :]),
            ],
        ),
        Mistake(
            "head-frozen-too",
            "The head is frozen as well. It comes after all stages and must learn.",
            [_version(lambda up_to: (*_up_to(up_to), "fc"))],
        ),
        Mistake(
            "unknown-name-ignored",
            "For a name that no stage has there is no ValueError. Whoever mistypes one should "
            "learn it.",
            [_if_unknown(parts) for parts in ((), STAGES, PARTS, ("stem",))],
        ),
    ),
    places=(
        Place(
            "for a name that exists",
            "good-name-refused",
            "You raise a ValueError for a stage that the model has.",
        ),
        Place(
            "for a name that no stage has",
            "unknown-name-ignored",
            "For a name that no stage has there is no ValueError. Whoever mistypes one should "
            "learn it.",
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
            "The right parameters are frozen, but numbers in the model have changed.",
        ),
        Place(
            "parameters, afterwards",
            "new-parameters",
            "You put new parameters in the place of the old ones. Change the attribute of those "
            "that are there.",
        ),
    ),
)
