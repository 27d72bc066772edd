"""What a check says: a `Verdict`, and the panel that shows it in a notebook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from resnet_edu import course

NOT_ATTEMPTED = "not-attempted"
TOO_SLOW = "too-slow"

PANEL = "border: 1px solid; border-left-width: 0.5em; border-color: {colour}; padding: 0.4em 1em;"
CELL = "text-align: left; vertical-align: top; background: none; padding: 0.1em 1em 0.1em 0;"
LABEL = CELL + " white-space: nowrap;"
CODE = (
    "white-space: pre-wrap; overflow-wrap: anywhere; background: none; color: inherit; padding: 0;"
)


class CheckNotPassed(Exception):  # noqa: N818 - reads as a sentence
    """Raised in place of a verdict that is not passed, where RESNET_EDU_STRICT is 1."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """The answer to "is my code right?".

    `mistake` is the short, stable name of the mistake that was recognised, "not-attempted" for a stub,
    and None where the answer is right or the mistake is not known. `evidence` holds pairs of a label
    and a text: what was tried, expected and got.
    """

    passed: bool
    mistake: str | None
    message: str
    task: str
    evidence: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> str:
        """A symbol and words, so that colour is never needed to read it."""
        if self.passed:
            return "✓ Passed"
        return "○ Not attempted yet" if self.mistake == NOT_ATTEMPTED else "✗ Not yet"

    def __repr__(self) -> str:
        number, _link, section = self._place
        lines = [f"{self.status}: {number} {self.task}".replace("  ", " "), self.message]
        lines += [f"  {label}: {text}" for label, text in self.evidence]
        if section and not self.passed:
            lines.append(f"  Where the lesson shows it: {section}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        # Text keeps the theme's own colour on the theme's own ground: readable in light and dark.
        colour = "#2e9e5b" if self.passed else "#8a8a8a"
        if self.status.startswith("✗"):
            colour = "#d9730d"
        rows = "".join(
            f'<tr style="background: none;"><th scope="row" style="{LABEL}">{escape(label)}</th>'
            f'<td style="{CELL}"><code style="{CODE}">{escape(text)}</code></td></tr>'
            for label, text in self.evidence
        )
        message = re.sub("`(.+?)`", r"<code>\1</code>", escape(self.message))
        number, link, section = self._place
        where = f'Where the lesson shows it: <a href="{escape(link)}">{escape(section)}</a>'
        return (
            f'<div style="{PANEL.format(colour=colour)}">'
            f"<div><strong>{self.status}</strong>: {number} <code>{escape(self.task)}</code></div>"
            f'<div style="margin: 0.3em 0;">{message}</div>'
            + (f'<table style="margin: 0;">{rows}</table>' if rows else "")
            + (f'<div style="margin: 0.3em 0;">{where}</div>' if link and not self.passed else "")
            + "</div>"
        )

    @property
    def _place(self) -> tuple[str, str, str]:
        """The task's number, and the link to its section of the lesson with what to call it."""
        if (found := course.find(self.task)) is None:
            return "", "", ""
        _, task = found
        return task.number, task.link, f"lesson {task.lesson.number}, {task.section}"
