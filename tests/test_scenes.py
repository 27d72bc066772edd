"""Scenes: exact boxes, labels and masks of what can be seen."""

import numpy as np
import pytest
import torch

from resnet_edu.data import digits, scenes
from resnet_edu.data.scenes import _Canvas, _digits


@pytest.fixture(scope="module", params=[False, True], ids=["usual", "difficult"])
def some(request):
    return scenes("train", 40, difficult=request.param)


def test_shapes_and_ranges(some):
    assert some.images.shape == (40, 3, 128, 128)
    assert 0 <= some.images.min() < some.images.max() <= 1
    assert some.instances.shape == (40, 128, 128)
    assert all(len(b) == len(k) for b, k in zip(some.boxes, some.labels, strict=True))
    assert set(torch.cat(some.labels).tolist()) == set(range(10))


def test_boxes_are_the_corners_of_what_can_be_seen(some):
    for boxes, instances in zip(some.boxes, some.instances, strict=True):
        assert instances.unique().tolist() == list(range(len(boxes) + 1))
        for k, box in enumerate(boxes.tolist(), 1):
            y, x = (instances == k).nonzero().unbind(1)
            assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_classes_and_targets_tell_the_same(some):
    for labels, instances, classes, target in zip(
        some.labels, some.instances, some.classes, some.targets(), strict=True
    ):
        assert target["labels"].tolist() == [int(k) + 1 for k in labels]
        for number, (label, mask) in enumerate(zip(labels, target["masks"], strict=True), 1):
            assert torch.equal(mask.bool(), instances == number)
            assert (classes[instances == number] == label + 1).all()
        assert (classes[instances == 0] == 0).all()


def test_a_digit_is_set_only_where_all_digits_still_show_enough():
    canvas = _Canvas(np.zeros((3, 128, 128), np.float32), tries=0)
    ink, colour = np.ones((40, 40), np.float32), np.ones(3, np.float32)
    canvas.set(ink, colour, [[0.0, 0.0]], label=1)
    canvas.set(ink, colour, [[0.0, 0.0]], label=2)  # would cover all of the first
    canvas.set(ink, colour, [[0.0, 9.5 / 89]], label=3)  # would leave 9 columns of 40: too few
    assert canvas.labels == [1]
    canvas.set(ink, colour, [[0.0, 0.0], [0.0, 11.5 / 89]], label=4)  # the second place leaves 11
    assert canvas.labels == [1, 4]
    assert canvas.boxes().tolist() == [[0, 0, 11, 40], [11, 0, 51, 40]]
    canvas.set(ink, colour, [[0.0, 0.0]], label=-1)  # nor may what is no digit cover them
    assert canvas.boxes().tolist() == [[0, 0, 11, 40], [11, 0, 51, 40]]


def test_the_same_seed_gives_the_same_scenes():
    a, b, other = scenes("test", 3, 5), scenes("test", 3, 5), scenes("test", 3, 6)
    assert torch.equal(a.images, b.images)
    assert torch.equal(torch.cat(a.boxes), torch.cat(b.boxes))
    assert not torch.equal(a.images, other.images)


def test_test_scenes_show_digits_that_are_in_no_training_scene():
    for split, of_digits in (("train", "train"), ("test", "validation")):
        images, labels = digits(of_digits, size=24).tensors
        masks, numbers = _digits(split)
        assert torch.equal(masks, images[:, 0])
        assert torch.equal(numbers, labels)


def test_a_part_of_the_scenes(some):
    part = some[:3]
    assert len(part) == 3
    assert torch.equal(part.images, some.images[:3])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("validation",), '"train" or "test"'),
        (("train", 0), "1 or more"),
        (("train", 2.0), "1 or more"),
        (("train", 1, -1), "from 0 to"),
    ],
)
def test_bad_arguments_are_a_clear_error(arguments, said):
    with pytest.raises(ValueError, match=said):
        scenes(*arguments)
