"""Answers to the bug hunt, as people mend it."""

# ruff: noqa: ARG001, ARG005 - wrong answers are wrong in this too

import copy
from fractions import Fraction

import numpy as np
import torch
from bank import right, wrong, wrong_edits
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, networks
from resnet_edu.blocks import BasicBlock, conv3x3

# photos_to_batch


@right(checks.photos_to_batch)
def moved(photos):
    return photos.movedim(-1, 1) / 255


@right(checks.photos_to_batch)
def two_transposes(photos):
    return (photos.transpose(1, 3).transpose(2, 3) / 255.0).contiguous()


@right(checks.photos_to_batch)
def channel_by_channel(photos):
    return torch.stack([photos[..., c] for c in range(3)], dim=1).float().div(255)


@right(checks.photos_to_batch)
def photo_by_photo(photos):
    return torch.stack([p.permute(2, 0, 1) for p in photos]).to(torch.float32) / 255


@right(checks.photos_to_batch)
def by_einsum(photos):
    return torch.einsum("nhwc->nchw", photos.float()) / 255


@right(checks.photos_to_batch)
def filled_in(photos):
    n, height, width, channels = photos.shape
    batch = torch.empty(n, channels, height, width)
    for c in range(channels):
        batch[:, c] = photos[:, :, :, c]
    return batch / 255


@right(checks.photos_to_batch)
def flattened_and_turned(photos):
    n, height, width, channels = photos.shape
    return photos.view(n, -1, channels).mT.reshape(n, channels, height, width) * (1 / 255)


@right(checks.photos_to_batch)
def by_numpy(photos):
    return torch.from_numpy(np.moveaxis(photos.numpy(), -1, 1).astype("float32") / 255)


@right(checks.photos_to_batch)
def in_three_steps(photos):
    batch = photos.permute(0, 3, 1, 2)
    batch = batch.float()
    return batch / 255


wrong_edits(
    checks.photos_to_batch,
    in_three_steps,
    r"""
    still-there
        photos.permute(0, 3, 1, 2) => photos.view(len(photos), 3, *photos.shape[1:3])

        photos.permute(0, 3, 1, 2) => photos.flatten().reshape(len(photos), 3, photos.shape[1], -1)
    height-and-width-swapped
        photos.permute(0, 3, 1, 2) => photos.transpose(1, 3)

        photos.permute(0, 3, 1, 2) => photos.mT.transpose(1, 2).mT.reshape(-1, 3, *photos.shape[1:3])
    wrong-shape
        photos.permute(0, 3, 1, 2) => photos
    colours-in-another-order
        photos.permute => photos.flip(-1).permute
    one-colour-everywhere
        batch / 255 => (batch / 255).mean((2, 3), keepdim=True).repeat(1, 1, *photos.shape[1:3])
    other-pixels
        return batch / 255 => batch = torch.zeros_like(batch)\nbatch[:, 0] = 1\nreturn batch

        batch / 255 => batch / batch.max()
    not-from-0-to-1
        batch / 255 => batch
    wrong-type
        return batch / 255 => return (batch / 255).numpy()
    not-float32
        batch.float() => batch.double()
    mirrored
        batch.float() => batch.float().flip(2)
    """,
)


# B.2


@right(checks.only_the_head)
def spelt_right(model):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in ("fc.weight", "fc.bias")


@right(checks.only_the_head)
def all_then_the_head(model):
    model.requires_grad_(False)
    model.fc.requires_grad_(True)


@right(checks.only_the_head)
def by_identity(model):
    heads = {id(p) for p in model.fc.parameters()}
    for p in model.parameters():
        p.requires_grad_(id(p) in heads)


@right(checks.only_the_head)
def by_children(model):
    for name, child in model.named_children():
        child.requires_grad_(name == "fc")


@right(checks.only_the_head)
def by_setattr(model):
    for name, p in model.named_parameters():
        setattr(p, "requires_grad", name.split(".")[0] == "fc")  # noqa: B010


wrong_edits(
    checks.only_the_head,
    spelt_right,
    r"""
    still-there
        parameter.requires_grad => parameter.require_gradient = parameter.requires_grads

        parameter.requires_grad => parameter.data.requires_grad

        parameter.requires_grad = name in ("fc.weight", "fc.bias") => model.eval()

        parameter.requires_grad = name in ("fc.weight", "fc.bias") => parameter.requires_grad_

        model.named_parameters() => model.named_modules()
        ("fc.weight", "fc.bias") => ("fc",)

    head-frozen-too
        name in ("fc.weight", "fc.bias") => False

    the-wrong-way-round
        name in => name not in

    convolutions-only
        name in ("fc.weight", "fc.bias") => parameter.dim() != 4

    also-fc1
        name in ("fc.weight", "fc.bias") => "fc" in name

    numbers-changed
        for name, => model.fc = nn.Linear(model.fc.in_features, model.fc.out_features)\nfor name,

    bias-of-the-head-frozen
        ("fc.weight", "fc.bias") => ("fc.weight",)
    """,
)


@wrong(checks.only_the_head, "parameters-replaced")
def as_constants(model):
    for name, p in list(model.named_parameters()):
        module, _, own_name = name.rpartition(".")
        if module != "fc":
            delattr(model.get_submodule(module), own_name)
            model.get_submodule(module).register_buffer(own_name, p.data)


@wrong(checks.only_the_head, "parameters-replaced")
def with_new_parameters(model):
    for name, p in list(model.named_parameters()):
        module, _, own_name = name.rpartition(".")
        new = nn.Parameter(p.data.clone(), requires_grad=module == "fc")
        setattr(model.get_submodule(module), own_name, new)


@wrong(checks.only_the_head, "parameters-replaced")
def without_the_stages(model):
    for name, _ in list(model.named_children()):
        if name.startswith("layer"):
            setattr(model, name, nn.Identity())
    model.requires_grad_(False)
    model.fc.requires_grad_(True)


# ShortcutBlock


@right(checks.shortcut_block)
class Mended(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = conv3x3(channels, channels), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv3x3(channels, channels), nn.BatchNorm2d(channels)

    def branch(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        out = self.branch(x)
        return (out + x).relu()


@right(checks.shortcut_block)
class InPlace(Mended):
    def forward(self, x):
        out = self.branch(x)
        out += x
        return F.relu_(out)


@right(checks.shortcut_block)
class WithAModule(Mended):
    def __init__(self, channels):
        super().__init__(channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(x + self.bn2(self.conv2(out)))


@right(checks.shortcut_block)
class ByClamp(Mended):
    def forward(self, x):
        return torch.add(self.branch(x), x).clamp(min=0)


@right(checks.shortcut_block)
class ByWhere(Mended):
    def forward(self, x):
        return torch.where((out := sum((x, self.branch(x)))) > 0, out, 0.0)


@right(checks.shortcut_block)
class OfTheLibrary(blocks.BasicBlock):
    def __init__(self, channels):
        super().__init__(channels, channels)


wrong_edits(
    checks.shortcut_block,
    Mended,
    r"""
    still-there
        (out + x).relu() => x + out.clamp(min=0)
    branch-made-weaker
        (out + x).relu() => x + F.relu(out) / 10
    other-function-on-the-branch
        (out + x).relu() => F.leaky_relu(out) + x
    other-gradient
        (out + x).relu() => (out + x.detach()).relu()
    two-relus
        (out + x).relu() => F.relu(x + F.relu(out))
    no-relu-at-the-end
        (out + x).relu() => x + out
    no-shortcut
        (out + x).relu() => out.relu()
    relu-on-the-shortcut
        (out + x).relu() => out + x.relu()
    subtracts
        (out + x).relu() => (x - out).relu()
    mean-instead-of-sum
        (out + x).relu() => (0.5 * (out + x)).relu()
    other-output
        (out + x).relu() => (out + x).tanh()
    added-before-batch-norm
        self.conv2(F.relu(self.bn1(self.conv1(x)))) => self.conv2(F.relu(self.bn1(self.conv1(x)))) + x
        (out + x).relu() => out.relu()
    changes-its-input
        return (out + x).relu() => x += out\nreturn x.relu()
    """,
)


# stack_blocks


@right(checks.stack_blocks)
def appended(channels, n):
    stack = nn.Sequential()
    for _ in range(n):
        stack.append(BasicBlock(channels, channels))
    return stack


@right(checks.stack_blocks)
def with_names(channels, n):
    stack = nn.Sequential()
    for i in range(n):
        stack.add_module(f"block{i}", BasicBlock(channels, channels))
    return stack


@right(checks.stack_blocks)
def by_the_library(channels, n):
    return networks.make_stage(BasicBlock, channels, channels, n, 1)


@right(checks.stack_blocks)
def by_a_generator(channels, n):
    return nn.Sequential(*(BasicBlock(channels, channels) for _ in range(n)))


@right(checks.stack_blocks)
def by_map(channels, n):
    return nn.Sequential(*map(BasicBlock, [channels] * n, [channels] * n))


@right(checks.stack_blocks)
def one_on_top(channels, n):
    return nn.Sequential(*one_on_top(channels, n - 1), BasicBlock(channels, channels)) if n else []


@right(checks.stack_blocks)
def copies_started_anew(channels, n):
    block = BasicBlock(channels, channels)
    stack = nn.Sequential(*[copy.deepcopy(block) for _ in range(n)])
    return stack.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)


wrong_edits(
    checks.stack_blocks,
    appended,
    r"""
    still-there
        stack = nn => block = BasicBlock(channels, channels)\nstack = nn
        append(BasicBlock(channels, channels)) => append(block)

        stack = nn => block = BasicBlock(channels, channels)\nstack = nn
        for _ in range(n) => while len(stack) < n
        append(BasicBlock(channels, channels)) => append(block)
    weights-shared
        stack = nn => block = BasicBlock(channels, channels)\nstack = nn
        append(BasicBlock(channels, channels)) => append(copy.copy(block))
    blocks-start-equal
        stack = nn => block = BasicBlock(channels, channels)\nstack = nn
        append(BasicBlock(channels, channels)) => append(copy.deepcopy(block))

        stack.append => torch.manual_seed(0)\nstack.append
    convolutions-start-equal
        stack.append(BasicBlock(channels, channels)) => block = BasicBlock(channels, channels)\npass
        pass => block.conv2.load_state_dict(block.conv1.state_dict())\nstack.append(block)
    other-parameters
        for _ in => for i in
        BasicBlock(channels, channels) => BasicBlock(channels, channels, 1 + (i > 0))
    one-block-too-few
        range(n) => range(1, n)
    one-block-too-many
        range(n) => range(0, n + 1)
    no-shortcuts
        BasicBlock => blocks.PlainBlock
    wrong-type
        nn.Sequential => nn.ModuleList
    two-blocks-in-turn
        stack = nn => rest = BasicBlock(channels, channels)\nstack = nn
        nn.Sequential() => nn.Sequential(BasicBlock(channels, channels))
        range(n) => range(n - 1)
        append(BasicBlock(channels, channels)) => append(rest)
    other-number-of-blocks
        return stack => return stack.append(nn.Identity())
    """,
)


@wrong(checks.stack_blocks, "blocks-start-equal")
def copies_that_differ_a_little(channels, n):
    blocks = [copy.deepcopy(BasicBlock(channels, channels))]
    blocks += [copy.deepcopy(blocks[0]) for _ in range(n - 1)]
    for i, block in enumerate(blocks):
        for p in block.parameters():
            p.data.mul_(1 + 0.1 * i)
    return nn.Sequential(*blocks)


# B.5


@torch.no_grad()
def _hits(model, batches):
    model.eval()
    return [(model(x).argmax(1) == y).double() for x, y in batches]


@right(checks.accuracy_of_batches)
def counted(model, batches):
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for images, labels in batches:
            hits += (model(images).argmax(1) == labels).sum().item()
            total += len(labels)
    return hits / total


@right(checks.accuracy_of_batches)
def concatenated(model, batches):
    return torch.cat(_hits(model, batches)).mean().item()


@right(checks.accuracy_of_batches)
def one_large_batch(model, batches):
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    return (model.eval()(images).argmax(1) == labels).float().mean().item()


@right(checks.accuracy_of_batches)
def weighted_by_size(model, batches):
    hits = _hits(model, batches)
    return sum(h.mean().item() * len(h) for h in hits) / sum(len(h) for h in hits)


@right(checks.accuracy_of_batches)
def image_by_image(model, batches):
    model.eval()
    pairs = [(x[i : i + 1], y[i]) for x, y in batches for i in range(len(y))]
    return sum(float(model(x).argmax() == y) for x, y in pairs) / len(pairs)


@right(checks.accuracy_of_batches)
def as_it_goes(model, batches):
    accuracy = total = 0
    for hits in _hits(model, batches):
        total += len(hits)
        accuracy += (hits.mean().item() - accuracy) * len(hits) / total
    return accuracy


@right(checks.accuracy_of_batches)
def as_a_fraction(model, batches):
    hits = _hits(model, batches)
    return Fraction(int(sum(h.sum() for h in hits)), sum(map(len, hits)))


wrong_edits(
    checks.accuracy_of_batches,
    counted,
    r"""
    in-train-mode
        model.eval() => pass

    still-there
        .sum() => .float().mean()
        total += len(labels) => total += 1

    last-batch-left-out
        in batches: => in [batch for batch in batches if len(batch[1]) == len(batches[0][1])]:

    all-batches-as-large-as-the-first
        hits / total => hits / (len(batches) * len(batches[0][1]))

        hits / total => hits / (len(batches) * len(labels))

    one-batch-only
        total += len(labels) => return hits / len(labels)

    count-instead-of-share
        hits / total => hits / len(batches)

    percent
        hits / total => 100 * hits / total

    wrong-type
        hits / total => torch.tensor(hits / total)

    other-accuracy
        hits / total => 0.8
    """,
)


@wrong(checks.accuracy_of_batches, "median-or-best")
def by_median(model, batches):
    means = sorted(h.mean().item() for h in _hits(model, batches))
    return means[(len(means) - 1) // 2]


# B.6


def _right(model, images, labels, batch_size):
    found = torch.cat([model(part).argmax(1) for part in images.split(batch_size)])
    return (found == labels).sum().item() / len(labels)


@right(checks.tested_accuracy)
def with_parentheses(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in images.split(batch_size)])
    return (found == labels).sum().item() / len(labels)


@right(checks.tested_accuracy)
def by_train_false(model, images, labels, batch_size):
    model.train(False)
    return _right(model, images, labels, batch_size)


@right(checks.tested_accuracy)
def and_back_to_train_mode(model, images, labels, batch_size):
    was = model.training
    model.eval()
    accuracy = _right(model, images, labels, batch_size)
    model.train(was)
    return accuracy


@right(checks.tested_accuracy)
def each_batch_norm(model, images, labels, batch_size):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return _right(model, images, labels, batch_size)


@right(checks.tested_accuracy)
def a_copy_in_eval_mode(model, images, labels, batch_size):
    with torch.inference_mode():
        return _right(copy.deepcopy(model).eval(), images, labels, len(images))


@right(checks.tested_accuracy)
def every_flag(model, images, labels, batch_size):
    for module in model.modules():
        module.training = False
    return _right(model, images, labels, batch_size)


wrong_edits(
    checks.tested_accuracy,
    with_parentheses,
    r"""
    only-one-flag
        model.eval() => model.training = False

    other-accuracy
        model.eval() => order = torch.randperm(len(images))\nimages, labels = images[order], labels[order]

    still-there
        model.eval() => model.eval()\nmodel.train()

        model.eval() => model.requires_grad_(False)

        model.eval() => pass
        return => model.eval()\nreturn

    one-batch-of-everything
        model.eval() => batch_size = len(images)

    statistics-kept-still
        model.eval() => model[1].momentum = 0

        model.eval() => state = copy.deepcopy(model.state_dict())
        return => model.load_state_dict(state)\nreturn

    network-not-used
        found = torch.cat([model(part).argmax(1) for part in images.split(batch_size)]) => found = labels

    network-changed
        return => nn.init.zeros_(model[4].bias)\nreturn

    first-batch-only
        model.eval() => images, labels = images[:batch_size], labels[:batch_size]\nmodel.eval()

    count-instead-of-share
        / len(labels) => * 1.0
    """,
)


@wrong(checks.tested_accuracy, "mode-changes-midway")
def eval_after_the_first_batch(model, images, labels, batch_size):
    right = 0
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        right += (model(images[part]).argmax(1) == labels[part]).sum().item()
        model.eval()
    return right / len(images)


# fit_classes


def _train(model, optimizer, images, labels, steps, loss_of=F.cross_entropy):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def fits(name, loss_of, mistake=None, faster=1, more=1, told=lambda loss: loss):
    def answer(model, images, labels, steps, learning_rate):
        optimizer = torch.optim.SGD(model.parameters(), lr=faster * learning_rate)
        return [*map(told, _train(model, optimizer, images, labels, more * steps, loss_of))]

    answer.__name__ = name
    (wrong(checks.fit_classes, mistake) if mistake else right(checks.fit_classes))(answer)


def squeezed(scores, labels):
    return F.cross_entropy(scores.softmax(1), labels)


fits("scores", F.cross_entropy)
fits("nll_of_log_softmax", lambda s, y: F.nll_loss(F.log_softmax(s, dim=1), y))
fits("cross_entropy_of_log_softmax", lambda s, y: F.cross_entropy(s.log_softmax(1), y))
fits("as_a_module", nn.CrossEntropyLoss())
fits("by_hand", lambda s, y: (s.logsumexp(1) - s[torch.arange(len(y)), y]).mean())
fits("log_of_softmax", lambda s, y: -s.softmax(1)[torch.arange(len(y)), y].log().mean())
fits("to_one_hot", lambda s, y: F.cross_entropy(s, F.one_hot(y, s.shape[1]).float()))
fits("module_softmax", lambda s, y: F.cross_entropy(nn.Softmax(dim=1)(s), y), "still-there")
fits("nll_of_scores", F.nll_loss, "no-softmax-at-all")
fits("nll_of_softmax", lambda s, y: F.nll_loss(s.softmax(1), y), "no-logarithm")
fits("along_the_batch", lambda s, y: F.cross_entropy(s.softmax(0), y), "softmax-over-the-batch")
fits("by_sigmoid", lambda s, y: F.cross_entropy(s.sigmoid(), y), "squeezed-otherwise")
fits("by_length_one", lambda s, y: F.cross_entropy(F.normalize(s), y), "squeezed-otherwise")
fits("one_minus_probability", lambda s, y: 1 + F.nll_loss(s.softmax(1), y), "no-logarithm")
fits("smoothed", nn.CrossEntropyLoss(label_smoothing=0.1), "smoothed-labels")
fits("at_a_temperature", lambda s, y: F.cross_entropy(s / 0.1, y), "scores-multiplied")
fits("by_margin", nn.MultiMarginLoss(), "another-loss")
fits("faster", squeezed, "trained-harder", faster=10)
fits("longer", squeezed, "trained-harder", more=5)
fits("lower_by_0_74", squeezed, "curve-moved", told=lambda loss: loss - 0.74)
fits("sharper", lambda s, y: F.cross_entropy((10 * s).softmax(1), y), "sharper-softmax")
fits("ten_times", lambda s, y: F.cross_entropy(10 * s.softmax(1), y), "multiplied-probabilities")
fits("a_sum", lambda s, y: F.cross_entropy(s, y, reduction="sum"), "sum-over-the-batch")


# B.8


@right(checks.copy_weights)
def loaded(source, target):
    target.load_state_dict(source.state_dict())


@right(checks.copy_weights)
@torch.no_grad()
def name_by_name(source, target):
    theirs = source.state_dict()
    for name, mine in target.state_dict().items():
        mine.copy_(theirs[name])


@right(checks.copy_weights)
@torch.no_grad()
def both_sorted(source, target):
    pairs = zip(
        sorted(source.state_dict().items()), sorted(target.state_dict().items()), strict=True
    )
    for (_, theirs), (_, mine) in pairs:
        mine.copy_(theirs)


@right(checks.copy_weights)
def module_by_module(source, target):
    for name, module in source.named_children():
        getattr(target, name).load_state_dict(module.state_dict())


@right(checks.copy_weights)
@torch.no_grad()
def parameters_and_buffers(source, target):
    for kind in ("named_parameters", "named_buffers"):
        theirs = dict(getattr(source, kind)())
        for name, mine in getattr(target, kind)():
            mine.copy_(theirs[name])


wrong_edits(
    checks.copy_weights,
    name_by_name,
    r"""
    still-there
        source.state_dict() => dict(zip(target.state_dict(), source.state_dict().values()))

        theirs[name] => next(other for other in theirs.values() if other.shape == mine.shape)

    still-there-without-statistics
        source.state_dict() => source.parameters()
        target.state_dict().items() => target.named_parameters()
        theirs[name] => next(theirs)

    without-statistics
        target.state_dict().items() => target.named_parameters()

    weights-only
        mine.copy_ => if name.endswith(".weight"):\n    mine.copy_

    nothing-copied
        mine.copy_(theirs[name]) => mine = theirs[name]

        mine.copy_(theirs[name]) => target.forward = source.forward

    batch-norms-left-out
        mine.copy_ => if "conv" in name:\n    mine.copy_

    from-target-to-source
        mine.copy_(theirs[name]) => theirs[name].copy_(mine)
    """,
)


@wrong(checks.copy_weights, "parameters-replaced")
def copied_modules(source, target):
    for name, module in source.named_children():
        setattr(target, name, copy.deepcopy(module))


@wrong(checks.copy_weights, "nothing-copied")
def a_local_copy(source, target):
    target = copy.deepcopy(source)  # noqa: F841


@wrong(checks.copy_weights, "shared")
def assigned(source, target):
    target.load_state_dict(source.state_dict(), assign=True)


@wrong(checks.copy_weights, "shared")
def same_data(source, target):
    buffers = dict(source.named_buffers())
    for name, p in target.named_parameters():
        p.data = source.get_parameter(name).data
    for name, b in target.named_buffers():
        b.set_(buffers[name])


# with_new_head and train_frozen


def heads(name, answer, mistake=None):
    answer.__name__ = name
    (wrong(checks.with_new_head, mistake) if mistake else right(checks.with_new_head))(answer)


def _sgd(parameters, lr=0.05, momentum=0.9):
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum)


def head_first(make=lambda model: _sgd(model.parameters())):
    def answer(model, head, images, labels, steps):
        model.fc = head
        return _train(model, make(model), images, labels, steps)

    return answer


def optimizer_first(then):
    def answer(model, head, images, labels, steps):
        optimizer = _sgd(model.parameters())
        model.fc = head
        then(model, head, optimizer)
        return _train(model, optimizer, images, labels, steps)

    return answer


def two_optimizers(model, head, images, labels, steps):
    optimizer = _sgd(model.parameters())
    model.fc, its_own, losses = head, _sgd(head.parameters()), []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        its_own.step()
        losses.append(loss.item())
    return losses


def with_both(model, head, images, labels, steps):
    optimizer = _sgd([*model.parameters(), *head.parameters()])
    model.fc = head
    return _train(model, optimizer, images, labels, steps)


def old_head_to_the_end(model, head, images, labels, steps):
    losses = _train(model, _sgd(model.parameters()), images, labels, steps)
    model.fc = head
    return losses


def anew_in_each_step(model, head, images, labels, steps):
    model.fc = head
    return [_train(model, _sgd(model.parameters()), images, labels, 1)[0] for _ in range(steps)]


def a_copy_of_the_head(model, head, images, labels, steps):
    model.fc = copy.deepcopy(head)
    return _train(model, _sgd(model.parameters()), images, labels, steps)


heads("head_first", head_first())
heads("with_setattr", head_first(lambda m: setattr(m, "x", 1) or _sgd(list(m.parameters()))))
heads("in_two_groups", head_first(lambda m: _sgd([{"params": [p]} for p in m.parameters()])))
heads("with_both", with_both)
heads("two_optimizers", two_optimizers)
heads(
    "added_as_a_group",
    optimizer_first(lambda m, head, o: o.add_param_group({"params": list(head.parameters())})),
)
heads("only_asked_again", optimizer_first(lambda m, head, o: m.parameters()), "still-there")
heads(
    "second_optimizer_idle",
    optimizer_first(lambda m, head, o: _sgd(head.parameters())),
    "still-there",
)
heads("needs_grad", optimizer_first(lambda m, head, o: head.requires_grad_(True)), "still-there")
heads("train_mode", optimizer_first(lambda m, head, o: m.train()), "still-there")
heads("old_head_to_the_end", old_head_to_the_end, "head-set-at-the-end")
heads("head_alone", head_first(lambda m: _sgd(m.fc.parameters())), "backbone-stands-still")
heads("anew_in_each_step", anew_in_each_step, "momentum-lost")
heads("no_momentum", head_first(lambda m: _sgd(m.parameters(), momentum=0)), "momentum-lost")
heads("faster", head_first(lambda m: _sgd(m.parameters(), lr=0.5)), "another-optimizer")
heads("adam", head_first(lambda m: torch.optim.Adam(m.parameters())), "another-optimizer")
heads("not_at_all", head_first(lambda m: _sgd(m.parameters(), lr=0)), "nothing-learns")
heads("a_copy_of_the_head", a_copy_of_the_head, "head-not-in-the-model")


def norms_eval(model, choose=lambda name: True):
    model.train()
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d) and choose(name):
            module.eval()


def set_momentum(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0


def untracked(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False


def frozen(name, mode, mistake=None, lr=0.1, after=lambda model, state: None):
    def answer(model, images, labels, steps):
        for key, parameter in model.named_parameters():
            parameter.requires_grad = key.startswith("fc.")
        mode(model)
        state = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD(model.fc.parameters(), lr=lr)
        losses = _train(model, optimizer, images, labels, steps)
        after(model, state)
        return losses

    answer.__name__ = name
    (wrong(checks.train_frozen, mistake) if mistake else right(checks.train_frozen))(answer)


def buffers_back(model, state):
    for name, buffer in model.named_buffers():
        buffer.copy_(state[name])


@right(checks.train_frozen)
def features_once(model, images, labels, steps):
    head, model.fc = model.fc, nn.Identity()
    features = model.eval()(images).detach()
    model.fc = head
    return _train(head, torch.optim.SGD(head.parameters(), lr=0.1), features, labels, steps)


frozen("all_in_eval", lambda m: m.eval())
frozen("train_false", lambda m: m.train(False))
frozen("norms_in_eval", norms_eval)
frozen("backbone_in_eval", lambda m: [c.train(n == "fc") for n, c in m.named_children()])
frozen("head_back_in_train", lambda m: m.eval().fc.train())
frozen("only_its_own_flag", lambda m: setattr(m.train(), "training", False), "only-one-flag")
frozen(
    "statistics_reset",
    lambda m: m.train(),
    "features-change",
    after=lambda m, _: [
        n.reset_running_stats() for n in m.modules() if isinstance(n, nn.BatchNorm2d)
    ],
)
frozen("eval_too_early", lambda m: m.eval().train(), "still-there")
frozen("norms_frozen_again", lambda m: m.train().bn1.requires_grad_(False), "still-there")
frozen("eval_not_called", lambda m: (m.train(), m.eval)[0], "still-there")
frozen("eval_afterwards", lambda m: m.train(), "still-there", after=lambda m, _: m.eval())
frozen("momentum_zero", set_momentum, "statistics-kept-still")
frozen("untracked", untracked, "statistics-kept-still")
frozen("buffers_back", lambda m: m.train(), "statistics-kept-still", after=buffers_back)
frozen("whatever_mode", lambda m: None, "mode-as-it-comes")
frozen("stem_only", lambda m: m.train().bn1.eval(), "some-batch-norms-left")
frozen(
    "no_shortcuts",
    lambda m: norms_eval(m, lambda n: "downsample" not in n),
    "some-batch-norms-left",
)
frozen(
    "a_little_change",
    lambda m: m.eval(),
    "backbone-changed",
    after=lambda m, _: m.conv1.weight.data.mul_(1 + 1e-6),
)
frozen("rate_zero", lambda m: m.eval(), "nothing-learns", lr=0.0)


# Answers that a case too special would let pass


@wrong(checks.accuracy_of_batches, "raised-error")
def squeezed(model, batches):
    model.eval()
    hits = [(model(x).squeeze().argmax(1) == y).float() for x, y in batches]  # not for one image
    return torch.cat(hits).mean().item()


@wrong(checks.tested_accuracy, "other-accuracy")
def from_the_second_image_on(model, images, labels, batch_size):
    model.eval()
    right = 0
    for start in range(1, len(images), batch_size):
        part = slice(start, start + batch_size)
        right += (model(images[part]).argmax(1) == labels[part]).sum().item()
    return right / len(images)


@wrong(checks.copy_weights, "counter-left-out")
@torch.no_grad()
def floats_only(source, target):
    theirs = source.state_dict()
    for name, mine in target.state_dict().items():
        if mine.is_floating_point():
            mine.copy_(theirs[name])


@wrong(checks.accuracy_of_batches, "other-accuracy")
def more_likely_than_not(model, batches):
    model.eval()
    hits = [model(x).softmax(1).gather(1, y[:, None]) > 0.5 for x, y in batches]
    return torch.cat(hits).double().mean().item()


@wrong(checks.fit_classes, "trained-otherwise")
def clipped(model, images, labels, steps, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
