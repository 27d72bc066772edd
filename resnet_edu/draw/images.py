"""Images in rows, and histograms of their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from resnet_edu.draw import style
from resnet_edu.draw.style import COLOURS, Picture, axes


def images(
    images: Mapping[str, np.ndarray], *, columns: int = 5, symmetric: bool = False
) -> Picture:
    """A grid of named images: (3, H, W) in colour or (H, W) in grey.

    `symmetric` draws zero as middle grey: darker is negative, lighter is positive.
    """
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    height, width = np.shape(next(iter(images.values())))[-2:]
    side = min(2.6, 11 / columns)
    figure = style.blank(columns * side, rows * (side * height / width + 0.35), "constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax, (name, pixels) in zip(grid, images.items(), strict=False):
        paint(ax, np.asarray(pixels), symmetric=symmetric)
        ax.spines[:].set(
            visible=True, color=COLOURS["ghost"]
        )  # white ends somewhere on a white page
        ax.set_title(name, loc="center", fontweight="normal")
    for ax in grid[len(images) :]:
        ax.remove()
    return Picture(grid[: len(images)], " ".join(f"Image: {name}." for name in images))


def histograms(
    samples: Mapping[str, np.ndarray], *, title: str = "", xlabel: str = "value"
) -> Picture:
    """The distribution of several samples, one outline each, over common bins."""
    (ax,) = axes(width=7)
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
    return Picture([ax], f"Histograms, {title}: {said}.")


def gallery(rows: Mapping[str, Sequence[np.ndarray]]) -> Picture:
    """One row of images (3, H, W) with values in 0..1 for each name."""
    columns = max(map(len, rows.values()))
    figure = style.blank(2 + 0.75 * columns, 0.8 * len(rows), "constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for ax in line:
            ax.axis("off")
        for ax, pixels in zip(line, images, strict=False):
            ax.imshow(coarse(in_colour(pixels)), interpolation="nearest")
        line[0].text(
            -0.12, 0.5, name, ha="right", va="center", fontsize=12, transform=line[0].transAxes
        )
    words = " ".join(f"{name}: {len(images)} images." for name, images in rows.items())
    return Picture(list(grid.flat), words)


def paint(
    ax: Axes, pixels: np.ndarray, *, symmetric: bool = False, extent: tuple | None = None
) -> None:
    """Pixels, (3, H, W) in colour or (H, W) in grey, on Axes without ticks and frame."""
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
    _bare(ax)


def picture_in(figure: Figure, box: tuple[float, float, float, float]) -> tuple[AxesImage, Axes]:
    """An image that can be redrawn, of any size, and its Axes."""
    ax = figure.add_axes(box)
    _bare(ax)
    image = ax.imshow(
        np.zeros((2, 2)),
        extent=(0, 1, 0, 1),
        aspect="auto",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    return image, ax


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def in_colour(image: np.ndarray) -> np.ndarray:
    """An image (3, H, W) as pixels (H, W, 3) in 0..1; what goes beyond is stretched to fit."""
    pixels = np.asarray(image, dtype=float).transpose(1, 2, 0)
    low, high = min(0.0, pixels.min()), max(1.0, pixels.max())
    return (pixels - low) / (high - low)


def coarse(pixels: np.ndarray) -> np.ndarray:
    """The same in 20 steps of brightness: noise that nobody sees takes most of a file's bytes."""
    return np.round(pixels * 20) / 20
