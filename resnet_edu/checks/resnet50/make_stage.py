"""A stage of bottlenecks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.checks.block import BlockCase, block_cases, observe_block
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, require, wrong_type
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.resnet50.blocks import SAID, projection_problem, require_blocks
from resnet_edu.checks.resnet50.bottleneck import bottleneck
from resnet_edu.checks.text import beside


def _make_stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    out_channels = Bottleneck.expansion * width
    stage = nn.Sequential(Bottleneck(in_channels, width, stride))
    for _place in range(1, blocks):
        stage.append(Bottleneck(out_channels, width))
    return stage


def _of_wrong_blocks(versions: Sequence[Answer], number: int) -> Answer:
    def make_stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        block = versions[number]
        rest = (block(Bottleneck.expansion * width, width) for _ in range(1, blocks))
        return nn.Sequential(block(in_channels, width, stride), *rest)

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
    if first:  # a lazy one has 0
        label = "channels into the first block"
        require("in-channels-of-the-first", label, in_channels, first)
    if (in_channels != 4 * width or stride != 1) and (problem := projection_problem(found[0], "0")):
        raise problem
    observe_block(_make_stage, answer, case, see)


def _require_no_slip(error: Exception) -> None:
    if "not a Module subclass" in str(error):
        raise Wrong("list-not-unpacked", explain(error).evidence)
    if "'int' object has no attribute" in str(error):
        raise Wrong("name-hidden", explain(error).evidence)


def _require_sequential(stage: object) -> None:
    kind = type(stage)
    if issubclass(kind, (list, tuple, nn.ModuleList)):
        raise Wrong("not-a-sequential", (("Expected", "nn.Sequential"), ("Got", kind.__name__)))
    if not issubclass(kind, nn.Module):
        raise wrong_type(stage, "an nn.Sequential")
    names = list(stage._modules)
    numbers = list(map(str, range(len(names))))
    if set(names) != set(numbers):
        rows = (("Expected", ", ".join(numbers)), ("Got", ", ".join(names)))
        raise Wrong("names-of-blocks", rows)


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
    said={**beside(__file__), **SAID},
    versions={
        "bottleneck-is-wrong": [
            _of_wrong_blocks(mistake.versions, number)
            for mistake in bottleneck.mistakes
            if mistake.name != "stride-forgotten"  # looks like a stage that forgets it
            for number in range(len(mistake.versions))
        ]
    },
)
