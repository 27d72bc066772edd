"""The networks of He et al. 2015, stacked from the blocks of `resnet_edu.blocks`.

`ResNet`        the form for ImageNet: a stem, four stages, a head. Which block it is built of makes it
                a ResNet or its plain twin.
`CifarResNet`   the smaller form for 32x32 images: a 3x3 stem, three stages, a head.

An architecture is a table, and here it is (He et al. 2015, table 1). The paper says conv1, conv2_x to
conv5_x where torchvision, and so this file, says conv1, layer1 to layer4:

    paper      here     output at 224    18      34      50      101     152
    conv1      conv1    112 x 112        7x7, 64, stride 2
    conv2_x    layer1    56 x 56         2       3       3       3       3     blocks of width 64
    conv3_x    layer2    28 x 28         2       4       4       4       8     blocks of width 128
    conv4_x    layer3    14 x 14         2       6       6       23      36    blocks of width 256
    conv5_x    layer4     7 x 7          2       3       3       3       3     blocks of width 512
    parameters, in millions             11.69   21.80   25.56   44.55   60.19
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, conv3x3, padding_shortcut

Block = Callable[[int, int, int], nn.Module]
"""A block class, or a function like one: (in_channels, width, stride) to a module with `out_channels`."""

RESNETS: dict[int, tuple[type[nn.Module], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""The table above: depth to block, and the number of blocks in each stage."""


def make_stage(
    block: Block, in_channels: int, width: int, blocks: int, stride: int
) -> nn.Sequential:
    """A stage: `blocks` blocks of one width. Only the first has the stride and the new channels."""
    stage = nn.Sequential(block(in_channels, width, stride))
    for _ in range(blocks - 1):
        stage.append(block(stage[0].out_channels, width, 1))
    return stage


class ResNet(nn.Module):
    """The ImageNet form: 7x7 stem and max-pool, four stages, average pool and a linear head.

    `blocks` says how many blocks each of the four stages has; the stages are `width`, 2, 4 and 8 times
    `width` wide. Shape: images (N, 3, H, W) to logits (N, num_classes); H and W of any size from 1 on,
    usually 224.
    """

    def __init__(
        self,
        block: Block,
        blocks: Sequence[int],
        num_classes: int = 1000,
        width: int = 64,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

        self.layer1 = make_stage(block, width, width, blocks[0], stride=1)
        self.layer2 = make_stage(block, self.layer1[0].out_channels, 2 * width, blocks[1], stride=2)
        self.layer3 = make_stage(block, self.layer2[0].out_channels, 4 * width, blocks[2], stride=2)
        self.layer4 = make_stage(block, self.layer3[0].out_channels, 8 * width, blocks[3], stride=2)

        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.layer4[0].out_channels, num_classes)
        self.inplanes = self.fc.in_features  # torchvision's detection models ask by this name

        he_init_(self)
        if zero_init_residual:
            zero_init_residual_(self)

    def forward(self, x: Tensor) -> Tensor:  # shapes for ResNet-50 at width 64:
        _require_images(x)  # (N, 3, 224, 224)
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, 112, 112)
        x = self.maxpool(x)  # (N, 64, 56, 56)

        x = self.layer1(x)  # (N, 256, 56, 56)
        x = self.layer2(x)  # (N, 512, 28, 28)
        x = self.layer3(x)  # (N, 1024, 14, 14)
        x = self.layer4(x)  # (N, 2048, 7, 7)

        x = self.avgpool(x).flatten(1)  # (N, 2048)
        return self.fc(x)  # (N, 1000)


class CifarResNet(nn.Module):
    """The CIFAR-10 form (He et al. 2015, section 4.2): 3x3 stem, three stages of 16, 32, 64 channels.

    `depth` is 6n + 2: n blocks of two convolutions in each of three stages, the stem and the head.
    Shape: images (N, 3, H, W) to logits (N, num_classes); 32x32 in the paper.
    Raises ValueError for any other depth.

    `load_state_dict` also takes the names of widely published CIFAR-10 checkpoints: `linear` for `fc`,
    and a leading `module.`, which `nn.DataParallel` adds.
    """

    def __init__(
        self, block: Block, depth: int, num_classes: int = 10, zero_init_residual: bool = False
    ) -> None:
        super().__init__()
        n = _blocks_per_stage(depth)
        self.conv1 = conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()

        self.layer1 = make_stage(block, 16, 16, n, stride=1)
        self.layer2 = make_stage(block, 16, 32, n, stride=2)
        self.layer3 = make_stage(block, 32, 64, n, stride=2)

        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)

        he_init_(self)
        if zero_init_residual:
            zero_init_residual_(self)
        self.register_load_state_dict_pre_hook(_before_load)

    def forward(self, x: Tensor) -> Tensor:
        _require_images(x)  # (N, 3, 32, 32)
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 16, 32, 32)

        x = self.layer1(x)  # (N, 16, 32, 32)
        x = self.layer2(x)  # (N, 32, 16, 16)
        x = self.layer3(x)  # (N, 64, 8, 8)

        x = self.avgpool(x).flatten(1)  # (N, 64)
        return self.fc(x)  # (N, 10)


# What parts a network has, by name. Whoever looks for a part asks here. The names are torchvision's, so the
# answers are right for its ResNets too.

STEM = ("conv1", "bn1", "relu", "maxpool")
HEAD = ("avgpool", "fc")


def stage_of(name: str) -> str:
    """The part of a network that a parameter or module belongs to: "layer1.0.conv1" is in "layer1".

    What comes before the first stage is the "stem", what comes after the last one has its own name: "fc".
    """
    first = name.partition(".")[0]
    return "stem" if first in STEM else first


def stages(model: nn.Module) -> dict[str, nn.Sequential]:
    """The stages by name, in the order of execution: "layer1", "layer2", ...

    Raises ValueError for a model that has none.
    """
    found = {
        name: stage
        for name, stage in model.named_children()
        if name.startswith("layer") and isinstance(stage, nn.Sequential)
    }
    if not found:
        raise ValueError(
            f"This {type(model).__name__} has no stages layer1, layer2, ... of blocks. Give a "
            "CifarResNet or a ResNet."
        )
    return found


def block_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the blocks in order: "layer1.0", "layer1.1", ...

    Raises ValueError for a model without stages layer1, layer2, ... of blocks in a row.
    """
    return tuple(f"{name}.{i}" for name, stage in stages(model).items() for i in range(len(stage)))


def is_residual(block: nn.Module) -> bool:
    """Whether a block has a shortcut, `downsample`."""
    return hasattr(block, "downsample")


def last_norm(block: nn.Module) -> nn.Module:
    """The last module of a block's branch: the batch norm right before the addition."""
    return block.bn3 if hasattr(block, "bn3") else block.bn2


def head(model: nn.Module) -> nn.Linear:
    """The last layer, from features to logits. Raises ValueError where it is not a linear `fc`."""
    fc = getattr(model, "fc", None)
    if not isinstance(fc, nn.Linear):
        found = "no module of that name" if fc is None else f"{type(fc).__name__} there"
        raise ValueError(f"The model's head must be a linear layer named fc; it has {found}.")
    return fc


def classify(model: nn.Module, maps: Tensor) -> Tensor:
    """What the head makes of the last stage's maps: (N, C, H, W) to logits (N, num_classes)."""
    return model.fc(model.avgpool(maps).flatten(1))


def he_init_(model: nn.Module) -> None:
    """He initialisation of every convolution in `model`, in place (He et al. 2015b, section 2.2).

    Normal with mean 0 and variance 2 / (out_channels * kernel_size^2): the ReLU sets about half of its
    inputs to zero, and the factor 2 makes up for it.
    """
    for module in model.modules():
        # A network without numbers keeps none; PyTorch would load its compiler to fill it.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def zero_init_residual_(model: nn.Module) -> None:
    """Set the last batch norm of each residual branch to zero, in place: each block starts as its shortcut.

    Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 5.1.
    """
    for module in model.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            nn.init.zeros_(last_norm(module).weight)


# The functions that people call: one line of the table each.


def resnet18(
    num_classes: int = 1000, width: int = 64, *, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-18: 11,689,512 parameters."""
    return ResNet(*RESNETS[18], num_classes, width, zero_init_residual)


def resnet34(
    num_classes: int = 1000, width: int = 64, *, zero_init_residual: bool = False
) -> ResNet:
    """ResNet-34: 21,797,672 parameters."""
    return ResNet(*RESNETS[34], num_classes, width, zero_init_residual)


def resnet50(
    num_classes: int = 1000,
    width: int = 64,
    *,
    stride_in_1x1: bool = False,
    zero_init_residual: bool = False,
) -> ResNet:
    """ResNet-50: 25,557,032 parameters. `stride_in_1x1=True` gives the form of the 2015 paper."""
    block = partial(Bottleneck, stride_in_1x1=stride_in_1x1)
    return ResNet(block, RESNETS[50][1], num_classes, width, zero_init_residual)


def resnet101(
    num_classes: int = 1000,
    width: int = 64,
    *,
    stride_in_1x1: bool = False,
    zero_init_residual: bool = False,
) -> ResNet:
    """ResNet-101: 44,549,160 parameters. `stride_in_1x1=True` gives the form of the 2015 paper."""
    block = partial(Bottleneck, stride_in_1x1=stride_in_1x1)
    return ResNet(block, RESNETS[101][1], num_classes, width, zero_init_residual)


def resnet152(
    num_classes: int = 1000,
    width: int = 64,
    *,
    stride_in_1x1: bool = False,
    zero_init_residual: bool = False,
) -> ResNet:
    """ResNet-152: 60,192,808 parameters. `stride_in_1x1=True` gives the form of the 2015 paper."""
    block = partial(Bottleneck, stride_in_1x1=stride_in_1x1)
    return ResNet(block, RESNETS[152][1], num_classes, width, zero_init_residual)


def plain18(num_classes: int = 1000, width: int = 64) -> ResNet:
    """ResNet-18 without its shortcuts: 11,515,688 parameters."""
    return ResNet(PlainBlock, RESNETS[18][1], num_classes, width)


def plain34(num_classes: int = 1000, width: int = 64) -> ResNet:
    """ResNet-34 without its shortcuts: 21,623,848 parameters."""
    return ResNet(PlainBlock, RESNETS[34][1], num_classes, width)


def cifar_resnet(
    depth: int, num_classes: int = 10, *, zero_init_residual: bool = False
) -> CifarResNet:
    """The residual network of `depth` 6n + 2 layers, with parameter-free shortcuts (option A).

    ResNet-20 has 269,722 parameters, exactly as many as plain-20. Any other depth: ValueError.

    Some published checkpoints have projections instead (option B, keys with `downsample`): they load
    into `CifarResNet(BasicBlock, depth)`.
    """
    block = partial(BasicBlock, shortcut=padding_shortcut)
    return CifarResNet(block, depth, num_classes, zero_init_residual)


def cifar_plain(depth: int, num_classes: int = 10) -> CifarResNet:
    """The plain network of `depth` 6n + 2 layers. Raises ValueError for another depth."""
    return CifarResNet(PlainBlock, depth, num_classes)


def _blocks_per_stage(depth: int) -> int:
    depths = range(8, 1206, 6)
    if depth not in depths:
        raise ValueError(
            f"A CIFAR network has depth 6n + 2: 8, 14, 20, ..., 56, ..., 110, up to {depths[-1]}. "
            f"{depth!r} is not one of them."
        )
    return depths.index(depth) + 1


@fx.wrap  # a trace that fx records calls it as it is: it looks at shapes, which a trace does not know
def _require_images(x: Tensor) -> None:
    if x.dim() == 4 and x.shape[1] == 3:
        return
    hint = ""
    if x.dim() == 3 and x.shape[0] == 3:
        hint = " One image: add the first dimension, x.unsqueeze(0)."
    elif x.dim() == 4 and x.shape[1] == 1:
        hint = " Grey images: repeat the channel, x.expand(-1, 3, -1, -1)."
    elif x.dim() == 4 and x.shape[3] == 3:
        hint = " Channels come second: x.permute(0, 3, 1, 2)."
    raise ValueError(f"The network takes images (N, 3, H, W), not {tuple(x.shape)}.{hint}")


def accept_published_names(weights: MutableMapping[str, Tensor], prefix: str = "") -> None:
    """Rename, in place, what widely published CIFAR-10 checkpoints call otherwise (see `CifarResNet`)."""
    for key in list(weights):
        name = key.removeprefix(prefix).removeprefix("module.")
        if name.startswith("linear."):
            name = "fc." + name.removeprefix("linear.")
        if prefix + name not in weights:
            weights[prefix + name] = weights.pop(key)


def _before_load(_module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    accept_published_names(state_dict, prefix)
