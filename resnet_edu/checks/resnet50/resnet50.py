"""Task 5.3: the whole ResNet-50."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.checks.block import make_lazy_modules, require_names
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import (
    Evidence,
    See,
    first_difference,
    same,
    same_everywhere,
    snapshot,
    tensor,
    wrong_type,
)
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.resnet50.blocks import SEE_5_1, projection_problem, require_blocks
from resnet_edu.checks.resnet50.narrow import (
    CLASSES,
    IMAGES,
    STAGES,
    NoRandomWeights,
    Trace,
    images,
    narrow_network,
    set_weights,
    shapes,
    trace,
    wanted_logits,
    wanted_trace,
)

PARTS = ("conv1", "bn1", *STAGES, "fc")

Step = Callable[[Any, Tensor], Tensor]
"""What is done to images or features, with the modules of a network."""


class _Version(nn.Module):
    """Where one of these is the answer, nothing is asked but what it computes."""

    def __init__(self, stem: Step, strides: Sequence[int], head: Step, early: bool) -> None:
        super().__init__()
        self.stem, self.strides, self.head, self.early = stem, strides, head, early

    def forward(self, x: Tensor) -> Tensor:
        net: Any = narrow_network()
        x = self.stem(net, x)
        for stage, stride in zip(STAGES, self.strides, strict=True):
            block = net.get_submodule(f"{stage}.0")
            first, second = (stride, 1) if self.early else (1, stride)
            block.conv1.stride, block.conv2.stride = (first, first), (second, second)
            block.downsample[0].stride = (stride, stride)
            x = net.get_submodule(stage)(x)
        return self.head(net, x)


def _stem(net: Any, x: Tensor) -> Tensor:
    return net.maxpool(F.relu(net.bn1(net.conv1(x))))


def _head(net: Any, x: Tensor) -> Tensor:
    return net.fc(x.mean((2, 3)))


def _version(
    *,
    stem: Step = _stem,
    strides: Sequence[int] = (1, 2, 2, 2),
    head: Step = _head,
    early: bool = False,
) -> Answer:
    """The narrow network with another stem or head, or with other strides. `early`: in the first 1x1."""

    def ResNet50(num_classes: int = 1000) -> nn.Module:  # noqa: ARG001, N802
        return _Version(stem, strides, head, early)

    return ResNet50


_reference = _version()


def _conv(net: Any, x: Tensor, stride: int = 2, padding: int = 3) -> Tensor:
    """The stem up to its pool, with another convolution."""
    return F.relu(net.bn1(F.conv2d(x, net.conv1.weight, None, stride, padding)))


def _pool(pool: Callable[[Tensor], Tensor]) -> Answer:
    return _version(stem=lambda net, x: pool(_conv(net, x)))


# Looking at an answer


def _observe(answer: Answer, num_classes: int | None, see: See) -> None:
    wanted, _ = (
        wanted_trace(),
        wanted_logits(),
    )  # at the first call, while nobody's time is measured
    with NoRandomWeights():
        model = answer() if num_classes is None else answer(num_classes)
        if not issubclass(type(model), nn.Module):
            raise wrong_type(model, "an nn.Module")
        make_lazy_modules(model.eval(), images())
    if not isinstance(model, _Version):
        _require_stages(model)
        _require_keys_and_shapes(model, num_classes or 1000)
    if not num_classes:
        return
    if isinstance(model, _Version):
        seen, error = trace(model, narrow_network(), wanted)
    else:
        seen, error = _trace(model, wanted)
    for label, value in seen.items():
        see(label, value)
    if error:
        raise error


def _trace(model: nn.Module, wanted: Trace) -> tuple[Trace, Exception | None]:
    """As for a narrow network, where the whole one is not right."""
    set_weights(model, narrow=True)
    seen, error = trace(model, model, wanted)
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
    shape = tuple(tensor(model(images()[:1])).shape)
    if shape != (1, CLASSES):
        raise Wrong(
            "one-image-squeezed",
            "Given one image, the network loses the first dimension. A `squeeze` takes away every "
            "dimension of size 1, also that of the images.",
            (
                ("Tried", "one image"),
                ("Expected", f"shape {(1, CLASSES)}"),
                ("Got", f"shape {shape}"),
            ),
        )


def _require_all_stages(seen: Trace, wanted: Trace) -> None:
    labels = list(wanted)
    for label in labels[: max(map(labels.index, seen), default=0)]:
        if label not in seen and "layer" in label:
            raise Wrong(
                "block-unused",
                "A stage or block is made, but `forward` does not send the images through it. Its "
                "weights are loaded and counted, and change no answer.",
                (("Looked at", label), ("Expected", "images"), ("Got", "nothing")),
            )


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
        raise Wrong(
            "bottleneck-is-wrong",
            "Stem and stages are put together right, but a block gives something else than a bottleneck. "
            + SEE_5_1,
            rows,
        )


def _require_stages(model: nn.Module) -> None:
    """Say what is wrong with the stages, rather than that keys are missing. Raises Wrong."""
    require_names(model, model._modules, dict.fromkeys(PARTS))
    stages = {stage: list(getattr(model, stage)._modules.values()) for stage in STAGES}
    _require(
        "wrong-number-of-blocks",
        "The stages do not have the numbers of blocks of a ResNet-50. Published weights are then "
        "too many for some stage, or too few.",
        ("blocks in the stages", [n for n, _ in STAGES.values()], list(map(len, stages.values()))),
    )
    widths = [getattr(getattr(s[0], "conv2", None), "out_channels", None) for s in stages.values()]
    if None not in widths:
        _require(
            "widths",
            "The stages do not have a ResNet-50's widths. Where the image is halved the width "
            "doubles, so that a block costs the same in every stage; published weights have just "
            "these shapes.",
            ("channels inside the blocks", [width for _, width in STAGES.values()], widths),
        )
    for stage, (number, width) in STAGES.items():
        require_blocks(stages[stage], number, width, stage)
    _require_projections(stages)


def _require_projections(stages: dict[str, list[nn.Module]]) -> None:
    problems = {s: projection_problem(blocks[0], f"{s}.0") for s, blocks in stages.items()}
    found = [problem for problem in problems.values() if problem]
    if len(found) == 1 and problems["layer1"] and found[0].mistake == "projection-missing":
        raise Wrong(
            "projection-only-with-stride",
            "The first block of `layer1` has no projection. It has no stride, but its channels "
            "change, so its input cannot be added to what the branch gives.",
            found[0].evidence,
        )
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
        raise Wrong(
            "stride-in-every-block",
            "More than one block of a stage has the stride. The image is halved in each of them, "
            "and hardly anything of it is left for the last stages.",
            rows,
        )
    if getattr(block.conv1, "in_channels", None) == channels:
        raise Wrong(
            "projection-always",
            "A block that keeps the shape has a projection. Its input is then not handed on as it "
            "is, and published weights have no numbers for it.",
            rows,
        )


def _require_keys_and_shapes(model: nn.Module, num_classes: int) -> None:
    """The keys and shapes of torchvision's. Raises Wrong."""
    wanted = shapes(num_classes)
    own = {key: value.shape for key, value in model.state_dict().items()}
    if missing := [key for key in wanted if key not in own]:
        further = [key for key in own if key not in wanted]
        raise Wrong(
            "missing-keys",
            "Some weights do not have torchvision's names. Loading goes by name: they would find "
            "nothing, and stay random.",
            (
                ("Missing", f"{len(missing)} names, the first is {missing[0]}"),
                ("In their place", further[0] if further else "nothing"),
            ),
        )
    if further := [key for key in own if key not in wanted]:
        rows = (("Not in torchvision's", f"{len(further)} names, the first is {further[0]}"),)
        if all(key.endswith(".bias") for key in further):
            raise Wrong(
                "bias",
                "Convolutions have a bias. The batch norm after each takes the mean away, and any bias "
                "with it.",
                rows,
            )
        raise Wrong(
            "other-modules",
            "There are more modules with weights than a ResNet-50 has. Published weights have no "
            "numbers for them, so they would stay random.",
            rows,
        )
    for key, shape in wanted.items():
        if own[key] != shape:
            name, message = _wrong_shape(key, shape, own[key])
            rows = (
                ("Looked at", f"shape of {key}"),
                ("Expected", str(tuple(shape))),
                ("Got", str(tuple(own[key]))),
            )
            raise Wrong(name, message, rows)


def _wrong_shape(key: str, wanted: torch.Size, got: torch.Size) -> tuple[str, str]:
    if key.startswith("fc") and got[0] != wanted[0]:
        return (
            "num-classes-ignored",
            "The head gives another number of classes than `num_classes` says. Whoever wants ten "
            "classes gets logits for some that do not exist, or none for some that do.",
        )
    if key == "fc.weight":
        return (
            "in-features",
            "The head takes another number of features than the last block gives. The image goes "
            "through the whole network, and the last layer stops with an error.",
        )
    if key == "conv1.weight" and got[2:] != wanted[2:]:
        return (
            "stem-kernel",
            "The stem's kernel has another size, so published weights do not fit. Large images "
            "get a large first kernel; 3x3 belongs to the form for CIFAR-10.",
        )
    if got[2:] != wanted[2:]:
        return "bottleneck-is-wrong", f"A kernel of a block has another size. {SEE_5_1}"
    if got[:1] == wanted[:1]:
        return (
            "in-channels",
            "A block is told another number of channels than the block before it gives. It would "
            "stop with an error at the first image.",
        )
    return (
        "wrong-shape",
        "A weight has another shape than torchvision's. The tensor that comes under its name does not "
        "fit, so the weights cannot be loaded.",
    )


def _require(name: str, message: str, row: tuple[str, list[int], list[int]]) -> None:
    looked_at, wanted, got = row
    if got != wanted:
        raise Wrong(
            name,
            message,
            (
                ("Looked at", looked_at),
                ("Expected", ", ".join(map(str, wanted))),
                ("Got", ", ".join(map(str, got))),
            ),
        )


resnet50 = Check(
    signature="ResNet50(num_classes=1000)",
    reference=_reference,
    observe=_observe,
    cases={
        f"ResNet50(num_classes={CLASSES}) with random weights, in eval mode, images of shape {IMAGES}": (
            CLASSES
        ),
        "ResNet50()": None,
    },
    mistakes=(
        Mistake(
            "stem-without-relu",
            "There is no ReLU in the stem. Negative numbers then reach the first block, which in "
            "a ResNet-50 never gets any, so trained weights give other answers.",
            [_version(stem=lambda net, x: net.maxpool(net.bn1(net.conv1(x))))],
        ),
        Mistake(
            "stem-without-batch-norm",
            "The stem's batch norm is made but not used. The first block gets numbers at whatever "
            "level and scale the convolution gives, and weights that were loaded change no "
            "answer.",
            [
                _version(stem=lambda net, x: net.maxpool(F.relu(net.conv1(x)))),
                _version(stem=lambda net, x: net.maxpool(net.conv1(x))),
            ],
        ),
        Mistake(
            "stem-order",
            "The stem's layers come in another order. Weights load all the same, as no shape "
            "changes, and nothing tells you that the answers are others.",
            [
                _version(stem=lambda net, x: net.maxpool(net.bn1(F.relu(net.conv1(x))))),
                _version(stem=lambda net, x: F.relu(net.bn1(net.maxpool(net.conv1(x))))),
                _version(stem=lambda net, x: net.bn1(net.maxpool(F.relu(net.conv1(x))))),
            ],
        ),
        Mistake(
            "no-max-pool",
            "There is no max-pool in the stem: the stages work on images of twice the size. That "
            "is four times the work, and each kernel sees a smaller part of the image.",
            [
                _version(stem=_conv),
                _version(stem=lambda net, x: net.bn1(net.conv1(x))),
            ],
        ),
        Mistake(
            "pool-without-padding",
            "The stem's max-pool has no padding. A 3x3 window with a stride of 2 then loses the "
            "last row and column, and the image is no longer halved exactly.",
            [_pool(nn.MaxPool2d(3, 2))],
        ),
        Mistake(
            "pool-2x2",
            "The stem's max-pool has another window. Weights load without an error, but each "
            "number is the largest of other pixels, and the answers change.",
            [_pool(nn.MaxPool2d(2)), _pool(nn.MaxPool2d(2, 2, 1))],
        ),
        Mistake(
            "pool-stride",
            "The stem's max-pool has another stride, so the stages get maps of another size than "
            "the weights were trained on. (Left out, the stride is the size of the window.)",
            [
                _pool(nn.MaxPool2d(3, 1, 1)),
                _pool(nn.MaxPool2d(3)),
                _pool(nn.MaxPool2d(3, padding=1)),
            ],
        ),
        Mistake(
            "average-pool-in-stem",
            "The stem's pool takes means. An edge that one pixel saw is blurred where a maximum "
            "would keep it, and trained weights count on the maximum.",
            [
                _pool(nn.AvgPool2d(3, 2, 1)),
                _pool(nn.AvgPool2d(2)),
                _pool(nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
            ],
        ),
        Mistake(
            "pool-twice",
            "There are two max-pools in front of the stages. The maps are halved once too often, "
            "and fine detail is gone before the first block sees it.",
            [_version(stem=lambda net, x: net.maxpool(_stem(net, x)))],
        ),
        Mistake(
            "stem-without-stride",
            "The stem's convolution has no stride. All stages then get maps of at least twice the "
            "side: four times the work, with weights that were trained on smaller ones.",
            [
                _version(stem=lambda net, x: net.maxpool(_conv(net, x, stride=1))),
                _version(stem=lambda net, x: _conv(net, x, stride=1)),
            ],
        ),
        Mistake(
            "stem-padding",
            "The stem's convolution has another padding, so it no longer halves the image "
            "exactly. Weights load without an error, and meet maps of another size than in "
            "training.",
            [
                _version(stem=lambda net, x: net.maxpool(_conv(net, x, padding=0))),
                _version(stem=lambda net, x: net.maxpool(_conv(net, x, padding=1))),
                _version(stem=lambda net, x: net.maxpool(_conv(net, x, padding=2))),
            ],
        ),
        Mistake(
            "stride-on-first-1x1",
            "The stride is on the first 1x1 convolution of a block, which then skips three pixels "
            "of four, as in 2015. Shapes are the same, so torchvision's weights load without an "
            "error, and give wrong answers.",
            [_version(early=True)],
        ),
        Mistake(
            "stage-strides",
            "The stages do not halve the image where they should. No weight has another shape for "
            "that, so they load, and the kernels meet maps of another size than in training.",
            [_version(strides=s) for s in product((1, 2), repeat=4) if s != (1, 2, 2, 2)],
        ),
        Mistake(
            "no-average-pool",
            "The map in front of the head is flattened as a whole. How many numbers that gives "
            "depends on the image's size, and the head takes one for each channel.",
            [_version(head=lambda net, x: net.fc(x.flatten(1)))],
        ),
        Mistake(
            "fixed-pool",
            "The pool at the end has a window that does not fit every map: images may have any size, and "
            "need not be square. There is a pool that adapts to the map.",
            [
                _version(head=lambda net, x: net.fc(F.avg_pool2d(x, 7).flatten(1))),
                _version(head=lambda net, x: net.fc(F.avg_pool2d(x, 2).flatten(1))),
                _version(head=lambda net, x: net.fc(F.avg_pool2d(x, 3).flatten(1))),
                _version(head=lambda net, x: net.fc(F.avg_pool2d(x, 2, padding=1).flatten(1))),
                _version(head=lambda net, x: net.fc(F.adaptive_avg_pool2d(x, 7).flatten(1))),
            ],
        ),
        Mistake(
            "not-flattened",
            "The head gets the pooled map as it is, or flattened with the images among each "
            "other. It takes one row of features for each image, and stops at anything else.",
            [
                _version(head=lambda net, x: net.fc(F.adaptive_avg_pool2d(x, 1))),
                _version(head=lambda net, x: net.fc(F.adaptive_avg_pool2d(x, 1).flatten())),
                _version(head=lambda net, x: net.fc(x)),
            ],
        ),
        Mistake(
            "max-instead-of-mean",
            "In front of the head you take the largest number of each channel, or the sum. The "
            "head was trained on means: these are larger, and a sum grows with the image.",
            [
                _version(head=lambda net, x: net.fc(x.amax((2, 3)))),
                _version(head=lambda net, x: net.fc(x.sum((2, 3)))),
            ],
        ),
        Mistake(
            "softmax-inside",
            "There is a softmax at the end, or its logarithm. Others expect logits: the "
            "cross-entropy has a softmax of its own, and two in a row press all classes together.",
            [
                _version(head=lambda net, x: _head(net, x).softmax(1)),
                _version(head=lambda net, x: _head(net, x).log_softmax(1)),
                _version(head=lambda net, x: _head(net, x).softmax(0)),
            ],
        ),
        Mistake(
            "function-of-logits",
            "Logits go through one more function at the end. It squeezes them or cuts some off, "
            "and then the network can no longer say how sure it is.",
            [
                _version(head=lambda net, x: F.relu(_head(net, x))),
                _version(head=lambda net, x: _head(net, x).sigmoid()),
                _version(head=lambda net, x: _head(net, x).tanh()),
            ],
        ),
        Mistake(
            "classes-given-back",
            "You give back which class has the largest logit. A class number has no gradient, so "
            "this network cannot be trained, and nobody learns how sure it is.",
            [_version(head=lambda net, x: _head(net, x).argmax(1))],
        ),
        Mistake(
            "features-given-back",
            "Features come out, not logits: the head is made but not used. No number stands for a "
            "class then, and the head's weights are never trained.",
            [
                _version(head=lambda net, x: x.mean((2, 3))),  # noqa: ARG005
                _version(head=lambda net, x: x),  # noqa: ARG005
            ],
        ),
    ),
    places=(
        Place(
            "what reaches layer1.0",
            "stem-is-wrong",
            "What comes out of the stem is not right. Compare the convolution, the batch norm, the ReLU "
            "and the pool with the task, one by one.",
        ),
        Place(
            "what reaches layer",
            "stages-are-wrong",
            "The stem is right, and what comes out of a block further on is not. All behind it "
            "works with wrong numbers: what is the way to this block?",
        ),
        Place(
            "what reaches fc",
            "pool-is-wrong",
            "Stem and stages are right, and what reaches the head is not. It is the mean of each channel.",
        ),
        Place(
            "logits",
            "head-is-wrong",
            "All is right up to the head, and the logits are not. What does your `forward` do "
            "with what `fc` gives?",
        ),
    ),
)
