"""A ResNet and one place in it: where it is, what happens there, and what it costs.

A tensor is a slab in every part of the picture: it reaches up as far as it has pixels on a side, and down
as far as it has channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path

from resnet_edu.draw.style import COLOURS, KeptFigure, axes

if TYPE_CHECKING:
    from resnet_edu.measure import Architecture, Place, Step

# All lengths are in ems: one is the size of the smallest letters. On a screen of 900 pixels a notebook
# has room for 39 of them at 9 pt, and that is why the picture has no more.
_WIDTH = 39.0
_NETWORK, _LEGEND, _ZOOM, _NUMBERS, _CODE = 11.9, 2.6, 10.1, 6.2, 2.4  # the heights of its parts
_EM = 9 / 72  # inches
_DPI = 226  # 1100 pixels

_BLUE, _GREEN, _GREY = COLOURS["residual"], "#007A59", "#52606D"
_INK, _LINE, _FAINT, _BEAM = "#1F2933", "#8796A5", "#F2F4F6", "#E9F3FA"
_PIXELS, _CHANNELS = "#B9CFE2", "#7790A8"
_LIT = (_BLUE, "#004B78")  # the same two of the chosen place
_MONO = "DejaVu Sans Mono"


def architecture(record: Architecture, *, ax: Axes | None = None) -> Axes:
    """The whole network: a slab for each place, an arc for each shortcut, the stages with both names."""
    if ax is None:
        ax = axes(width=8.5, height=8.5 * (_NETWORK + _LEGEND) / _WIDTH)[0]
        ax.figure.set_layout_engine("none")
        ax.set_position((0, 0, 1, 1))
    paper = _Paper(ax, _NETWORK + _LEGEND)
    _network(paper, record, None, _LEGEND)
    for stage, (left, right) in _stages(record).items():
        layer = record.stage(stage)[0].modules.split("[")[0]
        if stage.startswith("conv"):
            paper.text((left + right) / 2, _LEGEND - 0.4, layer, family=_MONO, color=_GREY)
    cost = f"{record.parameters:,} parameters, {_millions(record.multiply_adds)} multiply-adds"
    size = f"for one image of {record.image_size}×{record.image_size}"
    paper.text(_WIDTH / 2, 0.7, f"{cost} {size}")
    paper.finish()
    ax.set_label(f"{_network_in_words(record)} {cost} {size}.".replace("×", " x "))
    return ax


def architecture_reading(place: Place) -> str:
    """One sentence on what `place` does to its input."""
    before, after = place.input_shape, place.output_shape
    if place.stage == "stem":
        return (
            f"The stem shrinks the image to {after[1]} x {after[2]} before the first block, and makes "
            f"{after[0]} channels of its {before[0]} colours."
        )
    if place.stage == "head":
        return (
            f"The head averages each of the {before[0]:,} channels over its {before[1]} x {before[2]} "
            f"pixels, and makes {after[0]:,} logits of these averages."
        )
    size = f"{after[1]} x {after[2]}"
    if before == after:
        does = f"keeps the shape: {after[0]:,} channels of {size} pixels"
        shortcut = "the identity: what comes in is added to the residual as it is"
    else:
        does = "keeps" if before[1:] == after[1:] else "halves height and width to"
        times = {2: "doubles", 4: "quadruples"}[after[0] // before[0]]
        does = f"{does} {size} pixels and {times} the channels to {after[0]:,}"
        shortcut = "a projection, because the shape changes"
    return f"{place.stage}, block {place.block} {does}. Its shortcut is {shortcut}."


class ArchitecturePicture:
    """The network, and a look into one place of it, kept so that an explorer can redraw it quickly."""

    def __init__(self) -> None:
        self._height = _NETWORK + _ZOOM + _NUMBERS + _CODE
        figure = Figure(figsize=(_WIDTH * _EM, self._height * _EM), dpi=_DPI)
        FigureCanvasAgg(figure)
        self.axes = figure.add_axes((0, 0, 1, 1))
        self._kept = KeptFigure(figure, [self.axes])

    def update(self, record: Architecture, place: Place) -> bytes:
        """Draw `record` and in it `place`, one of its places; give the picture as a PNG file."""
        self.axes.clear()
        paper = _Paper(self.axes, self._height)
        zoom, numbers = _CODE + _NUMBERS, _CODE
        _network(paper, record, place, zoom + _ZOOM)
        _zoom(paper, record, place, zoom)
        _cost(paper, record, place, numbers)
        _field(paper, record, place, numbers)
        _code(paper, place)
        paper.finish()
        self.axes.set_label(f"{_network_in_words(record)} {_place_in_words(record, place)}")
        return self._kept.png()


class _Paper:
    """Axes in ems. Shapes are painted in the order in which they come, by one artist: that is quick."""

    def __init__(self, ax: Axes, height: float) -> None:
        ax.axis("off")
        ax.set(xlim=(0, _WIDTH), ylim=(0, height), aspect="equal")
        self._ax = ax
        room = ax.get_window_extent()
        self._em = 72 / ax.figure.dpi * min(room.width / _WIDTH, room.height / height)  # in points
        self._paths: list[Path] = []
        self._looks: list[tuple[str, str, float]] = []

    def shape(self, points: Sequence, face: str, edge: str = "none", line: float = 0) -> None:
        self._paths.append(Path(points))
        self._looks.append((face, edge, line * self._em))

    def line(self, points: Sequence, colour: str, width: float) -> None:
        self.shape(points, "none", colour, width)

    def box(self, corner: tuple[float, float], size: tuple[float, float], *look: object) -> None:
        (x, y), (width, height) = corner, size
        right, top = x + width, y + height
        self.shape([(x, y), (right, y), (right, top), (x, top), (x, y)], *look)

    def pill(
        self, centre: tuple[float, float], size: tuple[float, float], radius: float, *look: object
    ) -> None:
        """A box around its centre, with round corners."""
        turn = np.radians(90 * np.arange(4)[:, None] + np.linspace(0, 90, 8))
        arcs = radius * np.stack((np.cos(turn), np.sin(turn)), 2)
        inner = np.array(size) / 2 - radius
        corners = inner * [[[1, 1]], [[-1, 1]], [[-1, -1]], [[1, -1]]]
        points = (np.array(centre) + corners + arcs).reshape(-1, 2)
        self.shape([*points, points[0]], *look)

    def text(self, x: float, y: float, text: str, size: float = 1, **options: object) -> None:
        options = {"ha": "center", "va": "center_baseline", "color": _INK} | options
        self._ax.text(x, y, text, fontsize=size * self._em, **options)

    def finish(self) -> None:
        faces, edges, widths = zip(*self._looks, strict=True)
        shapes = PathCollection(
            self._paths, facecolors=faces, edgecolors=edges, linewidths=widths, zorder=0
        )
        shapes.set(capstyle="round", joinstyle="round", transform=self._ax.transData)
        self._ax.add_collection(shapes, autolim=False)


# The network


def _network(paper: _Paper, record: Architecture, chosen: Place | None, low: float) -> None:
    axis, tops = low + 5.1, {}
    up = 3.6 / record.places[0].output_shape[1]
    down = 2.4 / 2048
    slabs = _slabs(record)
    if chosen:
        left, right = slabs[record.places.index(chosen)]
        foot = axis - chosen.output_shape[0] * down - 0.15
        paper.shape([(left, foot), (right, foot), (_WIDTH - 0.5, low), (0.5, low)], _BEAM)
    paper.line([(1.9, axis), (_WIDTH - 0.4, axis)], _LINE, 0.08)
    for (left, right), place in zip(slabs, record.places, strict=True):
        colours = _LIT if place is chosen else (_PIXELS, _CHANNELS)
        reach = (_side(place.output_shape) * up, place.output_shape[0] * down)
        _slab(paper, (left + right) / 2, axis, 0.86 * (right - left), reach, colours)
        top = axis + reach[0]
        if place.shortcut:
            top = _arc(paper, place, left, right, top + 0.1, 2 if place is chosen else 1)
        tops.setdefault(place.stage, top)

    for stage, (left, right) in _stages(record).items():
        middle = (left + right) / 2
        channels, *pixels = record.stage(stage)[0].output_shape
        if pixels:
            paper.text(middle, tops[stage] + 0.75, _square(pixels[0]))
        paper.text(middle, axis - channels * down - 0.85, f"{channels}")
        colour = _BLUE if chosen and chosen.stage == stage else _INK
        paper.text(middle, low + 0.8, stage, 1.05, weight="bold", color=colour)
    upright = {"rotation": 90, "va": "center", "color": _GREY}
    paper.text(0.8, axis + 1.9, "pixels", **upright)
    paper.text(0.8, axis - 2.6, "channels", **upright)

    top, name = low + _NETWORK, f"ResNet-{record.depth}"
    paper.text(_WIDTH - 0.5, top - 1.3, name, 1.9, weight="bold", ha="right")
    identity, projection = record.stage("conv3_x")[1], record.stage("conv3_x")[0]
    for place, x, word in ((identity, 26.0, "identity"), (projection, 32.6, "projection")):
        _arc(paper, place, x - 1.5, x - 0.3, top - 3.5, 1)
        paper.text(x, top - 3.25, word, ha="left", color=_shortcut_colour(place))


def _slabs(record: Architecture) -> list[tuple[float, float]]:
    """Left and right end of every place: each stage has room for its name, and the rest is for blocks."""
    narrow, wide = 4.2, 4.9
    spare = _WIDTH - 2.2 - 2 * narrow - 4 * wide
    found, start = [], 1.7
    for count in record.blocks.values():
        width = wide + spare * count / sum(record.blocks.values()) if count else narrow
        count = max(count, 1)
        pitch = min((width - 0.5) / count, 1.5)
        first = start + (width - count * pitch) / 2
        found += [(first + i * pitch, first + (i + 1) * pitch) for i in range(count)]
        start += width
    return found


def _stages(record: Architecture) -> dict[str, tuple[float, float]]:
    """Stage to left and right end of its slabs."""
    slabs, places = _slabs(record), record.places
    ends: dict[str, list[float]] = {}
    for slab, place in zip(slabs, places, strict=True):
        ends.setdefault(place.stage, []).extend(slab)
    return {stage: (min(x), max(x)) for stage, x in ends.items()}


def _slab(
    paper: _Paper,
    x: float,
    axis: float,
    width: float,
    reach: tuple[float, float],
    colours: tuple[str, str] = (_PIXELS, _CHANNELS),
) -> None:
    """A tensor: `reach` is how far it goes up, for its pixels, and down, for its channels."""
    left = x - width / 2
    paper.box((left, axis), (width, reach[0]), colours[0])
    paper.box((left, axis), (width, -reach[1]), colours[1])
    paper.line([(left, axis), (left + width, axis)], "white", 0.06)


def _arc(paper: _Paper, place: Place, left: float, right: float, foot: float, bold: int) -> float:
    """A shortcut seen from afar; on a projection sits a small box, its 1x1 convolution. Gives its top."""
    colour, radius = _shortcut_colour(place), (right - left) / 2
    turn = np.linspace(np.pi, 0, 13)
    height = min(1.2 * radius, 0.7)
    middle = (left + right) / 2
    points = np.column_stack((middle + radius * np.cos(turn), foot + height * np.sin(turn)))
    paper.line(points, colour, min(0.13, 0.3 * radius) * bold)
    side = min(0.45, 2 * radius) if place.projects else 0
    paper.box((middle - side / 2, foot + height - side / 2), (side, side), colour)
    return foot + height + side / 2


# One place of it


def _zoom(paper: _Paper, record: Architecture, place: Place, low: float) -> None:
    middle, high = _WIDTH / 2, low + _ZOOM
    size = (_WIDTH - 0.8, _ZOOM - 0.3)
    paper.pill((middle, low + _ZOOM / 2 + 0.15), size, 0.5, "white", _BLUE, 0.16)
    paper.text(1.2, high - 1.1, _name(record, place), 1.15, weight="bold", ha="left")
    paper.text(_WIDTH - 1.2, high - 1.1, place.modules, ha="right", family=_MONO, color=_GREY)

    layers = [x for x in place.layers if x.kind not in ("BatchNorm2d", "ReLU")]
    shapes = [place.input_shape, *(layer.output_shape for layer in layers)]
    pixels = 1.55 / max(_side(shape) for shape in shapes)
    channels = 1.55 / max(shape[0] for shape in shapes)

    axis = low + (3.4 if place.shortcut else 4.2)
    # Widths: a tensor, a layer, what comes before the first of them and behind the last.
    gap, box, before, behind = 3.9, 5.0, 1.9, (5.7 if place.shortcut else 1.2)
    spare = _WIDTH - 1.0 - before - behind - len(shapes) * gap - len(layers) * box
    box, gap = box + 0.5 * spare / len(layers), gap + 0.5 * spare / len(shapes)
    lefts = [0.5 + before / 2 + i * (gap + box) + before / 2 * (i > 0) for i in range(len(shapes))]
    paper.line([(1.0, axis), (_WIDTH - 1.2, axis)], _GREY, 0.1)
    tip = [(_WIDTH - 1.5, axis + 0.35), (_WIDTH - 0.8, axis), (_WIDTH - 1.5, axis - 0.35)]
    paper.shape(tip, _GREY)
    for left, shape in zip(lefts, shapes, strict=True):
        x, reach = left + gap / 2, (pixels * _side(shape), channels * shape[0])
        _slab(paper, x, axis, 1.1, reach)
        if len(shape) > 1:
            paper.text(x, axis + reach[0] + 0.95, _square(shape[1]))
        paper.text(x, axis - reach[1] - 0.85, f"{shape[0]}")
    for right, layer in zip(lefts[1:], layers, strict=True):
        _layer(paper, _rows(place, layer), right - box / 2, axis, box)
    if place.shortcut:
        _shortcut(paper, place, lefts[1] - box - 0.35, lefts[-1] + gap + 0.9, axis)


def _layer(paper: _Paper, rows: list[str], x: float, axis: float, width: float) -> None:
    paper.pill((x, axis), (width, 3.65), 0.4, _FAINT, _GREY, 0.08)
    for i, row in enumerate(rows):
        y = axis + 0.05 + 1.1 * ((len(rows) - 1) / 2 - i)
        look = {"color": _GREY} if i else {"weight": "bold"}
        paper.text(x, y, row, 1 if i else 1.15, **look)


def _rows(place: Place, layer: Step) -> list[str]:
    """What stands in the box of a layer, with the batch norm and ReLU behind it."""
    if layer.kind == "AdaptiveAvgPool2d":
        return ["average", "pool"]
    if layer.kind == "Linear":
        return ["linear"]
    rows = [_square(layer.kernel_size)]
    if layer.kind == "MaxPool2d":
        rows.append("max-pool")
    if layer.stride > 1:
        rows.append(f"stride {layer.stride}")
    if layer.kind == "Conv2d":
        last = place.shortcut and layer is place.layers[-3]  # its ReLU comes after the sum
        rows.append("BN" if last else "BN, ReLU")
    return rows


def _shortcut(paper: _Paper, place: Place, start: float, end: float, axis: float) -> None:
    colour, high = _shortcut_colour(place), axis + 4.0
    paper.line([(start, axis), (start, high), (end, high), (end, axis)], colour, 0.28)
    paper.pill((start, axis), (0.5, 0.5), 0.25, colour)
    paper.pill((end, axis), (1.6, 1.6), 0.8, "white", colour, 0.2)
    paper.line([(end - 0.4, axis), (end + 0.4, axis)], colour, 0.2)
    paper.line([(end, axis - 0.4), (end, axis + 0.4)], colour, 0.2)
    words = _shortcut_in_words(place)
    paper.pill(((start + end) / 2, high), (0.63 * len(words) + 1.4, 1.6), 0.8, colour)
    paper.text((start + end) / 2, high, words, weight="bold", color="white")
    paper.pill((end + 2.4, axis), (2.9, 1.7), 0.3, _FAINT, _GREY, 0.08)
    paper.text(end + 2.4, axis, "ReLU", color=_GREY)


# What it costs, what it sees, how it is built


def _cost(paper: _Paper, record: Architecture, place: Place, low: float) -> None:
    top, left, ends = low + _NUMBERS - 1.0, 0.6, (13.3, 19.7, 26.1)
    width = ends[-1] - left
    for end, word in zip(ends, ("here", "up to here", "in total"), strict=True):
        paper.text(end, top, word, ha="right", color=_BLUE if word == "here" else _GREY)
    rows = ("parameters", "{:,}".format), ("multiply-adds", _millions)
    for row, (name, said) in enumerate(rows, 1):
        y = top + 0.55 - 2.05 * row
        numbers = _here_so_far_in_total(record, place, name.replace("-", "_"))
        paper.text(left, y, name, ha="left")
        for i, (end, number) in enumerate(zip(ends, numbers, strict=True)):
            look = {} if i else {"weight": "bold", "color": _BLUE}
            paper.text(end, y, said(number), ha="right", **look)
        here, so_far, _ = (width * number / numbers[-1] for number in numbers)
        bar = max(here, 0.1)
        for start, length, colour in (
            (0, width, "#DFE5EA"),
            (0, so_far, _CHANNELS),
            (max(so_far - bar, 0), bar, _BLUE),
        ):
            paper.box((left + start, y - 1.05), (length, 0.36), colour)


def _here_so_far_in_total(record: Architecture, place: Place, what: str) -> tuple[int, int, int]:
    so_far = sum(getattr(p, what) for p in record.up_to(place))
    return getattr(place, what), so_far, getattr(record, what)


def _field(paper: _Paper, record: Architecture, place: Place, low: float) -> None:
    """The receptive field over the image, both to scale: the larger of the two fills the frame."""
    image, seen = record.image_size, place.receptive_field or record.image_size
    left, side = 27.4, 4.15
    x, y = _WIDTH - 0.5 - side / 2, low + 0.25 + side / 2
    frame, field = (side * size / max(image, seen) for size in (image, seen))
    paper.box((x - frame / 2, y - frame / 2), (frame, frame), "#DDE8F1", _LINE, 0.08)
    hills = [
        (-0.5, -0.5),
        (-0.5, -0.2),
        (-0.2, 0.15),
        (0, -0.15),
        (0.2, 0),
        (0.5, -0.3),
        (0.5, -0.5),
    ]
    paper.shape(np.array((x, y)) + frame * np.array(hills), _CHANNELS)
    paper.box((x - field / 2, y - field / 2), (field, field), _BLUE + "30", _BLUE, 0.22)

    sees = _square(seen) if place.receptive_field else "everything"
    paper.text(left, low + _NUMBERS - 1.0, "receptive field", ha="left", color=_GREY)
    paper.text(left, y + 1.2, sees, ha="left", weight="bold", color=_BLUE)
    paper.text(left, y - 0.1, "image", ha="left", color=_GREY)
    paper.text(left, y - 1.4, _square(image), ha="left")


def _code(paper: _Paper, place: Place) -> None:
    paper.box((0, 0), (_WIDTH, _CODE), _FAINT)
    lines = place.code.split("\n")
    for i, line in enumerate(lines):
        y = _CODE / 2 + 1.15 * ((len(lines) - 1) / 2 - i)
        paper.text(0.6, y, line, ha="left", family=_MONO)


# Words


def _network_in_words(record: Architecture) -> str:
    stages = []
    for stage, count in record.blocks.items():
        blocks = f"{count} blocks, " if count else ""
        stages.append(f"{stage}: {blocks}output {_times(record.stage(stage)[-1].output_shape)}")
    return f"ResNet-{record.depth}. {'; '.join(stages)}."


def _place_in_words(record: Architecture, place: Place) -> str:
    layers = [
        f"{', '.join(_rows(place, layer))}, giving {_times(layer.output_shape)}"
        for layer in place.layers
        if layer.kind not in ("BatchNorm2d", "ReLU")
    ]
    shortcut = f" Around it the shortcut: {_shortcut_in_words(place)}." if place.shortcut else ""
    counts = [
        "{:,} {} here, {:,} up to here, {:,} in total".format(
            *(n := _here_so_far_in_total(record, place, what))[:1], what.replace("_", "-"), *n[1:]
        )
        for what in ("parameters", "multiply_adds")
    ]
    field = place.receptive_field
    sees = f"{field} x {field} pixels" if field else "everything"
    text = (
        f"Chosen: {_name(record, place)} ({place.modules}). Input {_times(place.input_shape)}; "
        f"{'; '.join(layers)}.{shortcut} {'; '.join(counts)}. An output sees {sees} of an image of "
        f"{record.image_size} x {record.image_size}. Code: {place.code}."
    )
    return text.replace("×", " x ").replace("\n", " ")


def _name(record: Architecture, place: Place) -> str:
    return place.stage + (
        f", block {place.block} of {record.blocks[place.stage]}" if place.block else ""
    )


def _shortcut_in_words(place: Place) -> str:
    if not place.projects:
        return "identity"
    stride = place.shortcut[0].stride
    return "projection: 1×1, " + (f"stride {stride}, BN" if stride > 1 else "BN")


def _shortcut_colour(place: Place) -> str:
    return _GREEN if place.projects else _BLUE


def _side(shape: Sequence[int]) -> int:
    return shape[1] if len(shape) > 1 else 1


def _square(side: int) -> str:
    return f"{side}×{side}"


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _millions(number: int) -> str:
    return f"{number / 1e6:,.{0 if number >= 1e8 else 1}f} M"
