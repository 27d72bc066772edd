"""A check: one task's reference, the cases it is tried on, and the mistakes that are known."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from resnet_edu import course
from resnet_edu.checks import remembered
from resnet_edu.checks.compare import (
    Evidence,
    See,
    first_difference,
    first_other_label,
    same,
    same_everywhere,
    snapshot,
)
from resnet_edu.checks.guard import UNLIMITED, Raised, TimeLimit, Wrong, guarded, shortened
from resnet_edu.checks.verdict import NOT_ATTEMPTED, TOO_SLOW, CheckNotPassed, Verdict

SECONDS = 1.5
"""What the learner's code has. With the search for the mistake, a verdict takes less than 2 seconds."""

Answer = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make: its name, what to say about it, and code that makes it."""

    name: str
    message: str
    versions: Sequence[Answer]


@dataclass(frozen=True)
class Place:
    """Where an answer is wrong, if it is not known why: part of a label, a name, and what to say."""

    label: str
    name: str
    message: str


@dataclass(frozen=True)
class Look:
    """What was seen of an answer in one case."""

    tried: str
    seen: dict[str, Any]
    problem: Wrong | Raised | None
    printed: str

    def agrees(self, other: Look) -> bool:
        """Whether two answers were seen to do the same."""
        return self.problem == other.problem and same_everywhere(self.seen, other.seen)

    def evidence(self, wanted: Look) -> Evidence:
        """What was tried, and the first thing that is not as wanted."""
        rows: Evidence = (("Tried", self.tried), *first_difference(self.seen, wanted.seen))
        if len(rows) == 1 and self.problem:
            rows += self.problem.evidence
        return (*rows, ("Printed", self.printed)) if self.printed else rows


@dataclass(frozen=True, eq=False)
class Check:
    """Call it with an answer, and it gives a `Verdict`.

    `observe(answer, case, see)` uses the answer in one case and notes by `see(label, value)` what it did.
    An answer is right where it is seen to do what the reference does, in every case. It has a known
    mistake where it does, in every case, what a version with that mistake does, or where its first wrong
    tensor is that of such a version; else the first label that differs tells the `Place`. `cases` are
    found under the text that tells a learner what was tried.
    """

    signature: str
    reference: Answer
    observe: Callable[[Answer, Any, See], None]
    cases: Mapping[str, Any]
    mistakes: Sequence[Mistake]
    places: Sequence[Place] = ()

    @property
    def name(self) -> str:
        """The name of the function or class that the task asks for."""
        return self.signature.partition("(")[0]

    def __call__(self, answer: Answer) -> Verdict:
        """Is the answer right, and if not, why? Never raises, unless RESNET_EDU_STRICT is 1."""
        verdict = self._judge(answer)
        if verdict.passed and course.find(self.name):
            trouble = remembered.note_passed(self.name)
            if trouble:
                verdict = replace(verdict, evidence=(("Progress", trouble),))
        if not verdict.passed and os.environ.get("RESNET_EDU_STRICT") == "1":
            raise CheckNotPassed(repr(verdict))
        return verdict

    def _judge(self, answer: Answer) -> Verdict:
        if not callable(answer) or issubclass(type(answer), nn.Module):
            return self._not_yet(
                "not-callable",
                f"Give the check {self.name} itself, without calling it first.",
                (("Got", f"an object of type {type(answer).__name__}"),),
            )

        def by_name(*arguments: Any) -> Any:
            names = inspect.signature(self.reference).parameters
            return answer(**dict(zip(names, arguments, strict=False)))

        wanted = self._wanted
        with TimeLimit(SECONDS) as limit:
            looks = self._look(answer, limit)
            if isinstance(looks[-1].problem, Wrong):
                return self._plainly_wrong(looks[-1], looks[-1].problem)
            named = self._look(by_name, limit)
        wrong = named[-1].problem
        if isinstance(wrong, Wrong) and wrong.mistake == TOO_SLOW:
            return self._plainly_wrong(named[-1], wrong)
        right, right_by_name = _agree(looks, wanted), _agree(named, wanted)
        if right and right_by_name:
            return Verdict(True, None, "Right, in everything that was tried.", self.name)
        if right or right_by_name:
            return self._not_yet(
                "parameter-names" if right else "parameter-order",
                f"The work is done right, but the names or the order of the parameters are not those of "
                f"{self.signature}: other code could not call yours.",
                _first_evidence(named if right else looks, wanted),
            )
        evidence = _first_evidence(looks, wanted)
        for mistake in self.mistakes:
            if any(self._does_the_same(version, looks) for version in mistake.versions):
                return self._not_yet(mistake.name, mistake.message, evidence)
        for mistake in self.mistakes:
            if any(self._gives_the_same(version, looks, wanted) for version in mistake.versions):
                return self._not_yet(mistake.name, mistake.message, evidence)
        looked_at = dict(evidence).get("Looked at", "")
        for place in self.places:
            if place.label in looked_at:
                return self._not_yet(place.name, place.message, evidence)
        if "afterwards" in looked_at:
            return self._not_yet(
                "changes-its-input",
                "Your code changes a value that it was given. Whoever calls it still needs that value.",
                evidence,
            )
        if any(look.problem for look in looks):
            message = (
                "Your code stopped with an error. Read its text and your line below: the trouble is in "
                "that line, or in what it was given."
            )
            return self._not_yet("raised-error", message, evidence)
        message = (
            "Your code runs, but gives something else than the task asks for. Work the case below out by "
            "hand, and see where your code leaves that way."
        )
        return self._not_yet(None, message, evidence)

    def _plainly_wrong(self, look: Look, wrong: Wrong) -> Verdict:
        stub = wrong.mistake == NOT_ATTEMPTED  # then nothing was tried
        return self._not_yet(
            wrong.mistake, wrong.message, wrong.evidence if stub else look.evidence(look)
        )

    def _not_yet(self, mistake: str | None, message: str, evidence: Evidence) -> Verdict:
        short = tuple((label, shortened(text)) for label, text in evidence)
        return Verdict(False, mistake, message, self.name, short)

    @cached_property
    def _wanted(self) -> list[Look]:
        """What the reference does: always the same, so it is looked at once."""
        return self._look(self.reference)

    def _look(self, answer: Answer, limit: TimeLimit = UNLIMITED) -> list[Look]:
        """The answer in every case, or up to a mistake that is plain at once."""
        looks = []
        for tried, case in self.cases.items():
            looks.append(self._look_once(answer, tried, case, limit))
            if isinstance(looks[-1].problem, Wrong):
                break
        return looks

    def _look_once(self, answer: Answer, tried: str, case: Any, limit: TimeLimit) -> Look:
        seen: dict[str, Any] = {}

        def see(label: str, value: Any) -> None:
            seen[label] = snapshot(value)

        problem, printed = guarded(lambda: self.observe(answer, case, see), limit)
        return Look(tried, seen, problem, printed)

    def _does_the_same(self, version: Answer, looks: list[Look]) -> bool:
        return all(
            self._look_once(version, "", case, UNLIMITED).agrees(look)
            for case, look in zip(self.cases.values(), looks, strict=True)
        )

    def _gives_the_same(self, version: Answer, looks: list[Look], wanted: list[Look]) -> bool:
        """Whether the first wrong tensor of the answer is what the version gives in its place.

        So a mistake has its name where a second one, such as a hook left behind, follows it.
        """
        pairs = zip(self.cases.values(), looks, wanted, strict=False)
        case, look, want = next(pair for pair in pairs if not pair[1].agrees(pair[2]))
        label = first_other_label(look.seen, want.seen)
        if label is None or not isinstance(look.seen[label], Tensor):
            return False  # a word or a number may be the same by chance
        seen = self._look_once(version, "", case, UNLIMITED).seen
        return label in seen and same(seen[label], look.seen[label])


def _agree(looks: list[Look], wanted: list[Look]) -> bool:
    return len(looks) == len(wanted) and all(map(Look.agrees, looks, wanted))


def _first_evidence(looks: list[Look], wanted: list[Look]) -> Evidence:
    pairs = zip(looks, wanted, strict=False)
    return next(look.evidence(want) for look, want in pairs if not look.agrees(want))
