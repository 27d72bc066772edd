"""The blocks, each against the same computation written with torch.nn.functional."""

import difflib
import inspect
import math
import textwrap

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu.blocks import (
    BasicBlock,
    Bottleneck,
    ConvBlock,
    PaddingShortcut,
    PlainBlock,
    conv1x1,
    conv3x3,
    padding_shortcut,
    projection_shortcut,
)

BLOCKS = {
    "conv": lambda i, o, s: ConvBlock(i, o, stride=s),
    "plain": PlainBlock,
    "basic": BasicBlock,
    "basic, option A": lambda i, o, s: BasicBlock(i, o, s, padding_shortcut),
    "bottleneck": lambda i, o, s: Bottleneck(i, o // 4, s),
    "bottleneck, 2015": lambda i, o, s: Bottleneck(i, o // 4, s, stride_in_1x1=True),
}
every_block = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
in_out_stride = pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride"), [(8, 8, 1), (8, 16, 1), (8, 8, 2), (8, 16, 2)]
)
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def randomised(module):
    """The module with every parameter and running statistic at a value of its own."""
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias)
            nn.init.normal_(m.running_mean)
            nn.init.uniform_(m.running_var, 0.5, 1.5)
    return module


def functional(module, training):
    """(conv, bn) that apply the weights of `module` through torch.nn.functional alone."""
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    def conv(x, name, stride=1, padding=0):
        return F.conv2d(x, state[f"{name}.weight"], stride=stride, padding=padding)

    def bn(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.batch_norm(x, mean, var, weight, bias, training=training, eps=1e-5)

    def projection(x, stride):
        if "downsample.0.weight" not in state:
            return x
        return bn(conv(x, "downsample.0", stride), "downsample.1")

    return conv, bn, projection


# What the blocks compute


@both_modes
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_block_is_convolution_batch_norm_relu(kernel_size, stride, training):
    block = randomised(ConvBlock(3, 8, kernel_size, stride)).train(training)
    conv, bn, _ = functional(block, training)
    x = torch.randn(4, 3, 9, 9)

    expected = F.relu(bn(conv(x, "conv", stride, padding=kernel_size // 2), "bn"))

    torch.testing.assert_close(block(x), expected)


@both_modes
@in_out_stride
def test_plain_block_is_two_convolutions(in_channels, out_channels, stride, training):
    block = randomised(PlainBlock(in_channels, out_channels, stride)).train(training)
    conv, bn, _ = functional(block, training)
    x = torch.randn(4, in_channels, 9, 9)

    out = F.relu(bn(conv(x, "conv1", stride, padding=1), "bn1"))
    out = F.relu(bn(conv(out, "conv2", padding=1), "bn2"))

    torch.testing.assert_close(block(x), out)


@both_modes
@in_out_stride
def test_basic_block_adds_the_shortcut_before_the_last_relu(
    in_channels, out_channels, stride, training
):
    block = randomised(BasicBlock(in_channels, out_channels, stride)).train(training)
    conv, bn, projection = functional(block, training)
    x = torch.randn(4, in_channels, 9, 9)

    out = F.relu(bn(conv(x, "conv1", stride, padding=1), "bn1"))
    out = bn(conv(out, "conv2", padding=1), "bn2")

    torch.testing.assert_close(block(x), F.relu(out + projection(x, stride)))


@both_modes
@pytest.mark.parametrize("stride_in_1x1", [False, True], ids=["v1.5", "2015"])
@pytest.mark.parametrize(("in_channels", "stride"), [(16, 1), (8, 1), (16, 2), (8, 2)])
def test_bottleneck_has_its_stride_where_it_says(in_channels, stride, stride_in_1x1, training):
    block = randomised(Bottleneck(in_channels, 4, stride, stride_in_1x1)).train(training)
    conv, bn, projection = functional(block, training)
    x = torch.randn(4, in_channels, 9, 9)

    on_1x1, on_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
    out = F.relu(bn(conv(x, "conv1", on_1x1), "bn1"))
    out = F.relu(bn(conv(out, "conv2", on_3x3, padding=1), "bn2"))
    out = bn(conv(out, "conv3"), "bn3")

    assert block(x).shape[1] == 16
    torch.testing.assert_close(block(x), F.relu(out + projection(x, stride)))


@pytest.mark.parametrize("stride_in_1x1", [False, True], ids=["v1.5", "2015"])
def test_only_the_2015_bottleneck_skips_three_pixels_of_four(stride_in_1x1):
    block = Bottleneck(4, 4, stride=2, stride_in_1x1=stride_in_1x1).double().eval()
    x = torch.randn(64, 4, 8, 8, dtype=torch.double, requires_grad=True)
    block(x).sum().backward()

    seen = (x.grad != 0).any(dim=(0, 1)).double().mean().item()

    assert seen == (0.25 if stride_in_1x1 else 1)


# Shapes


@every_block
@in_out_stride
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 1), (2, 5)])
def test_a_block_keeps_height_and_width_or_divides_them(
    block, in_channels, out_channels, stride, size
):
    made = block(in_channels, out_channels, stride).eval()
    height, width = (math.ceil(pixels / stride) for pixels in size)

    assert made.out_channels == out_channels
    assert made(torch.randn(2, in_channels, *size)).shape == (2, out_channels, height, width)


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv_block_of_an_odd_kernel_keeps_the_size(kernel_size, stride):
    block = ConvBlock(2, 4, kernel_size, stride).eval()

    for height, width in [(9, 12), (8, 7), (1, 1)]:
        expected = (1, 4, math.ceil(height / stride), math.ceil(width / stride))
        assert block(torch.randn(1, 2, height, width)).shape == expected


def test_conv_block_has_a_3x3_kernel_by_default():
    assert ConvBlock(2, 4).conv.weight.shape == (4, 2, 3, 3)


@pytest.mark.parametrize(("conv", "kernel_size"), [(conv3x3, 3), (conv1x1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_helpers_compute_a_convolution_without_bias(conv, kernel_size, stride):
    module = conv(3, 5, stride)
    x = torch.randn(2, 3, 8, 8)

    assert dict(module.named_parameters()).keys() == {"weight"}
    expected = F.conv2d(x, module.weight, stride=stride, padding=kernel_size // 2)
    torch.testing.assert_close(module(x), expected)
    assert conv(3, 5)(x).shape == (2, 5, 8, 8)


# Shortcuts


@pytest.mark.parametrize("shortcut", [projection_shortcut, padding_shortcut])
def test_a_shortcut_that_keeps_the_shape_is_the_identity(shortcut):
    module = shortcut(8, 8, 1)
    x = torch.randn(2, 8, 5, 5)

    assert module(x) is x
    assert not module.state_dict()


@pytest.mark.parametrize(("in_channels", "out_channels", "stride"), [(8, 16, 1), (8, 8, 2)])
def test_a_projection_stands_where_channels_or_size_change(in_channels, out_channels, stride):
    module = projection_shortcut(in_channels, out_channels, stride)

    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert shapes == {
        "0.weight": (out_channels, in_channels, 1, 1),
        "1.weight": (out_channels,),
        "1.bias": (out_channels,),
    }


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride", "before"),
    [(16, 32, 2, 8), (4, 8, 1, 2), (3, 6, 2, 1), (4, 4, 2, 0), (16, 64, 3, 24)],
)
def test_padding_shortcut_takes_a_slice_between_channels_of_zeros(
    in_channels, out_channels, stride, before
):
    x = torch.randn(2, in_channels, 7, 8)
    out = padding_shortcut(in_channels, out_channels, stride)(x)

    expected = torch.zeros(2, out_channels, math.ceil(7 / stride), math.ceil(8 / stride))
    expected[:, before : before + in_channels] = x[:, :, ::stride, ::stride]
    assert torch.equal(out, expected)


def test_padding_shortcut_has_no_parameters():
    assert not padding_shortcut(16, 32, 2).state_dict()


def test_padding_shortcut_refuses_to_remove_channels():
    with pytest.raises(ValueError, match=r"from 16 to\s+8.*projection_shortcut"):
        PaddingShortcut(16, 8, 1)


# Training


@every_block
@in_out_stride
def test_the_gradient_reaches_the_input_and_every_parameter(
    block, in_channels, out_channels, stride
):
    made = block(in_channels, out_channels, stride)
    x = torch.randn(4, in_channels, 8, 8, requires_grad=True)
    made(x).square().sum().backward()

    for name, tensor in [("the input", x), *made.named_parameters()]:
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().max() > 0, name


@every_block
@in_out_stride
def test_hooks_see_each_relu_once_and_unaltered(block, in_channels, out_channels, stride):
    made = block(in_channels, out_channels, stride)
    seen, then = [], []

    def keep(_module, inputs, output):
        for tensor in (*inputs, output):
            seen.append(tensor)
            then.append(tensor.detach().clone())

    relus = [m for m in made.modules() if isinstance(m, nn.ReLU)]
    for relu in relus:
        relu.register_forward_hook(keep)
    x = torch.randn(2, in_channels, 8, 8)
    before = x.clone()
    made(x)

    assert torch.equal(x, before)
    assert len(seen) == 2 * len(relus)
    assert len({tensor.data_ptr() for tensor in seen}) == len(seen)
    assert all(torch.equal(now, was) for now, was in zip(seen, then, strict=True))


@every_block
def test_the_relus_of_a_block_stand_where_they_run(block):
    made = block(8, 8, 1)
    ran = []
    for name, module in made.named_children():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    made(torch.randn(2, 8, 8, 8))

    assert ran == [name for name, _ in made.named_children()]


# What the lessons show


def test_plain_and_basic_block_differ_in_the_shortcut_alone():
    def body(block, method):
        lines = textwrap.dedent(inspect.getsource(getattr(block, method))).splitlines()
        start = next(i for i, line in enumerate(lines) if line.endswith(" -> None:")) + 1
        return lines[start:]

    def difference(a, b):
        return [line for line in difflib.ndiff(a, b) if line[0] in "+-"]

    assert difference(body(PlainBlock, "__init__"), body(BasicBlock, "__init__")) == [
        "+     self.downsample = shortcut(in_channels, out_channels, stride)"
    ]
    forward = [
        textwrap.dedent(inspect.getsource(block.forward)).splitlines()
        for block in (PlainBlock, BasicBlock)
    ]
    assert difference(*forward) == [
        "-     return self.relu2(out)",
        "+     return self.relu2(out + self.downsample(x))",
    ]


def test_plain_and_basic_block_share_parameters_and_differ_by_x():
    plain, basic = randomised(PlainBlock(8, 8)).eval(), BasicBlock(8, 8).eval()
    basic.load_state_dict(plain.state_dict())
    last_sum = {}
    for name, block in (("plain", plain), ("basic", basic)):
        block.relu2.register_forward_pre_hook(lambda _, x, n=name: last_sum.update({n: x[0]}))
    x = torch.randn(2, 8, 8, 8)
    plain(x), basic(x)

    torch.testing.assert_close(last_sum["basic"], last_sum["plain"] + x)


def test_the_expansion_of_a_bottleneck_is_four():
    assert Bottleneck.expansion == 4
    assert "4 * width" in Bottleneck.__doc__
    assert Bottleneck(16, 8).out_channels == 32
