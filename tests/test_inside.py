"""What excites a channel, and the loss around a solution, against slow and obvious ways."""

import copy

import numpy as np
import pytest
import torch
from test_measure import assert_as_found, lived_in_model, snapshot
from torch import nn
from torch.nn import functional as F

from resnet_edu import draw, widgets
from resnet_edu.measure import Excitation, capture, excitation, grad_cam, loss_surface
from resnet_edu.networks import cifar_plain, cifar_resnet, resnet18


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# What excites a channel


def test_the_strongest_images_are_those_with_the_largest_number_in_the_map():
    model = cifar_resnet(8).eval()
    images = torch.rand(130, 3, 16, 24)  # more than one batch
    maps = capture(model, ["layer2"], images)["layer2"]  # (130, 32, 8, 12)

    record = excitation(model, ["relu", "layer2"], images)["layer2"]

    for channel in (0, 31):
        tops = record.strongest(channel, 3)
        ranked = sorted(range(130), key=lambda i: -maps[i, channel].max())
        assert list(tops) == ranked[:3]
        for i in tops:
            row, column = divmod(int(maps[i, channel].argmax()), 12)
            assert record.peaks[i, channel] == maps[i, channel, row, column]
            assert record.rows[i, channel] == pytest.approx((row + 0.5) / 8)
            assert record.columns[i, channel] == pytest.approx((column + 0.5) / 12)


def test_a_module_without_maps_is_refused():
    with pytest.raises(ValueError, match=r"'fc' puts out \(2, 10\), not maps"):
        excitation(cifar_resnet(8), ["fc"], torch.rand(2, 3, 8, 8))


# The loss around a solution


def random_direction(model):
    return {name: torch.randn_like(p) for name, p in model.named_parameters()}


def test_each_point_is_the_loss_of_a_network_whose_weights_were_moved():
    model = cifar_plain(8)
    images, labels = torch.rand(12, 3, 8, 8), torch.arange(12) % 10
    first, second = random_direction(model), random_direction(model)
    del second["fc.bias"]  # what is not named stays
    record = loss_surface(model, images, labels, (first, second), (-0.5, 0.0, 0.25))

    for i, a in enumerate(record.distances):
        for j, b in enumerate(record.distances):
            moved = copy.deepcopy(model).train()
            with torch.no_grad():
                for name, p in moved.named_parameters():
                    p += a * first[name] + (b * second[name] if name in second else 0)
                expected = F.cross_entropy(moved(images), labels)
            assert record.losses[i, j] == pytest.approx(float(expected), rel=1e-4), (a, b)
    assert len(np.unique(record.losses)) == 9


def test_along_the_weights_of_a_linear_network_the_loss_is_the_closed_form():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 0]]))
    images, labels = torch.ones(1, 3, 1, 1), torch.tensor([0])
    direction = {"1.weight": torch.tensor([[1.0, 0, 0], [0, 0, 0]])}

    record = loss_surface(model, images, labels, (direction, {}), (-2.0, 0.0, 3.0))

    logits = 1 + np.array(record.distances)  # of class 0; class 1 has 0
    for column in range(3):
        np.testing.assert_allclose(record.losses[:, column], np.log1p(np.exp(-logits)), rtol=1e-5)


def test_the_ring_at_a_distance_is_found_and_a_ring_beyond_the_grid_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    images, labels = torch.ones(1, 3, 1, 1), torch.tensor([0])
    grid = (-1.0, -0.5, 0.0, 0.5, 1.0)
    record = loss_surface(model, images, labels, ({}, {}), grid)
    record.losses[:] = np.hypot(*np.meshgrid(grid, grid))

    assert record.at_distance(0) == 0
    assert record.at_distance(0.5) == 0.5
    assert record.at_distance(1.12) == pytest.approx(1.25**0.5)
    with pytest.raises(ValueError, match="No point"):
        record.at_distance(3)


def test_a_direction_for_another_network_is_refused():
    with pytest.raises(ValueError, match="no parameter 'layer4"):
        loss_surface(
            cifar_plain(8),
            torch.rand(2, 3, 8, 8),
            torch.arange(2),
            ({}, {"layer4.0.conv1.weight": torch.zeros(1)}),
            (0.0, 1.0),
        )


MEASUREMENTS = {
    "excitation": lambda m: excitation(m, ["relu", "layer1"], torch.rand(3, 3, 16, 16)),
    "loss_surface": lambda m: loss_surface(
        m,
        torch.rand(8, 3, 16, 16),
        torch.arange(8),
        (random_direction(m), random_direction(m)),
        (-1.0, 0.0, 1.0),
    ),
}


@pytest.mark.parametrize("look", MEASUREMENTS.values(), ids=MEASUREMENTS.keys())
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was_found_also_after_an_error(look, fails):
    model = lived_in_model()
    if fails:

        def fail(*_):
            raise ArithmeticError("in the middle")

        model.layer2.register_forward_hook(fail)
    before = snapshot(model)
    if fails:
        with pytest.raises(ArithmeticError, match="in the middle"):
            look(model)
    else:
        look(model)
    assert_as_found(model, before)


# The pictures


def small_excitation():
    """Two channels, three images: channel 0 likes the last image, channel 1 the first."""
    peaks = np.array([[1.0, 9.0], [2.0, 8.0], [3.0, 7.0]])
    return Excitation(peaks, np.full((3, 2), 0.25), np.full((3, 2), 0.75))


def test_the_feature_picture_shows_map_and_strongest_images_and_nothing_of_the_past():
    drawing, images = draw.FeatureDrawing(), np.random.default_rng(0).random((3, 3, 8, 8))
    maps = np.zeros((4, 4))
    maps[3, 0] = 2.5
    first = drawing.update(images[0], maps, small_excitation(), 0, images)
    assert "channel 0: 4 by 4, largest value 2.5, brightest at the bottom, left" in first.words
    assert "the 3 images that excite it most" in first.words
    second = drawing.update(images[0], maps, small_excitation(), 1, images)
    assert first.png != second.png
    assert drawing.update(images[0], maps, small_excitation(), 0, images) == first


def test_the_heat_picture_shows_heat_and_answers_and_nothing_of_the_past():
    drawing, image = draw.HeatMapDrawing(), np.full((3, 6, 6), 0.5)
    heat = np.zeros((6, 6))
    first = drawing.update(image, heat, "Evidence for A", {"A": 0.9, "B": 0.1})
    assert "Evidence for A: brightest nowhere." in first.words
    assert "A 90%, B 10%" in first.words
    heat[0, 5] = 1
    second = drawing.update(image, heat, "Evidence for B", {"B": 1.0})
    assert "Evidence for B: brightest at the top, right." in second.words
    assert drawing.update(image, np.zeros((6, 6)), "Evidence for A", {"A": 0.9, "B": 0.1}) == first


def test_images_beyond_0_to_1_are_stretched_and_others_shown_as_they_are():
    pictures = [np.full((3, 2, 2), 0.25), np.linspace(-1, 3, 12).reshape(3, 2, 2)]
    inside, beyond = (ax.images[0].get_array() for ax in draw.gallery({"a": pictures}).axes)
    assert np.all(inside == 0.25)
    assert (beyond.min(), beyond.max()) == (0, 1)


def test_bars_by_block_are_as_high_as_their_numbers_and_share_the_scale_of_their_unit():
    panels = {"change": {"layer1.0": 0.5, "layer1.1": 0.25}, "loss": {"layer1.0": 1.0}}
    looks = {"change": "residual", "loss": "plain"}
    guess = {"layer1.1": 0.75, "layer1.0": None, "layer9.9": 1.0}
    units = {"change": "share", "loss": "share"}
    picture = draw.by_block(panels, units=units, colours=looks, predicted=guess)
    ax, other = picture.axes
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.25]
    assert "layer1.0 0.5, layer1.1 0.25. Your prediction: layer1.1 0.75." in picture.words
    assert ax.collections[0].get_offsets().tolist() == [[1, 0.75]]
    assert ax.get_ylim() == other.get_ylim()
    ax, other = draw.by_block(panels, units={"change": "share", "loss": "nats"}, colours=looks).axes
    assert ax.get_ylim() != other.get_ylim()


def test_points_are_letters_where_their_features_are():
    at = np.array([[0.0, 1.0], [5.0, -2.0], [3.0, 3.0]])
    (ax,) = draw.features_as_points({"layer4": at}, [1, 0, 1], ["$", "Oo"]).axes
    assert [(t.get_text(), *t.get_position()) for t in ax.texts] == [
        ("O", 0, 1),
        ("$", 5, -2),
        ("O", 3, 3),
    ]
    low, high = ax.get_xlim()
    assert low < 0 < 5 < high


# The explorers


def glyph_like(count):
    return torch.rand(count, 3, 32, 32)


def test_the_feature_explorer_shows_every_channel_of_every_layer():
    model, others = resnet18(5, width=4).eval(), glyph_like(12)
    explorer = widgets.FeatureExplorer(model, {"a": others[0], "b": others[1]}, others)
    image, layer, channel = explorer._controls.values()
    assert channel.max == 3
    channel.value = 3
    layer.value = "layer4.1"
    assert channel.max == 31
    assert "layer4.1 has 32 channels of 1 x 1" in explorer._reading.value
    channel.value = 31
    before = explorer._picture.value
    image.value = "b"
    assert explorer._picture.value != before
    layer.value = "relu"
    assert channel.value == channel.max == 3
    assert "The stem has 4 channels of 16 x 16" in explorer._reading.value
    assert explorer._error.value == ""
    maps = capture(model, ["relu"], others[1:2])["relu"][0, 3]
    assert f"zero at {float((maps > 0).float().mean()):.0%}" in explorer._reading.value


def test_the_attention_explorer_shows_what_grad_cam_gives(monkeypatch):
    model, x = resnet18(3, width=4).eval(), glyph_like(2)
    explorer = widgets.HeatMapExplorer(model, {"one": x[0], "two": x[1]}, ["A", "B", "C"])
    image, wanted, layer = explorer._controls.values()
    likeliest = [name for name, _ in wanted.options]
    shares = model(x[:1]).softmax(1)[0]
    assert [["A", "B", "C"].index(name) for name in likeliest] == shares.argsort(
        descending=True
    ).tolist()

    drawn = []
    update = explorer._drawing.update
    monkeypatch.setattr(
        explorer._drawing, "update", lambda *a: drawn.append(a[1].copy()) or update(*a)
    )
    wanted.value = 1
    layer.value = "layer2"
    image.value = "two"
    torch.testing.assert_close(torch.tensor(drawn[0]), grad_cam(model, "layer4", x[0], 1))
    torch.testing.assert_close(torch.tensor(drawn[1]), grad_cam(model, "layer2", x[0], 1))
    best = int(model(x[1:]).argmax())
    torch.testing.assert_close(torch.tensor(drawn[-1]), grad_cam(model, "layer2", x[1], best))
    assert len(drawn) == 3, "one picture for one move"
    assert explorer._error.value == ""


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({}, "needs an image"),
        ({"wide": torch.rand(3, 8, 16)}, r"'wide' has the shape \(3, 8, 16\)"),
        ({"batch": torch.rand(1, 3, 8, 8)}, "not .3, side, side"),
    ],
)
def test_images_that_cannot_be_shown_are_refused(images, words):
    model = resnet18(3, width=4)
    with pytest.raises(ValueError, match=words):
        widgets.FeatureExplorer(model, images, glyph_like(2))
    with pytest.raises(ValueError, match=words):
        widgets.HeatMapExplorer(model, images, ["A", "B", "C"])


def test_every_class_needs_its_name():
    with pytest.raises(ValueError, match="3 classes, and 2 are named"):
        widgets.HeatMapExplorer(resnet18(3, width=4), {"a": glyph_like(1)[0]}, ["A", "B"])
