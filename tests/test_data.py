"""Images: their number, split, shape, values, and what is said where they cannot be read."""

import sys

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from torch.utils.data import TensorDataset

from resnet_edu.data import digits, photo

# Digits


def test_digits_are_split_into_the_first_1500_and_the_last_297():
    train, validation = digits("train", size=8), digits("validation", size=8)
    labels = torch.from_numpy(load_digits().target)

    assert isinstance(train, TensorDataset)
    assert (len(train), len(validation)) == (1500, 297)
    assert len(labels) == 1797
    assert f"{len(labels):,} images of 8x8" in digits.__doc__
    assert "first 1,500" in digits.__doc__
    assert "last 297" in digits.__doc__
    assert torch.equal(torch.cat([train.tensors[1], validation.tensors[1]]), labels)


@pytest.mark.parametrize(
    ("split", "part"), [("train", slice(1500)), ("validation", slice(1500, None))]
)
def test_digits_at_their_own_size_are_the_original_pixels(split, part):
    images, _ = digits(split, size=8).tensors
    original = torch.from_numpy(load_digits().images[part])

    for channel in range(3):
        torch.testing.assert_close(images[:, channel].double() * 16, original, rtol=0, atol=1e-6)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("size", [1, 5, 8, 16, 17, 32])
def test_digits_are_grey_images_from_0_to_1_of_any_size(split, size):
    images, labels = digits(split, size).tensors

    assert images.shape == (len(labels), 3, size, size)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.02
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(images[:, 0], images[:, 2])
    assert labels.unique().tolist() == list(range(10))


def test_enlarging_interpolates_linearly():
    small, large = (digits("validation", size).tensors[0] for size in (8, 16))

    # Each pixel of 16x16 lies a quarter of a small pixel from the centre of its own.
    own, left, above, corner = (
        small[:, :, 1:, 1:], small[:, :, 1:, :-1], small[:, :, :-1, 1:], small[:, :, :-1, :-1],
    )  # fmt: skip
    expected = (9 * own + 3 * left + 3 * above + corner) / 16
    torch.testing.assert_close(large[:, :, 2::2, 2::2], expected)


def test_digits_are_the_same_each_time_and_draw_no_random_numbers():
    state = torch.get_rng_state()
    first, second = digits(), digits()

    assert all(torch.equal(a, b) for a, b in zip(first.tensors, second.tensors, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.tensors[0].shape == (1500, 3, 16, 16)


def test_the_channels_of_a_digit_do_not_share_memory():
    images, _ = digits(size=8).tensors
    before = images[0, 1].clone()
    images[0, 0] = 0.5

    assert torch.equal(images[0, 1], before)
    assert load_digits().images.max() == 16


@pytest.mark.parametrize("split", ["test", "Train", "", None, 0, ["train"]])
def test_another_split_is_refused(split):
    with pytest.raises(ValueError, match='"train" or "validation"') as error:
        digits(split)

    assert repr(split) in str(error.value)


@pytest.mark.parametrize("size", [0, -1, 8.0, "8", None, True, (8, 8)])
@pytest.mark.parametrize("load", [lambda size: digits(size=size), lambda size: photo(width=size)])
def test_a_size_that_is_no_number_of_pixels_is_refused(load, size):
    with pytest.raises(ValueError, match="whole number of pixels, 1 or more") as error:
        load(size)

    assert repr(size) in str(error.value)


# Photos


@pytest.mark.parametrize(("name", "file"), [("flower", "flower.jpg"), ("palace", "china.jpg")])
def test_a_photo_at_its_own_width_is_the_original(name, file):
    original = torch.tensor(load_sample_image(file))  # (427, 640, 3)
    image = photo(name, width=640)

    assert image.shape == (3, 427, 640)
    torch.testing.assert_close(image * 255, original.permute(2, 0, 1).float(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["flower", "palace"])
@pytest.mark.parametrize("width", [1, 7, 224, 320, 800])
def test_a_photo_keeps_its_proportions_and_values_from_0_to_1(name, width):
    image = photo(name, width)

    assert image.shape == (3, max(1, round(width * 427 / 640)), width)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1


def test_a_photo_is_in_colour_and_the_same_each_time():
    image = photo()

    assert image.shape == (3, 214, 320)
    assert torch.equal(image, photo("flower", 320))
    assert not torch.equal(image[0], image[1])
    assert not torch.equal(image, photo("palace"))


@pytest.mark.parametrize("width", [32, 64, 200])
def test_a_photo_shrinks_as_in_an_image_editor(width):
    image = photo("palace", width)
    shrunk = Image.fromarray(load_sample_image("china.jpg")).resize(
        (width, image.shape[1]), Image.Resampling.BILINEAR
    )

    expected = torch.tensor(np.asarray(shrunk)).permute(2, 0, 1) / 255
    torch.testing.assert_close(image, expected, rtol=0, atol=1.5 / 255)


@pytest.mark.parametrize("name", ["dog", "Flower", "", None, ["flower"]])
def test_another_photo_is_refused_and_told_which_there_are(name):
    with pytest.raises(ValueError, match="'flower' and 'palace'") as error:
        photo(name)

    assert repr(name) in str(error.value)


# Where scikit-learn's copies cannot be read


ERRORS = [
    FileNotFoundError("no digits.csv.gz"),
    PermissionError("not yours"),
    EOFError("Compressed file ended"),
    ValueError("could not convert string to float"),
]


@pytest.mark.parametrize("cause", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    ("load", "reads", "what"),
    [(digits, "load_digits", "handwritten digits"), (photo, "load_sample_image", "photo 'flower'")],
)
def test_unreadable_images_are_named_with_the_cause_and_the_cure(
    monkeypatch, cause, load, reads, what
):
    def unreadable(*_args, **_options):
        raise cause

    monkeypatch.setattr(sklearn.datasets, reads, unreadable)
    with pytest.raises(RuntimeError, match=r"pip install .*scikit-learn") as error:
        load()

    assert what in str(error.value)
    assert f"{type(cause).__name__}: {cause}" in str(error.value)
    assert error.value.__cause__ is cause


@pytest.mark.parametrize("load", [digits, photo])
def test_a_missing_scikit_learn_is_named_with_the_cure(monkeypatch, load):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)

    with pytest.raises(RuntimeError, match=r"pip install .*scikit-learn"):
        load()
