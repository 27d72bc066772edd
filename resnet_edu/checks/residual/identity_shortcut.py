"""Task 4.2: the shortcut without parameters (option A)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_edu.blocks import PaddingShortcut
from resnet_edu.checks.block import see_gradients
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, tensor


def _identity_shortcut(x: Tensor, out_channels: int, stride: int) -> Tensor:
    return PaddingShortcut(x.shape[1], out_channels, stride)(x)


def _every(x: Tensor, stride: int) -> Tensor:
    return x[:, :, ::stride, ::stride]


def _half(x: Tensor) -> Tensor:
    """Zero channels, half before and half after, up to twice as many as x has."""
    return F.pad(x, (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] - x.shape[1] // 2))


def _version(
    smaller: Callable[[Tensor, int], Tensor] = _every,
    wider: Callable[[Tensor, int], Tensor] | None = None,
) -> Answer:
    """Another way to make the image smaller, or to fill the channels up."""

    def version(x: Tensor, out_channels: int, stride: int) -> Tensor:
        x = smaller(x, stride)
        if wider:
            return wider(x, out_channels)
        before = (out_channels - x.shape[1]) // 2
        return F.pad(x, (0, 0, 0, 0, before, out_channels - x.shape[1] - before))

    return version


def _after(x: Tensor, out_channels: int) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, 0, out_channels - x.shape[1]))


def _before(x: Tensor, out_channels: int) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, out_channels - x.shape[1], 0))


def _repeated(x: Tensor, out_channels: int) -> Tensor:
    return x.repeat(1, out_channels // x.shape[1] + 1, 1, 1)[:, :out_channels]


def _each_repeated(x: Tensor, out_channels: int) -> Tensor:
    return x.repeat_interleave(-(-out_channels // x.shape[1]), 1)[:, :out_channels]


def _between(x: Tensor, out_channels: int) -> Tensor:
    out = x.new_zeros(x.shape[0], out_channels, *x.shape[2:])
    out[:, : 2 * x.shape[1] : 2] = x[:, : len(range(0, min(out_channels, 2 * x.shape[1]), 2))]
    return out


def _ones(x: Tensor, out_channels: int) -> Tensor:
    before = (out_channels - x.shape[1]) // 2
    after = out_channels - x.shape[1] - before
    return F.pad(x, (0, 0, 0, 0, before, after), value=1.0)


def _observe(answer: Answer, case: tuple[tuple[int, ...], int, int], see: See) -> None:
    shape, out_channels, stride = case
    leaf = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    leaf.requires_grad_()
    x = leaf.clone()
    out = tensor(answer(x, out_channels, stride))
    see("result", out)
    see("x, afterwards", x)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(7))
    see_gradients((out * weights).sum(), {"x": leaf}, see)


identity_shortcut = Check(
    signature="identity_shortcut(x, out_channels, stride)",
    reference=_identity_shortcut,
    observe=_observe,
    cases={
        f"x of shape {shape}, out_channels={channels}, stride={stride}": (shape, channels, stride)
        for shape, channels, stride in (
            ((2, 4, 6, 6), 8, 2),
            ((2, 4, 5, 7), 8, 1),
            ((1, 6, 7, 9), 6, 2),
            ((3, 4, 6, 6), 4, 1),
            ((2, 4, 8, 5), 12, 2),
        )
    },
    mistakes=(
        Mistake(
            "zeros-after",
            "All zero channels come after those of x. Such a network may learn as well, but weights "
            "trained with the usual shortcut would be loaded without an error, meet other channels, and "
            "answer wrongly.",
            [_version(wider=_after)],
        ),
        Mistake(
            "zeros-before",
            "All zero channels come before those of x. Such a network may learn as well, but weights "
            "trained with the usual shortcut would be loaded without an error, meet other channels, and "
            "answer wrongly.",
            [_version(wider=_before)],
        ),
        Mistake(
            "channels-repeated",
            "The new channels repeat those of x, so it is added to the branch more than once. A "
            "shortcut without parameters brings x along and nothing else: what is new is left to the "
            "branch.",
            [_version(wider=_repeated), _version(wider=_each_repeated)],
        ),
        Mistake(
            "zeros-between",
            "The zero channels stand between those of x. Weights trained with the usual shortcut would "
            "be loaded without an error, meet other channels, and answer wrongly.",
            [_version(wider=_between)],
        ),
        Mistake(
            "ones-instead-of-zeros",
            "The new channels are filled with ones. They are added to every pixel of the branch, "
            "whatever the image shows, and the branch must first learn to take them away again.",
            [_version(wider=_ones)],
        ),
        Mistake(
            "channels-always-doubled",
            "You always double the channels. A block that keeps them, or makes three times as many, "
            "gets a shortcut that does not fit its branch, and the addition stops with an error.",
            [_version(wider=lambda x, _: _half(x))],
        ),
        Mistake(
            "no-stride",
            "The image stays as large as it was: the stride is not used. The branch makes it smaller, "
            "so the two do not fit, and the addition stops with an error.",
            [_version(smaller=lambda x, _: x)],
        ),
        Mistake(
            "average-pooling",
            "You take a mean of pixels. That blurs what the shortcut carries; and a network trained "
            "with option A, which takes pixels as they are, would give other answers with yours.",
            [
                _version(smaller=lambda x, s: F.avg_pool2d(x, s, ceil_mode=True)),
                _version(smaller=lambda x, s: F.avg_pool2d(x, s)),
                _version(smaller=lambda x, s: F.avg_pool2d(x, 3, s, 1)),
            ],
        ),
        Mistake(
            "max-pooling",
            "You take the largest of some pixels. Beside a large number the small ones never get "
            "through, and get no gradient. In option A it is the place that decides, whatever the image "
            "shows.",
            [
                _version(smaller=lambda x, s: F.max_pool2d(x, s, ceil_mode=True)),
                _version(smaller=lambda x, s: F.max_pool2d(x, s)),
                _version(smaller=lambda x, s: F.max_pool2d(x, 3, s, 1)),
            ],
        ),
        Mistake(
            "starts-at-the-second-pixel",
            "You begin at the second pixel. The first kernel of the branch stands on the first one: "
            "branch and shortcut would be added one pixel apart, and at odd sizes they would not even "
            "fit.",
            [_version(smaller=lambda x, s: x[:, :, s - 1 :: s, s - 1 :: s])],
        ),
        Mistake(
            "one-direction-only",
            "The stride is used in one direction only. The branch makes the image smaller in both, so "
            "the two do not fit, and the addition stops with an error.",
            [
                _version(smaller=lambda x, s: x[:, :, ::s]),
                _version(smaller=lambda x, s: x[:, :, :, ::s]),
            ],
        ),
        Mistake(
            "corner-cut-out",
            "You cut a corner out of the image. The shape is right, so no error comes; but each pixel "
            "is added where the branch has looked at another place, and the rest of the image is lost.",
            [_version(smaller=lambda x, s: x[:, :, : -(-x.shape[2] // s), : -(-x.shape[3] // s)])],
        ),
        Mistake(
            "detached",
            "The numbers are right, but no gradient comes back through the shortcut. It is there to "
            "give the gradient a way around each block, and something cuts it off from autograd.",
            [lambda x, out_channels, stride: _identity_shortcut(x.detach(), out_channels, stride)],
        ),
    ),
)
