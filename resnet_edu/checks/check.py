"""A check: one task's reference, the cases it is tried on, and the mistakes that are known."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from resnet_edu.checks.text import (
    Answer,
    Section,
    Text,
    TextError,
    common,
    compiled,
    edited,
    place_of,
    source_of,
)
from resnet_edu.checks.verdict import NOT_ATTEMPTED, TOO_SLOW, CheckNotPassed, Verdict

SECONDS = 1.5
"""What the learner's code has. With the search for the mistake, a verdict takes less than 2 seconds."""


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make: its name, what to say about it, and code that makes it."""

    name: str
    message: str
    versions: Sequence[Answer]


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
    `cases` are found under the text that tells a learner what was tried. `said` is the text beside the
    check, and `versions` has further wrong answers by name, those that are no edit of the reference.

    An answer is right where it is seen to do what the reference does, in every case. For any other, the
    first of these that holds is the verdict:

    1. `observe` raises `Wrong`, or Python or PyTorch says what is wrong: that.
    2. It is right when called by position or by name alone: the parameters.
    3. It does, in every case, what a known version does: that mistake, the first in the text's order.
    4. The first tensor that is wrong is what a known version gives there: that mistake. A second mistake,
       such as a hook left behind, may follow it.
    5. The first thing that is wrong has a place: in this check's text, else in that of all checks.
    6. The code stopped with an error.
    7. None of it is known.
    """

    signature: str
    reference: Answer
    observe: Callable[[Answer, Any, See], None]
    cases: Mapping[str, Any]
    said: Text
    versions: Mapping[str, Sequence[Answer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self.mistakes  # an edit that does not fit is an error now, not at some verdict

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
            got = f"an object of type {type(answer).__name__}"
            return self._not_yet("not-callable", (("Got", got),), task=self.name)

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
                _first_evidence(named if right else looks, wanted),
                signature=self.signature,
            )
        name = self._known_mistake(looks) or self._name_of_first_difference(looks)
        return self._not_yet(name, _first_evidence(looks, wanted))

    def _known_mistake(self, looks: list[Look]) -> str | None:
        for does in (self._does_the_same, self._gives_the_same):
            for mistake in self.mistakes:
                if any(does(version, looks) for version in mistake.versions):
                    return mistake.name
        return None

    def _name_of_first_difference(self, looks: list[Look]) -> str:
        look, want = self._first_wrong(looks)[1:]
        label = first_other_label(look.seen, want.seen) or ""
        section = place_of(label, self.said) or place_of(label, common())
        if section:
            return section.name
        return "raised-error" if any(look.problem for look in looks) else "unknown"

    def _plainly_wrong(self, look: Look, wrong: Wrong) -> Verdict:
        stub = wrong.mistake == NOT_ATTEMPTED  # then nothing was tried
        evidence = wrong.evidence if stub else look.evidence(look)
        return self._not_yet(wrong.mistake, evidence, **wrong.values)

    def _not_yet(self, mistake: str, evidence: Evidence, **values: Any) -> Verdict:
        section = self._section(mistake)
        message = section.message.format(**values) if values else section.message
        short = tuple((label, shortened(text)) for label, text in evidence)
        known = None if mistake == "unknown" else section.name
        return Verdict(False, known, message, self.name, short)

    def _section(self, name: str) -> Section:
        """What to say to a mistake."""
        return self.said[name] if name in self.said else common()[name]

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The sections that have versions. Raises TextError where an edit does not fit."""
        source, mistakes = source_of(self.reference), []
        for section in self.said.values():
            try:
                sources = [edited(source, edits) for edits in section.versions]
            except TextError as error:
                raise TextError(f"{self.name}, {section.name}: {error}") from None
            written = self.versions.get(section.name, ())
            if sources or written:
                versions = Versions(sources, self.reference, section.name, written)
                mistakes.append(Mistake(section.name, section.message, versions))
        if unsaid := self.versions.keys() - self.said.keys():
            raise TextError(f"{self.name}: nothing is said to {', '.join(sorted(unsaid))}.")
        return mistakes

    @cached_property
    def _wanted(self) -> list[Look]:
        """What the reference does: always the same, so it is looked at once."""
        return self._look(self.reference)

    @cached_property
    def _known(self) -> dict[tuple[Answer, int], Look]:
        """What known versions do in the case of a number: always the same, so each is looked at once."""
        return {}

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

    def _look_at_known(self, version: Answer, number: int) -> Look:
        key = version, number
        if key not in self._known:
            tried = list(self.cases)[number]
            self._known[key] = self._look_once(version, tried, self.cases[tried], UNLIMITED)
        return self._known[key]

    def _does_the_same(self, version: Answer, looks: list[Look]) -> bool:
        return all(
            self._look_at_known(version, number).agrees(look) for number, look in enumerate(looks)
        )

    def _gives_the_same(self, version: Answer, looks: list[Look]) -> bool:
        """Whether the first wrong tensor of the answer is what the version gives in its place."""
        number, look, want = self._first_wrong(looks)
        label = first_other_label(look.seen, want.seen)
        if label is None or not isinstance(look.seen[label], Tensor):
            return False  # a word or a number may be the same by chance
        seen = self._look_at_known(version, number).seen
        return label in seen and same(seen[label], look.seen[label])

    def _first_wrong(self, looks: list[Look]) -> tuple[int, Look, Look]:
        """The first case in which the answer is wrong: its number, what was seen, what was wanted."""
        pairs = enumerate(zip(looks, self._wanted, strict=False))
        return next((number, *pair) for number, pair in pairs if not pair[0].agrees(pair[1]))


class Versions(Sequence[Answer]):
    """Wrong versions of a reference: edited sources, compiled when first used, and written ones."""

    def __init__(
        self, sources: list[str], reference: Answer, name: str, written: Sequence[Answer]
    ) -> None:
        self._sources, self._reference, self._name = sources, reference, name
        self._written = written

    def __len__(self) -> int:
        return len(self._sources) + len(self._written)

    def __getitem__(self, number: Any) -> Any:
        return self._all[number]

    @cached_property
    def _all(self) -> list[Answer]:
        made = [compiled(source, self._reference, self._name) for source in self._sources]
        return [*made, *self._written]


def _agree(looks: list[Look], wanted: list[Look]) -> bool:
    return len(looks) == len(wanted) and all(map(Look.agrees, looks, wanted))


def _first_evidence(looks: list[Look], wanted: list[Look]) -> Evidence:
    pairs = zip(looks, wanted, strict=False)
    return next(look.evidence(want) for look, want in pairs if not look.agrees(want))
