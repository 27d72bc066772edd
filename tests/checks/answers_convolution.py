"""Answers to the exercise sheet on convolution blocks, as people write them."""

# ruff: noqa: ARG001, ARG002, N801 - wrong answers are wrong in this too

import math

import numpy as np
import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks

# 1.1


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


@wrong(checks.conv_output_size, "kernel-ignored")
def forgets_the_kernel(size, kernel_size, stride=1, padding=0):
    return (size + 2 * padding) // stride


@wrong(checks.conv_output_size, "wrong-type")
def float_tensor(size, kernel_size, stride=1, padding=0):
    return torch.tensor((size + 2 * padding - kernel_size) / stride + 1)


@wrong(checks.conv_output_size, "no-floor")
def true_division(size, kernel_size, stride=1, padding=0):
    return 1 + (size - kernel_size + 2 * padding) / stride


@wrong(checks.conv_output_size, "returns-float")
def floor_of_numpy(size, kernel_size, stride=1, padding=0):
    return np.floor((size - kernel_size + 2 * padding) / stride + 1)


@wrong(checks.conv_output_size, "rounded-up")
def ceil(size, kernel_size, stride=1, padding=0):
    return math.ceil((size - kernel_size + 2 * padding) / stride + 1)


@wrong(checks.conv_output_size, "rounded-to-nearest")
def rounded(size, kernel_size, stride=1, padding=0):
    return round((size - kernel_size + 2 * padding) / stride + 1)


@wrong(checks.conv_output_size, "no-plus-one")
def steps_only(size, kernel_size, stride=1, padding=0):
    size += 2 * padding
    return (size - kernel_size) // stride


@wrong(checks.conv_output_size, "plus-one-too-early")
def brackets_missing(size, kernel_size, stride=1, padding=0):
    return (size - kernel_size + 2 * padding + 1) // stride


@wrong(checks.conv_output_size, "padding-once")
def one_side(size, kernel_size, stride=1, padding=0):
    padded = size + padding
    return (padded - kernel_size) // stride + 1


@wrong(checks.conv_output_size, "padding-ignored")
def padding_forgotten(size, kernel_size, stride=1, padding=0):
    return int((size - kernel_size) / stride) + 1


@wrong(checks.conv_output_size, "padding-after-stride")
def padded_afterwards(size, kernel_size, stride=1, padding=0):
    return (size - kernel_size) // stride + 1 + padding * 2


@wrong(checks.conv_output_size, "stride-ignored")
def stride_forgotten(size, kernel_size, stride=1, padding=0):
    return size - kernel_size + 2 * padding + 1


@wrong(checks.conv_output_size, "only-stride")
def as_if_same(size, kernel_size, stride=1, padding=0):
    return (size + stride - 1) // stride


@wrong(checks.conv_output_size, "kernel-off-by-one")
def kernel_less_one(size, kernel_size, stride=1, padding=0):
    return (size + 2 * padding - (kernel_size - 1)) // stride + 1


@wrong(checks.conv_output_size, "parameter-order")
def other_order(size, kernel_size, padding=0, stride=1):
    return (size + 2 * padding - kernel_size) // stride + 1


@wrong(checks.conv_output_size, "parameter-names")
def short_names(n, k, s=1, p=0):
    return (n + 2 * p - k) // s + 1


@wrong(checks.conv_output_size, "wrong-signature")
def defaults_missing(size, kernel_size, stride, padding):
    return (size + 2 * padding - kernel_size) // stride + 1


@wrong(checks.conv_output_size, "returns-none")
def prints_it(size, kernel_size, stride=1, padding=0):
    print((size + 2 * padding - kernel_size) // stride + 1)


@wrong(checks.conv_output_size, "wrong-type")
def as_text(size, kernel_size, stride=1, padding=0):
    return f"{(size + 2 * padding - kernel_size) // stride + 1} pixels"


@wrong(checks.conv_output_size, "raised-error")
def misspelt(size, kernel_size, stride=1, padding=0):
    return (size + 2 * pading - kernel_size) // stride + 1  # noqa: F821


# 1.2


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


@wrong(checks.conv_parameters, "kernel-not-squared")
def kernel_once(in_channels, out_channels, kernel_size, bias):
    return in_channels * out_channels * kernel_size + (out_channels if bias else 0)


@wrong(checks.conv_parameters, "kernel-not-squared")
def kernel_twice(in_channels, out_channels, kernel_size, bias):
    return in_channels * out_channels * (kernel_size + kernel_size) + (out_channels if bias else 0)


@wrong(checks.conv_parameters, "bias-forgotten")
def weights_only(in_channels, out_channels, kernel_size, bias):
    return in_channels * out_channels * kernel_size**2


@wrong(checks.conv_parameters, "bias-always")
def always_a_bias(in_channels, out_channels, kernel_size, bias):
    return (in_channels * kernel_size**2 + 1) * out_channels


@wrong(checks.conv_parameters, "bias-per-input-channel")
def bias_on_input(in_channels, out_channels, kernel_size, bias):
    return out_channels * in_channels * kernel_size**2 + (in_channels if bias else 0)


@wrong(checks.conv_parameters, "bias-only-one")
def a_single_bias(in_channels, out_channels, kernel_size, bias):
    n = out_channels * in_channels * kernel_size**2
    if bias:
        n += 1
    return n


@wrong(checks.conv_parameters, "bias-per-kernel")
def bias_for_each_kernel(in_channels, out_channels, kernel_size, bias):
    n = kernel_size**2
    if bias:
        n = n + 1
    return n * in_channels * out_channels


@wrong(checks.conv_parameters, "bias-per-weight")
def bias_for_each_weight(in_channels, out_channels, kernel_size, bias):
    n = out_channels * in_channels * kernel_size**2
    return 2 * n if bias else n


@wrong(checks.conv_parameters, "in-channels-forgotten")
def as_if_depthwise(in_channels, out_channels, kernel_size, bias):
    return kernel_size * kernel_size * out_channels + (out_channels if bias else 0)


@wrong(checks.conv_parameters, "out-channels-forgotten")
def one_filter(in_channels, out_channels, kernel_size, bias):
    return in_channels * kernel_size**2 + int(bias)


@wrong(checks.conv_parameters, "channels-added")
def sum_of_channels(in_channels, out_channels, kernel_size, bias):
    return kernel_size**2 * (in_channels + out_channels) + out_channels * bias


@wrong(checks.conv_parameters, "bias-reversed")
def no_bias(in_channels, out_channels, kernel_size, bias):
    n = in_channels * out_channels * kernel_size**2
    if not bias:
        return n + out_channels
    return n


# 1.3


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


@wrong(checks.receptive_field, "strides-ignored")
def kernels_only(layers):
    field = 1
    for kernel_size, _ in layers:
        field = field + kernel_size - 1
    return field


@wrong(checks.receptive_field, "stride-too-early")
def jump_first(layers):
    r, j = 1, 1
    for k, s in layers:
        j = j * s
        r = r + (k - 1) * j
    return r


@wrong(checks.receptive_field, "one-stride-only")
def last_stride(layers):
    r, before = 1, 1
    for k, s in layers:
        r += (k - 1) * before
        before = s
    return r


@wrong(checks.receptive_field, "strides-added")
def adds_strides(layers):
    r, j = 1, 1
    for k, s in layers:
        r += (k - 1) * j
        j += s
    return r


@wrong(checks.receptive_field, "kernel-not-less-one")
def whole_kernels(layers):
    r, j = 1, 1
    for k, s in layers:
        r += k * j
        j *= s
    return r


@wrong(checks.receptive_field, "starts-from-zero")
def from_zero(layers):
    r, j = 0, 1
    for k, s in layers:
        r += (k - 1) * j
        j *= s
    return r


@wrong(checks.receptive_field, "kernels-multiplied")
def product(layers):
    r = 1
    for k, _ in layers:
        r *= k
    return r


@wrong(checks.receptive_field, "back-to-front")
def forwards(layers):
    r = 1
    for k, s in layers:
        r = k + s * (r - 1)
    return r


@wrong(checks.receptive_field, "no-layers")
def first_kernel_outside(layers):
    r, j = layers[0]
    for k, s in layers[1:]:
        r += (k - 1) * j
        j *= s
    return r


@wrong(checks.receptive_field, "changes-its-input")
def eats_the_list(layers):
    r = 1
    while layers:
        k, s = layers.pop()
        r = (r - 1) * s + k
    return r


@wrong(checks.receptive_field, "returns-none")
def return_forgotten(layers):
    r, j = 1, 1
    for k, s in layers:
        r += (k - 1) * j
        j *= s


# 1.4


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


@wrong(checks.batch_norm, "unbiased-variance")
def default_var(x, gamma, beta, eps=1e-5):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = x.var(dim=(0, 2, 3), keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "statistics-per-pixel")
def only_dim_0(x, gamma, beta, eps=1e-5):
    mean = x.mean(dim=0)
    var = x.var(dim=0, unbiased=False)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "statistics-per-image")
def instance_norm(x, gamma, beta, eps=1e-5):
    x_hat = F.instance_norm(x, eps=eps) if x[0, 0].numel() > 1 else torch.zeros_like(x) * x
    return gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "statistics-over-channels")
def layer_norm(x, gamma, beta, eps=1e-5):
    x_hat = F.layer_norm(x, x.shape[1:], eps=eps)
    return gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "statistics-over-everything")
def one_mean(x, gamma, beta, eps=1e-5):
    x_hat = (x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + eps)
    return gamma.view(1, -1, 1, 1) * x_hat + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "eps-outside-root")
def std_plus_eps(x, gamma, beta, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    std = x.std((0, 2, 3), unbiased=False, keepdim=True)
    return gamma.view(1, -1, 1, 1) * (x - mean) / (std + eps) + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "divided-by-variance")
def root_forgotten(x, gamma, beta, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    return gamma.view(1, -1, 1, 1) * (x - mean) / (var + eps) + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "eps-missing")
def no_eps(x, gamma, beta, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    return gamma.view(1, -1, 1, 1) * (x - mean) / var.sqrt() + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "eps-fixed")
def eps_hard_coded(x, gamma, beta, eps=1e-5):
    return F.batch_norm(x, None, None, gamma, beta, training=True)


@wrong(checks.batch_norm, "gamma-beta-swapped")
def swapped(x, gamma, beta, eps=1e-5):
    return F.batch_norm(x, None, None, beta, gamma, training=True, eps=eps)


@wrong(checks.batch_norm, "gamma-and-beta-missing")
def only_normalised(x, gamma, beta, eps=1e-5):
    return F.batch_norm(x, None, None, training=True, eps=eps)


@wrong(checks.batch_norm, "beta-missing")
def without_beta(x, gamma, beta, eps=1e-5):
    return F.batch_norm(x, None, None, gamma, training=True, eps=eps)


@wrong(checks.batch_norm, "gamma-along-width")
def broadcast_wrongly(x, gamma, beta, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = x.var((0, 2, 3), unbiased=False, keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return gamma * x_hat + beta


@wrong(checks.batch_norm, "beta-scaled")
def brackets_wrong(x, gamma, beta, eps=1e-5):
    x_hat = F.batch_norm(x, None, None, training=True, eps=eps)
    return gamma.view(1, -1, 1, 1) * (x_hat + beta.view(1, -1, 1, 1))


@wrong(checks.batch_norm, "mean-not-subtracted")
def scaled_only(x, gamma, beta, eps=1e-5):
    var = x.var((0, 2, 3), unbiased=False, keepdim=True)
    return gamma.view(1, -1, 1, 1) * x / torch.sqrt(var + eps) + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "statistics-detached")
def no_grad_statistics(x, gamma, beta, eps=1e-5):
    with torch.no_grad():
        mean = x.mean((0, 2, 3), keepdim=True)
        var = x.var((0, 2, 3), unbiased=False, keepdim=True)
    return gamma.view(1, -1, 1, 1) * (x - mean) / torch.sqrt(var + eps) + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "gamma-and-beta-detached")
def by_a_module(x, gamma, beta, eps=1e-5):
    bn = nn.BatchNorm2d(x.shape[1], eps=eps)
    bn.weight.data = gamma
    bn.bias.data = beta
    return bn(x)


@wrong(checks.batch_norm, "changes-its-input")
def in_place(x, gamma, beta, eps=1e-5):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = x.var((0, 2, 3), unbiased=False, keepdim=True)
    x.sub_(mean).div_(torch.sqrt(var + eps))
    return gamma.view(1, -1, 1, 1) * x + beta.view(1, -1, 1, 1)


@wrong(checks.batch_norm, "raised-error")
def by_numpy(x, gamma, beta, eps=1e-5):
    values = x.numpy()
    return torch.from_numpy(values - values.mean((0, 2, 3), keepdims=True))


# 1.5


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


class _Block(nn.Module):
    """A wrong answer says what it does in another way."""

    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        self.conv = self.make_conv(in_channels, out_channels, kernel_size, stride)
        self.bn = nn.BatchNorm2d(out_channels)

    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, kernel_size=k, stride=s, padding=(k - 1) // 2, bias=False)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


@wrong(checks.conv_block, "no-padding")
class padding_not_given(_Block):
    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, kernel_size=k, stride=s, bias=False)


@wrong(checks.conv_block, "padding-fixed")
class padding_of_one(_Block):
    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, kernel_size=k, stride=s, bias=False, padding=1)


@wrong(checks.conv_block, "padding-same-with-stride")
class padding_same(_Block):
    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, kernel_size=k, stride=s, bias=False, padding="same")


@wrong(checks.conv_block, "bias")
class bias_left_on(_Block):
    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, kernel_size=k, stride=s, padding=k // 2)


@wrong(checks.conv_block, "stride-ignored")
class no_stride(_Block):
    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, k, padding=k // 2, bias=False)


@wrong(checks.conv_block, "kernel-size-ignored")
class always_3x3(_Block):
    def make_conv(self, i, o, k, s):
        return nn.Conv2d(i, o, 3, s, padding=1, bias=False)


@wrong(checks.conv_block, "no-relu")
class relu_forgotten(_Block):
    def forward(self, x):
        x = self.conv(x)
        return self.bn(x)


@wrong(checks.conv_block, "no-batch-norm")
class bn_forgotten(_Block):
    def forward(self, x):
        return self.conv(x).relu()


@wrong(checks.conv_block, "relu-before-batch-norm")
class relu_then_bn(_Block):
    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.bn(x)


@wrong(checks.conv_block, "bn-on-in-channels")
class bn_of_the_input(_Block):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)
        self.bn = nn.BatchNorm2d(in_channels)


@wrong(checks.conv_block, "no-running-statistics")
class without_running_statistics(_Block):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)
        self.bn = nn.BatchNorm2d(out_channels, track_running_stats=False)


@wrong(checks.conv_block, "other-momentum")
class momentum_of_keras(_Block):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__(in_channels, out_channels, kernel_size, stride)
        self.bn = nn.BatchNorm2d(out_channels, momentum=0.99)


@wrong(checks.conv_block, "missing-module")
class other_names(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return F.relu(self.bn1(self.conv1(x)))


@wrong(checks.conv_block, "no-super-init")
class super_forgotten(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size)


@wrong(checks.conv_block, "no-forward")
class forward_misspelt(_Block):
    forward = nn.Module.forward

    def foward(self, x):
        return F.relu(self.bn(self.conv(x)))


@wrong(checks.conv_block, "returns-none")
class forward_without_return(_Block):
    def forward(self, x):
        F.relu(self.bn(self.conv(x)))


@wrong(checks.conv_block, "wrong-signature")
class no_defaults(_Block):
    def __init__(self, in_channels, out_channels, kernel_size, stride):
        super().__init__(in_channels, out_channels, kernel_size, stride)


@wrong(checks.conv_block, "wrong-type")
def not_a_module(in_channels, out_channels, kernel_size=3, stride=1):
    return lambda x: x
