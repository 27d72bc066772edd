"""The explorer of the lesson on two frameworks, moved by keyboard in a browser, with made-up numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import Notebook, text_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = ("stride", "biases", "epsilon", "padding", "input")
CODE = f"""\
import itertools
import numpy as np
from resnet_edu import data, widgets

names = {NAMES}
images, _ = data.digits(size=64)[:16]
numbers = np.random.default_rng(0)
sets = [frozenset(c) for n in range(6) for c in itertools.combinations(names, n)]
found = {{missing: numbers.dirichlet(np.ones(10), 16) for missing in sets}}
widgets.CorrectionsExplorer(images, found[frozenset()], found, frozenset(["stride"]))
"""


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "corrections.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [new_markdown_cell("# Explorer"), new_code_cell(CODE)]
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    yield
    path.unlink()


def test_every_box_and_the_slider_change_the_picture(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("corrections.ipynb")
    notebook.run_all()
    explorer = notebook.output(1)
    picture = notebook.picture(explorer)
    assert "Without stride," in text_of(picture)

    press_box(notebook, "stride")
    assert "With all corrections, 0 of 16 answers are not Keras's" in text_of(picture)
    for place, name in enumerate(NAMES):
        press_box(notebook, name)
        assert f"Without {' and '.join(NAMES[: place + 1])}," in text_of(picture)
    with notebook.new_picture(picture):
        notebook.control("Image", explorer).press("ArrowRight")
    assert "Image: image 2." in text_of(picture)
    assert notebook.errors() == []
    assert notebook.callback_errors() == []
    assert notebook.console_errors == []


def press_box(notebook: Notebook, name: str) -> None:
    explorer = notebook.output(1)
    box = explorer.get_by_role("checkbox", name=name, exact=True)
    with notebook.new_picture(notebook.picture(explorer)):
        box.press("Space")


def test_fits_the_screen(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("corrections.ipynb", width=900)
    notebook.run_all()
    assert notebook.page.locator("img.widget-image").count() == 1
    assert notebook.too_wide() == []
