"""What is inside a trained network: feature maps, heat maps, features as points, the loss around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from resnet_edu.draw import style
from resnet_edu.draw.finetuning import over_image
from resnet_edu.draw.style import COLOURS, KeptFigure, axes

if TYPE_CHECKING:
    from resnet_edu.measure import Excitation, LossSurface

_STRONGEST = 8
_GUESSING = float(np.log(10))


def by_block(
    panels: Mapping[str, Mapping[str, float]],
    *,
    units: Mapping[str, str],
    colours: Mapping[str, str],
    predicted: Mapping[str, float | None] | None = None,
) -> list[Axes]:
    """A panel for each network or measure: one bar for each block, the first next to the image.

    `units` maps a panel to its unit, and panels of one unit have one scale; `colours` maps a panel to one
    of COLOURS; `predicted` maps blocks of the first panel to a prediction, or None.
    """
    grid = axes(len(panels), width=11 / len(panels), height=3.4)
    of_unit: dict[str, Axes] = {}
    for ax, (name, values) in zip(grid, panels.items(), strict=True):
        places = range(len(values))
        ax.bar(places, list(values.values()), width=0.65, color=COLOURS[colours[name]])
        ax.set_xticks(places, list(values), rotation=60, ha="right", rotation_mode="anchor")
        ax.set_ylabel(units[name])
        if (other := of_unit.setdefault(units[name], ax)) is not ax:
            ax.sharey(other)
        ax.grid(axis="y", color="#E3E7EA")
        ax.set_axisbelow(True)
        style.title(ax, name)
        said = ", ".join(f"{block} {value:.2g}" for block, value in values.items())
        ax.set_label(f"{name}, {units[name]}, by block: {said}.")
    first = next(iter(panels.values()))
    guesses = {b: g for b, g in (predicted or {}).items() if b in first and g is not None}
    if guesses:
        look = {"facecolor": "white", "edgecolor": COLOURS["prediction"], "linewidth": 2}
        at = [list(first).index(block) for block in guesses]
        grid[0].scatter(
            at, list(guesses.values()), marker="D", s=60, zorder=3, label="your prediction", **look
        )
        grid[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
        said = ", ".join(f"{block} {value:.2g}" for block, value in guesses.items())
        grid[0].set_label(f"{grid[0].get_label()} Your prediction: {said}.")
    return grid


def gallery(rows: Mapping[str, Sequence[np.ndarray]]) -> list[Axes]:
    """One row of images (3, H, W) with values in 0..1 for each name."""
    columns = max(map(len, rows.values()))
    figure = axes(width=2 + 0.75 * columns, height=0.8 * len(rows))[0].figure
    figure.clear()
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for ax in line:
            ax.axis("off")
        for ax, pixels in zip(line, pictures, strict=False):
            ax.imshow(_coarse(_shown(pixels)), interpolation="nearest")
        line[0].text(
            -0.12, 0.5, name, ha="right", va="center", fontsize=12, transform=line[0].transAxes
        )
        line[0].set_label(f"{name}: {len(pictures)} images.")
    return list(grid[:, 0])


def heat_maps(pictures: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[Axes]:
    """Heat maps (H, W) in 0..1 over grey copies of their images (3, H, W): bright is evidence."""
    grid = axes(len(pictures), width=min(2.6, 11 / len(pictures)), height=2.9)
    for ax, (name, (image, heat)) in zip(grid, pictures.items(), strict=True):
        ax.imshow(_coarse(_heated(image, heat)), interpolation="nearest")
        ax.axis("off")
        ax.set_title(name, fontsize=15)
        ax.set_label(f"Heat map, {name}: brightest {_where(heat)}.")
    return grid


def features_as_points(
    points: Mapping[str, np.ndarray], labels: Sequence[int], names: Sequence[str]
) -> list[Axes]:
    """A panel for each stage: every image is a point (x, y), drawn as the first letter of its class.

    `points` maps a title to an array (N, 2); `labels` are (N,), and `names` says what class k is called.
    """
    grid = axes(len(points), width=11.4 / len(points), height=3.0)
    labels = np.asarray(labels)
    colours = mpl.colormaps["tab10"]
    place_of = {label: place for place, label in enumerate(np.unique(labels))}
    for ax, (title, at) in zip(grid, points.items(), strict=True):
        for (x, y), label in zip(at, labels, strict=True):
            look = {"color": colours(place_of[label] % 10), "fontsize": 10, "fontweight": "bold"}
            ax.text(x, y, names[label][0], ha="center", va="center", parse_math=False, **look)
        ax.update_datalim(at)
        ax.margins(0.08)
        ax.autoscale_view()
        ax.set_xticks([])
        ax.set_yticks([])
        style.title(ax, title)
        ax.set_label(f"{title}: {len(at)} images of {len(place_of)} classes as points.")
    return grid


def loss_surfaces(surfaces: Mapping[str, LossSurface]) -> list[Axes]:
    """A map of the loss around each network's weights, all with one scale; a line where it is ln 10."""
    grid = axes(len(surfaces), width=11 / len(surfaces), height=3.4)
    levels = np.linspace(0, 3, 13)
    for ax, (name, surface) in zip(grid, surfaces.items(), strict=True):
        x = y = np.array(surface.distances)
        shown = np.clip(surface.losses, 0, 3)
        filled = ax.contourf(x, y, shown, levels, cmap="cividis")
        if shown.min() < _GUESSING < shown.max():
            ax.contour(x, y, shown, [_GUESSING], colors="white", linestyles="--", linewidths=1.4)
        ax.plot(
            0, 0, "+", color=style.readable_on(filled.cmap(shown[len(x) // 2, len(x) // 2] / 3))
        )
        ax.set_aspect("equal")
        ax.set_xlabel("first direction")
        style.title(ax, name)
        middle, away = surface.at_distance(0), surface.at_distance(0.4)
        ax.set_label(
            f"Loss around {name}: {middle:.2f} in the middle, {away:.2f} at distance 0.4, "
            f"{surface.losses.max():.1f} at most."
        )
    grid[0].set_ylabel("second direction")
    bar = grid[-1].figure.colorbar(filled, ax=grid, ticks=[0, 1, 2, 3], label="loss")
    bar.ax.set_yticklabels(["0", "1", "2", "3+"])
    return grid


class FeaturePicture:
    """An image, what one channel makes of it, and the images that excite this channel most.

    Kept, so that it redraws quickly.
    """

    def __init__(self) -> None:
        figure = style.axes(width=9.4, height=3.35)[0].figure
        figure.clear()
        figure.set_layout_engine("none")
        self._image, image = _picture(figure, (0.01, 0.03, 0.3, 0.84))
        self._map, feature = _picture(figure, (0.325, 0.03, 0.3, 0.84))
        self._map.set_cmap("cividis")
        places = [(0.645 + 0.089 * (i % 4), 0.624 - 0.258 * (i // 4)) for i in range(_STRONGEST)]
        small = [_picture(figure, (x, y, 0.084, 0.246)) for x, y in places]
        self._small = [picture for picture, _ in small]
        ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.8}
        self._rings = [
            ax.plot([], [], color=COLOURS["plain"], transform=ax.transAxes, **ring)[0]
            for _, ax in small
        ]
        heading = figure.add_axes((0.645, 0.88, 0.35, 0.1))
        heading.axis("off")
        text = {"fontsize": 11, "fontweight": "bold", "va": "bottom"}
        self._titles = [
            ax.text(0, height, "", transform=ax.transAxes, **text)
            for ax, height in ((image, 1.02), (feature, 1.02), (heading, 0.15))
        ]
        self.axes: tuple[Axes, Axes, Axes] = (image, feature, heading)
        moving = [self._image, self._map, *self._small, *self._rings, *self._titles]
        self._kept = KeptFigure(figure, moving)

    def update(
        self,
        image: np.ndarray,
        feature_map: np.ndarray,
        excitation: Excitation,
        channel: int,
        pictures: np.ndarray,
    ) -> bytes:
        """Draw an image (3, H, W) and its map (h, w), and the strongest of `pictures` (N, 3, H, W).

        Gives the picture as a PNG file.
        """
        self._image.set_data(_coarse(_shown(image)))
        largest = float(feature_map.max())
        self._map.set_data(feature_map)
        self._map.set_clim(min(0.0, float(feature_map.min())), max(largest, 1e-6))
        strongest = excitation.strongest(channel, _STRONGEST)
        for picture, ring in zip(self._small, self._rings, strict=True):
            picture.set_alpha(0)
            ring.set_data([], [])
        for picture, ring, i in zip(self._small, self._rings, strongest, strict=False):
            picture.set_data(_coarse(_shown(pictures[i])))
            picture.set_alpha(1)
            ring.set_data([excitation.columns[i, channel]], [1 - excitation.rows[i, channel]])
        height, width = feature_map.shape
        heading = f"Channel {channel} answers most to"
        titles = ("The image", f"Its map: {height} x {width}, up to {largest:.2g}", heading)
        for text, title in zip(self._titles, titles, strict=True):
            text.set_text(title)
        self.axes[0].set_label("An image.")
        self.axes[1].set_label(
            f"The map of channel {channel}: {height} by {width}, largest value {largest:.2g}, "
            f"brightest {_where(feature_map)}."
        )
        self.axes[2].set_label(f"Beside it the {len(strongest)} images that excite it most.")
        return self._kept.png()


class HeatPicture:
    """An image beside its heat map, and the likeliest classes, kept so that it redraws quickly."""

    def __init__(self) -> None:
        figure = style.axes(width=9, height=3.5)[0].figure
        figure.clear()
        figure.set_layout_engine("none")
        self._image, image = _picture(figure, (0.01, 0.03, 0.335, 0.86))
        self._heat, heat = _picture(figure, (0.36, 0.03, 0.335, 0.86))
        text = {"fontsize": 11, "fontweight": "bold", "va": "bottom"}
        self._titles = [
            ax.text(0, 1.02, "", transform=ax.transAxes, **text) for ax in (image, heat)
        ]
        words = figure.add_axes((0.72, 0.03, 0.27, 0.86))
        words.axis("off")
        words.text(0, 1.02, "What the network reads", transform=words.transAxes, **text)
        self._names = [
            words.text(0, 0.92 - 0.12 * i, "", transform=words.transAxes, va="center", fontsize=11)
            for i in range(5)
        ]
        self._numbers = [
            words.text(1, 0.92 - 0.12 * i, "", transform=words.transAxes, va="center", ha="right")
            for i in range(5)
        ]
        self.axes: tuple[Axes, Axes, Axes] = (image, heat, words)
        moving = [self._image, self._heat, *self._titles, *self._names, *self._numbers]
        self._kept = KeptFigure(figure, moving)

    def update(
        self, image: np.ndarray, heat: np.ndarray, title: str, answers: Mapping[str, float]
    ) -> bytes:
        """Draw an image (3, H, W), its heat map (H, W) in 0..1 and up to five probabilities by class.

        Gives the picture as a PNG file.
        """
        self._image.set_data(_coarse(_shown(image)))
        self._heat.set_data(_coarse(_heated(image, heat)))
        for text, said in zip(self._titles, ("The image", title), strict=True):
            text.set_text(said)
        lines = [*answers.items()][:5]
        for text in (*self._names, *self._numbers):
            text.set_text("")
        for name, number, (answer, share) in zip(self._names, self._numbers, lines, strict=False):
            name.set_text(answer if len(answer) < 22 else f"{answer[:20]}...")
            number.set_text(f"{share:.0%}")
        self.axes[0].set_label("An image.")
        self.axes[1].set_label(f"{title}: brightest {_where(heat)}.")
        self.axes[2].set_label(
            f"The likeliest classes: {', '.join(f'{a} {share:.0%}' for a, share in lines)}."
        )
        return self._kept.png()


def _picture(figure: Figure, box: tuple[float, float, float, float]) -> tuple[AxesImage, Axes]:
    """An image that can be redrawn, of any size, and its Axes."""
    ax = figure.add_axes(box)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    image = ax.imshow(
        np.zeros((2, 2)),
        extent=(0, 1, 0, 1),
        aspect="auto",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    return image, ax


def _shown(image: np.ndarray) -> np.ndarray:
    """An image (3, H, W) as pixels (H, W, 3) in 0..1; what goes beyond is stretched to fit."""
    pixels = np.asarray(image, dtype=float).transpose(1, 2, 0)
    low, high = min(0.0, pixels.min()), max(1.0, pixels.max())
    return (pixels - low) / (high - low)


def _coarse(pixels: np.ndarray) -> np.ndarray:
    """The same in 20 steps of brightness: noise that nobody sees takes most of a file's bytes."""
    return np.round(pixels * 20) / 20


def _heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    pixels = _shown(image).transpose(2, 0, 1)
    return over_image(pixels, np.asarray(heat)).transpose(1, 2, 0)


def _where(heat: np.ndarray) -> str:
    """In words, in which ninth of a map its largest number stands."""
    heat = np.asarray(heat)
    if heat.max() <= 0:
        return "nowhere"
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    across = ("left", "in the middle", "right")[int(3 * (column + 0.5) / heat.shape[1])]
    down = ("at the top", "half way down", "at the bottom")[int(3 * (row + 0.5) / heat.shape[0])]
    return f"{down}, {across}"
