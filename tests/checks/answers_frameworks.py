"""Answers to the exercise sheet on two frameworks, as people write them."""

# ruff: noqa: ARG001, C408, RET503, RET504, RUF059 - wrong answers are wrong in this too

import copy
from collections import Counter, OrderedDict

import numpy as np
import torch
from bank import right, wrong
from torch import nn

from resnet_edu import checks

# 10.1


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


@wrong(checks.keras_kernel_to_torch, "height-and-width-swapped")
def all_axes_reversed(kernel):
    return torch.from_numpy(kernel.T.copy())


@wrong(checks.keras_kernel_to_torch, "height-and-width-swapped")
def width_before_height(kernel):
    return torch.from_numpy(kernel).permute(3, 2, 1, 0)


@wrong(checks.keras_kernel_to_torch, "in-and-out-swapped")
def inputs_first(kernel):
    if kernel.ndim == 4:
        return torch.tensor(kernel).permute(2, 3, 0, 1)
    return torch.tensor(kernel)


@wrong(checks.keras_kernel_to_torch, "reshaped")
def reshaped(kernel):
    if kernel.ndim == 4:
        h, w, i, o = kernel.shape
        return torch.from_numpy(kernel.reshape(o, i, h, w))
    return torch.from_numpy(kernel.T)


@wrong(checks.keras_kernel_to_torch, "reshaped")
def viewed(kernel):
    kernel = torch.tensor(kernel)
    if len(kernel.shape) == 2:
        return kernel.view(kernel.shape[1], kernel.shape[0])
    h, w, i, o = kernel.shape
    return kernel.view(o, i, h, w)


@wrong(checks.keras_kernel_to_torch, "dense-unchanged")
def dense_forgotten(kernel):
    kernel = torch.from_numpy(kernel)
    if kernel.dim() == 4:
        kernel = kernel.permute(3, 2, 0, 1).contiguous()
    return kernel


@wrong(checks.keras_kernel_to_torch, "dense-reshaped")
def dense_viewed(kernel):
    kernel = torch.tensor(kernel)
    if kernel.dim() == 4:
        return kernel.permute(3, 2, 0, 1)
    return kernel.reshape(kernel.size(1), -1)


@wrong(checks.keras_kernel_to_torch, "only-convolutions")
def one_line(kernel):
    return torch.tensor(kernel).permute(3, 2, 0, 1)


@wrong(checks.keras_kernel_to_torch, "only-convolutions")
def one_line_of_numpy(kernel):
    return torch.tensor(np.transpose(kernel, (3, 2, 0, 1)))


@wrong(checks.keras_kernel_to_torch, "only-convolutions")
def unpacks_four(kernel):
    h, w, i, o = kernel.shape
    return torch.einsum("hwio->oihw", torch.tensor(kernel))


@wrong(checks.keras_kernel_to_torch, "array-not-tensor")
def permutes_an_array(kernel):
    return kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.t()


@wrong(checks.keras_kernel_to_torch, "array-not-tensor")
def gives_torch_an_array(kernel):
    return torch.permute(kernel, (3, 2, 0, 1)) if kernel.ndim == 4 else torch.t(kernel)


@wrong(checks.keras_kernel_to_torch, "wrong-type")
def stays_an_array(kernel):
    return np.transpose(kernel, (3, 2, 0, 1)) if kernel.ndim == 4 else kernel.T


@wrong(checks.keras_kernel_to_torch, "returns-none")
def dense_falls_through(kernel):
    if kernel.ndim == 4:
        return torch.tensor(kernel).permute(3, 2, 0, 1)


@wrong(checks.keras_kernel_to_torch, "shares-memory")
def not_a_copy(kernel):
    kernel = torch.from_numpy(kernel)
    return kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T


@wrong(checks.keras_kernel_to_torch, "shares-memory")
def a_copy_by_chance(kernel):
    kernel = torch.from_numpy(kernel)
    return kernel.permute(3, 2, 0, 1).contiguous() if kernel.ndim == 4 else kernel.T


@wrong(checks.keras_kernel_to_torch, "other-type-of-numbers")
def in_double_precision(kernel):
    kernel = torch.from_numpy(kernel.astype(float))
    return kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T


@wrong(checks.keras_kernel_to_torch, "flipped")
def a_true_convolution(kernel):
    weight = torch.tensor(kernel)
    return weight.flip(0, 1).permute(3, 2, 0, 1) if weight.ndim == 4 else weight.T


@wrong(checks.keras_kernel_to_torch, "inputs-last")
def channels_last(kernel):
    return torch.tensor(kernel).movedim(-1, 0)


@wrong(checks.keras_kernel_to_torch, "wrong-order")
def swaps_first_and_last(kernel):
    return torch.tensor(kernel).transpose(0, -1)


@wrong(checks.keras_kernel_to_torch, "wrong-order")
def swaps_the_last_two(kernel):
    return torch.tensor(kernel).transpose(-1, -2)


@wrong(checks.keras_kernel_to_torch, "kernel-unchanged")
def only_a_tensor(kernel):
    return torch.tensor(kernel)


@wrong(checks.keras_kernel_to_torch, "dense-with-more-axes")
def dense_as_1x1(kernel):
    kernel = kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
    return torch.tensor(kernel).permute(3, 2, 0, 1)


@wrong(checks.keras_kernel_to_torch, "squeezed")
def squeezed(kernel):
    weight = torch.tensor(kernel)
    return weight.permute(3, 2, 0, 1).squeeze() if weight.ndim == 4 else weight.T


# 10.2


@right(checks.explain_difference)
def in_a_loop(torch_model):
    biases, statistics = 0, 0
    for module in torch_model.modules():
        if isinstance(module, nn.Conv2d):
            biases += module.weight.shape[0]
        elif isinstance(module, nn.BatchNorm2d):
            statistics += module.running_mean.numel() + module.running_var.numel()
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


@wrong(checks.explain_difference, "batches-counted")
def all_buffers(torch_model):
    return {
        "biases": sum(m.out_channels for m in torch_model.modules() if isinstance(m, nn.Conv2d)),
        "statistics": sum(b.numel() for b in torch_model.buffers()),
    }


def _kinds(model, kind):
    return [m for m in model.modules() if isinstance(m, kind)]


def _biases(model):
    return sum(m.out_channels for m in _kinds(model, nn.Conv2d))


def _statistics(model):
    return sum(2 * m.num_features for m in _kinds(model, nn.BatchNorm2d))


@wrong(checks.explain_difference, "head-counted")
def all_that_is_called_bias(torch_model):
    biases = sum(p.numel() for n, p in torch_model.named_parameters() if n.endswith("bias"))
    return {"biases": biases, "statistics": _statistics(torch_model)}


@wrong(checks.explain_difference, "head-counted")
def linear_too_and_all_buffers(torch_model):
    biases = _biases(torch_model) + torch_model.fc.bias.numel()
    return {"biases": biases, "statistics": sum(b.numel() for b in torch_model.buffers())}


@wrong(checks.explain_difference, "looked-for-biases")
def biases_it_has(torch_model):
    convs = _kinds(torch_model, nn.Conv2d)
    biases = sum(conv.bias.numel() for conv in convs if conv.bias is not None)
    return {"biases": biases, "statistics": _statistics(torch_model)}


@wrong(checks.explain_difference, "layers-counted")
def a_bias_for_each_layer(torch_model):
    bns = _kinds(torch_model, nn.BatchNorm2d)
    return {"biases": len(_kinds(torch_model, nn.Conv2d)), "statistics": 2 * len(bns)}


@wrong(checks.explain_difference, "statistics-by-layer")
def statistics_of_layers(torch_model):
    names = [n for n, _ in torch_model.named_buffers() if "running" in n]
    return {"biases": _biases(torch_model), "statistics": len(names)}


@wrong(checks.explain_difference, "shortcuts-left-out")
def only_what_is_called_bn(torch_model):
    names = [(n, p) for n, p in torch_model.named_parameters() if ".bn" in f".{n}"]
    biases = sum(p.numel() for n, p in names if n.endswith("bias"))
    return {"biases": biases, "statistics": 2 * biases}


@wrong(checks.explain_difference, "statistics-of-shortcuts-left-out")
def statistics_of_what_is_called_bn(torch_model):
    found = [b for n, b in torch_model.named_buffers() if ".bn" in f".{n}" and "running" in n]
    return {"biases": _biases(torch_model), "statistics": sum(map(len, found))}


@wrong(checks.explain_difference, "one-statistic-only")
def means_only(torch_model):
    return {"biases": _biases(torch_model), "statistics": _statistics(torch_model) // 2}


@wrong(checks.explain_difference, "weights-counted-too")
def everything_in_batch_norm(torch_model):
    bns = _kinds(torch_model, nn.BatchNorm2d)
    return {
        "biases": _biases(torch_model),
        "statistics": sum(v.numel() for bn in bns for v in bn.state_dict().values()),
    }


@wrong(checks.explain_difference, "looked-among-parameters")
def statistics_as_parameters(torch_model):
    found = [p.numel() for n, p in torch_model.named_parameters() if "running" in n]
    return {"biases": _biases(torch_model), "statistics": sum(found)}


@wrong(checks.explain_difference, "numbers-of-one-network")
def from_the_lesson(torch_model):
    return {"biases": 26560, "statistics": 53120}


@wrong(checks.explain_difference, "numbers-of-one-network")
def the_rest_of_79680(torch_model):
    return {"biases": 26_560, "statistics": 79_680 - 26_560}


@wrong(checks.explain_difference, "keys-swapped")
def other_way_round(torch_model):
    return {"biases": _statistics(torch_model), "statistics": _biases(torch_model)}


@wrong(checks.explain_difference, "input-channels")
def channels_going_in(torch_model):
    biases = sum(m.in_channels for m in _kinds(torch_model, nn.Conv2d))
    return {"biases": biases, "statistics": _statistics(torch_model)}


@wrong(checks.explain_difference, "blocks-counted-too")
def whatever_has_channels(torch_model):
    biases = 0
    for module in torch_model.modules():
        if hasattr(module, "out_channels"):
            biases += module.out_channels
    return {"biases": biases, "statistics": _statistics(torch_model)}


@wrong(checks.explain_difference, "some-kernels-only")
def convolutions_of_3x3(torch_model):
    kernels = [p for p in torch_model.parameters() if tuple(p.shape[2:]) == (3, 3)]
    return {"biases": sum(map(len, kernels)), "statistics": _statistics(torch_model)}


@wrong(checks.explain_difference, "top-level-only")
def children_only(torch_model):
    found = list(torch_model.children())
    return {
        "biases": sum(m.out_channels for m in found if isinstance(m, nn.Conv2d)),
        "statistics": sum(2 * m.num_features for m in found if isinstance(m, nn.BatchNorm2d)),
    }


@wrong(checks.explain_difference, "floats")
def divided(torch_model):
    statistics = sum(b.numel() for n, b in torch_model.named_buffers() if "running" in n)
    return {"biases": statistics / 2, "statistics": statistics}


@wrong(checks.explain_difference, "wrong-keys")
def with_the_sum(torch_model):
    found = {"biases": _biases(torch_model), "statistics": _statistics(torch_model)}
    return found | {"total": sum(found.values())}


@wrong(checks.explain_difference, "wrong-type")
def one_number(torch_model):
    return _biases(torch_model) + _statistics(torch_model)


@wrong(checks.explain_difference, "changes-its-input")
def gives_it_biases(torch_model):
    for conv in _kinds(torch_model, nn.Conv2d):
        conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
    return {"biases": _biases(torch_model), "statistics": _statistics(torch_model)}


@right(checks.explain_difference)
def all_from_the_batch_norms(torch_model):
    channels = sum(b.numel() for name, b in torch_model.named_buffers() if name.endswith("mean"))
    return dict(statistics=2 * channels, biases=channels)


@wrong(checks.explain_difference, "looked-for-biases")
def counts_what_is_none(torch_model):
    convs = [m for m in torch_model.modules() if isinstance(m, nn.Conv2d)]
    return {
        "biases": sum(conv.bias.numel() for conv in convs),
        "statistics": _statistics(torch_model),
    }


@wrong(checks.explain_difference, "numbers-of-one-network")
def what_is_left_of_79680(torch_model):
    biases = _biases(torch_model)
    return {"biases": biases, "statistics": 79_680 - biases}


@wrong(checks.explain_difference, "weights-counted-too")
def three_numbers_for_a_channel(torch_model):
    norms = [m for m in torch_model.modules() if isinstance(m, nn.BatchNorm2d)]
    each = ("bias", "running_mean", "running_var")
    return {
        "biases": _biases(torch_model),
        "statistics": sum(getattr(norm, name).numel() for norm in norms for name in each),
    }


# 10.3


@right(checks.fold_bias)
@torch.no_grad()
def from_the_mean(conv_bias, bn):
    bn.running_mean.sub_(conv_bias)


@right(checks.fold_bias)
def into_the_bias(conv_bias, bn):
    with torch.no_grad():
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


@wrong(checks.fold_bias, "added-instead-of-subtracted")
@torch.no_grad()
def plus(conv_bias, bn):
    bn.running_mean += conv_bias


@wrong(checks.fold_bias, "not-scaled")
@torch.no_grad()
def into_the_bias_as_it_is(conv_bias, bn):
    bn.bias += conv_bias


@wrong(checks.fold_bias, "not-scaled")
def minus_its_own_bias(conv_bias, bn):
    bn.bias.data -= conv_bias.data


@wrong(checks.fold_bias, "gamma-forgotten")
@torch.no_grad()
def divided_only(conv_bias, bn):
    bn.bias += conv_bias / (bn.running_var + bn.eps) ** 0.5


@wrong(checks.fold_bias, "not-divided")
@torch.no_grad()
def multiplied_only(conv_bias, bn):
    bn.bias += bn.weight * conv_bias


@wrong(checks.fold_bias, "variance-without-root")
@torch.no_grad()
def by_the_variance(conv_bias, bn):
    bn.bias += conv_bias * bn.weight / (bn.running_var + bn.eps)


@wrong(checks.fold_bias, "epsilon-forgotten")
@torch.no_grad()
def without_epsilon(conv_bias, bn):
    bn.bias += conv_bias * bn.weight / bn.running_var.sqrt()


@wrong(checks.fold_bias, "epsilon-forgotten")
@torch.no_grad()
def with_kerass_epsilon(conv_bias, bn):
    bn.bias.add_(bn.weight * conv_bias * torch.rsqrt(bn.running_var + 1.001e-5))


@wrong(checks.fold_bias, "divided-by-weight")
@torch.no_grad()
def gamma_below(conv_bias, bn):
    bn.bias += conv_bias / bn.weight


@wrong(checks.fold_bias, "mean-moved-too")
@torch.no_grad()
def the_whole_formula(conv_bias, bn):
    bn.bias += (conv_bias - bn.running_mean) / torch.sqrt(bn.running_var + bn.eps) * bn.weight


@wrong(checks.fold_bias, "both-ways")
@torch.no_grad()
def twice(conv_bias, bn):
    bn.bias += conv_bias * bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bn.running_mean -= conv_bias


@wrong(checks.fold_bias, "mean-scaled")
@torch.no_grad()
def scaled_mean(conv_bias, bn):
    bn.running_mean -= conv_bias * bn.weight / torch.sqrt(bn.running_var + bn.eps)


@wrong(checks.fold_bias, "unchanged")
def only_a_name(conv_bias, bn):
    mean = bn.running_mean
    mean = mean - conv_bias
    return mean


@wrong(checks.fold_bias, "unchanged")
def a_copy(conv_bias, bn):
    bn = copy.deepcopy(bn)
    bn.running_mean -= conv_bias.detach()
    return bn


@wrong(checks.fold_bias, "recorded-by-autograd")
def recorded(conv_bias, bn):
    bn.running_mean -= conv_bias


@wrong(checks.fold_bias, "recorded-by-autograd")
def recorded_in_the_bias(conv_bias, bn):
    bn.bias += conv_bias * bn.weight / torch.sqrt(bn.running_var + bn.eps)


@wrong(checks.fold_bias, "tensor-in-place-of-parameter")
def assigned(conv_bias, bn):
    bn.bias = bn.bias + conv_bias * bn.weight / torch.sqrt(bn.running_var + bn.eps)


@wrong(checks.fold_bias, "new-parameters")
def a_new_parameter(conv_bias, bn):
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bn.bias = nn.Parameter((bn.bias + conv_bias * scale).detach())


@wrong(checks.fold_bias, "mean-overwritten")
def put_in_its_place(conv_bias, bn):
    bn.running_mean = -conv_bias.detach()


@wrong(checks.fold_bias, "bias-overwritten")
@torch.no_grad()
def put_in_the_biass_place(conv_bias, bn):
    bn.bias.copy_(conv_bias)


@wrong(checks.fold_bias, "bias-cleared")
@torch.no_grad()
def moved_away(conv_bias, bn):
    bn.running_mean -= conv_bias
    nn.init.zeros_(conv_bias)


@wrong(checks.fold_bias, "another-number-changed")
@torch.no_grad()
def into_the_weight(conv_bias, bn):
    bn.weight += conv_bias


@wrong(checks.fold_bias, "momentum-used")
@torch.no_grad()
def as_in_training(conv_bias, bn):
    bn.running_mean = (1 - bn.momentum) * bn.running_mean - bn.momentum * conv_bias


@wrong(checks.fold_bias, "frozen")
def frozen(conv_bias, bn):
    for p in bn.parameters():
        p.requires_grad = False
    bn.bias += conv_bias.detach() * bn.weight / torch.sqrt(bn.running_var + bn.eps)


@right(checks.fold_bias)
def what_it_adds_to_nothing(conv_bias, bn):
    both = torch.stack([conv_bias.detach(), torch.zeros_like(conv_bias)])
    with torch.no_grad():
        with_bias, without = bn(both[..., None, None])[..., 0, 0]
        bn.bias += with_bias - without


@wrong(checks.fold_bias, "variance-without-root")
@torch.no_grad()
def root_of_the_square(conv_bias, bn):
    bn.bias += conv_bias * bn.weight / torch.sqrt(bn.running_var**2 + bn.eps)


@wrong(checks.fold_bias, "not-in-its-numbers")
def added_on_the_way_in(conv_bias, bn):
    bias = conv_bias.detach()[:, None, None]
    bn.register_forward_pre_hook(lambda _, args: (args[0] + bias,))


@right(checks.fold_bias)
@torch.no_grad()
def all_of_the_mean_into_the_bias(conv_bias, bn):
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    bn.bias.sub_((bn.running_mean - conv_bias) * scale)
    bn.running_mean.zero_()
