"""The race of the lesson on degradation in a browser: started, watched, stopped, started again, closed."""

from __future__ import annotations

import time
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
    new_markdown_cell("# Race"),
    new_code_cell(
        "from resnet_edu import data, widgets\n\n"
        'race = widgets.DegradationRace(data.digits("train", size=16))\nrace'
    ),
    new_markdown_cell("## Another widget"),
    new_code_cell('slider = widgets.Prediction("How many?", ["digits"], 0, 10)\nslider'),
    new_code_cell("import threading\nsum(t.name == 'race' for t in threading.enumerate())"),
    new_code_cell(  # with its progress bar
        "from resnet_edu import networks, training\n\n"
        "training.fit(networks.cifar_plain(8), data.digits(), training.Recipe(steps=2))"
    ),
]
RACE, OTHER, THREADS = 1, 3, 4


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "race.ipynb"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=metadata), path)
    yield
    path.unlink()


def wait_for(race: Locator, word: str) -> None:
    race.locator("[role=status]", has_text=word).wait_for(timeout=120_000)


def threads(notebook: Notebook) -> str:
    notebook.run_cell(THREADS)
    notebook.wait_until_idle()
    return notebook.output(THREADS).inner_text().split()[-1]


def test_a_race_grows_stops_and_starts_again(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("race.ipynb")
    notebook.run_all()
    race = notebook.output(RACE)
    picture = notebook.picture(race)
    empty = text_of(picture)

    notebook.control("Start", race).click()
    for _ in range(3):
        with notebook.new_picture(picture):
            pass
    assert text_of(picture) != empty
    assert "plain-56" in text_of(picture)

    other = notebook.output(OTHER)
    other.locator(".noUi-handle").press("ArrowRight")  # the page is alive beside the race
    other.locator(".widget-html-content", has_text="1").wait_for(timeout=5_000)

    notebook.control("Stop", race).click()
    wait_for(race, "Stopped.")
    shown = text_of(picture)
    time.sleep(1.5)
    assert text_of(picture) == shown
    assert threads(notebook) == "0"

    _, first_depth, _, second_depth, _, _ = race.locator("select").all()
    notebook.choose(first_depth, "14")
    notebook.choose(second_depth, "8")
    notebook.control("Start", race).click()
    wait_for(race, "Finished. Step 100 of 100.")
    assert "plain-14" in text_of(picture)
    assert threads(notebook) == "0"
    assert notebook.errors() == []
    assert notebook.callback_errors() == []
    assert notebook.console_errors == []


def test_running_the_cell_again_leaves_no_thread_behind(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("race.ipynb")
    notebook.run_all()
    notebook.control("Start", notebook.output(RACE)).click()
    assert threads(notebook) == "1"
    notebook.run_cell(RACE)
    notebook.wait_until_idle()
    assert threads(notebook) == "0"


def test_fits_a_narrow_screen(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("race.ipynb", width=900)
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.too_wide() == []
