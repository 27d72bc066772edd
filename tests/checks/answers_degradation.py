"""Answers to the exercise sheet on degradation, as people write them."""

# ruff: noqa: ARG001 - wrong answers are wrong in this too

import copy
from collections import OrderedDict

import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F

from resnet_edu import checks, networks
from resnet_edu.blocks import PlainBlock

# 3.1


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


@wrong(checks.train_step, "gradients-added-up")
def zero_grad_forgotten(model, optimizer, inputs, targets):
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong(checks.train_step, "gradients-cleared-late")
def zero_grad_last(model, optimizer, inputs, targets):
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@wrong(checks.train_step, "weights-unchanged")
def zero_grad_between(model, optimizer, inputs, targets):
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong(checks.train_step, "weights-unchanged")
def step_forgotten(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    return loss.item()


@wrong(checks.train_step, "no-backward")
def backward_forgotten(model, optimizer, inputs, targets):
    loss = F.cross_entropy(model(inputs), targets)
    optimizer.step()
    return loss.item()


@wrong(checks.train_step, "loss-is-a-tensor")
def returns_the_loss(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


@wrong(checks.train_step, "returns-none")
def prints(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    print(loss.item())


@wrong(checks.train_step, "softmax-first")
def softmax_twice(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss()(F.softmax(model(inputs), dim=1), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong(checks.train_step, "optimizer-not-used")
def own_formula(model, optimizer, inputs, targets):
    model.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad)
    return loss.item()


@wrong(checks.train_step, "eval-mode")
def evaluated(model, optimizer, inputs, targets):
    model.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    model.train()
    return loss.item()


@wrong(checks.train_step, "too-slow")
def until_it_is_learned(model, optimizer, inputs, targets):
    loss = torch.tensor(1.0)
    while loss > -1:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return loss.item()


# 3.2


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


@wrong(checks.accuracy, "mean-of-batch-means")
def means_of_means(model, batches):
    was = model.training
    model.eval()
    with torch.no_grad():
        means = [(model(x).argmax(1) == y).float().mean().item() for x, y in batches]
    model.train(was)
    return sum(means) / len(means)


@wrong(checks.accuracy, "train-mode")
def only_no_grad(model, batches):
    right = total = 0
    with torch.no_grad():
        for x, y in batches:
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return right / total


def _counted(model, batches):
    right = total = 0
    with torch.no_grad():
        for x, y in batches:
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return right, total


@wrong(checks.accuracy, "left-in-eval-mode")
def eval_for_ever(model, batches):
    model.eval()
    right, total = _counted(model, batches)
    return right / total


@wrong(checks.accuracy, "left-in-train-mode")
def train_at_the_end(model, batches):
    model.eval()
    right, total = _counted(model, batches)
    model.train()
    return right / total


def _restored(model, batches):
    was = model.training
    counts = _counted(model.eval(), batches)
    model.train(was)
    return counts


@wrong(checks.accuracy, "percent")
def in_percent(model, batches):
    right, total = _restored(model, batches)
    return 100 * right / total


@wrong(checks.accuracy, "count")
def only_counted(model, batches):
    return _restored(model, batches)[0]


@wrong(checks.accuracy, "error-rate")
def errors(model, batches):
    right, total = _restored(model, batches)
    return (total - right) / total


@wrong(checks.accuracy, "result-is-a-tensor")
def a_tensor(model, batches):
    right, total = _restored(model, batches)
    return torch.tensor(right) / total


@wrong(checks.accuracy, "first-batch-only")
def returns_in_the_loop(model, batches):
    was = model.training
    model.eval()
    for x, y in batches:
        hits = (model(x).argmax(1) == y).float().mean().item()
        model.train(was)
        return hits
    return 0.0


@wrong(checks.accuracy, "raised-error")
def uses_the_length(model, batches):
    was = model.training
    model.eval()
    total = sum((model(x).argmax(1) == y).float().mean().item() for x, y in batches)
    model.train(was)
    return total / len(batches) if len(batches) == 1 else _once_more(total, batches)


def _once_more(total, batches):
    sizes = [len(y) for _, y in batches]
    return total * len(sizes) / sum(sizes)


# 3.3


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
    stem_stride, strides, widths, last = 1, (1, 2, 2), (16, 32, 64), staticmethod(lambda x: x)

    def __init__(self, depth, num_classes):
        super().__init__()
        n, rest = divmod(depth - 2, 6)
        if rest:
            raise ValueError("6n + 2 please")
        w = self.widths
        self.conv1 = nn.Conv2d(3, w[0], 3, self.stem_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(w[0])
        self.layer1 = self.make(w[0], w[0], n, self.strides[0])
        self.layer2 = self.make(w[0], w[1], n, self.strides[1])
        self.layer3 = self.make(w[1], w[2], n, self.strides[2])
        self.fc = nn.Linear(w[2], num_classes)

    def make(self, inside, out, n, stride):
        return nn.Sequential(
            PlainBlock(inside, out, stride), *(PlainBlock(out, out) for _ in range(1, n))
        )

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        return self.last(self.fc(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)))


@right(checks.plain_network)
def a_class(depth, num_classes=10):
    return _Net(depth, num_classes)


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


def _net(**changes):
    def answer(depth, num_classes=10):
        return type("Net", (_Net,), changes)(depth, num_classes)

    return answer


def _named(name, mistake, answer):
    answer.__name__ = name
    wrong(checks.plain_network, mistake)(answer)


_named("never_smaller", "no-stride", _net(strides=(1, 1, 1)))
_named("smaller_at_once", "stride-in-first-stage", _net(strides=(2, 2, 2)))
_named("once_smaller", "stride-in-one-stage", _net(strides=(1, 2, 1)))
_named("wide", "imagenet-widths", _net(widths=(64, 128, 256)))
_named("softmax_at_the_end", "softmax-inside", _net(last=staticmethod(lambda x: x.softmax(-1))))
_named("stem_strides", "imagenet-stem", _net(stem_stride=2))


@wrong(checks.plain_network, "no-value-error")
def rounds_down(depth, num_classes=10):
    return _Net((depth - 2) // 6 * 6 + 2, num_classes)


@wrong(checks.plain_network, "num-classes-ignored")
def always_ten(depth, num_classes=10):
    return _Net(depth, 10)


@wrong(checks.plain_network, "too-few-blocks")
def one_block_each(depth, num_classes=10):
    _Net(depth, num_classes)
    return _Net(8, num_classes)


@wrong(checks.plain_network, "shortcuts")
def residual(depth, num_classes=10):
    return networks.cifar_resnet(depth, num_classes)


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


# 3.4


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


@wrong(checks.deepen_by_identity, "original-changed")
def no_copy(model, extra_blocks):
    for _ in range(extra_blocks):
        model.layer3.append(_identity(64))
    return model


@wrong(checks.deepen_by_identity, "original-changed")
def shallow_copy(model, extra_blocks):
    deeper = copy.copy(model)
    for _ in range(extra_blocks):
        deeper.layer3.append(_identity(64))
    return deeper


@wrong(checks.deepen_by_identity, "shared-parameters")
def new_stages_old_blocks(model, extra_blocks):
    deeper = copy.deepcopy(model)
    deeper.layer3 = nn.Sequential(*model.layer3, *(_identity(64) for _ in range(extra_blocks)))
    return deeper


def _with(change):
    def answer(model, extra_blocks):
        deeper = copy.deepcopy(model)
        for _ in range(extra_blocks):
            deeper.layer3.append(change(PlainBlock(64, 64)))
        return deeper

    return answer


@torch.no_grad()
def _filled(block, value):
    for conv in (block.conv1, block.conv2):
        conv.weight.fill_(value)
    return block


@torch.no_grad()
def _corner(block):
    for conv in (block.conv1, block.conv2):
        conv.weight.zero_()
        conv.weight[range(64), range(64), 0, 0] = 1
    return block


@torch.no_grad()
def _first_only(block):
    nn.init.dirac_(block.conv1.weight)
    return block


@torch.no_grad()
def _zero_gamma(block):
    nn.init.dirac_(block.conv1.weight)
    nn.init.dirac_(block.conv2.weight)
    nn.init.zeros_(block.bn2.weight)
    nn.init.ones_(block.bn2.bias)
    return block


for _name, _mistake, _change in (
    ("random", "not-the-identity", lambda block: block),
    ("zeros", "zeros-instead-of-identity", lambda block: _filled(block, 0.0)),
    ("ones", "not-the-identity", lambda block: _filled(block, 1.0)),
    ("in_the_corner", "kernel-shifted", _corner),
    ("one_of_two", "one-convolution-only", _first_only),
    ("gamma_zero", "batch-norm-not-neutral", _zero_gamma),
    ("empty_blocks", "not-deeper", lambda _: nn.Identity()),
):
    _answer = _with(_change)
    _answer.__name__ = _name
    wrong(checks.deepen_by_identity, _mistake)(_answer)


@wrong(checks.deepen_by_identity, "blocks-per-stage")
def in_each_stage(model, extra_blocks):
    deeper = copy.deepcopy(model)
    for stage in (deeper.layer1, deeper.layer2, deeper.layer3):
        for _ in range(extra_blocks):
            stage.append(_identity(stage[-1].out_channels))
    return deeper


@wrong(checks.deepen_by_identity, "weights-not-copied")
def a_new_network(model, extra_blocks):
    deeper = networks.cifar_plain(8, model.fc.out_features)
    while sum(map(len, (deeper.layer1, deeper.layer2, deeper.layer3))) < extra_blocks + sum(
        map(len, (model.layer1, model.layer2, model.layer3))
    ):
        deeper.layer3.append(_identity(64))
    return deeper
