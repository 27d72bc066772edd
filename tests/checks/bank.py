"""The bank of answers: what people write, right and wrong."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_edu.checks import text
from resnet_edu.checks.check import Check

Answer = Callable[..., Any]


@dataclass(frozen=True)
class Entry:
    check: Check
    answer: Answer
    mistake: str | None

    def __str__(self) -> str:
        return f"{self.check.name}-{self.answer.__name__}"


RIGHT: list[Entry] = []
WRONG: list[Entry] = []


def right(check: Check) -> Callable[[Answer], Answer]:
    def add(answer: Answer) -> Answer:
        RIGHT.append(Entry(check, answer, None))
        return answer

    return add


def wrong(check: Check, mistake: str) -> Callable[[Answer], Answer]:
    def add(answer: Answer) -> Answer:
        WRONG.append(Entry(check, answer, mistake))
        return answer

    return add


def wrong_edits(check: Check, answer: Answer, versions: str) -> None:
    """Wrong answers that differ from a right one in a line or two, written as in the texts of the checks.

    name-of-the-mistake
        old text => new text
        second edit of the same answer => ...

        old text => new text of another answer with that mistake
    """
    source = text.source_of(answer)
    for mistake, body in re.findall(
        r"^([a-z0-9-]+)\n((?:(?: +.*)?\n)+)", text.dedent(versions), re.M
    ):
        for number, block in enumerate(body.strip("\n").split("\n\n")):
            made = text.edited(source, tuple(map(text.edit, block.splitlines())))
            made = re.sub(r"^@right\(.*\)\n", "", made, flags=re.M)  # it is not one any more
            wrong_answer = text.compiled(made, answer, mistake)
            wrong_answer.__name__ = f"{answer.__name__}-{mistake}-{number}"
            WRONG.append(Entry(check, wrong_answer, mistake))


def fill() -> None:
    """Read all answers that there are: those in the files `answers_*.py` beside this one."""
    for path in sorted(Path(__file__).parent.glob("answers_*.py")):
        importlib.import_module(path.stem)
