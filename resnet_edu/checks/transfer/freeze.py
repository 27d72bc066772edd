"""The first stages stay as they are."""

from __future__ import annotations

from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.found import Found
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet, stage_of

PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
STAGES = PARTS[:-1]
UNKNOWN = ("layer5", "layer", "block2", "fc")


def _freeze(model: nn.Module, up_to: str) -> None:
    if up_to not in STAGES:
        raise ValueError(f"There is no stage {up_to!r}; the stages are {', '.join(STAGES)}.")
    frozen = STAGES[: STAGES.index(up_to) + 1]
    for name, parameter in model.named_parameters():
        if stage_of(name) in frozen:
            parameter.requires_grad = False


def _observe(answer: object, up_to: str, see: See) -> None:
    model = ResNet(BasicBlock, (1, 2, 1, 1), num_classes=5, width=4)
    found = Found(model)
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
        names = [name for name in found.parameters if stage_of(name) == part]
        see(f"frozen in {part}", _which(names, frozen))
    found.see_left(see, but=("what can be trained", "mode of the model", "modes of its modules"))


def _which(names: list[str], frozen: set[str]) -> str:
    hit = [name for name in names if name in frozen]
    if len(hit) in (0, len(names)):
        return "all" if hit else "nothing"
    return f"not {next(name for name in names if name not in frozen)}"


def _require_unchanged(frozen: set[str], raised: Exception | None) -> None:
    if raised is not None and frozen:
        rows = (("Frozen before the error", f"{len(frozen)} parameters"),)
        raise Wrong("frozen-before-the-error", rows)
    if raised is not None and not isinstance(raised, ValueError):
        raise Wrong("other-error", (("Expected", "ValueError"), ("Got", type(raised).__name__)))


def _require_spelling(model: nn.Module, frozen: set[str]) -> None:
    """Is there an attribute that PyTorch does not know, and nothing frozen? Raises Wrong."""
    if frozen:
        return
    of_parameters = {key for p in model.parameters() for key in vars(p) if "grad" in key}
    of_modules = {key for m in model.modules() for key in vars(m) if "grad" in key}
    for name, found in (("misspelt", of_parameters), ("attribute-of-a-module", of_modules)):
        if found:
            rows = (("Set", min(found)), ("Frozen", "nothing"))
            raise Wrong(name, rows, attribute=min(found))


freeze = Check(
    signature="freeze(model, up_to)",
    reference=_freeze,
    observe=_observe,
    cases={
        f"a ResNet in which everything can be trained, up_to={up_to!r}": up_to
        for up_to in ("layer2", "stem", "layer4", "layer1", *UNKNOWN)
    },
    said=beside(__file__),
)
