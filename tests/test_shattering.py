"""The gradient along a line between two images, and how alike neighbours are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resnet_edu import measure
from resnet_edu.networks import cifar_resnet

START, END = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_linear_network_has_the_same_slope_everywhere() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    slopes = measure.gradients_along_line(model, START, END, points=5)
    rise = model(END[None]) - model(START[None])
    assert slopes.shape == (2, 5)
    assert torch.allclose(slopes, rise.T.expand(2, 5), atol=1e-5)


def test_the_slopes_add_up_to_the_rise() -> None:
    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.square().sum((1, 2, 3))[:, None]

    slopes = measure.gradients_along_line(Square(), START, END, points=201)
    rise = END.square().sum() - START.square().sum()
    assert torch.trapezoid(slopes[0], dx=1 / 200).item() == pytest.approx(rise.item(), rel=1e-4)


def test_the_model_is_left_as_it_was() -> None:
    model = cifar_resnet(8).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure.gradients_along_line(model, START, END, points=4)
    assert not model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_wave_is_like_itself_a_period_later() -> None:
    wave = torch.sin(torch.arange(4000) * 2 * torch.pi / 40)[None]
    found = measure.autocorrelation(wave, 40)
    assert found[0] == pytest.approx(1)
    assert found[10] == pytest.approx(0, abs=0.01)
    assert found[20] == pytest.approx(-1, abs=0.01)
    assert found[40] == pytest.approx(1, abs=0.02)


def test_white_noise_knows_nothing_of_its_neighbours() -> None:
    noise = torch.randn(20, 2000, generator=torch.Generator().manual_seed(0))
    found = measure.autocorrelation(noise, 5)
    assert found[1:].abs().max() < 0.02


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(ValueError, match="two points"):
        measure.gradients_along_line(cifar_resnet(8), START, END, points=1)
    with pytest.raises(ValueError, match="5 lags need more than 5 points"):
        measure.autocorrelation(torch.zeros(1, 5), 5)
