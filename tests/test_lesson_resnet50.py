"""The lesson on ResNet-50 with published weights: from a server on this computer, and without a network."""

# ruff: noqa: ARG001, F811 - fixtures that come from another file

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import pytest
import torch
from PIL import Image
from test_imagenet_download import cache, direct, publish, send, server, weights_file  # noqa: F401

from resnet_edu.draw import Picture

SOURCE = Path(__file__).parents[1] / "authoring" / "lessons" / "resnet50.py"
V2 = "IMAGENET1K_V2"


def code_of(*sections: str) -> list[str]:
    """The code cells in front of the first section, and those of the named ones."""
    section, found = "", []
    for cell in jupytext.read(SOURCE).cells:
        if headings := re.findall(r"^## (\d+)\.", cell.source, re.MULTILINE):
            section = headings[-1]
        elif cell.cell_type == "code" and section in ("", *sections):
            found.append(cell.source)
    return found


def run(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> tuple[dict[str, Any], list]:
    """Run sections 3 and 7 with some lines changed. Gives the names they define, and what they display."""
    code, shown, names = code_of("3", "7"), [], {}
    for line, other in changes.items():
        assert sum(cell.count(line) for cell in code) == 1
        code = [cell.replace(line, other) for cell in code]
    monkeypatch.setattr("IPython.display.display", lambda *things: shown.extend(things))
    for number, cell in enumerate(code):
        exec(compile(cell, f"cell {number}", "exec"), names)
    return names, shown


@pytest.mark.slow
def test_with_a_network_the_photos_are_classified(server, cache, monkeypatch, tmp_path):
    file = weights_file(tmp_path, "resnet50")
    server.answer = send(file.read_bytes())
    publish(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}/{file.name}", "resnet50", V2)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    Image.new("L", (300, 200), 90).save(tmp_path / "mine.jpg", exif=turned)

    names, shown = run(
        monkeypatch,
        {
            "DOWNLOAD = False": "DOWNLOAD = True",
            "MY_PHOTO = None": f"MY_PHOTO = {str(tmp_path / 'mine.jpg')!r}",
        },
    )

    assert server.asked == 1
    assert names["shown"]["yours"].shape == (3, 300, 200)
    assert [type(thing) for thing in shown] == [Picture] * 7  # the block, and two for each photo
    answers, where = names["classify"](names["images"]["palace"])
    with torch.inference_mode():
        logits = names["trained"](names["prepare"](names["shown"]["palace"])[None])[0]
    best = logits.topk(5).indices.tolist()
    assert list(answers) == [names["classes"][i] for i in best]
    assert list(answers.values()) == pytest.approx(logits.softmax(0)[best].tolist())
    assert where.shape == (7, 7)
    bias = names["trained"].fc.bias[best[0]].detach()
    assert float(where.mean() + bias) == pytest.approx(float(logits[best[0]]), rel=1e-3)


@pytest.mark.parametrize("download", ["True", "False"])
def test_without_a_network_it_says_so_and_goes_on(download, cache, monkeypatch, capsys):
    publish(monkeypatch, "http://127.0.0.1:9/resnet50-01234567.pth", "resnet50", V2)

    names, shown = run(monkeypatch, {"DOWNLOAD = False": f"DOWNLOAD = {download}"})

    said = capsys.readouterr().out
    assert names["trained"] is None
    assert shown == []
    assert "With the weights (DOWNLOAD = True above) you would see" in said
    assert ("three ways out" in said) == (download == "True")
