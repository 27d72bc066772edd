"""Marking: a class of thirty sheets, right, wrong, hostile and broken, every verdict known in advance."""

from __future__ import annotations

import csv
import io
import json
from contextlib import asynccontextmanager
from pathlib import Path

import nbformat
import pytest

from resnet_edu import cli, grade
from resnet_edu.course import OLD_ORDER, SHEETS, find_topic
from resnet_edu.grade import Status, inside, run, sheet

ROOT = Path(__file__).parents[1]
FIRST = SHEETS[0]
NAMES = [task.name for task in FIRST.tasks]


def notebook(folder="solutions", name="01_convolution_blocks"):
    return nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4)


def place_of(book, name):
    starts = (f"def {name}(", f"class {name}(")
    return next(
        i
        for i, cell in enumerate(book.cells)
        if cell.cell_type == "code" and any(s in cell.source for s in starts)
    )


def answered(code, name="conv_output_size", folder="solutions"):
    """A sheet in which one task is answered by `code`."""
    book = notebook(folder)
    book.cells[place_of(book, name)].source = code
    return book


def without(*pieces):
    """A solved sheet without the cells that hold one of these pieces of text."""
    book = notebook()
    book.cells = [cell for cell in book.cells if not any(p in cell.source for p in pieces)]
    return book


def with_cell(code, at=1, book=None):
    book = book or notebook()
    book.cells.insert(at, nbformat.v4.new_code_cell(code))
    return book


SIGNATURE = "def conv_output_size(size, kernel_size, stride=1, padding=0):\n    "
PANEL = "from IPython.display import HTML\nHTML('<b>✓ Passed</b>: conv_output_size')"
FAKE = "class checks:\n    def __getattr__(self, name):\n        return print\n"
TAMPER = (
    "from resnet_edu.checks import check\n"
    "check.Check.__call__ = lambda self, answer: 'passed'\n"
    "check.Check._judge = lambda self, answer: 'passed'"
)


def first(status, mistake=None, rest=Status.PASSED):
    return [(status, mistake), *[(rest, None)] * 4]


def the_class():
    """For each file: the notebook or its text, the results of its tasks, a word in its notes."""
    ok, missing = first(Status.PASSED), Status.MISSING
    output = answered(f"{SIGNATURE}return (size + 2 * padding - kernel_size) // stride")
    return {
        "ann": (notebook(), ok, ""),
        "ben": (notebook("exercises"), [(Status.NOT_ATTEMPTED, None)] * 5, ""),
        "cem": (output, first(Status.WRONG, "no-plus-one"), ""),
        "dee": (answered(f"{SIGNATURE}return (size + padding - kernel_size) // stride + 1"),
                first(Status.WRONG, "padding-once"), ""),
        "eli": (answered(f"{SIGNATURE}return (size + 2 * padding - kernel_size) / stride + 1"),
                first(Status.WRONG, "no-floor"), ""),
        "fay": (answered(f"{SIGNATURE}return size +* 2"), first(Status.CRASHED), ""),
        "gil": (answered(f"{SIGNATURE}while True:\n        pass"),
                first(Status.WRONG, "too-slow"), ""),
        "hal": (answered(f"{SIGNATURE}raise SystemExit"), first(Status.WRONG, "raised-error"), ""),
        "ida": (answered("while True:\n    pass\n\n" + SIGNATURE + "return 1"),
                first(Status.CRASHED), "ran longer than"),
        "jan": (answered("import os\nos._exit(3)\n" + SIGNATURE + "return 1"),
                first(Status.CRASHED), "ended the kernel"),
        "kim": (answered(f"{SIGNATURE}import os\n    os._exit(3)"), first(Status.CRASHED), ""),
        "lee": (with_cell("hog = bytearray(3 * 10**9)\nfor i in range(0, len(hog), 4096): hog[i] = 1"),
                ok, "GB of memory"),
        "mia": (without("def conv_output_size"), first(missing), ""),
        "ned": (without("checks.conv_output_size("), ok, "changed or deleted: 1.1"),
        "oli": (with_cell(FAKE + "checks = checks()", 3, notebook("exercises")),
                [(Status.NOT_ATTEMPTED, None)] * 5, "of its own, which was not used"),
        "pam": (with_cell(PANEL, 5, notebook("exercises")),
                [(Status.NOT_ATTEMPTED, None)] * 5, "prints a verdict"),
        "quy": (with_cell(TAMPER, 3, notebook("exercises")),
                [(Status.NOT_ATTEMPTED, None)] * 5, "look at it yourself"),
        "ron": (answered("from resnet_edu.blocks import ConvBlock", "ConvBlock"),
                [*[(Status.PASSED, None)] * 4, (missing, None)], ""),
        "sue": (answered("conv_output_size = 3"), first(Status.WRONG, "not-callable"), ""),
        "tom": (with_cell("import urllib.request\nurllib.request.urlopen('http://192.0.2.1', timeout=30)"),
                ok, ""),
        "uma": (with_cell("1 / 0"), ok, ""),
        "vic": (with_cell("print('x' * 50_000_000)"), ok, ""),
        "wim": (with_cell("import sys\nsys.exit()"), ok, ""),
        "xia": (with_cell("import builtins\nbuiltins.print = None\nimport torch\ntorch.manual_seed(7)"),
                ok, ""),
        "yan": (with_cell("raise KeyboardInterrupt"), ok, ""),
        "zoe": ("{ broken", None, "damaged"),
        "emp": ("", None, "damaged"),
        "lis": (json.dumps([1, 2]), None, "damaged"),
        "nul": (nbformat.v4.new_notebook(), None, "none of the tasks"),
        "oth": (notebook("lessons", "00_start_here"), None, "none of the tasks"),
    }  # fmt: skip


IN_A_KERNEL = ["ann", "gil", "ida", "jan", "kim", "lee", "quy", "tom", "vic", "wim", "xia", "yan"]
"""Those who hang, kill, fill, change or print without end what they run in, and one who does not."""


class Here:
    """In the place of a kernel, which takes seconds to start: for sheets that harm nothing."""

    def __init__(self):
        self.names = {"__name__": "__main__"}

    async def execute(self, code):
        try:
            exec(compile(code, "a cell", "exec"), self.names)
        except Exception as error:
            return f"stopped with {type(error).__name__}: {error}"


@asynccontextmanager
async def no_kernel(_folder):
    yield Here()


def grade_in_kernels_or_here(folder, monkeypatch):
    files = {path.stem: path for path in grade.find_sheets([folder])}
    graded = grade.grade([files.pop(name) for name in IN_A_KERNEL])
    with monkeypatch.context() as patched:
        patched.setattr(run, "_kernel", no_kernel)
        patched.setattr(inside, "close_network", lambda: None)
        return graded + grade.grade(list(files.values()))


@pytest.mark.slow
def test_a_class_of_thirty(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SECONDS", 25)
    monkeypatch.setattr(run, "MEMORY", 2 * 2**30)
    pupils = the_class()
    assert len(pupils) == 30
    folder = tmp_path / "class"
    folder.mkdir()
    for name, (book, _, _) in pupils.items():
        text = book if isinstance(book, str) else nbformat.writes(book)
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    graded = {one.path.stem: one for one in grade_in_kernels_or_here(folder, monkeypatch)}
    for name, (_, wanted, note) in pupils.items():
        one = graded[name]
        if wanted is None:
            assert (one.sheets, one.results) == ({}, ()), name
        else:
            assert list(one.sheets) == [FIRST], name
            found = [(result.status, result.mistake) for result in one.results]
            assert found == wanted, (name, one)
        assert note in " ".join(one.notes), (name, one.notes)
        assert note or not one.notes, (name, one.notes)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    page = grade.report(list(graded.values()))
    assert "30 files, 125 tasks" in page
    assert all(f"{name}.ipynb" in page for name in pupils)
    rows = list(csv.DictReader(io.StringIO(grade.table(list(graded.values())))))
    assert len(rows) == 25 * 5 + 5
    assert next(r["mistake"] for r in rows if r["file"].endswith("cem.ipynb")) == "no-plus-one"


def test_a_sheet_is_known_by_what_is_in_it(tmp_path):
    for known in SHEETS:
        copy = tmp_path / "mine.ipynb"
        copy.write_bytes((ROOT / "exercises" / f"{known.file}.ipynb").read_bytes())
        handed = sheet.read(copy)
        assert handed.tasks == known.tasks
        assert handed.notes == ()
        assert all(handed.defines(task.name) for task in known.tasks)


def old_sheet(number):
    """An answered sheet as it was before the lessons were renumbered, from today's solutions."""
    names = OLD_ORDER[number]
    book = nbformat.v4.new_notebook()
    for known in SHEETS:
        if not any(task.name in names for task in known.tasks):
            continue
        for cell in notebook(name=known.file).cells:
            for task in known.tasks:
                old = f"{number}.{names.index(task.name) + 1}" if task.name in names else ""
                cell.source = cell.source.replace(f"## {task.number} ", f"## {old} ")
            if not cell.source.startswith("checks.summary"):
                book.cells.append(cell)
    summary = f'checks.summary("{number}")' if number == "B" else f"checks.summary({number})"
    book.cells.append(nbformat.v4.new_code_cell(summary))
    return book


@pytest.mark.parametrize("number", OLD_ORDER)
def test_a_sheet_of_the_old_order_is_known_by_what_is_in_it(tmp_path, number):
    path = tmp_path / f"{number}.ipynb"
    path.write_text(nbformat.writes(old_sheet(number)), encoding="utf-8")
    handed = sheet.read(path)
    assert tuple(task.name for task in handed.tasks) == OLD_ORDER[number]
    assert handed.notes == ()


def test_what_is_missing_in_an_old_sheet_is_told_by_the_number_that_stands_there(tmp_path):
    book = old_sheet("4")
    book.cells = [cell for cell in book.cells if "checks.without_block(" not in cell.source]
    path = tmp_path / "04_residual_blocks.ipynb"
    path.write_text(nbformat.writes(book), encoding="utf-8")
    assert sheet.read(path).notes == ("The check was changed or deleted: 4.4.",)


@pytest.mark.slow
def test_a_sheet_that_was_divided_since_is_marked_as_two(tmp_path):
    book = old_sheet("4")
    wrong = "def without_block(model, name):\n    return model"
    book.cells[place_of(book, "without_block")].source = wrong
    path = tmp_path / "04_residual_blocks.ipynb"
    path.write_text(nbformat.writes(book), encoding="utf-8")
    (one,) = grade.grade([path])
    assert list(one.sheets) == [find_topic("residual"), find_topic("identity")]
    assert [result.status is Status.PASSED for result in one.results] == [True] * 3 + [False, True]
    assert str(one) == "04_residual_blocks.ipynb: sheet 04 and 05, 4 of 5 passed."

    page = grade.report([one])
    assert "1 files, 5 tasks, 4 of them passed" in page
    assert (
        page.index("04 Residual blocks") < page.index("3 of 3") < page.index("05 Identity mappings")
    )
    assert "1 of 2" in page
    rows = list(csv.DictReader(io.StringIO(grade.table([one]))))
    assert [(row["sheet"], row["task"]) for row in rows] == [
        ("04", "4.1"), ("04", "4.2"), ("04", "4.3"), ("05", "5.1"), ("05", "5.2"),
    ]  # fmt: skip


def test_a_task_that_came_later_is_not_held_against_an_old_sheet():
    sheet_05 = find_topic("identity")
    path = Path("old.ipynb")
    result = grade.TaskResult(sheet_05.tasks[1], Status.PASSED)
    page = grade.report([grade.Graded(path, (result,))])
    assert "<td>not in this sheet</td>" in page
    assert "1 of 1" in page


def test_notebooks_are_found_in_folders_but_not_hidden_ones(tmp_path):
    for name in ("b/two.ipynb", "a/one.ipynb", "a/.ipynb_checkpoints/one.ipynb", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = grade.find_sheets([tmp_path, tmp_path / "a" / "one.ipynb"])
    assert [path.name for path in found] == ["one.ipynb", "two.ipynb"]
    with pytest.raises(ValueError, match="does not exist"):
        grade.find_sheets([tmp_path / "c"])


def test_the_command_line_writes_a_page_and_a_table(tmp_path, capsys):
    (tmp_path / "=cmd.ipynb").write_text("{ broken")
    out = tmp_path / "report.html"
    command = ["grade", str(tmp_path), "--out", str(out), "--csv"]
    assert cli.main(command) == 0
    assert "Could not be marked" in out.read_text("utf-8")
    assert "could not be marked" in out.with_suffix(".csv").read_text("utf-8-sig")
    assert "=cmd.ipynb: The file is damaged" in capsys.readouterr().out
    assert cli.main(["grade", str(tmp_path / "none"), "--out", str(out)]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_table_holds_no_formulas():
    path = Path("=HYPERLINK(1).ipynb")
    rows = list(csv.reader(io.StringIO(grade.table([grade.Graded(path, notes=("@x",))]))))
    assert rows[1][0] == "'=HYPERLINK(1).ipynb"
    assert rows[1][-1] == "'@x"


def test_a_name_cannot_put_anything_into_the_page():
    path = Path("<script>alert(1)</script>.ipynb")
    page = grade.report([grade.Graded(path, notes=("<img src=x>",))])
    assert "<script>" not in page
    assert "<img" not in page


@pytest.mark.slow
def test_a_sheet_that_takes_our_check_away_stops_no_other(tmp_path):
    prank = "import sys, types\nfake = types.SimpleNamespace(judge=lambda *_: None)\n"
    prank += "sys.modules['resnet_edu.grade.inside'] = fake"
    for name, book in (("ann", with_cell(prank, 3)), ("ben", notebook())):
        (tmp_path / f"{name}.ipynb").write_text(nbformat.writes(book), encoding="utf-8")
    ann, ben = grade.grade(grade.find_sheets([tmp_path]))
    assert {result.status for result in ann.results} == {Status.CRASHED}
    assert "look at it yourself" in " ".join(ann.notes)
    assert ben.passed == 5
