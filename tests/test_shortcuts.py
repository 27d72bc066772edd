"""Signals along the shortcuts, against the product of their factors."""

import pytest
import torch

from resnet_edu import draw, widgets
from resnet_edu.measure import (
    SHORTCUTS,
    BlockSignal,
    ShortcutSetting,
    ShortcutSignal,
    shortcut_network,
    shortcut_signal,
)
from resnet_edu.networks import cifar_plain, cifar_resnet

IMAGES = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8)


@pytest.mark.parametrize(("shortcut", "make"), [("none", cifar_plain), ("identity", cifar_resnet)])
def test_the_networks_are_those_of_the_course(shortcut, make):
    torch.manual_seed(3)
    expected = make(14).state_dict()
    found = shortcut_network(ShortcutSetting(shortcut, 14, 1.0), seed=3).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_building_leaves_the_random_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    shortcut_signal(ShortcutSetting("1x1 convolution", 8), IMAGES, LABELS)
    assert torch.equal(torch.rand(1), expected)


def test_identity_shortcuts_alone_carry_the_signal_through_a_stage_unchanged():
    blocks = shortcut_signal(ShortcutSetting("identity", 32, 0.0), IMAGES, LABELS).blocks
    for stage in range(3):
        scales = {b.scale for b in blocks[5 * stage : 5 * stage + 5]}
        norms = [b.gradient_norm for b in blocks[5 * stage : 5 * stage + 5]]
        assert len(scales) == 1
        # A gradient stops where the ReLU gave zero, and goes on unchanged after that.
        assert norms[:4] == pytest.approx([norms[0]] * 4)


def test_scaled_shortcuts_alone_halve_the_signal_in_each_block():
    blocks = shortcut_signal(ShortcutSetting("scaled by 0.5", 56, 0.0), IMAGES, LABELS).blocks
    whole = shortcut_signal(ShortcutSetting("identity", 56, 0.0), IMAGES, LABELS).blocks
    for i, (half, full) in enumerate(zip(blocks, whole, strict=True), 1):
        assert half.scale == pytest.approx(full.scale * 0.5**i, rel=1e-4)
    assert 6.5e-9 < 0.5**27 < 7.5e-9  # the module's docstring


def test_without_shortcut_and_branch_nothing_is_left():
    record = shortcut_signal(ShortcutSetting("none", 14, 0.0), IMAGES, LABELS)
    assert all(block.scale == 0 for block in record.blocks)
    assert record.blocks[0].gradient_norm == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_four_shortcuts_at_depth_56(seed):
    def back(shortcut, gamma):
        setting = ShortcutSetting(shortcut, 56, gamma)
        blocks = shortcut_signal(setting, IMAGES, LABELS, seed).blocks
        return blocks[0].gradient_norm / blocks[-1].gradient_norm

    assert 0.1 < back("identity", 0.0) < 2
    assert back("scaled by 0.5", 0.0) < 1e-6
    assert back("none", 0.0) == 0


def test_the_gradient_is_that_of_autograd():
    setting = ShortcutSetting("1x1 convolution", 8, 1.0)
    record = shortcut_signal(setting, IMAGES, LABELS)
    model = shortcut_network(setting).train()
    x = model.layer1(model.relu(model.bn1(model.conv1(IMAGES))))
    x.retain_grad()
    logits = model.fc(model.layer3(model.layer2(x)).mean((2, 3)))
    torch.nn.functional.cross_entropy(logits, LABELS).backward()
    assert record.blocks[0].gradient_norm == pytest.approx(x.grad.norm().item(), rel=1e-4)
    assert record.blocks[0].scale == pytest.approx(x.square().mean().sqrt().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shortcut": "gated"}, "scaled by 0.5"),
        ({"gamma": 2.0}, "between 0 and 1"),
        ({"depth": 9}, "6n"),
    ],
)
def test_what_does_not_exist_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        shortcut_network(ShortcutSetting(**change))


# The picture and the explorer


def record(scales, norms):
    rows = zip(scales, norms, strict=True)
    return ShortcutSignal(2.3, tuple(BlockSignal("b", s, g) for s, g in rows))


@pytest.mark.parametrize(
    ("scales", "norms", "words"),
    [
        ((1.0, 0.5), (0.1, 0.2), "open"),
        ((1.0, 1e-8), (1e-9, 0.2), "fades"),
        ((1.0, 1.0), (30.0, 0.02), "explodes"),
        ((0.0, 0.0), (0.0, 0.02), "Nothing gets through"),
    ],
)
def test_the_reading_names_what_is_seen(scales, norms, words):
    assert words in draw.shortcut_reading(record(scales, norms))


def test_the_picture_changes_and_says_both_ends():
    drawing = draw.ShortcutDrawing()
    first, second = record((1.0, 0.5), (0.1, 0.2)), record((1.0, 1e-8), (1e-9, 0.2))
    open_path, faded = drawing.update(first), drawing.update(second, first)
    assert open_path.png != faded.png
    assert "1 at the first, 1e-8 at the last" in faded.words
    assert drawing.update(first) == open_path


def test_the_explorer_works_for_every_setting():
    explorer = widgets.ShortcutExplorer(IMAGES, LABELS)
    shortcut, depth, gamma = explorer._controls.values()
    depth.value = 14
    for name in SHORTCUTS:
        for value in gamma.options:
            shortcut.value, gamma.value = name, value
            assert explorer._error.value == "", (name, value)
            assert "of 6 blocks" in explorer._picture.tooltip
