"""An exercise sheet in a real browser: a learner types an answer, and the panel says what it is."""

from __future__ import annotations

import pytest
from conftest import OpenNotebook
from lab import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZE = "def conv_output_size(size, kernel_size, stride=1, padding=0):\n    return "
MODE = """\
def train_mode(model):
    for bn in model.modules():
        if isinstance(bn, nn.BatchNorm2d):
            {}
    model.train()
    {}"""
SHEETS = {  # the sheet, the task's name, a wrong answer, what the panel says about it, a right answer
    "size": (
        "exercises/01_convolution_blocks.ipynb",
        "conv_output_size",
        SIZE + "(size - kernel_size) // stride + 1",
        "Expected",
        SIZE + "(size + 2 * padding - kernel_size) // stride + 1",
    ),
    "mode": (
        "exercises/08_transfer_learning.ipynb",
        "train_mode",
        MODE.format("pass", "[m.eval() for m in model.modules() if frozen(m)]")
        + "\nfrozen = lambda m: isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad",
        "a later model.train()",
        MODE.format("bn.train = types.MethodType(train, bn)", "")
        + "\ntrain = lambda bn, on=True: type(bn).train(bn, on and bn.weight.requires_grad)",
    ),
}


def place_of(notebook: Notebook, start: str) -> int:
    """Which cell has a line that starts with `start`."""
    found = [
        place
        for place, cell in enumerate(notebook.cells())
        if cell["cell_type"] == "code" and f"\n{start}" in "\n" + "".join(cell["source"])
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("sheet", "name", "wrong", "about_it", "right"), SHEETS.values(), ids=SHEETS
)
def test_the_panel_says_what_an_answer_is(
    sheet: str, name: str, wrong: str, about_it: str, right: str, open_notebook: OpenNotebook
) -> None:
    notebook = open_notebook(sheet)
    notebook.run_cell(place_of(notebook, "from resnet_edu import checks"))
    answer = place_of(notebook, f"def {name}(")
    check = place_of(notebook, f"checks.{name}(")
    panel = notebook.output(check)

    notebook.run_cell(answer)
    notebook.run_cell(check)
    assert "Not attempted yet" in panel.inner_text()

    for source, verdict, says in ((wrong, "Not yet", about_it), (right, "Passed", "Right")):
        type_in(notebook, answer, source)
        notebook.run_cell(answer)
        notebook.run_cell(check)
        assert verdict in panel.inner_text()
        assert says in panel.inner_text()
    assert notebook.errors() == []


def test_a_bug_without_its_symptom_is_not_yet_mended(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("exercises/bug_hunt.ipynb")
    notebook.run_cell(place_of(notebook, "from resnet_edu import checks"))
    program = place_of(notebook, "class ShortcutBlock(")
    symptom, panel = notebook.output(program + 1), notebook.output(program + 2)
    bug, source = "return F.relu(out) + x", "".join(notebook.cells()[program]["source"])
    assert bug in source
    for line, has_symptom, verdict, says in (
        (bug, True, "Not yet", "never take away"),
        ("return out + x", False, "Not yet", "negative values"),
        ("return F.relu(out + x)", False, "Passed", "Right"),
    ):
        type_in(notebook, program, source.replace(bug, line))
        for place in range(program, program + 3):
            notebook.run_cell(place)
        assert (" 0% got smaller" in symptom.inner_text()) == has_symptom
        assert verdict in panel.inner_text()
        assert says in panel.inner_text()
    assert notebook.errors() == []


def type_in(notebook: Notebook, place: int, source: str) -> None:
    """Replace a cell's text by keyboard."""
    editor = notebook.page.locator(".jp-Notebook-cell").nth(place).locator(".cm-content")
    editor.click()
    notebook.page.keyboard.press("ControlOrMeta+a")
    notebook.page.keyboard.insert_text(source)
