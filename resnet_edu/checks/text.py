"""The text beside a check: what it says to each mistake, and the mistakes as edits of the reference.

It is a file of Markdown with the name of the check's module. A section is one thing to say to a learner:

    ## padding-once
    The padding is counted once, but each row is padded at both of its ends.

        2 * padding => padding

    ## other-output
    at: output in eval mode
    The block computes something else than the task asks for.

The heading is the stable name. Indented lines make a wrong version of the reference: in its source, what
stands left of `=>` becomes what stands right of it. There `\\n` begins a line of the same depth.
Lines that follow each other belong to one version, an empty line begins the next. `at:` gives the label of
what is seen of an answer: the section is what to say where that is the first thing wrong. `*` in a label
stands for anything. A section with neither is found by name, by the check's own code. What stands before
the first section is for maintainers.
"""

from __future__ import annotations
import __future__

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

Answer = Callable[..., Any]

Edits = tuple[tuple[str, str], ...]
"""What makes one wrong version of a reference: old text and new text, one after the other."""


class TextError(ValueError):
    """The text beside a check cannot be used. Says where, what is wrong, and what is expected."""


@dataclass(frozen=True)
class Section:
    """One thing to say: its stable name, the message, wrong versions as edits, and labels."""

    name: str
    message: str
    versions: tuple[Edits, ...] = ()
    places: tuple[str, ...] = ()


Text = Mapping[str, Section]
"""The sections of a file by name, in their order."""


def beside(module_file: str) -> Text:
    """The text beside a module: `beside(__file__)`. Raises TextError where it cannot be read."""
    return read(Path(module_file).with_suffix(".md"))


@cache
def common() -> Text:
    """What is said in the same words whatever the task."""
    return read(Path(__file__).with_name("common.md"))


def read(path: Path) -> Text:
    """Raises TextError for a name that stands twice, an empty message, an edit without `=>`."""
    sections: dict[str, Section] = {}
    before, *parts = re.split(r"^## ", "\n" + path.read_text("utf-8"), flags=re.MULTILINE)
    line = before.count("\n")
    for part in parts:
        section = _section(part, f"{path.name}, line {line}")
        if section.name in sections:
            raise TextError(f"{path.name}, line {line}: {section.name!r} stands there already.")
        sections[section.name] = section
        line += part.count("\n")
    return sections


def _section(part: str, where: str) -> Section:
    name, *lines = part.split("\n")
    message: list[str] = []
    places: list[str] = []
    versions: list[list[tuple[str, str]]] = [[]]
    for line in lines:
        if not line.strip():
            versions.append([])
        elif line.startswith("    "):
            old, arrow, new = f"{line.strip()} ".partition(" => ")
            if not arrow or " => " in new:
                raise TextError(
                    f"{where}: an edit is `old => new`, with one arrow; it was {line!r}."
                )
            versions[-1].append((old.strip(), new.strip()))
        elif line.startswith("<!--"):
            continue
        elif line.startswith("at: "):
            places.append(line.removeprefix("at: ").strip())
        else:
            message.append(line.strip())
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name.strip()):
        raise TextError(f"{where}: a name is small letters and hyphens; it was {name!r}.")
    if not message:
        raise TextError(
            f"{where}: {name.strip()!r} has no message. Write what to say to a learner."
        )
    edits = tuple(tuple(version) for version in versions if version)
    return Section(name.strip(), " ".join(message), edits, tuple(places))


def edit(line: str) -> tuple[str, str]:
    """The old and the new text of a line `old => new`. Raises TextError for any other line."""
    old, arrow, new = f"{line.strip()} ".partition(" => ")
    if not arrow or " => " in new:
        raise TextError(f"an edit is `old => new`, with one arrow; it was {line!r}.")
    return old.strip(), new.strip()


def edited(source: str, edits: Edits) -> str:
    """The source with the edits made, in order. Raises TextError where one does not fit exactly once."""
    for old, new in edits:
        if (count := source.count(old)) != 1:
            raise TextError(
                f"`{old}` stands {count} times in the reference, and an edit has to fit exactly once. "
                f"The reference is:\n{source}"
            )
        at = source.index(old)
        indent = re.match(r" *", source[source.rfind("\n", 0, at) + 1 :])[0]
        source = source.replace(old, new.replace("\\n", "\n" + indent))
    return source


def source_of(reference: Answer) -> str:
    """The source text of a function or class, with no indentation."""
    return dedent(inspect.getsource(reference))


def compiled(source: str, reference: Answer, name: str) -> Answer:
    """What `source` defines under the reference's name, seeing what the reference's module defines."""
    names = dict(vars(sys.modules[reference.__module__]))
    flags = __future__.annotations.compiler_flag
    exec(compile(source, f"<version {name}>", "exec", flags, dont_inherit=True), names)
    return names[reference.__name__]


def place_of(label: str, text: Text) -> Section | None:
    """The section whose place fits a label, from its beginning and in whole words.

    Of several, one without `*` goes before one with it, and a longer one before a shorter.
    """
    fitting = [
        (("*" not in place, len(place)), section)
        for section in text.values()
        for place in section.places
        if re.fullmatch(".*".join(map(re.escape, place.split("*"))) + r"(\W.*)?", label)
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None
