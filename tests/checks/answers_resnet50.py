"""Answers to the tasks on ResNet-50, as people write them."""

# ruff: noqa: N801 - wrong answers are wrong in this too

import copy
from collections import OrderedDict

import torch
from bank import WRONG, right, wrong, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, networks

# Bottleneck


@right(checks.bottleneck)
class none_and_one_relu(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += identity
        return self.relu(out)


Block = none_and_one_relu


@right(checks.bottleneck)
class as_torchvision_has_it(Block):
    def forward(self, x):
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        out = self.relu(out)
        out = self.conv3(out)
        out = self.bn3(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        out = self.relu(out)
        return out  # noqa: RET504


@right(checks.bottleneck)
class the_librarys_bottleneck(blocks.Bottleneck):
    pass


@right(checks.bottleneck)
class identity_first_and_functional(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        if stride == 1 and in_channels == 4 * width:
            self.downsample = nn.Identity()
        else:
            self.downsample = nn.Sequential(
                OrderedDict(
                    {
                        "0": nn.Conv2d(in_channels, 4 * width, 1, stride, bias=False),
                        "1": nn.BatchNorm2d(4 * width),
                    }
                )
            )
        self.bn3, self.bn2, self.bn1 = (nn.BatchNorm2d(n * width) for n in (4, 1, 1))
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, (stride, stride), "valid", bias=False)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.pad(out, (1, 1, 1, 1))
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        return F.relu(self.downsample(x).add(self.bn3(self.conv3(out))))


@right(checks.bottleneck)
class lazy(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        for number, (channels, size, step) in enumerate(
            [(width, 1, 1), (width, 3, stride), (width * 4, 1, 1)], start=1
        ):
            conv = nn.LazyConv2d(channels, size, step, size // 2, bias=False)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.LazyBatchNorm2d())
        self.downsample = nn.Sequential()
        if stride > 1 or in_channels != width * 4:
            self.downsample.append(nn.LazyConv2d(width * 4, 1, stride, bias=False))
            self.downsample.append(nn.LazyBatchNorm2d())

    def forward(self, x):
        out = x
        for number in (1, 2, 3):
            out = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(out))
            out = out.relu() if number < 3 else out
        return (out + self.downsample(x)).clamp(min=0)


@right(checks.bottleneck)
class by_setattr_and_weights(Block):
    """The 1x1 convolution as a matrix product."""

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = torch.einsum("oi,nihw->nohw", self.conv1.weight[:, :, 0, 0], x)
        out = torch.relu(self.bn1(out))
        out = torch.relu(self.bn2(self.conv2(out)))
        out = torch.einsum("oi,nihw->nohw", self.conv3.weight[:, :, 0, 0], out)
        return torch.relu(self.bn3(out) + identity)


@right(checks.bottleneck)
def a_function_that_makes_torchvisions(in_channels, width, stride=1):
    from torchvision.models.resnet import Bottleneck

    downsample = Block(in_channels, width, stride).downsample
    return Bottleneck(in_channels, width, stride, downsample)


wrong_edits(
    checks.bottleneck,
    none_and_one_relu,
    r"""
    no-last-relu
        return self.relu(out) => return out
    relu-before-addition
        out += identity => return self.relu(out) + identity
    relu-before-and-after
        self.bn3(self.conv3(out)) => self.relu(self.bn3(self.conv3(out)))
    no-second-relu
        self.relu(self.bn2(self.conv2(out))) => self.bn2(self.conv2(out))
    no-first-relu
        self.relu(self.bn1(self.conv1(x))) => self.bn1(self.conv1(x))
    no-inner-relus
        self.relu(self.bn1(self.conv1(x))) => self.bn1(self.conv1(x))
        self.relu(self.bn2(self.conv2(out))) => self.bn2(self.conv2(out))
    no-shortcut
        out += identity => pass
    no-expansion
        out_channels = width * self.expansion => out_channels = width
    wrong-expansion
        expansion = 4 => expansion = 2
    no-expansion-attribute
        expansion = 4 => pass
        width * self.expansion => width * 4
    width-taken-for-output
        out_channels = width * self.expansion => out_channels, width = width, width // self.expansion
    stride-on-first-1x1
        width, kernel_size=1, => width, kernel_size=1, stride=stride,
        kernel_size=3, stride=stride, => kernel_size=3,
    stride-on-last-1x1
        kernel_size=3, stride=stride, => kernel_size=3,
        (width, out_channels, kernel_size=1, => (width, out_channels, kernel_size=1, stride=stride,
    stride-twice
        width, kernel_size=1, => width, kernel_size=1, stride=stride,
    stride-forgotten
        kernel_size=3, stride=stride, => kernel_size=3,

        kernel_size=1, stride=stride, => kernel_size=1,
    projection-only-with-stride
        stride != 1 or in_channels != out_channels => stride != 1
    projection-only-with-channels
        stride != 1 or in_channels != out_channels => in_channels != out_channels
    projection-only-with-both
        stride != 1 or => stride != 1 and
    projection-compares-width
        in_channels != out_channels => in_channels != width
    no-projection
        stride != 1 or in_channels != out_channels => False
    projection-always
        stride != 1 or in_channels != out_channels => True
    projection-without-batch-norm
        nn.Sequential( => nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)\nnn.Sequential(

        nn.BatchNorm2d(out_channels), => *(),
    wrong-padding
        padding=1, bias => bias

        padding=1 => padding=2
    dilation
        padding=1 => padding=2, dilation=2
    padding-around-1x1
        width, kernel_size=1, => width, kernel_size=1, padding=1,
        (width, out_channels, kernel_size=1, => (width, out_channels, kernel_size=1, padding=1,
    bias
        in_channels, width, kernel_size=1, bias=False => in_channels, width, kernel_size=1
        padding=1, bias=False => padding=1
        (width, out_channels, kernel_size=1, bias=False => (width, out_channels, kernel_size=1

        kernel_size=1, stride=stride, bias=False => kernel_size=1, stride=stride
    wrong-kernels
        width, kernel_size=1, => width, kernel_size=3, padding=1,
        (width, out_channels, kernel_size=1, => (width, out_channels, kernel_size=3, padding=1,

        kernel_size=3, stride=stride, padding=1, => kernel_size=1, stride=stride,
    relu-before-batch-norm
        self.relu(self.bn1(self.conv1(x))) => self.bn1(self.relu(self.conv1(x)))
        self.relu(self.bn2(self.conv2(out))) => self.bn2(self.relu(self.conv2(out)))
    pre-activation
        self.bn1 = nn.BatchNorm2d(width) => self.bn1 = nn.BatchNorm2d(in_channels)
        self.bn3 = nn.BatchNorm2d(out_channels) => self.bn3 = nn.BatchNorm2d(width)
        self.relu(self.bn1(self.conv1(x))) => self.conv1(F.relu(self.bn1(x)))
        self.relu(self.bn2(self.conv2(out))) => self.conv2(F.relu(self.bn2(out)))
        self.bn3(self.conv3(out)) => self.conv3(F.relu(self.bn3(out)))
        return self.relu(out) => return out
    batch-norm-after-addition
        self.bn3(self.conv3(out)) => self.conv3(out)
        return self.relu(out) => return self.relu(self.bn3(out))
    batch-norm-unused
        self.bn3(self.conv3(out)) => self.conv3(out)
    one-batch-norm-twice
        self.bn2(self.conv2(out)) => self.bn1(self.conv2(out))
    modules-in-a-list
        nn.Sequential( => list(nn.Sequential(
        nn.BatchNorm2d(out_channels), => nn.BatchNorm2d(out_channels)),
        self.downsample(x) => self.downsample[1](self.downsample[0](x))
    missing-module
        self.conv1 = => self.reduce =
        self.conv2 = => self.conv =
        self.conv3 = => self.expand =
        self.downsample = None => self.shortcut = None
        self.downsample = nn => self.shortcut = nn
        self.conv1(x) => self.reduce(x)
        self.conv2(out) => self.conv(out)
        self.conv3(out) => self.expand(out)
        self.downsample is None else self.downsample(x) => self.shortcut is None else self.shortcut(x)

        self.downsample = None => self.skip = nn.Identity()
        self.downsample = nn => self.skip = nn
        x if self.downsample is None else self.downsample(x) => self.skip(x)

        nn.Sequential( => nn.Sequential(\n    nn.AvgPool2d(stride, stride),
        kernel_size=1, stride=stride, => kernel_size=1,
    changes-its-input
        out += identity => if identity is x:\n    x.data += out\n    return F.relu(x)\nout += identity
    no-super-init
        super().__init__() => pass
    projection-unused
        x if self.downsample is None else self.downsample(x) => x
    projection-of-the-branch
        x if self.downsample is None else self.downsample(x) => x
        out += identity => out = out + (x if self.downsample is None else self.downsample(out))
    x-overwritten
        x if self.downsample is None else self.downsample(x) => x
        out += identity => out = out + out
    relu-of-input
        identity = x => x = self.relu(x)\nidentity = x
    not-a-relu
        nn.ReLU(inplace=True) => nn.LeakyReLU()
    concatenated
        out += identity => out = torch.cat([out, identity], dim=1)
    averaged
        out += identity => out = (out + identity) / 2
    groups
        padding=1, => padding=1, groups=width,
    wrong-channels
        self.bn3 = nn.BatchNorm2d(out_channels) => self.bn3 = nn.BatchNorm2d(width)
    parameter-names
        def __init__(self, in_channels, width, stride=1): => def __init__(self, inplanes, planes, stride=1):
        super().__init__() => super().__init__()\nin_channels, width = inplanes, planes
    """,
)


@wrong(checks.bottleneck, "modules-in-a-list")
class three_convs_in_a_list(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        sizes = [(in_channels, width, 1, 1), (width, width, 3, stride), (width, width * 4, 1, 1)]
        self.layers = []
        for i, o, k, s in sizes:
            self.layers += [nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o)]
        self.downsample = nn.Sequential(
            nn.Conv2d(in_channels, width * 4, 1, stride, bias=False), nn.BatchNorm2d(width * 4)
        )

    def forward(self, x):
        out = x
        for layer in self.layers:
            out = layer(out)
        return F.relu(out + self.downsample(x))


# make_stage


def wrong_answer(check, mistake):
    """The first that makes it."""
    return next(entry.answer for entry in WRONG if (entry.check, entry.mistake) == (check, mistake))


def wrong_block(mistake):
    return wrong_answer(checks.bottleneck, mistake)


def stage_of(block, in_channels, width, count, stride):
    rest = (block(width * 4, width) for _ in range(1, count))
    return nn.Sequential(block(in_channels, width, stride), *rest)


@right(checks.make_stage)
def first_then_loop(in_channels, width, blocks, stride):
    layers = [Block(in_channels, width, stride)]
    for _ in range(blocks - 1):
        layers.append(Block(width * 4, width))
    return nn.Sequential(*layers)


_Library = blocks.Bottleneck


@right(checks.make_stage)
def channels_in_a_loop(in_channels, width, blocks, stride):
    layers = []
    for i in range(blocks):
        layers.append(_Library(in_channels, width, stride if i == 0 else 1))
        in_channels = 4 * width
    return nn.Sequential(*layers)


@right(checks.make_stage)
def the_librarys_stage(in_channels, width, blocks, stride):
    return networks.make_stage(_Library, in_channels, width, blocks, stride)


@right(checks.make_stage)
def strides_and_channels_first(in_channels, width, blocks, stride):
    strides = [stride] + [1] * (blocks - 1)
    channels = [in_channels] + [width * _Library.expansion] * (blocks - 1)
    return nn.Sequential(*(_Library(c, width, s) for c, s in zip(channels, strides, strict=True)))


@right(checks.make_stage)
def appended(in_channels, width, blocks, stride):
    stage = nn.Sequential()
    for i in range(blocks):
        if i == 0:
            stage.append(Block(in_channels, width, stride=stride))
        else:
            stage.append(Block(in_channels=4 * width, width=width))
    return stage


@right(checks.make_stage)
def named_modules_in_order(in_channels, width, blocks, stride):
    stage = OrderedDict()
    for i in range(blocks):
        stage[str(i)] = _Library(in_channels, width, stride)
        in_channels, stride = 4 * width, 1
    return nn.Sequential(stage)


@right(checks.make_stage)
def by_recursion(in_channels, width, blocks, stride):
    if blocks == 0:
        return nn.Sequential()
    rest = by_recursion(4 * width, width, blocks - 1, 1)
    return nn.Sequential(_Library(in_channels, width, stride), *rest)


@right(checks.make_stage)
def torchvisions_blocks(in_channels, width, blocks, stride):
    return stage_of(a_function_that_makes_torchvisions, in_channels, width, blocks, stride)


wrong_edits(
    checks.make_stage,
    first_then_loop,
    r"""
    stride-in-every-block
        Block(width * 4, width) => Block(width * 4, width, stride)
    stride-ignored
        Block(in_channels, width, stride) => Block(in_channels, width)
    stride-always-2
        Block(in_channels, width, stride) => Block(in_channels, width, 2)
    in-channels-not-expanded
        Block(width * 4, width) => Block(width, width)
    in-channels-not-changed
        Block(width * 4, width) => Block(in_channels, width)
    wrong-number-of-blocks
        range(blocks - 1) => range(blocks)

        range(blocks - 1) => range(1, blocks - 1)
    one-block-repeated
        layers = [ => block = Block(width * 4, width)\nlayers = [
        layers.append(Block(width * 4, width)) => layers.append(block)
    not-a-sequential
        return nn.Sequential(*layers) => return layers

        return nn.Sequential(*layers) => return nn.ModuleList(layers)
    wrong-width
        layers = [ => width = width * 4\nlayers = [
    other-blocks
        Block(in_channels, width, stride) => networks.BasicBlock(in_channels, width, stride)
        Block(width * 4, width) => networks.BasicBlock(width, width)
    bottleneck-is-wrong
        layers = [ => Block = wrong_block("no-last-relu")\nlayers = [

        layers = [ => Block = wrong_block("stride-on-first-1x1")\nlayers = [
    projection-missing
        layers = [ => Block = wrong_block("no-projection")\nlayers = [
    returns-none
        return nn.Sequential(*layers) => nn.Sequential(*layers)
    list-not-unpacked
        *layers => layers
    """,
)
wrong_edits(
    checks.make_stage,
    channels_in_a_loop,
    r"""
    further-projection
        i == 0 => i % 2 == 0
    stride-in-last-block
        i == 0 => i == blocks - 1
    wrong-number-of-blocks
        in_channels = 4 * width => in_channels = 4 * width\nreturn nn.Sequential(*layers)
    names-of-blocks
        layers = [] => layers = nn.Sequential()
        layers.append( => layers.add_module(f"block{i + 1}",
        return nn.Sequential(*layers) => return layers
    in-channels-multiplied
        in_channels = 4 * width => in_channels = in_channels * _Library.expansion
    in-channels-of-the-first
        in_channels, width, stride if => 4 * width, width, stride if
    """,
)


# ResNet50


@right(checks.resnet50)
class with_a_loop_of_setattr(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        counts, strides = (3, 4, 6, 3), (1, 2, 2, 2)
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        in_channels = 64
        for number, (count, stride) in enumerate(zip(counts, strides, strict=True)):
            width = 64 * 2**number
            stage = stage_of(Block, in_channels, width, count, stride)
            setattr(self, f"layer{number + 1}", stage)
            in_channels = width * 4
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


@right(checks.resnet50)
class written_out(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = first_then_loop(64, 64, 3, 1)
        self.layer2 = first_then_loop(256, 128, 4, 2)
        self.layer3 = first_then_loop(512, 256, 6, 2)
        self.layer4 = first_then_loop(1024, 512, 3, 2)
        self.fc = nn.Linear(512 * 4, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        x = F.adaptive_avg_pool2d(x, 1)
        x = x.view(-1, 2048)
        return self.fc(x)


@right(checks.resnet50)
class of_module_lists_and_means(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.fc = nn.LazyLinear(num_classes)
        plan = [(64, 64, 3, 1), (256, 128, 4, 2), (512, 256, 6, 2), (1024, 512, 3, 2)]
        for i, (channels, width, count, stride) in enumerate(plan, 1):
            stage = first_then_loop(channels, width, count, stride)
            self.add_module(f"layer{i}", nn.ModuleList(stage))
        self.bn1 = nn.BatchNorm2d(64)
        self.conv1 = nn.LazyConv2d(64, 7, 2, 3, bias=False)

    def forward(self, images):
        x = self.bn1(self.conv1(images))
        x = torch.relu(nn.MaxPool2d(3, 2, padding=1)(x))
        for i in range(1, 5):
            for block in getattr(self, f"layer{i}"):
                x = block(x)
        return self.fc(x.mean(dim=(-1, -2)))


@right(checks.resnet50)
class a_sequential(nn.Sequential):
    def __init__(self, num_classes=1000):
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(3, 64, 7, 2, 3, bias=False),
                bn1=nn.BatchNorm2d(64),
                relu=nn.ReLU(inplace=True),
                maxpool=nn.MaxPool2d(3, 2, 1),
                layer1=by_recursion(64, 64, 3, 1),
                layer2=by_recursion(256, 128, 4, 2),
                layer3=by_recursion(512, 256, 6, 2),
                layer4=by_recursion(1024, 512, 3, 2),
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(0.0),
                fc=nn.Linear(2048, num_classes),
            )
        )


@right(checks.resnet50)
class the_librarys_class(networks.ResNet):
    def __init__(self, num_classes=1000):
        super().__init__(blocks.Bottleneck, (3, 4, 6, 3), num_classes)


@right(checks.resnet50)
def torchvisions(num_classes=1000):
    import torchvision

    return torchvision.models.resnet50(num_classes=num_classes)


@right(checks.resnet50)
class head_before_the_mean(with_a_loop_of_setattr):
    """The mean and a linear layer may change places."""

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.movedim(1, -1)).mean((1, 2))


class _DecidesByShapes(none_and_one_relu):
    """A block that looks at the numbers of channels only when it is used."""

    def forward(self, x):
        keeps_shape = x.shape[1] == self.conv3.out_channels and self.conv2.stride == (1, 1)
        identity = x if keeps_shape else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + identity)


@right(checks.resnet50)
class decides_by_shapes(with_a_loop_of_setattr):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        for number, (count, stride) in enumerate([(3, 1), (4, 2), (6, 2), (3, 2)]):
            width = 64 * 2**number
            stage = stage_of(_DecidesByShapes, 2 * width if number else 64, width, count, stride)
            setattr(self, f"layer{number + 1}", stage)


wrong_edits(
    checks.resnet50,
    with_a_loop_of_setattr,
    r"""
    one-image-squeezed
        torch.flatten(self.avgpool(x), 1) => self.avgpool(x).squeeze()
    wrong-number-of-blocks
        (3, 4, 6, 3) => (3, 4, 23, 3)

        (3, 4, 6, 3) => (2, 2, 2, 2)

        (3, 4, 6, 3) => (3, 6, 4, 3)
    no-max-pool
        self.maxpool(self.relu(self.bn1(self.conv1(x)))) => self.relu(self.bn1(self.conv1(x)))
    pool-without-padding
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1) => nn.MaxPool2d(3, 2)
    pool-2x2
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1) => nn.MaxPool2d(2)
    average-pool-in-stem
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1) => nn.AvgPool2d(3, 2, 1)
    stem-without-stride
        kernel_size=7, stride=2, => kernel_size=7,
    stem-padding
        padding=3, bias => bias

        padding=3, => padding=1,
    stem-kernel
        kernel_size=7, stride=2, padding=3, => kernel_size=3, padding=1,
        self.maxpool(self.relu(self.bn1(self.conv1(x)))) => self.relu(self.bn1(self.conv1(x)))
    stem-without-relu
        self.relu(self.bn1(self.conv1(x))) => self.bn1(self.conv1(x))
    stem-without-batch-norm
        self.bn1(self.conv1(x)) => self.conv1(x)
    stem-order
        self.relu(self.bn1(self.conv1(x))) => self.bn1(self.relu(self.conv1(x)))
    bias
        padding=3, bias=False => padding=3

        stage_of(Block, => stage_of(wrong_block("bias"),
    stage-strides
        (1, 2, 2, 2) => (2, 2, 2, 2)

        (1, 2, 2, 2) => (1, 1, 1, 1)

        (1, 2, 2, 2) => (1, 2, 2, 1)
    stride-in-every-block
        stage_of(Block, => wrong_answer(checks.make_stage, "stride-in-every-block")(
    widths
        width = 64 * 2**number => width = 64
        nn.Linear(2048, => nn.Linear(256,
    in-features
        nn.Linear(2048, => nn.Linear(512,
    num-classes-ignored
        nn.Linear(2048, num_classes) => nn.Linear(2048, 1000)
    softmax-inside
        return self.fc(x) => return F.softmax(self.fc(x), dim=1)

        return self.fc(x) => return F.log_softmax(self.fc(x), dim=-1)
    function-of-logits
        return self.fc(x) => return self.relu(self.fc(x))
    no-average-pool
        torch.flatten(self.avgpool(x), 1) => x.flatten(1)
    fixed-pool
        nn.AdaptiveAvgPool2d((1, 1)) => nn.AvgPool2d(7)

        torch.flatten(self.avgpool(x), 1) => F.avg_pool2d(x, x.shape[2]).flatten(1)
    max-instead-of-mean
        nn.AdaptiveAvgPool2d((1, 1)) => nn.AdaptiveMaxPool2d(1)
    not-flattened
        torch.flatten(self.avgpool(x), 1) => self.avgpool(x)
    bottleneck-is-wrong
        stage_of(Block, => stage_of(wrong_block("no-last-relu"),

        stage_of(Block, => stage_of(wrong_block("no-shortcut"),

        stage_of(Block, => stage_of(wrong_block("batch-norm-after-addition"),

        stage_of(Block, => stage_of(wrong_block("wrong-padding"),
    stride-on-first-1x1
        stage_of(Block, => stage_of(wrong_block("stride-on-first-1x1"),
    projection-only-with-stride
        stage_of(Block, => stage_of(wrong_block("projection-only-with-stride"),
    projection-missing
        stage_of(Block, => stage_of(wrong_block("no-projection"),
    projection-without-batch-norm
        stage_of(Block, => stage_of(wrong_block("projection-without-batch-norm"),
    projection-always
        stage_of(Block, => stage_of(wrong_block("projection-always"),
    other-blocks
        stage_of(Block, => stage_of(blocks.BasicBlock,
    missing-module
        self.fc = => self.classifier =
        self.fc(x) => self.classifier(x)
    modules-in-a-list
        setattr(self, f"layer{number + 1}", stage) => self.stages = [*getattr(self, "stages", []), stage]
        self.layer4(self.layer3(self.layer2(self.layer1(x)))) => nn.Sequential(*self.stages)(x)
    one-block-repeated
        stage_of(Block, => wrong_answer(checks.make_stage, "one-block-repeated")(
    other-modules
        self.fc = => self.hidden = nn.Linear(2048, 2048)\nself.fc =
        self.fc(x) => self.fc(F.relu(self.hidden(x)))
    returns-none
        return self.fc(x) => self.fc(x)
    features-given-back
        return self.fc(x) => return x
    block-unused
        self.layer2(self.layer1(x)) => self.layer1(x)
    pool-twice
        self.layer1(x) => self.layer1(self.maxpool(x))
    classes-given-back
        return self.fc(x) => return self.fc(x).argmax(1)
    missing-keys
        nn.Linear(2048, num_classes) => nn.Sequential(nn.Dropout(), nn.Linear(2048, num_classes))
    in-channels
        in_channels = width * 4 => in_channels = width * 4 if number else 64
    wrong-shape
        nn.Conv2d(3, 64, => nn.Conv2d(3, 16,
        nn.BatchNorm2d(64) => nn.BatchNorm2d(16)
        in_channels = 64 => in_channels = 16
    """,
)


@wrong(checks.resnet50, "missing-module")
class one_stem_one_body(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        net = with_a_loop_of_setattr(num_classes)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.body = nn.Sequential(net.layer1, net.layer2, net.layer3, net.layer4)
        self.fc = net.fc

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


# count_layers


@right(checks.count_layers)
def in_a_loop(model):
    count = 0
    for name, module in model.named_modules():
        if "downsample" in name:
            continue
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            count += 1
    return count


@right(checks.count_layers)
def by_kind_and_name(model):
    return sum(
        isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in name
        for name, module in model.named_modules()
    )


@right(checks.count_layers)
def matrices_and_kernels(model):
    count = 0
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and "downsample" not in name.split("."):
            count += 1
    return count


@right(checks.count_layers)
def all_minus_shortcuts(model):
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    shortcuts = [
        m
        for block in model.modules()
        if isinstance(getattr(block, "downsample", None), nn.Module)
        for m in block.downsample.modules()
        if isinstance(m, nn.Conv2d)
    ]
    return len(layers) - len(shortcuts)


@right(checks.count_layers)
def by_walking_children(model):
    total = 0
    for name, child in model.named_children():
        if name == "downsample":
            continue
        if type(child) is nn.Conv2d or type(child) is nn.Linear:
            total += 1
        else:
            total += by_walking_children(child)
    return total


@right(checks.count_layers)
def stem_blocks_and_head(model):
    layers = 2
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            layers += 3 if hasattr(block, "conv3") else 2
    return layers


@right(checks.count_layers)
def keys_of_the_state(model):
    return len([k for k in model.state_dict() if k.startswith("fc.w") or ".conv" in "." + k])


@right(checks.count_layers)
def counted_in_a_forward_pass(model):
    seen, hooks = [], []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in name:
            hooks.append(module.register_forward_hook(lambda *_: seen.append(1)))
    training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 32, 32))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return torch.tensor(len(seen))


wrong_edits(
    checks.count_layers,
    in_a_loop,
    r"""
    shortcuts-counted
        "downsample" in name => False

        "downsample" in name => "shortcut" in name
    shortcuts-without-head
        "downsample" in name => False
        (nn.Conv2d, nn.Linear) => nn.Conv2d
    one-layer-missing
        (nn.Conv2d, nn.Linear) => nn.Conv2d

        return count => return count - 1
    batch-norms-counted
        (nn.Conv2d, nn.Linear) => (nn.Conv2d, nn.Linear, nn.BatchNorm2d)

        "downsample" in name => False
        isinstance(module, (nn.Conv2d, nn.Linear)) => hasattr(module, "weight")
    tensors-counted
        return count => return len(list(model.parameters()))

        return count => return len(model.state_dict())
    numbers-counted
        return count => return sum(p.numel() for p in model.parameters())
    modules-counted
        "downsample" in name => False
        isinstance(module, (nn.Conv2d, nn.Linear)) => True

        "downsample" in name => False
        isinstance(module, (nn.Conv2d, nn.Linear)) => not list(module.children())
    top-level-only
        model.named_modules() => model.named_children()
    always-50
        return count => return 50
    three-layers-a-block
        count = 0 => stages = (model.layer1, model.layer2, model.layer3, model.layer4)\ncount = 0
        return count => return 3 * sum(map(len, stages)) + 2
    blocks-counted
        count = 0 => stages = (model.layer1, model.layer2, model.layer3, model.layer4)\ncount = 0
        return count => return sum(map(len, stages))
    1x1-not-counted
        "downsample" in name => getattr(module, "kernel_size", None) == (1, 1)
    projections-of-stride-1-counted
        "downsample" in name => isinstance(module, nn.Conv2d) and is_small and module.stride == (2, 2)
        is_small => module.kernel_size == (1, 1)
    returns-none
        return count => print(count)
    wrong-type
        count = 0 => count = []
        count += 1 => count.append(name)
    four-shortcuts-assumed
        "downsample" in name => False
        return count => return count - 4
    one-layer-too-many
        return count => return count + 1
    """,
)


# load_by_name


@right(checks.load_by_name)
def copied_key_by_key(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape != value.shape:
            raise ValueError(f"{key}: {tuple(own[key].shape)} and {tuple(value.shape)}")
    for key in own:
        if key in state_dict:
            own[key].copy_(state_dict[key])
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    return missing, unexpected


@right(checks.load_by_name)
def checked_then_pytorchs(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape != value.shape:
            raise ValueError(f"{key}: {tuple(own[key].shape)} and {tuple(value.shape)}")
    return model.load_state_dict(state_dict, strict=False)


@right(checks.load_by_name)
@torch.no_grad()
def parameters_and_buffers(model, state_dict):
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    fitting = own.keys() & state_dict.keys()
    for key in fitting:
        if own[key].shape != state_dict[key].shape:
            raise ValueError("The shape of " + key + " is another one.")
    for key in fitting:
        own[key][...] = state_dict[key]
    return sorted(own.keys() - fitting), sorted(state_dict.keys() - fitting)


@right(checks.load_by_name)
def through_data(model, state_dict):
    own = model.state_dict()
    missing, unexpected = [], list(state_dict)
    for key in own:
        if key in state_dict and own[key].shape != state_dict[key].shape:
            raise ValueError(key)
    for key, tensor in own.items():
        if key in state_dict:
            tensor.data.copy_(state_dict[key].data)
            unexpected.remove(key)
        else:
            missing.append(key)
    return [missing, unexpected]


@right(checks.load_by_name)
def kept_and_put_back(model, state_dict):
    before = copy.deepcopy(model.state_dict())
    try:
        found = model.load_state_dict(dict(state_dict), strict=False)
    except RuntimeError as error:
        model.load_state_dict(before)
        raise ValueError(str(error)) from error
    return list(found.missing_keys), list(found.unexpected_keys)


@right(checks.load_by_name)
def merged(model, state_dict):
    own = model.state_dict()
    wrong_shapes = [k for k, v in state_dict.items() if k in own and own[k].shape != v.shape]
    if wrong_shapes:
        raise ValueError(wrong_shapes)
    known = {k: v for k, v in state_dict.items() if k in own}
    model.load_state_dict({**own, **known})
    return [k for k in own if k not in known], [k for k in state_dict if k not in known]


wrong_edits(
    checks.load_by_name,
    copied_key_by_key,
    r"""
    half-loaded
        if key in own and own[key].shape != value.shape: => if False:
        own[key].copy_(state_dict[key]) => copy_one()
        copy_one() => if own[key].shape != state_dict[key].shape:\n    raise ValueError(key)\ncopy_one()
        copy_one() => own[key].copy_(state_dict[key])
    by-position
        for key in own: => for mine, given in zip(own.values(), state_dict.values(), strict=False):
        if key in state_dict: => if mine.shape == given.shape:
        own[key].copy_(state_dict[key]) => mine.copy_(given)

        if key in own and own[key].shape != value.shape: => if False:
        for key in own: => for mine, given in zip(own.values(), state_dict.values(), strict=False):
        if key in state_dict: => if True:
        own[key].copy_(state_dict[key]) => mine.copy_(given)

        if key in own and own[key].shape != value.shape: => if False:
        for key in own: => for mine, given in zip(own.values(), state_dict.values(), strict=False):
        if key in state_dict: => if True:
        own[key].copy_(state_dict[key]) => assert mine.shape == given.shape\nmine.copy_(given)
    wrong-shapes-skipped
        if key in own and own[key].shape != value.shape: => if False:
        if key in state_dict: => if key in state_dict and state_dict[key].shape == own[key].shape:

        if key in own and own[key].shape != value.shape: => if False:
        for key in own: => fits = [k for k in state_dict if ok(k)]\nfor key in own:
        ok(k) => k not in own or state_dict[k].shape == own[k].shape
        if key in state_dict: => if key in fits:
        if key not in state_dict] => if key not in fits]
    shapes-ignored
        if key in own and own[key].shape != value.shape: => if False:

        own[key].shape != value.shape: => own[key].numel() != value.numel():
        own[key].copy_(state_dict[key]) => own[key].copy_(state_dict[key].view_as(own[key]))
    shares-memory
        own = model.state_dict() => own = model.state_dict(keep_vars=True)
        own[key].copy_(state_dict[key]) => own[key].data = state_dict[key].to(own[key].dtype)
    type-changed
        own = model.state_dict() => own = model.state_dict(keep_vars=True)
        own[key].copy_(state_dict[key]) => own[key].data = state_dict[key].clone()
    buffers-left-out
        for key in own: => for key, _ in model.named_parameters():

        own = model.state_dict() => own = {key: p.data for key, p in model.named_parameters()}

        for key in own if => for key, _ in model.named_parameters() if
    lists-swapped
        return missing, unexpected => return unexpected, missing
    dictionary-changed
        missing = [key for key in own if key not in state_dict] => pass
        for key in own: => missing = [key for key in own if key not in state_dict]\nfor key in own:
        own[key].copy_(state_dict[key]) => own[key].copy_(state_dict.pop(key))
    recorded-by-autograd
        own = model.state_dict() => own = dict(model.named_parameters()) | dict(model.named_buffers())
    sets-instead-of-lists
        return missing, unexpected => return set(missing), set(unexpected)
    counts-instead-of-names
        return missing, unexpected => return len(missing), len(unexpected)
    not-loaded
        own[key].copy_(state_dict[key]) => pass
    missing-refused
        if key in state_dict: => if True:
    wrong-type
        return missing, unexpected => return missing + unexpected + ["and more"]
    """,
)
wrong_edits(
    checks.load_by_name,
    checked_then_pytorchs,
    r"""
    half-loaded
        if key in own and own[key].shape != value.shape: => if False:
    missing-refused
        strict=False => strict=True
    new-parameters
        state_dict, strict => {key: own_kind(key) for key in state_dict}, assign=True, strict
        own_kind(key) => state_dict[key].clone().to(own.get(key, state_dict[key]).dtype)
    returns-none
        return model => model
    not-loaded
        return model => return copy.deepcopy(model)
    other-error
        if key in own and own[key].shape != value.shape: => if key in own:
        raise ValueError( => assert own[key].shape == value.shape, (
    key-not-named
        ValueError( => ValueError("wrong shape") if True else ValueError(
    unexpected-refused
        key in own and own[key] => own[key]
    missing-changed
        return model => found = model
        strict=False) => strict=False)\nfor key in found[0]:\n    own[key].zero_()\nreturn found
    """,
)


@wrong(checks.load_by_name, "new-parameters")
def new_parameters(model, state_dict):
    missing, unexpected = checked_then_pytorchs(model, state_dict)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach().clone()))
    return missing, unexpected


# Answers that a case too special would let pass


wrong_edits(
    checks.bottleneck,
    none_and_one_relu,
    """
    projection-only-for-more-channels
        if stride != 1 or in_channels != out_channels => if stride > 1 or in_channels < out_channels
    """,
)
wrong_edits(
    checks.resnet50,
    with_a_loop_of_setattr,
    """
    batch-norm-options
        nn.BatchNorm2d(64) => nn.BatchNorm2d(64, eps=1.001e-5, momentum=0.01)

    chance-in-train-mode
        return self.fc(x) => return self.fc(F.dropout(x, 0.5, self.training))
    """,
)


@right(checks.resnet50)
class another_function_for_training(with_a_loop_of_setattr):
    def forward(self, x):
        return self.forward_in_training(x) if self.training else super().forward(x)

    def forward_in_training(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((-1, -2)))


@wrong(checks.load_by_name, "shapes-ignored")
def compares_first_axes(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape[:1] != value.shape[:1]:
            raise ValueError(key)
    for key in own.keys() & state_dict.keys():
        own[key].copy_(state_dict[key])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]
