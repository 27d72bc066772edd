"""Answers to the exercise sheet on plain networks, as people write them."""

# ruff: noqa: ARG002, B007, N801 - wrong answers are wrong in this too

import copy
import math
from collections import OrderedDict
from functools import partial

import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, networks

# 2.1


class _Block(nn.Module):
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
class one_relu_in_place(_Block):
    pass


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


@wrong(checks.plain_block, "no-last-relu")
class last_relu_forgotten(_Block):
    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


@wrong(checks.plain_block, "no-first-relu")
class middle_relu_forgotten(_Block):
    def forward(self, x):
        x = self.bn1(self.conv1(x))
        x = self.bn2(self.conv2(x))
        return self.relu(x)


@wrong(checks.plain_block, "relu-before-batch-norm")
class conv_relu_bn(_Block):
    def forward(self, x):
        x = self.bn1(F.relu(self.conv1(x)))
        return self.bn2(F.relu(self.conv2(x)))


@wrong(checks.plain_block, "stride-on-second-convolution")
class stride_second(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, 1, bias=False)


@wrong(checks.plain_block, "stride-on-both-convolutions")
class stride_twice(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, 1, bias=False)


@wrong(checks.plain_block, "stride-ignored")
class stride_forgotten(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels)


@wrong(checks.plain_block, "conv2-from-in-channels")
class copied_line(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


@wrong(checks.plain_block, "one-batch-norm-twice")
class bn1_twice(_Block):
    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn1(self.conv2(x)))


@wrong(checks.plain_block, "bias")
class biases(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1)


@wrong(checks.plain_block, "no-padding")
class padding_forgotten_once(_Block):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, bias=False)


@wrong(checks.plain_block, "shortcut")
class shortcut_where_it_fits(_Block):
    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if out.shape == x.shape:
            out += x
        return self.relu(out)


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


# 2.2


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


def _for_convolutions(init):
    def init_model(model):
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                init(module.weight)

    return init_model


@wrong(checks.he_init_, "raised-error")
def asks_for_a_type_that_torch_lacks(model):
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            torch.linalg.qr(
                module.weight.detach().flatten(1).half()
            )  # NotImplementedError of torch's own


@wrong(checks.he_init_, "not-finite")
def square_root_of_negatives(model):
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            with torch.no_grad():
                module.weight.normal_().sqrt_()


@wrong(checks.he_init_, "fan-in")
def default_mode(model):
    _for_convolutions(lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"))(model)


@wrong(checks.he_init_, "no-gain")
def linear_gain(model):
    init = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="linear")
    _for_convolutions(init)(model)


@wrong(checks.he_init_, "variance-as-std")
def root_forgotten(model):
    _for_convolutions(lambda w: nn.init.normal_(w, 0, 2 / w[:, 0].numel()))(model)


@wrong(checks.he_init_, "gain-too-large")
def two_outside_the_root(model):
    _for_convolutions(lambda w: nn.init.normal_(w, 0, 2 / w[:, 0].numel() ** 0.5))(model)


@wrong(checks.he_init_, "no-kernel-area")
def channels_only(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, std=math.sqrt(2 / m.out_channels))


@wrong(checks.he_init_, "all-weights-counted")
def divides_by_all(model):
    _for_convolutions(lambda w: nn.init.normal_(w, 0, (2 / w.numel()) ** 0.5))(model)


@wrong(checks.he_init_, "xavier")
def glorot(model):
    _for_convolutions(nn.init.xavier_uniform_)(model)


@wrong(checks.he_init_, "uniform")
def uniform(model):
    _for_convolutions(partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="relu"))(model)


@wrong(checks.he_init_, "top-level-only")
def children_only(model):
    for m in model.children():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


@wrong(checks.he_init_, "model-unchanged")
def works_on_a_copy(model):
    model = copy.deepcopy(model)
    networks.he_init_(model)
    return model


@wrong(checks.he_init_, "model-unchanged")
def makes_new_numbers_only(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            weight = m.weight
            weight = torch.randn_like(weight) * math.sqrt(2 / weight[:, 0].numel())


@wrong(checks.he_init_, "new-parameters")
def replaces_parameters(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            std = math.sqrt(2 / m.weight[:, 0].numel())
            m.weight = nn.Parameter(torch.randn(m.weight.shape) * std)


@wrong(checks.he_init_, "first-only")
def returns_in_the_loop(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            return


@wrong(checks.he_init_, "linear-changed")
def linear_too(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


@wrong(checks.he_init_, "batch-norm-changed")
def as_in_torchvision(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.constant_(m.weight, 1)
            nn.init.constant_(m.bias, 0)


@wrong(checks.he_init_, "some-kernels-only")
def no_1x1(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1:
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


@wrong(checks.he_init_, "seeded-for-each-layer")
def seed_in_the_loop(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            torch.manual_seed(42)
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")


@wrong(checks.he_init_, "seeded-inside")
def seed_at_the_start(model):
    torch.manual_seed(42)
    networks.he_init_(model)


@wrong(checks.he_init_, "recorded-by-autograd")
def without_no_grad(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            m.weight.normal_(0, math.sqrt(2 / m.weight[:, 0].numel()))


# 2.3


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


def _norms(model):
    return {
        name: module.weight.grad.norm().item()
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    }


@wrong(checks.gradient_norms, "read-before-backward")
def too_early(model, inputs, targets):
    model.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    norms = _norms(model)
    loss.backward()
    model.zero_grad()
    return norms


@wrong(checks.gradient_norms, "gradients-added-up")
def not_cleared_before(model, inputs, targets):
    F.cross_entropy(model(inputs), targets).backward()
    norms = _norms(model)
    model.zero_grad()
    return norms


@wrong(checks.gradient_norms, "gradients-never-cleared")
def never_cleared(model, inputs, targets):
    F.cross_entropy(model(inputs), targets).backward()
    return _norms(model)


@wrong(checks.gradient_norms, "read-before-backward")
def backward_forgotten(model, inputs, targets):
    F.cross_entropy(model(inputs), targets)
    return _norms(model)


@wrong(checks.gradient_norms, "gradients-left")
def not_cleared_after(model, inputs, targets):
    model.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    return _norms(model)


def _measured(model, inputs, targets, read):
    model.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    out = read(model)
    model.zero_grad()
    return out


@wrong(checks.gradient_norms, "no-square-root")
def squared(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {
            n: (m.weight.grad**2).sum().item()
            for n, m in model.named_modules()
            if isinstance(m, nn.Conv2d)
        },
    )


@wrong(checks.gradient_norms, "l1-norm")
def norm_of_order_1(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {
            n: m.weight.grad.norm(p=1).item()
            for n, m in model.named_modules()
            if isinstance(m, nn.Conv2d)
        },
    )


@wrong(checks.gradient_norms, "mean-of-gradients")
def mean_of_absolute_values(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {
            n: m.weight.grad.abs().mean().item()
            for n, m in model.named_modules()
            if isinstance(m, nn.Conv2d)
        },
    )


@wrong(checks.gradient_norms, "parameter-names")
def keys_of_parameters(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {
            n: p.grad.norm().item() for n, p in model.named_parameters() if p.dim() == 4
        },
    )


@wrong(checks.gradient_norms, "all-parameters")
def every_parameter(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {n: p.grad.norm().item() for n, p in model.named_parameters()},
    )


@wrong(checks.gradient_norms, "values-are-tensors")
def item_forgotten(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {
            n: m.weight.grad.norm() for n, m in model.named_modules() if isinstance(m, nn.Conv2d)
        },
    )


@wrong(checks.gradient_norms, "mode-changed")
def evaluates(model, inputs, targets):
    model.eval()
    return _measured(model, inputs, targets, _norms)


@wrong(checks.gradient_norms, "mode-changed")
def trains(model, inputs, targets):
    model.train()
    return _measured(model, inputs, targets, _norms)


@wrong(checks.gradient_norms, "softmax-first")
def double_softmax(model, inputs, targets):
    model.zero_grad()
    probabilities = torch.softmax(model(inputs), dim=1)
    F.cross_entropy(probabilities, targets).backward()
    norms = _norms(model)
    model.zero_grad()
    return norms


@wrong(checks.gradient_norms, "sum-over-batch")
def summed_loss(model, inputs, targets):
    model.zero_grad()
    nn.CrossEntropyLoss(reduction="sum")(model(inputs), targets).backward()
    norms = _norms(model)
    model.zero_grad()
    return norms


@wrong(checks.gradient_norms, "top-level-only")
def children_of_the_model(model, inputs, targets):
    return _measured(
        model,
        inputs,
        targets,
        lambda model: {
            n: m.weight.grad.norm().item()
            for n, m in model.named_children()
            if isinstance(m, nn.Conv2d)
        },
    )


@wrong(checks.gradient_norms, "weights-changed")
def makes_a_step(model, inputs, targets):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), targets).backward()
    norms = _norms(model)
    optimizer.step()
    optimizer.zero_grad()
    return norms


@wrong(checks.gradient_norms, "other-order")
def sorted_by_name(model, inputs, targets):
    return dict(sorted(_measured(model, inputs, targets, _norms).items()))


@wrong(checks.gradient_norms, "wrong-type")
def a_list(model, inputs, targets):
    return list(_measured(model, inputs, targets, _norms).values())


@wrong(checks.gradient_norms, "raised-error")
def under_no_grad(model, inputs, targets):
    with torch.no_grad():
        return _measured(model, inputs, targets, _norms)
