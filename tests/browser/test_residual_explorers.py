"""The explorers of the lesson on identity mappings, moved by keyboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import text_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from test_explorers import move

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    new_markdown_cell("# Explorers"),
    new_code_cell(
        "from resnet_edu import data, networks, widgets\n\n"
        "images, labels = data.digits()[:32]\n"
        "widgets.ShortcutExplorer(images, labels)"
    ),
    new_markdown_cell("## The next one"),
    new_code_cell(
        'models = {"ResNet-14": networks.cifar_resnet(14), "plain-14": networks.cifar_plain(14)}\n'
        "widgets.LesionsExplorer(models, images, labels)"
    ),
]
SHORTCUT, LESION = 1, 3
CONTROLS = {
    SHORTCUT: ("Shortcut", "Depth", "Gamma at start"),
    LESION: ("Network", "Block to remove"),
}


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "residual_explorers.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=metadata), path)
    yield
    path.unlink()


@pytest.mark.parametrize("place", [SHORTCUT, LESION])
def test_every_control_changes_the_picture_and_its_text(
    open_notebook: OpenNotebook, place: int
) -> None:
    notebook = open_notebook("residual_explorers.ipynb")
    notebook.run_all()
    explorer = notebook.output(place)
    picture = notebook.picture(explorer)
    for label in CONTROLS[place]:
        before = text_of(picture)
        control = notebook.control(label, explorer)
        with notebook.new_picture(picture):
            if label == "Depth":
                control.press("ArrowLeft")  # it starts at the deepest
            else:
                move(notebook, control)
        assert text_of(picture) != before, label
    assert notebook.errors() == []
    assert notebook.callback_errors() == []
    assert notebook.console_errors == []


def test_fits_the_screen(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("residual_explorers.ipynb", width=900)
    notebook.run_all()
    assert notebook.page.locator("img.widget-image").count() == 2
    assert notebook.too_wide() == []
