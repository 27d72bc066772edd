"""The paths through a residual network: counted, and weighted by gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from resnet_edu import measure
from resnet_edu.networks import cifar_plain, cifar_resnet

IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])


def test_every_block_doubles_the_paths() -> None:
    assert measure.path_counts(3) == (1, 3, 3, 1)
    assert sum(measure.path_counts(27)) == 2**27


def test_no_blocks_leave_one_path() -> None:
    assert measure.path_counts(0) == (1,)
    with pytest.raises(ValueError, match="-1 blocks"):
        measure.path_counts(-1)


def test_the_path_around_all_branches_carries_what_shortcuts_alone_would() -> None:
    model = cifar_resnet(8).eval()
    found = measure.path_gradients(model, IMAGES, LABELS, samples=1)
    assert len(found) == 4
    # By hand: detach every branch, and differentiate by the input of the first block.
    x = model.relu(model.bn1(model.conv1(IMAGES))).detach().requires_grad_()
    h = x
    for stage in (model.layer1, model.layer2, model.layer3):
        for block in stage:
            branch = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(h)))))
            h = block.relu2(branch.detach() + block.downsample(h))
    loss = F.cross_entropy(model.fc(model.avgpool(h).flatten(1)), LABELS)
    (gradient,) = torch.autograd.grad(loss, x)
    assert found[0] == pytest.approx(gradient.norm().item(), rel=1e-4)


def test_a_branch_that_is_switched_off_carries_nothing() -> None:
    model = cifar_resnet(8, zero_init_residual=True)
    around, *through = measure.path_gradients(model, IMAGES, LABELS, samples=2)
    assert around > 0
    assert through == [0, 0, 0]


def test_the_model_is_left_as_it_was() -> None:
    model = cifar_resnet(8).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure.path_gradients(model, IMAGES, LABELS, samples=1)
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_plain_network_has_one_path() -> None:
    with pytest.raises(ValueError, match="without a shortcut"):
        measure.path_gradients(cifar_plain(8), IMAGES, LABELS)
