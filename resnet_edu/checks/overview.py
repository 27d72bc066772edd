"""What was passed and what comes next: of one sheet, and of the whole course."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from resnet_edu import course
from resnet_edu.checks import remembered
from resnet_edu.checks.verdict import CELL, LABEL, PANEL
from resnet_edu.course import SHEETS, Lesson


@dataclass(frozen=True, repr=False)
class Progress:
    """Some sheets of the course with the names of the tasks that were passed.

    `trouble` says what is wrong with the file that remembers them, and is empty where all is well.
    """

    sheets: tuple[Lesson, ...]
    passed: frozenset[str]
    trouble: str = ""

    def count(self, sheet: Lesson) -> int:
        """How many tasks of `sheet` were passed."""
        return sum(task.name in self.passed for task in sheet.tasks)

    @property
    def next(self) -> tuple[str, str]:
        """What to do next, and the notebook for it; two empty texts where all is done."""
        for sheet in self.sheets:
            for task in sheet.tasks:
                if task.name not in self.passed:
                    return f"task {task.number}, {task.name}", f"exercises/{sheet.file}.ipynb"
        for sheet in SHEETS:
            if sheet.number > self.sheets[-1].number:
                if sheet.has_lesson:
                    return f"lesson {sheet.number}, {sheet.title}", f"lessons/{sheet.file}.ipynb"
                return f"the {sheet.title.lower()}", f"exercises/{sheet.file}.ipynb"
        return "", ""

    @property
    def is_complete(self) -> bool:
        """Whether all tasks of these sheets were passed."""
        return all(self.count(sheet) == len(sheet.tasks) for sheet in self.sheets)

    def __repr__(self) -> str:
        lines = [
            f"{_marks(self, sheet):5}  {self.count(sheet)} of {len(sheet.tasks)}  "
            f"{sheet.number} {sheet.title}"
            for sheet in self.sheets
        ]
        what, notebook = self.next
        if self.is_complete:
            lines.append("All done.")
        if what:
            lines.append(f"Next: {what}, in {notebook}.")
        return "\n".join([*lines, *filter(None, [self.trouble])])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr style="background: none;"><th scope="row" style="{CELL}">{sheet.number} '
            f'{escape(sheet.title)}</th><td style="{LABEL}">{self.count(sheet)} of {len(sheet.tasks)}</td>'
            f'<td style="{CELL}" aria-hidden="true">{_marks(self, sheet)}</td></tr>'
            for sheet in self.sheets
        )
        what, notebook = self.next
        words = "All done. " if self.is_complete else ""
        if what:  # every notebook stands in a folder beside this one
            words += f'Next: <a href="../{notebook}">{escape(what)}</a>.'
        return (
            f'<div style="{PANEL.format(colour="#2e9e5b" if self.is_complete else "#8a8a8a")}">'
            f'<table style="margin: 0;">{rows}</table><div style="margin: 0.3em 0;">{words}</div>'
            + (f"<div>{escape(self.trouble)}</div>" if self.trouble else "")
            + "</div>"
        )


def progress() -> Progress:
    """What was passed of the whole course, and what is next."""
    passed, trouble = remembered.passed()
    return Progress(SHEETS, passed, trouble or "")


def summary(topic: str | int) -> Progress:
    """What was passed of one sheet: `summary("degradation")`, or `summary("hunt")` for the bug hunt.

    A number, or "B", is that of a sheet from before the lessons were renumbered: it stands only in sheets
    from that time, and sums up the tasks that they have. Raises ValueError for what no sheet has.
    """
    passed, trouble = remembered.passed()
    return Progress(_sheets(str(topic)), passed, trouble or "")


def _sheets(topic: str) -> tuple[Lesson, ...]:
    if topic in course.OLD_ORDER:
        tasks = course.named(course.OLD_ORDER[topic])
        parts = ((sheet, tuple(t for t in tasks if t in sheet.tasks)) for sheet in SHEETS)
        return tuple(replace(sheet, tasks=part) for sheet, part in parts if part)
    if found := tuple(sheet for sheet in SHEETS if sheet.topic == topic):
        return found
    known = ", ".join(sheet.topic for sheet in SHEETS)
    raise ValueError(f"There is no sheet {topic!r}; the sheets are {known}.")


def _marks(progress: Progress, sheet: Lesson) -> str:
    return "".join("●" if task.name in progress.passed else "○" for task in sheet.tasks)
