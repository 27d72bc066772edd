"""What was passed and what comes next: of one sheet, and of the whole course."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from resnet_edu.checks import remembered
from resnet_edu.checks.course import SHEETS, Sheet
from resnet_edu.checks.verdict import CELL, LABEL, PANEL


@dataclass(frozen=True, repr=False)
class Progress:
    """Some sheets of the course with the numbers of the tasks that were passed.

    `trouble` says what is wrong with the file that remembers them, and is empty where all is well.
    """

    sheets: tuple[Sheet, ...]
    passed: frozenset[str]
    trouble: str = ""

    def count(self, sheet: Sheet) -> int:
        """How many tasks of `sheet` were passed."""
        return sum(task.number in self.passed for task in sheet.tasks)

    @property
    def next(self) -> tuple[str, str]:
        """What to do next, and the notebook for it; two empty texts where all is done."""
        for sheet in self.sheets:
            for task in sheet.tasks:
                if task.number not in self.passed:
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


def summary(number: int | str) -> Progress:
    """What was passed of one sheet: `summary(3)` for sheet 03, `summary("B")` for the bug hunt.

    Raises ValueError for a number that no sheet has.
    """
    sheets = tuple(sheet for sheet in SHEETS if sheet.number.lstrip("0") == str(number))
    if not sheets:
        known = ", ".join(sheet.number.lstrip("0") for sheet in SHEETS)
        raise ValueError(f"There is no sheet {number!r}; the sheets are {known}.")
    passed, trouble = remembered.passed()
    return Progress(sheets, passed, trouble or "")


def _marks(progress: Progress, sheet: Sheet) -> str:
    return "".join("●" if task.number in progress.passed else "○" for task in sheet.tasks)
