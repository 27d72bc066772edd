"""Blocks removed and shuffled, against the same network cut up by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from resnet_edu import draw, widgets
from resnet_edu.measure import Lesions, block_names, lesions, shuffled, without_block
from resnet_edu.networks import cifar_plain, cifar_resnet, resnet18, resnet50


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def images(count=6, size=16):
    return torch.rand(count, 3, size, size), torch.arange(count) % 10


def test_blocks_are_named_in_order():
    assert block_names(cifar_resnet(14)) == (
        *("layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1"),
    )
    assert len(block_names(resnet50(width=4))) == 16
    with pytest.raises(ValueError, match="no stages"):
        block_names(nn.Linear(2, 2))


@pytest.mark.parametrize("make", [cifar_resnet, cifar_plain])
def test_without_a_block_its_output_is_its_input(make):
    model = make(14).eval()
    before = copy.deepcopy(model.state_dict())
    x, _ = images()
    cut = without_block(model, "layer2.1")
    by_hand = model.layer1(model.relu(model.bn1(model.conv1(x))))
    by_hand = model.layer3(model.layer2[0](by_hand))
    by_hand = model.fc(by_hand.mean((2, 3)))
    torch.testing.assert_close(cut(x), by_hand)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not isinstance(model.layer2[1], nn.Identity)


def test_without_a_residual_block_is_a_residual_block_without_its_branch():
    model = cifar_resnet(14).eval()
    x, _ = images()
    cut = without_block(model, "layer1.1")(x)
    nn.init.zeros_(model.layer1[1].bn2.weight)
    torch.testing.assert_close(cut, model(x))


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        (cifar_resnet(8), "layer2.0", "changes the shape"),
        (cifar_plain(14), "layer3.0", "layer3.1"),
        (resnet50(width=4), "layer1.0", "changes the shape"),
        (cifar_resnet(8), "layer1.7", "no block"),
        (cifar_resnet(8), "layer1", "no block"),
        (cifar_resnet(8), "fc", "no block"),
    ],
)
def test_a_block_that_cannot_be_removed_is_refused_with_the_reason(model, name, words):
    with pytest.raises(ValueError, match=words):
        without_block(model, name)


@pytest.mark.parametrize("model", [cifar_resnet(14), cifar_plain(14), resnet18(10, width=4)])
def test_lesions_answer_as_the_cut_networks_do_and_leave_the_model(model):
    x, labels = images(12)
    model(x)  # running statistics that are not those of the start
    model.train()
    model.layer1.eval()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    record = lesions(model, x, labels)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_pre_hooks for m in model.modules())

    model.eval()
    with torch.no_grad():
        assert list(record.intact) == model(x).argmax(1).tolist()
        for name, answers in record.removed.items():
            assert list(answers) == without_block(model, name)(x).argmax(1).tolist()
    refused = set(record.blocks) - set(record.removed)
    assert all(name.endswith(".0") for name in refused)


def test_a_removed_block_can_be_removed_again():
    model = without_block(cifar_resnet(14), "layer1.1")
    assert isinstance(without_block(model, "layer1.1").layer1[1], nn.Identity)


def test_lesions_refuses_labels_that_do_not_fit():
    x, labels = images()
    with pytest.raises(ValueError, match="as many labels"):
        lesions(cifar_resnet(8), x, labels[:2])


@pytest.mark.parametrize("seed", range(3))
def test_shuffling_keeps_each_block_in_its_stage_and_the_first_in_place(seed):
    model = cifar_resnet(32).eval()
    mixed = shuffled(model, seed)
    for stage, new in ((model.layer1, mixed.layer1), (model.layer2, mixed.layer2)):
        old = [block.conv2.weight for block in stage]
        order = [next(i for i, w in enumerate(old) if torch.equal(w, b.conv2.weight)) for b in new]
        assert sorted(order) == list(range(len(old)))
        assert order != sorted(order)
    assert torch.equal(mixed.layer2[0].conv2.weight, model.layer2[0].conv2.weight)
    x, _ = images()
    assert torch.equal(shuffled(model, seed)(x), mixed(x))
    assert not torch.allclose(model(x), mixed(x))


# The picture and the explorer


RECORD = Lesions(
    ("layer1.0", "layer1.1", "layer2.0"),
    (0, 1, 2, 3),
    (0, 1, 2, 9),
    {"layer1.0": (0, 7, 7, 3), "layer1.1": (0, 1, 2, 9)},
)


def test_the_record_tells_accuracy_and_what_is_now_misread():
    assert RECORD.intact_accuracy == 0.75
    assert RECORD.accuracies == {"layer1.0": 0.5, "layer1.1": 0.75}
    assert RECORD.misread() == (3,)
    assert RECORD.misread("layer1.0") == (1, 2)
    assert RECORD.misread("layer1.1") == ()


def test_the_picture_says_which_digits_are_misread():
    drawing = draw.LesionsDrawing(3, (8, 8))
    first = drawing.update(RECORD, "layer1.0", np.zeros((4, 8, 8)))
    assert "whole network 75.0%" in first.words
    assert "layer1.0 50.0%" in first.words
    assert "1 read as 7; 2 read as 7" in first.words
    other = drawing.update(RECORD, "layer1.1", np.zeros((4, 8, 8)))
    assert "Now misread without layer1.1: 0." in other.words
    assert other.png != first.png
    assert drawing.update(RECORD, "layer1.0", np.zeros((4, 8, 8))) == first


def test_the_reading_gives_the_numbers():
    assert "75.0%" in draw.lesions_reading(RECORD)
    assert "layer1.0: 50.0%" in draw.lesions_reading(RECORD)
    assert "2 digits that it read before are" in draw.lesions_reading(RECORD, "layer1.0")


def test_the_explorer_moves_between_networks_and_blocks():
    x, labels = images(12)
    models = {"ResNet-14": cifar_resnet(14), "plain-8": cifar_plain(8)}
    explorer = widgets.LesionsExplorer(models, x, labels)
    network, block = explorer._controls.values()
    assert block.options == ("none", "layer1.0", "layer1.1", "layer2.1", "layer3.1")
    block.value = "layer3.1"
    assert "Without layer3.1" in explorer._reading.value
    network.value = "plain-8"
    assert block.value == "none"
    assert block.options == ("none", "layer1.0")
    assert explorer._error.value == ""
    assert "whole network" in explorer._picture.tooltip
    with pytest.raises(ValueError, match="trained network"):
        widgets.LesionsExplorer({}, x, labels)
