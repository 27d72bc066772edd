"""Lesson numbers wherever a person reads them, brought in line with the table of the course.

`resnet_edu/course.py` says which lesson has which number. From it follow the names of the notebooks,
links to them and the numbers in a link's text, the titles of lessons and sheets, the numbers of tasks, the
minutes of a lesson, and whole tables: README's, lesson 00's, and the map. In a source, a lesson's number
stands in a link to it, `[lesson 04](04_residual_blocks.ipynb)`, so that it can follow; a task goes by its
name.

`make notebooks` does this first. It writes into the sources too, so that they read as what is built.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from resnet_edu.course import LESSONS, PARTS, SHEETS, Lesson, find_topic

MAP = Path("lessons/images/course_map.svg")
NOTEBOOKS = ("lessons", "exercises", "solutions")
_FILES = {lesson.stem: lesson for lesson in LESSONS}
_STEM = rf"(?<!\w)(?:\d\d_)?(?P<stem>{'|'.join(_FILES)})(?=\.ipynb)"
_LINK = re.compile(rf"(?P<text>\[[^\[\]]*\])(?P<to>\((?:\.\./)?(?:\w+/)?{_STEM})")
_ANCHOR = re.compile(rf'(?P<to><a href="(?:\.\./)?(?:\w+/)?{_STEM}[^>]*>)(?P<text>[^<]+)')
_NUMBER = re.compile(r"((?:^\[|^|[Ll]essons?\s|[Ss]heets?\s))\d\d\b")


# One text


def links(text: str) -> str:
    """`text` with the right numbers in its links to notebooks, and in what stands for the link."""

    def renumbered(match: re.Match[str]) -> str:
        number = _FILES[match["stem"]].number
        return match[0].replace(match["text"], _NUMBER.sub(rf"\g<1>{number}", match["text"]))

    text = _ANCHOR.sub(renumbered, _LINK.sub(renumbered, text))
    return re.sub(_STEM, lambda match: _FILES[match["stem"]].file, text)


def of_lesson(text: str, lesson: Lesson) -> str:
    """The source of a lesson, with its number and title, its minutes, and its links."""
    text = re.sub(r"(?m)^# # .*", f"# # {lesson.number} {lesson.title}", text, count=1)
    text = re.sub(r"(\*\*Time:\*\* about )\d+", rf"\g<1>{lesson.minutes}", text)
    if lesson.topic == "start":
        text = _table(text, "# | | lesson |", [f"# {row}" for row in _rows_of_start()])
        text = re.sub(r"!\[.*\](?=\(images/course_map)", f"![{_alt()}]", text)
    return links(text)


def of_sheet(text: str, sheet: Lesson) -> str:
    """The source of a sheet, with its number, those of its tasks, and its links.

    Raises ValueError where the sheet has another number of tasks than the table.
    """
    heading = re.compile(r"(?m)^# ## (?:\d+|B)\.\d+(?= )")
    found = len(heading.findall(text))
    if found != len(sheet.tasks):
        raise ValueError(
            f"The sheet {sheet.stem!r} has {found} tasks, and {len(sheet.tasks)} in the course's table. A "
            f"task begins with a line such as '# ## 4.1 The residual block'."
        )
    numbers = (task.number for task in sheet.tasks)
    text = heading.sub(lambda _: f"# ## {next(numbers)}", text)
    text = re.sub(r"(?m)^(# # Exercises )\d\d(?=:)", rf"\g<1>{sheet.number}", text)
    return links(text)


def readme(text: str) -> str:
    """README, with its table of lessons, its alternative text for the map, and its links."""
    text = _table(text, "| lesson | minutes |", _rows_of_readme())
    text = re.sub(r"!\[.*\](?=\(lessons/images/course_map)", f"![{_alt()}]", text)
    names = (f"{lesson.number} {lesson.title.lower()}" for lesson in LESSONS if lesson.planned)
    text = re.sub(r"(?m)^Planned: .*\.$", f"Planned: {', '.join(names)}.", text)
    return links(text)


def _table(text: str, start: str, rows: Sequence[str]) -> str:
    """`text` with these rows under the head of the table whose first line begins with `start`."""
    lines = text.splitlines(keepends=True)
    first = 2 + next(place for place, line in enumerate(lines) if line.startswith(start))
    last, sign = first, start[: start.index("|") + 1]
    while last < len(lines) and lines[last].startswith(sign):
        last += 1
    return "".join([*lines[:first], *(f"{row}\n" for row in rows), *lines[last:]])


def _rows_of_readme() -> list[str]:
    return [
        f"| [{lesson.number} {lesson.title}](lessons/{lesson.file}.ipynb) | {lesson.minutes} "
        f"| {lesson.measured} | {_tasks_of(lesson, 'exercises')}|"
        for lesson in LESSONS
        if lesson.has_lesson and not lesson.planned
    ]


def _rows_of_start() -> list[str]:
    rows = []
    for lesson in LESSONS:
        if lesson.has_lesson:
            name = f"[{lesson.title}]({lesson.file}.ipynb)"
            if lesson.planned or lesson.topic == "start":
                name = lesson.title + (" (*planned*)" if lesson.planned else "")
            brief = lesson.brief or lesson.measured
            tasks = _tasks_of(lesson, "../exercises")
            rows.append(f"| {lesson.number} | {name} | {brief} | {tasks}|")
    return rows


def _tasks_of(lesson: Lesson, folder: str) -> str:
    count = len(lesson.tasks)
    word = "task" if count == 1 else "tasks"
    return f"[{count} {word}]({folder}/{lesson.file}.ipynb) " if count else ""


# The map


def _alt() -> str:
    """The map in words."""
    parts = []
    for title, topics in PARTS.items():
        numbers = [find_topic(topic).number for topic in topics]
        parts.append(f"{title}, lessons {numbers[0]} to {numbers[-1]}")
    return f"The course in four parts: {'; '.join(parts)}. {_ready()}"


def _ready() -> str:
    """Which lessons are ready, and which are planned."""
    lessons = [lesson for lesson in LESSONS if lesson.has_lesson]
    ready = [lesson.number for lesson in lessons if not lesson.planned]
    planned = [lesson.number for lesson in lessons if lesson.planned]
    words = f"Ready: lessons {listed(ready)}."
    return words + (f" Planned: {listed(planned)}." if planned else "")


def listed(numbers: Sequence[str]) -> str:
    """ "00 to 08 and 11": three and more in a row are a range."""
    starts = [i for i, n in enumerate(numbers) if not i or int(n) != int(numbers[i - 1]) + 1]
    words: list[str] = []
    for a, b in pairwise([*starts, len(numbers)]):
        run = numbers[a:b]
        words += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else run
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_WIDTH, _HEIGHT, _ACROSS, _DOWN = 214, 98, 244, 122
_COLOURS = ("#D55E00", "#0072B2", "#00795A", "#9A4B80")
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {height}" role="img" aria-labelledby="title">
<title id="title">{alt}</title>
<style>
text {{ font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933; }}
.part {{ font-size: 17px; font-weight: 700; }}
.number {{ font-size: 15px; font-weight: 700; }}
.name {{ font-size: 15px; font-weight: 600; }}
.measured {{ font-size: 13px; fill: #4a5560; }}
.planned {{ stroke-dasharray: 5 4; }}
.way {{ stroke: #7b8794; stroke-width: 2; fill: none; marker-end: url(#tip); }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto">\
<path d="M0 0 8 4 0 8z" fill="#7b8794"/></marker></defs>
<rect x="1" y="1" width="998" height="{inner}" rx="14" fill="#fcfcfd" stroke="#d5dbe1"/>
"""
_LEGEND = """\
<rect x="27" y="{box}" width="26" height="16" rx="4" fill="#5F6B76" fill-opacity="0.12" stroke="#5F6B76" \
stroke-width="2.5"/><text class="measured" x="62" y="{line}">ready</text>
<rect class="planned" x="120" y="{box}" width="26" height="16" rx="4" fill="#ffffff" stroke="#5F6B76" \
stroke-width="1.5"/><text class="measured" x="155" y="{line}">planned</text>
</svg>
"""


def course_map() -> str:
    """The map as SVG: a column for each part of the course, a box for each lesson."""
    height = 106 + _DOWN * max(map(len, PARTS.values()))
    lines = [_HEAD.format(height=height, inner=height - 2, alt=escape(_alt()))]
    for column, ((title, topics), colour) in enumerate(zip(PARTS.items(), _COLOURS, strict=True)):
        x = 27 + _ACROSS * column
        lines.append(
            f'<text class="part" x="{x}" y="44" style="fill: {colour}">{escape(title)}</text>\n'
        )
        for row, topic in enumerate(topics):
            y = 66 + _DOWN * row
            lines.append(_box(find_topic(topic), x, y, colour))
            if row < len(topics) - 1:
                lines.append(f'<path class="way" d="M{x + 107} {y + _HEIGHT + 2} v19"/>\n')
        if column < len(PARTS) - 1:  # from the last box to the top of the next column
            lines.append(
                f'<path class="way" d="M{x + 216} {y + 49} H{x + 223} q6 0 6 -6 V121 q0 -6 6 -6 '
                f'H{x + _ACROSS - 2}"/>\n'
            )
    return "".join([*lines, _LEGEND.format(box=height - 39, line=height - 26)])


def _box(lesson: Lesson, x: int, y: int, colour: str) -> str:
    look = f'fill="{colour}" fill-opacity="0.08" stroke="{colour}" stroke-width="2.5"'
    if lesson.planned:
        look = f'fill="#ffffff" stroke="{colour}" stroke-width="1.5" class="planned"'
    brief = (lesson.brief or lesson.measured).replace("`", "")
    words = [lesson.short or lesson.title, *textwrap.wrap(brief, width=24)]
    places = zip(("name", "measured", "measured"), (30, 54, 72), words, strict=False)
    number = f'x="{x + 14}" y="{y + 30}" style="fill: {colour}">{lesson.number}'
    return "".join(
        [
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="9" {look}/>\n',
            f'<text class="number" {number}</text>\n',
            *(
                f'<text class="{kind}" x="{x + 44}" y="{y + down}">{escape(text)}</text>\n'
                for kind, down, text in places
            ),
        ]
    )


# All of it


def texts(root: Path) -> dict[Path, str]:
    """The text that each file under `root` should have that speaks of lessons."""
    found = {}
    for folder, lessons, bring in (
        ("lessons", LESSONS, of_lesson),
        ("exercises", SHEETS, of_sheet),
    ):
        for lesson in lessons:
            path = root / "authoring" / folder / f"{lesson.stem}.py"
            if path.exists():
                found[path] = bring(path.read_text("utf-8"), lesson)
    if (root / "README.md").exists():
        found[root / "README.md"] = readme((root / "README.md").read_text("utf-8"))
        found[root / MAP] = course_map()
    return found


def stale(root: Path) -> list[Path]:
    """What under `root` does not go by the table: files to be changed, notebooks to be renamed."""
    wrong = [
        path
        for path, text in texts(root).items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    return wrong + [old for old, _ in _renamed(root)]


def bring_in_line(root: Path) -> list[Path]:
    """Change and rename what does not go by the table, and tell which files have another text now.

    No notebook is lost, whatever stands in it.
    """
    changed = []
    for path, text in texts(root).items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            changed.append(path)
    for old, new in _renamed(root):
        old.rename(new)
    return changed


def _renamed(root: Path) -> list[tuple[Path, Path]]:
    """Notebooks with another number than their lesson's, and their right names, where these are free."""
    named = [
        (path, path.with_name(f"{lesson.file}.ipynb"))
        for folder in NOTEBOOKS
        for lesson in LESSONS
        for path in sorted((root / folder).glob(f"[0-9][0-9]_{lesson.stem}.ipynb"))
    ]
    return [(path, right) for path, right in named if not right.exists()]
