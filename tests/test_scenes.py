"""Scenes: exact boxes, labels and masks of what can be seen."""

import pytest
import torch

from resnet_edu.data import digits, scenes
from resnet_edu.data.scenes import LEAST_VISIBLE


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


def test_some_digits_are_covered_in_part_and_none_hardly_shows():
    shares = []
    for seed in range(3):
        crowd = scenes("train", 30, seed, difficult=True)
        for instances, boxes in zip(crowd.instances, crowd.boxes, strict=True):
            areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
            seen = torch.bincount(instances.flatten().long(), minlength=len(boxes) + 1)[1:]
            shares += (seen / areas).tolist()
    assert (
        min(shares) > LEAST_VISIBLE * 0.1
    )  # ink fills a third of a box, and a quarter of it is seen
    assert len(shares) > 500


def test_the_same_seed_gives_the_same_scenes():
    a, b, other = scenes("test", 3, 5), scenes("test", 3, 5), scenes("test", 3, 6)
    assert torch.equal(a.images, b.images)
    assert torch.equal(torch.cat(a.boxes), torch.cat(b.boxes))
    assert not torch.equal(a.images, other.images)


def test_test_scenes_show_digits_that_are_in_no_training_scene():
    from resnet_edu.data.scenes import _digits

    (train, _), (test, _) = _digits("train"), _digits("test")
    assert (len(train), len(test)) == (len(digits("train")), len(digits("validation")))


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
