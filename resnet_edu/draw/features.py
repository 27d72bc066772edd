"""What a channel of a network answers to, and the features of many images as points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from resnet_edu.draw import style
from resnet_edu.draw.heat_map import where_brightest
from resnet_edu.draw.images import coarse, in_colour, picture_in
from resnet_edu.draw.style import COLOURS, KeptFigure, Picture, axes

if TYPE_CHECKING:
    from resnet_edu.measure import Excitation

_STRONGEST = 8


def features_as_points(
    points: Mapping[str, np.ndarray], labels: Sequence[int], names: Sequence[str]
) -> Picture:
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
    said = (
        f"{title}: {len(at)} images of {len(place_of)} classes as points."
        for title, at in points.items()
    )
    return Picture(grid, " ".join(said))


class FeatureDrawing:
    """An image, what one channel makes of it, and the images that excite this channel most.

    Kept, so that it redraws quickly.
    """

    def __init__(self) -> None:
        figure = style.blank(9.4, 3.35)
        self._image, image = picture_in(figure, (0.01, 0.03, 0.3, 0.84))
        self._map, feature = picture_in(figure, (0.325, 0.03, 0.3, 0.84))
        self._map.set_cmap("cividis")
        places = [(0.645 + 0.089 * (i % 4), 0.624 - 0.258 * (i // 4)) for i in range(_STRONGEST)]
        small = [picture_in(figure, (x, y, 0.084, 0.246)) for x, y in places]
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
        self._axes = image, feature, heading
        moving = [self._image, self._map, *self._small, *self._rings, *self._titles]
        self._kept = KeptFigure(figure, moving)

    def update(
        self,
        image: np.ndarray,
        feature_map: np.ndarray,
        excitation: Excitation,
        channel: int,
        others: np.ndarray,
    ) -> Picture:
        """Draw an image (3, H, W) and its map (h, w), and the strongest of `others` (N, 3, H, W)."""
        self._image.set_data(coarse(in_colour(image)))
        largest = float(feature_map.max())
        self._map.set_data(feature_map)
        self._map.set_clim(min(0.0, float(feature_map.min())), max(largest, 1e-6))
        strongest = excitation.strongest(channel, _STRONGEST)
        for picture, ring in zip(self._small, self._rings, strict=True):
            picture.set_alpha(0)
            ring.set_data([], [])
        for picture, ring, i in zip(self._small, self._rings, strongest, strict=False):
            picture.set_data(coarse(in_colour(others[i])))
            picture.set_alpha(1)
            ring.set_data([excitation.columns[i, channel]], [1 - excitation.rows[i, channel]])
        height, width = feature_map.shape
        heading = f"Channel {channel} answers most to"
        titles = ("The image", f"Its map: {height} x {width}, up to {largest:.2g}", heading)
        for text, title in zip(self._titles, titles, strict=True):
            text.set_text(title)
        words = (
            f"An image. The map of channel {channel}: {height} by {width}, largest value {largest:.2g}, "
            f"brightest {where_brightest(feature_map)}. "
            f"Beside it the {len(strongest)} images that excite it most."
        )
        return Picture(self._axes, words, self._kept.png())
