"""What the course remembers: which tasks were passed, whatever happens to the file."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from resnet_edu import checks, cli, course
from resnet_edu.checks import remembered
from resnet_edu.checks.check import Check

AUTHORING = Path(__file__).parents[2] / "authoring"
TASKS = [(sheet, task) for sheet in course.SHEETS for task in sheet.tasks]


@pytest.fixture
def exercises(tmp_path, monkeypatch):
    """The folder `exercises` of a course, as working directory of a kernel that has just begun."""
    for name in ("exercises", "lessons", "solutions"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(remembered, "_here", set())
    monkeypatch.chdir(tmp_path / "exercises")
    return tmp_path / "exercises"


def new_kernel(monkeypatch):
    monkeypatch.setattr(remembered, "_here", set())


def right_answer(name):
    """`conv_output_size` is the shortest right answer of the course."""
    assert name == "conv_output_size"
    return lambda size, kernel_size, stride=1, padding=0: (
        (size + 2 * padding - kernel_size) // stride + 1
    )


def test_every_check_is_in_the_course_and_every_task_has_a_check():
    names = {value.name for value in vars(checks).values() if isinstance(value, Check)}
    assert sorted(task.name for _, task in TASKS) == sorted(names)


@pytest.mark.parametrize(("sheet", "task"), TASKS, ids=lambda x: getattr(x, "number", ""))
def test_a_task_stands_in_its_sheet_and_its_section_in_the_lesson(sheet, task):
    exercise = (AUTHORING / "exercises" / f"{sheet.stem}.py").read_text("utf-8")
    assert f"# ## {task.number} " in exercise
    numbered = exercise[exercise.index(f"# ## {task.number} ") :]
    assert re.search(r"^checks\.\w+\((\w+)\)$", numbered, re.MULTILINE)[1] == task.name
    cells = jupytext.read(AUTHORING / "lessons" / f"{task.lesson.stem}.py").cells
    headings = [line for cell in cells for line in cell.source.splitlines()]
    assert f"## {task.section}" in headings


def test_a_passed_task_is_remembered_by_the_next_kernel(exercises, monkeypatch):
    assert checks.conv_output_size(right_answer("conv_output_size")).evidence == ()
    new_kernel(monkeypatch)
    progress = checks.progress()
    assert progress.passed == {"conv_output_size"}
    assert progress.next == ("task 1.2, conv_parameters", "exercises/01_convolution_blocks.ipynb")
    assert repr(progress).endswith(
        "Next: task 1.2, conv_parameters, in exercises/01_convolution_blocks.ipynb."
    )
    assert 'href="../exercises/01_convolution_blocks.ipynb"' in progress._repr_html_()
    assert "●○○○○  1 of 5  01 Convolution blocks" in repr(progress)
    assert "1 of 5" in progress._repr_html_()
    monkeypatch.chdir(exercises.parent / "lessons")  # where lesson 00 asks
    assert checks.progress().passed == {"conv_output_size"}


def test_a_wrong_answer_and_a_solution_are_not_remembered(exercises, monkeypatch):
    checks.conv_output_size(lambda size, *_, **__: size)
    monkeypatch.chdir(exercises.parent / "solutions")
    checks.conv_output_size(right_answer("conv_output_size"))
    assert checks.summary("convolution").passed == {"conv_output_size"}  # in this kernel it was
    new_kernel(monkeypatch)
    assert checks.progress().passed == frozenset()
    assert list(exercises.parent.glob("progress*")) == []


def test_outside_the_course_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checks.conv_output_size(right_answer("conv_output_size")).passed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 9, b"SQLite format 3\0" + b"x" * 900]
)
def test_a_damaged_file_is_set_aside_and_told(exercises, monkeypatch, content):
    file = exercises.parent / remembered.FILE
    file.write_bytes(content)
    verdict = checks.conv_output_size(right_answer("conv_output_size"))
    assert verdict.passed
    assert "progress.damaged.db" in dict(verdict.evidence)["Progress"]
    assert (exercises.parent / "progress.damaged.db").read_bytes() == content
    new_kernel(monkeypatch)
    assert checks.progress().passed == {"conv_output_size"}

    file.write_bytes(content)  # a second time: the first one is not lost
    checks.conv_output_size(right_answer("conv_output_size"))
    assert (exercises.parent / "progress.damaged1.db").exists()
    assert (exercises.parent / "progress.damaged.db").read_bytes() == content


def test_a_foreign_database_is_set_aside(exercises):
    with sqlite3.connect(exercises.parent / remembered.FILE) as db:
        db.execute("CREATE TABLE passed (a INTEGER, b INTEGER)")
    assert "progress.damaged.db" in checks.progress().trouble
    assert checks.progress().trouble == ""  # a new one was begun
    assert checks.conv_output_size(right_answer("conv_output_size")).passed
    assert checks.progress().passed == {"conv_output_size"}


def test_a_file_that_cannot_be_written_stops_nothing(exercises):
    (exercises.parent / remembered.FILE).mkdir()
    verdict = checks.conv_output_size(right_answer("conv_output_size"))
    assert verdict.passed
    assert "cannot be used" in dict(verdict.evidence)["Progress"]
    assert "cannot be used" in checks.progress().trouble


@pytest.mark.usefixtures("exercises")
def test_notebooks_that_write_at_once_lose_nothing(monkeypatch):
    write = (  # the module alone: the package around it loads PyTorch
        "import runpy, sys\n"
        "note_passed = runpy.run_path(sys.argv[1])['note_passed']\n"
        "for i in range(40):\n"
        "    trouble = note_passed(f'task_{sys.argv[2]}_{i}')\n"
        "    assert trouble is None, trouble"
    )
    command = [sys.executable, "-c", write, remembered.__file__]
    several = [subprocess.Popen([*command, str(n)]) for n in range(3)]
    assert [process.wait() for process in several] == [0, 0, 0]
    new_kernel(monkeypatch)
    assert len(remembered.passed()[0]) == 120


@pytest.mark.usefixtures("exercises")
def test_a_summary_says_what_comes_next(monkeypatch):
    summary = checks.summary("degradation")
    assert summary.next == ("task 3.1, train_step", "exercises/03_degradation.ipynb")
    names = {task.name for task in course.find_topic("degradation").tasks}
    monkeypatch.setattr(remembered, "_here", names)
    assert checks.summary("degradation").is_complete
    assert checks.summary("degradation").next[1] == "lessons/04_residual_blocks.ipynb"
    assert "All done. Next: <a" in checks.summary("degradation")._repr_html_()
    assert not checks.progress().is_complete
    monkeypatch.setattr(remembered, "_here", {task.name for _, task in TASKS})
    assert checks.progress().is_complete
    assert repr(checks.progress()).endswith("All done.")
    with pytest.raises(ValueError, match=r"no sheet 'speed'; the sheets are convolution, .*, hunt"):
        checks.summary("speed")


@pytest.mark.usefixtures("exercises")
def test_the_bug_hunt_comes_last_and_its_tasks_lead_to_several_lessons(monkeypatch):
    hunt = checks.summary("hunt")
    assert hunt.sheets == course.SHEETS[-1:]
    assert hunt.next == ("task B.1, photos_to_batch", "exercises/bug_hunt.ipynb")
    assert len({task.topic for task in hunt.sheets[0].tasks}) > 2
    verdict = checks.stack_blocks(lambda *_, **__: None)
    assert "../lessons/06_resnet50.ipynb#4.-Putting-it-together" in verdict._repr_html_()
    assert "lesson 06, 4. Putting it together" in repr(verdict)
    monkeypatch.setattr(remembered, "_here", {task.name for _, task in TASKS})
    assert checks.summary(course.SHEETS[-2].topic).next == (
        "the bug hunt",
        "exercises/bug_hunt.ipynb",
    )
    assert checks.summary("hunt").next == ("", "")


# From before the lessons were renumbered

OLD = [
    (f"{sheet}.{place}", name)
    for sheet, names in course.OLD_ORDER.items()
    for place, name in enumerate(names, 1)
]


def old_file(exercises, numbers):
    """A progress file as it was written when tasks went by their numbers."""
    with sqlite3.connect(exercises.parent / remembered.FILE) as db:
        db.execute("CREATE TABLE passed (task TEXT PRIMARY KEY)")
        db.executemany("INSERT INTO passed VALUES (?)", [(number,) for number in numbers])


def test_what_was_passed_by_number_stays_passed(exercises):
    assert len(OLD) == 43
    old_file(exercises, [number for number, _ in OLD])
    assert checks.progress().passed == {name for _, name in OLD}


def test_an_old_number_stands_for_the_task_that_had_it(exercises, monkeypatch):
    old_file(exercises, ["4.5", "5.1", "10.1", "B.3"])
    progress = checks.progress()
    assert progress.passed == {
        "PreActivationBlock", "Bottleneck", "keras_kernel_to_torch", "ShortcutBlock",
    }  # fmt: skip
    assert "○●     1 of 2  05 Identity mappings" in repr(progress)
    assert "●○○○○  1 of 5  06 Bottlenecks and ResNet-50" in repr(progress)
    checks.conv_output_size(right_answer("conv_output_size"))  # what is new is added to the file
    new_kernel(monkeypatch)
    assert checks.progress().passed == progress.passed | {"conv_output_size"}
    assert checks.progress().trouble == ""


@pytest.mark.usefixtures("exercises")
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 10, "B"])
def test_an_old_sheet_sums_up_the_tasks_that_it_has(monkeypatch, number):
    names = course.OLD_ORDER[str(number)]
    summary = checks.summary(number)
    assert [task.name for sheet in summary.sheets for task in sheet.tasks] == list(names)
    assert not summary.is_complete
    monkeypatch.setattr(remembered, "_here", set(names))
    assert checks.summary(number).is_complete


@pytest.mark.usefixtures("exercises")
def test_the_old_sheet_04_is_summed_up_in_two_rows(monkeypatch):
    monkeypatch.setattr(remembered, "_here", {"BasicBlock", "PreActivationBlock"})
    summary = checks.summary(4)
    assert "●○○    1 of 3  04 Residual blocks\n○●     1 of 2  05 Identity mappings" in repr(summary)
    everything = set(course.OLD_ORDER["4"])
    monkeypatch.setattr(remembered, "_here", everything)
    assert checks.summary(4).next[1] == "lessons/06_resnet50.ipynb"


def test_no_task_has_lost_its_name():
    """A name may be added to the course, but none goes: it is what a learner has passed."""
    assert {name for _, name in OLD} <= {task.name for _, task in TASKS}
    assert len({task.name for _, task in TASKS}) == len(TASKS)


@pytest.mark.usefixtures("exercises")
def test_a_verdict_leads_to_the_lesson():
    verdict = checks.conv_output_size(lambda size, *_, **__: size)
    link = "../lessons/01_convolution_blocks.ipynb#2.-Size:-stride-and-padding"
    assert f'href="{link}"' in verdict._repr_html_()
    assert "lesson 01, 2. Size: stride and padding" in repr(verdict)
    assert (
        "../lessons" not in checks.conv_output_size(right_answer("conv_output_size"))._repr_html_()
    )


def test_the_command_line_tells_the_progress(exercises, monkeypatch, capsys, tmp_path_factory):
    checks.conv_output_size(right_answer("conv_output_size"))
    monkeypatch.chdir(exercises.parent)
    assert cli.main(["progress"]) == 0
    assert "1 of 5  01 Convolution blocks" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert cli.main(["progress"]) == 1
    assert "not the folder of the course" in capsys.readouterr().err
