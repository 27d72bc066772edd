"""What grading found, as a page for the instructor and as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape

from resnet_edu.course import Lesson, find
from resnet_edu.grade.sheet import Graded, Status, TaskResult
from resnet_edu.page import page

SYMBOLS = {
    Status.PASSED: "✓",
    Status.WRONG: "✗",
    Status.NOT_ATTEMPTED: "○",
    Status.CRASHED: "!",
    Status.MISSING: "?",
}
STYLE = """
:root { --passed: #1d7a43; --wrong: #b5540a; }
@media (prefers-color-scheme: dark) { :root { --passed: #5bc98a; --wrong: #f0a35c; } }
.number { text-align: right; white-space: nowrap; }
.passed { color: var(--passed); font-weight: 700; }
.not-yet, .crashed { color: var(--wrong); font-weight: 700; }
"""


def report(graded: Sequence[Graded]) -> str:
    """One page: the class at a glance, its common mistakes, and every sheet."""
    parts = [f"<p>{_counted(graded)}</p>", f'<p class="quiet">{_legend()}</p>']
    by_sheet = _by_sheet(graded)
    for sheet, theirs in by_sheet.items():
        parts.append(f"<h2>{sheet.number} {escape(sheet.title)}</h2>")
        parts += [_overview(sheet, theirs), _mistakes(theirs)]
    no_sheets = [one for one in graded if not one.results]
    if no_sheets:
        parts.append("<h2>Could not be marked</h2>")
        parts += [_named(one, " ".join(one.notes)) for one in no_sheets]
    told = [one for one in graded if one.results and (one.notes or one.passed < len(one.results))]
    if told:
        parts.append("<h2>Sheet by sheet</h2>")
        parts += [_details(one) for one in told]
    return page("Exercise sheets", "\n".join(parts), STYLE)


def table(graded: Iterable[Graded]) -> str:
    """CSV, one row for each task: file, sheet, task, name, status, mistake, message, notes."""
    out = io.StringIO()
    write = csv.writer(out).writerow
    write(("file", "sheet", "task", "name", "status", "mistake", "message", "notes"))
    for one in graded:
        notes = " ".join(one.notes)
        if not one.results:
            write(map(_plain, (str(one.path), "", "", "", "could not be marked", "", "", notes)))
        for result in one.results:
            row = (
                str(one.path),
                find(result.task.name)[0].number,
                result.task.number,
                result.task.name,
                result.status.value,
                result.mistake or "",
                result.message,
                notes,
            )
            write(map(_plain, row))
    return out.getvalue()


def _plain(text: str) -> str:
    """A spreadsheet takes what begins with one of these signs for a formula, and runs it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _by_sheet(graded: Iterable[Graded]) -> dict[Lesson, list[Graded]]:
    """The files with their results for each sheet."""
    found: defaultdict[Lesson, list[Graded]] = defaultdict(list)
    for one in graded:
        for sheet, results in one.sheets.items():
            found[sheet].append(replace(one, results=results))
    return dict(sorted(found.items(), key=lambda item: item[0].number))


def _counted(graded: Sequence[Graded]) -> str:
    tasks = [result for one in graded for result in one.results]
    passed = sum(result.status is Status.PASSED for result in tasks)
    return f"{len(graded)} files, {len(tasks)} tasks, {passed} of them passed."


def _legend() -> str:
    return ", ".join(f"{symbol} {status.value}" for status, symbol in SYMBOLS.items())


def _overview(sheet: Lesson, theirs: Iterable[Graded]) -> str:
    head = "".join(
        f'<th scope="col">{task.number} <code>{escape(task.name)}</code></th>'
        for task in sheet.tasks
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(one.path.name)}{" *" if one.notes else ""}</th>'
        + "".join(map(_cell, _in_order(sheet, one.results)))
        + f'<td class="number">{one.passed} of {len(one.results)}</td></tr>'
        for one in theirs
    )
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">File</th>{head}'
        f'<th scope="col">Passed</th></tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="quiet">* see the notes on this file below</p>'
    )


def _in_order(sheet: Lesson, results: Iterable[TaskResult]) -> list[TaskResult | None]:
    """One for each task: None for those that came to the sheet after it was handed out."""
    found = {result.task: result for result in results}
    return [found.get(task) for task in sheet.tasks]


def _cell(result: TaskResult | None) -> str:
    if result is None:
        return "<td>not in this sheet</td>"
    kind = result.status.value.replace(" ", "-")
    words = result.mistake or result.status.value
    symbol = f'<span aria-hidden="true">{SYMBOLS[result.status]}</span>'
    return f'<td class="{kind}">{symbol} {escape(words)}</td>'


def _mistakes(theirs: Iterable[Graded]) -> str:
    wrong = [r for one in theirs for r in one.results if r.status is Status.WRONG]
    if not wrong:
        return ""
    counted = Counter((r.task.number, r.mistake or "not a known mistake", r.message) for r in wrong)
    rows = "".join(
        f'<tr><td class="number">{count}</td><td>{number}</td><td>{escape(mistake)}</td>'
        f"<td>{escape(message)}</td></tr>"
        for (number, mistake, message), count in counted.most_common()
    )
    return (
        '<h3>Mistakes, the most common first</h3><div class="scroll"><table><thead><tr>'
        '<th scope="col">Sheets</th><th scope="col">Task</th><th scope="col">Mistake</th>'
        f'<th scope="col">What the learner is told</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _details(one: Graded) -> str:
    lines = [_named(one, " ".join(one.notes))]
    for result in one.results:
        if result.status is not Status.PASSED:
            known = f"<b>{escape(result.mistake)}</b>. " if result.mistake else ""
            task = f"{result.task.number} <code>{escape(result.task.name)}</code>"
            said = f"{result.status.value}. {known}{escape(result.message)}"
            lines.append(f"<p>{SYMBOLS[result.status]} {task}, {said}</p>")
    return "\n".join(lines)


def _named(one: Graded, notes: str) -> str:
    return f"<h3>{escape(str(one.path))}</h3>" + (f"<p>{escape(notes)}</p>" if notes else "")
