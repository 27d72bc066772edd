"""Answers to the sheet on the degradation problem, as people write them."""

import copy
from collections import OrderedDict

import torch
from bank import right, wrong, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import checks, networks
from resnet_edu.blocks import PlainBlock

# train_step


@right(checks.train_step)
def with_train_mode_and_float(model, optimizer, inputs, targets):
    model.train()
    optimizer.zero_grad(set_to_none=False)
    loss = nn.CrossEntropyLoss()(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return float(loss)


@right(checks.train_step)
def zeroed_in_the_middle(model, optimizer, inputs, targets):
    logits = model(inputs)
    loss = -logits.log_softmax(1)[torch.arange(len(targets)), targets].mean()
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach().numpy().item()


@right(checks.train_step)
def with_a_closure(model, optimizer, inputs, targets):
    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


@right(checks.train_step)
def cleared_before_and_after(model, optimizer, inputs, targets):
    for p in model.parameters():
        p.grad = None
    with torch.enable_grad():
        loss = F.nll_loss(F.log_softmax(model(inputs), dim=-1), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@right(checks.train_step)
def with_autograd_grad(model, optimizer, inputs, targets):
    parameters = list(model.parameters())
    loss = F.cross_entropy(model(inputs), targets)
    for p, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.grad = grad
    optimizer.step()
    return loss.item()


wrong_edits(
    checks.train_step,
    zeroed_in_the_middle,
    r"""
    gradients-added-up
        model.zero_grad() => pass

    gradients-cleared-late
        model.zero_grad() => pass
        optimizer.step() => optimizer.step()\nmodel.zero_grad()

    weights-unchanged
        model.zero_grad() => pass
        loss.backward() => loss.backward()\noptimizer.zero_grad()

        optimizer.step() => pass

    no-backward
        model.zero_grad() => pass
        loss.backward() => pass

    loss-is-a-tensor
        loss.detach().numpy().item() => loss.detach()

    returns-none
        return loss.detach().numpy().item() => print(loss.item())

    softmax-first
        model(inputs) => F.softmax(model(inputs), dim=1)

    eval-mode
        logits = model(inputs) => model.eval()\nlogits = model(inputs)
        optimizer.step() => optimizer.step()\nmodel.train()

    optimizer-not-used
        optimizer.step() => for p in model.parameters():\n    p.data.sub_(optimizer.defaults["lr"] * p.grad)

    too-slow
        optimizer.step() => while loss > -1:\n    optimizer.step()

    gradients-clipped
        optimizer.step() => nn.utils.clip_grad_norm_(model.parameters(), max_norm=2)\noptimizer.step()

        optimizer.step() => for p in model.parameters():\n    p.grad.clamp_(-0.5, 0.5)\noptimizer.step()
    """,
)


# accuracy


@right(checks.accuracy)
def lists_joined(model, batches):
    mode = model.training
    model.eval()
    with torch.inference_mode():
        hits = torch.cat([model(x).argmax(dim=1) == y for x, y in batches])
    model.train(mode)
    return hits.float().mean().item()


@right(checks.accuracy)
def with_softmax_and_max(model, batches):
    mode = model.training
    try:
        model.train(False)
        right, total = 0, 0
        for inputs, targets in batches:
            _, classes = torch.softmax(model(inputs), dim=1).max(1)
            right += int(classes.eq(targets).sum())
            total += inputs.size(0)
        return right / total
    finally:
        if mode:
            model.train()


@right(checks.accuracy)
def a_copy_is_evaluated(model, batches):
    copied = copy.deepcopy(model).eval()
    right = total = 0
    for inputs, targets in batches:
        for logits, target in zip(copied(inputs).tolist(), targets.tolist(), strict=True):
            right += logits.index(max(logits)) == target
            total += 1
    return right / total


@right(checks.accuracy)
def weighted_means(model, batches):
    was = model.training
    model.eval()
    total, images = 0.0, 0
    with torch.no_grad():
        for x, y in batches:
            total += (model(x).argmax(-1) == y).double().mean().item() * len(y)
            images += len(y)
    model.train(was)
    return total / images


@right(checks.accuracy)
def sums_of_pairs(model, batches):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    counts = torch.zeros(2, dtype=torch.int64)
    with torch.set_grad_enabled(False):
        for images, labels in iter(batches):
            best = torch.topk(model.forward(images), k=1, dim=1).indices[:, 0]
            counts += torch.tensor([torch.count_nonzero(best == labels), labels.numel()])
    for m, mode in modes.items():
        m.training = mode
    right, total = counts.tolist()
    return right / total


wrong_edits(
    checks.accuracy,
    weighted_means,
    r"""
    mean-of-batch-means
        .item() * len(y) => .item()
        images += len(y) => images += 1

    train-mode
        model.eval() => pass

    left-in-eval-mode
        model.train(was) => pass

    left-in-train-mode
        model.train(was) => model.train()

    percent
        total / images => 100 * total / images

    count
        total / images => total

    error-rate
        total / images => (images - total) / images

    result-is-a-tensor
        total / images => torch.tensor(total) / images

    first-batch-only
        images += len(y) => model.train(was)\nreturn total / len(y)

    unsure-not-counted
        (model(x).argmax(-1) == y) => (model(x).softmax(-1).gather(1, y[:, None]) > 0.5)

    raised-error
        total, images = 0.0, 0 => total, images, number = 0.0, 0, len(batches)
    """,
)


# plain_network


@right(checks.plain_network)
def sequential_with_names(depth, num_classes=10):
    if depth not in range(8, 1000, 6):
        raise ValueError(f"no depth of a plain network: {depth}")
    n = (depth - 2) // 6
    parts = [("conv1", nn.Conv2d(3, 16, 3, 1, 1, bias=False)), ("bn1", nn.BatchNorm2d(16))]
    parts.append(("relu", nn.ReLU(inplace=True)))
    channels = 16
    for number, width in enumerate((16, 32, 64), start=1):
        blocks = []
        for place in range(n):
            blocks.append(PlainBlock(channels, width, 2 if number > 1 and place == 0 else 1))
            channels = width
        parts.append((f"layer{number}", nn.Sequential(*blocks)))
    parts += [("pool", nn.AdaptiveAvgPool2d((1, 1))), ("flat", nn.Flatten())]
    return nn.Sequential(OrderedDict([*parts, ("fc", nn.Linear(64, num_classes))]))


class _Net(nn.Module):
    def __init__(self, depth, num_classes):
        super().__init__()
        n, rest = divmod(depth - 2, 6)
        if rest:
            raise ValueError("6n + 2 please")
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.make(16, 16, n, 1)
        self.layer2 = self.make(16, 32, n, 2)
        self.layer3 = self.make(32, 64, n, 2)
        self.fc = nn.Linear(64, num_classes)

    def make(self, inside, out, n, stride):
        return nn.Sequential(
            PlainBlock(inside, out, stride), *(PlainBlock(out, out) for _ in range(1, n))
        )

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))


@right(checks.plain_network)
def a_class(depth, num_classes=10):
    return _Net(depth, num_classes)


@right(checks.plain_network)
class stages_under_two_names(_Net):  # noqa: N801
    def __init__(self, depth, num_classes=10):
        super().__init__(depth, num_classes)
        self.stages = nn.Sequential(self.layer1, self.layer2, self.layer3)

    def forward(self, x):
        return self.fc(self.stages(self.bn1(self.conv1(x)).relu()).mean((2, 3)))


@right(checks.plain_network)
def the_librarys(depth, num_classes=10):
    return networks.CifarResNet(PlainBlock, depth, num_classes)


@right(checks.plain_network)
def modules_added_one_by_one(depth, num_classes=10):
    blocks = (depth - 2) / 6
    if blocks != int(blocks):
        raise ValueError("not a depth of 6n+2")
    net = _Net(8, num_classes)
    for stage in (net.layer1, net.layer2, net.layer3):
        while len(stage) < blocks:
            width = stage[-1].out_channels
            stage.append(PlainBlock(width, width))
    return net


@right(checks.plain_network)
def from_a_table_with_lazy_modules(depth, num_classes=10):
    if depth < 8 or (depth - 2) % 6 != 0:
        raise ValueError(f"depth must be 6n+2, not {depth}")
    net = nn.Module()
    net.conv1 = nn.LazyConv2d(16, kernel_size=3, padding="same", bias=False)
    net.bn1 = nn.LazyBatchNorm2d()
    inside = 16
    for i, (width, stride) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
        row = nn.Sequential(PlainBlock(inside, width, stride))
        row.extend(PlainBlock(width, width) for _ in range((depth - 2) // 6 - 1))
        net.add_module(f"layer{i}", row)
        inside = width
    net.fc = nn.LazyLinear(num_classes)

    def forward(x):
        x = torch.relu(net.bn1(net.conv1(x)))
        return net.fc(net.layer3(net.layer2(net.layer1(x))).mean(dim=[-2, -1]))

    net.forward = forward
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, 32, 32))
    return net.train()


wrong_edits(
    checks.plain_network,
    sequential_with_names,
    r"""
    no-stride
        2 if number > 1 and place == 0 else 1 => 1

    stride-in-first-stage
        number > 1 and place == 0 => place == 0

    stride-in-one-stage
        number > 1 and place == 0 => number == 2 and place == 0

    imagenet-widths
        (3, 16, 3, 1, 1 => (3, 64, 3, 1, 1
        BatchNorm2d(16) => BatchNorm2d(64)
        channels = 16 => channels = 64
        (16, 32, 64) => (64, 128, 256)
        Linear(64, => Linear(256,

    softmax-inside
        nn.Linear(64, num_classes))])) => nn.Linear(64, num_classes)), ("end", nn.Softmax(1))]))

    imagenet-stem
        (3, 16, 3, 1, 1 => (3, 16, 3, 2, 1

    no-value-error
        if depth not in range(8, 1000, 6): => if False:

    num-classes-ignored
        Linear(64, num_classes) => Linear(64, 10)

    too-few-blocks
        range(n) => range(1)

    blocks-shared
        blocks.append(PlainBlock( => blocks.append(blocks[-1] if place > 1 else PlainBlock(
    """,
)


@wrong(checks.plain_network, "shortcuts")
def residual(depth, num_classes=10):
    return networks.cifar_resnet(depth, num_classes)


@wrong(checks.plain_network, "blocks-shared")
class one_block_n_times(_Net):  # noqa: N801
    def __init__(self, depth, num_classes=10):
        super().__init__(depth, num_classes)
        n = (depth - 2) // 6
        self.layer1 = nn.Sequential(*[PlainBlock(16, 16)] * n)


@wrong(checks.plain_network, "modules-in-a-list")
class stages_in_a_list(_Net):  # noqa: N801
    def __init__(self, depth, num_classes=10):
        super().__init__(depth, num_classes)
        self.stages = [self.layer1, self.layer2, self.layer3]
        del self.layer1, self.layer2, self.layer3

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean((2, 3)))


# deepen_by_identity


def _identity(channels):
    block = PlainBlock(channels, channels)
    with torch.no_grad():
        for conv, bn in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            conv.weight.zero_()
            for channel in range(channels):
                conv.weight[channel, channel, 1, 1] = 1
            bn.weight.fill_((1 + bn.eps) ** 0.5)
    return block


@right(checks.deepen_by_identity)
def at_the_end_of_the_first_stage(model, extra_blocks):
    deeper = copy.deepcopy(model)
    for _ in range(extra_blocks):
        deeper.layer1.append(_identity(16))
    return deeper


@right(checks.deepen_by_identity)
def running_variance_set(model, extra_blocks):
    deeper = copy.deepcopy(model)
    for number in range(extra_blocks):
        stage = (deeper.layer1, deeper.layer2, deeper.layer3)[number % 3]
        block = PlainBlock(stage[-1].out_channels, stage[-1].out_channels)
        for conv, bn in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            nn.init.dirac_(conv.weight)
            bn.running_var.fill_(1 - bn.eps)
        stage.append(block)
    return deeper


@right(checks.deepen_by_identity)
def without_minding_epsilon(model, extra_blocks):
    deeper = copy.deepcopy(model)
    for _ in range(extra_blocks):
        block = PlainBlock(32, 32)
        nn.init.dirac_(block.conv1.weight)
        nn.init.dirac_(block.conv2.weight)
        deeper.layer2.append(block)
    return deeper


@right(checks.deepen_by_identity)
def built_anew_and_loaded(model, extra_blocks):
    stages = [list(copy.deepcopy(s)) for s in (model.layer1, model.layer2, model.layer3)]
    deeper = copy.deepcopy(model)
    stages[2] += [_identity(64) for _ in range(extra_blocks)]
    deeper.layer1, deeper.layer2, deeper.layer3 = (nn.Sequential(*s) for s in stages)
    return deeper.eval()


@right(checks.deepen_by_identity)
def numbers_loaded_into_a_larger_network(model, extra_blocks):
    """A stage in the middle grows at its beginning, and the old blocks move up."""
    classes, width = model.fc.weight.shape
    deeper = networks.cifar_plain(8, classes)
    state = {}
    for name, value in model.state_dict().items():
        stage, _, rest = name.partition(".")
        if stage == "layer2" and not rest.startswith("0."):
            place, _, rest = rest.partition(".")
            name = f"layer2.{int(place) + extra_blocks}.{rest}"
        state[name] = value
    for stage in ("layer1", "layer2", "layer3"):
        blocks = getattr(deeper, stage)
        wanted = len(getattr(model, stage)) + (extra_blocks if stage == "layer2" else 0)
        while len(blocks) < wanted:
            blocks.append(PlainBlock(blocks[0].out_channels, blocks[0].out_channels))
    eye = torch.zeros(32, 32, 3, 3)
    eye[:, :, 1, 1] = torch.eye(32)
    for place in range(1, 1 + extra_blocks):
        for i in (1, 2):
            state[f"layer2.{place}.conv{i}.weight"] = eye
            state |= {
                f"layer2.{place}.bn{i}.{key}": torch.full((32,), number)
                for key, number in (
                    ("weight", 1.0),
                    ("bias", 0.0),
                    ("running_mean", 0.0),
                    ("running_var", 1 - 1e-5),
                )
            }
            state[f"layer2.{place}.bn{i}.num_batches_tracked"] = torch.tensor(0)
    deeper.load_state_dict(state)
    assert deeper.fc.in_features == width
    return deeper


wrong_edits(
    checks.deepen_by_identity,
    without_minding_epsilon,
    r"""
    original-changed
        copy.deepcopy(model) => model

        copy.deepcopy(model) => copy.copy(model)

    shared-parameters
        deeper = copy.deepcopy(model) => deeper = copy.deepcopy(model)\ndeeper.layer3 = model.layer3

    not-the-identity
        nn.init.dirac_(block.conv1.weight) => pass
        nn.init.dirac_(block.conv2.weight) => pass

        dirac_(block.conv1.weight) => ones_(block.conv1.weight)
        dirac_(block.conv2.weight) => ones_(block.conv2.weight)

    zeros-instead-of-identity
        dirac_(block.conv1.weight) => zeros_(block.conv1.weight)
        dirac_(block.conv2.weight) => zeros_(block.conv2.weight)

    kernel-shifted
        dirac_(block.conv1.weight) => zeros_(block.conv1.weight).data[range(32), range(32), 0, 0] = 1
        dirac_(block.conv2.weight) => zeros_(block.conv2.weight).data[range(32), range(32), 0, 0] = 1

    one-convolution-only
        nn.init.dirac_(block.conv2.weight) => pass

    batch-norm-not-neutral
        deeper.layer2 => nn.init.zeros_(block.bn2.weight)\nnn.init.ones_(block.bn2.bias)\ndeeper.layer2

    not-deeper
        append(block) => append(nn.Identity())

    weights-not-copied
        copy.deepcopy(model) => networks.cifar_plain(8, model.fc.out_features)
    """,
)


@wrong(checks.deepen_by_identity, "blocks-per-stage")
def in_each_stage(model, extra_blocks):
    deeper = copy.deepcopy(model)
    for stage in (deeper.layer1, deeper.layer2, deeper.layer3):
        for _ in range(extra_blocks):
            stage.append(_identity(stage[-1].out_channels))
    return deeper
