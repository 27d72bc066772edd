"""Measurements, against autograd, closed forms and the counts of other people."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_edu.measure import (
    ACTIVATIONS,
    DEPTHS,
    INITIALISATIONS,
    KERNELS,
    NORMALISATIONS,
    FlowSetting,
    LayerSignal,
    Signals,
    anatomy,
    convolution,
    flow_network,
    gradient_flow,
    signals,
)
from resnet_edu.networks import (
    cifar_plain,
    cifar_resnet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# Models are left as they were found


def snapshot(model):
    """Everything of a model that a measurement could disturb."""
    return {
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "identities": {n: id(p) for n, p in [*model.named_parameters(), *model.named_buffers()]},
        "gradients": {
            n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()
        },
        "requires_grad": {n: p.requires_grad for n, p in model.named_parameters()},
        "modes": {n: m.training for n, m in model.named_modules()},
        "hooks": {
            n: [list(v) for k, v in vars(m).items() if k.endswith("_hooks")]
            for n, m in model.named_modules()
        },
    }


def assert_as_found(model, before):
    after = snapshot(model)
    assert after.keys() == before.keys()
    for what in ("identities", "requires_grad", "modes", "hooks"):
        assert after[what] == before[what], what
    torch.testing.assert_close(after["state"], before["state"], rtol=0, atol=0)
    for name, gradient in before["gradients"].items():
        if gradient is None:
            assert after["gradients"][name] is None, name
        else:
            assert torch.equal(after["gradients"][name], gradient), name


def lived_in_model():
    """A network in the middle of its life: mixed modes, gradients, frozen weights, a hook."""
    model = cifar_resnet(8)
    F.cross_entropy(model(torch.randn(8, 3, 16, 16)), torch.arange(8)).backward()
    model.layer2.eval()
    model.layer1.requires_grad_(False)
    model.conv1.weight.grad = None
    model.calls = []
    model.layer3.register_forward_hook(lambda *_: model.calls.append("hook"))
    return model


MEASUREMENTS = {
    "anatomy": lambda model: anatomy(model, 16),
    "signals": lambda model: signals(model, torch.randn(8, 3, 16, 16), torch.arange(8)),
}
every_measurement = pytest.mark.parametrize(
    "measure", MEASUREMENTS.values(), ids=MEASUREMENTS.keys()
)


@every_measurement
@pytest.mark.parametrize("mode", ["mixed", "train", "eval"])
def test_a_measurement_leaves_the_model_as_it_was_found(measure, mode):
    model = lived_in_model()
    if mode != "mixed":
        model.train(mode == "train")
    before = snapshot(model)
    measure(model)

    assert_as_found(model, before)
    assert model.calls == ["hook"], "the learner's own hook went on working"


@every_measurement
@pytest.mark.parametrize("where", ["conv1", "layer2.0.bn1", "fc"])
def test_also_after_an_error(measure, where):
    model = lived_in_model()

    def fail(*_):
        raise ArithmeticError("in the middle")

    model.get_submodule(where).register_forward_hook(fail)
    before = snapshot(model)
    with pytest.raises(ArithmeticError, match="in the middle"):
        measure(model)

    assert_as_found(model, before)


def test_also_after_wrong_targets():
    model = lived_in_model()
    before = snapshot(model)
    with pytest.raises((IndexError, ValueError, RuntimeError)):
        signals(model, torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 10]))

    assert_as_found(model, before)


@every_measurement
def test_a_measurement_works_where_gradients_are_switched_off(measure):
    model = lived_in_model()
    with torch.no_grad():
        measured = measure(model)
        assert not torch.is_grad_enabled()

    assert len(measured.layers) > 0


@pytest.mark.parametrize(
    "record",
    [
        anatomy(cifar_plain(8), 16),
        signals(cifar_plain(8), torch.randn(4, 3, 16, 16), torch.arange(4)),
        convolution(torch.rand(1, 4, 4), KERNELS["Blur"]),
        FlowSetting(),
    ],
    ids=lambda record: type(record).__name__,
)
def test_records_are_frozen(record):
    field = dataclasses.fields(record)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, field, None)


# Anatomy


NETWORKS = {
    "cifar_plain(8)": (lambda: cifar_plain(8), 32),
    "cifar_resnet(20)": (lambda: cifar_resnet(20), 32),
    "resnet18": (resnet18, 64),
    "resnet50": (resnet50, 96),
    "resnet50, 2015": (lambda: resnet50(stride_in_1x1=True), 65),
}


@pytest.mark.parametrize(("make", "size"), NETWORKS.values(), ids=NETWORKS.keys())
def test_anatomy_shows_what_every_layer_gives_in_a_real_run(make, size):
    model = make().eval()
    expected = []
    for name, m in model.named_modules():
        if not list(m.children()):
            m.register_forward_hook(
                lambda m, _, out, n=name: expected.append((n, type(m).__name__, out.shape[1:]))
            )
    record = anatomy(model, size)
    del expected[:]
    with torch.no_grad():
        model(torch.randn(1, 3, size, size))

    assert [(x.name, x.kind, x.output_shape) for x in record.layers] == expected
    assert (record.network, record.image_size) == (type(model).__name__, size)


@pytest.mark.parametrize(("make", "size"), NETWORKS.values(), ids=NETWORKS.keys())
def test_anatomy_counts_parameters_and_multiply_adds_of_each_layer(make, size):
    model = make()
    record = anatomy(model, size)

    for layer in record.layers:
        module = model.get_submodule(layer.name)
        assert layer.parameters == sum(p.numel() for p in module.parameters()), layer.name
        cost = 0
        if isinstance(module, nn.Conv2d):
            _, inputs, height, width = module.weight.shape
            cost = math.prod(layer.output_shape) * inputs * height * width
        elif isinstance(module, nn.Linear):
            cost = module.in_features * module.out_features
        assert layer.multiply_adds == cost, layer.name

    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.randn(1, 3, size, size))
    assert record.multiply_adds == counter.get_total_flops() // 2
    assert record.parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "parameters", "giga"),
    [
        (resnet18, 11_689_512, 1.814),
        (resnet34, 21_797_672, 3.664),
        (resnet50, 25_557_032, 4.089),
        (resnet101, 44_549_160, 7.801),
        (resnet152, 60_192_808, 11.514),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_the_standard_networks_count_what_torchvision_says(make, parameters, giga):
    with torch.device("meta"):
        record = anatomy(make())

    assert record.image_size == 224
    assert record.parameters == parameters
    assert record.multiply_adds / 1e9 == pytest.approx(giga, abs=5e-4)


def test_anatomy_follows_one_image_down_to_a_single_pixel():
    """In training mode, batch norm refuses the one number per channel that is left."""
    last = anatomy(resnet18(width=4).train(), 32).layers[-3]

    assert last.output_shape == (32, 1, 1)


def test_a_layer_used_twice_is_seen_twice_and_its_weights_counted_once():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    record = anatomy(nn.Sequential(conv, nn.ReLU(), conv), 8)

    assert [layer.kind for layer in record.layers] == ["Conv2d", "ReLU", "Conv2d"]
    assert [layer.parameters for layer in record.layers] == [84, 0, 0]
    assert [layer.multiply_adds for layer in record.layers] == [8 * 8 * 81, 0, 8 * 8 * 81]
    assert [layer.receptive_field for layer in record.layers] == [3, 3, 5]


def reach_of_the_gradient(model, names, size):
    """Side of the square of the image that the middle output of each layer depends on."""
    image = torch.ones(1, 3, size, size, dtype=torch.double, requires_grad=True)
    outputs = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _m, _x, out, n=name: outputs.update({n: out})
        )
    model(image)
    sides = {}
    for name, out in outputs.items():
        middle = out[..., out.shape[2] // 2, out.shape[3] // 2].sum()
        (gradient,) = torch.autograd.grad(middle, image, retain_graph=True)
        rows, columns = (gradient != 0).any(1).squeeze(0).nonzero().T
        edge = (rows.min(), columns.min(), size - 1 - rows.max(), size - 1 - columns.max())
        assert min(edge) > 0, "the image is too small: its edge cuts the square"
        sides[name] = (rows.max() - rows.min() + 1).item()
        assert sides[name] == columns.max() - columns.min() + 1
    return sides


def all_positive(model):
    """The same network where every path from an input pixel to an output counts."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        if isinstance(getattr(module, "maxpool", None), nn.MaxPool2d):
            module.maxpool = nn.AvgPool2d(3, stride=2, padding=1)  # the maximum hides eight of nine
    return model.double().eval()


@pytest.mark.parametrize(
    ("make", "size", "step"),
    [
        (lambda: cifar_plain(8), 96, 1),
        (lambda: cifar_resnet(14), 128, 8),
        (lambda: resnet18(width=1), 512, 11),
        (lambda: resnet50(width=1), 512, 79),
        (lambda: resnet50(width=1, stride_in_1x1=True), 600, 79),
    ],
    ids=["plain-8", "resnet-14", "18", "50", "50-2015"],
)
def test_receptive_field_is_the_reach_of_the_gradient(make, size, step):
    record = anatomy(make(), size)
    before_head = [x for x in record.layers if x.name not in ("avgpool", "fc")]
    fields = {x.name: x.receptive_field for x in [*before_head[::step], before_head[-1]]}

    assert fields == reach_of_the_gradient(all_positive(make()), fields, size)
    assert record.receptive_field == max(x.receptive_field for x in before_head)
    assert [x.receptive_field for x in record.layers if x not in before_head] == [None, None]


class Squeezed(nn.Module):
    """A block whose maps are multiplied by what all of its places say (squeeze-and-excitation)."""

    def __init__(self, block, pool):
        super().__init__()
        self.block, self.pool = block, pool
        self.squeeze = nn.Conv2d(block.out_channels, 2, 1)
        self.excite = nn.Conv2d(2, block.out_channels, 1)
        self.gate, self.last = nn.Sigmoid(), nn.Identity()

    def forward(self, x):
        x = self.block(x)
        return self.last(x * self.gate(self.excite(self.squeeze(self.pool(x)))))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1), Mean()])
@pytest.mark.parametrize("place", ["layer1.0", "layer3.0"])
def test_behind_a_block_that_pools_over_all_places_each_place_sees_the_whole_image(pool, place):
    model = cifar_resnet(8)
    whole = {layer.name: layer.receptive_field for layer in anatomy(model, 32).layers}
    model.set_submodule(place, Squeezed(model.get_submodule(place), pool))
    record = anatomy(model, 32)
    fields = {layer.name: layer.receptive_field for layer in record.layers}
    names = list(fields)
    before = names[: names.index(f"{place}.block.relu2") + 1]

    assert record.receptive_field is None
    assert {fields[name] for name in names if name not in before} == {None}
    assert [fields[name] for name in before] == list(whole.values())[: len(before)]


def test_without_a_head_too_such_a_block_sees_what_the_gradient_reaches():
    torch.manual_seed(0)
    model = Squeezed(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1))

    assert anatomy(model, 16).receptive_field is None

    image = torch.rand(1, 3, 16, 16, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.double()(image)[0, 0, 7, 7], image)
    assert (gradient != 0).all()


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3)], 5),  # no head
        ([nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1)], 3),
        ([nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5)], 3),
        ([nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 14 * 14, 5)], 3),
        ([nn.Conv2d(3, 2, 3), Mean(), nn.Conv2d(2, 2, 1), Mean()], 3),
    ],
)
def test_receptive_field_in_front_of_heads_of_all_kinds(layers, field):
    assert anatomy(nn.Sequential(*layers), 16).receptive_field == field


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 3, 5)],
        [nn.Conv2d(3, 3, 3, dilation=3)],
        [nn.Conv2d(3, 3, 3, stride=2), nn.Conv2d(3, 3, 3, dilation=2), nn.Conv2d(3, 3, 1)],
        [nn.AvgPool2d(2), nn.Conv2d(3, 3, 3)],
        [nn.AvgPool2d(3, stride=1), nn.AvgPool2d(2, 2), nn.Conv2d(3, 3, 3, stride=3), nn.AvgPool2d(2)],
        [nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Sigmoid(), nn.Conv2d(3, 3, 3)],
    ],
    ids=lambda layers: "-".join(type(m).__name__ for m in layers),
)  # fmt: skip
def test_receptive_field_of_rows_of_layers(layers):
    record = anatomy(nn.Sequential(*copy.deepcopy(layers)), 64)
    fields = {layer.name: layer.receptive_field for layer in record.layers}

    assert fields == reach_of_the_gradient(all_positive(nn.Sequential(*layers)), fields, 64)


@pytest.mark.parametrize(
    ("pool", "field"),
    [
        (nn.MaxPool2d(3, stride=2, padding=1), 3 + 2 * 2),
        (nn.MaxPool2d(2), 2 + 2 * 2),
        (nn.MaxPool2d(2, stride=1), 2 + 2),
        (nn.MaxPool2d(2, stride=1, dilation=3), 4 + 2),
    ],
)
def test_receptive_field_behind_max_pooling(pool, field):
    record = anatomy(nn.Sequential(pool, nn.Conv2d(3, 3, 3)), 32)

    assert record.layers[-1].receptive_field == field


def test_where_two_paths_meet_the_wider_counts():
    class TwoPaths(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(3, 3, 7, padding=3), nn.Conv2d(3, 3, 3, padding=1)
            self.last = nn.Identity()

        def forward(self, x):
            return self.last(self.wide(x) + self.narrow(x))

    assert [x.receptive_field for x in anatomy(TwoPaths(), 16).layers] == [7, 3, 7]


# Signals


def oracle_signals(model, inputs, targets):
    """The same measurement by plain autograd, on a copy."""
    model = copy.deepcopy(model).train().requires_grad_()
    model.zero_grad()
    scales = {}
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    for name, m in convolutions.items():
        m.register_forward_pre_hook(
            lambda _, x, n=name: scales.update({n: x[0].double().pow(2).mean().sqrt().item()})
        )
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    gradients = {
        n: m.weight.grad.double().pow(2).sum().sqrt().item() for n, m in convolutions.items()
    }
    return loss.item(), scales, gradients


@pytest.mark.parametrize(
    ("make", "size"),
    [(lambda: cifar_plain(8), 16), (lambda: cifar_resnet(14), 16), (lambda: resnet50(width=8), 64)],
    ids=["plain-8", "resnet-14", "50"],
)
@pytest.mark.parametrize("training", [True, False])
def test_signals_are_those_of_plain_autograd_in_training_mode(make, size, training):
    model = make().train(training)
    inputs, targets = torch.rand(8, 3, size, size), torch.randint(10, (8,))
    loss, scales, gradients = oracle_signals(model, inputs, targets)

    measured = signals(model, inputs, targets)

    assert measured.loss == pytest.approx(loss, rel=1e-5)
    assert [x.name for x in measured.layers] == list(scales)
    for layer in measured.layers:
        assert layer.activation_scale == pytest.approx(scales[layer.name], rel=1e-4), layer.name
        assert layer.gradient_norm == pytest.approx(gradients[layer.name], rel=1e-3), layer.name


def test_signals_of_a_linear_network_have_a_closed_form():
    """Two 1x1 convolutions a and b on one pixel of ones: the logits are b a 1."""
    model = nn.Sequential(
        nn.Conv2d(3, 1, 1, bias=False), nn.Conv2d(1, 2, 1, bias=False), nn.Flatten()
    )
    with torch.no_grad():
        model[0].weight.fill_(0.5)
        model[1].weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
    measured = signals(model, torch.ones(1, 3, 1, 1), torch.tensor([0]))

    # Between the two flows 3 * 0.5; the logits are 1.5 and -1.5.
    wrong = 1 / (1 + math.exp(3))  # probability of the wrong class
    first, last = measured.layers
    assert measured.loss == pytest.approx(-math.log(1 - wrong), rel=1e-5)
    assert (first.activation_scale, last.activation_scale) == (1, 1.5)
    assert first.gradient_norm == pytest.approx(2 * wrong * math.sqrt(3), rel=1e-5)
    assert last.gradient_norm == pytest.approx(1.5 * wrong * math.sqrt(2), rel=1e-5)
    assert measured.gradient_ratio == pytest.approx(2 * math.sqrt(3) / (1.5 * math.sqrt(2)))


def test_ratios_compare_the_first_and_last_layer():
    def record(*pairs):
        return Signals(1.0, tuple(LayerSignal(str(i), a, g) for i, (a, g) in enumerate(pairs)))

    assert record((9, 2), (4, 7), (8, 16)).gradient_ratio == 2 / 16
    assert record((9, 2), (4, 7), (8, 16)).activation_ratio == 8 / 4
    assert record((9, 0), (4, 7), (0, 16)).gradient_ratio == 0
    assert record((9, 0), (4, 7), (0, 16)).activation_ratio == 0
    assert math.isnan(record((9, 0), (0, 7), (0, 0)).gradient_ratio)
    assert math.isnan(record((9, 0), (0, 7), (0, 0)).activation_ratio)


@pytest.mark.parametrize("model", [nn.Linear(3, 2), nn.Sequential(nn.Conv2d(3, 2, 1))])
def test_signals_needs_two_convolutions_and_says_so(model):
    name = type(model).__name__
    with pytest.raises(ValueError, match=rf"two convolutions.*this {name} has\s+[01]"):
        signals(model, torch.randn(2, 3, 1, 1), torch.tensor([0, 1]))


# Gradient flow


def batch(size=32, n=16):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(n, 3, size, size, generator=generator)
    return images, torch.randint(10, (n,), generator=generator)


def test_the_depths_are_those_of_the_cifar_form_from_8_to_56():
    assert tuple(6 * n + 2 for n in range(1, 10)) == DEPTHS


@pytest.mark.parametrize("depth", [8, 20])
@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_a_flow_network_has_the_ingredients_asked_for(
    depth, activation, initialisation, normalisation, shortcut
):
    setting = FlowSetting(depth, activation, initialisation, normalisation, shortcut)
    model = flow_network(setting)
    modules = list(model.modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]

    assert len(convolutions) == depth - 1
    kinds = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    for name, kind in kinds.items():
        expected = depth - 1 if name == activation else 0
        assert sum(isinstance(m, kind) for m in modules) == expected, name

    normalised = normalisation == "batch norm"
    assert sum(isinstance(m, nn.BatchNorm2d) for m in modules) == (depth - 1) * normalised
    assert [conv.bias is None for conv in convolutions] == [normalised] * (depth - 1)
    if not normalised:
        zero = [bool(conv.bias.eq(0).all()) for conv in convolutions]
        assert zero == [initialisation != "PyTorch default"] * (depth - 1)
    assert any(hasattr(m, "downsample") for m in modules) == shortcut

    for conv in convolutions:
        fan_in, fan_out = 9 * conv.in_channels, 9 * conv.out_channels
        variance = {
            "He": 2 / fan_out,
            "Xavier": 2 / (fan_in + fan_out),
            "PyTorch default": 1 / (3 * fan_in),
        }[initialisation]
        error = 5 / math.sqrt(2 * conv.weight.numel())  # five standard errors
        assert conv.weight.std().item() == pytest.approx(math.sqrt(variance), rel=error)
    assert model.eval()(torch.rand(2, 3, 16, 16)).shape == (2, 10)


@pytest.mark.parametrize("initialisation", INITIALISATIONS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_flow_network_depends_on_its_seed_alone(initialisation, normalisation):
    setting = FlowSetting(8, initialisation=initialisation, normalisation=normalisation)
    before = torch.get_rng_state()
    first = flow_network(setting, seed=3).state_dict()

    assert torch.equal(torch.get_rng_state(), before), "the learner's own random numbers go on"
    torch.manual_seed(99)
    again = flow_network(setting, seed=3).state_dict()
    other = flow_network(setting, seed=4).state_dict()
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    assert not torch.equal(other["conv1.weight"], first["conv1.weight"])
    default = flow_network(setting).state_dict()
    assert torch.equal(
        default["fc.weight"], flow_network(setting, seed=0).state_dict()["fc.weight"]
    )


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_plain_and_residual_flow_networks_start_from_the_same_weights(normalisation):
    plain, residual = (
        flow_network(FlowSetting(20, normalisation=normalisation, shortcut=shortcut))
        for shortcut in (False, True)
    )

    torch.testing.assert_close(residual.state_dict(), plain.state_dict(), rtol=0, atol=0)
    x = torch.rand(2, 3, 16, 16)
    assert not torch.allclose(plain(x), residual(x))


def test_gradient_flow_is_the_signals_of_the_flow_network():
    setting = FlowSetting(8, "tanh", "Xavier", "none", shortcut=True)
    images, labels = batch(16)

    measured = gradient_flow(setting, images, labels, seed=5)

    assert measured == signals(flow_network(setting, seed=5), images, labels)
    assert measured != gradient_flow(setting, images, labels, seed=6)
    assert gradient_flow(setting, images, labels) == gradient_flow(setting, images, labels, seed=0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("setting", "low", "high"),
    [
        (FlowSetting(20, "ReLU", "PyTorch default", "none", False), 1e-10, 1e-5),
        (FlowSetting(20, "ReLU", "PyTorch default", "none", True), 0.05, 20),
        (FlowSetting(20, "ReLU", "He", "none", False), 0.01, 5),
        (FlowSetting(20, "ReLU", "He", "batch norm", False), 1, 100),
        (FlowSetting(20, "ReLU", "He", "batch norm", True), 0.3, 20),
        (FlowSetting(20, "sigmoid", "PyTorch default", "none", False), 1e-22, 1e-11),
        (FlowSetting(56, "ReLU", "PyTorch default", "none", False), 0, 1e-18),
        (FlowSetting(56, "ReLU", "He", "batch norm", False), 30, 1e5),
    ],
    ids=lambda x: str(dataclasses.astuple(x)) if dataclasses.is_dataclass(x) else "",
)
def test_gradients_vanish_explode_or_stay_as_the_lesson_says(setting, low, high, seed):
    ratio = gradient_flow(setting, *batch(), seed=seed).gradient_ratio

    assert low <= ratio <= high


def test_shortcuts_without_batch_norm_blow_up_the_activations():
    naive, cured = (
        gradient_flow(FlowSetting(56, normalisation=n, shortcut=True), *batch())
        for n in ("none", "batch norm")
    )

    assert naive.activation_ratio > 1000
    assert naive.loss > 1000
    assert cured.activation_ratio < 10
    assert cured.loss < 10


@pytest.mark.parametrize(
    ("wrong", "value", "known"),
    [
        ("activation", "relu", "ReLU, tanh, sigmoid"),
        ("initialisation", "Kaiming", "He, Xavier, PyTorch default"),
        ("normalisation", "batchnorm", "batch norm, none"),
        ("normalisation", None, "batch norm, none"),
    ],
)
def test_an_unknown_ingredient_is_refused_and_the_known_ones_named(wrong, value, known):
    with pytest.raises(ValueError, match=f"no {wrong} {value!r}.*{known}"):
        FlowSetting(**{wrong: value})


@pytest.mark.parametrize("depth", [7, 21, "20"])
def test_a_depth_of_another_form_is_refused(depth):
    with pytest.raises(ValueError, match=r"6n \+ 2"):
        flow_network(FlowSetting(depth))


# Convolution


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolution_is_the_sum_under_the_sliding_kernel(name, stride, padding, dilation):
    image, kernel = torch.rand(3, 13, 16), KERNELS[name]
    record = convolution(image, kernel, stride, padding, dilation)

    span = dilation * (len(kernel) - 1) + 1
    grey = image.numpy().mean(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(grey, padding), (span, span))
    windows = windows[::stride, ::stride, ::dilation, ::dilation]
    expected = (windows * kernel).sum(axis=(2, 3))

    assert record.output.shape == tuple((n + 2 * padding - span) // stride + 1 for n in (13, 16))
    np.testing.assert_allclose(record.output, expected, atol=1e-5)
    np.testing.assert_allclose(record.image, grey, atol=1e-6)
    assert record.span == span
    assert (record.stride, record.padding, record.dilation) == (stride, padding, dilation)
    np.testing.assert_array_equal(record.kernel, kernel)


def test_convolution_moves_by_one_pixel_without_padding_unless_told_otherwise():
    image = torch.rand(1, 6, 7)
    record = convolution(image, KERNELS["Identity"])

    np.testing.assert_array_equal(record.output, image[0, 1:-1, 1:-1].numpy())


def test_the_image_is_not_changed_and_not_shared():
    image = torch.rand(1, 6, 6)
    before = image.clone()
    record = convolution(image, KERNELS["Blur"])
    record.image[:] = 0

    assert torch.equal(image, before)


def test_kernels_do_what_their_names_say():
    flat = torch.full((1, 9, 9), 0.5)
    ramp = torch.linspace(0, 1, 9).expand(1, 9, 9)  # brighter to the right
    noise = torch.rand(1, 32, 32)

    for name in ("Identity", "Blur", "Sharpen", "Wide blur (5x5)"):
        np.testing.assert_allclose(convolution(flat, KERNELS[name]).output, 0.5, atol=1e-6)
    for name in ("Vertical edges", "Horizontal edges"):
        np.testing.assert_allclose(convolution(flat, KERNELS[name]).output, 0, atol=1e-6)
    np.testing.assert_allclose(convolution(ramp, KERNELS["Vertical edges"]).output, 0.25, atol=1e-6)
    np.testing.assert_allclose(convolution(ramp, KERNELS["Horizontal edges"]).output, 0, atol=1e-6)
    np.testing.assert_allclose(
        convolution(ramp.mT, KERNELS["Horizontal edges"]).output, 0.25, atol=1e-6
    )
    deviation = {name: convolution(noise, KERNELS[name]).output.std() for name in KERNELS}
    assert deviation["Wide blur (5x5)"] < deviation["Blur"] < deviation["Identity"]
    assert deviation["Identity"] < deviation["Sharpen"]


@pytest.mark.parametrize("shape", [(8, 8), (1, 3, 8, 8)])
def test_convolution_refuses_images_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"\(C, H, W\), not"):
        convolution(torch.rand(shape), KERNELS["Blur"])


@pytest.mark.parametrize(("padding", "dilation", "span", "side"), [(0, 2, 5, 4), (1, 3, 7, 6)])
def test_convolution_refuses_a_kernel_larger_than_the_image(padding, dilation, span, side):
    with pytest.raises(ValueError, match=f"spans {span} pixels.*only {side}"):
        convolution(torch.rand(3, 4, 9), KERNELS["Blur"], padding=padding, dilation=dilation)


def test_convolution_takes_a_kernel_that_just_fits():
    record = convolution(torch.rand(3, 5, 9), KERNELS["Blur"], padding=1, dilation=3)

    assert record.output.shape == (1, 5)
