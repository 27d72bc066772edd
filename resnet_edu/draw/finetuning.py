"""What came of a fine-tuning: its curve, who was taken for whom, and where the network looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, Picture, axes
from resnet_edu.draw.training import smoothed

if TYPE_CHECKING:
    from resnet_edu.training import History

MOST_CLASSES = 25
"""Of more classes, those with the most mistakes are drawn."""
LONGEST_NAME = 18


def finetuning_curve(history: History, step: int) -> Picture:
    """Accuracy against the step, on the batches trained on and in validation; `step` is the one kept."""
    (ax,) = axes(width=7.5, height=3.4)
    style.title(ax, "Accuracy")
    batches = smoothed(history.accuracies)
    kept = history.validation[step]
    ax.plot(
        range(1, len(batches) + 1),
        batches,
        color=COLOURS["neutral"],
        linewidth=1,
        label="photos trained on",
    )
    validated = list(history.validation), list(history.validation.values())
    ax.plot(*validated, color=COLOURS["residual"], linewidth=2, label="photos of validation")
    ax.plot(
        step, kept, "o", color=COLOURS["residual"], markersize=9, label="the state that is kept"
    )
    ax.set_xlabel("step")
    ax.set_xlim(0, history.steps * 1.02)
    ax.set_ylim(0, 1.04)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", color="#E3E7EA")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return Picture(
        [ax],
        f"Accuracy against the step. Photos trained on end at {batches[-1]:.0%}, photos of validation at "
        f"{validated[1][-1]:.0%}. The state of step {step} is kept, with {kept:.0%}.",
    )


def confusion_matrix(counts: np.ndarray, names: Sequence[str]) -> Picture:
    """How many photos of the class of a row were taken for the class of a column: counts (C, C).

    Right ones are green and wrong ones pink, the deeper the more of their row. Of more than 25 classes,
    those with the most mistakes are drawn.
    """
    wrong = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    names = [_short(names[i]) for i in chosen]
    side = 1.5 + 0.42 * max(len(names), 4)
    (ax,) = axes(width=side + 1.2, height=side)
    part = counts[np.ix_(chosen, chosen)]
    cells = confusion_cells(part, counts.sum(1)[chosen])
    for (row, column), photos in np.ndenumerate(part):
        if photos:
            colour = style.readable_on(cells[row, column])
            ax.text(column, row, f"{photos}", ha="center", va="center", color=colour)
    ax.imshow(cells)
    places = range(len(names))
    ax.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, names)
    ax.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#E3E7EA")
    ax.tick_params(which="minor", length=0)
    ax.set_xlabel("was taken for")
    ax.set_ylabel("is", rotation=0, labelpad=12)
    title = "Photos of validation"
    if len(counts) > len(names):
        title = f"The {len(names)} classes of {len(counts)} with the most mistakes"
    style.title(ax, title)
    return Picture([ax], f"{title}: who was taken for whom. {_most_frequent(part, names)}")


def confusion_cells(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """The colours (C, C, 3) of a confusion matrix: right ones green, wrong ones pink, none white.

    They are the deeper, the larger the count's share of the row's total in `totals` (C,).
    """
    share = counts / np.maximum(totals, 1)[:, None]
    depth = np.where(counts > 0, 0.25 + 0.75 * share, 0)[..., None]
    right = np.eye(len(counts), dtype=bool)[..., None]
    deepest = np.where(right, to_rgb(COLOURS["third"]), to_rgb(COLOURS["fourth"]))
    return 1 - depth * (1 - deepest)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _most_frequent(counts: np.ndarray, names: Sequence[str]) -> str:
    wrong = counts - np.diag(counts.diagonal())
    if not wrong.any():
        return "Every photo is right."
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    return (
        f"{counts.trace()} of {counts.sum()} are right; the most frequent mistake is {names[row]} taken "
        f"for {names[column]} ({wrong.max()})."
    )
