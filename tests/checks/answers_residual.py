"""Answers to the sheet on residual blocks, as people write them."""

# ruff: noqa: N801 - a class that answers has a name like a function

import copy

import torch
from bank import right, wrong, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, networks

# BasicBlock


@right(checks.basic_block)
class none_as_torchvision_has_it(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def branch(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.branch(x) + shortcut)


@right(checks.basic_block)
class added_in_place(none_as_torchvision_has_it):
    def forward(self, x):
        identity = x
        out = self.branch(x)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


@right(checks.basic_block)
class the_librarys(blocks.BasicBlock):
    pass


@right(checks.basic_block)
class empty_sequential(none_as_torchvision_has_it):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.downsample = self.downsample or nn.Sequential()

    def forward(self, x):
        return torch.clamp_min(torch.add(self.downsample(x), self.branch(x)), 0)


@right(checks.basic_block)
class lazy_and_functional(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        if in_channels != out_channels or stride > 1:
            conv = nn.LazyConv2d(out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.LazyBatchNorm2d())
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()
        self.conv1 = nn.LazyConv2d(out_channels, 3, stride, 1, bias=False)
        self.conv2 = nn.LazyConv2d(out_channels, 3, 1, 1, bias=False)

    def forward(self, x):
        shortcut = getattr(self, "downsample", lambda x: x)(x)
        return (self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut).relu()


wrong_edits(
    checks.basic_block,
    none_as_torchvision_has_it,
    r"""
    no-last-relu
        self.relu(self.branch(x) + shortcut) => self.branch(x) + shortcut

    relu-before-addition
        self.relu(self.branch(x) + shortcut) => self.relu(self.branch(x)) + shortcut

    no-shortcut
        self.branch(x) + shortcut => self.branch(x)

    projection-only-with-stride
        stride != 1 or in_channels != out_channels => stride != 1

    projection-only-with-channels
        stride != 1 or in_channels != out_channels => in_channels != out_channels

    projection-only-with-both
        stride != 1 or in_channels => stride != 1 and in_channels

    no-projection
        stride != 1 or in_channels != out_channels => False

    projection-always
        stride != 1 or in_channels != out_channels => True

    projection-without-batch-norm
        nn.Sequential(conv, nn.BatchNorm2d(out_channels)) => conv

    batch-norm-after-addition
        return self.bn2(self.conv2(out)) => return self.conv2(out)
        self.branch(x) + shortcut => self.bn2(self.branch(x) + shortcut)

    stride-on-second-convolution
        (in_channels, out_channels, 3, stride => (in_channels, out_channels, 3, 1
        (out_channels, out_channels, 3, 1 => (out_channels, out_channels, 3, stride
    """,
)


@wrong(checks.basic_block, "no-shortcut")
class the_plain_block(blocks.PlainBlock):
    pass


# identity_shortcut


@right(checks.identity_shortcut)
def sliced_and_padded(x, out_channels, stride):
    x = x[..., ::stride, ::stride]
    missing = out_channels - x.size(1)
    return nn.functional.pad(x, [0, 0, 0, 0, missing // 2, missing - missing // 2])


@right(checks.identity_shortcut)
def concatenated(x, out_channels, stride):
    x = F.max_pool2d(x, 1, stride)
    n, channels, height, width = x.shape
    zeros = x.new_zeros(n, (out_channels - channels) // 2, height, width)
    return torch.cat([zeros, x, zeros], dim=1)


@right(checks.identity_shortcut)
def written_into_zeros(x, out_channels, stride):
    x = F.avg_pool2d(x, kernel_size=1, stride=stride)
    out = torch.zeros(len(x), out_channels, *x.shape[-2:])
    start = (out_channels - x.shape[1]) // 2
    out[:, start : start + x.shape[1]] = x
    return out


@right(checks.identity_shortcut)
def a_convolution_of_ones(x, out_channels, stride):
    kernel = torch.zeros(out_channels, x.shape[1], 1, 1)
    start = (out_channels - x.shape[1]) // 2
    kernel[range(start, start + x.shape[1]), range(x.shape[1])] = 1
    return F.conv2d(x, kernel, stride=stride)


@right(checks.identity_shortcut)
def a_matrix_over_the_channels(x, out_channels, stride):
    rows, columns = (torch.arange(0, n, stride) for n in x.shape[2:])
    x = x.index_select(2, rows).index_select(3, columns)
    place = torch.eye(out_channels)[(out_channels - x.shape[1]) // 2 :][: x.shape[1]]
    return torch.einsum("co,nchw->nohw", place, x)


@right(checks.identity_shortcut)
def padded_with_a_module_where_channels_are_last(x, out_channels, stride):
    half = (out_channels - x.shape[1]) // 2
    pad = nn.ZeroPad2d((half, half, 0, 0))
    return pad(x[:, :, ::stride, ::stride].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


wrong_edits(
    checks.identity_shortcut,
    sliced_and_padded,
    r"""
    zeros-after
        missing // 2, missing - missing // 2 => 0, missing

    zeros-before
        missing // 2, missing - missing // 2 => missing, 0

    no-stride
        x[..., ::stride, ::stride] => x

    average-pooling
        x[..., ::stride, ::stride] => F.avg_pool2d(x, stride)

    max-pooling
        x[..., ::stride, ::stride] => F.max_pool2d(x, stride)

    one-direction-only
        ::stride, ::stride => ::stride, :

    channels-repeated
        return => return torch.cat([x] * (out_channels // x.shape[1]), 1)\nreturn

    channels-always-doubled
        missing = out_channels - x.size(1) => missing = x.size(1)

    detached
        = x[..., => = torch.from_numpy(x.detach().numpy().copy())[...,
    """,
)


# zero_init_residual_


@right(checks.zero_init_residual_)
def the_librarys_function(model):
    networks.zero_init_residual_(model)


@right(checks.zero_init_residual_)
def by_name(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bn2.weight"):
            parameter.data.fill_(0)


@right(checks.zero_init_residual_)
@torch.no_grad()
def multiplied(model):
    for block in (m for m in model.modules() if type(m).__name__ == "BasicBlock"):
        block.bn2.weight *= 0


@right(checks.zero_init_residual_)
def by_apply(model):
    model.apply(
        lambda m: nn.init.constant_(m.bn2.weight, 0) if isinstance(m, blocks.BasicBlock) else None
    )


@right(checks.zero_init_residual_)
def by_recursion(model):
    if hasattr(model, "bn2"):
        nn.init.zeros_(model.bn2.weight)
    for child in model.children():
        by_recursion(child)


wrong_edits(
    checks.zero_init_residual_,
    multiplied,
    r"""
    first-batch-norm
        bn2 => bn1

    both-batch-norms
        block.bn2.weight *= 0 => block.bn1.weight *= 0\nblock.bn2.weight *= 0

    all-batch-norms
        BasicBlock => BatchNorm2d
        block.bn2.weight => block.weight

    bias-instead-of-weight
        bn2.weight => bn2.bias

    bias-too
        block.bn2.weight *= 0 => block.bn2.weight *= 0\nblock.bn2.bias *= 0

    convolution-instead
        bn2.weight => conv2.weight

    model-unchanged
        type(m).__name__ == "BasicBlock" => isinstance(m, none_as_torchvision_has_it)

    new-parameters
        block.bn2.weight *= 0 => block.bn2.weight = nn.Parameter(0 * block.bn2.weight)

    recorded-by-autograd
        @torch.no_grad() => @torch.enable_grad()
    """,
)


@wrong(checks.zero_init_residual_, "model-unchanged")
def a_copy(model):
    networks.zero_init_residual_(copy.deepcopy(model))
