"""Answers to the tasks on convolution blocks, as people write them."""

# ruff: noqa: ARG001, ARG002, N801 - wrong answers are wrong in this too

import math

import numpy as np
import torch
from bank import right, wrong, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks

# conv_output_size


@right(checks.conv_output_size)
def as_in_the_manual_of_pytorch(size, kernel_size, stride=1, padding=0):
    return math.floor((size + 2 * padding - 1 * (kernel_size - 1) - 1) / stride + 1)


@right(checks.conv_output_size)
def counts_places(size, kernel_size, stride=1, padding=0):
    count, left = 0, -padding
    while left + kernel_size <= size + padding:
        count += 1
        left += stride
    return count


@right(checks.conv_output_size)
def asks_pytorch(size, kernel_size, stride=1, padding=0):
    x = torch.zeros(1, 1, size)
    return nn.Conv1d(1, 1, kernel_size, stride, padding)(x).shape[-1]


@right(checks.conv_output_size)
def length_of_a_range(size, kernel_size, stride=1, padding=0, dilation=1):
    return len(range(0, size + 2 * padding - dilation * (kernel_size - 1), stride))


@right(checks.conv_output_size)
def numpy_integer(size, kernel_size, stride=1, padding=0):
    return np.int64(size + padding + padding - kernel_size) // stride + 1


@right(checks.conv_output_size)
def recursion(size, kernel_size, stride=1, padding=0):
    if size + 2 * padding < kernel_size:
        return 0
    return 1 + recursion(size - stride, kernel_size, stride, padding)


right(checks.conv_output_size)(
    lambda size, kernel_size, stride=1, padding=0: (
        -(-(size + 2 * padding - kernel_size + 1) // stride)
    )
)


@right(checks.conv_output_size)
def in_two_steps(size, kernel_size, stride=1, padding=0):
    padded = size + 2 * padding
    return (padded - kernel_size) // stride + 1


wrong_edits(
    checks.conv_output_size,
    in_two_steps,
    r"""
    kernel-ignored
        (padded - kernel_size) // stride + 1 => padded // stride
    no-floor
        // stride => / stride
    returns-float
        (padded - kernel_size) // stride + 1 => np.floor((padded - kernel_size) / stride + 1)
    rounded-up
        (padded - kernel_size) // stride + 1 => math.ceil((padded - kernel_size) / stride + 1)
    rounded-to-nearest
        (padded - kernel_size) // stride + 1 => round((padded - kernel_size) / stride + 1)
    no-plus-one
        stride + 1 => stride
    plus-one-too-early
        kernel_size) // stride + 1 => kernel_size + 1) // stride
    padding-once
        2 * padding => padding
    padding-ignored
        (padded - kernel_size) // stride => int((size - kernel_size) / stride)
    padding-after-stride
        (padded - kernel_size) // stride => (size - kernel_size) // stride + padding * 2
    stride-ignored
        (padded - kernel_size) // stride => padded - kernel_size
    only-stride
        (padded - kernel_size) // stride + 1 => (size + stride - 1) // stride
    kernel-off-by-one
        padded - kernel_size => padded - (kernel_size - 1)
    parameter-order
        stride=1, padding=0 => padding=0, stride=1
    parameter-names
        size, kernel_size, stride=1, padding=0): => n, kernel, stride=1, padding=0):
        padded = size => size, kernel_size = n, kernel\npadded = size
    wrong-signature
        stride=1, padding=0 => stride, padding
    returns-none
        return (padded - kernel_size) // stride + 1 => print((padded - kernel_size) // stride + 1)
    wrong-type
        (padded - kernel_size) // stride + 1 => torch.tensor((padded - kernel_size) / stride + 1)

        (padded - kernel_size) // stride + 1 => f"{(padded - kernel_size) // stride + 1} pixels"
    raised-error
        2 * padding => 2 * pading
    """,
)


# conv_parameters


@right(checks.conv_parameters)
def asks_pytorch_again(in_channels, out_channels, kernel_size, bias):
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias)
    return sum(p.numel() for p in conv.parameters())


@right(checks.conv_parameters)
def with_if(in_channels, out_channels, kernel_size, bias):
    n = in_channels * out_channels * kernel_size * kernel_size
    if bias:
        n += out_channels
    return n


@right(checks.conv_parameters)
def per_filter(in_channels, out_channels, kernel_size, bias):
    return (math.prod([in_channels, kernel_size, kernel_size]) + int(bias)) * out_channels


@right(checks.conv_parameters)
def counts_in_a_loop(in_channels, out_channels, kernel_size, bias=True):
    total = 0
    for _ in range(out_channels):
        for _ in range(in_channels):
            total += kernel_size**2
        total += 1 if bias else 0
    return total


@right(checks.conv_parameters)
def number_of_a_tensor(in_channels, out_channels, kernel_size, bias):
    weight = torch.empty(out_channels, in_channels, kernel_size, kernel_size)
    return torch.tensor(weight.numel() + bias * out_channels)


wrong_edits(
    checks.conv_parameters,
    with_if,
    r"""
    kernel-not-squared
        kernel_size * kernel_size => kernel_size

        kernel_size * kernel_size => (kernel_size + kernel_size)
    bias-forgotten
        if bias: => if False:
    bias-always
        if bias: => if True:
    bias-per-input-channel
        n += out_channels => n += in_channels
    bias-only-one
        n += out_channels => n += 1
    bias-per-kernel
        n += out_channels => n += in_channels * out_channels
    bias-per-weight
        n += out_channels => n *= 2
    in-channels-forgotten
        in_channels * out_channels * => out_channels *
    out-channels-forgotten
        in_channels * out_channels * => in_channels *
        n += out_channels => n += 1
    channels-added
        in_channels * out_channels * => (in_channels + out_channels) *
    bias-reversed
        if bias: => if not bias:
    """,
)


# receptive_field


@right(checks.receptive_field)
def from_the_last_layer(layers):
    field = 1
    for k, s in reversed(layers):
        field = field * s + (k - s)
    return field


@right(checks.receptive_field)
def recursive(layers):
    if not layers:
        return 1
    (kernel_size, stride), *rest = layers
    return (recursive(rest) - 1) * stride + kernel_size


@right(checks.receptive_field)
def closed_form(layers):
    strides = [s for _, s in layers]
    return 1 + sum((k - 1) * math.prod(strides[:i]) for i, (k, _) in enumerate(layers))


@right(checks.receptive_field)
def by_intervals(layers):
    first, last = 0, 0
    for kernel_size, stride in layers[::-1]:
        first, last = first * stride, last * stride + kernel_size - 1
    return last - first + 1


@right(checks.receptive_field)
def by_gradient(layers):
    size = 300
    x = torch.zeros(1, 1, size, requires_grad=True)
    out = x
    for kernel_size, stride in layers:
        out = F.conv1d(out, torch.ones(1, 1, kernel_size), stride=stride)
    out[0, 0, 0].backward()
    seen = x.grad.flatten().nonzero()
    return int(seen.max() - seen.min()) + 1


@right(checks.receptive_field)
def as_in_the_lesson(layers):
    r, j = 1, 1
    for k, s in layers:
        r += (k - 1) * j
        j *= s
    return r


wrong_edits(
    checks.receptive_field,
    as_in_the_lesson,
    r"""
    strides-ignored
        r += (k - 1) * j => r = r + k - 1
    stride-too-early
        r += (k - 1) * j => r += (k - 1) * j * s
    one-stride-only
        j *= s => j = s
    strides-added
        j *= s => j += s
    kernel-not-less-one
        (k - 1) => k
    starts-from-zero
        r, j = 1, 1 => r, j = 0, 1
    kernels-multiplied
        r += (k - 1) * j => r *= k
    back-to-front
        r += (k - 1) * j => r = k + s * (r - 1)
    no-layers
        r, j = 1, 1 => r, j = layers[0]
        in layers: => in layers[1:]:
    changes-its-input
        for k, s in layers: => while layers:\n    k, s = layers.pop()
        r += (k - 1) * j => r = (r - 1) * s + k
    returns-none
        return r => r
    """,
)


# batch_norm


@right(checks.batch_norm)
def functional(x, gamma, beta, eps=1e-5):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


@right(checks.batch_norm)
def with_einsum(x, gamma, beta, eps=1e-5):
    mean = torch.einsum("nchw->c", x) / (x.numel() / x.shape[1])
    x = x - mean[None, :, None, None]
    variance = torch.einsum("nchw,nchw->c", x, x) / (x.numel() / x.shape[1])
    scale = gamma * (variance + eps) ** -0.5
    return torch.einsum("nchw,c->nchw", x, scale) + beta[None, :, None, None]


@right(checks.batch_norm)
def flattened(x, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    rows = x.transpose(0, 1).reshape(c, -1)
    mean = rows.mean(1, keepdim=True)
    variance = ((rows - mean) ** 2).mean(1, keepdim=True)
    rows = (rows - mean) / torch.sqrt(variance + eps)
    rows = rows * gamma.unsqueeze(1) + beta.unsqueeze(1)
    return rows.reshape(c, n, h, w).transpose(0, 1)


@right(checks.batch_norm)
def channel_by_channel(x, gamma, beta, eps=1e-5):
    channels = []
    for c in range(x.shape[1]):
        values = x[:, c]
        variance, mean = torch.var_mean(values, correction=0)
        channels.append(gamma[c] * (values - mean) * torch.rsqrt(variance + eps) + beta[c])
    return torch.stack(channels, dim=1)


@right(checks.batch_norm)
def channels_last(x, gamma, beta, eps=1e-5):
    x = x.permute(0, 2, 3, 1)
    mean = x.mean(dim=(0, 1, 2))
    var = (x**2).mean(dim=(0, 1, 2)) - mean**2
    return ((x - mean) / (var.clamp(min=0) + eps).sqrt() * gamma + beta).permute(0, 3, 1, 2)


@right(checks.batch_norm)
def writes_into_a_result_of_its_own(x, gamma, beta, eps=1e-5):
    out = torch.empty_like(x)
    for c in range(len(gamma)):
        out[:, c] = (x[:, c] - x[:, c].mean()) / (x[:, c].var(unbiased=False) + eps).sqrt()
        out[:, c] *= gamma[c]
        out[:, c] += beta[c]
    return out


@right(checks.batch_norm)
def as_in_the_paper(x, gamma, beta, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    gamma, beta = gamma.view(1, -1, 1, 1), beta.view(1, -1, 1, 1)
    return gamma * x_hat + beta


wrong_edits(
    checks.batch_norm,
    as_in_the_paper,
    r"""
    unbiased-variance
        ((x - mean) ** 2).mean((0, 2, 3), keepdim=True) => x.var((0, 2, 3), keepdim=True)
    statistics-per-pixel
        x.mean((0, 2, 3), keepdim=True) => x.mean(0)
        ** 2).mean((0, 2, 3), keepdim=True) => ** 2).mean(0)
    statistics-per-image
        (x - mean) / torch.sqrt(var + eps) => torch.zeros_like(x) * x
        x_hat = torch => x_hat = F.instance_norm(x, eps=eps) if x[0, 0].numel() > 1 else torch
    statistics-over-channels
        (x - mean) / torch.sqrt(var + eps) => F.layer_norm(x, x.shape[1:], eps=eps)
    statistics-over-everything
        x.mean((0, 2, 3), keepdim=True) => x.mean()
        ** 2).mean((0, 2, 3), keepdim=True) => ** 2).mean()
    eps-outside-root
        torch.sqrt(var + eps) => (torch.sqrt(var) + eps)
    divided-by-variance
        torch.sqrt(var + eps) => (var + eps)
    eps-missing
        var + eps => var
    gamma-along-width
        gamma, beta = gamma.view(1, -1, 1, 1), beta.view(1, -1, 1, 1) => pass
    beta-scaled
        gamma * x_hat + beta => gamma * (x_hat + beta)
    mean-not-subtracted
        x_hat = (x - mean) => x_hat = x
    statistics-detached
        mean = => with torch.no_grad():\n    mean =
        var = => with torch.no_grad():\n    var =
    changes-its-input
        x_hat = (x - mean) / torch.sqrt(var + eps) => x_hat = x.sub_(mean).div_(torch.sqrt(var + eps))
    raised-error
        x_hat = (x - mean) => x_hat = torch.from_numpy(x.numpy() - mean.numpy())
    """,
)


wrong_edits(
    checks.batch_norm,
    functional,
    r"""
    eps-fixed
        eps=eps => eps=1e-5
    gamma-beta-swapped
        gamma, beta, training => beta, gamma, training
    gamma-and-beta-missing
        gamma, beta, training => None, None, training
    beta-missing
        gamma, beta, training => gamma, None, training
    """,
)


@wrong(checks.batch_norm, "gamma-and-beta-detached")
def by_a_module(x, gamma, beta, eps=1e-5):
    bn = nn.BatchNorm2d(x.shape[1], eps=eps)
    bn.weight.data = gamma
    bn.bias.data = beta
    return bn(x)


# ConvBlock


@right(checks.conv_block)
class functional_relu(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        self.bn = nn.BatchNorm2d(out_channels)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, (kernel_size - 1) // 2, bias=False
        )

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


@right(checks.conv_block)
class a_sequential(nn.Sequential):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        self.add_module(
            "conv",
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False),
        )
        self.add_module("bn", nn.BatchNorm2d(out_channels))
        self.add_module("act", nn.ReLU(inplace=True))


@right(checks.conv_block)
class sequential_inside(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, dilation=1):
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.all = nn.Sequential(self.conv, self.bn, nn.ReLU())

    def forward(self, x):
        return self.all(x)


@right(checks.conv_block)
class lazy_modules(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        self.conv = nn.LazyConv2d(out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn = nn.LazyBatchNorm2d()

    def forward(self, x):
        return self.bn(self.conv(x)).clamp(min=0)


@right(checks.conv_block)
class pads_by_hand(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        self.pad = nn.ZeroPad2d(kernel_size // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = self.conv(self.pad(x))
        x = F.batch_norm(
            x,
            self.bn.running_mean,
            self.bn.running_var,
            self.bn.weight,
            self.bn.bias,
            self.training,
        )
        return torch.maximum(x, torch.zeros_like(x))


@right(checks.conv_block)
class subclass_of_ours(blocks.ConvBlock):
    pass


@right(checks.conv_block)
def a_function(in_channels, out_channels, kernel_size=3, stride=1):
    return blocks.ConvBlock(in_channels, out_channels, kernel_size, stride)


@right(checks.conv_block)
class line_by_line(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        k, s, p = kernel_size, stride, (kernel_size - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, k, stride=s, padding=p, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = self.conv(x)
        x = self.bn(x)
        return torch.relu(x)


wrong_edits(
    checks.conv_block,
    line_by_line,
    r"""
    no-padding
        padding=p, bias=False => bias=False
    padding-fixed
        padding=p => padding=1
    padding-same-with-stride
        padding=p => padding="same"
    bias
        padding=p, bias=False => padding=p
    stride-ignored
        stride=s, padding=p => padding=p
    kernel-size-ignored
        k, s, p = kernel_size, stride, (kernel_size - 1) // 2 => k, s, p = 3, stride, 1
    no-relu
        torch.relu(x) => x
    no-batch-norm
        x = self.bn(x) => pass
    relu-before-batch-norm
        x = self.conv(x) => x = torch.relu(self.conv(x))
        return torch.relu(x) => return x
    bn-on-in-channels
        BatchNorm2d(out_channels) => BatchNorm2d(in_channels)
    no-running-statistics
        BatchNorm2d(out_channels) => BatchNorm2d(out_channels, track_running_stats=False)
    other-momentum
        BatchNorm2d(out_channels) => BatchNorm2d(out_channels, momentum=0.99)
    missing-module
        self.conv = => self.conv1 =
        self.bn = => self.bn1 =
        x = self.conv(x) => x = self.conv1(x)
        x = self.bn(x) => x = self.bn1(x)
    no-super-init
        super().__init__() => pass
    no-forward
        def forward => def foward
    returns-none
        return torch.relu(x) => torch.relu(x)
    wrong-signature
        kernel_size=3, stride=1 => kernel_size, stride
    """,
)


@wrong(checks.conv_block, "wrong-type")
def not_a_module(in_channels, out_channels, kernel_size=3, stride=1):
    return lambda x: x
