"""The texts beside the checks: every part of them is used, and one that cannot be read is a clear error."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from resnet_edu import checks
from resnet_edu.checks import text
from resnet_edu.checks.check import Check

CHECKS = [value for value in vars(checks).values() if isinstance(value, Check)]
PACKAGE = Path(inspect.getfile(checks)).parent
RAISED = re.compile(r"""(?:Wrong|require\w*)\(\s*"([a-z0-9-]+)\"""")


def code_of(check: Check) -> str:
    """The code that raises findings: that of the check's topic, and what all checks share."""
    topic = Path(sys.modules[check.reference.__module__].__file__).parent
    paths = {*topic.glob("*.py"), *PACKAGE.glob("*.py")}
    return "\n".join(path.read_text("utf-8") for path in sorted(paths))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_section_is_used(check: Check) -> None:
    code = code_of(check)
    for section in check.said.values():
        used = section.versions or section.places or section.name in check.versions
        assert used or f'"{section.name}"' in code, f"nothing leads to {section.name!r}"


def test_every_finding_that_code_raises_has_something_to_say() -> None:
    for path in PACKAGE.rglob("*.py"):
        said = set(text.common())
        for beside in path.parent.glob("*.md") if path.parent != PACKAGE else ():
            said |= set(text.read(beside))
        for name in RAISED.findall(path.read_text("utf-8")):
            assert name in said, f"{path.name} raises {name!r}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_what_a_message_leaves_open_is_filled_in(check: Check) -> None:
    code = code_of(check)
    for section in (*check.said.values(), *text.common().values()):
        for value in re.findall(r"\{(\w+)\}", section.message):
            assert re.search(rf"\b{value}=", code), f"{section.name!r} has {{{value}}}, never given"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_no_place_is_shadowed_by_another(check: Check) -> None:
    """For each place there is something that is seen of the reference, and that leads to it."""
    labels = [label for look in check._wanted for label in look.seen]
    for section in check.said.values():
        for place in section.places:
            alone = {section.name: text.Section(section.name, "", (), (place,))}
            led = [label for label in labels if text.place_of(label, alone)]
            assert led, f"nothing that is seen is called {place!r}: {labels}"
            won = [label for label in led if text.place_of(label, check.said) is section]
            assert won, f"{place!r} is always overruled by another place"


# The form


def write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "task.md"
    path.write_text(content, "utf-8")
    return path


def test_a_text_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "# `task`\n\nFor maintainers.\n\n"
        "## one-thing\nat: output\nat: * afterwards\nIt is wrong.\nSo it fails.\n\n"
        "    a + b => a - b\n    c =>\n\n    a => b\n\n## another\nNo.\n",
    )
    one, another = text.read(path).values()
    assert one.name == "one-thing"
    assert one.message == "It is wrong. So it fails."
    assert one.places == ("output", "* afterwards")
    assert one.versions == ((("a + b", "a - b"), ("c", "")), (("a", "b"),))
    assert another == text.Section("another", "No.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("## a\nYes.\n\n## a\nNo.\n", r"task.md, line 4: 'a' stands there already"),
        ("## a\n\n    x => y\n", r"line 1: 'a' has no message"),
        ("## A b\nYes.\n", r"line 1: a name is small letters and hyphens"),
        ("\n## a\nYes.\n\n    x -> y\n", r"line 2: an edit is `old => new`.*x -> y"),
        ("## a\nYes.\n\n    x => y => z\n", r"with one arrow"),
    ],
)
def test_a_text_that_cannot_be_used_is_a_clear_error(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(text.TextError, match=said):
        text.read(write(tmp_path, content))


SOURCE = "def f(a, b):\n    if a:\n        a = a + 1\n    return a + b\n"


def test_edits_are_made_in_order() -> None:
    edits = (("a = a + 1", "a = 0\\nb = 1"), ("b = 1", "b = 2"))
    assert (
        text.edited(SOURCE, edits)
        == "def f(a, b):\n    if a:\n        a = 0\n        b = 2\n    return a + b\n"
    )


@pytest.mark.parametrize(("old", "times"), [("a +", 2), ("c", 0)])
def test_an_edit_that_does_not_fit_exactly_once_is_a_clear_error(old: str, times: int) -> None:
    with pytest.raises(text.TextError, match=rf"`{re.escape(old)}` stands {times} times"):
        text.edited(SOURCE, ((old, "x"),))


def reference(a: int, b: int) -> int:
    return a + b


def make(said: dict[str, text.Section], **more: Any) -> Check:
    return Check("f(a, b)", reference, lambda *_: None, {"": ()}, said=said, **more)


def test_a_check_with_an_edit_that_does_not_fit_cannot_be_made() -> None:
    section = text.Section("wrong-sign", "No.", ((("a * b", "a - b"),),))
    with pytest.raises(text.TextError, match=r"f, wrong-sign: `a \* b` stands 0 times"):
        make({"wrong-sign": section})


def test_a_version_without_a_message_cannot_be_given() -> None:
    with pytest.raises(text.TextError, match="nothing is said to wrong-sign"):
        make({}, versions={"wrong-sign": [reference]})


def test_a_version_is_what_the_edited_source_does() -> None:
    section = text.Section("wrong-sign", "No.", ((("a + b", "a - b"),),))
    (mistake,) = make({"wrong-sign": section}).mistakes
    assert mistake.versions[0](5, 3) == 2


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("mode of the model", "mode"),
        ("modes of its modules", None),
        ("frozen in layer1", "frozen"),
        ("hooks, afterwards", "hooks"),
        ("x, afterwards", "end"),
        ("afterwards", "end"),
    ],
)
def test_a_place_fits_whole_words_and_the_longest_wins(label: str, found: str | None) -> None:
    places = {"mode": "mode", "frozen": "frozen in", "end": "*afterwards", "hooks": "hooks"}
    said = {name: text.Section(name, "", (), (place,)) for name, place in places.items()}
    section = text.place_of(label, said)
    assert (section.name if section else None) == found
