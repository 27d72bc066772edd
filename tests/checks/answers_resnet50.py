"""Answers to the exercise sheet on ResNet-50, as people write them."""

# ruff: noqa: ARG001, ARG002, N801 - wrong answers are wrong in this too

import copy
from collections import OrderedDict

import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, networks

# 5.1


class _Bottleneck(nn.Module):
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
        if self.needs_projection(in_channels, width, stride):
            self.downsample = self.projection(in_channels, out_channels, stride)

    def needs_projection(self, in_channels, width, stride):
        return stride != 1 or in_channels != width * self.expansion

    def projection(self, in_channels, out_channels, stride):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def branch(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))

    def shortcut(self, x):
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x):
        return self.relu(self.branch(x) + self.shortcut(x))


@right(checks.bottleneck)
class none_and_one_relu(_Bottleneck):
    pass


@right(checks.bottleneck)
class as_torchvision_has_it(_Bottleneck):
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
class by_setattr_and_weights(_Bottleneck):
    """The 1x1 convolution as a matrix product."""

    def forward(self, x):
        out = torch.einsum("oi,nihw->nohw", self.conv1.weight[:, :, 0, 0], x)
        out = torch.relu(self.bn1(out))
        out = torch.relu(self.bn2(self.conv2(out)))
        out = torch.einsum("oi,nihw->nohw", self.conv3.weight[:, :, 0, 0], out)
        return torch.relu(self.bn3(out) + self.shortcut(x))


@right(checks.bottleneck)
def a_function_that_makes_torchvisions(in_channels, width, stride=1):
    from torchvision.models.resnet import Bottleneck

    downsample = None
    if stride != 1 or in_channels != 4 * width:
        downsample = _Bottleneck.projection(None, in_channels, 4 * width, stride)
    return Bottleneck(in_channels, width, stride, downsample)


@wrong(checks.bottleneck, "no-last-relu")
class relu_forgotten_after_sum(_Bottleneck):
    def forward(self, x):
        out = self.branch(x)
        out = out + self.shortcut(x)
        return out  # noqa: RET504


@wrong(checks.bottleneck, "relu-before-addition")
class relu_then_sum(_Bottleneck):
    def forward(self, x):
        return self.relu(self.branch(x)) + self.shortcut(x)


@wrong(checks.bottleneck, "relu-before-and-after")
class three_conv_blocks(_Bottleneck):
    def forward(self, x):
        out = x
        for conv, bn in (
            (self.conv1, self.bn1),
            (self.conv2, self.bn2),
            (self.conv3, self.bn3),
        ):
            out = F.relu(bn(conv(out)))
        return F.relu(out + self.shortcut(x))


@wrong(checks.bottleneck, "no-second-relu")
class relu_only_after_the_first(_Bottleneck):
    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.shortcut(x))


@wrong(checks.bottleneck, "no-first-relu")
class relu_only_after_the_second(_Bottleneck):
    def forward(self, x):
        out = self.bn1(self.conv1(x))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.shortcut(x))


@wrong(checks.bottleneck, "no-inner-relus")
class relu_only_at_the_end(_Bottleneck):
    def forward(self, x):
        out = self.bn1(self.conv1(x))
        out = self.bn2(self.conv2(out))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.shortcut(x))


@wrong(checks.bottleneck, "no-shortcut")
class sum_forgotten(_Bottleneck):
    def forward(self, x):
        identity = x
        if self.downsample is not None:
            identity = self.downsample(x)  # noqa: F841
        return self.relu(self.branch(x))


@wrong(checks.bottleneck, "no-expansion")
class comes_out_as_narrow_as_inside(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv3 = nn.Conv2d(width, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or in_channels != width:
            self.downsample = self.projection(in_channels, width, stride)


@wrong(checks.bottleneck, "wrong-expansion")
class twice_as_wide(_Bottleneck):
    expansion = 2


@wrong(checks.bottleneck, "no-expansion-attribute")
class four_without_a_name(nn.Module):
    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = nn.Sequential()
        if stride != 1 or in_channels != width * 4:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, width * 4, 1, stride, bias=False), nn.BatchNorm2d(width * 4)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


@wrong(checks.bottleneck, "width-taken-for-output")
class width_is_what_comes_out(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        inner = width // self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride != 1 or in_channels != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


@wrong(checks.bottleneck, "stride-on-first-1x1")
class as_in_the_paper(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)


@wrong(checks.bottleneck, "stride-on-last-1x1")
class at_the_end(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.conv3 = nn.Conv2d(width, width * 4, 1, stride, bias=False)


@wrong(checks.bottleneck, "stride-twice")
class strides_everywhere(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride, bias=False)


@wrong(checks.bottleneck, "stride-forgotten")
class shortcut_strides_alone(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)


@wrong(checks.bottleneck, "stride-forgotten")
class branch_strides_alone(_Bottleneck):
    def projection(self, in_channels, out_channels, stride):
        return super().projection(in_channels, out_channels, 1)


@wrong(checks.bottleneck, "projection-only-with-stride")
class downsample_where_it_downsamples(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return stride != 1


@wrong(checks.bottleneck, "projection-only-with-channels")
class downsample_where_channels_change(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return in_channels != width * self.expansion


@wrong(checks.bottleneck, "projection-only-with-both")
class and_for_or(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return stride != 1 and in_channels != width * self.expansion


@wrong(checks.bottleneck, "projection-compares-width")
class compared_as_in_the_basic_block(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return stride != 1 or in_channels != width


@wrong(checks.bottleneck, "no-projection")
class adds_x_as_it_is(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return False


@wrong(checks.bottleneck, "projection-always")
class projection_everywhere(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return True


@wrong(checks.bottleneck, "projection-without-batch-norm")
class only_a_convolution(_Bottleneck):
    def projection(self, in_channels, out_channels, stride):
        return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


@wrong(checks.bottleneck, "projection-without-batch-norm")
class a_convolution_in_a_sequential(_Bottleneck):
    def projection(self, in_channels, out_channels, stride):
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))


@wrong(checks.bottleneck, "wrong-padding")
class padding_forgotten(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 3, stride, bias=False)


@wrong(checks.bottleneck, "wrong-padding")
class padding_of_two(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=2, bias=False)


@wrong(checks.bottleneck, "dilation")
class dilated(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=2, dilation=2, bias=False)


@wrong(checks.bottleneck, "padding-around-1x1")
class padding_everywhere(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width, width * 4, 1, padding=1, bias=False)


@wrong(checks.bottleneck, "bias")
class biases_everywhere(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1)
        self.conv3 = nn.Conv2d(width, width * 4, 1)


@wrong(checks.bottleneck, "bias")
class bias_in_the_projection(_Bottleneck):
    def projection(self, in_channels, out_channels, stride):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels)
        )


@wrong(checks.bottleneck, "wrong-kernels")
class all_three_by_three(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width, width * 4, 3, padding=1, bias=False)


@wrong(checks.bottleneck, "wrong-kernels")
class one_by_one_in_the_middle(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 1, stride, bias=False)


@wrong(checks.bottleneck, "relu-before-batch-norm")
class relu_and_then_normalised(_Bottleneck):
    def branch(self, x):
        out = self.bn1(self.relu(self.conv1(x)))
        out = self.bn2(self.relu(self.conv2(out)))
        return self.bn3(self.conv3(out))


@wrong(checks.bottleneck, "pre-activation")
class batch_norm_first(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, x):
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.conv3(F.relu(self.bn3(out)))
        return out + self.shortcut(x)


@wrong(checks.bottleneck, "batch-norm-after-addition")
class the_sum_is_normalised(_Bottleneck):
    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.conv3(self.relu(self.bn2(self.conv2(out))))
        return self.relu(self.bn3(out + self.shortcut(x)))


@wrong(checks.bottleneck, "batch-norm-unused")
class last_batch_norm_forgotten(_Bottleneck):
    def branch(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        return self.conv3(self.relu(self.bn2(self.conv2(out))))


@wrong(checks.bottleneck, "one-batch-norm-twice")
class copied_line(_Bottleneck):
    def branch(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn1(self.conv2(out)))
        return self.bn3(self.conv3(out))


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


@wrong(checks.bottleneck, "modules-in-a-list")
class projection_in_a_list(_Bottleneck):
    def projection(self, in_channels, out_channels, stride):
        return list(super().projection(in_channels, out_channels, stride))

    def shortcut(self, x):
        for module in self.downsample or ():
            x = module(x)
        return x


@wrong(checks.bottleneck, "missing-module")
class called_shortcut(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != width * 4:
            self.shortcut = _Bottleneck.projection(self, in_channels, width * 4, stride)

    def forward(self, x):
        out = F.relu(self.bn1(self.reduce(x)))
        out = F.relu(self.bn2(self.conv(out)))
        return F.relu(self.bn3(self.expand(out)) + self.shortcut(x))


@wrong(checks.bottleneck, "missing-module")
class only_the_shortcut_has_another_name(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.skip = self.downsample or nn.Identity()
        del self.downsample

    def shortcut(self, x):
        return self.skip(x)


@wrong(checks.bottleneck, "changes-its-input")
class adds_into_x(_Bottleneck):
    def forward(self, x):
        out = self.branch(x)
        if self.downsample is not None:
            return F.relu(out + self.downsample(x))
        x.data += out
        return F.relu(x)


@wrong(checks.bottleneck, "no-super-init")
class constructor_forgotten(nn.Module):
    expansion = 4

    def __init__(self, in_channels, width, stride=1):
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)


@wrong(checks.bottleneck, "projection-unused")
class adds_x_whatever_comes(_Bottleneck):
    def forward(self, x):
        return F.relu(self.branch(x) + x)


@wrong(checks.bottleneck, "projection-of-the-branch")
class projects_out(_Bottleneck):
    def forward(self, x):
        out = self.branch(x)
        identity = x
        if self.downsample is not None:
            identity = self.downsample(out)
        return F.relu(out + identity)


@wrong(checks.bottleneck, "x-overwritten")
class everything_is_called_x(_Bottleneck):
    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(x + x)


@wrong(checks.bottleneck, "relu-of-input")
class one_inplace_relu_too_many(_Bottleneck):
    def forward(self, x):
        out = self.branch(self.relu(x))
        return self.relu(out + self.shortcut(x))


@wrong(checks.bottleneck, "not-a-relu")
class leaky(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.relu = nn.LeakyReLU()


@wrong(checks.bottleneck, "concatenated")
class as_in_densenet(_Bottleneck):
    def forward(self, x):
        return F.relu(torch.cat([self.branch(x), self.shortcut(x)], dim=1))


@wrong(checks.bottleneck, "averaged")
class half_and_half(_Bottleneck):
    def forward(self, x):
        return F.relu((self.branch(x) + self.shortcut(x)) / 2)


@wrong(checks.bottleneck, "groups")
class depthwise(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)


@wrong(checks.bottleneck, "wrong-channels")
class last_batch_norm_too_narrow(_Bottleneck):
    def __init__(self, in_channels, width, stride=1):
        super().__init__(in_channels, width, stride)
        self.bn3 = nn.BatchNorm2d(width)


@wrong(checks.bottleneck, "missing-module")
class projection_of_resnet_d(_Bottleneck):
    def projection(self, in_channels, out_channels, stride):
        conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        return nn.Sequential(nn.AvgPool2d(stride, stride), conv, nn.BatchNorm2d(out_channels))


@wrong(checks.bottleneck, "parameter-names")
class planes(_Bottleneck):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__(inplanes, planes, stride)


# 5.2


def _stage_of(block, in_channels, width, count, stride):
    layers = [block(in_channels, width, stride)]
    for _ in range(1, count):
        layers.append(block(width * 4, width))
    return nn.Sequential(*layers)


@right(checks.make_stage)
def first_then_loop(in_channels, width, blocks, stride):
    return _stage_of(_Bottleneck, in_channels, width, blocks, stride)


@right(checks.make_stage)
def the_librarys_stage(in_channels, width, blocks, stride):
    return networks.make_stage(_Library, in_channels, width, blocks, stride)


_Library = blocks.Bottleneck


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
            stage.append(_Bottleneck(in_channels, width, stride=stride))
        else:
            stage.append(_Bottleneck(in_channels=4 * width, width=width))
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
    def make(i, width, s=1):
        return a_function_that_makes_torchvisions(i, width, s)

    return _stage_of(make, in_channels, width, blocks, stride)


@wrong(checks.make_stage, "stride-in-every-block")
def every_block_strides(in_channels, width, blocks, stride):
    layers = [_Bottleneck(in_channels, width, stride)]
    for _ in range(blocks - 1):
        layers.append(_Bottleneck(4 * width, width, stride))
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "further-projection")
def every_second_block_strides(in_channels, width, blocks, stride):
    layers = []
    for i in range(blocks):
        layers.append(_Library(in_channels, width, stride if i % 2 == 0 else 1))
        in_channels = 4 * width
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "stride-ignored")
def stride_not_handed_on(in_channels, width, blocks, stride):
    layers = [_Bottleneck(in_channels, width)]
    for _ in range(blocks - 1):
        layers.append(_Bottleneck(4 * width, width))
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "stride-always-2")
def two_whatever_is_asked(in_channels, width, blocks, stride):
    return _stage_of(_Bottleneck, in_channels, width, blocks, 2)


@wrong(checks.make_stage, "stride-in-last-block")
def last_block_strides(in_channels, width, blocks, stride):
    layers = []
    for i in range(blocks):
        layers.append(_Library(in_channels, width, stride if i == blocks - 1 else 1))
        in_channels = width * 4
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "in-channels-not-expanded")
def next_gets_width(in_channels, width, blocks, stride):
    layers = [_Bottleneck(in_channels, width, stride)]
    for _ in range(blocks - 1):
        layers.append(_Bottleneck(width, width))
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "in-channels-not-changed")
def in_channels_for_all(in_channels, width, blocks, stride):
    layers = [_Bottleneck(in_channels, width, stride)]
    layers += [_Bottleneck(in_channels, width) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "wrong-number-of-blocks")
def one_too_many(in_channels, width, blocks, stride):
    layers = [_Library(in_channels, width, stride)]
    for _ in range(blocks):
        layers.append(_Library(4 * width, width))
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "wrong-number-of-blocks")
def one_too_few(in_channels, width, blocks, stride):
    layers = [_Library(in_channels, width, stride)]
    for _ in range(1, blocks - 1):
        layers.append(_Library(4 * width, width))
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "wrong-number-of-blocks")
def returns_inside_the_loop(in_channels, width, blocks, stride):
    layers = []
    for _ in range(blocks):
        layers.append(_Library(in_channels, width, stride))
        in_channels, stride = 4 * width, 1
        return nn.Sequential(*layers)
    return None


@wrong(checks.make_stage, "one-block-repeated")
def multiplied_list(in_channels, width, blocks, stride):
    rest = [_Bottleneck(4 * width, width)] * (blocks - 1)
    return nn.Sequential(_Bottleneck(in_channels, width, stride), *rest)


@wrong(checks.make_stage, "not-a-sequential")
def a_python_list(in_channels, width, blocks, stride):
    return list(_stage_of(_Bottleneck, in_channels, width, blocks, stride))


@wrong(checks.make_stage, "not-a-sequential")
def a_module_list(in_channels, width, blocks, stride):
    return nn.ModuleList(_stage_of(_Bottleneck, in_channels, width, blocks, stride))


@wrong(checks.make_stage, "wrong-width")
def width_is_expanded(in_channels, width, blocks, stride):
    width = width * 4
    return _stage_of(_Library, in_channels, width, blocks, stride)


@wrong(checks.make_stage, "other-blocks")
def basic_blocks(in_channels, width, blocks, stride):
    layers = [networks.BasicBlock(in_channels, width, stride)]
    layers += [networks.BasicBlock(width, width) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "bottleneck-is-wrong")
def block_without_last_relu(in_channels, width, blocks, stride):
    return _stage_of(relu_forgotten_after_sum, in_channels, width, blocks, stride)


@wrong(checks.make_stage, "bottleneck-is-wrong")
def block_of_2015(in_channels, width, blocks, stride):
    return _stage_of(as_in_the_paper, in_channels, width, blocks, stride)


@wrong(checks.make_stage, "projection-missing")
def block_without_projection(in_channels, width, blocks, stride):
    return _stage_of(adds_x_as_it_is, in_channels, width, blocks, stride)


@wrong(checks.make_stage, "returns-none")
def return_forgotten(in_channels, width, blocks, stride):
    _stage_of(_Bottleneck, in_channels, width, blocks, stride)


@wrong(checks.make_stage, "names-of-blocks")
def blocks_with_names(in_channels, width, blocks, stride):
    stage = nn.Sequential()
    for i in range(blocks):
        stage.add_module(f"block{i + 1}", _Library(in_channels, width, stride))
        in_channels, stride = 4 * width, 1
    return stage


@wrong(checks.make_stage, "list-not-unpacked")
def star_forgotten(in_channels, width, blocks, stride):
    layers = [_Library(in_channels, width, stride)]
    layers += [_Library(4 * width, width) for _ in range(blocks - 1)]
    return nn.Sequential(layers)


@wrong(checks.make_stage, "in-channels-multiplied")
def times_expansion(in_channels, width, blocks, stride):
    layers = []
    for i in range(blocks):
        layers.append(_Library(in_channels, width, stride if i == 0 else 1))
        in_channels = in_channels * _Library.expansion
    return nn.Sequential(*layers)


@wrong(checks.make_stage, "in-channels-of-the-first")
def four_times_width_for_all(in_channels, width, blocks, stride):
    return nn.Sequential(
        *(_Library(4 * width, width, stride if i == 0 else 1) for i in range(blocks))
    )


# 5.3


class _ResNet50(nn.Module):
    block = blocks.Bottleneck
    counts = (3, 4, 6, 3)
    strides = (1, 2, 2, 2)

    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        in_channels = 64
        for number, (count, stride) in enumerate(zip(self.counts, self.strides, strict=True)):
            width = 64 * 2**number
            setattr(self, f"layer{number + 1}", self.stage(in_channels, width, count, stride))
            in_channels = width * 4
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2048, num_classes)

    def stage(self, in_channels, width, count, stride):
        return _stage_of(self.block, in_channels, width, count, stride)

    def stem(self, x):
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def stages(self, x):
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def head(self, x):
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def forward(self, x):
        return self.head(self.stages(self.stem(x)))


@right(checks.resnet50)
class with_a_loop_of_setattr(_ResNet50):
    pass


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
class head_before_the_mean(_ResNet50):
    """The mean and a linear layer may change places."""

    def head(self, x):
        return self.fc(x.movedim(1, -1)).mean((1, 2))


@right(checks.resnet50)
class decides_by_shapes(_ResNet50):
    """A block that looks at the numbers of channels only when it is used."""

    class block(_Bottleneck):
        def shortcut(self, x):
            if x.shape[1] == self.conv3.out_channels and self.conv2.stride == (1, 1):
                return x
            return self.downsample(x)


@wrong(checks.resnet50, "one-image-squeezed")
class squeezed(_ResNet50):
    def head(self, x):
        return self.fc(self.avgpool(x).squeeze())


@wrong(checks.resnet50, "wrong-number-of-blocks")
class a_hundred_and_one(_ResNet50):
    counts = (3, 4, 23, 3)


@wrong(checks.resnet50, "wrong-number-of-blocks")
class eighteen(_ResNet50):
    counts = (2, 2, 2, 2)


@wrong(checks.resnet50, "wrong-number-of-blocks")
class turned_around(_ResNet50):
    counts = (3, 6, 4, 3)


@wrong(checks.resnet50, "no-max-pool")
class pool_forgotten(_ResNet50):
    def stem(self, x):
        return self.relu(self.bn1(self.conv1(x)))


@wrong(checks.resnet50, "pool-without-padding")
class pool_unpadded(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.maxpool = nn.MaxPool2d(3, 2)


@wrong(checks.resnet50, "pool-2x2")
class two_by_two(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.maxpool = nn.MaxPool2d(2)


@wrong(checks.resnet50, "average-pool-in-stem")
class averages_in_the_stem(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.maxpool = nn.AvgPool2d(3, 2, 1)


@wrong(checks.resnet50, "stem-without-stride")
class stem_at_full_size(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 64, 7, padding=3, bias=False)


@wrong(checks.resnet50, "stem-padding")
class stem_unpadded(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, bias=False)


@wrong(checks.resnet50, "stem-padding")
class stem_padded_as_for_3x3(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 1, bias=False)


@wrong(checks.resnet50, "stem-kernel")
class cifar_stem(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)

    def stem(self, x):
        return self.relu(self.bn1(self.conv1(x)))


@wrong(checks.resnet50, "stem-without-relu")
class relu_not_called(_ResNet50):
    def stem(self, x):
        return self.maxpool(self.bn1(self.conv1(x)))


@wrong(checks.resnet50, "stem-without-batch-norm")
class bn_not_called(_ResNet50):
    def stem(self, x):
        return self.maxpool(self.relu(self.conv1(x)))


@wrong(checks.resnet50, "stem-order")
class relu_before_bn(_ResNet50):
    def stem(self, x):
        return self.maxpool(self.bn1(self.relu(self.conv1(x))))


@wrong(checks.resnet50, "bias")
class bias_in_the_stem(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)


@wrong(checks.resnet50, "bias")
class biases_in_the_blocks(_ResNet50):
    block = biases_everywhere


@wrong(checks.resnet50, "stage-strides")
class first_stage_halves_too(_ResNet50):
    strides = (2, 2, 2, 2)


@wrong(checks.resnet50, "stage-strides")
class no_stage_halves(_ResNet50):
    strides = (1, 1, 1, 1)


@wrong(checks.resnet50, "stage-strides")
class last_stage_keeps_the_size(_ResNet50):
    strides = (1, 2, 2, 1)


@wrong(checks.resnet50, "stride-in-every-block")
class all_blocks_halve(_ResNet50):
    def stage(self, in_channels, width, count, stride):
        return every_block_strides(in_channels, width, count, stride)


@wrong(checks.resnet50, "widths")
class same_width_in_all_stages(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = first_then_loop(64, 64, 3, 1)
        self.layer2 = first_then_loop(256, 64, 4, 2)
        self.layer3 = first_then_loop(256, 64, 6, 2)
        self.layer4 = first_then_loop(256, 64, 3, 2)
        self.fc = nn.Linear(256, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


@wrong(checks.resnet50, "in-features")
class head_of_resnet18(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.fc = nn.Linear(512, num_classes)


@wrong(checks.resnet50, "num-classes-ignored")
class always_a_thousand(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(1000)


@wrong(checks.resnet50, "softmax-inside")
class gives_probabilities(_ResNet50):
    def head(self, x):
        return F.softmax(super().head(x), dim=1)


@wrong(checks.resnet50, "softmax-inside")
class gives_log_probabilities(_ResNet50):
    def head(self, x):
        return F.log_softmax(super().head(x), dim=-1)


@wrong(checks.resnet50, "function-of-logits")
class relu_at_the_very_end(_ResNet50):
    def head(self, x):
        return self.relu(super().head(x))


@wrong(checks.resnet50, "no-average-pool")
class flattens_the_map(_ResNet50):
    def head(self, x):
        return self.fc(x.flatten(1))


@wrong(checks.resnet50, "fixed-pool")
class seven_by_seven(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.avgpool = nn.AvgPool2d(7)


@wrong(checks.resnet50, "max-instead-of-mean")
class adaptive_max(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.avgpool = nn.AdaptiveMaxPool2d(1)


@wrong(checks.resnet50, "not-flattened")
class flatten_forgotten(_ResNet50):
    def head(self, x):
        return self.fc(self.avgpool(x))


@wrong(checks.resnet50, "bottleneck-is-wrong")
class of_blocks_without_last_relu(_ResNet50):
    block = relu_forgotten_after_sum


@wrong(checks.resnet50, "bottleneck-is-wrong")
class of_plain_blocks(_ResNet50):
    block = sum_forgotten


@wrong(checks.resnet50, "bottleneck-is-wrong")
class of_blocks_normalising_the_sum(_ResNet50):
    block = the_sum_is_normalised


@wrong(checks.resnet50, "stride-on-first-1x1")
class of_2015(_ResNet50):
    block = as_in_the_paper


@wrong(checks.resnet50, "projection-only-with-stride")
class projects_only_with_stride(_ResNet50):
    block = downsample_where_it_downsamples


@wrong(checks.resnet50, "projection-missing")
class never_projects_at_all(_ResNet50):
    block = adds_x_as_it_is


@wrong(checks.resnet50, "projection-without-batch-norm")
class projections_without_bn(_ResNet50):
    block = only_a_convolution


@wrong(checks.resnet50, "projection-always")
class projects_in_every_block(_ResNet50):
    block = projection_everywhere


@wrong(checks.resnet50, "other-blocks")
class thirty_four(_ResNet50):
    def stage(self, in_channels, width, count, stride):
        layers = [blocks.BasicBlock(in_channels if width == 64 else width // 2, width, stride)]
        return nn.Sequential(*layers, *(blocks.BasicBlock(width, width) for _ in range(count - 1)))


@wrong(checks.resnet50, "missing-module")
class head_with_another_name(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        del self.fc
        self.classifier = nn.Linear(2048, num_classes)

    def head(self, x):
        return self.classifier(self.avgpool(x).flatten(1))


@wrong(checks.resnet50, "missing-module")
class one_stem_one_body(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        net = _ResNet50(num_classes)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.body = nn.Sequential(net.layer1, net.layer2, net.layer3, net.layer4)
        self.fc = net.fc

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


@wrong(checks.resnet50, "modules-in-a-list")
class stages_in_a_list(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.all_stages = [self.layer1, self.layer2, self.layer3, self.layer4]
        del self.layer1, self.layer2, self.layer3, self.layer4

    def stages(self, x):
        for stage in self.all_stages:
            x = stage(x)
        return x


@wrong(checks.resnet50, "one-block-repeated")
class blocks_multiplied(_ResNet50):
    def stage(self, in_channels, width, count, stride):
        return multiplied_list(in_channels, width, count, stride)


@wrong(checks.resnet50, "other-modules")
class a_hidden_layer_in_the_head(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.hidden = nn.Linear(2048, 2048)

    def head(self, x):
        return self.fc(F.relu(self.hidden(self.avgpool(x).flatten(1))))


@wrong(checks.resnet50, "returns-none")
class no_return(_ResNet50):
    def forward(self, x):
        super().forward(x)


@wrong(checks.resnet50, "features-given-back")
class head_not_called(_ResNet50):
    def head(self, x):
        return torch.flatten(self.avgpool(x), 1)


@wrong(checks.resnet50, "block-unused")
class a_stage_skipped(_ResNet50):
    def stages(self, x):
        return self.layer4(self.layer3(self.layer1(x)))


@wrong(checks.resnet50, "fixed-pool")
class square_images_only(_ResNet50):
    def head(self, x):
        return self.fc(F.avg_pool2d(x, x.shape[2]).flatten(1))


@wrong(checks.resnet50, "pool-twice")
class pooled_twice(_ResNet50):
    def stem(self, x):
        return self.maxpool(super().stem(x))


@wrong(checks.resnet50, "classes-given-back")
class argmax(_ResNet50):
    def head(self, x):
        return super().head(x).argmax(1)


@wrong(checks.resnet50, "missing-keys")
class dropout_and_fc(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.fc = nn.Sequential(nn.Dropout(), nn.Linear(2048, num_classes))


@wrong(checks.resnet50, "in-channels")
class layer2_gets_64(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.layer2 = self.stage(64, 128, 4, 2)


@wrong(checks.resnet50, "wrong-shape")
class a_narrow_stem(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(16, 64, 3, 1)


@wrong(checks.resnet50, "bottleneck-is-wrong")
class of_blocks_without_padding(_ResNet50):
    block = padding_forgotten


# 5.4


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


@wrong(checks.count_layers, "shortcuts-counted")
def convs_and_linears(model):
    return len([m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))])


@wrong(checks.count_layers, "one-layer-missing")
def convolutions_only(model):
    return sum(
        1
        for name, m in model.named_modules()
        if isinstance(m, nn.Conv2d) and "downsample" not in name
    )


@wrong(checks.count_layers, "shortcuts-without-head")
def convs(model):
    return len([m for m in model.modules() if isinstance(m, nn.Conv2d)])


@wrong(checks.count_layers, "batch-norms-counted")
def everything_with_weights(model):
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    return sum(isinstance(m, kinds) and "downsample" not in n for n, m in model.named_modules())


@wrong(checks.count_layers, "batch-norms-counted")
def everything_with_a_weight(model):
    return sum(hasattr(m, "weight") for m in model.modules())


@wrong(checks.count_layers, "tensors-counted")
def parameters(model):
    return len(list(model.parameters()))


@wrong(checks.count_layers, "tensors-counted")
def entries_of_the_state_dict(model):
    return len(model.state_dict())


@wrong(checks.count_layers, "numbers-counted")
def all_numbers(model):
    return sum(p.numel() for p in model.parameters())


@wrong(checks.count_layers, "modules-counted")
def all_modules(model):
    return len(list(model.modules()))


@wrong(checks.count_layers, "modules-counted")
def leaves(model):
    return sum(1 for m in model.modules() if not list(m.children()))


@wrong(checks.count_layers, "top-level-only")
def children(model):
    return sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.children())


@wrong(checks.count_layers, "always-50")
def fifty(model):
    return 50


@wrong(checks.count_layers, "three-layers-a-block")
def threes(model):
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    return 3 * sum(len(stage) for stage in stages) + 2


@wrong(checks.count_layers, "blocks-counted")
def how_many_blocks(model):
    return sum(len(stage) for stage in (model.layer1, model.layer2, model.layer3, model.layer4))


@wrong(checks.count_layers, "one-layer-missing")
def without_the_stem(model):
    return by_kind_and_name(model) - 1


@wrong(checks.count_layers, "shortcuts-counted")
def excludes_a_name_that_is_not_there(model):
    return sum(
        isinstance(m, (nn.Conv2d, nn.Linear)) and "shortcut" not in name
        for name, m in model.named_modules()
    )


@wrong(checks.count_layers, "1x1-not-counted")
def only_real_kernels(model):
    count = 0
    for m in model.modules():
        if isinstance(m, nn.Linear) or (isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)):
            count += 1
    return count


@wrong(checks.count_layers, "projections-of-stride-1-counted")
def excludes_by_stride(model):
    count = 0
    for m in model.modules():
        if isinstance(m, nn.Linear):
            count += 1
        if isinstance(m, nn.Conv2d) and not (m.kernel_size == (1, 1) and m.stride == (2, 2)):
            count += 1
    return count


@wrong(checks.count_layers, "returns-none")
def printed(model):
    print(by_kind_and_name(model))


@wrong(checks.count_layers, "wrong-type")
def the_list(model):
    return [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]


@wrong(checks.count_layers, "four-shortcuts-assumed")
def minus_four(model):
    return convs_and_linears(model) - 4


@wrong(checks.count_layers, "one-layer-too-many")
def with_the_image(model):
    return by_kind_and_name(model) + 1


# 5.5


def _must_fit(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape != value.shape:
            raise ValueError(f"{key}: {tuple(own[key].shape)} and {tuple(value.shape)}")
    return own


@right(checks.load_by_name)
def checked_then_pytorchs(model, state_dict):
    _must_fit(model, state_dict)
    return model.load_state_dict(state_dict, strict=False)


@right(checks.load_by_name)
def copied_key_by_key(model, state_dict):
    own = _must_fit(model, state_dict)
    for key in own:
        if key in state_dict:
            own[key].copy_(state_dict[key])
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    return missing, unexpected


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
    own = _must_fit(model, state_dict)
    missing, unexpected = [], list(state_dict)
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


@wrong(checks.load_by_name, "half-loaded")
def pytorchs_alone(model, state_dict):
    missing, unexpected = model.load_state_dict(state_dict, strict=False)
    return missing, unexpected


@wrong(checks.load_by_name, "half-loaded")
def shapes_looked_at_on_the_way(model, state_dict):
    own = model.state_dict()
    for key in own:
        if key in state_dict:
            if own[key].shape != state_dict[key].shape:
                raise ValueError(f"shape of {key}")
            own[key].copy_(state_dict[key])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "missing-refused")
def strict_as_usual(model, state_dict):
    _must_fit(model, state_dict)
    return model.load_state_dict(state_dict)


@wrong(checks.load_by_name, "by-position")
def zipped(model, state_dict):
    own = _must_fit(model, state_dict)
    for mine, given in zip(own.values(), state_dict.values(), strict=False):
        if mine.shape == given.shape:
            mine.copy_(given)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "by-position")
@torch.no_grad()
def zipped_without_a_look(model, state_dict):
    own = model.state_dict()
    for mine, given in zip(own.values(), state_dict.values(), strict=False):
        mine.copy_(given)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "by-position")
@torch.no_grad()
def zipped_and_asserted(model, state_dict):
    own = model.state_dict()
    for (name, mine), given in zip(own.items(), state_dict.values(), strict=False):
        assert mine.shape == given.shape, name
        mine.copy_(given)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "wrong-shapes-skipped")
def skips_what_does_not_fit(model, state_dict):
    own = model.state_dict()
    fitting = {k: v for k, v in state_dict.items() if k in own and v.shape == own[k].shape}
    model.load_state_dict(fitting, strict=False)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "wrong-shapes-skipped")
def lists_them_as_missing(model, state_dict):
    own = model.state_dict()
    fitting = {k: v for k, v in state_dict.items() if k in own and v.shape == own[k].shape}
    model.load_state_dict(fitting, strict=False)
    return [k for k in own if k not in fitting], [k for k in state_dict if k not in fitting]


@wrong(checks.load_by_name, "shapes-ignored")
def copies_blindly(model, state_dict):
    own = model.state_dict()
    for key in own:
        if key in state_dict:
            own[key].copy_(state_dict[key])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "new-parameters")
def assigned(model, state_dict):
    own = _must_fit(model, state_dict)
    return model.load_state_dict(
        {k: v.clone().to(own[k].dtype) for k, v in state_dict.items() if k in own}
        | {k: v for k, v in state_dict.items() if k not in own},
        strict=False,
        assign=True,
    )


@wrong(checks.load_by_name, "new-parameters")
def new_parameters(model, state_dict):
    own = _must_fit(model, state_dict)
    for key in own:
        if key in state_dict:
            path, _, name = key.rpartition(".")
            module = model.get_submodule(path)
            if isinstance(getattr(module, name), nn.Parameter):
                setattr(module, name, nn.Parameter(state_dict[key].clone().to(own[key].dtype)))
            else:
                getattr(module, name).copy_(state_dict[key])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "shares-memory")
def data_assigned(model, state_dict):
    own = _must_fit(model, state_dict)
    for key, tensor in model.state_dict(keep_vars=True).items():
        if key in state_dict:
            tensor.data = state_dict[key].to(tensor.dtype)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "buffers-left-out")
@torch.no_grad()
def only_parameters(model, state_dict):
    own = _must_fit(model, state_dict)
    for name, parameter in model.named_parameters():
        if name in state_dict:
            parameter.copy_(state_dict[name])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "buffers-left-out")
@torch.no_grad()
def knows_only_parameters(model, state_dict):
    own = dict(model.named_parameters())
    for key, value in state_dict.items():
        if key in own and own[key].shape != value.shape:
            raise ValueError(key)
    for key, value in state_dict.items():
        if key in own:
            own[key].copy_(value)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "lists-swapped")
def the_other_way_round(model, state_dict):
    missing, unexpected = checked_then_pytorchs(model, state_dict)
    return unexpected, missing


@wrong(checks.load_by_name, "dictionary-changed")
def pops(model, state_dict):
    own = _must_fit(model, state_dict)
    missing = []
    for key in own:
        if key in state_dict:
            own[key].copy_(state_dict.pop(key))
        else:
            missing.append(key)
    return missing, list(state_dict)


@wrong(checks.load_by_name, "recorded-by-autograd")
def autograd_is_watching(model, state_dict):
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    _must_fit(model, state_dict)
    for key in own:
        if key in state_dict:
            own[key].copy_(state_dict[key])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "returns-none")
def nothing_returned(model, state_dict):
    _must_fit(model, state_dict)
    model.load_state_dict(state_dict, strict=False)


@wrong(checks.load_by_name, "sets-instead-of-lists")
def sets(model, state_dict):
    own = _must_fit(model, state_dict)
    model.load_state_dict(state_dict, strict=False)
    return own.keys() - state_dict.keys(), state_dict.keys() - own.keys()


@wrong(checks.load_by_name, "counts-instead-of-names")
def how_many(model, state_dict):
    missing, unexpected = checked_then_pytorchs(model, state_dict)
    return len(missing), len(unexpected)


@wrong(checks.load_by_name, "not-loaded")
def only_reports(model, state_dict):
    own = _must_fit(model, state_dict)
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "not-loaded")
def into_a_copy(model, state_dict):
    return checked_then_pytorchs(copy.deepcopy(model), state_dict)


@wrong(checks.load_by_name, "other-error")
def an_assertion(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        assert key not in own or own[key].shape == value.shape, key
    return model.load_state_dict(state_dict, strict=False)


@wrong(checks.load_by_name, "key-not-named")
def an_error_without_a_name(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape != value.shape:
            raise ValueError("wrong shape")
    return model.load_state_dict(state_dict, strict=False)


@wrong(checks.load_by_name, "unexpected-refused")
def refuses_other_names(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        own[key]
        if own[key].shape != value.shape:
            raise ValueError(key)
    return model.load_state_dict(state_dict, strict=False)


@wrong(checks.load_by_name, "missing-refused")
def refuses_gaps(model, state_dict):
    own = _must_fit(model, state_dict)
    for key in own:
        own[key].copy_(state_dict[key])
    return [], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "shapes-ignored")
def as_many_numbers(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].numel() != value.numel():
            raise ValueError(key)
    for key, value in state_dict.items():
        if key in own:
            own[key].copy_(value.view_as(own[key]))
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "buffers-left-out")
def misses_only_parameters(model, state_dict):
    _, unexpected = checked_then_pytorchs(model, state_dict)
    return [k for k, _ in model.named_parameters() if k not in state_dict], unexpected


@wrong(checks.load_by_name, "type-changed")
def data_cloned(model, state_dict):
    own = _must_fit(model, state_dict)
    for key, tensor in model.state_dict(keep_vars=True).items():
        if key in state_dict:
            tensor.data = state_dict[key].clone()
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]


@wrong(checks.load_by_name, "missing-changed")
def missing_set_to_zero(model, state_dict):
    missing, unexpected = checked_then_pytorchs(model, state_dict)
    for key in missing:
        model.state_dict()[key].zero_()
    return missing, unexpected


@wrong(checks.load_by_name, "wrong-type")
def one_list(model, state_dict):
    missing, unexpected = checked_then_pytorchs(model, state_dict)
    return missing + unexpected + ["and more"]


# Answers that a case too special would let pass


@wrong(checks.bottleneck, "projection-only-for-more-channels")
class projects_where_channels_are_added(_Bottleneck):
    def needs_projection(self, in_channels, width, stride):
        return stride > 1 or in_channels < 4 * width


@wrong(checks.resnet50, "batch-norm-options")
class stem_as_in_keras(_ResNet50):
    def __init__(self, num_classes=1000):
        super().__init__(num_classes)
        self.bn1 = nn.BatchNorm2d(64, eps=1.001e-5, momentum=0.01)


@wrong(checks.resnet50, "chance-in-train-mode")
class with_dropout_before_the_head(_ResNet50):
    def head(self, x):
        return self.fc(F.dropout(self.avgpool(x).flatten(1), 0.5, self.training))


@right(checks.resnet50)
class another_function_for_training(_ResNet50):
    def forward(self, x):
        return self.forward_in_training(x) if self.training else super().forward(x)

    def forward_in_training(self, x):
        return self.fc(self.stages(self.stem(x)).mean((-1, -2)))


@wrong(checks.load_by_name, "shapes-ignored")
def compares_first_axes(model, state_dict):
    own = model.state_dict()
    for key, value in state_dict.items():
        if key in own and own[key].shape[:1] != value.shape[:1]:
            raise ValueError(key)
    for key in own.keys() & state_dict.keys():
        own[key].copy_(state_dict[key])
    return [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]
