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
            "There are too few blocks, so the network is shallower than its depth says, and a "
            "comparison of depths goes wrong. A block has two layers, and the first convolution and the "
            "last layer count too.",
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
            "word. Somebody who believes that 10 layers were trained, and not 8, draws the wrong "
            "conclusions.",
            [_version(error=None)],
        ),
        Mistake(
            "too-many-blocks",
            "A stage has too many blocks, so the network is deeper than its depth says, and a "
            "comparison of depths goes wrong. A block has two layers, and the first convolution and the "
            "last layer count too.",
            [
                _version(count=lambda depth: (depth - 2) // 6 + 1),
                _version(count=lambda depth: (depth - 2) // 3),
                _version(count=lambda depth: (depth - 2) // 2),
                _version(count=lambda depth: depth // 3),
            ],
        ),
        Mistake(
            "imagenet-widths",
            "Your stages have other widths than the CIFAR-10 form. Parameters grow with the square of "
            "the width: four times as wide is sixteen times as large, and no longer to be compared with "
            "the paper's figures.",
            [
                _version(widths=(64, 128, 256)),
                _version(widths=(32, 64, 128)),
                _version(widths=(16, 16, 16)),
            ],
        ),
        Mistake(
            "no-stride",
            "The image never becomes smaller, though the channels double twice. The second stage then "
            "costs four times what it should and the third sixteen times, and its layers see less of "
            "the image.",
            [_version(strides=(1, 1, 1))],
        ),
        Mistake(
            "stride-in-first-stage",
            "The first stage halves the image too, though it should work at full size. Images of 32x32 "
            "pixels are small already: their fine detail is lost in the very first block.",
            [_version(strides=(2, 2, 2)), _version(strides=(2, 2, 1)), _version(strides=(2, 1, 1))],
        ),
        Mistake(
            "stride-in-one-stage",
            "Only one stage halves the image, though the channels double twice. So a stage works on "
            "four times the pixels that it should, and costs four times as much.",
            [_version(strides=(1, 2, 1)), _version(strides=(1, 1, 2))],
        ),
        Mistake(
            "stride-in-every-block",
            "Every block of a stage has the stride, so the image is halved again and again. With 20 "
            "layers, a single pixel is left of 32, and the kernels look at nothing but padding around "
            "it.",
            [_version(every_block_strides=True)],
        ),
        Mistake(
            "imagenet-stem",
            "Your network makes the image smaller before the first stage, as the ImageNet form does "
            "with photos of 224 pixels. Images of 32 pixels have none to spare: what is small in them "
            "is lost.",
            [
                _version(stem=lambda w: nn.Conv2d(3, w, 7, 2, 3, bias=False)),
                _version(_pooled_stem, stem=lambda w: nn.Conv2d(3, w, 7, 2, 3, bias=False)),
                _version(_pooled_stem),
                _version(stem=lambda w: conv3x3(3, w, 2)),
            ],
        ),
        Mistake(
            "stem-without-relu",
            "There is no ReLU after the first batch norm (`bn1`). So nothing is bent between the first "
            "convolution and that of the first block, and the two can do no more than one.",
            [_version(_no_relu)],
        ),
        Mistake(
            "stem-without-batch-norm",
            "The first batch norm (`bn1`) is made but not used. Nothing sets the scale of what the "
            "first convolution gives, and its gamma and beta can never learn.",
            [_version(_no_bn)],
        ),
        Mistake(
            "stem-relu-first",
            "At the beginning, the ReLU comes before batch norm. So negative numbers go into the first "
            "stage, and the ReLU may cut off all that it gets, or nothing: batch norm is there to "
            "centre it.",
            [_version(_relu_first)],
        ),
        Mistake(
            "stem-with-bias",
            "The first convolution has a bias. The batch norm after it takes the mean away, and any "
            "bias with it: those parameters would do nothing.",
            [_version(stem=lambda w: nn.Conv2d(3, w, 3, padding=1))],
        ),
        Mistake(
            "stem-without-padding",
            "The first convolution takes a pixel from each side of the image. What stands at the edge "
            "counts for less then, and the stages no longer have the sizes of the network that you "
            "compare with.",
            [_version(stem=lambda w: nn.Conv2d(3, w, 3, bias=False))],
        ),
        Mistake(
            "softmax-inside",
            "There is a softmax at the end. A network gives logits, and the cross-entropy has its own "
            "softmax: with two, a network that is sure and right still has a loss of 1.46 with ten "
            "classes.",
            [_version(_softmax)],
        ),
        Mistake(
            "max-instead-of-mean",
            "You take the largest number of each channel. Then one pixel speaks for the whole image, "
            "and it alone gets a gradient; with the paper's global average pooling, all of them have a "
            "say.",
            [_version(_max_pool)],
        ),
        Mistake(
            "num-classes-ignored",
            "The last layer always has ten outputs, however many classes are asked for. With more "
            "classes training stops with an error, and with fewer some outputs stand for nothing.",
            [_version(classes=lambda _: 10)],
        ),
        Mistake(
            "shortcuts",
            "Your blocks add their input to their output. This is the network that residual networks "
            "are compared with: with shortcuts in both, nobody sees what they change.",
            [_version(block=_with_identity)],
        ),
    ),
)
