"""The explorer of the lesson on ResNet-50, moved by keyboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import Notebook, text_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    new_markdown_cell("# Explorer"),
    new_code_cell("from resnet_edu import widgets\n\nwidgets.ArchitectureExplorer()"),
]


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "architecture.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=metadata), path)
    yield
    path.unlink()


def press(notebook: Notebook, label: str, *keys: str) -> str:
    """Press keys on a control, wait for a new picture after each, and give the text of the last one."""
    explorer = notebook.output(1)
    picture = notebook.picture(explorer)
    for key in keys:
        with notebook.new_picture(picture):
            notebook.control(label, explorer).press(key)
    return text_of(picture)


def test_a_walk_through_the_networks(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("architecture.ipynb")
    notebook.run_all()
    assert "conv3_x, block 1 of 4 (layer2[0])" in text_of(notebook.picture(notebook.output(1)))

    assert "conv3_x, block 3 of 4 (layer2[2])" in press(
        notebook, "Block", "ArrowRight", "ArrowRight"
    )
    assert "image 128 x 128" in press(notebook, "Image size", "ArrowLeft")
    assert "conv4_x, block 3 of 6" in press(notebook, "Stage", "ArrowRight")
    assert "conv4_x, block 3 of 36" in press(notebook, "Network", "End")
    more = ["ArrowRight"] * 4
    assert "conv4_x, block 7 of 36" in press(notebook, "Block", *more), "beyond the range before"
    assert "conv4_x, block 2 of 2" in press(notebook, "Network", "Home"), "the last that there is"

    assert "Chosen: head" in press(notebook, "Stage", "End")
    block = notebook.control("Block", notebook.output(1))
    assert block.locator("xpath=ancestor::*[@disabled]").count(), "the head has no blocks"
    assert "Chosen: stem" in press(notebook, "Stage", "Home")
    assert "conv2_x, block 2 of 2" in press(notebook, "Stage", "ArrowRight")
    assert not block.locator("xpath=ancestor::*[@disabled]").count()

    assert notebook.errors() == []
    assert notebook.callback_errors() == []
    assert notebook.console_errors == []


@pytest.mark.parametrize("width", [900, 1400])
def test_fits_the_screen(open_notebook: OpenNotebook, width: int) -> None:
    notebook = open_notebook("architecture.ipynb", width=width)
    notebook.run_all()
    picture = notebook.picture(notebook.output(1))
    shown, drawn = picture.evaluate("image => [image.clientWidth, image.naturalWidth]")
    assert 460 <= shown <= drawn, "at 460 pixels and more, the letters are 9 pt and more"
    assert notebook.too_wide() == []
