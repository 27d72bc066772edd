"""The checks of exercise sheet 01: convolution blocks.

For each task: the reference, the cases it is tried on, and the known mistakes.
"""

# ruff: noqa: ARG005 - a wrong version takes all arguments, and may well ignore some

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import ConvBlock
from resnet_edu.checks.block import block_cases, observe_block, see_gradients, variant
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, as_call, tensor, whole_number


def _calls(function: Answer, *cases: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    return {as_call(function, case): case for case in cases}


def _observe_number(answer: Answer, case: tuple[Any, ...], see: See) -> None:
    see("result", whole_number(answer(*case)))


# Task 1.1


def _conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    return (size + 2 * padding - kernel_size) // stride + 1


conv_output_size = Check(
    signature="conv_output_size(size, kernel_size, stride=1, padding=0)",
    reference=_conv_output_size,
    observe=_observe_number,
    cases=_calls(
        _conv_output_size,
        (32, 3),
        (32, 3, 1, 1),
        (224, 7, 2, 3),
        (8, 2, 2),
        (11, 4, 3, 2),
        (7, 3, 3),
        (10, 5, 4, 1),
        (9, 1, 2),
        (5, 5),
    ),
    mistakes=(
        Mistake(
            "no-floor",
            "Your result can be a fraction of a pixel, and no image has one. Where the last step of the "
            "kernel would take it over the edge, the step is not made.",
            [lambda n, k, s=1, p=0: (n + 2 * p - k) / s + 1],
        ),
        Mistake(
            "returns-float",
            "The number is right, but it is a float. A size counts pixels: PyTorch refuses a float "
            "where it wants a size.",
            [lambda n, k, s=1, p=0: float((n + 2 * p - k) // s + 1)],
        ),
        Mistake(
            "rounded-up",
            "You round up. A step that would move the kernel over the edge is not made, so the pixels "
            "left over at the end are not counted.",
            [lambda n, k, s=1, p=0: math.ceil((n + 2 * p - k) / s) + 1],
        ),
        Mistake(
            "rounded-to-nearest",
            "You round to the nearest number. A step that would move the kernel over the edge is not "
            "made, however little is missing.",
            [
                lambda n, k, s=1, p=0: round((n + 2 * p - k) / s) + 1,
                lambda n, k, s=1, p=0: round((n + 2 * p - k) / s + 1),
                lambda n, k, s=1, p=0: int((n + 2 * p - k) / s + 1.5),
            ],
        ),
        Mistake(
            "no-plus-one",
            "You count how often the kernel moves. It also gives a pixel where it stands before the "
            "first move.",
            [lambda n, k, s=1, p=0: (n + 2 * p - k) // s],
        ),
        Mistake(
            "plus-one-too-early",
            "The one is added before the division by the stride. It stands for the kernel's first "
            "place, and that is one pixel at any stride.",
            [
                lambda n, k, s=1, p=0: (n + 2 * p - k + 1) // s,
                lambda n, k, s=1, p=0: (n + 2 * p - k + 1) / s,
            ],
        ),
        Mistake(
            "padding-once",
            "The padding is counted once, but each row is padded at both of its ends. By your count, a "
            "3x3 convolution with a padding of 1 would lose a pixel at stride 1: it keeps the size.",
            [lambda n, k, s=1, p=0: (n + p - k) // s + 1],
        ),
        Mistake(
            "padding-ignored",
            "The padding changes nothing in your result. It gives the kernel more room to move in: that "
            "is how a layer can look at an image without making it smaller.",
            [lambda n, k, s=1, p=0: (n - k) // s + 1],
        ),
        Mistake(
            "padding-subtracted",
            "Your padding makes the output smaller. It is added around the image and gives the kernel "
            "more room, so that a layer need not lose pixels at the edge.",
            [lambda n, k, s=1, p=0: (n - 2 * p - k) // s + 1],
        ),
        Mistake(
            "padding-after-stride",
            "The padding is added after the division by the stride. The kernel walks over the padding "
            "in the same steps as over the image.",
            [lambda n, k, s=1, p=0: (n - k) // s + 2 * p + 1],
        ),
        Mistake(
            "stride-ignored",
            "The stride changes nothing in your result. At stride 2 the kernel makes half as many "
            "steps: that is how a network halves its images.",
            [lambda n, k, s=1, p=0: n + 2 * p - k + 1],
        ),
        Mistake(
            "only-stride",
            "Your result depends on the size and the stride alone, as if the padding always made up for "
            "the kernel. Here the padding is given, and may be none.",
            [
                lambda n, k, s=1, p=0: math.ceil(n / s),
                lambda n, k, s=1, p=0: n // s,
            ],
        ),
        Mistake(
            "kernel-off-by-one",
            "You are one kernel pixel out. At stride 1, a kernel as large as the image fits exactly "
            "once, and by your count it does not: try it on paper.",
            [
                lambda n, k, s=1, p=0: (n + 2 * p - (k - 1)) // s + 1,
                lambda n, k, s=1, p=0: (n + 2 * p - k - 1) // s + 1,
            ],
        ),
        Mistake(
            "kernel-ignored",
            "The kernel's size changes nothing in your result. A larger kernel has less room to move "
            "in: without padding, one of 7x7 loses six pixels and one of 3x3 only two.",
            [
                lambda n, k, s=1, p=0: (n + 2 * p - 1) // s + 1,
                lambda n, k, s=1, p=0: (n + 2 * p) // s + 1,
                lambda n, k, s=1, p=0: (n + 2 * p) // s,
            ],
        ),
    ),
)


# Task 1.2


def _conv_parameters(in_channels: int, out_channels: int, kernel_size: int, bias: bool) -> int:
    return out_channels * (in_channels * kernel_size**2 + bias)


conv_parameters = Check(
    signature="conv_parameters(in_channels, out_channels, kernel_size, bias)",
    reference=_conv_parameters,
    observe=_observe_number,
    cases=_calls(
        _conv_parameters,
        (3, 16, 3, False),
        (3, 16, 3, True),
        (64, 128, 1, True),
        (5, 7, 5, True),
        (16, 4, 7, False),
    ),
    mistakes=(
        Mistake(
            "kernel-not-squared",
            "Your count grows too slowly with the kernel. One of 3x3 has nine numbers and one of 7x7 "
            "has 49: large kernels would look far cheaper to you than they are.",
            [
                lambda i, o, k, b: i * o * k + b * o,
                lambda i, o, k, b: i * o * 2 * k + b * o,
            ],
        ),
        Mistake(
            "bias-forgotten",
            "With a bias your count is the same as without. Biases are parameters too: training changes "
            "them, and they are saved with the weights.",
            [lambda i, o, k, b: i * o * k * k],
        ),
        Mistake(
            "bias-always",
            "Without a bias your count is the same as with one. In front of batch norm a convolution "
            "has none, so your count of a whole ResNet would be too large.",
            [lambda i, o, k, b: i * o * k * k + o],
        ),
        Mistake(
            "bias-reversed",
            "You add the biases where there are none, and leave them out where there are some. So your "
            "count never agrees with what PyTorch makes, with a bias or without.",
            [lambda i, o, k, b: i * o * k * k + (not b) * o],
        ),
        Mistake(
            "bias-per-input-channel",
            "You count one bias for each channel that goes in. A bias is added to a sum, when all the "
            "channels that go in have been summed.",
            [lambda i, o, k, b: i * o * k * k + b * i],
        ),
        Mistake(
            "bias-only-one",
            "You count one bias for the whole convolution. Each channel that comes out has its own, so "
            "that it can be moved up or down by itself.",
            [lambda i, o, k, b: i * o * k * k + b],
        ),
        Mistake(
            "bias-per-kernel",
            "You count one bias for each pair of channels. The bias is added once, after the sum over "
            "the channels that go in.",
            [lambda i, o, k, b: i * o * (k * k + b)],
        ),
        Mistake(
            "bias-per-weight",
            "You count as many biases as weights. A bias is added to a finished sum, not to each of its "
            "terms.",
            [lambda i, o, k, b: i * o * k * k * (1 + b), lambda i, o, k, b: o * (i + b) * k * k],
        ),
        Mistake(
            "in-channels-forgotten",
            "Your count does not grow with the channels that go in. Each channel that comes out looks at "
            "all of them, with other weights for each.",
            [lambda i, o, k, b: o * k * k + b * o],
        ),
        Mistake(
            "out-channels-forgotten",
            "Your weights do not grow with the channels that come out. Each of those has weights of its "
            "own.",
            [
                lambda i, o, k, b: i * k * k + b * o,
                lambda i, o, k, b: i * k * k + b,
            ],
        ),
        Mistake(
            "channels-added",
            "You add the two numbers of channels. Each channel that comes out has a kernel for each "
            "channel that goes in: count the pairs.",
            [lambda i, o, k, b: (i + o) * k * k + b * o],
        ),
    ),
)


# Task 1.3


def _receptive_field(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump *= stride
    return field


def _observe_receptive_field(answer: Answer, layers: list[tuple[int, int]], see: See) -> None:
    given = list(layers)
    see("result", whole_number(answer(given)))
    see("layers, afterwards", str(given))


def _stride_too_early(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        jump *= stride
        field += (kernel_size - 1) * jump
    return field


def _one_stride_only(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump = stride
    return field


def _strides_added(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump += stride
    return field


def _strides_added_less_one(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * jump
        jump += stride - 1
    return field


def _kernel_not_less_one(layers: list[tuple[int, int]], field: int = 1) -> int:
    jump = 1
    for kernel_size, stride in layers:
        field += kernel_size * jump
        jump *= stride
    return field


def _back_to_front(layers: list[tuple[int, int]]) -> int:
    field = 1
    for kernel_size, stride in layers:
        field = (field - 1) * stride + kernel_size
    return field


receptive_field = Check(
    signature="receptive_field(layers)",
    reference=_receptive_field,
    observe=_observe_receptive_field,
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
    mistakes=(
        Mistake(
            "strides-ignored",
            "The strides change nothing in your result. After a layer of stride 2, neighbours in its "
            "output are two pixels apart in the image, so later layers reach further.",
            [lambda layers: 1 + sum(k - 1 for k, _ in layers)],
        ),
        Mistake(
            "stride-too-early",
            "A layer's stride already widens its own kernel. The kernel walks over what comes in; the "
            "stride only sets how far apart the next layer's inputs are.",
            [_stride_too_early],
        ),
        Mistake(
            "one-stride-only",
            "Each layer feels only one stride. Strides pile up: after two layers of stride 2, neighbours "
            "are four pixels apart in the image.",
            [
                _one_stride_only,
                lambda layers: 1 + sum((k - 1) * s for k, s in layers),
            ],
        ),
        Mistake(
            "strides-added",
            "You add the strides up. Every second of every second pixel is every fourth: think again "
            "how distances combine.",
            [_strides_added, _strides_added_less_one],
        ),
        Mistake(
            "kernel-not-less-one",
            "Each layer adds too much. One pixel of its kernel lies where you already were; only the "
            "others reach further.",
            [_kernel_not_less_one, partial(_kernel_not_less_one, field=0)],
        ),
        Mistake(
            "starts-from-zero",
            "Your window is one pixel too narrow. Before the first layer a pixel already sees itself, "
            "and each layer only adds to that.",
            [lambda layers: _receptive_field(layers) - 1],
        ),
        Mistake(
            "kernels-multiplied",
            "You multiply the kernels' sizes. Try it on paper: three pixels that each look at three "
            "overlap in what they see.",
            [lambda layers: math.prod(k for k, _ in layers)],
        ),
        Mistake(
            "back-to-front",
            "You go through the layers in the direction opposite to the one your rule is made for. A "
            "stride widens only what the layers after it see, so the order changes the result.",
            [_back_to_front, lambda layers: _receptive_field(layers[::-1])],
        ),
        Mistake(
            "no-layers",
            "An empty list of layers is not handled. The output is then the image itself, and whoever "
            "measures a network layer by layer begins there: what does one of its pixels see?",
            [
                lambda layers: _receptive_field(layers) if layers else 0,
                lambda layers: _receptive_field(layers) if layers[0] else 0,
            ],
        ),
    ),
)


# Task 1.4

PER_CHANNEL = (0, 2, 3)


def _batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    return _affine(_normalised(x, eps), gamma, beta)


def _normalised(
    x: Tensor, eps: float, over: tuple[int, ...] = PER_CHANNEL, correction: int = 0
) -> Tensor:
    mean = x.mean(over, keepdim=True)
    variance = x.var(over, correction=correction, keepdim=True)
    return (x - mean) / (variance + eps).sqrt()


def _affine(normalised: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return _by_channel(gamma) * normalised + _by_channel(beta)


def _by_channel(vector: Tensor) -> Tensor:
    return vector[:, None, None]  # (C, 1, 1): meets the channels of (N, C, H, W)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(PER_CHANNEL, keepdim=True)


def _variance(x: Tensor) -> Tensor:
    return x.var(PER_CHANNEL, correction=0, keepdim=True)


def _detached(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(PER_CHANNEL, keepdim=True).detach()
    return _affine(centred / (_variance(x).detach() + eps).sqrt(), gamma, beta)


def _in_place(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    root = (_variance(x) + eps).sqrt()
    x -= x.mean(PER_CHANNEL, keepdim=True)
    return _affine(x / root, gamma, beta)


def _observe_batch_norm(
    answer: Answer, case: tuple[tuple[int, ...], float, tuple[float, ...]], see: See
) -> None:
    shape, size, eps = case
    channels = shape[1]
    numbers = torch.Generator().manual_seed(channels)
    leaves = {
        "x": size * _images(shape, numbers),
        "gamma": torch.randn(channels, generator=numbers),
        "beta": torch.randn(channels, generator=numbers),
    }
    given = [leaf.requires_grad_().clone() for leaf in leaves.values()]  # may be changed in place
    result = tensor(answer(*given, *eps))
    see("result", result)
    for name, value in zip(leaves, given, strict=True):
        see(f"{name}, afterwards", value)
    if size:  # where all is zero, some right ways to write it have no gradient
        weights = torch.randn(result.shape, generator=numbers)
        see_gradients((result * weights).sum(), leaves, see)


def _images(shape: tuple[int, ...], numbers: torch.Generator) -> Tensor:
    """Numbers whose mean and spread differ from image to image and from channel to channel."""
    offset, scale = torch.rand(2, *shape[:2], 1, 1, generator=numbers)
    return torch.randn(shape, generator=numbers) * (0.5 + scale) + 3 * offset


batch_norm = Check(
    signature="batch_norm(x, gamma, beta, eps=1e-5)",
    reference=_batch_norm,
    observe=_observe_batch_norm,
    cases={
        "x of shape (4, 3, 5, 6), gamma, beta": ((4, 3, 5, 6), 1, ()),
        "x of shape (2, 4, 3, 4), gamma, beta": ((2, 4, 3, 4), 1, ()),
        "x of shape (1, 2, 4, 5), gamma, beta, eps=0.1": ((1, 2, 4, 5), 1, (0.1,)),
        "x of shape (6, 5, 1, 1), gamma, beta": ((6, 5, 1, 1), 1, ()),
        "x of shape (3, 2, 2, 2) with tiny numbers, gamma, beta": ((3, 2, 2, 2), 0.002, ()),
        "x of shape (2, 2, 3, 2) with zeros alone, gamma, beta": ((2, 2, 3, 2), 0, ()),
    },
    mistakes=(
        Mistake(
            "unbiased-variance",
            "Your variance divides by one less than the number of values, as `var` and `std` do by "
            "default. Batch norm divides by the number itself; yours leaves a spread below 1, and most "
            "so where the values are few.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps, correction=1), g, b)],
        ),
        Mistake(
            "statistics-per-pixel",
            "You take mean and variance for each pixel, over the images alone. A channel is the same "
            "filter at every place; yours is scaled anew at each, so the same edge no longer counts the "
            "same everywhere.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps, (0,)), g, b)],
        ),
        Mistake(
            "statistics-per-image",
            "You take mean and variance for each image alone, which is instance norm. Every image then "
            "leaves with the same mean and spread, and it is lost which of them answered strongly to "
            "the filter.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps, (2, 3)), g, b)],
        ),
        Mistake(
            "statistics-over-channels",
            "Your mean and variance mix the channels, as layer norm does. A filter that gives large "
            "numbers then presses down those of all the others: one badly scaled channel spoils the "
            "rest.",
            [
                lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps, (1, 2, 3)), g, b),
                lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps, (1,)), g, b),
            ],
        ),
        Mistake(
            "statistics-over-everything",
            "You take one mean and one variance of all the numbers. So a channel that is badly scaled "
            "stays so, and it presses down the numbers of all the others.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps, (0, 1, 2, 3)), g, b)],
        ),
        Mistake(
            "eps-outside-root",
            "You add eps to the standard deviation. It matters where the variance is next to nothing: "
            "there you divide by 0.00001 and not by 0.003, and rounding errors come out 300 times as "
            "large.",
            [lambda x, g, b, eps=1e-5: _affine(_centred(x) / (_variance(x).sqrt() + eps), g, b)],
        ),
        Mistake(
            "divided-by-variance",
            "You divide by the variance. A channel with numbers ten times as large then comes out ten "
            "times as small, where every channel should leave with a spread of 1.",
            [lambda x, g, b, eps=1e-5: _affine(_centred(x) / (_variance(x) + eps), g, b)],
        ),
        Mistake(
            "eps-missing",
            "A channel in which all values are equal gives NaN: its variance is zero. One NaN makes the "
            "loss NaN, and after the next step the weights. This is what eps is for.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, 0), g, b)],
        ),
        Mistake(
            "eps-fixed",
            "Your eps is always the same: the one that was given has no effect. Whoever sets it, to "
            "compute what another library computes, gets other numbers and no error.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, 1e-5), g, b)],
        ),
        Mistake(
            "not-divided",
            "The mean is taken away, but the spread stays as it was. So a badly scaled layer stays "
            "badly scaled, and over many layers the numbers still grow, or shrink to nothing.",
            [lambda x, g, b, eps=1e-5: _affine(_centred(x), g, b)],
        ),
        Mistake(
            "mean-not-subtracted",
            "The spread is set, but the mean stays in. A channel far above zero then passes the ReLU "
            "whole, and one far below is lost in it: neither is bent.",
            [lambda x, g, b, eps=1e-5: _affine(x / (_variance(x) + eps).sqrt(), g, b)],
        ),
        Mistake(
            "gamma-beta-swapped",
            "gamma and beta have changed places: one is a factor, the other is added. At their start, "
            "gamma 1 and beta 0, every channel would be 1, whatever the image shows.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps), b, g)],
        ),
        Mistake(
            "gamma-missing",
            "gamma changes nothing in your result. It lets the network choose each channel's spread anew.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps), torch.ones_like(g), b)],
        ),
        Mistake(
            "beta-missing",
            "beta changes nothing in your result. It lets the network choose each channel's mean anew.",
            [lambda x, g, b, eps=1e-5: _affine(_normalised(x, eps), g, torch.zeros_like(b))],
        ),
        Mistake(
            "gamma-and-beta-missing",
            "You normalise, but gamma and beta change nothing. They let the network choose each "
            "channel's spread and mean anew.",
            [lambda x, g, b, eps=1e-5: _normalised(x, eps)],
        ),
        Mistake(
            "beta-scaled",
            "You add beta before you multiply by gamma, so that gamma scales beta too. When training "
            "changes a channel's spread, its mean moves along, though there are two numbers to set the "
            "two apart.",
            [lambda x, g, b, eps=1e-5: (_normalised(x, eps) + _by_channel(b)) * _by_channel(g)],
        ),
        Mistake(
            "gamma-along-width",
            "gamma and beta have one number for each channel, but they meet the last dimension, the "
            "width: PyTorch lines up shapes from the right. It stops with an error, or, where the two "
            "are equal, scales columns of the image.",
            [lambda x, g, b, eps=1e-5: g * _normalised(x, eps) + b],
        ),
        Mistake(
            "statistics-detached",
            "The values are right, the gradients are not. Mean and variance are made of x, and the "
            "gradient flows through them as well: something cuts them off from autograd.",
            [
                _detached,
                lambda x, g, b, eps=1e-5: _affine(
                    (x - x.mean(PER_CHANNEL, keepdim=True)) / (_variance(x).detach() + eps).sqrt(),
                    g,
                    b,
                ),
                lambda x, g, b, eps=1e-5: _batch_norm(x.detach(), g, b, eps),
                lambda x, g, b, eps=1e-5: _batch_norm(x, g, b, eps).detach(),
            ],
        ),
        Mistake(
            "gamma-and-beta-detached",
            "The values are right, but gamma and beta get no gradient, so they could never be learned. "
            "Something cuts them off from autograd: a copy, or `.data`.",
            [lambda x, g, b, eps=1e-5: _batch_norm(x, g.detach(), b.detach(), eps)],
        ),
        Mistake(
            "changes-its-input",
            "Your code changes x itself. Whoever called it may still need x, and goes on with other "
            "numbers in it: the result is wrong, and no error says so.",
            [_in_place],
        ),
    ),
)


# Task 1.5


def _forward_with(norm: bool) -> Answer:
    """The block with batch norm that always, or never, uses the statistics of the batch at hand."""

    def forward(self: ConvBlock, x: Tensor) -> Tensor:
        bn = self.bn
        out = F.batch_norm(
            self.conv(x), bn.running_mean, bn.running_var, bn.weight, bn.bias, training=norm
        )
        return F.relu(out)

    return variant(ConvBlock, forward)


conv_block = Check(
    signature="ConvBlock(in_channels, out_channels, kernel_size=3, stride=1)",
    reference=ConvBlock,
    observe=partial(observe_block, ConvBlock),
    cases=block_cases(
        ConvBlock,
        ((3, 8), (2, 3, 9, 7)),
        ((4, 4, 5), (2, 4, 8, 9)),
        ((6, 3, 3, 2), (3, 6, 7, 8)),
        ((2, 5, 1, 2), (2, 2, 6, 7)),
        ((4, 4), (1, 4, 5, 5)),
    ),
    mistakes=(
        Mistake(
            "no-padding",
            "The image shrinks at stride 1, by two pixels for each 3x3 kernel. Seven such blocks leave "
            "2x2 pixels of a digit of 16x16, and the eighth stops with an error.",
            [variant(ConvBlock, conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, k, s, bias=False))],
        ),
        Mistake(
            "padding-fixed",
            "Your padding suits a 3x3 kernel only. With it, a 5x5 kernel makes the image smaller in "
            "each block, and a 1x1 kernel makes it larger, by a frame that holds nothing of the image.",
            [variant(ConvBlock, conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, k, s, 1, bias=False))],
        ),
        Mistake(
            "padding-same-with-stride",
            'PyTorch takes padding="same" only at stride 1, so your block stops with an error where it '
            "should make the image smaller. Work out a number of pixels instead.",
            [
                variant(
                    ConvBlock, conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, k, s, "same", bias=False)
                )
            ],
        ),
        Mistake(
            "bias",
            "The convolution has a bias. Batch norm takes the mean away, and any bias with it: those "
            "parameters would cost memory and do nothing.",
            [variant(ConvBlock, conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, k, s, k // 2))],
        ),
        Mistake(
            "stride-ignored",
            "The stride changes nothing: the image keeps its size. Where it should be halved, your "
            "block gives four times the pixels and costs four times the multiplications, and so do all "
            "the blocks after it.",
            [
                variant(
                    ConvBlock,
                    conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, k, padding=k // 2, bias=False),
                )
            ],
        ),
        Mistake(
            "kernel-size-ignored",
            "The kernel is always 3x3, whatever size was asked for. Somebody who wants a cheap 1x1 "
            "convolution pays nine times its price, and gets one that mixes in the neighbours of each "
            "pixel.",
            [
                variant(
                    ConvBlock, conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, 3, s, 1, bias=False)
                ),
                variant(
                    ConvBlock, conv=lambda i, o, k=3, s=1: nn.Conv2d(i, o, 3, s, k // 2, bias=False)
                ),
            ],
        ),
        Mistake(
            "channels-swapped",
            "The two numbers of channels have changed places in the convolution. It works where they "
            "are equal, and stops with an error elsewhere: a first block, from three colours to more "
            "channels, could never run.",
            [
                variant(
                    ConvBlock,
                    conv=lambda i, o, k=3, s=1: nn.Conv2d(o, i, k, s, k // 2, bias=False),
                )
            ],
        ),
        Mistake(
            "bn-on-in-channels",
            "Your batch norm is made for the channels that go into the convolution. It stands after it "
            "and sees what comes out: where the two numbers differ, the block stops with an error.",
            [variant(ConvBlock, bn=lambda i, o, k=3, s=1: nn.BatchNorm2d(i))],
        ),
        Mistake(
            "no-running-statistics",
            "Your batch norm keeps no running mean and variance. In eval mode it needs them: there may be "
            "one image alone, and its result must not depend on its neighbours.",
            [
                variant(
                    ConvBlock,
                    bn=lambda i, o, k=3, s=1: nn.BatchNorm2d(o, track_running_stats=False),
                )
            ],
        ),
        Mistake(
            "other-momentum",
            "Your running mean and variance move at another speed than PyTorch's default. If they move "
            "slower, they are wrong for longer when you evaluate; if faster, they follow the last few "
            "batches alone.",
            [
                variant(
                    ConvBlock,
                    bn=lambda i, o, k=3, s=1, momentum=momentum: nn.BatchNorm2d(
                        o, momentum=momentum
                    ),
                )
                for momentum in (0.9, 0.99, 0.01, 0.5, None)
            ],
        ),
        Mistake(
            "no-relu",
            "Negative numbers come out: there is no ReLU at the end. Without it, two blocks in a row "
            "could be written as one.",
            [variant(ConvBlock, lambda self, x: self.bn(self.conv(x)))],
        ),
        Mistake(
            "no-batch-norm",
            "The batch norm is made but not used in `forward`. So nothing sets the scale of what the "
            "convolution gives, and its gamma and beta can never learn.",
            [
                variant(ConvBlock, lambda self, x: F.relu(self.conv(x))),
                variant(ConvBlock, lambda self, x: self.conv(x)),
            ],
        ),
        Mistake(
            "relu-before-batch-norm",
            "The ReLU comes before the batch norm. In this course, as in He et al., batch norm comes "
            "first: it centres the numbers, and the ReLU then cuts off about half of them.",
            [variant(ConvBlock, lambda self, x: self.bn(F.relu(self.conv(x))))],
        ),
        Mistake(
            "relu-twice",
            "There is a ReLU on both sides of the batch norm. The first one throws away what batch norm "
            "should see.",
            [variant(ConvBlock, lambda self, x: F.relu(self.bn(F.relu(self.conv(x)))))],
        ),
        Mistake(
            "batch-norm-first",
            "The batch norm, and perhaps the ReLU, comes before the convolution. So nothing sets the "
            "scale of what the block gives: with weights ten times as large, it would be ten times as "
            "large.",
            [
                variant(
                    ConvBlock,
                    lambda self, x: self.conv(F.relu(self.bn(x))),
                    bn=lambda i, o, k=3, s=1: nn.BatchNorm2d(i),
                ),
                variant(
                    ConvBlock,
                    lambda self, x: F.relu(self.conv(self.bn(x))),
                    bn=lambda i, o, k=3, s=1: nn.BatchNorm2d(i),
                ),
                variant(ConvBlock, lambda self, x: self.conv(F.relu(self.bn(x)))),
                variant(ConvBlock, lambda self, x: F.relu(self.conv(self.bn(x)))),
            ],
        ),
        Mistake(
            "never-in-eval-mode",
            "In eval mode your block still uses the batch's own mean and variance. So the answer for "
            "one photo depends on the other photos that happen to stand in the batch.",
            [_forward_with(norm=True)],
        ),
        Mistake(
            "never-in-train-mode",
            "In train mode your block uses the running mean and variance. They begin as 0 and 1, "
            "whatever the images are like, so a badly scaled layer stays badly scaled.",
            [_forward_with(norm=False)],
        ),
    ),
)
