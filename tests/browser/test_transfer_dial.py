"""TransferDial in a real browser: every control by keyboard, started, stopped, started again."""

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
    new_markdown_cell("# Transfer"),
    new_code_cell(
        "from torch.utils.data import TensorDataset\n"
        "from resnet_edu import data, networks, widgets\n\n"
        'labelled, held_out = (data.digits(split, size=32) for split in ("train", "validation"))\n'
        "held_out = TensorDataset(*held_out[:60])\n"
        "widgets.TransferDial(networks.resnet18(5, width=8), labelled, held_out)"
    ),
    new_markdown_cell("## Another widget"),
    new_code_cell('widgets.Prediction("How many?", ["digits"], 0, 10)'),
    new_code_cell("import threading\nsum(t.name == 'training' for t in threading.enumerate())"),
]
DIAL, OTHER, THREADS = 1, 3, 4


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "transfer.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=metadata), path)
    yield
    path.unlink()


def wait_for(dial: Locator, word: str) -> None:
    dial.locator("[role=status]", has_text=word).wait_for(timeout=120_000)


def threads(notebook: Notebook) -> str:
    notebook.run_cell(THREADS)
    notebook.wait_until_idle()
    return notebook.output(THREADS).inner_text().split()[-1]


def test_it_is_set_started_stopped_and_started_again(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("transfer.ipynb", width=900)
    notebook.run_all()
    dial = notebook.output(DIAL)
    picture = notebook.picture(dial)
    assert "run 1, 20 labels, frozen to layer3, head 0.05, backbone 0.05:" in text_of(picture)

    notebook.control("Labels per class", dial).press("ArrowLeft")
    notebook.control("Head rate", dial).press("ArrowRight")
    notebook.control("Backbone rate", dial).press("ArrowLeft")
    notebook.choose(notebook.control("Freeze up to", dial), "layer2")
    notebook.control("Start", dial).press("Enter")
    wait_for(dial, "Finished. Step 30 of 30.")
    assert "run 2, 10 labels, frozen to layer2, head 0.1, backbone 0.02:" in text_of(picture)
    assert "run 1, 20 labels" in text_of(picture)

    notebook.choose(notebook.control("Freeze up to", dial), "nothing")
    with notebook.new_picture(picture):
        notebook.control("Start", dial).press("Enter")
    other = notebook.output(OTHER)
    other.locator(".noUi-handle").press("ArrowRight")  # the page is alive beside the training
    other.locator(".widget-html-content", has_text="1").wait_for(timeout=10_000)
    notebook.control("Stop", dial).press("Enter")
    wait_for(dial, "Stopped.")
    assert threads(notebook) == "0"

    notebook.control("Start", dial).press("Enter")
    assert threads(notebook) == "1"
    notebook.run_cell(DIAL)  # made anew, it stops the one before
    assert threads(notebook) == "0"
    assert notebook.too_wide() == []
    assert notebook.errors() == []
    assert notebook.console_errors == []
