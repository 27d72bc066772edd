"""The last section of the lesson on the inside of a ResNet: weights from a server here, and no network."""

# ruff: noqa: ARG001, F811 - fixtures that come from another file

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import pytest
import torch
from test_imagenet_download import cache, direct, publish, send, server, weights_file  # noqa: F401

from resnet_edu.draw import Picture

SOURCE = Path(__file__).parents[1] / "authoring" / "lessons" / "inside_a_resnet.py"
V2 = "IMAGENET1K_V2"


def run(monkeypatch: pytest.MonkeyPatch, download: str) -> tuple[dict[str, Any], list]:
    """Run the imports and section 7. Gives the names they define, and what they display."""
    section, code, shown, names = "", [], [], {}
    for cell in jupytext.read(SOURCE).cells:
        if headings := re.findall(r"^## (\d+)\.", cell.source, re.MULTILINE):
            section = headings[-1]
        elif cell.cell_type == "code" and (section == "7" or cell.source.startswith("import")):
            code.append(cell.source)
    assert sum(cell.count("DOWNLOAD = False") for cell in code) == 1
    monkeypatch.setattr("IPython.display.display", lambda *things: shown.extend(things))
    for number, cell in enumerate(code):
        if "widgets.Question" not in cell:
            cell = cell.replace("DOWNLOAD = False", f"DOWNLOAD = {download}")
            exec(compile(cell, f"cell {number}", "exec"), names)
    return names, shown


@pytest.mark.slow
def test_with_a_network_kernels_and_evidence_are_shown(server, cache, monkeypatch, tmp_path):
    file = weights_file(tmp_path, "resnet50")
    server.answer = send(file.read_bytes())
    publish(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}/{file.name}", "resnet50", V2)

    names, shown = run(monkeypatch, "True")

    assert server.asked == 1
    assert [type(thing) for thing in shown] == [Picture] * 3  # the kernels, and two photos
    photo = names["photos"]["flower"]
    found = names["evidence"](photo)
    best = names["imagenet"](photo[None])[0].topk(2).indices.tolist()
    classes = names["ResNet50_Weights"].IMAGENET1K_V2.meta["categories"]
    assert list(found) == [classes[i] for i in best]
    assert all(heat.shape == (224, 224) for _, heat in found.values())
    assert all(torch.equal(image, photo) for image, _ in found.values())


@pytest.mark.parametrize("download", ["True", "False"])
def test_without_a_network_it_says_so_and_goes_on(download, cache, monkeypatch, capsys):
    publish(monkeypatch, "http://127.0.0.1:9/resnet50-01234567.pth", "resnet50", V2)

    names, shown = run(monkeypatch, download)

    said = capsys.readouterr().out
    assert names["imagenet"] is None
    assert shown == []
    assert "With the weights (DOWNLOAD = True above) you would see" in said
    assert ("three ways out" in said) == (download == "True")
