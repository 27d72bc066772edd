"""The whole ResNet-50."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.block import make_lazy_modules, require_names
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import (
    Evidence,
    See,
    first_difference,
    require,
    same,
    same_everywhere,
    snapshot,
    tensor,
    wrong_type,
)
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.resnet50.blocks import SAID, projection_problem, require_blocks
from resnet_edu.checks.resnet50.narrow import (
    CLASSES,
    IMAGES,
    STAGES,
    NoRandomWeights,
    Trace,
    images,
    is_known,
    make_stage,
    set_other_weights,
    set_weights,
    shapes,
    trace,
    wanted_logits,
    wanted_trace,
)
from resnet_edu.checks.text import beside

PARTS = ("conv1", "bn1", *STAGES, "fc")


class _ResNet50(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        strides = (1, 2, 2, 2)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = make_stage(64, 64, 3, strides[0])
        self.layer2 = make_stage(256, 128, 4, strides[1])
        self.layer3 = make_stage(512, 256, 6, strides[2])
        self.layer4 = make_stage(1024, 512, 3, strides[3])
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = x.mean((2, 3))
        return self.fc(x)


def _observe(answer: Answer, num_classes: int | None, see: See) -> None:
    # at the first call, while nobody's time is measured
    wanted, _ = wanted_trace(), wanted_logits()
    with NoRandomWeights():
        model = answer() if num_classes is None else answer(num_classes)
        if not issubclass(type(model), nn.Module):
            raise wrong_type(model, "an nn.Module")
        make_lazy_modules(model.eval(), images())
    if not is_known(model):  # of those, nothing is asked but what they compute
        _require_stages(model)
        _require_keys_and_shapes(model, num_classes or 1000)
    if not num_classes:
        return
    seen, error = _trace(model, wanted)
    for label, value in seen.items():
        see(label, value)
    if error:
        raise error


def _trace(model: nn.Module, wanted: Trace) -> tuple[Trace, Exception | None]:
    """As for a narrow network, where the whole one is not right."""
    if is_known(model):
        set_other_weights(model)
        return trace(model, wanted)
    set_weights(model, narrow=True)
    seen, error = trace(model, wanted)
    if same_everywhere(seen, wanted):
        _require_no_chance(model)
    if not _has_other_sizes(seen, wanted) and _gives_wanted_logits(model):
        _require_batch_of_one(model)
        return wanted, None
    if not isinstance(error, Wrong):
        _require_all_stages(seen, wanted)
        _require_bottleneck(seen, wanted, explain(error).evidence if error else ())
    if same_everywhere(seen, wanted):
        return seen | {"logits with all channels": torch.tensor(torch.nan)}, None
    return seen, error


def _has_other_sizes(seen: Trace, wanted: Trace) -> bool:
    """Whether a block gets images of another size. How many channels there are does not change that."""
    return any(seen[key].shape[2:] != wanted[key].shape[2:] for key in seen if "layer" in key)


@torch.no_grad()
def _gives_wanted_logits(model: nn.Module) -> bool:
    set_weights(model)
    try:
        return same(snapshot(tensor(model(images()))), wanted_logits())
    except Exception:
        return False


@torch.no_grad()
def _require_batch_of_one(model: nn.Module) -> None:
    got, wanted = tuple(tensor(model(images()[:1])).shape), (1, CLASSES)
    if got != wanted:
        rows = (("Tried", "one image"), ("Expected", f"shape {wanted}"), ("Got", f"shape {got}"))
        raise Wrong("one-image-squeezed", rows)


@torch.no_grad()
def _require_no_chance(model: nn.Module) -> None:
    """Raises Wrong where the logits are others each time in train mode, as with dropout."""
    model.train()
    x = images()[..., :40]  # smaller, to be quick
    first, second = (tensor(model(x)) for _ in range(2))
    model.eval()
    if not torch.equal(first, second):
        rows = (("Tried", "the same images twice, in train mode"), ("Got", "other logits"))
        raise Wrong("chance-in-train-mode", rows)


def _require_all_stages(seen: Trace, wanted: Trace) -> None:
    labels = list(wanted)
    for label in labels[: max(map(labels.index, seen), default=0)]:
        if "layer" in label:
            require("block-unused", label, "images", "images" if label in seen else "nothing")


def _require_bottleneck(seen: Trace, wanted: Trace, error: Evidence) -> None:
    """Say so where the first thing that is wrong comes out of a block of the first stage, in the right
    shape or with an error: whatever is wrong with the stages, such a block is the same. Raises Wrong.
    """
    labels, last = list(wanted), list(seen)[-1] if seen else ""
    blocks = STAGES["layer1"][0]
    difference = first_difference(seen, wanted)
    if difference and last in labels[1 : 1 + blocks]:
        rows = difference if seen[last].shape == wanted[last].shape else ()
    else:
        rows = error if not difference and last in labels[:blocks] else ()
    if rows:
        raise Wrong("bottleneck-is-wrong", rows)


def _require_stages(model: nn.Module) -> None:
    """Say what is wrong with the stages, rather than that keys are missing. Raises Wrong."""
    require_names(model, model._modules, dict.fromkeys(PARTS))
    if isinstance(model.bn1, nn.BatchNorm2d):
        options = model.bn1.eps, model.bn1.momentum
        require("batch-norm-options", "eps and momentum of bn1", (1e-5, 0.1), options)
    stages = {stage: list(getattr(model, stage)._modules.values()) for stage in STAGES}
    numbers, widths = zip(*STAGES.values(), strict=True)
    got = _listed(map(len, stages.values()))
    require("wrong-number-of-blocks", "blocks in the stages", _listed(numbers), got)
    found = [getattr(getattr(s[0], "conv2", None), "out_channels", None) for s in stages.values()]
    if None not in found:
        require("widths", "channels inside the blocks", _listed(widths), _listed(found))
    for stage, (number, width) in STAGES.items():
        require_blocks(stages[stage], number, width, stage)
    _require_projections(stages)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _require_projections(stages: dict[str, list[nn.Module]]) -> None:
    problems = {s: projection_problem(blocks[0], f"{s}.0") for s, blocks in stages.items()}
    found = [problem for problem in problems.values() if problem]
    if len(found) == 1 and problems["layer1"] and found[0].mistake == "projection-missing":
        raise Wrong("projection-only-with-stride", found[0].evidence)
    if found:
        raise found[0]
    for stage, blocks in stages.items():
        for place, block in enumerate(blocks[1:], 1):
            _require_identity(block, f"{stage}.{place}", 4 * STAGES[stage][1])


def _require_identity(block: nn.Module, name: str, channels: int) -> None:
    if not any(key.startswith("downsample.") for key in block.state_dict()):
        return
    rows = (("Looked at", name), ("Expected", "an identity shortcut"), ("Got", "a projection"))
    if any(getattr(m, "stride", 1) in (2, (2, 2)) for m in block.modules()):
        raise Wrong("stride-in-every-block", rows)
    if getattr(block.conv1, "in_channels", None) == channels:
        raise Wrong("projection-always", rows)


def _require_keys_and_shapes(model: nn.Module, num_classes: int) -> None:
    """The keys and shapes of torchvision's. Raises Wrong."""
    wanted = shapes(num_classes)
    own = {key: value.shape for key, value in model.state_dict().items()}
    missing = [key for key in wanted if key not in own]
    further = [key for key in own if key not in wanted]
    if missing:
        found = f"{len(missing)} names, the first is {missing[0]}"
        rows = (("Missing", found), ("In their place", further[0] if further else "nothing"))
        raise Wrong("missing-keys", rows)
    if further:
        rows = (("Not in torchvision's", f"{len(further)} names, the first is {further[0]}"),)
        only_biases = all(key.endswith(".bias") for key in further)
        raise Wrong("bias" if only_biases else "other-modules", rows)
    for key, shape in wanted.items():
        name = _wrong_shape(key, shape, own[key])
        require(name, f"shape of {key}", tuple(shape), tuple(own[key]))


def _wrong_shape(key: str, wanted: torch.Size, got: torch.Size) -> str:
    """What it means that the weight of this name has not the wanted shape."""
    if key.startswith("fc") and got[0] != wanted[0]:
        return "num-classes-ignored"
    if key == "fc.weight":
        return "in-features"
    if got[2:] != wanted[2:]:
        return "stem-kernel" if key == "conv1.weight" else "bottleneck-is-wrong"
    return "in-channels" if got[:1] == wanted[:1] else "wrong-shape"


resnet50 = Check(
    signature="ResNet50(num_classes=1000)",
    reference=_ResNet50,
    observe=_observe,
    cases={
        f"ResNet50(num_classes={CLASSES}) with random weights, in eval mode, images of shape {IMAGES}": (
            CLASSES
        ),
        "ResNet50()": None,
    },
    said={**beside(__file__), **SAID},
)
