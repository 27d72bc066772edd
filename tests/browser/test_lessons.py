"""Every lesson in a real browser, as a learner has it: before it runs, and run from top to bottom."""

from __future__ import annotations

import pytest
from conftest import OpenNotebook

from authoring import build
from authoring.build import Target

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LESSONS = [target for target in build.targets() if target.folder == "lessons"]


@pytest.mark.parametrize("target", LESSONS, ids=str)
def test_lesson(target: Target, open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(str(target), width=900)
    assert notebook.errors() == []
    assert notebook.too_wide() == []
    saved = notebook.page.locator(".jp-Notebook img").count()

    notebook.run_all()
    assert all(cell["execution_count"] for cell in notebook.cells() if cell.get("outputs"))
    assert notebook.errors() == []
    assert notebook.console_errors == []
    assert notebook.too_wide() == []
    assert notebook.page.locator(".jp-Notebook img").count() >= saved
