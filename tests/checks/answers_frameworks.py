"""Answers to the tasks on two frameworks, as people write them."""

# ruff: noqa: C408 - people write this too

import copy
from collections import Counter, OrderedDict

import numpy as np
import torch
from bank import right, wrong_edits
from torch import nn

from resnet_edu import checks

# keras_kernel_to_torch


@right(checks.keras_kernel_to_torch)
def permuted(kernel):
    kernel = torch.tensor(kernel)
    if kernel.ndim == 2:
        return kernel.t()
    return kernel.permute(3, 2, 0, 1)


@right(checks.keras_kernel_to_torch)
def numpy_first(kernel):
    order = {4: (3, 2, 0, 1), 2: (1, 0)}[kernel.ndim]
    return torch.from_numpy(np.transpose(kernel, order).copy())


@right(checks.keras_kernel_to_torch)
def one_axis_after_the_other(kernel):
    out = torch.from_numpy(kernel.copy()).transpose(-1, -2)  # (H, W, out, in)
    if out.dim() == 4:
        out = out.transpose(0, 2).transpose(1, 3)
    return out.contiguous()


@right(checks.keras_kernel_to_torch)
def by_einstein(kernel):
    weight = torch.as_tensor(kernel)
    pattern = "hwio->oihw" if len(kernel.shape) == 4 else "io->oi"
    return torch.einsum(pattern, weight).clone()


@right(checks.keras_kernel_to_torch)
def moved_to_the_front(kernel):
    return torch.tensor(kernel).movedim((-1, -2), (0, 1))


@right(checks.keras_kernel_to_torch)
def reversed_and_swapped_back(kernel):
    weight = torch.tensor(kernel.T)
    return weight.swapaxes(2, 3) if weight.dim() == 4 else weight


@right(checks.keras_kernel_to_torch)
def as_a_parameter(kernel):
    try:
        height, width, inputs, outputs = kernel.shape
    except ValueError:
        return nn.Parameter(torch.FloatTensor(kernel.transpose()).clone())
    weight = nn.Conv2d(inputs, outputs, (height, width)).weight
    with torch.no_grad():
        for i in range(height):
            for j in range(width):
                weight[:, :, i, j] = torch.from_numpy(kernel[i, j].T)
    return weight


@right(checks.keras_kernel_to_torch)
def cloned_in_another_memory_format(kernel):
    if kernel.ndim == 2:
        return torch.from_numpy(np.ascontiguousarray(kernel.T))
    weight = torch.from_numpy(np.moveaxis(kernel, [3, 2], [0, 1]).astype(np.float32, copy=True))
    return weight.to(memory_format=torch.channels_last)


wrong_edits(
    checks.keras_kernel_to_torch,
    permuted,
    r"""
    height-and-width-swapped
        kernel.permute(3, 2, 0, 1) => torch.from_numpy(kernel.numpy().T.copy())

        3, 2, 0, 1 => 3, 2, 1, 0
    in-and-out-swapped
        3, 2, 0, 1 => 2, 3, 0, 1
        kernel.t() => kernel
    reshaped
        return kernel.permute(3, 2, 0, 1) => h, w, i, o = kernel.shape\nreturn kernel.reshape(o, i, h, w)

        return kernel.permute(3, 2, 0, 1) => h, w, i, o = kernel.shape\nreturn kernel.view(o, i, h, w)
        kernel.t() => kernel.view(kernel.shape[1], kernel.shape[0])
    dense-unchanged
        kernel.t() => kernel
    dense-reshaped
        kernel.t() => kernel.reshape(kernel.size(1), -1)
    only-convolutions
        kernel.ndim == 2 => False

        kernel.ndim == 2 => False
        kernel.permute(3, 2, 0, 1) => torch.tensor(np.transpose(kernel.numpy(), (3, 2, 0, 1)))

        kernel.ndim == 2 => False
        kernel = torch.tensor(kernel) => h, w, i, o = kernel.shape\nkernel = torch.tensor(kernel)
        kernel.permute(3, 2, 0, 1) => torch.einsum("hwio->oihw", kernel)
    array-not-tensor
        kernel = torch.tensor(kernel) => pass

        kernel = torch.tensor(kernel) => pass
        kernel.permute(3, 2, 0, 1) => torch.permute(kernel, (3, 2, 0, 1))
        kernel.t() => torch.t(kernel)
    wrong-type
        kernel = torch.tensor(kernel) => pass
        kernel.permute( => kernel.transpose(
        kernel.t() => kernel.T
    returns-none
        return kernel.t() => return None
    shares-memory
        torch.tensor(kernel) => torch.from_numpy(kernel)

        torch.tensor(kernel) => torch.from_numpy(kernel)
        kernel.permute(3, 2, 0, 1) => kernel.permute(3, 2, 0, 1).contiguous()
    other-type-of-numbers
        torch.tensor(kernel) => torch.from_numpy(kernel.astype(float))
    flipped
        kernel.permute( => kernel.flip(0, 1).permute(
    inputs-last
        kernel.ndim == 2 => False
        kernel.permute(3, 2, 0, 1) => kernel.movedim(-1, 0)
    wrong-order
        kernel.permute(3, 2, 0, 1) => kernel.transpose(0, -1)

        kernel.permute(3, 2, 0, 1) => kernel.transpose(-1, -2)
    kernel-unchanged
        kernel.t() => kernel
        kernel.permute(3, 2, 0, 1) => kernel
    dense-with-more-axes
        torch.tensor(kernel) => torch.tensor(kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape))
        kernel.ndim == 2 => False
    squeezed
        kernel.permute(3, 2, 0, 1) => kernel.permute(3, 2, 0, 1).squeeze()
    """,
)


# explain_difference


@right(checks.explain_difference)
def in_a_loop(torch_model):
    biases, statistics = 0, 0
    for module in torch_model.modules():
        if isinstance(module, nn.Conv2d):
            biases += module.weight.shape[0]
        elif isinstance(module, nn.BatchNorm2d):
            statistics += 2 * len(module.running_mean)
    return {"statistics": statistics, "biases": biases}


@right(checks.explain_difference)
def by_names_of_buffers(torch_model):
    running = [b.numel() for n, b in torch_model.named_buffers() if "running" in n]
    return dict(biases=sum(running) // 2, statistics=sum(running))


@right(checks.explain_difference)
def by_the_state_dict(torch_model):
    state = torch_model.state_dict()
    kernels = [value for value in state.values() if value.ndim == 4]
    statistics = [k for k in state if k.endswith(("running_mean", "running_var"))]
    return {
        "biases": sum(map(len, kernels)),
        "statistics": int(sum(np.prod(state[k].shape) for k in statistics)),
    }


@right(checks.explain_difference)
def with_a_counter(torch_model):
    found = Counter()

    def count(module):
        found["biases"] += getattr(module, "out_channels", 0) * hasattr(module, "kernel_size")
        found["statistics"] += 2 * getattr(module, "num_features", 0)

    torch_model.apply(count)
    return found


@right(checks.explain_difference)
def by_recursion(torch_model):
    found = OrderedDict(biases=0, statistics=0)
    if type(torch_model) is nn.Conv2d:
        found["biases"] = torch_model.out_channels
    if type(torch_model) is nn.BatchNorm2d:
        found["statistics"] = torch.tensor([b.numel() for b in torch_model.buffers()])[:2].sum()
    for child in torch_model.children():
        for key, value in by_recursion(child).items():
            found[key] += value
    return found


@right(checks.explain_difference)
def by_the_batch_norms_parameters(torch_model):
    bns = [m for m in torch_model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    channels = sum(len(bn.weight) for bn in bns)
    return {"biases": channels, "statistics": channels * 2}


@right(checks.explain_difference)
def all_from_the_batch_norms(torch_model):
    channels = sum(b.numel() for name, b in torch_model.named_buffers() if name.endswith("mean"))
    return dict(statistics=2 * channels, biases=channels)


wrong_edits(
    checks.explain_difference,
    in_a_loop,
    r"""
    batches-counted
        2 * len(module.running_mean) => sum(b.numel() for b in module.buffers())
    head-counted
        return { => biases = sum(p.numel() for n, p in named if n.endswith("bias"))\nreturn {
        named if => torch_model.named_parameters() if

        isinstance(module, nn.Conv2d) => isinstance(module, (nn.Conv2d, nn.Linear))
        2 * len(module.running_mean) => sum(b.numel() for b in module.buffers())
    looked-for-biases
        module.weight.shape[0] => 0 if module.bias is None else module.bias.numel()

        module.weight.shape[0] => module.bias.numel()
    layers-counted
        module.weight.shape[0] => 1
        2 * len(module.running_mean) => 2
    statistics-by-layer
        2 * len(module.running_mean) => 2
    shortcuts-left-out
        for module in torch_model.modules(): => for name, module in torch_model.named_modules():
        biases += => biases += 0 if "downsample" in name else
    statistics-of-shortcuts-left-out
        for module in torch_model.modules(): => for name, module in torch_model.named_modules():
        isinstance(module, nn.BatchNorm2d) => isinstance(module, nn.BatchNorm2d) and "bn" in name
    one-statistic-only
        2 * len(module.running_mean) => module.running_mean.numel()
    weights-counted-too
        2 * len(module.running_mean) => sum(v.numel() for v in module.state_dict().values())

        2 * len(module.running_mean) => 3 * len(module.bias)
    looked-among-parameters
        2 * len(module.running_mean) => sum(p.numel() for n, p in module.named_parameters() if "mean" in n)
    numbers-of-one-network
        return {"statistics": statistics, "biases": biases} => return {"biases": 26560, "statistics": 53120}

        "statistics": statistics, "biases": biases => "statistics": 79_680 - 26_560, "biases": 26_560

        "statistics": statistics => "statistics": 79_680 - biases
    keys-swapped
        "statistics": statistics, "biases": biases => "statistics": biases, "biases": statistics
    input-channels
        module.weight.shape[0] => module.in_channels
    blocks-counted-too
        isinstance(module, nn.Conv2d) => hasattr(module, "out_channels")
        module.weight.shape[0] => module.out_channels
    some-kernels-only
        isinstance(module, nn.Conv2d) => isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
    top-level-only
        torch_model.modules() => torch_model.children()
    floats
        "biases": biases => "biases": statistics / 2
    wrong-keys
        "biases": biases => "biases": biases, "total": biases + statistics
    wrong-type
        return {"statistics": statistics, "biases": biases} => return biases + statistics
    changes-its-input
        biases += => module.bias = nn.Parameter(torch.zeros(module.out_channels))\nbiases +=
    """,
)


# fold_bias


@right(checks.fold_bias)
@torch.no_grad()
def from_the_mean(conv_bias, bn):
    bn.running_mean.sub_(conv_bias)


@right(checks.fold_bias)
@torch.no_grad()
def into_the_bias(conv_bias, bn):
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bn.bias += conv_bias * scale


@right(checks.fold_bias)
def detached(conv_bias, bn):
    bn.running_mean -= conv_bias.detach()


@right(checks.fold_bias)
def through_data(conv_bias, bn):
    bn.running_mean.data = bn.running_mean.data - conv_bias.data
    return bn


@right(checks.fold_bias)
def a_new_buffer(conv_bias, bn):
    bn.eval()
    bn.running_mean = (bn.running_mean - conv_bias).detach()


@right(checks.fold_bias)
def through_the_state_dict(conv_bias, bn):
    state = copy.deepcopy(bn.state_dict())
    state["running_mean"] = state["running_mean"] - conv_bias
    bn.load_state_dict(state)


@right(checks.fold_bias)
def by_measuring(conv_bias, bn):
    bn.eval()
    with torch.no_grad():
        with_bias = bn(conv_bias.view(1, -1, 1, 1))
        without = bn(torch.zeros_like(conv_bias).view(1, -1, 1, 1))
        bn.bias.copy_(bn.bias + (with_bias - without).flatten())


@right(checks.fold_bias)
def channel_by_channel(conv_bias, bn):
    for channel, number in enumerate(conv_bias.tolist()):
        bn.running_mean[channel] -= number


@right(checks.fold_bias)
def what_it_adds_to_nothing(conv_bias, bn):
    both = torch.stack([conv_bias.detach(), torch.zeros_like(conv_bias)])
    with torch.no_grad():
        with_bias, without = bn(both[..., None, None])[..., 0, 0]
        bn.bias += with_bias - without


@right(checks.fold_bias)
@torch.no_grad()
def all_of_the_mean_into_the_bias(conv_bias, bn):
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    bn.bias.sub_((bn.running_mean - conv_bias) * scale)
    bn.running_mean.zero_()


wrong_edits(
    checks.fold_bias,
    from_the_mean,
    r"""
    added-instead-of-subtracted
        sub_ => add_
    mean-scaled
        (conv_bias) => (conv_bias * bn.weight / torch.sqrt(bn.running_var + bn.eps))
    unchanged
        bn.running_mean.sub_(conv_bias) => mean = bn.running_mean\nmean = mean - conv_bias

        bn.running_mean => copy.deepcopy(bn).running_mean
    recorded-by-autograd
        @torch.no_grad() => @torch.enable_grad()
    mean-overwritten
        bn.running_mean.sub_(conv_bias) => bn.running_mean = -conv_bias.detach()
    bias-overwritten
        bn.running_mean.sub_(conv_bias) => bn.bias.copy_(conv_bias)
    bias-cleared
        bn.running_mean.sub_(conv_bias) => bn.running_mean.sub_(conv_bias)\nnn.init.zeros_(conv_bias)
    another-number-changed
        bn.running_mean.sub_ => bn.weight.add_
    momentum-used
        bn.running_mean.sub_(conv_bias) => bn.running_mean.lerp_(-conv_bias, bn.momentum)
    not-in-its-numbers
        bn.running_mean.sub_(conv_bias) => bias = conv_bias.detach()[:, None, None]\nADD_BIAS
        ADD_BIAS => bn.register_forward_pre_hook(lambda _, args: (args[0] + bias,))
    """,
)
wrong_edits(
    checks.fold_bias,
    into_the_bias,
    r"""
    not-scaled
        conv_bias * scale => conv_bias

        bn.bias += conv_bias * scale => bn.bias.data -= conv_bias.data
    gamma-forgotten
        bn.weight / => 1 /
    not-divided
        bn.weight / torch.sqrt(bn.running_var + bn.eps) => bn.weight
    variance-without-root
        torch.sqrt( => (

        bn.running_var + => bn.running_var**2 +
    epsilon-forgotten
        bn.eps => 0

        bn.eps => 1.001e-5
    divided-by-weight
        bn.weight / torch.sqrt(bn.running_var + bn.eps) => 1 / bn.weight
    mean-moved-too
        conv_bias * scale => (conv_bias - bn.running_mean) * scale
    both-ways
        bn.bias += => bn.running_mean -= conv_bias\nbn.bias +=
    recorded-by-autograd
        @torch.no_grad() => @torch.enable_grad()
    tensor-in-place-of-parameter
        bn.bias += conv_bias => bn.bias = bn.bias + conv_bias
    new-parameters
        bn.bias += conv_bias * scale => bn.bias = nn.Parameter(bn.bias + conv_bias * scale)
    frozen
        bn.bias += => bn.requires_grad_(False)\nbn.bias +=
    """,
)
