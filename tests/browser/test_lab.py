"""The tools of the browser tests themselves: do they see what a learner sees, and every error?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import Notebook, Server, text_of
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

pytestmark = pytest.mark.browser

EXPLORER = """
import ipywidgets as widgets
import traitlets
from IPython.display import display
from matplotlib.figure import Figure
import io

class Picture(widgets.Image):
    description = traitlets.Unicode("").tag(sync=True)  # ipywidgets' tooltip needs it

picture = Picture(layout=widgets.Layout(width="300px", height="200px"))
depth = widgets.IntSlider(description="Depth", min=8, max=56, step=6)
activation = widgets.Dropdown(description="Activation", options=["ReLU", "tanh"])
clear = widgets.Button(description="Clear")
fail = widgets.Button(description="Fail")

def draw(_=None):
    figure = Figure((3, 2))
    figure.text(0.5, 0.5, f"{depth.value} {activation.value}")
    buffer = io.BytesIO()
    figure.savefig(buffer)
    picture.value = buffer.getvalue()
    picture.tooltip = f"depth {depth.value}, {activation.value}"

depth.observe(draw, "value")
activation.observe(draw, "value")
clear.on_click(lambda _: depth.set_trait("value", 8))
fail.on_click(lambda _: 1 / 0)
draw()
widgets.VBox([depth, activation, clear, fail, picture])
"""


@pytest.fixture
def tiny(open_notebook: OpenNotebook, folder: Path) -> Iterator[Notebook]:
    cells = [
        new_code_cell(EXPLORER),
        new_code_cell("x = 1"),
        *[new_markdown_cell("A long paragraph. " * 100) for _ in range(20)],
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / "tiny.ipynb")
    yield open_notebook("tiny.ipynb")
    (folder / "tiny.ipynb").unlink()


def test_widgets_are_moved_by_keyboard(tiny: Notebook) -> None:
    tiny.run_all()
    picture = tiny.picture(tiny.output(0))
    assert text_of(picture) == "depth 8, ReLU"

    with tiny.new_picture(picture):
        tiny.control("Depth").press("ArrowRight")
    assert text_of(picture) == "depth 14, ReLU"
    with tiny.new_picture(picture):
        tiny.choose(tiny.control("Activation"), "tanh")
    assert text_of(picture) == "depth 14, tanh"
    with tiny.new_picture(picture):
        tiny.control("Clear").press("Enter")
    assert text_of(picture) == "depth 8, tanh"
    assert tiny.errors() == []
    assert tiny.console_errors == []


def test_an_exception_in_a_callback_is_seen(tiny: Notebook) -> None:
    tiny.run_all()
    tiny.control("Fail").press("Enter")
    tiny.page.wait_for_function("() => window.callbackErrors.length")
    assert tiny.errors() == ["ZeroDivisionError: division by zero"]


def test_an_error_in_a_cell_is_seen(tiny: Notebook) -> None:
    tiny.set_source(1, "import sys; print('careful', file=sys.stderr); 1 / 0")
    tiny.run_cell(1)
    assert tiny.errors() == ["cell 1: careful\n: ", "cell 1: ZeroDivisionError: division by zero"]


def test_a_widget_that_does_not_live_is_seen(tiny: Notebook) -> None:
    view = "application/vnd.jupyter.widget-view+json"
    code = "from IPython.display import display\n"
    code += f"display({{{view!r}: {{'model_id': '0', 'version_major': 2}}}}, raw=True)"
    tiny.set_source(1, code)
    tiny.run_cell(1)
    tiny.page.get_by_text("Error displaying widget").wait_for()
    assert "Error displaying widget" in tiny.errors()


def test_the_picture_shows_the_whole_notebook(tiny: Notebook, tmp_path: Path) -> None:
    tiny.screenshot(tmp_path / "tiny.png")
    heights = tiny.page.locator(".jp-Notebook-cell").evaluate_all(
        "cells => cells.map(cell => cell.offsetHeight)"
    )
    with Image.open(tmp_path / "tiny.png") as image:
        width, height = image.size
    assert width == 1400
    assert sum(heights) < height < sum(heights) + 500


def test_kernels_are_stopped(tiny: Notebook, server: Server) -> None:
    assert tiny.errors() == []
    assert len(server.kernel_ids()) == 1
    server.stop_kernels()
    assert server.kernel_ids() == []
