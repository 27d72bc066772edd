"""Weights by name, from Keras, and in files of our own. The download: test_imagenet_download.py."""

import collections
import copy
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from resnet_edu import networks
from resnet_edu.networks import cifar_resnet, resnet18, resnet50
from resnet_edu.weights import LoadError, LoadReport, from_keras, keras_name, load_by_name

os.environ.setdefault(
    "KERAS_BACKEND", "torch"
)  # read when keras is imported; else it wants TensorFlow


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def same(a, b):
    """Whether two state_dicts have the same names and bit for bit the same tensors (NaN equals NaN)."""
    return list(a) == list(b) and all(
        a[n].dtype == b[n].dtype and torch.equal(a[n].nan_to_num(7), b[n].nan_to_num(7)) for n in a
    )


@pytest.fixture
def model():
    return resnet18(num_classes=5, width=8)


@pytest.fixture
def others():
    """The weights of a network like `model`, all different from its own."""
    state = resnet18(num_classes=5, width=8).state_dict()
    return {n: t + torch.rand(t.shape).to(t.dtype) + 1 for n, t in state.items()}


def renamed(state, old, new):
    return {re.sub(old, new, name): tensor for name, tensor in state.items()}


# By name, against PyTorch's own loading


@pytest.mark.parametrize("strict", [True, False])
def test_weights_that_fit_are_loaded_as_pytorch_loads_them(model, others, strict):
    expected = copy.deepcopy(model)
    expected.load_state_dict(others)
    x = torch.randn(2, 3, 32, 32)

    report = load_by_name(model, others, strict=strict)

    assert report.is_complete
    assert report == LoadReport((), (), (), {})
    assert "fits" in str(report)
    assert same(model.state_dict(), others)
    assert torch.equal(model.eval()(x), expected.eval()(x))


def test_the_order_of_the_names_does_not_matter(model, others):
    load_by_name(model, dict(reversed(others.items())))

    assert same(model.state_dict(), others)


def test_torchvisions_weights_fit_ours():
    theirs = torchvision.models.resnet50(num_classes=10)
    ours = resnet50(num_classes=10)

    assert load_by_name(ours, theirs.state_dict()).is_complete
    assert same(ours.state_dict(), theirs.state_dict())


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "depth", [18, 34, 50, pytest.param(101, marks=SLOW), pytest.param(152, marks=SLOW)]
)
def test_our_weights_in_torchvisions_network_give_our_logits(depth):
    x = torch.randn(4, 3, 40, 40)
    ours = getattr(networks, f"resnet{depth}")(num_classes=10)
    for m in ours.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, std=0.2)
            m.momentum = None  # the statistics of x, from one pass
    with torch.no_grad():
        ours.train()(x)
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=10)

    assert load_by_name(theirs, ours.state_dict()).is_complete

    with torch.no_grad():
        logits, expected = theirs.eval()(x), ours.eval()(x)
    assert 0.1 < expected.std(0).mean() < 100, "images that are told apart make a fair comparison"
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_any_module_of_pytorch_can_be_loaded():
    model, state = nn.Linear(3, 2), {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}

    load_by_name(model, collections.OrderedDict(state))

    assert same(model.state_dict(), state)


def damaged(state):
    """`state` with one weight missing, two strangers, and a head for other classes."""
    state = {**state, "extra.scale": torch.ones(3), "conv9.weight": torch.ones(1, 2)}
    del state["layer2.0.conv1.weight"]
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 64), torch.zeros(7)
    return state


def test_what_does_not_fit_is_reported_as_pytorch_reports_it(model, others):
    given = damaged(others)
    headless = {n: t for n, t in given.items() if not n.startswith("fc.")}
    expected = copy.deepcopy(model).load_state_dict(headless, strict=False)

    report = load_by_name(model, given, strict=False)

    assert not report.is_complete
    assert report.missing == ("layer2.0.conv1.weight",)
    assert {*report.missing, "fc.weight", "fc.bias"} == set(expected.missing_keys)
    assert list(report.unexpected) == expected.unexpected_keys == ["extra.scale", "conv9.weight"]
    assert report.wrong_shape == (("fc.weight", (5, 64), (7, 64)), ("fc.bias", (5,), (7,)))
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.weight"):
        copy.deepcopy(model).load_state_dict(given, strict=False)


def test_strict_loading_changes_nothing_where_something_does_not_fit(model, others):
    before = copy.deepcopy(model.state_dict())

    with pytest.raises(LoadError, match="nothing was loaded") as error:
        load_by_name(model, damaged(others))

    assert same(model.state_dict(), before)
    assert error.value.report == load_by_name(model, damaged(others), strict=False)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda s: s.pop("fc.bias"), "missing (1): fc.bias"),
        (lambda s: s.update(more=torch.ones(1)), "unexpected (1): more"),
        (
            lambda s: s.update({"fc.bias": torch.ones(9)}),
            "wrong shape (1): fc.bias: expected (5,), got (9,)",
        ),
    ],
)
def test_one_thing_that_does_not_fit_is_enough_and_is_named(model, others, spoil, says):
    before = copy.deepcopy(model.state_dict())
    spoil(others)

    with pytest.raises(LoadError, match=re.escape(says)):
        load_by_name(model, others)

    assert same(model.state_dict(), before)


def test_loading_what_fits_leaves_the_rest_as_it_was(model, others):
    before = copy.deepcopy(model.state_dict())

    load_by_name(model, damaged(others), strict=False)

    kept = {"layer2.0.conv1.weight", "fc.weight", "fc.bias"}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name] if name in kept else others[name]), name


def test_weights_of_another_depth_are_reported_shortly(model):
    with pytest.raises(LoadError) as error:
        load_by_name(resnet50(num_classes=5, width=8), model.state_dict())

    lines = str(error.value).splitlines()
    assert len(lines) <= 6
    assert max(len(line) for line in lines) < 600
    assert re.search(r"missing \(\d+\): .*, and \d+ more", str(error.value))


def test_batch_norm_counters_of_old_files_may_be_missing(model, others):
    old = {n: t for n, t in others.items() if not n.endswith("num_batches_tracked")}
    expected = copy.deepcopy(model)
    expected.load_state_dict(old)

    assert load_by_name(model, old).is_complete
    assert same(model.state_dict(), expected.state_dict())


def test_nan_and_infinity_are_weights_like_others(model, others):
    others["fc.bias"] = torch.tensor([float("nan"), float("inf"), 0, 1, 2])

    load_by_name(model, others)

    assert same(model.state_dict(), others)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_precisions_are_converted(model, others, dtype):
    given = {n: t.to(dtype) if t.is_floating_point() else t for n, t in others.items()}

    assert load_by_name(model, given).is_complete

    assert same(model.state_dict(), {n: t.to(others[n].dtype) for n, t in given.items()})


def test_neither_gradients_nor_modes_nor_the_given_weights_change(model, others):
    model.eval()
    model.conv1.weight.requires_grad_(False)
    before = copy.deepcopy(others)

    load_by_name(model, others)
    model.fc.bias.data.zero_()

    assert same(others, before)
    assert not model.training
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["conv1.weight"]


# Suggestions


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"^fc\.", "linear."),
        (r"^fc\.", "classifier."),
        (r"^", "module."),
        (r"^", "model.backbone.encoder_q."),
        (r"downsample", "shortcut"),
        (r"^conv1.weight", "conv_1.weight"),
        (r"^layer", "stage"),
        (r"running_mean", "runing_mean"),
    ],
)
def test_a_name_is_suggested_for_each_that_was_changed(model, others, old, new):
    given = renamed(others, old, new)
    meant = {theirs: ours for theirs, ours in zip(given, others, strict=True) if theirs != ours}

    with pytest.raises(LoadError) as error:
        load_by_name(model, given)

    report = error.value.report
    assert report.suggestions == meant
    first = next(iter(meant))
    assert f"{first} (meant: {meant[first]}?)" in str(error.value)
    corrected = {report.suggestions.get(n, n): t for n, t in given.items()}
    assert load_by_name(model, corrected).is_complete


def test_a_longer_name_in_the_model_is_suggested_too(others):
    wrapper = nn.ModuleDict({"backbone": resnet18(num_classes=5, width=8)})

    report = load_by_name(wrapper, others, strict=False)

    assert report.suggestions == {name: f"backbone.{name}" for name in others}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("linear.weight", (7, 64)),  # the shape does not fit
        ("fc.gamma", (5, 64)),  # which of fc's weights?
        ("something.else", (5, 64)),
    ],
)
def test_no_name_is_suggested_where_none_is_meant(model, others, name, shape):
    del others["fc.weight"]
    others[name] = torch.ones(shape)

    report = load_by_name(model, others, strict=False)

    assert report.unexpected == (name,)
    assert report.suggestions == {}


def test_a_weight_is_not_suggested_for_another_of_the_same_layer(model, others):
    given = renamed(others, r"layer2\.0\.bn1\.weight", "layer2.0.bn1.gamma")
    del given["layer2.0.bn1.bias"]

    report = load_by_name(model, given, strict=False)

    assert report.missing == ("layer2.0.bn1.weight", "layer2.0.bn1.bias")
    assert report.suggestions == {}


def test_a_name_that_was_given_is_not_suggested_for_another(model, others):
    others["linear.weight"] = others["fc.weight"]

    assert load_by_name(model, others, strict=False).suggestions == {}


def test_each_name_is_suggested_once(model, others):
    del others["fc.weight"]
    others |= {"linear.weight": torch.ones(5, 64), "module.fc.weight": torch.ones(5, 64)}

    report = load_by_name(model, others, strict=False)

    assert report.suggestions == {"module.fc.weight": "fc.weight"}


# The CIFAR form also takes published names


@pytest.mark.parametrize(
    ("old", "new"), [(r"^", "module."), (r"^fc\.", "linear."), (r"^fc\.", "module.linear.")]
)
def test_published_cifar_names_load_without_complaint(old, new):
    model, source = cifar_resnet(8), cifar_resnet(8).state_dict()
    given = renamed(source, old, new)
    before = dict(given)

    assert load_by_name(model, given).is_complete

    assert same(model.state_dict(), source)
    assert list(given) == list(before), "what was given stays as it was"


def test_a_stray_name_is_reported_beside_published_ones():
    state = renamed(cifar_resnet(8).state_dict(), r"^fc\.", "linear.")
    state["extra.weight"] = torch.ones(1)
    del state["conv1.weight"]
    expected = cifar_resnet(8).load_state_dict(state, strict=False)

    report = load_by_name(cifar_resnet(8), state, strict=False)

    assert list(report.unexpected) == expected.unexpected_keys == ["extra.weight"]
    assert list(report.missing) == expected.missing_keys == ["conv1.weight"]


# What is no state_dict


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda _: resnet18(width=8), "whole model.*state_dict"),
        (lambda _: "resnet18.pth", "path.*torch.load"),
        (lambda _: Path("resnet18.pth"), "path.*torch.load"),
        (lambda s: list(s.values()), "a list"),
        (lambda s: s.items(), "odict_items|dict_items"),
        (lambda _: None, "NoneType"),
        (lambda s: {"epoch": 3, "state_dict": s, "optimizer": {}}, "checkpoint.*'state_dict'"),
        (lambda s: {"model": s}, "checkpoint.*'model'"),
        (lambda s: dict(enumerate(s.values())), "name is 0"),
        (lambda s: {**s, "fc.bias": None}, "'fc.bias' is a NoneType"),
        (lambda s: {**s, "fc.bias": [0.0] * 5}, "'fc.bias' is a list"),
        (lambda s: {**s, "fc.bias": np.zeros(5)}, "'fc.bias' is a ndarray.*from_numpy"),
        (lambda s: {**s, "fc.bias": torch.zeros(5, dtype=torch.int8)}, "fc.bias holds torch.int8"),
        (lambda s: {**s, "fc.bias": torch.zeros(5) * 1j}, "fc.bias holds torch.complex64"),
        (lambda s: {**s, "bn1.num_batches_tracked": torch.tensor(0.5)}, "needs torch.int64"),
        (lambda s: {**s, "fc.bias": torch.zeros(5, device="meta")}, "given fc.bias.*'meta'"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_state_dict_gets_a_clear_sentence(model, others, wrong, says, strict):
    before = copy.deepcopy(model.state_dict())

    with pytest.raises(TypeError, match=says):
        load_by_name(model, wrong(others), strict=strict)

    assert same(model.state_dict(), before)


def test_a_model_without_numbers_gets_a_clear_sentence(others):
    with torch.device("meta"):
        model = resnet18(num_classes=5, width=8)

    with pytest.raises(TypeError, match=r"model's .* 'meta'"):
        load_by_name(model, others)


# From Keras


def of_keras(depth, x, **options):
    """Keras's network with random biases, and with norms that have the statistics of the images x.

    Keras starts with zero biases and trivial norms, which would hide mistakes. The last norm of each block
    is small, as it is in trained networks: without that, rounding errors grow from block to block.
    """
    from keras import applications

    make = getattr(applications, f"ResNet{depth}")
    model = make(weights=None, input_shape=tuple(x.shape[1:]), classes=10, **options)
    norms = [layer for layer in model.layers if hasattr(layer, "gamma")]
    for layer in model.layers:
        if layer in norms:
            gamma = torch.empty(layer.gamma.shape).uniform_(0.5, 1.5)
            layer.gamma.assign(0.1 * gamma if layer.name.endswith("_3_bn") else gamma)
            layer.beta.assign(0.2 * torch.randn(layer.beta.shape))
            layer.momentum = 0.0
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(0.5 * torch.randn(layer.bias.shape))
    with torch.no_grad():
        model(x, training=True)
    for layer in norms:
        layer.momentum = 0.99
    return model


@pytest.fixture(scope="module")
def x():
    return torch.randn(8, 64, 64, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def keras50(x):
    torch.manual_seed(0)
    return of_keras(50, x)


def norm_names(model):
    return [name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    "depth",
    [50, pytest.param(101, marks=SLOW), pytest.param(152, marks=SLOW)],
)
def test_keras_network_becomes_ours_with_the_same_probabilities(depth, x, request):
    theirs = request.getfixturevalue("keras50") if depth == 50 else of_keras(depth, x)

    ours = from_keras(theirs)

    assert not ours.training
    with torch.no_grad():
        logits, expected = ours(x.permute(0, 3, 1, 2)), theirs(x).cpu()
    assert logits.std(0).mean() > 0.1, "images that are told apart make a fair comparison"
    torch.testing.assert_close(logits.softmax(1), expected, rtol=0, atol=1e-5)
    plain = getattr(networks, f"resnet{depth}")(num_classes=10)
    assert [(n, t.shape) for n, t in ours.state_dict().items()] == [
        (n, t.shape) for n, t in plain.state_dict().items()
    ]


def test_every_number_of_keras_is_accounted_for():
    from keras import applications

    theirs = applications.ResNet50(weights=None)
    with torch.no_grad():
        ours = from_keras(theirs)

    parameters = sum(p.numel() for p in ours.parameters())
    norms = [m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)]
    statistics = sum(m.running_mean.numel() + m.running_var.numel() for m in norms)
    biases = sum(m.out_channels for m in ours.modules() if isinstance(m, nn.Conv2d))
    assert (parameters, statistics, biases) == (25_557_032, 53_120, 26_560)
    assert parameters + statistics + biases == theirs.count_params() == 25_636_712


def test_epsilon_momentum_and_strides_are_kerass(keras50):
    ours = from_keras(keras50)

    norms = [m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1.001e-5, 0.01)}
    blocks = [b for stage in (ours.layer1, ours.layer2, ours.layer3, ours.layer4) for b in stage]
    assert {b.conv2.stride for b in blocks} == {(1, 1)}
    assert [b.conv1.stride[0] for b in blocks].count(2) == 3


def test_in_training_too_the_two_are_the_same_function(x):
    theirs = of_keras(50, x)
    ours = from_keras(theirs).train()

    with torch.no_grad():
        logits, expected = ours(x.permute(0, 3, 1, 2)), theirs(x, training=True).cpu()
    torch.testing.assert_close(logits.softmax(1), expected, rtol=0, atol=1e-4)

    later = from_keras(
        theirs
    )  # the running means have moved, in Keras and in ours, to the same place
    for name in norm_names(ours):
        mean, expected = (m.get_submodule(name).running_mean for m in (ours, later))
        torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-4, msg=name)


def test_each_layer_of_keras_has_one_of_our_modules_and_computes_the_same(keras50, x):
    import keras

    ours, outputs = from_keras(keras50), {}
    for name, module in ours.named_modules():
        module.register_forward_hook(lambda *a, n=name: outputs.update({n: a[2].detach()}))
    with torch.no_grad():
        ours(x.permute(0, 3, 1, 2))
    keras_names = {}
    for name in outputs:
        with suppress(ValueError):
            keras_names[name] = keras_name(name)
    left = {layer.name for layer in keras50.layers} - set(keras_names.values())
    assert all(n.endswith(("_pad", "_add")) or n.startswith("input_layer") for n in left)

    # a convolution's bias is in the norm behind it, and the softmax is not in our head
    compared = [
        n for n in keras_names if not isinstance(ours.get_submodule(n), nn.Conv2d | nn.Linear)
    ]
    taps = [keras50.get_layer(keras_names[name]).output for name in compared]
    with torch.no_grad():
        expected = keras.Model(keras50.input, taps)(x)
    for name, value in zip(compared, expected, strict=True):
        channels_first = value.cpu().movedim(-1, 1).reshape(outputs[name].shape)
        torch.testing.assert_close(channels_first, outputs[name], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize(
    "name",
    ["layer1.0", "layer1.0.downsample", "layer1.1.downsample", "conv9", "layer1.0.relu9", ""],
)
def test_what_keras_does_not_have_has_no_name_there(name):
    with pytest.raises(ValueError, match=f"no layer.*'{name}'"):
        keras_name(name)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_kerass_order_of_dimensions_does_not_matter(x, data_format):
    import keras

    before = keras.config.image_data_format()
    keras.config.set_image_data_format(data_format)
    try:
        images = x.permute(0, 3, 1, 2) if data_format == "channels_first" else x
        theirs = of_keras(50, images, classifier_activation=None)
        with torch.no_grad():
            logits, expected = from_keras(theirs)(x.permute(0, 3, 1, 2)), theirs(images).cpu()
    finally:
        keras.config.set_image_data_format(before)

    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_keras_is_left_as_it_was(keras50):
    before = [w.value.detach().clone() for w in keras50.weights]

    model = from_keras(keras50)
    for tensor in model.state_dict().values():
        tensor.zero_()

    for tensor, weight in zip(before, keras50.weights, strict=True):
        assert torch.equal(tensor, weight.value)


def other_models():
    from keras import Input, Model, Sequential, applications, layers

    resnet = applications.ResNet50(weights=None, input_shape=(64, 64, 3))
    headless = applications.ResNet50(weights=None, include_top=False, pooling="avg")
    other_stride = applications.ResNet50(weights=None, input_shape=(64, 64, 3))
    for number, strides in ((1, (1, 1)), (2, (2, 2))):
        other_stride.get_layer(f"conv3_block1_{number}_conv").strides = strides
    return {
        "no layer 'conv1_conv'": applications.VGG16(weights=None, input_shape=(32, 32, 3)),
        "no layer 'conv1_bn'": applications.ResNet50V2(weights=None, classes=10),
        "no layer 'predictions'": headless,
        "no layer 'conv1_conv'.": Sequential([Input((64, 64, 3)), headless, layers.Dense(3)]),
        r"differs.\n  missing": applications.DenseNet121(weights=None),
        r"unexpected \(2\): more.weight, more.bias": Model(
            resnet.input, layers.Dense(3, name="more")(resnet.output)
        ),
        "wrong shape .*conv1.weight.*, 3, 7, 7.*, 1, 7, 7": applications.ResNet50(
            weights=None, input_shape=(64, 64, 1)
        ),
        "stride of conv3_block1_1_conv is \\(1, 1\\)": other_stride,
        "This ResNet has no": resnet50(width=8),
        "This str has no": "ResNet50",
    }


def test_other_models_are_refused_and_told_what_is_wanted():
    for says, model in other_models().items():
        with pytest.raises(ValueError, match=r"ResNet50, ResNet101 or ResNet152 of keras") as error:
            from_keras(model)
        assert re.search(says, str(error.value)), (says, str(error.value))
