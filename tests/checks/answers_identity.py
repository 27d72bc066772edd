"""Answers to the sheet on identity mappings, as people write them."""

# ruff: noqa: N801 - a class that answers has a name like a function

import copy

import torch
from bank import right, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import checks, measure

# without_block


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


wrong_edits(
    checks.without_block,
    by_attributes,
    r"""
    original-changed
        copy.deepcopy(model) => model

        copy.deepcopy(model) => copy.copy(model)

    no-value-error
        place == "0" and stage in ("layer2", "layer3") => False

    first-blocks-refused
        place == "0" and stage in ("layer2", "layer3") => place == "0"

    block-still-there
        getattr(copied, stage), place => copied, name

    zeros-instead-of-identity
        return => copied.get_submodule(name).register_forward_hook(lambda *seen: 0 * seen[2])\nreturn

    another-block
        setattr(getattr(copied, stage), place, => getattr(copied, stage).__setitem__(int(place) - 1,

    shared-parameters
        return => copied.conv1 = model.conv1\nreturn

    returns-none
        return copied => pass
    """,
)


# PreActivationBlock


@right(checks.pre_activation_block)
class functional(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        middle = self.conv1(F.relu(self.bn1(x)))
        end = self.conv2(F.relu(self.bn2(middle)))
        return end + x


@right(checks.pre_activation_block)
class with_a_sequential(functional):
    def __init__(self, channels):
        super().__init__(channels)
        self.body = nn.Sequential(
            self.bn1, nn.ReLU(), self.conv1, self.bn2, nn.ReLU(inplace=True), self.conv2
        )

    def forward(self, x):
        return torch.add(x, self.body(x))


@right(checks.pre_activation_block)
class padding_same(functional):
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
class in_a_loop(functional):
    def forward(self, x):
        out = x
        for bn, conv in ((self.bn1, self.conv1), (self.bn2, self.conv2)):
            out = conv(bn(out).clamp(min=0))
        return x + out


@right(checks.pre_activation_block)
class lazy_batch_norm_as_a_function(functional):
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


wrong_edits(
    checks.pre_activation_block,
    functional,
    r"""
    relu-after-addition
        end + x => F.relu(end + x)

    post-activation
        self.conv1(F.relu(self.bn1(x))) => F.relu(self.bn1(self.conv1(x)))
        self.conv2(F.relu(self.bn2(middle))) => self.bn2(self.conv2(middle))
        end + x => F.relu(end + x)

    no-shortcut
        end + x => end

    shortcut-from-the-activation
        middle = self.conv1(F.relu(self.bn1(x))) => x = F.relu(self.bn1(x))\nmiddle = self.conv1(x)

    no-first-relu
        F.relu(self.bn1(x)) => self.bn1(x)

    no-second-relu
        F.relu(self.bn2(middle)) => self.bn2(middle)

    relu-before-batch-norm
        F.relu(self.bn1(x)) => self.bn1(F.relu(x))
        F.relu(self.bn2(middle)) => self.bn2(F.relu(middle))

    bias
        self.conv2 = nn => self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)\nself.conv2 = nn

    relu-before-addition
        end + x => F.relu(end) + x
    """,
)
