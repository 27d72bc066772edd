"""Images, histograms, and what a convolution does to an image."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, axes

if TYPE_CHECKING:
    from resnet_edu.measure import Convolution


def images(
    pictures: Mapping[str, np.ndarray], *, columns: int = 5, symmetric: bool = False
) -> list[Axes]:
    """A grid of named images: (3, H, W) in colour or (H, W) in grey.

    `symmetric` draws zero as middle grey: darker is negative, lighter is positive.
    """
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    height, width = np.shape(next(iter(pictures.values())))[-2:]
    side = min(2.6, 11 / columns)
    figure = axes(width=columns * side, height=rows * (side * height / width + 0.35))[0].figure
    figure.clear()
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax, (name, pixels) in zip(grid, pictures.items(), strict=False):
        _image(ax, np.asarray(pixels), symmetric=symmetric)
        ax.spines[:].set(
            visible=True, color=COLOURS["ghost"]
        )  # white ends somewhere on a white page
        ax.set_title(name, loc="center", fontweight="normal")
        ax.set_label(f"Image: {name}.")
    for ax in grid[len(pictures) :]:
        ax.remove()
    return grid[: len(pictures)]


def histograms(
    samples: Mapping[str, np.ndarray], *, title: str = "", xlabel: str = "value"
) -> Axes:
    """The distribution of several samples, one outline each, over common bins."""
    ax = axes(width=7)[0]
    flat = {name: np.asarray(values).ravel() for name, values in samples.items()}
    low, high = np.percentile(np.concatenate(list(flat.values())), [0.1, 99.9])
    bins = np.linspace(low, high, 81)
    colours = [COLOURS[c] for c in ("neutral", "third", "fourth")]
    for (name, values), colour in zip(flat.items(), cycle(colours), strict=False):
        ax.hist(np.clip(values, low, high), bins, histtype="stepfilled", alpha=0.25, color=colour)
        ax.hist(
            np.clip(values, low, high),
            bins,
            histtype="step",
            linewidth=1.8,
            color=colour,
            label=name,
        )
    ax.legend(frameon=False)
    style.title(ax, title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel("how many numbers")
    said = "; ".join(f"{n}: mean {v.mean():.2f}, deviation {v.std():.2f}" for n, v in flat.items())
    ax.set_label(f"Histograms, {title}: {said}.")
    return ax


def convolution(record: Convolution) -> list[Axes]:
    """The image, the kernel and the output of one convolution, side by side."""
    return ConvolutionPicture().update(record)


class ConvolutionPicture:
    """The same picture kept, so that an explorer can redraw it quickly."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(10.2, 2.9), dpi=style.DPI)
        ratios = {"width_ratios": (1.3, 0.62, 1.3)}
        self.axes = list(self.figure.subplots(1, 3, gridspec_kw=ratios))
        self.figure.subplots_adjust(
            0.005, 0.01, 0.995, 0.92, wspace=0.04
        )  # once, not at each update

    def update(self, record: Convolution) -> list[Axes]:
        """Draw `record` in place of what was there."""
        for ax in self.axes:
            ax.clear()
        image, kernel, output = self.axes
        height, width = record.image.shape
        out_height, out_width = record.output.shape

        _image(image, record.image, extent=_extent(width, height))
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
        _image(
            output, record.output, symmetric=record.kernel.min() < 0 and record.kernel.sum() == 0
        )
        style.title(output, f"out: {out_height} x {out_width}")

        image.set_label(
            f"The input image, {height} by {width} pixels, with {pad} pixels of padding."
        )
        rows = "; ".join(" ".join(f"{value:.2g}" for value in row) for row in record.kernel)
        kernel.set_label(
            f"The kernel, {rows}, spans {record.span} pixels and moves by {record.stride}."
        )
        output.set_label(
            f"The output, {out_height} by {out_width} pixels, with values from "
            f"{record.output.min():.2g} to {record.output.max():.2g}."
        )
        return self.axes


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


def _image(
    ax: Axes, pixels: np.ndarray, *, symmetric: bool = False, extent: tuple | None = None
) -> None:
    if pixels.ndim == 3:
        ax.imshow(np.clip(pixels.transpose(1, 2, 0), 0, 1), extent=extent, interpolation="nearest")
    else:
        largest = max(float(np.abs(pixels).max()), 1e-6)
        limits = (-largest, largest) if symmetric else (min(0.0, float(pixels.min())), largest)
        ax.imshow(
            pixels,
            cmap="gray",
            vmin=limits[0],
            vmax=limits[1],
            extent=extent,
            interpolation="nearest",
        )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _extent(width: int, height: int) -> tuple[float, float, float, float]:
    return (0, width, height, 0)
