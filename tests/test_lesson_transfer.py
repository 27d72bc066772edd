"""The section on your own photos in the lesson on transfer learning: with a folder, and without."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest
from PIL import Image

from resnet_edu import data, draw

SOURCE = Path(__file__).parents[1] / "authoring" / "lessons" / "transfer_learning.py"


def section_10() -> str:
    (code,) = (c.source for c in jupytext.read(SOURCE).cells if "PHOTOS = None" in c.source)
    return code


def test_without_photos_it_says_what_they_would_show(capsys: pytest.CaptureFixture[str]) -> None:
    exec(section_10(), {"draw": draw})
    assert "With a folder of photos you would see" in capsys.readouterr().out


@pytest.mark.slow
def test_with_photos_it_tunes_and_shows_who_is_taken_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = data.digits("train", size=48)[:60]
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        if label < 2:
            folder = tmp_path / "pets" / f"digit {label}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = (image.permute(1, 2, 0) * 255).byte().numpy()
            Image.fromarray(pixels).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    code = section_10().replace("PHOTOS = None", 'PHOTOS = "pets"')
    code = code.replace('weights="imagenet"', 'weights="glyphs"')  # nothing is downloaded in a test
    shown: list[draw.Picture] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    names = {"draw": draw}
    exec(code, names)
    assert names["result"].accuracy > 0.7
    assert "of the photos of validation are right" in capsys.readouterr().out
    assert "who was taken for whom" in shown[0].words
    assert (tmp_path / "pets result" / "report.html").is_file()
