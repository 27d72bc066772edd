"""Answers to the tasks on plain networks, as people write them."""

# ruff: noqa: ARG002, B007, N801 - wrong answers are wrong in this too

import copy
import math
from collections import OrderedDict

import torch
from bank import right, wrong, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks

# PlainBlock


@right(checks.plain_block)
class one_relu_in_place(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)))


@right(checks.plain_block)
class backwards_and_sequential(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, kernel_size=3):
        super().__init__()
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size, padding="same", bias=False)
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size, stride, 1, bias=False)
        self.body = nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.conv2, self.bn2, nn.ReLU())

    def forward(self, x):
        return self.body(x)


@right(checks.plain_block)
class ordered_sequential(nn.Sequential):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
                bn1=nn.BatchNorm2d(out_channels),
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False),
                bn2=nn.BatchNorm2d(out_channels),
                relu2=nn.ReLU(),
            )
        )


@right(checks.plain_block)
class lazy(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        for i in (1, 2):
            conv = nn.LazyConv2d(out_channels, 3, stride if i == 1 else 1, 1, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.LazyBatchNorm2d())

    def forward(self, x):
        for i in (1, 2):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)).relu()
        return x


@right(checks.plain_block)
class ours_with_more(blocks.PlainBlock):
    def __init__(self, in_channels, out_channels, stride=1, name="block"):
        super().__init__(in_channels, out_channels, stride)
        self.name = name


wrong_edits(
    checks.plain_block,
    one_relu_in_place,
    r"""
    no-last-relu
        self.relu(self.bn2(self.conv2(x))) => self.bn2(self.conv2(x))
    no-first-relu
        self.relu(self.bn1(self.conv1(x))) => self.bn1(self.conv1(x))
    relu-before-batch-norm
        self.relu(self.bn1(self.conv1(x))) => self.bn1(F.relu(self.conv1(x)))
        self.relu(self.bn2(self.conv2(x))) => self.bn2(F.relu(self.conv2(x)))
    stride-on-second-convolution
        3, stride, 1, => 3, 1, 1,
        Conv2d(out_channels, out_channels, 3, 1, => Conv2d(out_channels, out_channels, 3, stride,
    stride-on-both-convolutions
        3, 1, 1, => 3, stride, 1,
    stride-ignored
        3, stride, 1, => 3, 1, 1,
    conv2-from-in-channels
        Conv2d(out_channels, out_channels => Conv2d(in_channels, out_channels
    one-batch-norm-twice
        self.bn2(self.conv2(x)) => self.bn1(self.conv2(x))
    bias
        stride, 1, bias=False => stride, 1
        1, 1, bias=False => 1, 1
    no-padding
        3, 1, 1, bias => 3, 1, bias
    shortcut
        x = self.relu(self.bn1(self.conv1(x))) => x, given = self.relu(self.bn1(self.conv1(x))), x
        self.bn2(self.conv2(x)) => self.bn2(self.conv2(x)) + (given if given.shape == x.shape else 0)
    """,
)


@wrong(checks.plain_block, "shortcut")
class residual_block(blocks.BasicBlock):
    pass


@wrong(checks.plain_block, "modules-in-a-list")
class python_list(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.layers = [
            blocks.ConvBlock(in_channels, out_channels, 3, stride),
            blocks.ConvBlock(out_channels, out_channels),
        ]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@wrong(checks.plain_block, "missing-module")
class blocks_inside(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.block1 = blocks.ConvBlock(in_channels, out_channels, 3, stride)
        self.block2 = blocks.ConvBlock(out_channels, out_channels)

    def forward(self, x):
        return self.block2(self.block1(x))


# he_init_


@right(checks.he_init_)
def by_apply(model):
    def init(module):
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    model.apply(init)
    return model


@right(checks.he_init_)
def by_hand(model):
    for m in model.modules():
        if type(m) is nn.Conv2d:
            n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
            m.weight.data.normal_(0, math.sqrt(2.0 / n))


@right(checks.he_init_)
def by_names_and_numbers(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 4:
                std = (2 / (p.numel() / p.size(1))) ** 0.5
                p.copy_(torch.randn_like(p) * std)


@right(checks.he_init_)
def recursive_init(model):
    for child in model.children():
        if isinstance(child, nn.Conv2d):
            fan = nn.init.calculate_gain("relu") / math.sqrt(child.weight[:, 0].numel())
            nn.init.normal_(child.weight, std=fan)
        recursive_init(child)


@right(checks.he_init_)
def by_data(model):
    generator = torch.Generator()
    generator.seed()
    for conv in filter(lambda m: isinstance(m, nn.Conv2d), model.modules()):
        fan_out = conv.out_channels * math.prod(conv.kernel_size)
        noise = torch.randn(conv.weight.shape, generator=generator)
        conv.weight.data = noise * (2 / fan_out) ** 0.5


wrong_edits(
    checks.he_init_,
    by_hand,
    r"""
    raised-error
        m.weight.data.normal_(0, math.sqrt(2.0 / n)) => torch.linalg.qr(m.weight.data.flatten(1).half())
    not-finite
        normal_(0, math.sqrt(2.0 / n)) => normal_().sqrt_()
    fan-in
        m.weight.data.normal_(0, math.sqrt(2.0 / n)) => nn.init.kaiming_normal_(m.weight)
    no-gain
        2.0 / n => 1.0 / n
    variance-as-std
        math.sqrt(2.0 / n) => 2.0 / n
    gain-too-large
        math.sqrt(2.0 / n) => 2.0 / math.sqrt(n)
    no-kernel-area
        m.kernel_size[0] * m.kernel_size[1] * m.out_channels => m.out_channels
    kernels-taken-as-square
        m.kernel_size[1] => m.kernel_size[0]
    all-weights-counted
        m.kernel_size[0] * m.kernel_size[1] * m.out_channels => m.weight.numel()
    xavier
        m.weight.data.normal_(0, math.sqrt(2.0 / n)) => nn.init.xavier_uniform_(m.weight)
    uniform
        m.weight.data.normal_(0, math.sqrt(2.0 / n)) => nn.init.kaiming_uniform_(m.weight, mode="fan_out")
    top-level-only
        model.modules() => model.children()
    model-unchanged
        for m in model => model = copy.deepcopy(model)\nfor m in model

        m.weight.data.normal_( => weight = torch.randn_like(m.weight).mul_(
        0, math.sqrt => math.sqrt
    new-parameters
        m.weight.data.normal_( => m.weight = nn.Parameter(torch.randn(m.weight.shape) *
        0, math.sqrt => math.sqrt
    first-only
        math.sqrt(2.0 / n)) => math.sqrt(2.0 / n))\nreturn
    linear-changed
        type(m) is nn.Conv2d => isinstance(m, nn.Conv2d | nn.Linear)
        m.kernel_size[0] * m.kernel_size[1] * m.out_channels => m.weight[:, 0].numel()
    batch-norm-changed
        if type(m) => if isinstance(m, nn.BatchNorm2d):\n    m.reset_parameters()\nif type(m)
    some-kernels-only
        is nn.Conv2d => is nn.Conv2d and m.kernel_size[0] > 1
    seeded-for-each-layer
        n = m => torch.manual_seed(42)\nn = m
    seeded-inside
        for m in model => torch.manual_seed(42)\nfor m in model
    recorded-by-autograd
        weight.data.normal_ => weight.normal_
    """,
)


# gradient_norms


@right(checks.gradient_norms)
def by_autograd_grad(model, inputs, targets):
    convs = {n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    loss = F.cross_entropy(model(inputs), targets)
    grads = torch.autograd.grad(loss, list(convs.values()))
    return {name: float(g.norm()) for name, g in zip(convs, grads, strict=True)}


@right(checks.gradient_norms)
def with_a_criterion(model, inputs, targets):
    criterion = nn.CrossEntropyLoss()
    for p in model.parameters():
        p.grad = None
    criterion(model(inputs), targets).backward()
    result = {}
    for name, m in model.named_modules():
        if isinstance(m, nn.Conv2d):
            result[name] = m.weight.grad.pow(2).sum().sqrt().item()
    model.zero_grad(set_to_none=False)
    return result


@right(checks.gradient_norms)
def by_parameter_names(model, inputs, targets):
    model.zero_grad()
    log_p = model(inputs).log_softmax(1)
    (-log_p[torch.arange(len(targets)), targets].mean()).backward()
    norms = OrderedDict()
    for name, p in model.named_parameters():
        if name.endswith(".weight") and p.dim() == 4:
            norms[name.removesuffix(".weight")] = torch.linalg.vector_norm(p.grad).item()
    model.zero_grad()
    return norms


@right(checks.gradient_norms)
def on_a_copy(model, inputs, targets):
    clone = copy.deepcopy(model)
    clone.zero_grad()
    F.cross_entropy(clone(inputs), targets).backward()
    model.zero_grad()
    return {
        n: math.sqrt(sum(v * v for v in m.weight.grad.flatten().tolist()))
        for n, m in clone.named_modules()
        if type(m) is nn.Conv2d
    }


@right(checks.gradient_norms)
def numpy_floats(model, inputs, targets):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    norms = {
        n: m.weight.grad.norm().numpy()[()]
        for n, m in model.named_modules()
        if isinstance(m, nn.Conv2d)
    }
    optimizer.zero_grad()
    return norms


wrong_edits(
    checks.gradient_norms,
    with_a_criterion,
    r"""
    read-before-backward
        criterion(model(inputs), targets).backward() => loss = criterion(model(inputs), targets)
        model.zero_grad(set_to_none=False) => loss.backward()\nmodel.zero_grad()

        p.grad = None => pass
        targets).backward() => targets)
        model.zero_grad(set_to_none=False) => pass
    gradients-added-up
        p.grad = None => pass
    gradients-never-cleared
        p.grad = None => pass
        model.zero_grad(set_to_none=False) => pass
    gradients-left
        model.zero_grad(set_to_none=False) => pass
    no-square-root
        .pow(2).sum().sqrt() => .pow(2).sum()
    l1-norm
        .pow(2).sum().sqrt() => .norm(p=1)
    mean-of-gradients
        .pow(2).sum().sqrt() => .abs().mean()
    parameter-names
        named_modules => named_parameters
        isinstance(m, nn.Conv2d) => m.dim() == 4
        m.weight.grad => m.grad
    all-parameters
        named_modules => named_parameters
        isinstance(m, nn.Conv2d) => m.requires_grad
        m.weight.grad => m.grad
    values-are-tensors
        .sqrt().item() => .sqrt()
    mode-changed
        criterion = nn => model.eval()\ncriterion = nn

        criterion = nn => model.train()\ncriterion = nn
    softmax-first
        model(inputs) => torch.softmax(model(inputs), dim=1)
    sum-over-batch
        CrossEntropyLoss() => CrossEntropyLoss(reduction="sum")
    top-level-only
        named_modules => named_children
    weights-changed
        model.zero_grad( => torch.optim.SGD(model.parameters(), 0.01).step()\nmodel.zero_grad(
    other-order
        return result => return dict(sorted(result.items()))
    wrong-type
        return result => return list(result.values())
    raised-error
        criterion(model(inputs) => with torch.no_grad():\n    criterion(model(inputs)
    """,
)
