"""Outputs of modules and heat maps, against hooks by hand, autograd, a closed form and captum."""

import pytest
import torch
import torchvision
from test_measure import assert_as_found, lived_in_model, snapshot
from torch import nn
from torch.nn import functional as F

from resnet_edu.measure import capture, grad_cam
from resnet_edu.networks import cifar_resnet, resnet18, resnet50


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class InPlace(nn.Module):
    """Works in place, and with one module twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.ReLU()
        self.pair = nn.LSTM(4, 4, batch_first=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        x = self.relu(self.conv(self.relu(self.conv(x))))
        out = self.fc(self.pool(x).flatten(1))
        return self.pair(out[:, None])[0][:, 0] + out


def trained_a_little(model, size=32):
    """Running statistics and biases that are not those of the start."""
    for _ in range(3):
        model(torch.randn(4, 3, size, size))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Linear):
            nn.init.normal_(module.bias, std=0.5)
    return model.eval()


# Outputs


def test_the_outputs_are_those_of_the_parts_put_together_by_hand():
    model = trained_a_little(cifar_resnet(14), 16)
    x = torch.rand(3, 3, 16, 16)
    stem = F.relu(model.bn1(model.conv1(x)))
    first = model.layer1[0](stem)
    inner = model.layer1[1].conv1(first)

    found = capture(model, ["layer1.1.conv1", "relu", "layer1.0", "fc"], x)

    assert list(found) == ["layer1.1.conv1", "relu", "layer1.0", "fc"]
    expected = {"layer1.1.conv1": inner, "relu": stem, "layer1.0": first, "fc": model(x)}
    torch.testing.assert_close(found, expected)
    assert not any(output.requires_grad for output in found.values())


def test_what_later_works_in_place_does_not_alter_an_output():
    model, x = InPlace().eval(), torch.randn(2, 3, 5, 5)
    second = model.conv(F.relu(model.conv(x)))

    found = capture(model, ["conv", "relu"], x)

    torch.testing.assert_close(found, {"conv": second, "relu": F.relu(second)})
    theirs = torchvision.models.resnet18(weights=None).eval()
    assert (capture(theirs, ["bn1"], torch.randn(1, 3, 32, 32))["bn1"] < 0).any()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["layer1.0", "layer9"], r"no module 'layer9': this CifarResNet has conv1, bn1, relu"),
        (["layer2.7.conv1"], r"'layer2' has 0 inside"),
        (["conv1.weight"], r"'conv1' has nothing inside"),
        ("fc", "no module 'f'"),
    ],
)
def test_a_name_that_is_no_modules_is_refused_with_those_there_are(names, words):
    with pytest.raises(ValueError, match=words):
        capture(cifar_resnet(8), names, torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unused", "no part in the forward pass: 'unused'"),
        ("pair", "'pair' .*a tuple, not a tensor"),
    ],
)
def test_a_module_without_one_tensor_to_give_is_named(name, words):
    model = InPlace()
    before = snapshot(model)
    with pytest.raises(ValueError, match=words):
        capture(model, ["fc", name], torch.rand(1, 3, 5, 5))
    assert_as_found(model, before)


# Heat maps


def by_hand(before, after, image, class_index):
    """Grad-CAM from a network cut in two by hand."""
    maps = before(image[None]).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(after(maps)[0, class_index], maps)
    heat = torch.einsum("c,chw->hw", gradient[0].mean((1, 2)), maps.detach()[0]).clamp(min=0)
    heat = F.interpolate(heat[None, None], image.shape[1:], mode="bilinear")[0, 0]
    return heat / heat.max()


@pytest.mark.parametrize("shape", [(64, 64), (50, 90)])
@pytest.mark.parametrize("class_index", [0, 6])
def test_it_is_what_autograd_gives_for_a_network_cut_in_two(shape, class_index):
    model = trained_a_little(resnet18(7, width=8))
    image = torch.rand(3, *shape)
    stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
    before = nn.Sequential(stem, model.layer1, model.layer2)
    after = nn.Sequential(model.layer3, model.layer4, model.avgpool, nn.Flatten(), model.fc)
    expected = by_hand(before, after, image, class_index)

    found = grad_cam(model, "layer2", image, class_index)

    assert found.shape == shape
    assert found.max() == 1
    assert found.min() >= 0
    torch.testing.assert_close(found, expected)


def test_on_the_last_maps_it_is_the_class_activation_map():
    model = trained_a_little(resnet50(5, width=8), 64)
    image = torch.rand(3, 64, 64)
    maps = capture(model, ["layer4"], image[None])["layer4"]
    compared = 0
    for class_index in range(5):
        cam = torch.einsum("c,chw->hw", model.fc.weight[class_index], maps[0]).detach().relu()
        cam = F.interpolate(cam[None, None], (64, 64), mode="bilinear")[0, 0]
        if cam.any():
            found = grad_cam(model, "layer4", image, class_index)
            torch.testing.assert_close(found, cam / cam.max())
            compared += 1
    assert compared > 1


def test_captum_gives_the_same():
    captum = pytest.importorskip("captum.attr")
    model = trained_a_little(resnet18(5, width=8))
    image = torch.rand(3, 64, 64)
    theirs = captum.LayerGradCam(model, model.layer3)
    heat = theirs.attribute(image[None], target=3, relu_attributions=True)
    heat = captum.LayerAttribution.interpolate(heat, (64, 64), "bilinear")[0, 0].detach()

    torch.testing.assert_close(grad_cam(model, "layer3", image, 3), heat / heat.max())


def test_where_nothing_speaks_for_the_class_all_is_zero():
    model = resnet18(4, width=4).eval()
    with torch.no_grad():
        model.fc.weight[2] = -model.fc.weight[2].abs()
        model.fc.weight[3] = 0

    for class_index in (2, 3):
        assert torch.equal(
            grad_cam(model, "layer4", torch.rand(3, 32, 32), class_index), torch.zeros(32, 32)
        )


def test_a_frozen_network_and_one_that_works_in_place_have_heat_maps_too():
    model, image = trained_a_little(resnet18(5, width=4)), torch.rand(3, 32, 32)
    expected = grad_cam(model, "layer2", image, 1)
    model.requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(grad_cam(model, "layer2", image, 1), expected)

    for layer in ("conv", "relu"):
        assert grad_cam(InPlace(), layer, torch.rand(3, 9, 9), 0).shape == (9, 9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": torch.rand(1, 3, 16, 16)}, r"one image \(C, H, W\), not \(1, 3, 16, 16\)"),
        ({"layer": "layer5"}, "no module 'layer5'"),
        ({"layer": "fc"}, r"'fc' puts out \(1, 10\), not maps"),
        ({"class_index": 10}, "classes are 0 to 9; there is no 10"),
        ({"class_index": -1}, "classes are 0 to 9; there is no -1"),
    ],
)
def test_other_names_shapes_and_classes_are_refused_and_the_model_is_left(changes, words):
    model = lived_in_model()
    before = snapshot(model)
    given = {"layer": "layer2", "image": torch.rand(3, 16, 16), "class_index": 0} | changes
    with pytest.raises(ValueError, match=words):
        grad_cam(model, **given)
    assert_as_found(model, before)


# The model is left as it was found

INSIDE = {
    "capture": lambda model: capture(model, ["layer1", "layer2.0.bn1"], torch.rand(2, 3, 16, 16)),
    "grad_cam": lambda model: grad_cam(model, "layer2", torch.rand(3, 16, 16), 3),
}
either = pytest.mark.parametrize("look", INSIDE.values(), ids=INSIDE.keys())


@either
@pytest.mark.parametrize("mode", ["mixed", "train", "eval"])
def test_the_model_is_left_as_it_was_found(look, mode):
    model = lived_in_model()
    if mode != "mixed":
        model.train(mode == "train")
    before = snapshot(model)
    look(model)

    assert_as_found(model, before)
    assert model.calls == ["hook"], "the learner's own hook went on working"


@either
@pytest.mark.parametrize("where", ["conv1", "layer2.0.bn1", "fc"])
def test_also_after_an_error(look, where):
    model = lived_in_model()

    def fail(*_):
        raise ArithmeticError("in the middle")

    model.get_submodule(where).register_forward_hook(fail)
    before = snapshot(model)
    with pytest.raises(ArithmeticError, match="in the middle"):
        look(model)

    assert_as_found(model, before)


@either
def test_the_answers_are_those_of_evaluation_mode(look):
    torch.manual_seed(1)
    model = lived_in_model().train()
    torch.manual_seed(2)
    in_training = look(model)
    torch.manual_seed(2)
    torch.testing.assert_close(look(model.eval()), in_training)
