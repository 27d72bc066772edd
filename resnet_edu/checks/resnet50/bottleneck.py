"""Task 5.1: the bottleneck block."""

# ruff: noqa: ARG005 - a wrong version takes all arguments, and may well ignore some

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import Bottleneck, conv1x1, conv3x3
from resnet_edu.checks.block import (
    NO_SHORTCUT,
    BlockCase,
    block_cases,
    observe_block,
    projects,
    require_projection,
    variant,
)
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See
from resnet_edu.checks.guard import Wrong

EXPANSION = 4
KERNELS = (
    "wrong-kernels",
    "The kernels are not 1x1, 3x3, 1x1. The block saves by doing the 3x3 only where there are few "
    "channels.",
)
CHANNELS = (
    "wrong-channels",
    "A layer has another number of channels than the task says. Published weights do not fit it "
    "then, and a layer that takes another number than the one before it gives stops with an "
    "error.",
)
PADDING = (
    "padding-around-1x1",
    "There is padding around a 1x1 convolution. Such a kernel takes nothing from the sides, so "
    "the image grows, and no longer fits what it is added to.",
)
DILATION = (
    "dilation",
    "There is space between the pixels that a kernel looks at (dilation). It looks past its "
    "direct neighbours, and weights that were trained on those give other answers.",
)
GROUPS = (
    "groups",
    "A convolution works in groups of channels. Each output channel then sees only a part of the "
    "input, as in some later blocks; the weights are smaller by that factor, and published ones "
    "do not fit.",
)


class _Reference(Bottleneck):
    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__(in_channels, width, stride)


def _inside(b: Bottleneck, x: Tensor) -> Tensor:
    """What reaches the last convolution."""
    return F.relu(b.bn2(b.conv2(F.relu(b.bn1(b.conv1(x))))))


def _branch(b: Bottleneck, x: Tensor) -> Tensor:
    return b.bn3(b.conv3(_inside(b, x)))


def _with_itself(b: Bottleneck, out: Tensor) -> Tensor:
    return out + b.downsample(out)


def _projection_of_the_branch(b: Bottleneck, x: Tensor) -> Tensor:
    out = _branch(b, x)
    return F.relu(out + (x if isinstance(b.downsample, nn.Identity) else b.downsample(out)))


def _with_activation(f: Callable[[Tensor], Tensor]) -> Callable[[Bottleneck, Tensor], Tensor]:
    def forward(b: Bottleneck, x: Tensor) -> Tensor:
        out = f(b.bn2(b.conv2(f(b.bn1(b.conv1(x))))))
        return f(b.bn3(b.conv3(out)) + b.downsample(x))

    return forward


def _version(forward: Callable[[Any, Tensor], Tensor] | None = None, **modules: Any) -> Answer:
    return variant(_Reference, forward, **modules)


def _with_branch(branch: Callable[[Any, Tensor], Tensor]) -> Answer:
    return _version(lambda b, x: F.relu(branch(b, x) + b.downsample(x)))


def _convolutions(**options: Any) -> dict[str, Any]:
    """The three convolutions, with other options."""

    def conv(i: int, o: int, kernel: int, stride: int = 1) -> nn.Module:
        return nn.Conv2d(
            i, o, kernel, stride, **({"padding": kernel // 2, "bias": False} | options)
        )

    return {
        "conv1": lambda i, w, s=1: conv(i, w, 1),
        "conv2": lambda i, w, s=1: conv(w, w, 3, s),
        "conv3": lambda i, w, s=1: conv(w, 4 * w, 1),
    }


def _some_of(modules: dict[str, Any], *choices: str) -> list[Answer]:
    """A version for each choice of convolutions, such as "13" for the first and the third."""
    return [_version(**{f"conv{n}": modules[f"conv{n}"] for n in choice}) for choice in choices]


def _downsample(
    make_conv: Callable[[int, int, int], nn.Module] = conv1x1,
    *,
    always: bool = False,
    end: Any = (),
) -> Callable[..., nn.Module]:
    def make(i: int, w: int, s: int = 1) -> nn.Module:
        if i == 4 * w and s == 1 and not always:
            return nn.Identity()
        return nn.Sequential(make_conv(i, 4 * w, s), nn.BatchNorm2d(4 * w), *end)

    return make


_STRIDES = {
    "first": lambda i, w, s=1: conv1x1(i, w, s),
    "second": lambda i, w, s=1: conv3x3(w, w, s),
    "third": lambda i, w, s=1: conv1x1(w, 4 * w, s),
    "none": lambda i, w, s=1: conv3x3(w, w),
}


def _observe(answer: Answer, case: BlockCase, see: See) -> None:
    arguments, _ = case
    block = answer(*arguments)
    if isinstance(block, nn.Module):
        _require_expansion(block, arguments)
        _require_condition(answer)
        require_projection(answer, block, arguments, EXPANSION)
        _require_layers(block, arguments)
    observe_block(_Reference, answer, case, see)


def _require_expansion(block: nn.Module, arguments: tuple[int, ...]) -> None:
    """Say what is wrong with the channels that come out, before the shortcut is blamed for it."""
    width = arguments[1]
    wanted = EXPANSION * width
    inner, outer = (
        getattr(getattr(block, name, None), "out_channels", None) for name in ("conv1", "conv3")
    )
    rows = (
        ("Looked at", f"channels that come out of conv3, at a width of {width}"),
        ("Expected", str(wanted)),
        ("Got", str(outer)),
    )
    if outer == width and inner == width // EXPANSION:
        raise Wrong(
            "width-taken-for-output",
            "You take `width` for the channels that come out of the block. So the 3x3 convolution "
            "has a quarter of its channels, and the next block gets fewer than it is built for.",
            rows,
        )
    if outer == width:
        raise Wrong(
            "no-expansion",
            "As many channels come out as there are inside: nothing widens again. What goes from "
            "block to block is a quarter as wide as in a ResNet-50, and the next block does not "
            "fit.",
            rows,
        )
    if isinstance(outer, int) and outer != wanted:
        raise Wrong(
            "wrong-expansion",
            "The last convolution gives another number of channels than `expansion` times "
            "`width`. The next block is built for exactly that many, and would stop with an "
            "error.",
            rows,
        )
    found = getattr(block, "expansion", None)
    if found != EXPANSION:
        raise Wrong(
            "no-expansion-attribute" if found is None else "wrong-expansion",
            "The block has not the `expansion` that the task asks for. Others read it from the class, to "
            "know how many channels come out.",
            (("Looked at", "expansion"), ("Expected", str(EXPANSION)), ("Got", str(found))),
        )


def _require_layers(block: nn.Module, arguments: tuple[int, ...]) -> None:
    """Say which layer does not fit the others, rather than that the block stops with an error."""
    i, width = arguments[:2]
    if getattr(getattr(block, "bn1", None), "num_features", width) == i != width:
        raise Wrong(
            "pre-activation",
            "The first batch norm has the size of the block's input: it stands in front of the "
            "convolution, as in the block of 2016. The batch norms of a ResNet-50 have other "
            "sizes, so its weights would not fit.",
            (("Looked at", "channels of bn1"), ("Expected", str(width)), ("Got", str(i))),
        )
    layers = (("1", i, width, 1), ("2", width, width, 3), ("3", width, EXPANSION * width, 1))
    for number, before, after, kernel in layers:
        conv, bn = (getattr(block, name + number, None) for name in ("conv", "bn"))
        if isinstance(conv, nn.Conv2d):
            _require_equal(f"kernel of conv{number}", (kernel, kernel), conv.kernel_size, KERNELS)
            if not nn.parameter.is_lazy(conv.weight):
                _require_equal(f"channels into conv{number}", before, conv.in_channels, CHANNELS)
            _require_equal(f"channels out of conv{number}", after, conv.out_channels, CHANNELS)
            _require_equal(f"groups of conv{number}", 1, conv.groups, GROUPS)
            _require_equal(f"dilation of conv{number}", (1, 1), conv.dilation, DILATION)
            if kernel == 1 and conv.padding not in ("same", "valid"):
                _require_equal(f"padding of conv{number}", (0, 0), conv.padding, PADDING)
        if isinstance(bn, nn.BatchNorm2d) and not nn.parameter.is_lazy(bn.weight):
            _require_equal(f"channels of bn{number}", after, bn.num_features, CHANNELS)


def _require_equal(looked_at: str, wanted: object, got: object, finding: tuple[str, str]) -> None:
    if got != wanted:
        rows = (("Looked at", looked_at), ("Expected", str(wanted)), ("Got", str(got)))
        raise Wrong(*finding, rows)


def _require_condition(answer: Answer) -> None:
    if projects(answer, 16, 4) and not projects(answer, 4, 4):
        raise Wrong(
            "projection-compares-width",
            "You compare the input's channels with `width`. What is added to x are the channels that "
            "come out, and those are more.",
            (
                ("Looked at", "downsample where 4 channels become 16, at stride 1"),
                ("Expected", "a 1x1 convolution and a batch norm"),
                ("Got", "no projection"),
            ),
        )


bottleneck = Check(
    signature="Bottleneck(in_channels, width, stride=1)",
    reference=_Reference,
    observe=_observe,
    cases={
        text.replace("Reference(", "Bottleneck("): case
        for text, case in block_cases(
            _Reference,
            ((16, 4), (2, 16, 6, 5)),
            ((8, 4, 2), (3, 8, 9, 7)),
            ((4, 4, 1), (2, 4, 5, 6)),
            ((20, 5, 2), (2, 20, 6, 6)),
        ).items()
    },
    mistakes=(
        Mistake(
            "no-shortcut",
            NO_SHORTCUT,
            [
                _version(lambda b, x: F.relu(_branch(b, x))),
                _version(lambda b, x: F.relu((b.downsample(x), _branch(b, x))[1])),  # not used
            ],
        ),
        Mistake(
            "no-last-relu",
            "Negative numbers come out: there is no ReLU after the addition. In a ResNet-50 no "
            "block ever gets negative numbers, so weights trained there give other answers.",
            [_version(lambda b, x: _branch(b, x) + b.downsample(x))],
        ),
        Mistake(
            "relu-before-addition",
            "The last ReLU comes before the addition. Then the branch can only add, never take "
            "away: where the shape stays, numbers can only grow from block to block.",
            [_version(lambda b, x: F.relu(_branch(b, x)) + b.downsample(x))],
        ),
        Mistake(
            "relu-before-and-after",
            "There is a ReLU at the end of the branch as well as after the addition. Then the "
            "branch can only add, never take away: where the shape stays, numbers can only grow "
            "from block to block.",
            [_with_branch(lambda b, x: F.relu(_branch(b, x)))],
        ),
        Mistake(
            "no-first-relu",
            "There is no ReLU between the first and the second convolution. With nothing bent between "
            "them, two convolutions can do no more than one.",
            [_with_branch(lambda b, x: b.bn3(b.conv3(F.relu(b.bn2(b.conv2(b.bn1(b.conv1(x))))))))],
        ),
        Mistake(
            "no-second-relu",
            "There is no ReLU between the second and the third convolution. With nothing bent between "
            "them, two convolutions can do no more than one.",
            [_with_branch(lambda b, x: b.bn3(b.conv3(b.bn2(b.conv2(F.relu(b.bn1(b.conv1(x))))))))],
        ),
        Mistake(
            "no-inner-relus",
            "There is no ReLU between the convolutions. With nothing bent between them, three convolutions "
            "can do no more than one.",
            [
                _with_branch(lambda b, x: b.bn3(b.conv3(b.bn2(b.conv2(b.bn1(b.conv1(x))))))),
                _version(
                    lambda b, x: b.bn3(b.conv3(b.bn2(b.conv2(b.bn1(b.conv1(x)))))) + b.downsample(x)
                ),
            ],
        ),
        Mistake(
            "relu-before-batch-norm",
            "A ReLU comes before its batch norm. That moves the numbers to both sides of zero "
            "again, so what goes on is not what a ReLU gives, and weights trained in the usual "
            "order give other answers.",
            [
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(b.bn2(F.relu(b.conv2(b.bn1(F.relu(b.conv1(x))))))))
                ),
                _with_branch(
                    lambda b, x: b.bn3(
                        F.relu(b.conv3(b.bn2(F.relu(b.conv2(b.bn1(F.relu(b.conv1(x))))))))
                    )
                ),
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(F.relu(b.bn2(b.conv2(b.bn1(F.relu(b.conv1(x))))))))
                ),
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(b.bn2(F.relu(b.conv2(F.relu(b.bn1(b.conv1(x))))))))
                ),
            ],
        ),
        Mistake(
            "batch-norm-after-addition",
            "The last batch norm comes after the addition. So the shortcut is no longer free: what it "
            "carries is normalised in each block.",
            [_version(lambda b, x: F.relu(b.bn3(b.conv3(_inside(b, x)) + b.downsample(x))))],
        ),
        Mistake(
            "relu-on-shortcut",
            "There is a ReLU on the shortcut. What it would carry below zero is lost: the way "
            "around the branch is no longer free.",
            [
                _version(lambda b, x: F.relu(_branch(b, x) + b.downsample(F.relu(x)))),
                _version(lambda b, x: F.relu(_branch(b, x) + F.relu(b.downsample(x)))),
                _version(downsample=_downsample(end=(nn.ReLU(),))),
            ],
        ),
        Mistake(
            "added-twice",
            "The shortcut is added twice. Each block then doubles what it carries: after ten "
            "blocks the input counts a thousand times, and what the last branches add is drowned "
            "in it.",
            [_version(lambda b, x: F.relu(_branch(b, x) + 2 * b.downsample(x)))],
        ),
        Mistake(
            "subtracted",
            "One of branch and shortcut is taken away from the other. What one of them sees then "
            "counts against the other, and weights that were trained on a sum give other answers.",
            [
                _version(lambda b, x: F.relu(_branch(b, x) - b.downsample(x))),
                _version(lambda b, x: F.relu(b.downsample(x) - _branch(b, x))),
            ],
        ),
        Mistake(
            "multiplied",
            "The shortcut is multiplied with the branch. Where the branch gives zero nothing of "
            "the input is left, so the way around it is no longer free.",
            [_version(lambda b, x: F.relu(_branch(b, x) * b.downsample(x)))],
        ),
        Mistake(
            "concatenated",
            "The branch and the shortcut stand side by side. So twice the channels come out, and "
            "the next block, which is built for half of them, stops with an error.",
            [
                _version(lambda b, x: F.relu(torch.cat((_branch(b, x), b.downsample(x)), 1))),
                _version(lambda b, x: F.relu(torch.cat((b.downsample(x), _branch(b, x)), 1))),
            ],
        ),
        Mistake(
            "averaged",
            "You take the mean of branch and shortcut. Each block then halves what it carries: "
            "after ten blocks, a thousandth of the input is left.",
            [_version(lambda b, x: F.relu((_branch(b, x) + b.downsample(x)) / 2))],
        ),
        Mistake(
            "x-overwritten",
            "What the branch gives is added to itself: at the end, `x` no longer holds the "
            "block's input. So nothing goes around the convolutions, and the block is a plain "
            "one.",
            [
                _version(lambda b, x: F.relu(2 * _branch(b, x))),
                _version(lambda b, x: F.relu(_with_itself(b, _branch(b, x)))),
            ],
        ),
        Mistake(
            "projection-unused",
            "`downsample` is made but not used in `forward`: x is added as it is. Where the shape "
            "changes it does not fit the branch, and weights that nothing uses are never trained.",
            [_version(lambda b, x: F.relu(_branch(b, x) + x))],
        ),
        Mistake(
            "projection-of-the-branch",
            "`downsample` gets what the branch gives, and not the block's input. So in such a "
            "block nothing goes around the convolutions, and the gradient has no short way back.",
            [_version(_projection_of_the_branch)],
        ),
        Mistake(
            "relu-of-input",
            "The input goes through a ReLU before all else. What it holds below zero is lost to "
            "the branch: of numbers around zero, that is half.",
            [
                _version(lambda b, x: F.relu(_branch(b, F.relu(x)) + b.downsample(F.relu(x)))),
                _version(lambda b, x: F.relu(_branch(b, x.relu_()) + b.downsample(x))),
                _version(lambda b, x: F.relu(_branch(b, F.relu(x)) + b.downsample(x))),
            ],
        ),
        Mistake(
            "not-a-relu",
            "Another function stands in the place of ReLU. It gives other numbers, so weights "
            "that were trained with ReLU give other answers.",
            [_version(_with_activation(f)) for f in (F.leaky_relu, F.gelu, F.silu, F.relu6, F.elu)],
        ),
        Mistake(
            "projection-always",
            "There is a projection also where the shape stays. It costs weights, and the input is "
            "no longer handed on as it is: to do nothing, the block would have to learn it.",
            [_version(downsample=_downsample(always=True))],
        ),
        Mistake(
            "projection-3x3",
            "The projection has 3x3 kernels. That is nine times the weights for the same change "
            "of shape, and published weights do not fit.",
            [_version(downsample=_downsample(conv3x3))],
        ),
        Mistake(
            "projection-padded",
            "There is padding on the shortcut. A 1x1 kernel takes nothing away, so the image "
            "grows, and no longer fits the branch.",
            [
                _version(
                    downsample=_downsample(lambda i, o, s: nn.Conv2d(i, o, 1, s, 1, bias=False))
                )
            ],
        ),
        Mistake(
            "stride-always-2",
            "The shortcut always halves the image, whatever `stride` says. In a block without a "
            "stride the branch keeps the size, and the two cannot be added.",
            [_version(downsample=_downsample(lambda i, o, s: conv1x1(i, o, 2)))],
        ),
        Mistake(
            "stride-on-first-1x1",
            "The stride is on the first 1x1 convolution, which then skips three pixels of four, "
            "as in 2015. Shapes and weights are the same: weights for the 3x3 load without an "
            "error, and give wrong answers.",
            [_version(conv1=_STRIDES["first"], conv2=_STRIDES["none"])],
        ),
        Mistake(
            "stride-on-last-1x1",
            "The stride is on the last 1x1 convolution: of what the 3x3 has computed, three "
            "pixels of four are thrown away. Published weights load without an error, and give "
            "wrong answers.",
            [_version(conv2=_STRIDES["none"], conv3=_STRIDES["third"])],
        ),
        Mistake(
            "stride-twice",
            "More than one convolution of the branch has the stride, so the image shrinks more "
            "than once. It no longer fits the shortcut, which shrinks it once.",
            [
                _version(conv1=_STRIDES["first"]),
                _version(conv3=_STRIDES["third"]),
                _version(conv1=_STRIDES["first"], conv3=_STRIDES["third"]),
                _version(conv1=_STRIDES["first"], conv2=_STRIDES["none"], conv3=_STRIDES["third"]),
            ],
        ),
        Mistake(
            "stride-forgotten",
            "The stride does not reach both the branch and the shortcut. If one of them lacks it, "
            "they cannot be added; if both do, the image keeps its size.",
            [
                _version(conv2=_STRIDES["none"]),
                _version(downsample=_downsample(lambda i, o, s: conv1x1(i, o))),
                _version(
                    conv2=_STRIDES["none"], downsample=_downsample(lambda i, o, s: conv1x1(i, o))
                ),
            ],
        ),
        Mistake(
            "bias",
            "A convolution has a bias. The batch norm after it takes the mean away, and any bias with "
            "it.",
            [
                *_some_of(_convolutions(bias=True), "1", "2", "3", "12", "13", "23"),
                *_some_of(_convolutions(bias=True), "123"),
                _version(downsample=_downsample(lambda i, o, s: nn.Conv2d(i, o, 1, s))),
                _version(
                    **_convolutions(bias=True),
                    downsample=_downsample(lambda i, o, s: nn.Conv2d(i, o, 1, s)),
                ),
            ],
        ),
        Mistake(
            "wrong-padding",
            "The branch gives an image of another size, which cannot be added to the shortcut's. "
            "A 3x3 kernel takes a pixel from each side: how many does the padding put back?",
            [
                *_some_of(_convolutions(padding=0), "2"),
                *_some_of(_convolutions(padding=2), "2"),
                *_some_of(_convolutions(padding=3), "2"),
            ],
        ),
        Mistake(
            "one-batch-norm-twice",
            "`forward` uses one batch norm twice. Its running mean and variance become a mix of "
            "two layers, which fits neither of them in evaluation mode, and another batch norm is "
            "never trained.",
            [
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(F.relu(b.bn1(b.conv2(F.relu(b.bn1(b.conv1(x))))))))
                ),
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(F.relu(b.bn2(b.conv2(F.relu(b.bn2(b.conv1(x))))))))
                ),
            ],
        ),
        Mistake(
            "batch-norms-swapped",
            "Two batch norms have changed places in `forward`. Loaded weights then meet the "
            "statistics of another layer: nothing complains, and the answers are wrong.",
            [
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(F.relu(b.bn1(b.conv2(F.relu(b.bn2(b.conv1(x))))))))
                )
            ],
        ),
        Mistake(
            "batch-norm-unused",
            "A batch norm is made but not used in `forward`. Its layer's numbers keep whatever "
            "level and scale they happen to have, and its own weights are never trained.",
            [
                _with_branch(lambda b, x: b.conv3(_inside(b, x))),
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(F.relu(b.conv2(F.relu(b.bn1(b.conv1(x)))))))
                ),
                _with_branch(
                    lambda b, x: b.bn3(b.conv3(F.relu(b.bn2(b.conv2(F.relu(b.conv1(x)))))))
                ),
                _with_branch(lambda b, x: b.conv3(F.relu(b.conv2(F.relu(b.conv1(x)))))),
            ],
        ),
        Mistake(
            "convolution-unused",
            "A convolution is made but not used in `forward`. Its weights are loaded and counted, "
            "and no image and no gradient ever reaches them.",
            [_with_branch(lambda b, x: b.bn3(b.conv3(F.relu(b.bn1(b.conv1(x))))))],
        ),
    ),
    places=(
        Place(
            "statistics of batch norm",
            "other-normalisation",
            "A normalisation keeps no running statistics. Published weights bring their numbers for "
            "`nn.BatchNorm2d`.",
        ),
        Place(
            "after one pass in train mode",
            "batch-norm-options",
            "The running statistics move faster or slower than they do in PyTorch by default. "
            "What evaluation mode works with then rests on more or fewer batches than in "
            "everybody else's ResNet-50.",
        ),
        Place(
            "output in ",
            "forward-is-wrong",
            "The layers are those of the task, and what `forward` does with them is not. Go through it "
            "step by step: where is a ReLU, and what is added to what?",
        ),
        Place(
            "parameters that were not asked for",
            "other-modules",
            "There are more modules with weights than the task asks for. Published weights have "
            "no numbers for them, so they would stay random.",
        ),
    ),
)
