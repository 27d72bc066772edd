"""The size of what a convolution gives."""

from __future__ import annotations

from typing import Any

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, as_call, whole_number
from resnet_edu.checks.text import beside


def _conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    room = size + 2 * padding - kernel_size
    steps = room // stride
    return steps + 1


def _observe(answer: Answer, case: tuple[Any, ...], see: See) -> None:
    see("result", whole_number(answer(*case)))


conv_output_size = Check(
    signature="conv_output_size(size, kernel_size, stride=1, padding=0)",
    reference=_conv_output_size,
    observe=_observe,
    cases={
        as_call(_conv_output_size, case): case
        for case in (
            (32, 3),
            (32, 3, 1, 1),
            (224, 7, 2, 3),
            (8, 2, 2),
            (11, 4, 3, 2),
            (7, 3, 3),
            (10, 5, 4, 1),
            (9, 1, 2),
            (5, 5),
        )
    },
    said=beside(__file__),
)
