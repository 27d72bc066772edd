"""Fine-tuning with other settings, run after run, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from resnet_edu.draw import style
from resnet_edu.draw.finetuning import confusion_cells
from resnet_edu.draw.style import COLOURS, KeptFigure, Picture
from resnet_edu.draw.training import smoothed

if TYPE_CHECKING:
    from resnet_edu.training import History

RUNS_SHOWN = 8
"""So many runs have a row; of more, the last ones."""


class TransferDialDrawing:
    """Training curve, confusion matrix and the runs so far, kept so that they can be redrawn quickly.

    `names` are those of the classes, `steps` the length of a training.
    """

    def __init__(self, names: Sequence[str], steps: int) -> None:
        self._names = list(names)
        figure = style.blank(9.4, 5.6)
        self._axes = [
            figure.add_axes(place)
            for place in ((0.065, 0.50, 0.40, 0.44), (0.60, 0.455, 0.32, 0.485), (0.43, 0.05, 0.50, 0.3))
        ]  # fmt: skip
        curve, matrix, runs = self._axes
        moving = [*self._frame_curve(curve, steps), *self._frame_matrix(matrix)]
        self._kept = KeptFigure(figure, [*moving, *self._frame_runs(runs)])

    def update(
        self, history: History, confusion: np.ndarray, runs: Sequence[tuple[str, float]]
    ) -> Picture:
        """Draw the training so far.

        `history.validation` holds accuracies on held-out images, `confusion` (C, C) counts those of the
        class of a row that were taken for the class of a column: zeros while nothing was measured.
        `runs` has what each run was, and its accuracy on held-out images. Once something was measured, the
        last of them is the one at hand.
        """
        batches = smoothed(history.accuracies)
        self._batches.set_data(range(1, len(batches) + 1), batches)
        held_out = list(history.validation.values())
        self._held_out.set_data(list(history.validation), held_out)
        now = f"{held_out[-1]:.0%} on held-out images" if held_out else "nothing measured yet"
        said = (
            f"Accuracy against the step, {len(batches)} of {history.steps}: {now}.",
            self._draw_matrix(confusion),
            self._draw_runs(runs, at_hand=bool(held_out)),
        )
        return Picture(self._axes, " ".join(said), self._kept.png())

    def _frame_curve(self, ax: Axes, steps: int) -> list:
        _bare(ax)
        style.title(ax, "Accuracy")
        ax.set_xlim(0, steps * 1.03)
        ax.set_ylim(0, 1.04)
        ax.set_xlabel("step", labelpad=1)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.grid(axis="y", color="#E3E7EA")
        (self._batches,) = ax.plot([], [], color=COLOURS["ghost"], linewidth=2, label="trained on")
        (self._held_out,) = ax.plot(
            [], [], "o-", color=COLOURS["residual"], linewidth=2, label="held out"
        )
        ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.02, 0.97), ncols=2)
        return [self._batches, self._held_out]

    def _frame_matrix(self, ax: Axes) -> list:
        classes = len(self._names)
        style.title(ax, "Held-out images")
        ax.set_xticks(range(classes), self._names)
        ax.set_yticks(range(classes), self._names)
        ax.tick_params(length=0)
        ax.set_xlabel("was taken for", labelpad=1)
        ax.set_ylabel("is")
        self._cells = ax.imshow(np.ones((classes, classes, 3)))
        self._counts = [
            [ax.text(column, row, "", ha="center", va="center", fontsize=9) for column in range(classes)]
            for row in range(classes)
        ]  # fmt: skip
        return [self._cells, *(text for row in self._counts for text in row)]

    def _frame_runs(self, ax: Axes) -> list:
        _bare(ax)
        ax.spines["left"].set_visible(False)
        style.title(ax, "Your runs, on held-out images")
        ax.set_xlim(0, 1.0)
        ax.set_ylim(RUNS_SHOWN - 0.5, -0.5)
        ax.set_yticks([])
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.grid(axis="x", color="#E3E7EA")
        (self._earlier,) = ax.plot([], [], "o", color=COLOURS["neutral"], clip_on=False)
        (self._last,) = ax.plot([], [], "o", color=COLOURS["residual"], markersize=9, clip_on=False)
        left, right = (
            [
                ax.text(x, row, "", transform=ax.get_yaxis_transform(), ha=ha, va="center", fontsize=9)
                for row in range(RUNS_SHOWN)
            ]
            for x, ha in ((-0.02, "right"), (1.03, "left"))
        )  # fmt: skip
        self._rows = list(zip(left, right, strict=True))
        return [self._earlier, self._last, *left, *right]

    def _draw_matrix(self, confusion: np.ndarray) -> str:
        cells = confusion_cells(confusion, confusion.sum(1))
        self._cells.set_data(cells)
        for (row, column), count in np.ndenumerate(confusion):
            text = self._counts[row][column]
            text.set_text(f"{count}" if count else "")
            text.set_color(style.readable_on(cells[row, column]))
        if not confusion.any():
            return "The confusion matrix is empty."
        return f"{confusion.trace()} of {confusion.sum()} held-out images are right."

    def _draw_runs(self, runs: Sequence[tuple[str, float]], *, at_hand: bool) -> str:
        shown = list(enumerate(runs, 1))[-RUNS_SHOWN:]
        earlier = len(shown) - at_hand
        accuracies = [accuracy for _, (_, accuracy) in shown]
        self._earlier.set_data(accuracies[:earlier], range(earlier))
        self._last.set_data(accuracies[earlier:], range(earlier, len(shown)))
        for left, right in self._rows:
            left.set_text("")
            right.set_text("")
        for row, (number, (what, accuracy)) in enumerate(shown):
            colour = COLOURS["neutral" if row < earlier else "residual"]
            left, right = self._rows[row]
            left.set(text=f"{number}:  {what}", color=colour)
            right.set(text=f"{accuracy:.1%}", color=colour)
        said = "; ".join(f"run {n}, {what}: {accuracy:.1%}" for n, (what, accuracy) in shown)
        return f"Runs so far: {said or 'none'}."


def _bare(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
