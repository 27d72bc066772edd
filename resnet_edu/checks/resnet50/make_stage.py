"""Task 5.2: a stage of bottlenecks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.checks.block import BlockCase, block_cases, observe_block
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, wrong_type
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.resnet50.blocks import SEE_5_1, projection_problem, require_blocks
from resnet_edu.checks.resnet50.bottleneck import bottleneck


def _make_stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    return _stage(in_channels, width, blocks, stride)


def _stage(
    in_channels: int,
    width: int,
    blocks: int,
    stride: int,
    *,
    channels: Callable[[int, int, int], int] = lambda i, w, place: 4 * w if place else i,
    strides: Callable[[int, int, int], int] = lambda s, place, left: 1 if place else s,  # noqa: ARG005
    block: Answer = Bottleneck,
) -> nn.Sequential:
    """The stage. What people get wrong are options: what each place is given, `left` from the end."""
    return nn.Sequential(
        *(
            block(
                channels(in_channels, width, place),
                width,
                strides(stride, place, blocks - 1 - place),
            )
            for place in range(blocks)
        )
    )


def _version(**options: Any) -> Answer:
    def make_stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        return _stage(in_channels, width, blocks, stride, **options)

    return make_stage


def _observe(answer: Answer, case: BlockCase, see: See) -> None:
    in_channels, width, blocks, stride = case[0]
    try:
        stage = answer(in_channels, width, blocks, stride)
    except (AttributeError, TypeError) as error:
        _require_no_slip(error)
        raise
    _require_sequential(stage)
    found = list(stage._modules.values())  # `children()` leaves out repeated ones
    require_blocks(found, blocks, width, "the stage")
    first = getattr(found[0].conv1, "in_channels", 0)
    if first not in (0, in_channels):  # 0: a lazy one
        raise Wrong(
            "in-channels-of-the-first",
            "The first block does not take `in_channels` channels. It gets what the stage before "
            "gives, and stops with an error if it is built for another number.",
            (
                ("Looked at", "channels into the first block"),
                ("Expected", str(in_channels)),
                ("Got", str(first)),
            ),
        )
    if (in_channels != 4 * width or stride != 1) and (problem := projection_problem(found[0], "0")):
        raise problem
    observe_block(_make_stage, answer, case, see)


def _require_no_slip(error: Exception) -> None:
    if "not a Module subclass" in str(error):
        raise Wrong(
            "list-not-unpacked",
            "You hand `nn.Sequential` one list. It takes modules, each as an argument of its own, "
            "and registers them; a list is none.",
            explain(error).evidence,
        )
    if "'int' object has no attribute" in str(error):
        raise Wrong(
            "name-hidden",
            "Inside this function `blocks` is a number, whatever it is outside: the parameter "
            "hides the other meaning of the name. A number has no classes to take from it.",
            explain(error).evidence,
        )


def _require_sequential(stage: object) -> None:
    if issubclass(type(stage), (list, tuple, nn.ModuleList)):
        raise Wrong(
            "not-a-sequential",
            "You give the blocks as a list. An `nn.Sequential` is a module: it hands what comes out of one "
            "block to the next, and can be called.",
            (("Expected", "nn.Sequential"), ("Got", type(stage).__name__)),
        )
    if not issubclass(type(stage), nn.Module):
        raise wrong_type(stage, "an nn.Sequential")
    names = list(stage._modules)
    numbers = list(map(str, range(len(names))))
    if set(names) != set(numbers):
        raise Wrong(
            "names-of-blocks",
            "The blocks do not have the names that an `nn.Sequential` gives by itself: the "
            "numbers from 0 on. Weights are loaded by name, and would find no place.",
            (("Expected", ", ".join(numbers)), ("Got", ", ".join(names))),
        )


make_stage = Check(
    signature="make_stage(in_channels, width, blocks, stride)",
    reference=_make_stage,
    observe=_observe,
    cases=block_cases(
        _make_stage,
        ((8, 4, 3, 2), (2, 8, 9, 7)),
        ((4, 4, 2, 1), (2, 4, 5, 6)),
        ((16, 4, 1, 1), (2, 16, 4, 4)),
    ),
    mistakes=(
        Mistake(
            "stride-in-every-block",
            "Every block of the stage has the stride, so the image is halved again and again. "
            "Three such blocks leave one pixel of 64, and little for the stages behind them.",
            [_version(strides=lambda s, place, left: s)],  # noqa: ARG005
        ),
        Mistake(
            "stride-ignored",
            "No block has the stride: the image keeps its size. The stages behind this one then "
            "work on four times the pixels, and each kernel sees a smaller part of the image.",
            [_version(strides=lambda s, place, left: 1)],  # noqa: ARG005
        ),
        Mistake(
            "stride-always-2",
            "The first block always halves the image, whatever `stride` says. A stage without a "
            "stride, as the first one of a ResNet, would lose three pixels of four.",
            [_version(strides=lambda s, place, left: 1 if place else 2)],  # noqa: ARG005
        ),
        Mistake(
            "stride-in-last-block",
            "Another block than the first has the stride. The blocks before it then work on four "
            "times the pixels, and it needs a projection of its own, for which published weights "
            "have no numbers.",
            [
                _version(strides=lambda s, place, left: 1 if left else s),  # noqa: ARG005
                _version(strides=lambda s, place, left: s if place == 1 else 1),  # noqa: ARG005
                _version(strides=lambda s, place, left: s if place else 1),  # noqa: ARG005
            ],
        ),
        Mistake(
            "in-channels-not-expanded",
            "The blocks after the first are told that `width` channels come in. More come out of "
            "a bottleneck than it has inside, so the second block stops with an error.",
            [_version(channels=lambda i, w, place: w if place else i)],
        ),
        Mistake(
            "in-channels-not-changed",
            "Every block is told that `in_channels` channels come in. That holds for the first "
            "one; the second gets what the first gives, and stops with an error.",
            [_version(channels=lambda i, w, place: i)],  # noqa: ARG005
        ),
        Mistake(
            "in-channels-multiplied",
            "You tell the blocks that the channels grow from one to the next. Each gives the same "
            "number, which follows from `width`, so a later block stops with an error.",
            [
                _version(channels=lambda i, w, place: i * 4**place),  # noqa: ARG005
                _version(channels=lambda i, w, place: 4 * i if place else i),  # noqa: ARG005
            ],
        ),
        Mistake(
            "bottleneck-is-wrong",
            f"The stage is put together right, but a block in it is not a right bottleneck. {SEE_5_1}",
            [
                _version(block=version)
                for mistake in bottleneck.mistakes
                if mistake.name != "stride-forgotten"  # looks like a stage that forgets it
                for version in mistake.versions
            ],
        ),
    ),
    places=(
        Place(
            "parameters that were not asked for",
            "further-projection",
            "A block after the first has weights on its shortcut: by its arguments, it changes "
            "the shape. The input is then not handed on as it is, and published weights have no "
            "numbers for it.",
        ),
        Place(
            "shape of",
            "wrong-shapes",
            "A block has weights of another shape. What comes in, what is inside, and what comes out?",
        ),
    ),
)
