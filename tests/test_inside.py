"""What excites a channel, and the loss around a solution, against slow and obvious ways."""

import copy

import numpy as np
import pytest
import torch
from test_measure import assert_as_found, lived_in_model, snapshot
from torch import nn
from torch.nn import functional as F

from resnet_edu.measure import capture, excitation, loss_surface
from resnet_edu.networks import cifar_plain, cifar_resnet


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
