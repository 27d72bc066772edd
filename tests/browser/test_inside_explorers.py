"""The explorers of the lesson on the inside of a ResNet, moved by keyboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import Notebook, text_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from test_explorers import move

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    new_markdown_cell("# Explorers"),
    new_code_cell(
        "from resnet_edu import data, weights, widgets\n\n"
        "network = weights.bundled()\n"
        'images, labels = data.glyphs("validation", 40).tensors\n'
        'letters = {"first": images[0], "second": images[1]}\n'
        "widgets.FeatureExplorer(network, letters, images)"
    ),
    new_markdown_cell("## The next one"),
    new_code_cell("widgets.HeatMapExplorer(network, letters, data.GLYPHS)"),
]
FEATURE, ATTENTION = 1, 3


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "inside_explorers.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=metadata), path)
    yield
    path.unlink()


def press(notebook: Notebook, place: int, label: str, key: str) -> str:
    """Move a control by a key, wait for a new picture, and give its text."""
    explorer = notebook.output(place)
    picture, control = notebook.picture(explorer), notebook.control(label, explorer)
    with notebook.new_picture(picture):
        if key == "next":
            move(notebook, control)
        else:
            control.press(key)
    return text_of(picture)


def assert_no_errors(notebook: Notebook) -> None:
    assert notebook.errors() == []
    assert notebook.callback_errors() == []
    assert notebook.console_errors == []


def test_a_walk_through_layers_and_channels(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("inside_explorers.ipynb")
    notebook.run_all()
    assert "first, layer1.0." in text_of(notebook.picture(notebook.output(FEATURE)))

    assert "channel 63" in press(notebook, FEATURE, "Channel", "End")
    assert "layer4.2 has 512 channels of 2 x 2" in press(notebook, FEATURE, "Layer", "End")
    assert "channel 64" in press(notebook, FEATURE, "Channel", "ArrowRight"), "beyond those before"
    assert "The stem has 16 channels of 32 x 32" in press(notebook, FEATURE, "Layer", "Home")
    assert "channel 14" in press(notebook, FEATURE, "Channel", "ArrowLeft"), "one before the last"
    assert "second, relu." in press(notebook, FEATURE, "Image", "next")
    assert_no_errors(notebook)


def test_a_class_a_layer_and_an_image_are_chosen(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("inside_explorers.ipynb")
    notebook.run_all()
    first = text_of(notebook.picture(notebook.output(ATTENTION)))
    assert ", at layer4: brightest" in first

    other = press(notebook, ATTENTION, "Class", "next")
    assert other.split("Evidence for ")[1].split(",")[0] != first.split("Evidence for ")[1][0]
    assert ", at layer3: brightest" in press(notebook, ATTENTION, "Layer", "ArrowLeft")
    text = press(notebook, ATTENTION, "Image", "next")
    assert text.startswith("second.")
    likeliest = text.split("The likeliest classes: ")[1].split(" ")[0]
    assert f"Evidence for {likeliest}, at layer3" in text, "the likeliest class of the new image"
    assert_no_errors(notebook)


@pytest.mark.parametrize("width", [900, 1400])
def test_fits_the_screen(open_notebook: OpenNotebook, width: int) -> None:
    notebook = open_notebook("inside_explorers.ipynb", width=width)
    notebook.run_all()
    assert notebook.page.locator("img.widget-image").count() == 2
    assert notebook.too_wide() == []
