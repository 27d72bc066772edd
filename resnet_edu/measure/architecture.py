"""A ResNet place by place: the stem, every block, the head, and what each of them costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

import torch
from torch import nn

from resnet_edu.blocks import Bottleneck
from resnet_edu.measure.anatomy import Anatomy, Layer, anatomy
from resnet_edu.networks import HEAD, RESNETS, STEM, ResNet

STAGES = ("stem", "conv2_x", "conv3_x", "conv4_x", "conv5_x", "head")
"""The paper's names; the four in the middle are `layer1` to `layer4` of the network."""

_STEM, _HEAD, _SHORTCUT = f"{STEM[0]} to {STEM[-1]}", ", ".join(HEAD), ".downsample"


@dataclass(frozen=True)
class Step(Layer):
    """A layer with its kernel (the side, in pixels) and stride; None where it has none."""

    kernel_size: int | None
    stride: int | None


@dataclass(frozen=True)
class Place:
    """The stem, a block or the head of a network.

    `modules` says where it is in the network ("layer2[0]"), `block` which block of its stage it is,
    counted from 1 and 0 in stem and head, and `code` is Python that builds it: one module, or several
    that follow each other. `layers` are in the order of execution, without those of the shortcut.
    """

    stage: str
    block: int
    modules: str
    code: str
    input_shape: tuple[int, ...]
    layers: tuple[Step, ...]
    shortcut: tuple[Step, ...]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(C, H, W), or (features,) behind the head."""
        return self.layers[-1].output_shape

    @property
    def parameters(self) -> int:
        """Weights and biases, the shortcut's too."""
        return sum(layer.parameters for layer in self.layers + self.shortcut)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image, the shortcut's too."""
        return sum(layer.multiply_adds for layer in self.layers + self.shortcut)

    @property
    def receptive_field(self) -> int | None:
        """The side in pixels of the square that one of its outputs sees, or None for the whole image."""
        return self.layers[-1].receptive_field

    @property
    def projects(self) -> bool:
        """Whether the shortcut is a 1x1 convolution; where there is none at all, False."""
        return any(layer.kind == "Conv2d" for layer in self.shortcut)


@dataclass(frozen=True)
class Architecture:
    """All places of a ResNet, first to last, for square images of `image_size` pixels."""

    depth: int
    image_size: int
    places: tuple[Place, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases in total."""
        return sum(place.parameters for place in self.places)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds in total, for one image."""
        return sum(place.multiply_adds for place in self.places)

    @property
    def blocks(self) -> dict[str, int]:
        """How many blocks each stage has: 0 for stem and head."""
        return {stage: max(p.block for p in self.stage(stage)) for stage in STAGES}

    def stage(self, name: str) -> tuple[Place, ...]:
        """The places of one stage: "stem", "conv2_x", ..., "head"."""
        return tuple(place for place in self.places if place.stage == name)

    def up_to(self, place: Place) -> tuple[Place, ...]:
        """The places from the first to this one."""
        return self.places[: self.places.index(place) + 1]


@cache
def architecture(depth: int = 50, image_size: int = 224) -> Architecture:
    """ResNet-`depth` for ImageNet's 1,000 classes, on images of `image_size` x `image_size` pixels.

    The blocks of a stage are alike from the second on, and each sees further by the same number of
    pixels. So a network of two blocks in each stage is measured, once, and its blocks are repeated.
    Raises ValueError for another depth than 18, 34, 50, 101, 152, and for images without pixels.
    """
    if depth not in RESNETS:
        known = ", ".join(map(str, RESNETS))
        raise ValueError(f"The ResNets for ImageNet have depth {known}. {depth!r} is not one.")
    if image_size < 1:
        raise ValueError(f"An image is at least 1 pixel high and wide, not {image_size!r}.")
    block, counts = RESNETS[depth]
    stem, *blocks, head = _two_blocks_in_each_stage(block, image_size)
    places, beyond = [stem], 0
    for (first, second), count in zip(
        zip(blocks[::2], blocks[1::2], strict=True), counts, strict=True
    ):
        step = second.receptive_field - first.receptive_field
        places.append(_seeing_further(first, beyond))
        for place in range(1, count):
            further = beyond + step * (place - 1)
            places.append(_repeated(_seeing_further(second, further), place))
        beyond += step * (count - 2)
    return Architecture(depth, image_size, (*places, head))


@cache
def _two_blocks_in_each_stage(block: type[nn.Module], image_size: int) -> tuple[Place, ...]:
    with torch.device("meta"):  # shapes without numbers
        model = ResNet(block, (2, 2, 2, 2))
    places: list[Place] = []
    shape = (3, image_size, image_size)
    for modules, group in groupby(_steps(model, anatomy(model, image_size)), key=_modules_of):
        steps = tuple(group)
        stage, number, code = "stem", 0, _stem_code(model)
        if modules == _HEAD:
            stage, code = "head", _head_code(model)
        elif modules != _STEM:
            stage, number = STAGES[int(modules[5])], int(modules[7]) + 1  # "layer2[0]"
            code = _block_code(model.get_submodule(f"layer{modules[5]}.{modules[7]}"))
        layers = tuple(step for step in steps if _SHORTCUT not in step.name)
        shortcut = tuple(step for step in steps if _SHORTCUT in step.name)
        places.append(Place(stage, number, modules, code, shape, layers, shortcut))
        shape = places[-1].output_shape
    return tuple(places)


def _modules_of(step: Step) -> str:
    first, *rest = step.name.split(".")
    if rest:
        return f"{first}[{rest[0]}]"
    return _HEAD if first in HEAD else _STEM


def _steps(model: nn.Module, record: Anatomy) -> list[Step]:
    def side(name: str, what: str) -> int | None:
        value = getattr(model.get_submodule(name), what, None)
        return value[0] if isinstance(value, tuple) else value

    return [
        Step(
            **vars(layer),
            kernel_size=side(layer.name, "kernel_size"),
            stride=side(layer.name, "stride"),
        )
        for layer in record.layers
    ]


def _stem_code(model: ResNet) -> str:
    conv, pool = model.conv1, model.maxpool
    return (
        f"nn.Conv2d(3, {conv.out_channels}, {conv.kernel_size[0]}, stride={conv.stride[0]}, "
        f"padding={conv.padding[0]}, bias=False),\n"
        f"nn.BatchNorm2d({conv.out_channels}), nn.ReLU(), "
        f"nn.MaxPool2d({pool.kernel_size}, {pool.stride}, {pool.padding})"
    )


def _head_code(model: ResNet) -> str:
    fc = model.fc
    return f"nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear({fc.in_features}, {fc.out_features})"


def _block_code(block: nn.Module) -> str:
    inside = "width" if isinstance(block, Bottleneck) else "out_channels"
    stride = max(block.conv1.stride[0], block.conv2.stride[0])
    return (
        f"{type(block).__name__}(in_channels={block.conv1.in_channels}, "
        f"{inside}={block.conv1.out_channels}" + (f", stride={stride})" if stride > 1 else ")")
    )


def _seeing_further(place: Place, pixels: int) -> Place:
    def moved(steps: tuple[Step, ...]) -> tuple[Step, ...]:
        return tuple(replace(s, receptive_field=s.receptive_field + pixels) for s in steps)

    return replace(place, layers=moved(place.layers), shortcut=moved(place.shortcut))


def _repeated(second: Place, place: int) -> Place:
    """`second`, the second block of its stage, in another place, counted from 0."""
    stage = second.modules.removesuffix("[1]")

    def renamed(steps: tuple[Step, ...]) -> tuple[Step, ...]:
        old, new = f"{stage}.1.", f"{stage}.{place}."
        return tuple(replace(s, name=s.name.replace(old, new)) for s in steps)

    return replace(
        second,
        block=place + 1,
        modules=f"{stage}[{place}]",
        layers=renamed(second.layers),
        shortcut=renamed(second.shortcut),
    )
