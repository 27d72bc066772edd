"""Checks in a real kernel: the panel is shown, an endless loop is stopped, and lines are the cell's own."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = (
    "from resnet_edu import checks",
    "def receptive_field(layers):\n    while True:\n        pass\nchecks.receptive_field(receptive_field)",
    "def receptive_field(layers):\n    return layers + 1\nchecks.receptive_field(receptive_field)",
    "checks.receptive_field(checks.receptive_field.reference)",
)


@pytest.mark.slow
def test_checks_in_a_kernel() -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    endless, error, right = (cell.outputs[0].data for cell in notebook.cells[1:])
    assert "stopped after 1.5 seconds" in endless["text/html"]
    assert "Your line 2" in error["text/html"]
    assert "return layers + 1" in error["text/html"]
    assert "✓ Passed" in right["text/html"]
    assert right["text/plain"].startswith("✓ Passed: 1.3 receptive_field")
