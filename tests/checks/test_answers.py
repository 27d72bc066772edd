"""The bank of answers: right ones pass, wrong ones are caught and named."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from bank import RIGHT, WRONG, Entry, fill

from resnet_edu import checks
from resnet_edu.checks.check import Check, Mistake

fill()
CHECKS = [value for value in vars(checks).values() if isinstance(value, Check)]


@pytest.mark.bank
@pytest.mark.parametrize("entry", RIGHT, ids=str)
def test_a_right_answer_passes_however_it_is_written(entry: Entry) -> None:
    verdict = entry.check(entry.answer)
    assert verdict.passed, verdict


@pytest.mark.bank
@pytest.mark.parametrize("entry", WRONG, ids=str)
def test_a_wrong_answer_is_caught_and_named(entry: Entry) -> None:
    verdict = entry.check(entry.answer)
    assert not verdict.passed
    assert verdict.mistake == entry.mistake, verdict
    assert verdict.evidence


@pytest.mark.bank
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_bank_is_large_enough(check: Check) -> None:
    assert len([e for e in RIGHT if e.check is check]) >= 5
    assert len([e for e in WRONG if e.check is check]) >= 8


def known_versions() -> list[Any]:
    return [
        pytest.param(check, mistake, version, id=f"{check.name}-{mistake.name}-{number}")
        for check in CHECKS
        for mistake in check.mistakes
        for number, version in enumerate(mistake.versions)
    ]


@pytest.mark.bank
@pytest.mark.parametrize(("check", "mistake", "version"), known_versions())
def test_a_known_mistake_is_told_from_all_others(
    check: Check, mistake: Mistake, version: Callable[..., Any]
) -> None:
    verdict = check(version)
    assert (verdict.passed, verdict.mistake) == (False, mistake.name)
    assert verdict.message == mistake.message


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_mistakes_have_different_names_and_short_messages(check: Check) -> None:
    names = [mistake.name for mistake in check.mistakes]
    assert len(names) == len(set(names))
    for mistake in check.mistakes:
        assert mistake.name == mistake.name.lower().replace(" ", "-")
        assert 1 <= mistake.message.count(".") <= 5
        assert len(mistake.message) <= 260


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_message_names_the_mistake_and_says_why_it_matters(check: Check) -> None:
    for said in check.said.values():
        sentences = re.findall(r"[.!?]\)?(?=\s|$)", said.message)
        assert len(sentences) >= 2, f"only {len(sentences)} sentence: {said}"
        assert len(said.message.split()) <= 60, f"too long to be read: {said}"
