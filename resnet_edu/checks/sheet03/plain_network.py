"""Task 3.3: a plain network of any depth, in the CIFAR-10 form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, PlainBlock, conv3x3, padding_shortcut
from resnet_edu.checks.block import block_cases, observe_block
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See
from resnet_edu.checks.guard import Wrong
from resnet_edu.networks import cifar_plain


def _plain_network(depth: int, num_classes: int = 10) -> nn.Module:
    return cifar_plain(depth, num_classes)


def _with_identity(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return BasicBlock(in_channels, out_channels, stride, padding_shortcut)


class _Network(nn.Module):
    """The plain network, with what people get wrong as options."""

    def __init__(
        self,
        blocks: int,
        num_classes: int,
        *,
        widths: tuple[int, ...] = (16, 32, 64),
        strides: tuple[int, ...] = (1, 2, 2),
        block: Callable[..., nn.Module] = PlainBlock,
        stem: Callable[[int], nn.Module] = lambda width: conv3x3(3, width),
        every_block_strides: bool = False,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = stem(widths[0]), nn.BatchNorm2d(widths[0])
        channels = widths[0]
        for number, (width, stride) in enumerate(zip(widths, strides, strict=True), 1):
            stage = nn.Sequential()
            for place in range(blocks):
                step = stride if every_block_strides or place == 0 else 1
                stage.append(block(channels, width, step))
                channels = width
            setattr(self, f"layer{number}", stage)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))

    def layers(self, x: Tensor) -> Tensor:
        return self.layer3(self.layer2(self.layer1(x)))


def _version(
    forward: Callable[[_Network, Tensor], Tensor] | None = None,
    count: Callable[[int], int] = lambda depth: (depth - 2) // 6,
    classes: Callable[[int], int] = lambda given: given,
    error: type[Exception] | None = ValueError,
    **changes: Any,
) -> Answer:
    kind = type("Network", (_Network,), {"forward": forward} if forward else {})

    def plain_network(depth: int, num_classes: int = 10) -> nn.Module:
        if error and (depth - 2) % 6:
            raise error(f"The depth must be 6n + 2, and not {depth}.")
        return kind(count(depth), classes(num_classes), **changes)

    return plain_network


def _no_relu(net: _Network, x: Tensor) -> Tensor:
    return net.fc(net.layers(net.bn1(net.conv1(x))).mean((2, 3)))


def _no_bn(net: _Network, x: Tensor) -> Tensor:
    return net.fc(net.layers(F.relu(net.conv1(x))).mean((2, 3)))


def _relu_first(net: _Network, x: Tensor) -> Tensor:
    return net.fc(net.layers(net.bn1(F.relu(net.conv1(x)))).mean((2, 3)))


def _softmax(net: _Network, x: Tensor) -> Tensor:
    return _Network.forward(net, x).softmax(1)


def _max_pool(net: _Network, x: Tensor) -> Tensor:
    return net.fc(net.layers(F.relu(net.bn1(net.conv1(x)))).amax((2, 3)))


def _pooled_stem(net: _Network, x: Tensor) -> Tensor:
    x = F.max_pool2d(F.relu(net.bn1(net.conv1(x))), 3, 2, 1)
    return net.fc(net.layers(x).mean((2, 3)))


def _observe(answer: Answer, case: Any, see: See) -> None:
    if isinstance(case, int):
        try:
            answer(case, 10)
        except ValueError:
            see(f"depth {case}", "ValueError")
        else:
            see(f"depth {case}", "no ValueError")
        return
    _require_blocks(answer(*case[0]), case[0][0])
    observe_block(_plain_network, answer, case, see)


def _require_blocks(model: object, depth: int) -> None:
    """Too few blocks would otherwise look like modules that have other names."""
    if not all(hasattr(model, f"layer{stage}") for stage in (1, 2, 3)):
        return
    found = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    if found < depth - 1:
        raise Wrong(
            "too-few-blocks",
            "There are too few blocks. With three stages of n blocks of two layers, plus the stem and "
            "the head, the depth is 6n + 2.",
            (("Convolutions, expected", str(depth - 1)), ("Got", str(found))),
        )


_CASES = block_cases(
    _plain_network,
    ((8, 10), (2, 3, 16, 16)),
    ((14, 5), (3, 3, 9, 12)),
    ((8, 3), (2, 3, 32, 32)),
)

plain_network = Check(
    signature="plain_network(depth, num_classes=10)",
    reference=_plain_network,
    observe=_observe,
    cases={**_CASES, "plain_network(depth=10)": 10, "plain_network(depth=18)": 18},
    mistakes=(
        Mistake(
            "no-value-error",
            "A depth that is not 6n + 2 gives a network of another depth than was asked for, without a "
            "word. Raise a ValueError.",
            [_version(error=None)],
        ),
        Mistake(
            "too-many-blocks",
            "A stage has too many blocks. A block has two layers, there are three stages, and the stem and "
            "the head are two layers more.",
            [
                _version(count=lambda depth: (depth - 2) // 6 + 1),
                _version(count=lambda depth: (depth - 2) // 3),
                _version(count=lambda depth: (depth - 2) // 2),
                _version(count=lambda depth: depth // 3),
            ],
        ),
        Mistake(
            "imagenet-widths",
            "Your stages have other widths. The CIFAR-10 form has 16, 32 and 64 channels; 64 and more "
            "belong to the form for ImageNet.",
            [
                _version(widths=(64, 128, 256)),
                _version(widths=(32, 64, 128)),
                _version(widths=(16, 16, 16)),
            ],
        ),
        Mistake(
            "no-stride",
            "The image never becomes smaller. The first block of the second and of the third stage have "
            "stride 2.",
            [_version(strides=(1, 1, 1))],
        ),
        Mistake(
            "stride-in-first-stage",
            "The first stage halves the image too. It works at full size; only the second and the third "
            "have stride 2.",
            [_version(strides=(2, 2, 2)), _version(strides=(2, 2, 1)), _version(strides=(2, 1, 1))],
        ),
        Mistake(
            "stride-in-one-stage",
            "Only one stage halves the image. The second does, and the third.",
            [_version(strides=(1, 2, 1)), _version(strides=(1, 1, 2))],
        ),
        Mistake(
            "stride-in-every-block",
            "Every block of a stage has the stride. Only the first one halves the image.",
            [_version(every_block_strides=True)],
        ),
        Mistake(
            "imagenet-stem",
            "Your stem is that of the ImageNet form. For images of 32x32 pixels it is a 3x3 convolution "
            "with stride 1, and no pooling.",
            [
                _version(stem=lambda w: nn.Conv2d(3, w, 7, 2, 3, bias=False)),
                _version(_pooled_stem, stem=lambda w: nn.Conv2d(3, w, 7, 2, 3, bias=False)),
                _version(_pooled_stem),
                _version(stem=lambda w: conv3x3(3, w, 2)),
            ],
        ),
        Mistake(
            "stem-without-relu",
            "There is no ReLU after the stem's batch norm.",
            [_version(_no_relu)],
        ),
        Mistake(
            "stem-without-batch-norm",
            "The stem's batch norm is not used.",
            [_version(_no_bn)],
        ),
        Mistake(
            "stem-relu-first",
            "In the stem, the ReLU comes before batch norm. In this course batch norm comes first.",
            [_version(_relu_first)],
        ),
        Mistake(
            "stem-with-bias",
            "The stem's convolution has a bias. The batch norm after it takes any bias away.",
            [_version(stem=lambda w: nn.Conv2d(3, w, 3, padding=1))],
        ),
        Mistake(
            "stem-without-padding",
            "The stem takes a pixel from each side: a 3x3 kernel needs a padding of 1.",
            [_version(stem=lambda w: nn.Conv2d(3, w, 3, bias=False))],
        ),
        Mistake(
            "softmax-inside",
            "There is a softmax at the end. A network gives logits; the cross-entropy has its own "
            "softmax.",
            [_version(_softmax)],
        ),
        Mistake(
            "max-instead-of-mean",
            "You take the largest number of each channel. The paper takes the mean (global average "
            "pooling).",
            [_version(_max_pool)],
        ),
        Mistake(
            "num-classes-ignored",
            "The head always has ten classes. `num_classes` says how many are asked for.",
            [_version(classes=lambda _: 10)],
        ),
        Mistake(
            "shortcuts",
            "Your blocks add their input to their output. This network is to be plain, as the one with "
            "which residual networks are compared.",
            [_version(block=_with_identity)],
        ),
    ),
)
