"""The built notebooks are what their sources say, and are fit to be read and run by anybody."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from authoring import build
from authoring.build import Target
from resnet_edu.course import SHEETS as SHEETS_OF_THE_COURSE

TARGETS = build.targets()
LESSONS = [target for target in TARGETS if target.folder == "lessons"]
SHEETS = [target for target in TARGETS if target.folder == "exercises"]
EXECUTED = [target for target in TARGETS if target.is_executed]

MAX_LINES, MAX_CLASS_LINES = 12, 25


def every(targets: list[Target]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("target", targets, ids=str)


def read(target: Target) -> nbformat.NotebookNode:
    return nbformat.read(target.path, as_version=4)


def test_there_are_lessons_and_exercises() -> None:
    assert LESSONS
    assert SHEETS


def test_every_notebook_has_a_source() -> None:
    assert build.orphans() == []


@every(TARGETS)
def test_is_what_its_source_gives(target: Target) -> None:
    if build.changed_by_hand(target) and os.environ.get("CI") != "true":
        pytest.skip(f"somebody has worked in {target}: it is not compared with its source")
    assert build.difference(target) == "", "run `make notebooks`"


@every(TARGETS)
def test_is_a_valid_notebook(target: Target) -> None:
    notebook = read(target)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata


@every([target for target in TARGETS if target.folder != "lessons"])
def test_nbgrader_knows_what_to_grade(target: Target) -> None:
    """The fields, types and rules of nbgrader's documented metadata, schema version 3."""
    cells = [cell for cell in read(target).cells if "nbgrader" in cell.metadata]
    marks = [cell.metadata.nbgrader for cell in cells]
    assert len({m.grade_id for m in marks}) == len(marks)
    for cell, m in zip(cells, marks, strict=True):
        assert cell.cell_type == "code"
        assert (m.schema_version, m.task) == (3, False)
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", m.grade_id)
        assert all(isinstance(m[flag], bool) for flag in ("grade", "solution", "locked"))
        assert m.grade != m.solution
        assert m.locked == m.grade
        assert ("points" in m) == m.grade
        assert 1 <= m.get("points", 1) <= 3
    tasks = [m.grade_id for m in marks if m.solution]
    sheet = next(sheet for sheet in SHEETS_OF_THE_COURSE if sheet.file == target.name)
    assert tasks == [task.name for task in sheet.tasks]
    assert [m.grade_id for m in marks if m.grade] == [f"check_{name}" for name in tasks]


@every(EXECUTED)
def test_ran_without_errors_and_shows_no_trace_of_a_machine(target: Target) -> None:
    assert build.faults(read(target), target) == []


@every([target for target in TARGETS if target.folder == "solutions"])
def test_every_check_says_that_the_solution_passes(target: Target) -> None:
    """As it is saved; `make test` compares what is saved with what the solutions give."""
    cells = [
        cell for cell in read(target).cells if re.match(r"checks\.\w+\(\w*[A-Za-z]", cell.source)
    ]
    assert cells
    for cell in cells:
        assert [o.data["text/plain"].partition(":")[0] for o in cell.outputs] == ["✓ Passed"]


@every(EXECUTED)
def test_shows_no_widget_that_does_not_live(target: Target) -> None:
    text = target.path.read_text(encoding="utf-8")
    assert build.WIDGET_VIEW not in text


@every(SHEETS)
def test_sheet_has_no_outputs_and_no_solution(target: Target) -> None:
    if build.changed_by_hand(target):
        pytest.skip(f"somebody has worked in {target}")
    cells = [cell for cell in read(target).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    assert "SOLUTION" not in "\n".join(cell.source for cell in cells)
    code = "\n".join(cell.source for cell in cells)
    assert build.STUB in code or build.BUG in target.source.read_text("utf-8")
    assert build.BUG not in code


@every(TARGETS)
def test_is_not_too_large(target: Target) -> None:
    assert target.path.stat().st_size <= build.MAX_BYTES


@every(LESSONS)
def test_cells_are_short(target: Target) -> None:
    """CONTRIBUTING: 12 lines at most; a class under study may take 25."""
    too_long = []
    for cell in read(target).cells:
        if cell.cell_type != "code":
            continue
        lines = [line for line in cell.source.splitlines() if line.strip()]
        python = re.sub(r"^[%!].*", "", cell.source, flags=re.M)
        has_class = any(isinstance(node, ast.ClassDef) for node in ast.parse(python).body)
        if len(lines) > (MAX_CLASS_LINES if has_class else MAX_LINES):
            too_long.append(f"{cell.id}: {len(lines)} lines")
    assert too_long == []


@every(TARGETS)
def test_links_lead_to_files(target: Target) -> None:
    links = [
        link
        for text in markdown(target)
        for link in re.findall(r"\]\(<?([^)\s>]+)|(?:src|href)=[\"']([^\"']+)", text)
    ]
    paths = [a or b for a, b in links if not re.match(r"[a-z]+:|#", a or b)]
    missing = [p for p in paths if not (target.path.parent / p.partition("#")[0]).exists()]
    assert missing == []


@every(TARGETS)
def test_pictures_have_a_text_for_those_who_do_not_see_them(target: Target) -> None:
    texts = markdown(target)
    silent = []
    for cell in read(target).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [data.get("text/html", ""), data.get("text/markdown", "")]
            if "image/png" in data and not output.metadata.get("image/png", {}).get("alt"):
                silent.append(f"a picture below {cell.id}")
    for text in texts:
        for picture in [*re.findall(r"!\[\s*\]\S*", text), *re.findall(r"<img[^>]*>", text)]:
            if not re.search(r"\balt=(\"[^\"]+\"|'[^']+')", picture):
                silent.append(picture[:60])
    assert silent == []


def markdown(target: Target) -> list[str]:
    return [cell.source for cell in read(target).cells if cell.cell_type == "markdown"]


@pytest.mark.slow
@every(SHEETS)
def test_unsolved_sheet_runs_without_an_error(target: Target) -> None:
    sheet = build.read(target)
    client = NotebookClient(
        sheet, kernel_name="python3", resources={"metadata": {"path": str(target.path.parent)}}
    )
    client.execute(env=os.environ | {"RESNET_EDU_STRICT": ""})
    outputs = str([cell.get("outputs") for cell in sheet.cells])
    assert "✓ Passed" not in outputs
    assert "not attempted yet" in outputs.lower() or outputs.count("✗ Not yet") == 2 * 10


# How build.py itself behaves, on small sources

LESSON = """\
# %% [markdown]
# # A lesson

# %%
print("hello")

# %% tags=["nbval-ignore-output"]
x = 1
x
"""
EXERCISE = '''\
# %%
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    y = x
    return x + y
    ### END SOLUTION


# %%
assert double(2) == 4
'''


@pytest.fixture
def course(tmp_path: Path) -> Path:
    for folder, source in (("lessons", LESSON), ("exercises", EXERCISE)):
        path = tmp_path / "authoring" / folder / "01_tiny.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
    return tmp_path


def source(course: Path, folder: str) -> Path:
    return course / "authoring" / folder / "01_tiny.py"


def built(course: Path, folder: str) -> nbformat.NotebookNode:
    return read(Target(course, folder, "01_tiny"))


def test_build_gives_three_notebooks(course: Path) -> None:
    assert build.main([], course) == 0

    lesson = built(course, "lessons")
    assert [cell.id for cell in lesson.cells] == ["01_tiny-00", "01_tiny-01", "01_tiny-02"]
    assert [cell.get("execution_count") for cell in lesson.cells] == [None, 1, 2]
    assert lesson.cells[1].outputs[0].text == "hello\n"
    assert lesson.cells[2].metadata == {"tags": ["nbval-ignore-output"]}
    assert built(course, "solutions").cells[0].source.endswith("### END SOLUTION")
    sheet = built(course, "exercises")
    assert sheet.cells[0].source == (
        'def double(x):\n    """Twice x."""\n    raise NotImplementedError'
    )
    assert all(cell.outputs == [] for cell in sheet.cells)


def test_build_twice_gives_the_same_bytes(course: Path) -> None:
    build.main([], course)
    first = {path: path.read_bytes() for path in course.glob("*/*.ipynb")}
    build.main([], course)
    assert len(first) == 3
    assert {path: path.read_bytes() for path in course.glob("*/*.ipynb")} == first


def test_only_the_named_notebooks_are_built(course: Path) -> None:
    assert build.main(["authoring/exercises/01_tiny.py"], course) == 0
    assert not (course / "lessons").exists()
    assert (course / "solutions" / "01_tiny.ipynb").exists()


def test_an_unknown_name_is_told(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["07_nothing"], course) == 1
    assert "no source for '07_nothing'" in capsys.readouterr().err


def test_strict_mode_is_on_in_solutions_only(course: Path) -> None:
    look = '\n# %%\nimport os\n\nprint(os.environ["RESNET_EDU_STRICT"] or "off")\n'
    for folder in ("lessons", "exercises"):
        with source(course, folder).open("a") as file:
            file.write(look)
    build.main([], course)
    assert built(course, "lessons").cells[-1].outputs[0].text == "off\n"
    assert built(course, "solutions").cells[-1].outputs[0].text == "1\n"


def test_check_tells_what_is_not_up_to_date(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["--check"], course) == 1
    build.main([], course)
    assert build.main(["--check"], course) == 0
    capsys.readouterr()

    source(course, "lessons").write_text(LESSON.replace("hello", "good morning"))
    assert build.main(["--check"], course) == 1
    message = capsys.readouterr().err
    assert "lessons/01_tiny.ipynb, cell 1 (01_tiny-01): its text is not what" in message
    assert "exercises" not in message


def test_a_sheet_somebody_worked_in_is_not_overwritten(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build.main(["exercises/01_tiny"], course)
    path = course / "exercises" / "01_tiny.ipynb"
    answered = path.read_text().replace("raise NotImplementedError", "return 2 * x")
    path.write_text(answered)

    assert build.main([], course) == 1
    assert path.read_text() == answered
    message = capsys.readouterr().err
    assert "exercises/01_tiny.ipynb" in message
    assert "--force" in message

    assert build.main(["exercises/01_tiny", "--force"], course) == 0
    assert "NotImplementedError" in path.read_text()


def test_a_sheet_that_was_only_run_is_overwritten(course: Path) -> None:
    build.main(["exercises/01_tiny"], course)
    target = Target(course, "exercises", "01_tiny")
    sheet = read(target)
    sheet.cells[0].execution_count = 1
    nbformat.write(sheet, target.path)
    assert build.main(["exercises/01_tiny"], course) == 0
    assert read(target).cells[0].execution_count is None


def test_new_text_is_written_without_running_anything(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build.main([], course)
    before = built(course, "lessons")
    source(course, "lessons").write_text(LESSON.replace("A lesson", "A good lesson"))
    source(course, "exercises").write_text("# %% [markdown]\n# Twice.\n\n" + EXERCISE)
    assert build.main(["--text"], course) == 0
    assert build.main(["--check"], course) == 0
    after = built(course, "lessons")
    assert after.cells[0].source == "# A good lesson"
    assert after.cells[1:] == before.cells[1:]

    source(course, "lessons").write_text(LESSON.replace("hello", "good morning"))
    assert build.main(["--text"], course) == 1
    assert "its code has changed, so it must be run" in capsys.readouterr().err
    assert built(course, "lessons") == after


def test_an_error_in_a_cell_stops_the_build(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = course / "lessons" / "01_tiny.ipynb"
    path.parent.mkdir()
    path.write_text("the last good one")
    source(course, "lessons").write_text(f"{LESSON}\n# %%\n1 / 0\n")
    assert build.main(["lessons/01_tiny"], course) == 1
    message = capsys.readouterr().err
    assert "lessons/01_tiny.ipynb, cell 3 (01_tiny-03):\nZeroDivisionError: division" in message
    assert path.read_text() == "the last good one"
    assert list(path.parent.iterdir()) == [path]


BAD_CELLS = {
    "import warnings\n\nwarnings.warn('take care')": "take care",
    "import sys\n\nprint('hm', file=sys.stderr)": "stderr:\nhm",
    "print('/home/ada/course')": "'/home/ada/course'",
    "print(object())": "'0x",
    "print(f'ipykernel_{12}')": "'ipykernel_12'",
    "from IPython.display import display\n\n"
    f"display({{{build.WIDGET_VIEW!r}: {{}}}}, raw=True)": "without a static picture",
}


def test_every_fault_in_the_outputs_is_told(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source(course, "lessons").write_text("\n".join(f"# %%\n{code}\n" for code in BAD_CELLS))
    assert build.main(["lessons/01_tiny"], course) == 1
    message = capsys.readouterr().err
    for place, says in enumerate(BAD_CELLS.values()):
        _, cell, rest = message.partition(f"lessons/01_tiny.ipynb, cell {place} (")
        assert cell
        assert says in rest.partition("lessons/")[0]
    assert list((course / "lessons").iterdir()) == []


def test_an_error_on_purpose_is_kept(course: Path) -> None:
    source(course, "lessons").write_text('# %% tags=["raises-exception"]\n1 / 0\n')
    assert build.main(["lessons/01_tiny"], course) == 0
    assert built(course, "lessons").cells[0].outputs[0].ename == "ZeroDivisionError"


def test_of_a_widget_only_the_static_picture_is_saved(course: Path) -> None:
    both = {build.WIDGET_VIEW: {"model_id": "1"}, "text/html": "<p>a picture</p>"}
    code = f"from IPython.display import display\n\ndisplay({both!r}, raw=True)"
    source(course, "lessons").write_text(f"# %%\n{code}\n")
    assert build.main(["lessons/01_tiny"], course) == 0
    assert built(course, "lessons").cells[0].outputs[0].data == {"text/html": "<p>a picture</p>"}


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1", "has no solution"),
        ("### BEGIN SOLUTION\nx = 1", "without a line '### END SOLUTION' after it"),
        ("x = 1\n### END SOLUTION", "without a line '### BEGIN SOLUTION' before it"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "a second"),
        ("x = 1  ### BEGIN SOLUTION", "must stand alone on its line"),
        ("### INSTEAD OF\n# x = 1", "'### INSTEAD OF' stands once between"),
        ("### BEGIN SOLUTION\n### INSTEAD OF\n### INSTEAD OF", "'### INSTEAD OF' stands once"),
        ("### BEGIN SOLUTION\nx = 1\n### INSTEAD OF\nx = 2\n### END SOLUTION", "not 'x = 2'"),
        ("### BEGIN SOLUTION\nx = 1\n### INSTEAD OF\n# x = 2", "without a line '### END SOLUTION'"),
    ],
)
def test_a_malformed_exercise_is_refused(
    course: Path, capsys: pytest.CaptureFixture[str], code: str, says: str
) -> None:
    source(course, "exercises").write_text(f"# %%\n{code}\n")
    assert build.main(["exercises/01_tiny"], course) == 1
    message = capsys.readouterr().err
    assert "exercises/01_tiny.py" in message
    assert says in message


def test_a_solution_in_a_lesson_is_refused(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source(course, "lessons").write_text(EXERCISE)
    assert build.main(["lessons/01_tiny"], course) == 1
    assert "is a lesson" in capsys.readouterr().err


def test_two_solutions_in_one_cell() -> None:
    inner, outer = ("### BEGIN SOLUTION", "a", "### END SOLUTION"), f"{build.BEGIN}\nb\n{build.END}"
    code = "\n".join(["if x:", *(f"    {line}" for line in inner), outer])
    stubs = "if x:\n    raise NotImplementedError\nraise NotImplementedError"
    assert build.cut_solutions(code, "here") == stubs


def test_a_mistake_to_be_found_is_code_in_the_exercise_and_a_comment_in_the_solution(
    course: Path,
) -> None:
    parts = [
        "def double(x):",
        "    ### BEGIN SOLUTION",
        "    return 2 * x",
        "    ### INSTEAD OF",
        "    # for _ in range(2):  # twice",
        "    #     x += x",
        "    # return x",
        "    ### END SOLUTION",
    ]
    source(course, "exercises").write_text("\n".join(["# %%", *parts, "", "", "# %%", "double(2)"]))
    assert build.main(["01_tiny"], course) == 0
    sheet, solution = built(course, "exercises"), built(course, "solutions")
    assert sheet.cells[0].source.splitlines() == [
        "def double(x):",
        "    for _ in range(2):  # twice",
        "        x += x",
        "    return x",
    ]
    assert solution.cells[0].source.splitlines() == parts
    assert solution.cells[1].outputs[0].data["text/plain"] == "4"


def test_a_notebook_that_is_too_large_is_not_written(
    course: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MAX_BYTES", 500)
    assert build.main(["lessons/01_tiny"], course) == 1
    assert "and 500 is the most" in capsys.readouterr().err
    assert list((course / "lessons").iterdir()) == []


def test_a_notebook_without_a_source_is_found(course: Path) -> None:
    build.main(["exercises/01_tiny"], course)
    assert build.orphans(course) == []
    source(course, "exercises").unlink()
    assert build.orphans(course) == ["exercises/01_tiny.ipynb"]


def test_what_is_edited_in_jupyterlab_goes_back_into_the_source(course: Path) -> None:
    """The pairing of jupytext: a changed notebook changes its source, and the source builds the same."""
    from jupytext.cli import jupytext

    build.main([], course)
    for folder, place in (("lessons", 1), ("solutions", 1)):
        target = Target(course, folder, "01_tiny")
        notebook = read(target)
        notebook.cells[place].source = "print('good morning')"
        notebook.cells[place].metadata["collapsed"] = True
        nbformat.write(notebook, target.path)
        os.utime(target.source, (1, 1))

        jupytext(["--sync", "--quiet", str(target.path)])
        changed = LESSON if folder == "lessons" else EXERCISE
        old = 'print("hello")' if folder == "lessons" else "assert double(2) == 4"
        assert target.source.read_text() == changed.replace(old, "print('good morning')")
        assert [c.source for c in build.read(target).cells] == [c.source for c in notebook.cells]
