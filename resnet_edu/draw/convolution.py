"""What a convolution does to an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from resnet_edu.draw import style
from resnet_edu.draw.images import paint
from resnet_edu.draw.style import COLOURS, Picture

if TYPE_CHECKING:
    from resnet_edu.measure import Convolution


def convolution(record: Convolution) -> Picture:
    """The image, the kernel and the output of one convolution, side by side."""
    drawing = ConvolutionDrawing()
    return Picture(drawing.axes, drawing.draw(record))


class ConvolutionDrawing:
    """The same picture kept, so that an explorer can redraw it quickly."""

    def __init__(self) -> None:
        figure = style.blank(10.2, 2.9)
        ratios = {"width_ratios": (1.3, 0.62, 1.3)}
        self.axes = list(figure.subplots(1, 3, gridspec_kw=ratios))
        figure.subplots_adjust(0.005, 0.01, 0.995, 0.92, wspace=0.04)  # once, not at each update

    def update(self, record: Convolution) -> Picture:
        """Draw `record` in place of what was there."""
        words = self.draw(record)
        return Picture(self.axes, words, style.png_of(self.axes[0].figure, compress_level=1))

    def draw(self, record: Convolution) -> str:
        """Draw `record` on the Axes, and say in words what is to be seen."""
        for ax in self.axes:
            ax.clear()
        image, kernel, output = self.axes
        height, width = record.image.shape
        out_height, out_width = record.output.shape

        paint(image, record.image, extent=_extent(width, height))
        pad = record.padding
        image.add_patch(
            Rectangle(
                (-pad, -pad),
                width + 2 * pad,
                height + 2 * pad,
                fill=False,
                linestyle="--",
                edgecolor=COLOURS["neutral"],
            )
        )
        image.add_patch(
            Rectangle(
                (-pad, -pad),
                record.span,
                record.span,
                fill=False,
                linewidth=2.5,
                edgecolor=COLOURS["plain"],
            )
        )
        image.set_xlim(-pad - 0.5, width + pad + 0.5)
        image.set_ylim(height + pad + 0.5, -pad - 0.5)
        style.title(image, f"in: {height} x {width}")

        _kernel(kernel, record)
        paint(output, record.output, symmetric=record.kernel.min() < 0 and record.kernel.sum() == 0)
        style.title(output, f"out: {out_height} x {out_width}")

        rows = "; ".join(" ".join(f"{value:.2g}" for value in row) for row in record.kernel)
        return (
            f"The input image, {height} by {width} pixels, with {pad} pixels of padding. "
            f"The kernel, {rows}, spans {record.span} pixels and moves by {record.stride}. "
            f"The output, {out_height} by {out_width} pixels, with values from "
            f"{record.output.min():.2g} to {record.output.max():.2g}."
        )


def _kernel(ax: Axes, record: Convolution) -> None:
    side = len(record.kernel)
    largest = np.abs(record.kernel).max()
    ax.imshow(record.kernel, cmap="PuOr_r", vmin=-2 * largest, vmax=2 * largest)
    for (row, column), value in np.ndenumerate(record.kernel):
        ax.text(
            column, row, f"{value:.2g}", ha="center", va="center", fontsize=11 if side < 5 else 7
        )
    ax.set_xticks([])
    ax.set_yticks([])
    style.title(ax, f"kernel: {side} x {side}")


def _extent(width: int, height: int) -> tuple[float, float, float, float]:
    return (0, width, height, 0)
