"""Rendered letters and symbols: their classes, faces, masks and images."""

from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.ft2font import FT2Font
from torch.utils.data import TensorDataset

from resnet_edu.data import GLYPHS, faces, glyphs, rendered

SPLITS = "train", "validation"


def font_of(face):
    name = face.partition(" ")[0]
    return FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")))


# Classes and faces


def test_there_are_150_classes_and_more_and_no_character_is_in_two():
    characters = "".join(GLYPHS)

    assert len(GLYPHS) >= 150
    assert len(set(characters)) == len(characters)
    assert not any(character.isdigit() for character in characters)


def test_no_face_is_in_both_splits():
    train, validation = map(set, map(faces, SPLITS))

    assert not train & validation
    assert len(train) >= 20
    assert len(validation) == 5
    assert "five font faces" in glyphs.__doc__


def test_families_of_all_but_one_unseen_face_are_trained_on():
    families = "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "cmss"
    known = [f for f in families if any(face.startswith(f) for face in faces("train"))]

    assert all(face.startswith(families) for face in faces("validation"))
    assert known == ["DejaVuSansMono", "DejaVuSerif", "STIXGeneral"]
    assert "for four of them" in glyphs.__doc__


@pytest.mark.parametrize("split", SPLITS)
def test_every_class_has_several_faces(split):
    _, first = rendered._masks(split)
    at_least = {"train": 7, "validation": 3}[split]

    assert len(first) == len(GLYPHS) + 1
    assert first.diff().min() >= at_least


# Masks


@pytest.mark.parametrize("split", SPLITS)
def test_no_mask_is_empty_or_cut_off_or_there_twice_in_two_classes(split):
    masks, first = rendered._masks(split)
    sharp = masks[:, 0].float() / 255
    ink = sharp.mean((1, 2))
    border = torch.cat([sharp[:, [0, -1]].flatten(1), sharp[:, :, [0, -1]].flatten(1)], dim=1)

    assert ink.min() > 0.01
    assert ink.max() < 0.6
    assert border.max() == 0
    assert sharp.amax((1, 2)).min() > 0.6
    same = torch.cdist(sharp.flatten(1), sharp.flatten(1)) < 0.5
    classes = torch.repeat_interleave(torch.arange(len(GLYPHS)), first.diff())
    assert not (same & (classes[:, None] != classes)).any()


@pytest.mark.parametrize("face", [*faces("train"), *faces("validation")])
def test_what_a_face_lacks_is_left_out_and_no_box_is_drawn(face):
    font = font_of(face)
    font.set_size(96, 72)
    font.load_glyph(0)  # the box that stands for a missing glyph
    drawn = dict(rendered._glyphs_of(face))

    assert set("AZaz") <= set(drawn)
    if face.startswith("cm") or " " in face:
        assert set(drawn) <= set(rendered.LATIN)
    else:
        assert all(font.get_char_index(ord(character)) for character in drawn)
        missing = [c for c in "".join(GLYPHS) if not font.get_char_index(ord(c))]
        assert not set(missing) & set(drawn)
    masks = torch.stack(list(drawn.values()))
    assert len(masks.unique(dim=0)) > 0.9 * len(masks), "many alike: boxes?"


def test_a_mask_has_the_shape_of_its_letter():
    drawn = dict(rendered._glyphs_of("DejaVuSans"))
    wide, tall = (drawn["I"].amax(axis) > 0.25 for axis in (0, 1))

    assert tall.sum() == rendered.LARGEST
    assert wide.sum() < 12
    assert drawn["H"][32, 32] > 0.9  # the bar
    assert drawn["O"][32, 32] == 0
    assert drawn["L"][50:].sum() > 3 * drawn["L"][:14].sum()  # right way up
    assert drawn["L"][:, :32].sum() > 2 * drawn["L"][:, 32:].sum()  # and not mirrored


# Images


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("count", [1, 127, 128, 300])
def test_images_are_in_colour_64_pixels_wide_and_from_0_to_1(split, count):
    images, labels = glyphs(split, count).tensors

    assert isinstance(glyphs(split, count), TensorDataset)
    assert images.shape == (count, 3, 64, 64)
    assert labels.shape == (count,)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std(dim=(1, 2, 3)).min() > 0.02
    assert not torch.equal(images[:, 0], images[:, 1])


def test_all_classes_are_equally_likely():
    _, labels = glyphs("train", 10_000, seed=3).tensors
    counts = torch.bincount(labels, minlength=len(GLYPHS))

    assert len(counts) == len(GLYPHS)
    expected = len(labels) / len(GLYPHS)
    assert ((counts - expected) ** 2 / expected).sum() < len(GLYPHS) + 5 * (2 * len(GLYPHS)) ** 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_the_seed_decides_and_nothing_else_is_touched(split):
    torch.manual_seed(7)
    state, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (glyphs(split, 40, seed).tensors for seed in (5, 5, 6))

    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpys)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])


def test_the_splits_differ_also_for_one_seed():
    train, validation = (glyphs(split, 40, seed=5).tensors[0] for split in SPLITS)

    assert not torch.equal(train, validation)


def test_an_image_shows_its_glyph():
    """The image nearest to a letter's own mask, contrast aside, is of that letter far above chance."""
    masks, first = rendered._masks("train")
    images, labels = glyphs("train", 400, seed=1).tensors
    small = torch.nn.functional.avg_pool2d
    means = torch.stack([masks[a:b, 0].float().mean(0) for a, b in pairwise(first)])
    templates, seen = small(means[:, None], 4).flatten(1), small(images.mean(1, keepdim=True), 4)
    templates = templates - templates.mean(1, keepdim=True)
    seen = seen.flatten(1) - seen.flatten(1).mean(1, keepdim=True)
    alike = (
        torch.nn.functional.normalize(seen, dim=1)
        @ torch.nn.functional.normalize(templates, dim=1).T
    ).abs()  # dark on light counts as light on dark

    assert (alike.argmax(1) == labels).float().mean() > 0.15  # by chance: 0.006


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"split": "test"}, '"train" or "validation", not \'test\''),
        ({"split": None}, '"train" or "validation"'),
        ({"count": 0}, "1 or more; it was 0"),
        ({"count": 2.0}, r"1 or more; it was 2\.0"),
        ({"count": True}, "1 or more; it was True"),
        ({"seed": -1}, "from 0 to .*; it was -1"),
        ({"seed": 2**32}, "from 0 to"),
        ({"seed": "0"}, "from 0 to .*; it was '0'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        glyphs(**arguments)
