"""Answers to the exercise sheets on residual blocks and identity mappings, as people write them."""

# ruff: noqa: ARG001, ARG002, N801 - wrong answers are wrong in this too

import copy

import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, measure, networks

# 4.1


class _Block(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if self.needs_projection(in_channels, out_channels, stride):
            self.downsample = self.projection(in_channels, out_channels, stride)

    def needs_projection(self, i, o, stride):
        return stride != 1 or i != o

    def projection(self, i, o, stride):
        return nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def branch(self, x):
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))

    def shortcut(self, x):
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x):
        return self.relu(self.branch(x) + self.shortcut(x))


@right(checks.basic_block)
class none_as_torchvision_has_it(_Block):
    pass


@right(checks.basic_block)
class added_in_place(_Block):
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
class empty_sequential(_Block):
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


@wrong(checks.basic_block, "no-last-relu")
class sum_goes_out(_Block):
    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


@wrong(checks.basic_block, "relu-before-addition")
class adds_after_relu(_Block):
    def forward(self, x):
        return F.relu(self.branch(x)) + self.shortcut(x)


@wrong(checks.basic_block, "no-shortcut")
class plain(_Block):
    def forward(self, x):
        return F.relu(self.branch(x))


@wrong(checks.basic_block, "no-shortcut")
class the_plain_block(blocks.PlainBlock):
    pass


@wrong(checks.basic_block, "projection-only-with-stride")
class projects_for_strides(_Block):
    def needs_projection(self, i, o, stride):
        return stride != 1


@wrong(checks.basic_block, "projection-only-with-channels")
class projects_for_channels(_Block):
    def needs_projection(self, i, o, stride):
        return i != o


@wrong(checks.basic_block, "projection-only-with-both")
class projects_for_both(_Block):
    def needs_projection(self, i, o, stride):
        return stride != 1 and i != o


@wrong(checks.basic_block, "no-projection")
class never_projects(_Block):
    def needs_projection(self, i, o, stride):
        return False


@wrong(checks.basic_block, "projection-always")
class always_projects(_Block):
    def needs_projection(self, i, o, stride):
        return True


@wrong(checks.basic_block, "projection-without-batch-norm")
class bare_projection(_Block):
    def projection(self, i, o, stride):
        return nn.Conv2d(i, o, 1, stride, bias=False)


@wrong(checks.basic_block, "batch-norm-after-addition")
class normalises_the_sum(_Block):
    def forward(self, x):
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        return self.relu(self.bn2(out + self.shortcut(x)))


@wrong(checks.basic_block, "stride-on-second-convolution")
class strides_late(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1.stride, self.conv2.stride = (1, 1), (stride, stride)


# 4.2


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


def _pad(x, before, after):
    return F.pad(x, (0, 0, 0, 0, before, after))


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


@wrong(checks.identity_shortcut, "zeros-after")
def zeros_last(x, out_channels, stride):
    return _pad(x[:, :, ::stride, ::stride], 0, out_channels - x.shape[1])


@wrong(checks.identity_shortcut, "zeros-before")
def zeros_first(x, out_channels, stride):
    return _pad(x[:, :, ::stride, ::stride], out_channels - x.shape[1], 0)


@wrong(checks.identity_shortcut, "no-stride")
def full_size(x, out_channels, stride):
    zeros = (out_channels - x.shape[1]) // 2
    return _pad(x, zeros, zeros)


@wrong(checks.identity_shortcut, "average-pooling")
def averages(x, out_channels, stride):
    zeros = (out_channels - x.shape[1]) // 2
    return _pad(F.avg_pool2d(x, stride), zeros, zeros)


@wrong(checks.identity_shortcut, "max-pooling")
def takes_the_largest(x, out_channels, stride):
    zeros = (out_channels - x.shape[1]) // 2
    return _pad(F.max_pool2d(x, stride), zeros, zeros)


@wrong(checks.identity_shortcut, "one-direction-only")
def every_second_row(x, out_channels, stride):
    zeros = (out_channels - x.shape[1]) // 2
    return _pad(x[:, :, ::stride], zeros, zeros)


@wrong(checks.identity_shortcut, "channels-repeated")
def repeats(x, out_channels, stride):
    x = x[:, :, ::stride, ::stride]
    return torch.cat([x] * (out_channels // x.shape[1]), 1)


@wrong(checks.identity_shortcut, "channels-always-doubled")
def doubles(x, out_channels, stride):
    half = x.shape[1] // 2
    return _pad(x[:, :, ::stride, ::stride], half, half)


@wrong(checks.identity_shortcut, "detached")
def through_numpy(x, out_channels, stride):
    zeros = (out_channels - x.shape[1]) // 2
    numbers = torch.from_numpy(x.detach().numpy().copy())
    return _pad(numbers[:, :, ::stride, ::stride], zeros, zeros)


# 4.3


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


def _blocks(model):
    return [m for m in model.modules() if isinstance(m, blocks.BasicBlock)]


@wrong(checks.zero_init_residual_, "first-batch-norm")
def the_first(model):
    for block in _blocks(model):
        nn.init.zeros_(block.bn1.weight)


@wrong(checks.zero_init_residual_, "both-batch-norms")
def both(model):
    for block in _blocks(model):
        nn.init.zeros_(block.bn1.weight)
        nn.init.zeros_(block.bn2.weight)


@wrong(checks.zero_init_residual_, "all-batch-norms")
def every_batch_norm(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)


@wrong(checks.zero_init_residual_, "bias-instead-of-weight")
def the_bias(model):
    for block in _blocks(model):
        nn.init.zeros_(block.bn2.bias)


@wrong(checks.zero_init_residual_, "bias-too")
def weight_and_bias(model):
    for block in _blocks(model):
        nn.init.zeros_(block.bn2.weight)
        nn.init.zeros_(block.bn2.bias)


@wrong(checks.zero_init_residual_, "convolution-instead")
def the_convolution(model):
    for block in _blocks(model):
        nn.init.zeros_(block.conv2.weight)


@wrong(checks.zero_init_residual_, "model-unchanged")
def a_copy(model):
    for block in _blocks(copy.deepcopy(model)):
        nn.init.zeros_(block.bn2.weight)


@wrong(checks.zero_init_residual_, "model-unchanged")
def own_class(model):
    for module in model.modules():
        if isinstance(module, _Block):
            nn.init.zeros_(module.bn2.weight)


@wrong(checks.zero_init_residual_, "new-parameters")
def replaced(model):
    for block in _blocks(model):
        block.bn2.weight = nn.Parameter(torch.zeros(len(block.bn2.weight)))


@wrong(checks.zero_init_residual_, "recorded-by-autograd")
def with_autograd(model):
    for block in _blocks(model):
        block.bn2.weight *= 0


# 4.4


@right(checks.without_block)
def the_librarys_too(model, name):
    return measure.without_block(model, name)


@right(checks.without_block)
def gamma_and_beta_zero(model, name):
    copied = copy.deepcopy(model)
    block = copied.get_submodule(name)
    if any(
        block.downsample(torch.zeros(1, block.conv1.in_channels, 4, 4)).shape[i] != n
        for i, n in ((1, block.conv1.in_channels), (2, 4))
    ):
        raise ValueError("not removable")
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)
    return copied


@right(checks.without_block)
def by_attributes(model, name):
    stage, place = name.split(".")
    if place == "0" and stage in ("layer2", "layer3"):
        raise ValueError(f"{name} makes the image smaller")
    copied = copy.deepcopy(model)
    setattr(getattr(copied, stage), place, nn.Identity())
    return copied


@right(checks.without_block)
def a_shorter_stage(model, name):
    stage, place = name.split(".")
    if not isinstance(model.get_submodule(name).downsample, nn.Identity):
        raise ValueError("this block changes the shape")
    copied = copy.deepcopy(model)
    kept = [b for i, b in enumerate(copied.get_submodule(stage)) if i != int(place)]
    setattr(copied, stage, nn.Sequential(*kept))
    return copied


@right(checks.without_block)
def rebuilt_by_the_modules_names(model, name):
    block = dict(model.named_modules())[name]
    if block.conv1.in_channels != block.conv2.out_channels or max(block.conv1.stride) > 1:
        raise ValueError(f"cannot take out {name}")
    found = copy.deepcopy(model)
    parent = found.get_submodule(name.rpartition(".")[0])
    parent[int(name.rpartition(".")[2])].forward = lambda x: x
    return found


@right(checks.without_block)
def the_shape_is_tried(model, name):
    class Skip(nn.Module):
        def forward(self, x):
            return x

    without = copy.deepcopy(model).eval()
    stage, _, place = name.partition(".")
    without._modules[stage]._modules[place] = Skip()
    try:
        with torch.no_grad():
            without(torch.zeros(1, 3, 32, 32))
    except RuntimeError as error:
        raise ValueError(f"{name} changes the shape") from error
    return without.train(model.training)


@wrong(checks.without_block, "original-changed")
def in_place(model, name):
    stage, place = name.split(".")
    if place == "0" and stage != "layer1":
        raise ValueError
    getattr(model, stage)[int(place)] = nn.Identity()
    return model


@wrong(checks.without_block, "original-changed")
def copied_shallowly(model, name):
    stage, place = name.split(".")
    if place == "0" and stage != "layer1":
        raise ValueError
    copied = copy.copy(model)
    getattr(copied, stage)[int(place)] = nn.Identity()
    return copied


@wrong(checks.without_block, "no-value-error")
def any_block(model, name):
    copied = copy.deepcopy(model)
    stage, place = name.split(".")
    getattr(copied, stage)[int(place)] = nn.Identity()
    return copied


@wrong(checks.without_block, "first-blocks-refused")
def refuses_all_first_ones(model, name):
    if name.split(".")[1] == "0":
        raise ValueError
    return measure.without_block(model, name)


@wrong(checks.without_block, "block-still-there")
def attribute_with_a_dot(model, name):
    measure.without_block(model, name)
    copied = copy.deepcopy(model)
    copied.__dict__[name] = nn.Identity()
    return copied


@wrong(checks.without_block, "zeros-instead-of-identity")
def puts_out_zeros(model, name):
    copied = measure.without_block(model, name)
    copied.get_submodule(name).register_forward_hook(lambda *args: torch.zeros_like(args[2]))
    return copied


@wrong(checks.without_block, "another-block")
def counts_from_one(model, name):
    measure.without_block(model, name)
    stage, place = name.split(".")
    copied = copy.deepcopy(model)
    getattr(copied, stage)[int(place) - 1] = nn.Identity()
    return copied


@wrong(checks.without_block, "shared-parameters")
def shares(model, name):
    measure.without_block(model, name)
    copied = copy.deepcopy(model)
    stage, place = name.split(".")
    kept = list(getattr(model, stage))
    kept[int(place)] = nn.Identity()
    setattr(copied, stage, nn.Sequential(*kept))
    return copied


@wrong(checks.without_block, "returns-none")
def forgets_to_return(model, name):
    measure.without_block(model, name)


# 4.5


class _Pre(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def branch(self, x):
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))

    def forward(self, x):
        return self.branch(x) + x


@right(checks.pre_activation_block)
class functional(_Pre):
    pass


@right(checks.pre_activation_block)
class with_a_sequential(_Pre):
    def __init__(self, channels):
        super().__init__(channels)
        self.body = nn.Sequential(
            self.bn1, nn.ReLU(), self.conv1, self.bn2, nn.ReLU(inplace=True), self.conv2
        )

    def forward(self, x):
        return torch.add(x, self.body(x))


@right(checks.pre_activation_block)
class padding_same(_Pre):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv1 = nn.Conv2d(channels, channels, (3, 3), padding="same", bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out += x
        return out


@right(checks.pre_activation_block)
class in_a_loop(_Pre):
    def forward(self, x):
        out = x
        for bn, conv in ((self.bn1, self.conv1), (self.bn2, self.conv2)):
            out = conv(bn(out).clamp(min=0))
        return x + out


@right(checks.pre_activation_block)
class lazy_batch_norm_as_a_function(_Pre):
    """Batch norm as a function of the module's numbers; the sum by `torch.stack`."""

    def __init__(self, channels):
        super().__init__(channels)
        self.conv1 = nn.LazyConv2d(channels, 3, padding=1, bias=False)

    def forward(self, x):
        out = x
        for i in (1, 2):
            bn, conv = self.get_submodule(f"bn{i}"), self.get_submodule(f"conv{i}")
            if bn.training:
                bn.num_batches_tracked += 1
            out = F.batch_norm(
                out, bn.running_mean, bn.running_var, bn.weight, bn.bias, bn.training, 0.1, bn.eps
            )
            out = conv(torch.where(out > 0, out, torch.zeros_like(out)))
        return torch.stack([x, out]).sum(0)


@wrong(checks.pre_activation_block, "relu-after-addition")
class relu_last(_Pre):
    def forward(self, x):
        return F.relu(self.branch(x) + x)


@wrong(checks.pre_activation_block, "post-activation")
class as_in_2015(_Pre):
    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + x)


@wrong(checks.pre_activation_block, "no-shortcut")
class branch_only(_Pre):
    def forward(self, x):
        return self.branch(x)


@wrong(checks.pre_activation_block, "shortcut-from-the-activation")
class x_overwritten(_Pre):
    def forward(self, x):
        x = F.relu(self.bn1(x))
        return x + self.conv2(F.relu(self.bn2(self.conv1(x))))


@wrong(checks.pre_activation_block, "no-first-relu")
class first_relu_forgotten(_Pre):
    def forward(self, x):
        return x + self.conv2(F.relu(self.bn2(self.conv1(self.bn1(x)))))


@wrong(checks.pre_activation_block, "no-second-relu")
class second_relu_forgotten(_Pre):
    def forward(self, x):
        return x + self.conv2(self.bn2(self.conv1(F.relu(self.bn1(x)))))


@wrong(checks.pre_activation_block, "relu-before-batch-norm")
class relu_then_bn(_Pre):
    def forward(self, x):
        out = self.conv1(self.bn1(F.relu(x)))
        return x + self.conv2(self.bn2(F.relu(out)))


@wrong(checks.pre_activation_block, "bias")
class biased(_Pre):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)


@wrong(checks.pre_activation_block, "relu-before-addition")
class relu_on_the_branch(_Pre):
    def forward(self, x):
        return x + F.relu(self.branch(x))
