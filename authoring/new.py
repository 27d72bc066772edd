"""Write the skeleton of a lesson, a task or an explorer, and its rows in the tables.

    python authoring/new.py lesson pooling               a lesson on the topic `pooling`
    python authoring/new.py task pooled_size pooling     a task in its sheet, with a check
    python authoring/new.py explorer pooling             a measurement, a picture and an explorer

What it writes works, and `make check` passes. Then put your own in its place: CONTRIBUTING.md says what
belongs where. A file that is there is never overwritten.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from resnet_edu import course  # noqa: E402

LESSON = """\
# %% [markdown]
# # 00 {title}
#
# What does this lesson ask? One or two sentences.
#
# **Afterwards you can**
# - say what you measured,
# - say what it means.
#
# **You need** [lesson 00](00_start_here.ipynb). **Time:** about 10 minutes.

# %%
import torch

from resnet_edu import widgets

# %% [markdown]
# ## 1. A first question
#
# What is twice three? Write down what you expect before you run the cell.

# %%
guess = 6

# %%
doubled = 2 * torch.tensor(3)
assert doubled == guess
doubled.item()

# %% [markdown]
# What was seen, and why: two to four sentences.
#
# ## What you measured
#
# | claim | measured here | source |
# |---|---|---|
# | twice three is six | 6 | |
#
# Three questions.
{questions}
# %% [markdown]
# ## Now you
#
# Say what to do next.
"""

QUESTION = """
# %% jupyter={{"source_hidden": true}}
widgets.Question(
    "What is twice {n}?",
    {{"{right}": "{n} and {n}.", "{square}": "That is {n} times {n}.", "{n}": "That is {n} once."}},
    right="{right}",
)
"""
QUESTIONS = "".join(QUESTION.format(n=n, right=2 * n, square=n * n) for n in (3, 4, 5))

SHEET = """\
# %% [markdown]
# # Exercises 00: {lower}
#
# You need [lesson 00](../lessons/00_{stem}.ipynb). Plan about 10 minutes.
#
# You practise to
# - do what the lesson showed.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
from resnet_edu import checks

# %%
checks.summary("{topic}")

# %% [markdown]
# ## What comes next
#
# What the learner can do now.
"""

TASK = '''\
# %% [markdown]
# ## 0.0 {title}
#
# *Difficulty ●○○, 5 minutes*
#
# Give back twice the number.
#
# <details><summary>Hint 1</summary>
# Where to begin.
# </details>
# <details><summary>Hint 2</summary>
# What to look at.
# </details>
# <details><summary>Hint 3</summary>
# All but the answer.
# </details>


# %%
def {name}(number: int) -> int:
    """Twice the number."""
    ### BEGIN SOLUTION
    return 2 * number
    ### END SOLUTION


# %%
checks.{name}({name})

'''

CHECK = '''\
"""Twice a number."""

from __future__ import annotations

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, whole_number
from resnet_edu.checks.text import beside


def _{name}(number: int) -> int:
    return 2 * number


def _observe(answer: Answer, number: int, see: See) -> None:
    see("result", whole_number(answer(number)))


{name} = Check(
    signature="{name}(number)",
    reference=_{name},
    observe=_observe,
    cases={{f"{name}(number={{number}})": number for number in (3, 0, -5)}},
    said=beside(__file__),
)
'''

TEXT = """\
# `{name}`

## not-doubled
You give back the number as it is. Say why that matters: what goes wrong because of it?

    2 * number => number

## squared
You give back the square of the number. For two it is the same by chance, and for no other number.

    2 * number => number * number

## one-too-many
You give back one more than twice the number. An index that is one too large points at the next thing.

    2 * number => 2 * number + 1
"""

ANSWERS = '''\


# {name}


@right(checks.{name})
def {name}_multiplied(number):
    return number * 2


@right(checks.{name})
def {name}_added(number):
    return number + number


@right(checks.{name})
def {name}_summed(number):
    return sum([number, number])


@right(checks.{name})
def {name}_shifted(number):
    return number << 1


@right(checks.{name})
def {name}_kept(number):
    doubled = 2
    doubled *= number
    return doubled


wrong_edits(
    checks.{name},
    {name}_multiplied,
    """
    not-doubled
        number * 2 => number * 1

        number * 2 => int(number)

        number * 2 => abs(number) if number > 0 else number

    squared
        number * 2 => number**2

        number * 2 => pow(number, 2)

        number * 2 => abs(number) * abs(number)

    one-too-many
        number * 2 => number + number + 1

        number * 2 => number * 2 - -1
    """,
)
'''

ANSWERS_HEAD = '''\
"""Answers to the tasks of the topic {topic}, as people write them."""

from bank import right, wrong_edits

from resnet_edu import checks
'''

MEASURE = '''\
"""What becomes of a number that is multiplied again and again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class {Name}:
    """A factor, and its powers 1 to 8."""

    factor: float
    values: tuple[float, ...]


def {name}(factor: float) -> {Name}:
    """The powers 1 to 8 of `factor`."""
    return {Name}(factor, tuple(factor**n for n in range(1, 9)))
'''

DRAW = '''\
"""The powers of a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_edu.draw.style import KeptFigure, Picture, axes, marked_line

if TYPE_CHECKING:
    from resnet_edu.measure import {Name}


class {Name}Drawing:
    """The powers of a number, kept so that an explorer can redraw them quickly."""

    def __init__(self) -> None:
        self._axes = axes(width=5)
        self._line = marked_line(self._axes[0], "neutral")
        self._axes[0].set(xlim=(0, 9), ylim=(0, 5), xlabel="power", ylabel="value")
        self._kept = KeptFigure(self._axes[0].figure, [self._line])

    def update(self, record: {Name}) -> Picture:
        """Draw `record`."""
        self._line.set_data(range(1, len(record.values) + 1), record.values)
        words = f"The powers of {{record.factor:g}}: the eighth is {{record.values[-1]:.2g}}."
        return Picture(self._axes, words, self._kept.png())
'''

WIDGET = '''\
"""Change a factor, and see what becomes of its powers."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.widgets.explorer import Explorer, bold


class {Name}Explorer(Explorer):
    """What becomes of a factor, layer after layer."""

    def __init__(self) -> None:
        self._drawing = draw.{Name}Drawing()
        slider = widgets.FloatSlider(0.9, min=0.5, max=1.2, step=0.1)
        super().__init__({{"Factor": slider}}, width=600)

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The powers of "Factor"."""
        record = measure.{name}(values["Factor"])
        return self._drawing.update(record), bold(f"The eighth power is {{record.values[-1]:.2g}}.")
'''

TEST = '''\
"""The explorer {Name}Explorer, what it measures, and its picture."""

import pytest

from resnet_edu import measure, widgets


def test_the_record() -> None:
    assert measure.{name}(0.5).values[2] == pytest.approx(0.125)


def test_the_explorer_follows_its_control() -> None:
    explorer = widgets.{Name}Explorer()
    picture, reading = explorer.view(Factor=0.5)
    assert "0.0039" in picture.words
    assert "0.0039" in reading
'''


BROWSER_TEST = '''\
"""{Name}Explorer, moved by keyboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import OpenNotebook
from lab import text_of
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def notebook_file(folder: Path) -> Iterator[None]:
    path = folder / "{name}_explorer.ipynb"
    cell = new_code_cell("from resnet_edu import widgets; widgets.{Name}Explorer()")
    metadata = {{"kernelspec": {{"name": "python3", "display_name": "Python 3"}}}}
    nbformat.write(new_notebook(cells=[cell], metadata=metadata), path)
    yield
    path.unlink()


def test_a_larger_factor_has_larger_powers(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("{name}_explorer.ipynb")
    notebook.run_all()
    explorer = notebook.output(0)
    picture = notebook.picture(explorer)
    assert "the eighth is 0.43" in text_of(picture)
    with notebook.new_picture(picture):
        notebook.control("Factor", explorer).press("ArrowRight")
    assert "the eighth is 1" in text_of(picture)
'''


class NewError(Exception):
    """The skeleton cannot be written. Says what is in the way."""


def lesson(name: str) -> list[Path]:
    """A row in the table, a source, and the notebook that is built from it."""
    title = name.replace("_", " ").capitalize()
    row = (
        f'    Lesson(\n        "{name}",\n        stem="{name}",\n        title="{title}",\n'
        f'        minutes=10,\n        measured="say what is measured",\n    ),\n'
    )
    table = ROOT / "resnet_edu" / "course.py"
    if name in course.ORDER:
        raise NewError(f"There is a topic {name!r} already. Take another name.")
    text = table.read_text("utf-8")
    last = course.ORDER[-1]
    text = text.replace(
        f'        "{last}",\n    ),\n}}', f'        "{last}",\n        "{name}",\n    ),\n}}'
    )
    text = text.replace('    Lesson(\n        "hunt",', f'{row}    Lesson(\n        "hunt",')
    source = _write(
        ROOT / "authoring" / "lessons" / f"{name}.py",
        LESSON.format(title=title, questions=QUESTIONS),
    )
    table.write_text(text, "utf-8")
    _build(name)
    return [source, table]


def task(name: str, topic: str) -> list[Path]:
    """A row in the table, a check and its text, a task in the sheet, and answers for the bank."""
    found = next((le for le in course.LESSONS if le.topic == topic and not le.planned), None)
    if found is None:
        known = ", ".join(le.topic for le in course.LESSONS if not le.planned)
        raise NewError(f"There is no lesson on {topic!r}. The topics are {known}.")
    if course.find(name):
        raise NewError(f"There is a task {name!r} already. Take another name.")
    package = ROOT / "resnet_edu" / "checks"
    words = {"name": name, "topic": topic, "stem": found.stem, "lower": found.title.lower()}
    words["title"] = name.replace("_", " ").capitalize()
    if not (package / topic / "__init__.py").exists():
        _write(
            package / topic / "__init__.py",
            f'"""The checks of the lesson on {words["lower"]}. One module and one text for each task."""\n',
        )
    written = [
        _write(package / topic / f"{name}.py", CHECK.format(**words)),
        _write(package / topic / f"{name}.md", TEXT.format(**words)),
        _export(package, f"resnet_edu.checks.{topic}.{name}", name),
        _row_of_task(found, name),
        _task_in_sheet(found, words),
        _answers(topic, words),
    ]
    _build(found.stem)
    return written


def explorer(name: str) -> list[Path]:
    """A measurement, a picture, an explorer and their test."""
    words = {"name": name, "Name": "".join(map(str.capitalize, name.split("_")))}
    package = ROOT / "resnet_edu"
    written = [
        _write(package / "measure" / f"{name}.py", MEASURE.format(**words)),
        _write(package / "draw" / f"{name}.py", DRAW.format(**words)),
        _write(package / "widgets" / f"{name}.py", WIDGET.format(**words)),
        _write(ROOT / "tests" / f"test_{name}.py", TEST.format(**words)),
        _write(
            ROOT / "tests" / "browser" / f"test_{name}_explorer.py", BROWSER_TEST.format(**words)
        ),
    ]
    for floor, names in (
        ("measure", (words["Name"], name)),
        ("draw", (f"{words['Name']}Drawing",)),
        ("widgets", (f"{words['Name']}Explorer",)),
    ):
        written.append(_export(package / floor, f"resnet_edu.{floor}.{name}", *names))
    return written


def _write(path: Path, text: str) -> Path:
    if path.exists():
        raise NewError(f"{path.relative_to(ROOT)} is there already, and stays as it is.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def _export(package: Path, module: str, *names: str) -> Path:
    """Import names in a package's `__init__.py`, and add them to its `__all__`."""
    path = package / "__init__.py"
    text = path.read_text("utf-8")
    at = text.index("\nfrom resnet_edu.") + 1
    text = f"{text[:at]}from {module} import {', '.join(names)}\n{text[at:]}"
    listed = "".join(f'    "{name}",\n' for name in names)
    text = re.sub(r"(?m)^__all__ = \[\n", lambda m: m[0] + listed, text)
    path.write_text(text, "utf-8")
    return path


def _row_of_task(lesson: course.Lesson, name: str) -> Path:
    """The task at the end of its lesson's row. It is taught in the first section, until you say where."""
    source = (ROOT / "authoring" / "lessons" / f"{lesson.stem}.py").read_text("utf-8")
    section = re.search(r"(?m)^# ## (\d+\. .*)$", source)[1]
    path = ROOT / "resnet_edu" / "course.py"
    text = path.read_text("utf-8")
    start = text.index(f'    Lesson(\n        "{lesson.topic}",')
    end = text.index("\n    ),\n", start) + 1
    row = text[start:end]
    if "tasks=" in row:
        row = (
            row[: row.rindex("        ),\n")]
            + f'            ("{name}", "{section}"),\n        ),\n'
        )
    else:
        row += (
            f'        tasks=_tasks(\n            "{lesson.topic}",\n'
            f'            ("{name}", "{section}"),\n        ),\n'
        )
    path.write_text(text[:start] + row + text[end:], "utf-8")
    return path


def _task_in_sheet(lesson: course.Lesson, words: dict[str, str]) -> Path:
    """The task before the summary of its lesson's sheet, which is begun where there is none."""
    path = ROOT / "authoring" / "exercises" / f"{lesson.stem}.py"
    text = path.read_text("utf-8") if path.exists() else SHEET.format(**words)
    at = text.index("# %%\nchecks.summary(")
    path.write_text(text[:at] + TASK.format(**words) + text[at:], "utf-8")
    source = ROOT / "authoring" / "lessons" / f"{lesson.stem}.py"
    link = f"# Open [exercise sheet 00](../exercises/00_{lesson.stem}.ipynb)."
    text = source.read_text("utf-8")
    source.write_text(text.replace("# Say what to do next.", link), "utf-8")
    return path


def _answers(topic: str, words: dict[str, str]) -> Path:
    path = ROOT / "tests" / "checks" / f"answers_{topic}.py"
    text = path.read_text("utf-8") if path.exists() else ANSWERS_HEAD.format(**words)
    if "wrong_edits" not in text:
        text = text.replace("from bank import ", "from bank import wrong_edits, ", 1)
    path.write_text(text + ANSWERS.format(**words), "utf-8")
    return path


def _build(stem: str) -> None:
    """In a Python of its own, which sees the new row."""
    _run("authoring/build.py", stem)


def _tidy(paths: list[Path]) -> None:
    names = [str(path) for path in paths if path.suffix == ".py"]
    _run("-m", "ruff", "check", "--fix", "--quiet", *names)
    _run("-m", "ruff", "format", "--quiet", *names)


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False)
    if done.returncode:
        raise NewError(f"`python {' '.join(arguments)}` found something, see above.")


def main(arguments: list[str] | None = None) -> int:
    """Write the skeleton and say where it is. Gives the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["lesson", "task", "explorer"])
    parser.add_argument("name", help="small letters and underscores, such as pooled_size")
    parser.add_argument("topic", nargs="?", help="of a task: the topic of its lesson")
    chosen = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", chosen.name):
        parser.error(f"a name is small letters, digits and underscores; it was {chosen.name!r}")
    if (chosen.what == "task") != (chosen.topic is not None):
        parser.error("a task needs the topic of its lesson, and only a task: task NAME TOPIC")
    try:
        if chosen.what == "task":
            written = task(chosen.name, chosen.topic)
        else:
            written = {"lesson": lesson, "explorer": explorer}[chosen.what](chosen.name)
        _tidy(written)
    except NewError as error:
        print(f"new.py: {error}", file=sys.stderr)
        return 1
    print("Written or changed, now put your own in:")
    for path in written:
        print(f"  {path.relative_to(ROOT)}")
    print("README, lesson 00 and the map follow the table, and are changed where they have to be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
