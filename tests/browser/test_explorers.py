"""Every control of every explorer, moved by keyboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import Notebook, text_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Locator

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = [
    new_markdown_cell("# Explorers"),
    new_code_cell(
        "from resnet_edu import data, widgets\n\n"
        "inputs, targets = data.digits()[:16]\n"
        'widgets.ConvolutionExplorer({"flower": data.photo(width=160), "digit": inputs[0]})'
    ),
    new_markdown_cell("## The next one"),
    new_code_cell("widgets.GradientFlowExplorer(inputs, targets)"),
    new_markdown_cell("## An explorer that fails"),
    new_code_cell(
        "import ipywidgets\n\n\n"
        "class Failing(widgets.ConvolutionExplorer):\n"
        "    def view(self, **values):\n"
        '        if values["Stride"] > 1:\n'
        '            raise ValueError("no such stride")\n'
        "        return super().view(**values)\n\n\n"
        'Failing({"digit": inputs[0]})'
    ),
]
CONVOLUTION, GRADIENT_FLOW, FAILING = 1, 3, 5


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "explorers.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=metadata), path)
    yield
    path.unlink()


@pytest.mark.parametrize("place", [CONVOLUTION, GRADIENT_FLOW])
def test_every_control_changes_the_picture_and_its_text(
    open_notebook: OpenNotebook, place: int
) -> None:
    notebook = open_notebook("explorers.ipynb")
    notebook.run_all()
    explorer = notebook.output(place)
    picture = notebook.picture(explorer)
    names = explorer.locator("label.widget-label").all_text_contents()
    labels = [name for name in names if name]
    assert len(labels) == 5

    for label in labels:
        before = text_of(picture)
        with notebook.new_picture(picture):
            move(notebook, notebook.control(label, explorer))
        assert text_of(picture) != before, label
    assert notebook.errors() == []
    assert notebook.console_errors == []


def move(notebook: Notebook, control: Locator) -> None:
    """Move a slider by one step, choose the next answer of a dropdown."""
    if control.evaluate("e => e.tagName") != "SELECT":
        control.press("ArrowRight")
        return
    options = [text.strip() for text in control.locator("option").all_text_contents()]
    now = control.evaluate("select => select.selectedIndex")
    notebook.choose(control, options[(now + 1) % len(options)])


def test_an_error_is_shown_and_goes_away(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("explorers.ipynb")
    notebook.run_all()
    explorer = notebook.output(FAILING)
    message = explorer.get_by_role("alert")
    assert message.count() == 0

    notebook.control("Stride", explorer).press("ArrowRight")
    message.wait_for()
    assert "no such stride" in message.inner_text()

    notebook.control("Stride", explorer).press("ArrowLeft")
    message.wait_for(state="detached")
    assert notebook.callback_errors() == []


@pytest.mark.parametrize("width", [900, 1400])
def test_fits_the_screen(open_notebook: OpenNotebook, width: int) -> None:
    notebook = open_notebook("explorers.ipynb", width=width)
    notebook.run_all()
    assert notebook.page.locator("img.widget-image").count() == 3
    assert notebook.too_wide() == []
