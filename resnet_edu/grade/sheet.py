"""What a learner has handed in, read without running it, and what grading found."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from resnet_edu.course import OLD_ORDER, SHEETS, Lesson, Task, named


class Status(Enum):
    """What became of one task. The value is how it is written in reports."""

    PASSED = "passed"
    WRONG = "not yet"
    NOT_ATTEMPTED = "not attempted"
    CRASHED = "crashed"
    MISSING = "missing"


@dataclass(frozen=True)
class TaskResult:
    """One task of one sheet. `mistake` is its short name, where the check knew it."""

    task: Task
    status: Status
    mistake: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Graded:
    """One file. It has no results, and `notes` say why, where it is no sheet of this course."""

    path: Path
    results: tuple[TaskResult, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sheets(self) -> dict[Lesson, tuple[TaskResult, ...]]:
        """The sheets of the course that its tasks belong to: two, where a sheet was divided since."""
        found = ((s, tuple(r for r in self.results if r.task in s.tasks)) for s in SHEETS)
        return {sheet: results for sheet, results in found if results}

    @property
    def passed(self) -> int:
        """How many tasks were passed."""
        return sum(result.status is Status.PASSED for result in self.results)

    def __str__(self) -> str:
        if not self.results:
            return f"{self.path.name}: {' '.join(self.notes)}"
        numbers = " and ".join(sheet.number for sheet in self.sheets)
        what = f"{self.path.name}: sheet {numbers}, {self.passed} of {len(self.results)} passed"
        return f"{what}. {' '.join(self.notes)}".strip()


class NotASheet(ValueError):  # noqa: N818 - reads as a sentence
    """A file that holds no exercise sheet of this course."""


@dataclass(frozen=True)
class Handed:
    """A learner's sheet: its tasks, the code of its cells in order, and what is odd about it."""

    tasks: tuple[Task, ...]
    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def defines(self, name: str) -> list[int]:
        """The places of the cells that define the function or class `name`, also if they cannot run."""
        start = re.compile(rf"^\s*(async def|def|class)\s+{re.escape(name)}\b", re.MULTILINE)
        return [place for place, code in enumerate(self.cells) if start.search(code)]


def find_sheets(paths: Iterable[Path]) -> list[Path]:
    """The notebooks among `paths` and in folders among them, sorted, without hidden ones.

    Raises ValueError for a path that does not exist, and where there is no notebook at all.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*.ipynb") if p.is_file())
            visible = (
                p for p in inside if not any(s.startswith(".") for s in p.relative_to(path).parts)
            )
            found += sorted(visible)
        elif path.is_file():
            found.append(path)
        else:
            raise ValueError(f"{path} does not exist. Give notebooks, or a folder that holds them.")
    if not found:
        raise ValueError("No notebook was found: the sheets that learners hand in end with .ipynb.")
    return list(dict.fromkeys(found))


def read(path: Path) -> Handed:
    """Read a notebook. Raises NotASheet where it is damaged, or no sheet of this course."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            (cell["cell_type"], "".join(cell["source"]))
            for cell in notebook["cells"]
            if cell["cell_type"] in ("code", "markdown")
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise NotASheet(f"The file cannot be read: {error}.") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotASheet("The file is damaged, or no notebook (of format 4).") from error
    code = tuple(source for kind, source in cells if kind == "code")
    text = "\n".join(source for _, source in cells)
    tasks = max(_sheets(), key=lambda tasks: _likeness(tasks, code, text))
    if not _likeness(tasks, code, text):
        raise NotASheet("This is no exercise sheet of the course: it has none of the tasks.")
    return Handed(tuple(tasks), code, tuple(_oddities(tasks, code)))


def is_check(code: str) -> bool:
    """Whether a cell does nothing but call checks: grading makes its own calls."""
    tree = _parsed(code)
    return bool(tree and tree.body) and all(
        isinstance(line, ast.Expr) and ast.unparse(line).startswith("checks.") for line in tree.body
    )


def _sheets() -> list[dict[Task, str]]:
    """The tasks of each sheet with their numbers: as they are now, and as they once were."""
    now = [{task: task.number for task in sheet.tasks} for sheet in SHEETS]
    once = [
        {task: f"{number}.{place}" for place, task in enumerate(named(names), 1)}
        for number, names in OLD_ORDER.items()
    ]
    return now + once


def _likeness(tasks: dict[Task, str], code: Iterable[str], text: str) -> int:
    """How many signs there are that this is the sheet with these tasks."""
    joined = "\n".join(code)
    return sum(
        bool(re.search(rf"^## {re.escape(number)} ", text, re.MULTILINE))
        + bool(re.search(rf"^(def|class) {re.escape(task.name)}\b", joined, re.MULTILINE))
        + bool(re.search(rf"^checks\.\w+\({re.escape(task.name)}\)", joined, re.MULTILINE))
        for task, number in tasks.items()
    )


def _oddities(tasks: dict[Task, str], cells: Sequence[str]) -> Iterable[str]:
    calls = {code.strip() for code in cells}
    changed = [
        number
        for task, number in tasks.items()
        if not any(re.fullmatch(rf"checks\.\w+\({re.escape(task.name)}\)", code) for code in calls)
    ]
    if changed:
        yield f"The check was changed or deleted: {', '.join(changed)}."
    trees = [tree for code in cells if (tree := _parsed(code))]
    if any(_binds_checks(node) for tree in trees for node in ast.walk(tree)):
        yield "It defines a `checks` of its own, which was not used."
    constants = (
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)
    )
    if any(isinstance(c.value, str) and "✓ Passed" in c.value for c in constants):
        yield "It prints a verdict of its own, which does not count."


def _binds_checks(node: ast.AST) -> bool:
    """Whether a piece of code gives the name `checks` to something that is not ours."""
    if isinstance(node, ast.ImportFrom) and node.module == "resnet_edu":
        return any(a.asname == "checks" and a.name != "checks" for a in node.names)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((a.asname or a.name) == "checks" for a in node.names)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name == "checks"
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return ast.unparse(node).startswith("checks.")
    return isinstance(node, ast.Name) and node.id == "checks" and isinstance(node.ctx, ast.Store)


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
