"""The networks, against torchvision and against the published form for CIFAR-10."""

import copy
import inspect
import math
import re

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCN, FCNHead

from resnet_edu import networks
from resnet_edu.blocks import BasicBlock, Bottleneck, ConvBlock, PlainBlock
from resnet_edu.measure import capture
from resnet_edu.networks import (
    CifarResNet,
    ResNet,
    cifar_plain,
    cifar_resnet,
    he_init_,
    make_stage,
    plain18,
    plain34,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    zero_init_residual_,
)

RESNETS = {18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101, 152: resnet152}
PLAIN = {18: plain18, 34: plain34}
SLOW = [pytest.mark.slow]
FORMS = [
    pytest.param(depth, first, id=f"{depth}-{'2015' if first else 'v1.5'}", marks=marks)
    for depth, marks in ((18, []), (34, []), (50, []), (101, SLOW), (152, SLOW))
    for first in (False, True)
    if depth >= 50 or not first
]
PARAMETERS = {
    resnet18: 11_689_512,
    resnet34: 21_797_672,
    resnet50: 25_557_032,
    resnet101: 44_549_160,
    resnet152: 60_192_808,
    plain18: 11_515_688,
    plain34: 21_623_848,
}
both_modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def of_torchvision(depth, stride_in_1x1=False, **options):
    model = getattr(torchvision.models, f"resnet{depth}")(**options)
    if stride_in_1x1:
        for m in model.modules():
            if isinstance(m, torchvision.models.resnet.Bottleneck):
                m.conv1.stride, m.conv2.stride = m.conv2.stride, m.conv1.stride
    return model


def of_ours(depth, stride_in_1x1=False, **options):
    form = {"stride_in_1x1": True} if stride_in_1x1 else {}
    return RESNETS[depth](**form, **options)


def randomise_(model, x):
    """Give each batch norm a weight, bias and statistics of its own.

    The statistics are near those of x, so that activations stay of ordinary size in eval mode.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for m in norms:
        nn.init.uniform_(m.weight, 0.5, 1.5)
        nn.init.normal_(m.bias, std=0.2)
        m.momentum = 1.0
    with torch.no_grad():
        model.train()(x)
    for m in norms:
        m.momentum = 0.1
        m.running_mean.add_(0.1 * torch.randn_like(m.running_mean) * m.running_var.sqrt())
        m.running_var.mul_(torch.empty_like(m.running_var).uniform_(0.8, 1.25))
    return model


def assert_gradients_agree(ours, theirs, tolerance=1e-4):
    """Each parameter's gradient differs by at most `tolerance` of its largest entry."""
    theirs = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        expected = theirs[name].grad
        atol = tolerance * expected.abs().max().item()
        assert atol > 0, f"{name} has no gradient: this would compare nothing"
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=atol, msg=name)


def count(model):
    return sum(p.numel() for p in model.parameters())


# Torchvision is the oracle


@pytest.mark.parametrize("depth", RESNETS)
def test_state_dict_is_torchvisions_key_for_key(depth):
    with torch.device("meta"):
        ours, theirs = of_ours(depth).state_dict(), of_torchvision(depth).state_dict()

    assert list(ours) == list(theirs)
    assert {k: (v.shape, v.dtype) for k, v in ours.items()} == {
        k: (v.shape, v.dtype) for k, v in theirs.items()
    }


@pytest.mark.parametrize(("depth", "stride_in_1x1"), FORMS)
def test_same_weights_give_torchvisions_logits_gradients_and_statistics(depth, stride_in_1x1):
    size = 64 if depth <= 50 else 40
    x, targets = torch.randn(4, 3, size, size), torch.randint(10, (4,))
    theirs = randomise_(of_torchvision(depth, stride_in_1x1, num_classes=10), x)
    with torch.device("meta"):  # no time spent on initial weights
        ours = of_ours(depth, stride_in_1x1, num_classes=10)
    ours.to_empty(device="cpu").load_state_dict(theirs.state_dict())

    for training in (False, True):
        logits = []
        for model in (ours, theirs):
            model.train(training).zero_grad()
            logits.append(model(x))
            F.cross_entropy(logits[-1], targets).backward()
        mode = "train" if training else "eval"
        assert 0.1 < logits[1].std() < 100, "logits of ordinary size make a fair comparison"
        torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5, msg=lambda m, mode=mode: mode + m)
        assert_gradients_agree(ours, theirs)

    expected = theirs.state_dict()
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_stride_changes_values_but_neither_names_nor_shapes():
    x = torch.randn(2, 3, 64, 64)
    v15, v1 = resnet50(width=8).eval(), resnet50(width=8, stride_in_1x1=True).eval()
    v1.load_state_dict(v15.state_dict())

    assert v1(x).shape == v15(x).shape
    assert not torch.allclose(v1(x), v15(x))


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("size", [1, 33, 57])
def test_images_of_any_size_give_torchvisions_logits(depth, size):
    # In float32, PyTorch gives NaN for maps of one pixel on some processors: torchvision's network too.
    dtype = torch.float64 if size == 1 else torch.float32
    x = torch.randn(2, 3, size, size + 4, dtype=dtype)
    theirs = randomise_(of_torchvision(depth).to(dtype), x).eval()
    ours = of_ours(depth).to(dtype).eval()
    ours.load_state_dict(theirs.state_dict())

    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


# Numbers in the docstrings


@pytest.mark.parametrize("make", PARAMETERS, ids=lambda make: make.__name__)
def test_parameter_count_is_the_one_in_the_docstring(make):
    with torch.device("meta"):
        counted = count(make())

    assert counted == PARAMETERS[make]
    assert f"{counted:,} parameters" in make.__doc__


def test_cifar_parameter_count_is_the_one_in_the_docstring():
    assert count(cifar_resnet(20)) == count(cifar_plain(20)) == 269_722
    assert "ResNet-20 has 269,722 parameters" in cifar_resnet.__doc__


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (56, 0.85), (110, 1.7)])
def test_cifar_parameter_counts_are_the_papers(depth, millions):
    digits = len(str(millions)) - 2
    assert round(count(cifar_resnet(depth)) / 1e6, digits) == millions


def test_resnet50_costs_4_089_gmac_at_224():
    with torch.device("meta"):
        model, x = resnet50().eval(), torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter:
        model(x)

    assert counter.get_total_flops() / 2 == pytest.approx(4.089e9, abs=5e5)


def trace(model, x):
    """The shape of x, and of the output of each child of `model`, in the order they ran."""
    shapes = [("x", tuple(x.shape))]
    for name, child in model.named_children():
        child.register_forward_hook(lambda *a, n=name: shapes.append((n, tuple(a[2].shape))))
    model(x)
    return shapes


@pytest.mark.parametrize("depth", RESNETS)
def test_the_table_of_architectures_says_what_is_built(depth):
    with torch.device("meta"):
        model, x = of_ours(depth).eval(), torch.empty(1, 3, 224, 224)
        shapes = dict(trace(model, x))
    lines = networks.__doc__.splitlines()
    head = next(line for line in lines if "output at 224" in line)
    column = head.split("output at 224")[1].split().index(str(depth))

    rows = re.findall(r"^ +conv\w+ +(\w+) +(\d+) x (\d+) +(.*)$", networks.__doc__, re.MULTILINE)
    assert [row[0] for row in rows] == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    for name, height, width, rest in rows:
        assert shapes[name][2:] == (int(height), int(width)), name
        if name == "conv1":
            assert rest == "7x7, 64, stride 2"
            assert model.conv1.weight.shape == (64, 3, 7, 7)
            assert model.conv1.stride == (2, 2)
            continue
        numbers, block_width = rest.split("blocks of width")
        stage = model.get_submodule(name)
        assert len(stage) == int(numbers.split()[column]), name
        assert all(block.conv1.out_channels == int(block_width) for block in stage), name

    layers = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules())
    projections = sum("downsample.0" in name for name, _ in model.named_parameters())
    assert layers - projections == depth
    millions = next(line for line in lines if "in millions" in line).split("millions")[1].split()
    assert float(millions[column]) == round(count(model) / 1e6, 2)


@pytest.mark.parametrize(
    ("make", "size"), [(resnet50, 224), (lambda: cifar_resnet(20), 32)], ids=["ImageNet", "CIFAR"]
)
def test_the_shapes_beside_forward_are_those_of_the_run(make, size):
    n = 5
    with torch.device("meta"):
        model, x = make().eval(), torch.empty(n, 3, size, size)
        ran = trace(model, x)
    inside = {"conv1", "bn1"}  # these share a line with the relu
    expected = [shape for name, shape in ran if name not in inside]
    pooled = [name for name, _ in ran if name not in inside].index("avgpool")
    expected[pooled] = expected[pooled][:2]  # flattened on the same line

    source = inspect.getsource(type(model).forward)
    written = [
        tuple(n if part == "N" else int(part) for part in shape.split(", "))
        for shape in re.findall(r"# \((N[^)]*)\)", source)
    ]
    assert written == expected


def test_children_are_declared_in_the_order_they_run():
    for model in (resnet18(width=4), resnet50(width=4), cifar_resnet(8), plain18(width=4)):
        ran = [name for name, _ in trace(model.eval(), torch.randn(1, 3, 32, 32))[1:]]
        assert ran == [name for name, _ in model.named_children()]


# Widths, classes, plain twins


@pytest.mark.parametrize("make", [*PARAMETERS], ids=lambda make: make.__name__)
def test_width_and_classes_scale_the_network(make):
    model = make(num_classes=7, width=8).eval()
    expansion = 4 if make in (resnet50, resnet101, resnet152) else 1

    shapes = dict(trace(model, torch.randn(2, 3, 32, 32)))
    assert [shapes[f"layer{i}"][1] for i in (1, 2, 3, 4)] == [
        8 * 2**i * expansion for i in range(4)
    ]
    assert shapes["conv1"][1] == 8
    assert shapes["fc"] == (2, 7)


@pytest.mark.parametrize("depth", PLAIN)
def test_a_plain_network_is_the_resnet_without_its_shortcuts(depth):
    with torch.device("meta"):
        plain, residual = PLAIN[depth](), RESNETS[depth]()

    assert type(plain) is type(residual) is ResNet
    assert {type(m) for m in plain.layer2} == {PlainBlock}
    left_out = [k for k in residual.state_dict() if "downsample" in k]
    assert list(plain.state_dict()) == [k for k in residual.state_dict() if k not in left_out]
    assert count(residual) - count(plain) == sum(
        p.numel() for name, p in residual.named_parameters() if name in left_out
    )


@both_modes
def test_plain18_computes_convolutions_in_a_row(training):
    x = torch.randn(2, 3, 32, 32)
    model = randomise_(plain18(num_classes=5, width=4), x).train(training)
    state = copy.deepcopy(model.state_dict())

    def conv_bn_relu(x, conv, bn, stride, padding=1):
        x = F.conv2d(x, state[conv + ".weight"], stride=stride, padding=padding)
        names = ("running_mean", "running_var", "weight", "bias")
        return F.relu(F.batch_norm(x, *(state[f"{bn}.{n}"] for n in names), training=training))

    out = conv_bn_relu(x, "conv1", "bn1", stride=2, padding=3)
    out = F.max_pool2d(out, 3, stride=2, padding=1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            out = conv_bn_relu(out, f"{at}.conv1", f"{at}.bn1", stride)
            out = conv_bn_relu(out, f"{at}.conv2", f"{at}.bn2", 1)
    expected = F.linear(out.mean((2, 3)), state["fc.weight"], state["fc.bias"])

    torch.testing.assert_close(model(x), expected)


def test_a_stage_strides_and_widens_in_its_first_block_alone():
    stage = make_stage(Bottleneck, 8, 4, blocks=3, stride=2).eval()

    assert len(stage) == 3
    assert [b.conv1.in_channels for b in stage] == [8, 16, 16]
    assert [b.conv2.stride for b in stage] == [(2, 2), (1, 1), (1, 1)]
    assert stage(torch.randn(1, 8, 8, 8)).shape == (1, 16, 4, 4)


def test_any_function_that_returns_a_block_can_build_a_network():
    def block(in_channels, width, stride):
        return ConvBlock(in_channels, 2 * width, stride=stride)

    model = ResNet(block, (1, 2, 1, 1), num_classes=3, width=4).eval()

    assert [len(layer) for layer in (model.layer1, model.layer2)] == [1, 2]
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 3)
    assert model.fc.in_features == 64


# Initialisation


@pytest.mark.parametrize("make", [resnet18, resnet50, plain18, lambda **_: cifar_resnet(14)])
def test_convolutions_start_with_he_variance(make):
    model = make()
    for name, m in model.named_modules():
        if isinstance(m, nn.Conv2d):
            out_channels, _, height, width = m.weight.shape
            std = math.sqrt(2 / (out_channels * height * width))
            n = m.weight.numel()
            # five standard errors of a mean and of a standard deviation
            assert m.weight.mean().item() == pytest.approx(0, abs=5 * std / math.sqrt(n)), name
            assert m.weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * n)), name
            assert m.weight.abs().max() > 2.5 * std, f"{name} is not normal"


def test_he_init_leaves_other_layers_alone():
    model = resnet18(width=4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    he_init_(model)

    convolutions = {n + ".weight" for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == convolutions


def test_batch_norms_start_neutral():
    for m in resnet50(width=4).modules():
        if isinstance(m, nn.BatchNorm2d):
            assert m.weight.eq(1).all()
            assert m.bias.eq(0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: resnet18(width=4, zero_init_residual=True),
        lambda: resnet34(width=4, zero_init_residual=True),
        lambda: resnet50(width=4, zero_init_residual=True),
        lambda: resnet101(width=4, zero_init_residual=True),
        lambda: resnet152(width=4, zero_init_residual=True),
        lambda: resnet50(width=4, stride_in_1x1=True, zero_init_residual=True),
        lambda: cifar_resnet(14, zero_init_residual=True),
    ],
    ids=["18", "34", "50", "101", "152", "50-2015", "cifar-14"],
)
def test_zero_init_makes_each_block_its_shortcut(make):
    model = make().train()
    blocks = [m for m in model.modules() if isinstance(m, BasicBlock | Bottleneck)]
    checked = []
    for block in blocks:
        block.register_forward_hook(
            lambda m, x, out: checked.append(torch.equal(out, m.downsample(x[0]).relu()))
        )
    model(torch.randn(4, 3, 32, 32))

    assert checked == [True] * len(blocks)


@pytest.mark.parametrize(("depth", "last"), [(18, "bn2.weight"), (50, "bn3.weight")])
def test_zero_init_is_off_by_default_and_changes_what_torchvision_changes(depth, last):
    model = of_ours(depth, width=4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    zero_init_residual_(model)

    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    theirs = of_torchvision(depth, zero_init_residual=True)
    assert changed == {
        n for n, p in theirs.named_parameters() if n.endswith(last) and p.eq(0).all()
    }
    assert len(changed) == len([k for k in before if k.endswith(f".{last}") and "layer" in k])


# On top of torchvision's models


def put_into_detection(backbone):
    return _resnet_fpn_extractor(backbone, trainable_layers=3)


def targets(with_masks):
    boxes = torch.tensor([[5.0, 5.0, 40.0, 50.0], [20.0, 10.0, 60.0, 30.0]])
    target = {"boxes": boxes, "labels": torch.tensor([1, 2])}
    if with_masks:
        target["masks"] = torch.zeros(2, 64, 64, dtype=torch.uint8)
        target["masks"][0, 5:50, 5:40] = 1
        target["masks"][1, 10:30, 20:60] = 1
    return [target]


@pytest.mark.parametrize("depth", [18, 50])
def test_pyramid_features_are_those_of_torchvisions_backbone(depth):
    x = torch.rand(2, 3, 64, 64)
    theirs = put_into_detection(randomise_(of_torchvision(depth), x)).eval()
    ours = put_into_detection(of_ours(depth)).eval()
    ours.load_state_dict(theirs.state_dict())

    features, expected = ours(x), theirs(x)
    assert list(features) == list(expected) == ["0", "1", "2", "3", "pool"]
    for name in expected:
        torch.testing.assert_close(features[name], expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("trainable_layers", [0, 3, 5])
def test_torchvision_freezes_the_same_layers(trainable_layers):
    with torch.device("meta"):
        frozen = [
            {n for n, p in _resnet_fpn_extractor(backbone, trainable_layers).named_parameters()
             if not p.requires_grad}
            for backbone in (of_ours(50), of_torchvision(50))
        ]  # fmt: skip

    assert frozen[0] == frozen[1]
    assert bool(frozen[0]) == (trainable_layers < 5)


@pytest.mark.parametrize("detector", [FasterRCNN, MaskRCNN])
def test_a_detector_stands_on_our_backbone(detector):
    images = [torch.rand(3, 64, 64)]
    backbone = put_into_detection(resnet50(width=16))
    model = detector(backbone, num_classes=3, min_size=64, max_size=64)

    losses = model(images, targets(with_masks=detector is MaskRCNN))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert ("loss_mask" in losses) == (detector is MaskRCNN)
    for name, p in backbone.body.named_parameters():
        trained = name.startswith(("layer2", "layer3", "layer4"))
        assert p.requires_grad == trained
        assert (p.grad is not None and p.grad.abs().max().item() > 0) == trained, name

    (found,) = model.eval()(images)
    assert found["boxes"].shape == (len(found["scores"]), 4)
    assert ("masks" in found) == (detector is MaskRCNN)


def test_a_torchvision_detectors_weights_give_its_detections():
    images = [torch.rand(3, 64, 64)]
    detectors = [
        FasterRCNN(put_into_detection(m), 3, min_size=64, max_size=64, box_score_thresh=0)
        for m in (of_ours(50), randomise_(of_torchvision(50), torch.rand(4, 3, 64, 64)))
    ]
    ours, theirs = (detector.eval() for detector in detectors)
    ours.load_state_dict(theirs.state_dict())

    (found,), (expected,) = ours(images), theirs(images)
    assert len(expected["scores"]) > 0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("network", "head"), [(FCN, FCNHead), (DeepLabV3, DeepLabHead)], ids=["FCN", "DeepLabV3"]
)
def test_segmentation_stands_on_our_backbone_as_on_torchvisions(network, head):
    x = torch.rand(2, 3, 64, 64)
    layers = {"layer4": "out", "layer3": "aux"}
    theirs, ours = (
        network(IntermediateLayerGetter(m, layers), head(2048, 5), FCNHead(1024, 5))
        for m in (randomise_(of_torchvision(50), x), of_ours(50))
    )
    ours.load_state_dict(theirs.state_dict())

    with torch.no_grad():
        out, expected = ours.eval()(x), theirs.eval()(x)
    assert out["out"].shape == out["aux"].shape == (2, 5, 64, 64)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)

    out = ours.train()(x)
    labels = torch.randint(5, (2, 64, 64))
    loss = F.cross_entropy(out["out"], labels) + F.cross_entropy(out["aux"], labels)
    loss.backward()
    assert loss.isfinite()
    assert ours.backbone.conv1.weight.grad.abs().max() > 0


# Traces


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (lambda: resnet50(num_classes=7, width=8), (64, 97)),
        (lambda: resnet18(num_classes=7, width=8), (64, 33)),
        (lambda: plain18(num_classes=7, width=8), (64, 33)),
        (lambda: cifar_resnet(8), (32, 17)),
        (lambda: cifar_plain(8), (32, 17)),
        (lambda: CifarResNet(BasicBlock, 8), (32, 17)),
        (lambda: CifarResNet(ConvBlock, 8), (32, 17)),
    ],
    ids=[
        "resnet50",
        "resnet18",
        "plain18",
        "cifar-resnet",
        "cifar-plain",
        "option-b",
        "conv-block",
    ],
)
def test_a_symbolic_trace_gives_the_same_logits_at_every_size(make, sizes):
    model = randomise_(make(), torch.rand(2, 3, sizes[0], sizes[0])).eval()
    traced = torch.fx.symbolic_trace(model)

    for size in sizes:
        images = torch.rand(2, 3, size, size)
        assert torch.equal(traced(images), model(images))


def test_a_trace_still_refuses_what_is_no_image():
    traced = torch.fx.symbolic_trace(cifar_resnet(8))
    with pytest.raises(ValueError, match="repeat the channel"):
        traced(torch.rand(2, 1, 32, 32))


@pytest.mark.parametrize(
    "make", [lambda: resnet50(width=8), lambda: cifar_resnet(8)], ids=["resnet50", "cifar"]
)
def test_torchvisions_feature_extractor_gives_the_captured_maps(make):
    model = randomise_(make(), torch.rand(2, 3, 64, 64)).eval()
    names = {name: f"c{i}" for i, name in enumerate(networks.stages(model), 2)}
    extractor = create_feature_extractor(model, names)

    for size in (64, 97):
        images = torch.rand(2, 3, size, size)
        maps, captured = extractor(images), capture(model, names, images)
        assert list(maps) == list(names.values())
        assert all(torch.equal(maps[names[name]], captured[name]) for name in names)


# The CIFAR form


def published_form(state, x, depth, training, residual=True):
    """Logits of the widely published PyTorch form for CIFAR-10, written without modules."""

    def conv_bn(x, at, i, stride=1):
        x = F.conv2d(x, state[f"{at}conv{i}.weight"], None, stride, padding=1)
        mean, var = state[f"{at}bn{i}.running_mean"], state[f"{at}bn{i}.running_var"]
        weight, bias = state[f"{at}bn{i}.weight"], state[f"{at}bn{i}.bias"]
        return F.batch_norm(x, mean, var, weight, bias, training)

    x = F.relu(conv_bn(x, "", 1))
    for stage, planes in ((1, 16), (2, 32), (3, 64)):
        for block in range((depth - 2) // 6):
            at = f"layer{stage}.{block}."
            stride = 2 if stage > 1 and block == 0 else 1
            out = F.relu(conv_bn(x, at, 1, stride))
            out = conv_bn(out, at, 2)
            if stride == 2:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4), "constant", 0)
            x = F.relu(out + x if residual else out)
    x = F.avg_pool2d(x, x.shape[3]).flatten(1)
    return F.linear(x, state["fc.weight"], state["fc.bias"])


@both_modes
@pytest.mark.parametrize("make", [cifar_resnet, cifar_plain])
@pytest.mark.parametrize("depth", [8, 20, 56])
def test_cifar_network_is_the_published_form(make, depth, training):
    x, labels = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    model = randomise_(make(depth), x).train(training)
    state = copy.deepcopy(model.state_dict())
    weights = {name: state[name].requires_grad_() for name, _ in model.named_parameters()}

    logits, expected = model(x), published_form(state, x, depth, training, make is cifar_resnet)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)

    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, labels).backward()
    for name, parameter in model.named_parameters():
        atol = 1e-4 * weights[name].grad.abs().max().item()
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
def test_cifar_plain_and_residual_have_the_same_parameters(depth):
    with torch.device("meta"):
        plain, residual = cifar_plain(depth), cifar_resnet(depth)

    assert type(plain) is type(residual) is CifarResNet
    shapes = [[(n, p.shape) for n, p in m.named_parameters()] for m in (plain, residual)]
    assert shapes[0] == shapes[1]
    assert list(plain.state_dict()) == list(residual.state_dict())
    layers = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in residual.modules())
    assert layers == depth
    assert [len(s) for s in (plain.layer1, plain.layer2, plain.layer3)] == [(depth - 2) // 6] * 3


@pytest.mark.parametrize("make", [cifar_resnet, cifar_plain])
@pytest.mark.parametrize(
    "depth", [21, 20.5, "20", 2, -4, 0, True, None, 1e9, float("nan")], ids=repr
)
def test_another_depth_is_refused_and_told_which_are_right(make, depth):
    with pytest.raises(ValueError, match=r"6n \+ 2: 8, 14, 20, ") as error:
        make(depth)

    assert repr(depth) in str(error.value)


def test_cifar_network_has_ten_classes_unless_told_otherwise():
    x = torch.randn(2, 3, 32, 32)

    assert cifar_resnet(8)(x).shape == cifar_plain(8)(x).shape == (2, 10)
    assert cifar_resnet(8, 3)(x).shape == cifar_plain(8, 3)(x).shape == (2, 3)


# Published checkpoints


def data_parallel(state):
    return {f"module.{key}": value for key, value in state.items()}


def linear(state):
    return {re.sub(r"^fc\.", "linear.", key): value for key, value in state.items()}


def without_counters(state):
    """As PyTorch saved it before version 0.4.1."""
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


SPELLINGS = {
    "ours": dict,
    "linear": linear,
    "module": data_parallel,
    "module and linear": lambda state: data_parallel(linear(state)),
    "old": lambda state: data_parallel(linear(without_counters(state))),
}


@pytest.fixture
def source():
    x = torch.randn(4, 3, 32, 32)
    return randomise_(cifar_resnet(14), x).eval(), x


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("assign", [False, True])
def test_published_names_load_and_give_the_same_logits(source, spell, assign):
    model, x = source
    checkpoint = spell(model.state_dict())
    before = dict(checkpoint)
    loaded = cifar_resnet(14).eval()

    result = loaded.load_state_dict(checkpoint, assign=assign)

    assert result.missing_keys == result.unexpected_keys == []
    torch.testing.assert_close(loaded(x), model(x), rtol=1e-5, atol=1e-5)
    assert list(checkpoint) == list(before)
    assert all(checkpoint[key] is before[key] for key in before)


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_published_names_load_inside_another_module(source, spell):
    model, x = source
    inner = spell(model.state_dict())
    checkpoint = {f"net.{key}": value for key, value in inner.items()}
    checkpoint["linear.weight"] = torch.randn(2, 10)
    wrapper = nn.ModuleDict({"net": cifar_resnet(14), "linear": nn.Linear(10, 2, bias=False)})

    wrapper.load_state_dict(checkpoint)

    assert torch.equal(wrapper["linear"].weight, checkpoint["linear.weight"])
    torch.testing.assert_close(wrapper["net"].eval()(x), model(x), rtol=1e-5, atol=1e-5)


def test_a_real_data_parallel_checkpoint_loads(source):
    model, x = source
    loaded = cifar_resnet(14).eval()
    loaded.load_state_dict(nn.DataParallel(model).state_dict())

    torch.testing.assert_close(loaded(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_missing_key_is_still_named(source, spell):
    state = source[0].state_dict()
    del state["layer2.0.conv1.weight"]

    with pytest.raises(RuntimeError, match=r"Missing key.*\"layer2\.0\.conv1\.weight\""):
        cifar_resnet(14).load_state_dict(spell(state))


@pytest.mark.parametrize(
    "stray",
    ["extra.weight", "layer1.0.linear.weight", "my_module.conv1.weight", "linear2.weight", "fc.w"],
)
def test_a_stray_key_is_still_named_as_it_was_written(source, stray):
    state = {**source[0].state_dict(), stray: torch.zeros(1)}

    with pytest.raises(RuntimeError, match=f'Unexpected key.*"{re.escape(stray)}"'):
        cifar_resnet(14).load_state_dict(state)


@pytest.mark.parametrize("second", ["linear.weight", "module.fc.weight", "module.linear.weight"])
@pytest.mark.parametrize("last", [True, False])
def test_a_weight_given_under_two_names_is_refused(source, second, last):
    state, stray = source[0].state_dict(), {second: torch.zeros(10, 64)}

    with pytest.raises(RuntimeError, match=f'Unexpected key.*"({re.escape(second)}|fc.weight)"'):
        cifar_resnet(14).load_state_dict({**state, **stray} if last else {**stray, **state})


def test_a_checkpoint_of_another_depth_is_refused(source):
    with pytest.raises(RuntimeError, match=r"Unexpected key.*layer1\.1"):
        cifar_resnet(8).load_state_dict(data_parallel(source[0].state_dict()))


def test_a_checkpoint_with_other_classes_is_refused(source):
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.weight"):
        cifar_resnet(14, num_classes=100).load_state_dict(linear(source[0].state_dict()))


def test_our_checkpoints_carry_our_names(source):
    model, _ = source
    loaded = cifar_resnet(14)
    loaded.load_state_dict(SPELLINGS["module and linear"](model.state_dict()))

    assert list(loaded.state_dict()) == list(cifar_resnet(14).state_dict())
    assert {"fc.weight", "conv1.weight", "layer1.0.bn1.weight"} <= loaded.state_dict().keys()


# Bad input


MENDS = {
    "x.expand(-1, 3, -1, -1)": lambda x: x.expand(-1, 3, -1, -1),
    "x.unsqueeze(0)": lambda x: x.unsqueeze(0),
    "x.permute(0, 3, 1, 2)": lambda x: x.permute(0, 3, 1, 2),
}
both_forms = pytest.mark.parametrize(
    "make", [lambda: resnet18(width=4), lambda: cifar_resnet(8)], ids=["ImageNet", "CIFAR"]
)


@both_forms
@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((2, 1, 32, 32), "x.expand(-1, 3, -1, -1)"),
        ((3, 32, 32), "x.unsqueeze(0)"),
        ((2, 32, 32, 3), "x.permute(0, 3, 1, 2)"),
    ],
)
def test_images_of_another_shape_are_refused_with_advice_that_works(make, shape, advice):
    model, x = make().eval(), torch.randn(shape)

    with pytest.raises(ValueError, match=re.escape(f"(N, 3, H, W), not {shape}")) as error:
        model(x)

    assert [mend for mend in MENDS if mend in str(error.value)] == [advice]
    assert model(MENDS[advice](x)).isfinite().all()


@both_forms
@pytest.mark.parametrize(
    "shape", [(2, 4, 32, 32), (64, 28, 28), (32, 32), (3072,), (2, 1, 3, 8, 8), ()]
)
def test_other_shapes_are_refused_without_advice_that_would_not_help(make, shape):
    with pytest.raises(ValueError, match=re.escape(f"(N, 3, H, W), not {shape}")) as error:
        make()(torch.randn(shape))

    assert not [mend for mend in MENDS if mend in str(error.value)]
