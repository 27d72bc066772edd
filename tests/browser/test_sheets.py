"""An exercise sheet in a real browser: a learner types an answer, and the panel says what it is."""

from __future__ import annotations

import pytest
from conftest import OpenNotebook
from lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHEET = "exercises/01_convolution_blocks.ipynb"
FUNCTION = "def conv_output_size(size, kernel_size, stride=1, padding=0):\n    return "
WRONG = FUNCTION + "(size - kernel_size) // stride + 1"
RIGHT = FUNCTION + "(size + 2 * padding - kernel_size) // stride + 1"


def place_of(notebook: Notebook, start: str) -> int:
    """Which cell has a line that starts with `start`."""
    found = [
        place
        for place, cell in enumerate(notebook.cells())
        if cell["cell_type"] == "code" and f"\n{start}" in "\n" + "".join(cell["source"])
    ]
    assert len(found) == 1
    return found[0]


def test_the_panel_says_what_an_answer_is(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(SHEET)
    notebook.run_cell(place_of(notebook, "from resnet_edu import checks"))
    answer = place_of(notebook, "def conv_output_size(")
    check = place_of(notebook, "checks.conv_output_size(")
    panel = notebook.output(check)

    notebook.run_cell(answer)
    notebook.run_cell(check)
    assert "Not attempted yet" in panel.inner_text()

    for source, says in ((WRONG, "Not yet"), (RIGHT, "Passed")):
        type_in(notebook, answer, source)
        notebook.run_cell(answer)
        notebook.run_cell(check)
        assert says in panel.inner_text()
    assert notebook.errors() == []


def type_in(notebook: Notebook, place: int, source: str) -> None:
    """Replace a cell's text by keyboard."""
    editor = notebook.page.locator(".jp-Notebook-cell").nth(place).locator(".cm-content")
    editor.click()
    notebook.page.keyboard.press("ControlOrMeta+a")
    notebook.page.keyboard.insert_text(source)
