"""A lesson's number stands in one table: what follows from it, and how a lesson is moved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from authoring import numbering
from resnet_edu import course

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "authoring").glob("*/*.py"))


def test_everything_goes_by_the_table() -> None:
    assert numbering.stale(ROOT) == [], "run `make notebooks`"


def test_every_source_stands_in_the_table() -> None:
    ready = {le.stem for le in course.LESSONS if le.has_lesson and not le.planned}
    sheets = {sheet.stem for sheet in course.SHEETS}
    found = {
        folder: {path.stem for path in SOURCES if path.parent.name == folder}
        for folder in ("lessons", "exercises")
    }
    assert found == {"lessons": ready, "exercises": sheets}


def test_the_table_is_whole() -> None:
    numbers = [f"{place:02}" for place in range(len(course.ORDER))]
    assert [le.number for le in course.LESSONS] == [*numbers, "B"]
    topics = [lesson.topic for lesson in course.LESSONS]
    assert sorted(topics) == sorted([*course.ORDER, "hunt"])
    assert len({lesson.stem for lesson in course.LESSONS}) == len(topics)
    assert all(
        le.minutes and le.measured for le in course.LESSONS if le.has_lesson and not le.planned
    )


PLACES = [
    *SOURCES,
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "benchmarks").glob("*.py"),
]
PLACES += [
    path
    for kind in ("*.py", "*.md")
    for path in (ROOT / "resnet_edu").rglob(kind)
    if path.name not in ("course.py", "overview.py")
]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_number_stands_only_where_it_can_follow(path: Path) -> None:
    """A lesson is named by a link to it, and a task by its name."""
    text = re.sub(r"\[[^\[\]]*\]\([^)]*\)|<a [^>]*>[^<]*</a>", "", path.read_text("utf-8"))
    found = (
        r"\b(?:lessons?|sheets?)\s+(?:# )?\d\d?\b|\b(?:tasks?|exercises?)\s+(?:# )?(?:\d+|B)\.\d"
    )
    assert re.findall(found, text, re.IGNORECASE) == []


@pytest.mark.parametrize(
    "text",
    [
        "[lesson 99](99_resnet50.ipynb)",
        "[Lesson 99, section 4](../lessons/99_resnet50.ipynb#4.-Putting-it-together)",
        "lessons [99](99_resnet50.ipynb), [01](01_convolution_blocks.ipynb)",
        "[99 ResNet-50](99_resnet50.ipynb)",
        "[exercise sheet 99](../exercises/99_resnet50.ipynb)",
        "[ResNet-50](99_resnet50.ipynb), [its 18 more](99_resnet50.ipynb)",
        "[5 tasks](exercises/99_resnet50.ipynb), `jupyter lab lessons/99_resnet50.ipynb`",
        '<a href="../lessons/99_resnet50.ipynb">Lesson 99</a>, section 5',
        "[the hunt](../exercises/bug_hunt.ipynb), [05](05_my_resnet50.ipynb), lesson 05",
    ],
)
def test_links_follow(text: str) -> None:
    assert numbering.links(text) == text.replace("99", "06")


def test_a_sheet_with_a_task_too_many_is_told() -> None:
    text = "# # Exercises 09: x\n# ## 9.1 One\n# ## 9.2 Two\n"
    identity = course.find_topic("identity")
    assert numbering.of_sheet(text, identity) == "# # Exercises 05: x\n# ## 5.1 One\n# ## 5.2 Two\n"
    with pytest.raises(
        ValueError, match="'identity_mappings' has 3 tasks, and 2 in the course's table"
    ):
        numbering.of_sheet(text + "# ## 9.3 Three\n", identity)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (["00", "01", "02", "04"], "00 to 02 and 04"),
        (["09", "10", "12"], "09, 10 and 12"),
        (["03"], "03"),
    ],
)
def test_numbers_are_listed_in_words(numbers: list[str], words: str) -> None:
    assert numbering.listed(numbers) == words


def test_no_words_of_the_map_are_cut_off() -> None:
    for lesson in course.LESSONS:
        if lesson.has_lesson:
            words = (lesson.brief or lesson.measured).replace("`", "").split()
            assert all(word in numbering.course_map() for word in words)


# A lesson is moved: one line of the table, and a build


def notebook(root: Path, name: str) -> str:
    """The text of a notebook, cell by cell."""
    cells = nbformat.read(root / f"{name}.ipynb", as_version=4).cells
    return "\n".join(cell.source for cell in cells)


def outputs(root: Path, name: str) -> list[object]:
    cells = nbformat.read(root / f"{name}.ipynb", as_version=4).cells
    return [cell.outputs for cell in cells if cell.cell_type == "code"]


def build(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "authoring/build.py", *arguments]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course in which the lesson on two frameworks comes behind ResNet-50, and is built."""
    root = tmp_path_factory.mktemp("course")
    for name in ("authoring", "resnet_edu", "lessons", "exercises", "solutions"):
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy(ROOT / "README.md", root)
    table = root / "resnet_edu" / "course.py"
    lines = table.read_text("utf-8").splitlines(keepends=True)
    line = '        "frameworks",\n'
    lines.remove(line)
    lines.insert(lines.index('        "resnet50",\n') + 1, line)
    table.write_text("".join(lines), "utf-8")

    told = build(root, "--check", "two_frameworks")
    assert told.returncode == 1
    assert "lessons/two_frameworks.py has old numbers" in told.stderr
    done = build(root, "--text", "--force")
    assert done.returncode == 0, done.stderr
    return root


def test_notebooks_of_a_moved_lesson_have_their_new_names(moved: Path) -> None:
    for folder in numbering.NOTEBOOKS:
        names = [path.stem for path in sorted((moved / folder).glob("0[6-9]_*.ipynb"))]
        assert names == [
            "06_resnet50", "07_two_frameworks", "08_inside_a_resnet", "09_transfer_learning",
        ]  # fmt: skip
        (found,) = (moved / folder).glob("*_two_frameworks.ipynb")
        assert found.stem == "07_two_frameworks"


def test_text_of_a_moved_lesson_has_its_new_number(moved: Path) -> None:
    lesson = notebook(moved, "lessons/07_two_frameworks")
    assert lesson.startswith("# 07 Two frameworks, one network")
    assert "[exercise sheet 07](../exercises/07_two_frameworks.ipynb)" in lesson
    sheet = notebook(moved, "exercises/07_two_frameworks")
    assert sheet.startswith("# Exercises 07: two frameworks")
    assert "## 7.1 A kernel moves" in sheet
    assert "## 8.2 Where the evidence is" in notebook(moved, "exercises/08_inside_a_resnet")
    assert "[Lesson 07](07_two_frameworks.ipynb) shows" in notebook(moved, "lessons/06_resnet50")
    assert "[lesson 09](../lessons/09_transfer_learning.ipynb)" in notebook(
        moved, "exercises/bug_hunt"
    )


def ready_and_planned() -> tuple[str, str]:
    """What README says of the lessons once two frameworks come after ResNet-50."""
    order = [topic for topic in course.ORDER if topic != "frameworks"]
    order.insert(order.index("resnet50") + 1, "frameworks")
    lessons = [(f"{i:02}", course.find_topic(topic)) for i, topic in enumerate(order)]
    ready = numbering.listed([number for number, lesson in lessons if not lesson.planned])
    planned = [f"{number} {le.title.lower()}" for number, le in lessons if le.planned]
    return f"Ready: lessons {ready}.", f"Planned: {', '.join(planned)}."


def test_tables_and_the_map_show_a_moved_lesson(moved: Path) -> None:
    ready, planned = ready_and_planned()
    readme = (moved / "README.md").read_text("utf-8")
    assert "| [07 Two frameworks, one network](lessons/07_two_frameworks.ipynb) | 45 |" in readme
    assert "ResNets, lessons 03 to 07; At work, lessons 08 to 10" in readme
    assert ready in readme
    assert planned in readme
    start = notebook(moved, "lessons/00_start_here")
    assert "| 07 | [Two frameworks, one network](07_two_frameworks.ipynb) |" in start
    assert ready in start
    drawn = (moved / numbering.MAP).read_text("utf-8")
    assert re.findall(r">(\d\d)</text>\n<text class=\"name\"[^>]*>Two frameworks<", drawn) == ["07"]
    assert ready in drawn


def test_every_link_between_notebooks_leads_to_a_file(moved: Path) -> None:
    for path in moved.glob("*/*.ipynb"):
        for link in re.findall(r"[\w./]+\.ipynb", notebook(path.parent, path.stem)):
            assert (path.parent / link).exists(), (path, link)


def test_nothing_was_run_and_no_output_was_lost(moved: Path) -> None:
    for new, old in (("08_inside_a_resnet", "07_inside_a_resnet"), ("03_degradation",) * 2):
        assert outputs(moved, f"lessons/{new}") == outputs(ROOT, f"lessons/{old}")
    assert build(moved, "--check").stderr == ""


def test_verdicts_and_progress_know_a_moved_lesson(moved: Path) -> None:
    code = (
        "from resnet_edu import checks\n"
        "print(checks.fold_bias(lambda *a: None), checks.summary('frameworks'), sep='\\n')"
    )
    environment = os.environ | {"PYTHONPATH": str(moved)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=moved / "exercises",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "7.3 fold_bias" in run.stdout
    assert "lesson 07, 4. The port" in run.stdout
    assert (
        "Next: task 7.1, keras_kernel_to_torch, in exercises/07_two_frameworks.ipynb" in run.stdout
    )


def test_a_sheet_with_answers_is_moved_and_stays_as_it_is(moved: Path, tmp_path: Path) -> None:
    root = tmp_path / "course"
    shutil.copytree(moved, root)
    sheet = root / "exercises" / "07_two_frameworks.ipynb"
    answered = sheet.read_text("utf-8").replace("raise NotImplementedError", "return kernel", 1)
    sheet.rename(old := sheet.with_name("11_two_frameworks.ipynb"))
    old.write_text(answered, "utf-8")
    done = build(root, "--text")
    assert done.returncode == 1
    assert "exercises/07_two_frameworks.ipynb" in done.stderr
    assert sheet.read_text("utf-8") == answered


# What README says on keeping answers


def test_answers_are_kept_when_the_course_is_updated(tmp_path: Path) -> None:
    """README's commands, in a clone of a small course whose new version has renamed a sheet."""
    section = (ROOT / "README.md").read_text("utf-8").split("## Keep your answers")[1]
    commands = re.search(r"```\n(.*?)```", section, re.DOTALL)[1]

    def run(folder: Path, *lines: str) -> None:
        script = "set -e\ngit config user.name a\ngit config user.email a@b.c\n" + "\n".join(lines)
        subprocess.run(["bash", "-c", script], cwd=folder, check=True, capture_output=True)

    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    (theirs / "exercises").mkdir(parents=True)
    for number in ("04", "05"):
        (theirs / "exercises" / f"{number}_sheet.ipynb").write_text(f"empty {number}")
    subprocess.run(["git", "init", "-q", str(theirs)], check=True)
    run(theirs, "git add .", "git commit -qm old")
    subprocess.run(["git", "clone", "-q", str(theirs), str(mine)], check=True)
    (mine / "exercises" / "05_sheet.ipynb").write_text("my answers")
    run(theirs, "git mv exercises/05_sheet.ipynb exercises/06_sheet.ipynb", "git commit -qm new")

    run(mine, commands)
    found = {path.name: path.read_text() for path in (mine / "exercises").iterdir()}
    assert found == {
        "04_sheet.ipynb": "empty 04",
        "06_sheet.ipynb": "empty 05",
        "my_05_sheet.ipynb": "my answers",
    }
