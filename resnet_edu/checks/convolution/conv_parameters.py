"""How many numbers a convolution learns."""

from __future__ import annotations

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, as_call, whole_number
from resnet_edu.checks.text import beside


def _conv_parameters(in_channels: int, out_channels: int, kernel_size: int, bias: bool) -> int:
    weights = out_channels * in_channels * kernel_size**2
    biases = out_channels if bias else 0
    return weights + biases


def _observe(answer: Answer, case: tuple[int, int, int, bool], see: See) -> None:
    see("result", whole_number(answer(*case)))


conv_parameters = Check(
    signature="conv_parameters(in_channels, out_channels, kernel_size, bias)",
    reference=_conv_parameters,
    observe=_observe,
    cases={
        as_call(_conv_parameters, case): case
        for case in (
            (3, 16, 3, False),
            (3, 16, 3, True),
            (64, 128, 1, True),
            (5, 7, 5, True),
            (16, 4, 7, False),
        )
    },
    said=beside(__file__),
)
