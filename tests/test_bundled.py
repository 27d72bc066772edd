"""The weights that come with the course, their card, and what images go through before them."""

import re

import pytest
import torch
import torchvision
from torch.nn import functional as F

from resnet_edu import data, pretrain, weights
from resnet_edu.files import FileError
from resnet_edu.training import evaluate

CARD = weights.own.BUNDLED.with_suffix(".md")


def test_it_is_a_resnet50_of_a_quarter_of_the_width_ready_to_classify():
    model, fresh = weights.bundled(), pretrain.network()

    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert list(model.state_dict()) == list(fresh.state_dict())
    shapes = [t.shape for t in model.state_dict().values()]
    assert shapes == [t.shape for t in fresh.state_dict().values()]


def test_it_is_small_and_holds_no_number_that_is_not_finite():
    assert weights.own.BUNDLED.stat().st_size <= 4 * 2**20
    assert all(t.isfinite().all() for t in weights.bundled().state_dict().values())


def test_it_reads_unseen_faces_as_well_as_its_card_says():
    stated = float(re.search(r"\*\*(\d+\.\d+)%\*\*", CARD.read_text(encoding="utf-8"))[1]) / 100
    other_images = data.glyphs("validation", 2000, seed=1)

    assert stated > 0.93
    assert evaluate(weights.bundled(), other_images) == pytest.approx(stated, abs=0.01)


def test_the_card_gives_the_command_that_makes_the_weights():
    card = CARD.read_text(encoding="utf-8")
    command = re.search(r"resnet-edu pretrain --out \w+ --passes (\d+) --seed (\d+)", card)

    assert pretrain.recipe() == pretrain.recipe(int(command[1]), int(command[2]))
    assert f"{len(data.GLYPHS)} classes" in card
    assert all(face in card for face in data.faces("validation"))


def test_each_call_gives_a_network_of_its_own():
    first, second = weights.bundled(), weights.bundled()
    with torch.no_grad():
        first.fc.bias.fill_(7)

    assert not torch.equal(first.fc.bias, second.fc.bias)


@pytest.mark.parametrize("content", [None, b"", b"no weights", "cut off"])
def test_a_missing_or_damaged_file_is_named_with_the_way_out(tmp_path, monkeypatch, content):
    path = tmp_path / "glyphs.safetensors"
    if content is not None:
        whole = weights.own.BUNDLED.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content == "cut off" else content)
    monkeypatch.setattr(weights.own, "BUNDLED", path)

    with pytest.raises(FileError, match="pretrained weights of the course") as error:
        weights.bundled()
    assert str(path) in str(error.value)
    assert f"resnet-edu pretrain --out {tmp_path}" in str(error.value)


# Preprocessing


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (50, 80), (224, 224)])
def test_images_for_imagenet_are_prepared_as_torchvision_does(shape):
    images = torch.rand(2, 3, *shape)
    height, width = (232 * side // min(shape) for side in shape)
    resized = F.interpolate(images, (height, width), mode="bilinear", antialias=True)
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    middle = resized[:, :, top : top + 224, left : left + 224]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (middle - mean[:, None, None]) / std[:, None, None]

    torch.testing.assert_close(weights.preprocess("imagenet")(images), expected)
    theirs = torchvision.models.get_weight("ResNet50_Weights.DEFAULT").transforms()
    torch.testing.assert_close(weights.preprocess("imagenet")(images), theirs(images))


def test_glyphs_go_through_unchanged_and_other_images_become_64_pixels_wide():
    prepare = weights.preprocess("glyphs")
    images = data.glyphs("validation", 3).tensors[0]
    wide = F.pad(images, (20, 20))  # (3, 3, 64, 104): the middle is cut out

    torch.testing.assert_close(prepare(images), images)
    torch.testing.assert_close(prepare(wide), images)
    assert prepare(torch.rand(2, 3, 16, 16)).shape == (2, 3, 64, 64)
    assert prepare(torch.rand(2, 3, 500, 300)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("name", ["ImageNet", "", None, ["glyphs"]])
def test_other_weights_are_refused_and_told_which_there_are(name):
    with pytest.raises(ValueError, match='"glyphs" and "imagenet"') as error:
        weights.preprocess(name)
    assert repr(name) in str(error.value)
