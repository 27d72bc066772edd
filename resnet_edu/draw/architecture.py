"""A ResNet and one place in it: where it is, what happens there, and what it costs.

A tensor is a slab in every part of the picture. It reaches up as far as it has pixels on a side, and down
as far as it has channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from resnet_edu.draw.paper import INK, Paper
from resnet_edu.draw.style import COLOURS, KeptFigure, Picture

if TYPE_CHECKING:
    from resnet_edu.measure import Architecture, Place, Step

# Lengths are in ems: one is the height of the smallest letters. On a screen of 900 pixels a notebook has
# room for 39 of them at 9 pt, so the picture is that wide.
_WIDTH, _EM = 39.0, 9 / 72  # an em in inches
_NETWORK, _ZOOM, _NUMBERS, _CODE = 11.9, 10.1, 6.2, 2.7  # how high each part is
_LOW = _CODE + _NUMBERS + _ZOOM  # the lower end of the network
_HEIGHT = _LOW + _NETWORK
_DPI = 226  # 1100 pixels

_BLUE, _GREEN, _GREY = COLOURS["residual"], "#007A59", "#52606D"
_PIXELS, _CHANNELS = "#B9CFE2", "#7790A8"
_LIT = (_BLUE, "#004B78")  # the same two, of the chosen place
_LINE, _FAINT, _BEAM, _SKY, _REST = "#8796A5", "#F2F4F6", "#E9F3FA", "#DDE8F1", "#DFE5EA"
_MONO = "DejaVu Sans Mono"


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
    return f"{place.stage}, block {place.block} {does}; its shortcut is {shortcut}."


class ArchitectureDrawing:
    """The network and a look into one place of it, kept so that an explorer can redraw it quickly."""

    def __init__(self) -> None:
        figure = Figure(figsize=(_WIDTH * _EM, _HEIGHT * _EM), dpi=_DPI)
        FigureCanvasAgg(figure)
        still, self._moving = (figure.add_axes((0, 0, 1, 1)) for _ in range(2))
        paper = Paper(still, _WIDTH, _HEIGHT)
        _legend(paper)
        _headings(paper, _CODE)
        paper.box((0, 0), (_WIDTH, _CODE), _FAINT)
        paper.finish()
        self._moving.axis("off")
        self._kept = KeptFigure(figure, [self._moving])

    def update(self, record: Architecture, place: Place) -> Picture:
        """Draw `record` and in it `place`, one of its places.

        The Axes of the picture are what changes; the legend and the headings below it stay.
        """
        paper = Paper(self._moving, _WIDTH, _HEIGHT)
        _network(paper, record, place)
        _zoom(paper, record, place, _CODE + _NUMBERS)
        _cost(paper, record, place, _CODE)
        _field(paper, record, place, _CODE)
        _code(paper, place)
        paper.finish()
        said = (
            architecture_reading(place),
            _network_in_words(record),
            _place_in_words(record, place),
        )
        return Picture([self._moving], _aloud(" ".join(said)), self._kept.png())


# The network


def _network(paper: Paper, record: Architecture, chosen: Place) -> None:
    axis, tops = _LOW + 5.1, {}
    up = 3.6 / record.places[0].output_shape[1]
    down = 2.4 / 2048  # the same for all networks, so that they can be compared
    slabs = _slabs(record)
    left, right = slabs[record.places.index(chosen)]
    foot = axis - chosen.output_shape[0] * down - 0.15
    paper.shape([(left, foot), (right, foot), (_WIDTH - 0.5, _LOW), (0.5, _LOW)], _BEAM)
    paper.line([(1.9, axis), (_WIDTH - 0.4, axis)], _LINE, 0.08)
    for (left, right), place in zip(slabs, record.places, strict=True):
        reach = (_side(place.output_shape) * up, place.output_shape[0] * down)
        colours = _LIT if place is chosen else (_PIXELS, _CHANNELS)
        _slab(paper, ((left + right) / 2, axis), 0.86 * (right - left), reach, colours)
        top = axis + reach[0]
        if place.shortcut:
            line = 0.26 if place is chosen else 0.13
            top = _arc(paper, (left, right), top + 0.1, place.projects, line)
        tops.setdefault(place.stage, top)

    for stage, (left, right) in _stages(record).items():
        middle = (left + right) / 2
        channels, *sides = record.stage(stage)[0].output_shape
        if sides:
            paper.text(middle, tops[stage] + 0.82, _square(sides[0]))
        paper.text(middle, axis - channels * down - 0.85, f"{channels}")
        colour = _BLUE if chosen.stage == stage else INK
        paper.text(middle, _LOW + 0.8, stage, 1.05, weight="bold", color=colour)
    for y, word in ((axis + 1.9, "pixels"), (axis - 2.6, "channels")):
        paper.text(0.8, y, word, rotation=90, va="center", color=_GREY)
    look = {"weight": "bold", "ha": "right"}
    paper.text(_WIDTH - 0.5, _LOW + _NETWORK - 1.3, f"ResNet-{record.depth}", 1.9, **look)


def _legend(paper: Paper) -> None:
    y = _LOW + _NETWORK - 3.5
    for x, projects, word in ((25.1, False, "identity"), (31.7, True, "projection")):
        _arc(paper, (x, x + 1.2), y, projects, 0.13)
        paper.text(x + 1.5, y + 0.25, word, ha="left", color=_shortcut_colour(projects))


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
    ends: dict[str, list[float]] = {}
    for slab, place in zip(_slabs(record), record.places, strict=True):
        ends.setdefault(place.stage, []).extend(slab)
    return {stage: (x[0], x[-1]) for stage, x in ends.items()}


def _slab(
    paper: Paper,
    foot: tuple[float, float],
    width: float,
    reach: tuple[float, float],
    colours: tuple[str, str] = (_PIXELS, _CHANNELS),
) -> None:
    """A tensor: `reach` is how far it goes up from its foot, for its pixels, and down, for its channels."""
    corner = (foot[0] - width / 2, foot[1])
    paper.box(corner, (width, reach[0]), colours[0])
    paper.box(corner, (width, -reach[1]), colours[1])
    paper.line([corner, (corner[0] + width, corner[1])], "white", 0.06)


def _arc(
    paper: Paper, ends: tuple[float, float], foot: float, projects: bool, line: float
) -> float:
    """A shortcut from afar; on a projection sits a small box, its convolution. Gives the upper end."""
    colour, radius, middle = _shortcut_colour(projects), (ends[1] - ends[0]) / 2, sum(ends) / 2
    turn, height = np.linspace(np.pi, 0, 13), min(1.2 * radius, 0.7)
    points = np.column_stack((middle + radius * np.cos(turn), foot + height * np.sin(turn)))
    paper.line(points, colour, min(line, 0.5 * radius))
    side = min(0.45, 2 * radius) if projects else 0
    paper.box((middle - side / 2, foot + height - side / 2), (side, side), colour)
    return foot + height + side / 2


# One place of it. `low` is the lower end of a part of the picture.


def _zoom(paper: Paper, record: Architecture, place: Place, low: float) -> None:
    high = low + _ZOOM
    size = (_WIDTH - 0.8, _ZOOM - 0.3)
    paper.pill((_WIDTH / 2, low + _ZOOM / 2 + 0.15), size, 0.5, "white", _BLUE, 0.16)
    paper.text(1.2, high - 1.1, _name(record, place), 1.15, weight="bold", ha="left")
    paper.text(_WIDTH - 1.2, high - 1.1, place.modules, ha="right", family=_MONO, color=_GREY)

    layers = _boxes(place)
    shapes = [place.input_shape, *(layer.output_shape for layer in layers)]
    pixels = 1.55 / max(_side(shape) for shape in shapes)
    channels = 1.55 / max(shape[0] for shape in shapes)
    axis = low + (3.4 if place.shortcut else 4.2)
    paper.line([(1.0, axis), (_WIDTH - 1.2, axis)], _GREY, 0.1)
    tip = [(_WIDTH - 1.5, axis + 0.35), (_WIDTH - 0.8, axis), (_WIDTH - 1.5, axis - 0.35)]
    paper.shape(tip, _GREY)

    # Widths: a tensor, a layer's box, what comes before the first of them and behind the last.
    gap, box, before, behind = 3.75, 5.2, 2.1, (5.6 if place.shortcut else 1.2)
    spare = _WIDTH - 1.0 - before - behind - len(shapes) * gap - len(layers) * box
    gap, box = gap + spare / 2 / len(shapes), box + spare / 2 / len(layers)
    first = 0.5 + before / 2 + gap / 2
    middles = [first + i * (gap + box) + (before / 2 if i else 0) for i in range(len(shapes))]
    for x, shape in zip(middles, shapes, strict=True):
        reach = (pixels * _side(shape), channels * shape[0])
        _slab(paper, (x, axis), 1.1, reach)
        if len(shape) > 1:
            paper.text(x, axis + reach[0] + 0.95, _square(shape[1]))
        paper.text(x, axis - reach[1] - 0.85, f"{shape[0]}")
    for x, layer in zip(middles[1:], layers, strict=True):
        _layer(paper, _rows(place, layer), (x - gap / 2 - box / 2, axis), box)
    if place.shortcut:
        start = middles[1] - gap / 2 - box - 0.35
        _shortcut(paper, place, start, middles[-1] + gap / 2 + 0.9, axis)


def _boxes(place: Place) -> list[Step]:
    """The layers that have a box of their own."""
    return [layer for layer in place.layers if layer.kind not in ("BatchNorm2d", "ReLU")]


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
        last = place.shortcut and layer is _boxes(place)[-1]  # its ReLU comes after the sum
        rows.append("BN" if last else "BN, ReLU")
    return rows


def _layer(paper: Paper, rows: list[str], centre: tuple[float, float], width: float) -> None:
    paper.pill(centre, (width, 3.65), 0.4, _FAINT, _GREY, 0.08)
    for i, row in enumerate(rows):
        y = centre[1] + 0.05 + 1.1 * ((len(rows) - 1) / 2 - i)
        look = {"color": _GREY} if i else {"weight": "bold"}
        paper.text(centre[0], y, row, 1 if i else 1.15, **look)


def _shortcut(paper: Paper, place: Place, start: float, end: float, axis: float) -> None:
    """From the dot over the layers to the sum; behind it the ReLU."""
    colour, high, middle = _shortcut_colour(place.projects), axis + 4.0, (start + end) / 2
    paper.line([(start, axis), (start, high), (end, high), (end, axis)], colour, 0.28)
    paper.pill((start, axis), (0.5, 0.5), 0.25, colour)
    paper.pill((end, axis), (1.6, 1.6), 0.8, "white", colour, 0.2)
    paper.line([(end - 0.4, axis), (end + 0.4, axis)], colour, 0.2)
    paper.line([(end, axis - 0.4), (end, axis + 0.4)], colour, 0.2)
    words = _shortcut_in_words(place)
    paper.pill((middle, high), (0.63 * len(words) + 1.4, 1.6), 0.8, colour)
    paper.text(middle, high, words, weight="bold", color="white")
    paper.pill((end + 2.4, axis), (2.9, 1.7), 0.3, _FAINT, _GREY, 0.08)
    paper.text(end + 2.4, axis, "ReLU", color=_GREY)


# What it costs, what it sees, how it is built

_LEFT, _ENDS, _FIELD = 0.6, (13.3, 19.7, 26.1), 27.4
_COSTS = ("parameters", "multiply-adds")
_FIELD_SIDE = 4.15


def _headings(paper: Paper, low: float) -> None:
    top = low + _NUMBERS - 1.0
    for end, word in zip(_ENDS, ("here", "up to here", "in total"), strict=True):
        paper.text(end, top, word, ha="right", color=_BLUE if word == "here" else _GREY)
    for row, name in enumerate(_COSTS, 1):
        paper.text(_LEFT, top + 0.55 - 2.05 * row, name, ha="left")
    paper.text(_FIELD, top, "receptive field", ha="left", color=_GREY)
    paper.text(_FIELD, low + 0.15 + _FIELD_SIDE / 2, "image", ha="left", color=_GREY)


def _cost(paper: Paper, record: Architecture, place: Place, low: float) -> None:
    width = _ENDS[-1] - _LEFT
    for row, (name, said) in enumerate(zip(_COSTS, ("{:,}".format, _millions), strict=True), 1):
        y = low + _NUMBERS - 0.45 - 2.05 * row
        numbers = _here_so_far_in_total(record, place, name)
        for end, number in zip(_ENDS, numbers, strict=True):
            look = {"weight": "bold", "color": _BLUE} if end == _ENDS[0] else {}
            paper.text(end, y, said(number), ha="right", **look)
        here, so_far, _ = (width * number / numbers[-1] for number in numbers)
        here = max(here, 0.1)  # or it could not be seen
        bars = (0, width, _REST), (0, so_far, _CHANNELS), (max(so_far - here, 0), here, _BLUE)
        for start, length, colour in bars:
            paper.box((_LEFT + start, y - 1.05), (length, 0.36), colour)


def _here_so_far_in_total(record: Architecture, place: Place, cost: str) -> tuple[int, int, int]:
    of = cost.replace("-", "_")
    so_far = sum(getattr(before, of) for before in record.up_to(place))
    return getattr(place, of), so_far, getattr(record, of)


def _field(paper: Paper, record: Architecture, place: Place, low: float) -> None:
    """The receptive field over the image, both to scale: the larger of the two fills the frame."""
    image, seen = record.image_size, place.receptive_field or record.image_size
    centre = np.array((_WIDTH - 0.5 - _FIELD_SIDE / 2, low + 0.25 + _FIELD_SIDE / 2))
    frame, field = (_FIELD_SIDE * size / max(image, seen) for size in (image, seen))
    paper.box(centre - frame / 2, (frame, frame), _SKY, _LINE, 0.08)
    hills = np.array([(0, 0), (0, 3), (3, 6.5), (5, 3.5), (7, 5), (10, 2), (10, 0)]) / 10 - 0.5
    paper.shape(centre + frame * hills, _CHANNELS)
    paper.box(centre - field / 2, (field, field), _BLUE + "30", _BLUE, 0.22)
    sees = _square(seen) if place.receptive_field else "everything"
    paper.text(_FIELD, centre[1] + 1.2, sees, ha="left", weight="bold", color=_BLUE)
    paper.text(_FIELD, centre[1] - 1.4, _square(image), ha="left")


def _code(paper: Paper, place: Place) -> None:
    lines = place.code.split("\n")
    for i, line in enumerate(lines):
        y = _CODE / 2 + 1.15 * ((len(lines) - 1) / 2 - i)
        paper.text(_LEFT, y, line, ha="left", family=_MONO)


# Words


def _network_in_words(record: Architecture) -> str:
    stages = []
    for stage, count in record.blocks.items():
        blocks = f"{count} blocks, " if count else ""
        stages.append(f"{stage}: {blocks}output {_times(record.stage(stage)[0].output_shape)}")
    return f"ResNet-{record.depth}. {'; '.join(stages)}."


def _place_in_words(record: Architecture, place: Place) -> str:
    layers = "; ".join(
        f"{', '.join(_rows(place, layer))}, giving {_times(layer.output_shape)}"
        for layer in _boxes(place)
    )
    shortcut = f" Shortcut: {_shortcut_in_words(place)}." if place.shortcut else ""
    costs = []
    for name in _COSTS:
        here, so_far, total = _here_so_far_in_total(record, place, name)
        costs.append(f"{here:,} {name} here, {so_far:,} up to here, {total:,} in total")
    field = _square(place.receptive_field) if place.receptive_field else "everything"
    return (
        f"Chosen: {_name(record, place)} ({place.modules}). Input {_times(place.input_shape)}; "
        f"{layers}.{shortcut} {'; '.join(costs)}. Receptive field {field}, image "
        f"{_square(record.image_size)}. Code: {place.code}."
    )


def _name(record: Architecture, place: Place) -> str:
    if not place.block:
        return place.stage
    return f"{place.stage}, block {place.block} of {record.blocks[place.stage]}"


def _shortcut_in_words(place: Place) -> str:
    if not place.projects:
        return "identity"
    stride = place.shortcut[0].stride
    return "projection: 1×1, " + (f"stride {stride}, BN" if stride > 1 else "BN")


def _shortcut_colour(projects: bool) -> str:
    return _GREEN if projects else _BLUE


def _side(shape: Sequence[int]) -> int:
    return shape[1] if len(shape) > 1 else 1


def _square(side: int) -> str:
    return f"{side}×{side}"


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _millions(number: int) -> str:
    return f"{number / 1e6:,.{0 if number >= 1e8 else 1}f} M"


def _aloud(words: str) -> str:
    return words.replace("×", " x ").replace("\n", " ")
