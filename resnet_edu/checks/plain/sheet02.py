"""The checks of exercise sheet 02: plain networks.

For each task: the reference, the cases it is tried on, and the known mistakes.
"""

# ruff: noqa: ARG005 - a wrong version takes all arguments, and may well ignore some

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock, PlainBlock, conv3x3
from resnet_edu.checks.block import block_cases, observe_block, variant
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import Near, See, wrong_type
from resnet_edu.checks.guard import Wrong
from resnet_edu.networks import he_init_ as _he_init_

# Task 2.1


def _plain(block: PlainBlock, x: Tensor) -> Tensor:
    out = F.relu(block.bn1(block.conv1(x)))
    return block.bn2(block.conv2(out))  # without the last ReLU


def _with_convolutions(**options: Any) -> list[type[nn.Module]]:
    """Plain blocks in which the first, the second or both convolutions have other options."""
    options = {"padding": 1, "bias": False} | options
    first = {"conv1": lambda i, o, s=1: nn.Conv2d(i, o, 3, s, **options)}
    second = {"conv2": lambda i, o, s=1: nn.Conv2d(o, o, 3, **options)}
    return [variant(PlainBlock, **changed) for changed in (first, second, first | second)]


def _add(out: Tensor, x: Tensor) -> Tensor:
    return out + x if out.shape == x.shape else out


plain_block = Check(
    signature="PlainBlock(in_channels, out_channels, stride=1)",
    reference=PlainBlock,
    observe=partial(observe_block, PlainBlock),
    cases=block_cases(
        PlainBlock,
        ((4, 4), (2, 4, 7, 6)),
        ((3, 8), (2, 3, 6, 5)),
        ((4, 8, 2), (3, 4, 9, 7)),
        ((6, 6, 2), (2, 6, 8, 8)),
        ((6, 4, 1), (1, 6, 6, 6)),
    ),
    mistakes=(
        Mistake(
            "no-last-relu",
            "Negative numbers come out: there is no ReLU at the end of the block. Nothing is bent then "
            "between its last convolution and the first of the next block, and the two can do no more "
            "than one.",
            [variant(PlainBlock, _plain)],
        ),
        Mistake(
            "no-first-relu",
            "There is no ReLU between the two convolutions. Two convolutions with nothing bent between "
            "them can do no more than one.",
            [variant(PlainBlock, lambda b, x: F.relu(b.bn2(b.conv2(b.bn1(b.conv1(x))))))],
        ),
        Mistake(
            "no-relu",
            "There is no ReLU in the block. Without one, any number of layers can do no more than a "
            "single one.",
            [variant(PlainBlock, lambda b, x: b.bn2(b.conv2(b.bn1(b.conv1(x)))))],
        ),
        Mistake(
            "relu-before-batch-norm",
            "A ReLU comes before its batch norm. Batch norm centres the numbers, so that a ReLU behind "
            "it cuts off about half of them; in front of it, the ReLU may cut off all of them, or none.",
            [
                variant(PlainBlock, lambda b, x: b.bn2(F.relu(b.conv2(b.bn1(F.relu(b.conv1(x))))))),
                variant(PlainBlock, lambda b, x: F.relu(b.bn2(b.conv2(b.bn1(F.relu(b.conv1(x))))))),
                variant(PlainBlock, lambda b, x: b.bn2(F.relu(b.conv2(F.relu(b.bn1(b.conv1(x))))))),
            ],
        ),
        Mistake(
            "stride-on-second-convolution",
            "The stride is on the second convolution. The sizes come out the same, but the first one "
            "then works on four times the pixels at stride 2, and weights from elsewhere give other "
            "numbers.",
            [
                variant(
                    PlainBlock,
                    conv1=lambda i, o, s=1: conv3x3(i, o),
                    conv2=lambda i, o, s=1: conv3x3(o, o, s),
                )
            ],
        ),
        Mistake(
            "stride-on-both-convolutions",
            "Both convolutions have the stride, so the block divides height and width by it twice. "
            "After two such blocks of stride 2, an image of 32 pixels has 2 left instead of 8.",
            [variant(PlainBlock, conv2=lambda i, o, s=1: conv3x3(o, o, s))],
        ),
        Mistake(
            "stride-ignored",
            "The stride changes nothing: the image keeps its size. Where it should be halved, all "
            "blocks that follow work on four times the pixels, and cost four times as much.",
            [variant(PlainBlock, conv1=lambda i, o, s=1: conv3x3(i, o))],
        ),
        Mistake(
            "no-padding",
            "The image shrinks: a 3x3 kernel without padding takes a pixel from each side. Seven such "
            "convolutions leave 2x2 pixels of a digit of 16x16, far too little for a deep network.",
            _with_convolutions(padding=0),
        ),
        Mistake(
            "bias",
            "A convolution has a bias. The batch norm after it takes the mean away, and any bias with "
            "it: those parameters would do nothing.",
            _with_convolutions(bias=True),
        ),
        Mistake(
            "conv2-from-in-channels",
            "The second convolution is made for the channels that go into the block. What reaches it "
            "has been through the first one: where the two numbers differ, the block stops with an "
            "error.",
            [
                variant(PlainBlock, conv2=lambda i, o, s=1: conv3x3(i, o)),
                variant(PlainBlock, conv2=lambda i, o, s=1: conv3x3(i, o, s)),
                variant(PlainBlock, conv2=lambda i, o, s=1: conv3x3(i, i)),
            ],
        ),
        Mistake(
            "conv1-keeps-channels",
            "The first convolution gives as many channels as went in, and the second changes their "
            "number. Weights are loaded by name and shape: those of a plain network from elsewhere "
            "would not fit.",
            [
                variant(
                    PlainBlock,
                    conv1=lambda i, o, s=1: conv3x3(i, i, s),
                    bn1=lambda i, o, s=1: nn.BatchNorm2d(i),
                    conv2=lambda i, o, s=1: conv3x3(i, o),
                )
            ],
        ),
        Mistake(
            "bn-on-in-channels",
            "The first batch norm is made for the channels that go into the block. It stands after the "
            "first convolution: where the number of channels changes, the block stops with an error.",
            [variant(PlainBlock, bn1=lambda i, o, s=1: nn.BatchNorm2d(i))],
        ),
        Mistake(
            "one-batch-norm-twice",
            "`forward` uses one batch norm twice. The two convolutions have different means and "
            "variances: its running ones become a mix that fits neither, and in eval mode both are "
            "normalised wrongly.",
            [
                variant(PlainBlock, lambda b, x: F.relu(b.bn1(b.conv2(F.relu(b.bn1(b.conv1(x))))))),
                variant(PlainBlock, lambda b, x: F.relu(b.bn2(b.conv2(F.relu(b.bn2(b.conv1(x))))))),
            ],
        ),
        Mistake(
            "batch-norms-swapped",
            "The two batch norms have changed places in `forward`. Weights are loaded by name: those of "
            "a trained network would stand behind the wrong convolution, and its answers would be wrong "
            "without an error.",
            [variant(PlainBlock, lambda b, x: F.relu(b.bn1(b.conv2(F.relu(b.bn2(b.conv1(x)))))))],
        ),
        Mistake(
            "batch-norm-unused",
            "A batch norm is made but not used in `forward`. Nothing sets the scale of what its "
            "convolution gives, and its gamma and beta can never learn.",
            [
                variant(PlainBlock, lambda b, x: F.relu(b.conv2(F.relu(b.bn1(b.conv1(x)))))),
                variant(PlainBlock, lambda b, x: F.relu(b.bn2(b.conv2(F.relu(b.conv1(x)))))),
                variant(PlainBlock, lambda b, x: F.relu(b.conv2(F.relu(b.conv1(x))))),
            ],
        ),
        Mistake(
            "second-half-unused",
            "`forward` stops after the first convolution. The second one gets no gradient, so it can "
            "never learn: the network has half of the layers that it seems to have.",
            [variant(PlainBlock, lambda b, x: F.relu(b.bn1(b.conv1(x))))],
        ),
        Mistake(
            "one-convolution-twice",
            "`forward` uses the first convolution twice. The second one gets no gradient and can never "
            "learn, and where the channels change, the first does not fit in its place.",
            [variant(PlainBlock, lambda b, x: F.relu(b.bn2(b.conv1(F.relu(b.bn1(b.conv1(x)))))))],
        ),
        Mistake(
            "no-running-statistics",
            "Your batch norm keeps no running mean and variance. In eval mode it must then take those "
            "of the batch, so that the answer for one image depends on its neighbours.",
            [
                variant(
                    PlainBlock,
                    bn1=lambda i, o, s=1: nn.BatchNorm2d(o, track_running_stats=False),
                    bn2=lambda i, o, s=1: nn.BatchNorm2d(o, track_running_stats=False),
                )
            ],
        ),
        Mistake(
            "shortcut",
            "Your block adds its input to its output. That is a residual block, and a very good idea; "
            "but this one is to be plain: what the addition changes can only be measured against blocks "
            "without it.",
            [
                BasicBlock,
                variant(PlainBlock, lambda b, x: F.relu(_add(_plain(b, x), x))),
                variant(PlainBlock, lambda b, x: _add(F.relu(_plain(b, x)), x)),
            ],
        ),
    ),
)


# Task 2.2


def _fan_out(weight: Tensor) -> int:
    out_channels, _, height, width = weight.shape
    return out_channels * height * width


def _convolutions(modules: Iterable[nn.Module]) -> list[nn.Conv2d]:
    return [module for module in modules if isinstance(module, nn.Conv2d)]


def _he(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def _init(
    draw: Callable[[Tensor], Any], chosen: Callable[[nn.Conv2d], bool] | None = None
) -> Answer:
    """A function that draws the weights of all, or of the chosen, convolutions in another way."""

    @torch.no_grad()
    def init(model: nn.Module) -> None:
        for conv in filter(chosen, _convolutions(model.modules())):
            draw(conv.weight)

    return init


def _normal(std: Callable[[Tensor], float]) -> Answer:
    return _init(lambda weight: weight.normal_(0, std(weight)))


def _he_and(change: Callable[[nn.Module], Any], *kinds: type[nn.Module]) -> Answer:
    """He initialisation, and something else to modules of some kinds."""

    def init(model: nn.Module) -> None:
        _he_init_(model)
        for module in model.modules():
            if isinstance(module, kinds):
                change(module)

    return init


def _new_parameters(model: nn.Module) -> None:
    for conv in _convolutions(model.modules()):
        conv.weight = nn.Parameter(conv.weight.detach().clone())
    _he_init_(model)


def _seeded(model: nn.Module) -> None:
    torch.manual_seed(0)
    _he_init_(model)


def _seeded_each(weight: Tensor) -> None:
    torch.manual_seed(0)
    _he(weight)


def _network() -> nn.Sequential:
    """Convolutions at several depths, each with enough weights to measure their spread within 1%."""
    model = nn.Sequential(
        nn.Conv2d(32, 64, 3, bias=False),
        nn.BatchNorm2d(64),
        PlainBlock(64, 64),
        nn.Conv2d(64, 16, 5, stride=2, bias=False),
        nn.Sequential(nn.Sequential(nn.Conv2d(16, 1024, 1))),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model


def _observe_he_init(answer: Answer, make: Callable[[], nn.Module], see: See) -> None:
    model = make()
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    answer(model)
    after = {key: value.clone() for key, value in model.state_dict().items()}

    others = []
    for key, value in after.items():
        name, _, kind = key.rpartition(".")
        is_conv = isinstance(modules[name], nn.Conv2d)
        if is_conv and kind == "weight":
            _see_distribution(name, value, see)
        elif not value.equal(before[key]) and not (is_conv and not value.any()):
            others.append(f"{type(modules[name]).__name__} {kind}")
    see("other parameters that changed", ", ".join(dict.fromkeys(others)) or "none")

    kept = all(value is parameters[name] for name, value in model.named_parameters())
    see("parameters", "the same objects as before" if kept else "new objects")
    twins = (after["2.conv1.weight"], after["2.conv2.weight"])
    see(
        "two layers of one shape",
        "the same weights" if twins[0].equal(twins[1]) else "different weights",
    )
    answer(model)
    again = model.state_dict()["2.conv1.weight"].equal(twins[0])
    see("a second call", "gives the same weights" if again else "gives other weights")


def _see_distribution(name: str, weight: Tensor, see: See) -> None:
    weight = weight.double()
    if not weight.isfinite().all():
        raise Wrong(
            "not-finite",
            "Some weights are not numbers, or infinite: look for the root of a negative number, and for a "
            "division by zero. One such weight is enough to spoil the whole network.",
            (("Looked at", f"{name}.weight"),),
        )
    mean, std = weight.mean().item(), weight.std().item()
    tails = ((weight - mean) / std).square().square().mean().item()  # 3 if normal, 1.8 if uniform
    size = math.log(max(std, 1e-12))
    # At 16,384 weights the three measured numbers are right within 0.006, 0.008 and 0.038 (1 sigma).
    see(f"spread of {name}.weight", Near(size, 0.05, f"standard deviation {std:.3g}"))
    see(f"mean of {name}.weight", Near(mean / max(std, 1e-12), 0.07, f"{mean:.1g}"))
    see(
        f"shape of the distribution of {name}.weight",
        Near(tails, 0.4, f"fourth moment {tails:.1f}"),
    )


he_init_ = Check(
    signature="he_init_(model)",
    reference=_he_init_,
    observe=_observe_he_init,
    cases={"a model with convolutions of 3x3, 1x1 and 5x5, some in modules of modules": _network},
    mistakes=(
        Mistake(
            "fan-in",
            "Your variance goes by the channels that go in. That keeps the size of the numbers on their "
            "way forward, but the gradient on its way back grows or shrinks wherever the number of "
            "channels changes.",
            [_init(nn.init.kaiming_normal_)],
        ),
        Mistake(
            "no-gain",
            "Your weights are too small by a factor of 1.41: nothing makes up for the half of the "
            "numbers that a ReLU sets to zero. Without batch norm, twenty layers shrink the gradient a "
            "thousandfold.",
            [_normal(lambda w: math.sqrt(1 / _fan_out(w)))],
        ),
        Mistake(
            "gain-too-large",
            "Your weights are too large by a factor of 1.41: without batch norm, twenty layers make the "
            "gradient a thousand times larger. The factor for the ReLU belongs to the variance; what is "
            "it for the standard deviation?",
            [_normal(lambda w: 2 * math.sqrt(1 / _fan_out(w)))],
        ),
        Mistake(
            "variance-as-std",
            "Your standard deviation has the value that the variance should have. With kernels of 3x3 "
            "and 64 channels, your weights are at least 17 times too small: without batch norm, a few "
            "layers make the gradient vanish.",
            [_normal(lambda w: 2 / _fan_out(w)), _normal(lambda w: 1 / _fan_out(w))],
        ),
        Mistake(
            "no-kernel-area",
            "You count channels, but not all places of the kernel. A number takes part in a sum for "
            "each place: with kernels of 3x3 your variance is several times too large, and without "
            "batch norm the gradient explodes.",
            [
                _normal(lambda w: math.sqrt(2 / w.shape[0])),
                _normal(lambda w: math.sqrt(2 / (w.shape[0] * w.shape[2]))),
                _normal(lambda w: math.sqrt(2 / w.shape[1])),
            ],
        ),
        Mistake(
            "all-weights-counted",
            "You divide by the number of all weights of the layer, which is more than fan-out. With 64 "
            "channels your weights are eight times too small: without batch norm, ten layers shrink the "
            "gradient a billionfold.",
            [_normal(lambda w: math.sqrt(2 / w.numel()))],
        ),
        Mistake(
            "xavier",
            "This is Glorot's (Xavier's) initialisation, which knows nothing of the ReLU. Without batch "
            "norm, each layer with as many channels out as in leaves 71% of the gradient: twenty layers "
            "leave a thousandth.",
            [_init(nn.init.xavier_normal_), _init(nn.init.xavier_uniform_)],
        ),
        Mistake(
            "uniform",
            "Your weights come from a uniform distribution, so that none lies beyond its border. The "
            "networks that you will compare with start from a normal one: yours would differ in more "
            "than you want to test.",
            [
                _init(partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="relu")),
                _init(nn.init.kaiming_uniform_),
                _init(lambda w: w.uniform_(-1, 1).mul_(math.sqrt(2 / _fan_out(w)))),
            ],
        ),
        Mistake(
            "not-centred",
            "All your weights are positive: `rand` draws from 0 to 1. Behind a ReLU no number is "
            "negative either, so the terms of a sum never cancel, and without batch norm the numbers "
            "grow many times over in each layer.",
            [_init(lambda w: w.uniform_(0, 1).mul_(math.sqrt(2 / _fan_out(w))))],
        ),
        Mistake(
            "model-unchanged",
            "The model is as it was before, and no error says so: it would train from PyTorch's own "
            "weights. Did you change a copy, or make new numbers that never reach the weight?",
            [lambda model: None],
        ),
        Mistake(
            "top-level-only",
            "Convolutions inside other modules keep their old weights. A block is a module with modules "
            "inside, so in a network of blocks nearly all convolutions would be left out.",
            [lambda model: [_he(conv.weight) for conv in _convolutions(model.children())]],
        ),
        Mistake(
            "first-only",
            "Only the first convolution gets new weights. All the others keep those of PyTorch, and "
            "without batch norm they go on shrinking the gradient. Does the loop come to its end?",
            [lambda model: _he(_convolutions(model.modules())[0].weight)],
        ),
        Mistake(
            "some-kernels-only",
            "Convolutions of some kernel sizes keep their old weights. The gradient passes every layer "
            "on its way back, and a layer that was left out shrinks it, whatever its kernel.",
            [
                _init(_he, lambda conv: conv.kernel_size != (1, 1)),
                _init(_he, lambda conv: conv.kernel_size == (3, 3)),
            ],
        ),
        Mistake(
            "batch-norm-changed",
            "Your function also changes batch norm. Whoever wants new convolutions in a trained network "
            "would lose what its batch norms have learned, and no error says so.",
            [
                _he_and(
                    lambda bn: (nn.init.ones_(bn.weight), nn.init.zeros_(bn.bias)), nn.BatchNorm2d
                ),
                _he_and(lambda bn: bn.reset_parameters(), nn.BatchNorm2d),
            ],
        ),
        Mistake(
            "linear-changed",
            "Your function also changes linear layers. He's rule makes up for a ReLU, which the last "
            "layer does not have; and whoever wants new convolutions alone would lose what that layer "
            "has learned.",
            [
                _he_and(lambda linear: nn.init.normal_(linear.weight), nn.Linear),
                _he_and(lambda linear: linear.reset_parameters(), nn.Linear),
            ],
        ),
        Mistake(
            "everything-changed",
            "Your function changes batch norm and linear layers too. Whoever wants new convolutions "
            "alone would lose what all other layers have learned, and no error says so.",
            [
                _he_and(
                    lambda m: (nn.init.normal_(m.weight), nn.init.zeros_(m.bias)),
                    nn.BatchNorm2d,
                    nn.Linear,
                ),
                _he_and(lambda m: m.reset_parameters(), nn.BatchNorm2d, nn.Linear),
            ],
        ),
        Mistake(
            "new-parameters",
            "You put new parameters in the place of the old ones. An optimiser that was made before would "
            "go on training the old ones: write the numbers into those.",
            [_new_parameters],
        ),
        Mistake(
            "seeded-for-each-layer",
            "Layers of one shape get exactly the same weights, because the random numbers start anew "
            "for each. So a deeper network only begins with more copies of the same filters.",
            [_init(_seeded_each)],
        ),
        Mistake(
            "seeded-inside",
            "A second call gives the same weights again: the seed is set inside your function. That is "
            "for the caller to decide, who may want several models.",
            [_seeded],
        ),
    ),
)


# Task 2.3


def _gradient_norms(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, float]:
    return _measured(model, inputs, targets)


def _measured(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    read: Callable[[nn.Module], dict[str, Any]] | None = None,
    clear: str = "before and after",
) -> dict[str, Any]:
    """The reference, and with other arguments its wrong versions."""
    if "before" in clear:
        model.zero_grad()
    loss(model(inputs), targets).backward()
    norms = (read or _read())(model)
    if "after" in clear:
        model.zero_grad()
    return norms


def _read(
    measure: Callable[[Tensor], Any] = lambda gradient: gradient.norm().item(),
    kinds: tuple[type[nn.Module], ...] = (nn.Conv2d,),
    key: str = "{}",
) -> Callable[[nn.Module], dict[str, Any]]:
    """A function that reads the gradients off a model."""
    return lambda model: {
        key.format(name): measure(module.weight.grad)
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    }


def _version(**changes: Any) -> Answer:
    return partial(_measured, **changes)


def _parameter_norms(model: nn.Module) -> dict[str, float]:
    return {name: p.grad.norm().item() for name, p in model.named_parameters()}


def _read_first(
    model: nn.Module, inputs: Tensor, targets: Tensor, clear: bool = False
) -> dict[str, float]:
    if clear:
        model.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    norms = _read()(model)
    loss.backward()
    model.zero_grad()
    return norms


def _in_mode(mode: bool, back: bool) -> Answer:
    def version(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, float]:
        before = model.training
        model.train(mode)
        norms = _gradient_norms(model, inputs, targets)
        if back:
            model.train(before)
        return norms

    return version


def _reordered(order: Callable[[list[tuple[str, float]]], Iterable[tuple[str, float]]]) -> Answer:
    def version(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, float]:
        return dict(order(list(_gradient_norms(model, inputs, targets).items())))

    return version


def _with_step(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, float]:
    norms = _measured(model, inputs, targets, clear="before")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    model.zero_grad()
    return norms


class _Network(nn.Module):
    """A small network whose layers are not defined in the order of use, nor of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = nn.Conv2d(6, 5, 1)
        self.block = PlainBlock(4, 6, stride=2)
        self.stem = conv3x3(3, 4)
        self.fc = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.tail(self.block(self.stem(x))))
        return self.fc(x.mean((2, 3)))


def _observe_gradient_norms(answer: Answer, case: tuple[bool, bool], see: See) -> None:
    training, leftover = case
    model = _Network().train(training)
    inputs, targets = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 2, 1])
    if leftover:
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
    found = {name: p.grad.clone() for name, p in model.named_parameters() if leftover}
    given = inputs.clone()

    norms = answer(model, given, targets)
    if not issubclass(type(norms), dict):
        raise wrong_type(norms, "a dict of names and floats")
    items = [(k if type(k) is str else f"{type(k).__name__}", v) for k, v in dict.items(norms)]
    see("names", tuple(name for name, _ in items))
    for name, value in items:
        _see_number(name, value, see)

    see("inputs, afterwards", given)
    see("mode of the model, afterwards", "train" if model.training else "eval")
    stepped = any(not p.equal(parameters[name]) for name, p in model.named_parameters())
    see("weights, afterwards", "changed" if stepped else "unchanged")
    # Gradients that an earlier pass has left may stay: autograd.grad does not touch them.
    left = any(
        p.grad is not None and p.grad.any() and not (leftover and p.grad.equal(found[name]))
        for name, p in model.named_parameters()
    )
    see("gradients of the model, afterwards", "some" if left else "none")


def _see_number(name: str, value: Any, see: See) -> None:
    kind = type(value)
    is_tensor = issubclass(kind, Tensor)
    see(f"type of the value of {name}", "float" if issubclass(kind, Real) else kind.__name__)
    if issubclass(kind, Real) or (is_tensor and value.numel() == 1):
        see(f"norm of {name}", float(value))


gradient_norms = Check(
    signature="gradient_norms(model, inputs, targets)",
    reference=_gradient_norms,
    observe=_observe_gradient_norms,
    cases={
        "a model in train mode, inputs, targets": (True, False),
        "a model in eval mode, inputs, targets": (False, False),
        "a model with gradients of an earlier pass, inputs, targets": (True, True),
    },
    mistakes=(
        Mistake(
            "read-before-backward",
            "Where you read a gradient there is none, or an old one. Gradients are made by the backward "
            "pass, not before, and lie on the parameters themselves.",
            [_read_first, partial(_read_first, clear=True)],
        ),
        Mistake(
            "gradients-added-up",
            "Where the model still had gradients of an earlier pass, yours are added to them. PyTorch "
            "adds up until it is told to begin anew, so you measure two passes as if they were one.",
            [_version(clear="after")],
        ),
        Mistake(
            "gradients-left",
            "The numbers are right, but the model keeps its gradients. The next training step would add "
            "its own to them.",
            [_version(clear="before")],
        ),
        Mistake(
            "gradients-never-cleared",
            "Nothing clears the gradients. Those of an earlier pass are added to yours, so a second "
            "measurement gives other norms, and the next training step would go by all of them "
            "together.",
            [_version(clear="never")],
        ),
        Mistake(
            "no-square-root",
            "You sum the squares, but take no root. A norm is a length: a gradient twice as long would "
            "count four times, and every slope in the picture would be twice as steep.",
            [_version(read=_read(lambda g: g.pow(2).sum().item()))],
        ),
        Mistake(
            "l1-norm",
            "You sum the absolute values, which is the L1 norm. It grows faster with the size of a "
            "layer: four times as many entries of the same size count four times, where the length of "
            "the vector only doubles.",
            [_version(read=_read(lambda g: g.abs().sum().item()))],
        ),
        Mistake(
            "mean-of-gradients",
            "You take a mean over the gradient's entries. So a large layer seems to get less than a "
            "small one that is asked to move as far; and in a plain mean, positive and negative entries "
            "cancel.",
            [
                _version(read=_read(lambda g: g.mean().item())),
                _version(read=_read(lambda g: g.abs().mean().item())),
                _version(read=_read(lambda g: g.pow(2).mean().sqrt().item())),
                _version(read=_read(lambda g: g.pow(2).mean().item())),
                _version(read=_read(lambda g: (g.norm() / g.numel()).item())),
            ],
        ),
        Mistake(
            "largest-entry",
            "You take the largest entry of the gradient. One entry then speaks for the whole layer, and "
            "it does not show whether thousands of others are large or zero.",
            [
                _version(read=_read(lambda g: g.abs().max().item())),
                _version(read=_read(lambda g: g.max().item())),
            ],
        ),
        Mistake(
            "standard-deviation",
            "You take the standard deviation of the gradient's entries. It leaves out what they have in "
            "common and divides by their number, so a large layer seems to get less than it does.",
            [_version(read=_read(lambda g: g.std().item()))],
        ),
        Mistake(
            "norm-of-weights",
            "You measure the weights themselves. They are the same whatever the images and the loss, so "
            "they cannot say how strongly a layer is asked to change.",
            [
                _version(
                    read=lambda model: {
                        name: m.weight.norm().item()
                        for name, m in model.named_modules()
                        if isinstance(m, nn.Conv2d)
                    }
                )
            ],
        ),
        Mistake(
            "parameter-names",
            "Your names are those of the parameters. Whoever looks a layer up by the name that it has "
            "in `model.named_modules()` finds nothing in your dictionary.",
            [_version(read=_read(key="{}.weight"))],
        ),
        Mistake(
            "all-parameters",
            "Your dictionary holds parameters of other layers, or biases. Their norms are of another "
            "size for reasons that have nothing to do with depth, and hide how the gradient changes "
            "from one convolution to the next.",
            [
                _version(read=_parameter_norms),
                _version(
                    read=lambda model: {
                        name: norm
                        for name, norm in _parameter_norms(model).items()
                        if name.endswith("weight")
                    }
                ),
                _version(
                    read=lambda model: {
                        name: p.grad.norm().item()
                        for name, p in model.named_parameters()
                        if p.dim() > 1
                    }
                ),
                _version(read=_read(kinds=(nn.Conv2d, nn.Linear))),
                _version(read=_read(kinds=(nn.Conv2d, nn.Linear, nn.BatchNorm2d))),
                _version(read=_read(kinds=(nn.Conv2d, nn.BatchNorm2d))),
            ],
        ),
        Mistake(
            "bias-included",
            "Where a convolution has a bias, your number includes the bias's gradient. So a network "
            "with biases and one without can no longer be compared.",
            [
                _version(
                    read=lambda model: {
                        name: math.hypot(*(p.grad.norm().item() for p in m.parameters()))
                        for name, m in model.named_modules()
                        if isinstance(m, nn.Conv2d)
                    }
                ),
                _version(
                    read=lambda model: {
                        name: sum(p.grad.norm().item() for p in m.parameters())
                        for name, m in model.named_modules()
                        if isinstance(m, nn.Conv2d)
                    }
                ),
            ],
        ),
        Mistake(
            "top-level-only",
            "Convolutions inside other modules are missing. A block is a module with modules inside, so "
            "in a network of blocks nearly all of the picture would be empty.",
            [
                _version(
                    read=lambda model: {
                        name: m.weight.grad.norm().item()
                        for name, m in model.named_children()
                        if isinstance(m, nn.Conv2d)
                    }
                )
            ],
        ),
        Mistake(
            "values-are-tensors",
            "The values are tensors. What you measure is to be printed, compared and written into "
            "files, and that wants plain numbers: Python's `json`, for one, refuses a tensor.",
            [_version(read=_read(torch.Tensor.norm))],
        ),
        Mistake(
            "softmax-first",
            "You put a softmax in front of the cross-entropy, which has its own. Twice softmax makes the "
            "gradient small and wrong.",
            [
                _version(loss=lambda logits, y: F.cross_entropy(logits.softmax(1), y)),
            ],
        ),
        Mistake(
            "no-log-softmax",
            "`nll_loss` takes log-probabilities, and your model gives logits. Such a loss looks at the "
            "right class alone: it pushes that logit up by the same amount, however sure the network is "
            "already.",
            [_version(loss=F.nll_loss)],
        ),
        Mistake(
            "sum-over-batch",
            "Your loss is a sum over the batch. PyTorch's cross-entropy is by default a mean, so that its "
            "gradient does not grow with the batch.",
            [_version(loss=partial(F.cross_entropy, reduction="sum"))],
        ),
        Mistake(
            "mode-changed",
            "Your function switches the model to train or eval mode. Batch norm uses other statistics "
            "there, so you measure other gradients; and a model left in another mode goes on "
            "differently than its owner expects.",
            [_in_mode(mode, back) for mode in (True, False) for back in (True, False)],
        ),
        Mistake(
            "weights-changed",
            "Your function makes a training step: the weights have changed. A second measurement would "
            "look at another network, and whoever trains the model gets a step that nobody asked for.",
            [_with_step],
        ),
        Mistake(
            "other-order",
            "The names are the right ones, in another order. A picture is drawn from the first layer to "
            "the last: in another order, a gradient that falls evenly would seem to jump, or to rise.",
            [_reordered(sorted), _reordered(reversed)],
        ),
    ),
)
