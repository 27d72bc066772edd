"""Every lesson in a real browser: as it is saved, and with its widgets alive.

What the cells compute is not looked at here: nbval runs every lesson from top to bottom.
"""

from __future__ import annotations

import re

import nbformat
import pytest
from conftest import OpenNotebook
from slices import widgets_alone

from authoring import build
from authoring.build import Target

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LESSONS = [target for target in build.targets() if target.folder == "lessons"]
MOVED_ELSEWHERE = {"LesionsExplorer", "CorrectionsExplorer"}
"""They need what takes long: test_residual_explorers and test_corrections_explorer have them."""


def made_in(cell: nbformat.NotebookNode) -> set[str]:
    return set(re.findall(r"\bwidgets\.([A-Z]\w+)", cell.source))


@pytest.mark.parametrize("target", LESSONS, ids=str)
def test_lesson(target: Target, open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(str(target), width=900)
    assert notebook.errors() == []
    assert notebook.too_wide() == []

    whole, lesson = (nbformat.read(target.path, as_version=4) for _ in range(2))
    widgets_alone(lesson)
    with_widgets = [place for place, cell in enumerate(lesson.cells) if made_in(cell)]
    for place, (cell, old) in enumerate(zip(lesson.cells, whole.cells, strict=True)):
        if cell.cell_type == "code":
            assert made_in(old) - made_in(cell) <= MOVED_ELSEWHERE
            notebook.set_source(place, cell.source)

    notebook.run_all()
    live = [
        place
        for place, cell in enumerate(notebook.cells())
        if any(build.WIDGET_VIEW in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    assert set(with_widgets) <= set(live)
    assert notebook.errors() == []
    assert notebook.console_errors == []
    assert notebook.too_wide() == []
