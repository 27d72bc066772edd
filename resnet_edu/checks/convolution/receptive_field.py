"""How many pixels of the image one pixel of the output sees, along one axis."""

from __future__ import annotations

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, as_call, whole_number
from resnet_edu.checks.text import beside


def _receptive_field(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump *= stride
    return field


def _observe(answer: Answer, layers: list[tuple[int, int]], see: See) -> None:
    given = list(layers)
    see("result", whole_number(answer(given)))
    see("layers, afterwards", str(given))


receptive_field = Check(
    signature="receptive_field(layers)",
    reference=_receptive_field,
    observe=_observe,
    cases={
        as_call(_receptive_field, [layers]): layers
        for layers in (
            [(3, 1)],
            [(3, 1), (3, 1)],
            [(3, 2), (3, 1)],
            [(3, 1), (3, 2)],
            [(5, 2), (3, 3), (2, 1)],
            [(1, 2), (3, 1), (1, 1)],
            [(7, 2), (3, 2), (3, 1), (3, 2), (3, 1)],
            [],
        )
    },
    said=beside(__file__),
)
