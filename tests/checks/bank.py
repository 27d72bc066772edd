"""The bank of answers: what people write, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
