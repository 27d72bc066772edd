"""Which tasks were passed: remembered in one small file in the folder of the course.

The file is an SQLite database, so that two notebooks can write to it at once and a crash leaves no half
entry. Only a sheet in `exercises/` writes to it: a solution that passes is nobody's progress. A task goes
by its name; a file from the time when tasks went by their numbers is read too. Nothing here ever stops a
check. What goes wrong is told in a sentence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from resnet_edu import course

FILE = "progress.db"
_DAMAGED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SECONDS = 2.0  # how long one notebook waits for another

_here: set[str] = set()
"""The names of the tasks that were passed in this kernel, wherever it runs."""


def folder() -> Path | None:
    """The folder of the course, seen from the working directory, or None if it is somewhere else."""
    here = Path.cwd()
    for place in (here, here.parent):
        if (place / "exercises").is_dir() and (place / "lessons").is_dir():
            return place
    return None


def note_passed(task: str) -> str | None:
    """Remember that the task with this name was passed. Returns what went wrong, if anything did."""
    _here.add(task)
    home = folder()
    if home is None or Path.cwd() != home / "exercises":
        return None
    return _with_file(
        home, lambda db: db.execute("INSERT OR IGNORE INTO passed VALUES (?)", (task,))
    )[1]


def passed() -> tuple[frozenset[str], str | None]:
    """The names of the tasks that were passed, here or before, and what went wrong, if anything did."""
    home = folder()
    if home is None or not (home / FILE).exists():
        return frozenset(_here), None
    rows, trouble = _with_file(home, lambda db: db.execute("SELECT task FROM passed").fetchall())
    before = (str(task) for (task,) in rows or ())
    return frozenset(_here).union(course.old_name(task) or task for task in before), trouble


def _with_file(home: Path, work: Callable[[sqlite3.Connection], Any]) -> tuple[Any, str | None]:
    """What `work` gives, and what went wrong. A damaged file is set aside, and a new one begun."""
    path, trouble = home / FILE, None
    for _ in range(2):
        try:
            with closing(sqlite3.connect(path, timeout=_SECONDS)) as db, db:
                db.execute("CREATE TABLE IF NOT EXISTS passed (task TEXT PRIMARY KEY)")
                return work(db), trouble
        except sqlite3.Error as error:
            if error.sqlite_errorcode not in _DAMAGED:
                return None, f"{path.name} cannot be used: {error}."
            trouble = _set_aside(path)
    return None, trouble


def _set_aside(path: Path) -> str:
    """Rename a damaged file to a name that is free."""
    taken = 0
    while (aside := path.with_name(f"{path.stem}.damaged{taken or ''}{path.suffix}")).exists():
        taken += 1
    try:
        path.rename(aside)
    except OSError as error:
        return f"{path.name} is damaged, and cannot be renamed ({error.strerror})."
    return f"{path.name} was damaged. It is now {aside.name}, and a new one was begun."
