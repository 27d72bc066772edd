"""Pictures: what is in the Axes, and what the sentence beside them says."""

import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib import colors as mpl_colors
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from resnet_edu import draw, widgets
from resnet_edu.draw.style import scientific
from resnet_edu.measure import (
    KERNELS,
    FlowSetting,
    LayerSignal,
    LossSurface,
    Signals,
    anatomy,
    convolution,
    gradient_flow,
)
from resnet_edu.networks import cifar_resnet, resnet50
from resnet_edu.training import History
from resnet_edu.widgets.explorer import Shown


def record(gradients=(1e-3, 0.1, 10.0), activations=(1.0, 0.5, 2.0), loss=2.3):
    layers = zip(activations, gradients, strict=True)
    return Signals(loss, tuple(LayerSignal(f"conv{i}", a, g) for i, (a, g) in enumerate(layers)))


def line(ax, label):
    (found,) = [x for x in ax.lines if x.get_label() == label]
    return found


def title(ax):
    return "".join(ax.get_title(loc=where) for where in ("left", "center", "right"))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(colour):
    return mpl_colors.to_rgb(colour)


RUNS = {
    "plain-8": [History(4, (1.0,) * 4, (0.1, 0.2, 0.3, 0.4)), History(4, (1.0,) * 4, (0.3,) * 4)],
    "ResNet-8": [History(4, (1.0,) * 4, (0.5,) * 4), History(4, (1.0,) * 4, (0.9,) * 4)],
}
PICTURES = {
    "gradient_norms": lambda: draw.gradient_norms({"plain": record()}),
    "activation_scales": lambda: draw.activation_scales({"plain": record()}),
    "ratios_by_depth": lambda: draw.ratios_by_depth({"plain": {8: [0.1], 20: [1e-3]}}),
    "flow_grid": lambda: draw.flow_grid({"He": {"8": 0.5}, "default": {"8": 1e-8}}),
    "bars": lambda: draw.bars({"a": 1.0, "b": 2.0}, title="Cost", unit="pixels"),
    "anatomy": lambda: draw.anatomy(anatomy(cifar_resnet(8), 32)),
    "training_accuracy": lambda: draw.training_accuracy(RUNS),
    "path_lengths": lambda: draw.path_lengths((1, 2, 1), (1.0, 0.5, 0.1)),
    "autocorrelations": lambda: draw.autocorrelations(
        {"plain-8": [[1, 0.2], [1, 0.4]]}, colours={"plain-8": "plain"}
    ),
    "drift_by_layer": lambda: draw.drift_by_layer(
        {"stride": [1e-7, 0.5]}, ["pool", "layer1.0"], colours={"stride": "third"}
    ),
    "validation_accuracy": lambda: draw.validation_accuracy({"plain-8": [0.9, 0.8]}),
    "images": lambda: draw.images({"a": np.zeros((4, 4)), "b": np.ones((3, 4, 4))}),
    "histograms": lambda: draw.histograms({"a": np.arange(9.0)}, title="Values"),
    "by_block": lambda: draw.by_block(
        {"ResNet": {"layer1.0": 0.5}},
        units={"ResNet": "share"},
        colours={"ResNet": "residual"},
        predicted={"layer1.0": 0.2},
    ),
    "gallery": lambda: draw.gallery({"a": [np.zeros((3, 4, 4))] * 2, "b": [np.ones((3, 4, 4))]}),
    "heat_maps": lambda: draw.heat_maps({"a": (np.zeros((3, 4, 4)), np.eye(4))}),
    "features_as_points": lambda: draw.features_as_points(
        {"stage": np.eye(4, 2)}, [0, 1, 0, 1], ["a", "b"]
    ),
    "loss_surfaces": lambda: draw.loss_surfaces(
        {"ResNet": LossSurface((-0.4, 0.0, 0.4), np.arange(9.0).reshape(3, 3))}
    ),
    "convolution": lambda: draw.convolution(convolution(torch.ones(3, 9, 9), KERNELS["Blur"])),
    "accuracy_along": lambda: draw.accuracy_along(
        {"probe": {1: [0.5, 0.7]}}, "labels", colours={"probe": "third"}
    ),
    "confusion_matrix": lambda: draw.confusion_matrix(np.eye(2, dtype=int), ["cat", "dog"]),
    "finetuning_curve": lambda: draw.finetuning_curve(
        History(2, (1.0,) * 2, (0.1, 0.3), {2: 0.6}), 2
    ),
}
every_picture = pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES.keys())


# What all pictures share


@every_picture
def test_a_picture_is_drawn_on_axes_of_its_own_and_can_be_read_aloud(make):
    picture = make()
    (figure,) = {ax.figure for ax in picture.axes}
    assert all(ax.get_children() for ax in picture.axes)
    assert make().axes[0].figure is not figure
    assert picture.words.endswith(".")
    assert "  " not in picture.words
    assert "<" not in picture.words


@every_picture
def test_a_notebook_displays_every_picture_with_its_words_and_leaves_pyplot_alone(make):
    before = plt.get_fignums()
    picture = make()
    assert draw.show(picture) is picture
    data, metadata = picture._repr_mimebundle_()

    width, height = Image.open(io.BytesIO(data["image/png"])).size
    assert width >= 200
    assert height >= 100
    assert metadata["image/png"]["alt"] == picture.words
    assert "0x" not in data["text/plain"]
    assert plt.get_fignums() == before == []


@every_picture
def test_the_same_record_gives_the_same_bytes(make):
    assert make().png == make().png


def test_what_you_draw_yourself_is_shown_with_your_words():
    (ax,) = draw.axes()
    ax.plot([1, 2])
    picture = draw.show(ax, "A line that rises.")

    assert list(picture.axes) == [ax]
    assert picture.words == "A line that rises."
    assert picture.png.startswith(b"\x89PNG")


def test_what_an_explorer_redraws_has_the_name_of_the_explorer():
    explorers = {
        name.removesuffix("Explorer")
        for name, made in vars(widgets).items()
        if isinstance(made, type) and issubclass(made, Shown) and name != "Explorer"
    }
    drawings = {name.removesuffix("Drawing") for name in draw.__all__ if name.endswith("Drawing")}
    assert "GradientFlow" in explorers
    assert explorers == drawings


def test_axes_are_new_and_side_by_side():
    left, middle, right = draw.axes(3, width=2, height=1.5, width_ratios=(2, 1, 1))

    assert left.figure is right.figure
    assert left.figure.axes == [left, middle, right]
    assert tuple(left.figure.get_size_inches()) == (6, 1.5)


def test_drawing_loads_neither_torch_nor_pyplot():
    code = "import sys, resnet_edu.draw; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())

    assert "matplotlib.figure" in loaded
    assert not loaded & {"torch", "matplotlib.pyplot", "ipywidgets"}


def contrast(a, b):
    """The contrast ratio of two colours, as WCAG 2 defines it: 1 to 21."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_the_colours_of_the_course_differ_and_stand_out_from_white():
    assert len(set(draw.COLOURS.values())) == len(draw.COLOURS)
    assert {"plain", "residual", "neutral", "prediction", "ghost"} <= draw.COLOURS.keys()
    for name, colour in draw.COLOURS.items():
        assert contrast(colour, "white") > (1.5 if name == "ghost" else 2.9), name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (1, "1"),
        (2.3026, "2.3"),
        (42.4, "42"),
        (99.4, "99"),
        (99.7, "100"),
        (310.2, "310"),
        (1234, "1e3"),
        (81291, "8e4"),
        (7e-17, "7e-17"),
        (3.2e-9, "3e-9"),
        (0.0099, "1e-2"),
        (2e21, "2e21"),
        (-0.5, "-0.5"),
        (-4e-5, "-4e-5"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_numbers_are_written_as_people_write_them(value, text):
    assert scientific(value) == text


# Gradients and activations


@pytest.mark.parametrize(
    ("function", "values"),
    [(draw.gradient_norms, (1e-3, 0.1, 10.0)), (draw.activation_scales, (1.0, 0.5, 2.0))],
    ids=["gradients", "activations"],
)
def test_a_line_shows_the_power_of_ten_of_each_layer(function, values):
    picture = function({"now": record(), "then": record((1, 1, 1), (1, 1, 1))})
    (ax,) = picture.axes

    assert list(line(ax, "now").get_xdata()) == [1, 2, 3]
    np.testing.assert_allclose(line(ax, "now").get_ydata(), np.log10(values))
    np.testing.assert_allclose(line(ax, "then").get_ydata(), 0)
    assert rgb(line(ax, "now").get_color()) == rgb(draw.COLOURS["plain"])
    blue = rgb(draw.COLOURS["residual"])
    assert rgb(line(ax, "then").get_color()) not in (rgb(draw.COLOURS["plain"]), blue)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["now", "then"]
    said = f"now: {scientific(values[0])} at the first, {scientific(values[2])} at the last"
    assert said in picture.words
    assert "then: 1 at the first, 1 at the last" in picture.words


def test_the_colour_of_a_line_can_be_chosen():
    picture = draw.gradient_norms({"r": record()}, colours=["residual"])
    (ax,) = picture.axes

    assert rgb(line(ax, "r").get_color()) == rgb(draw.COLOURS["residual"])


@pytest.mark.parametrize(
    ("value", "end"), [(0.0, 0), (1e-40, 0), (math.inf, -1), (math.nan, -1), (1e30, -1)]
)
@pytest.mark.parametrize(
    ("function", "field"),
    [(draw.gradient_norms, "gradients"), (draw.activation_scales, "activations")],
)
def test_zero_and_infinity_are_drawn_at_the_ends(function, field, value, end):
    picture = function({"r": record(**{field: (value, 1.0, 1.0)})})
    (ax,) = picture.axes
    drawn = line(ax, "r").get_ydata()[0]
    low, high = ax.get_ylim()

    assert low < drawn < high
    assert drawn == sorted(ax.get_yticks())[end]


@pytest.mark.parametrize("function", [draw.gradient_norms, draw.activation_scales])
def test_the_ticks_name_the_powers_of_ten_where_they_are(function):
    picture = function({"r": record()})
    (ax,) = picture.axes
    for label, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True):
        text = label.get_text()
        power = 0 if text == "1" else int(re.search(r"10\^\{(-?\d+)\}", text)[1])
        assert y == power


@pytest.mark.parametrize(
    "function",
    [
        lambda names: draw.gradient_norms(dict.fromkeys(names, record())),
        lambda names: draw.activation_scales(dict.fromkeys(names, record())),
        lambda names: draw.ratios_by_depth({name: {8: [1.0]} for name in names}),
        lambda names: draw.histograms(dict.fromkeys(names, np.arange(9.0))),
    ],
    ids=["gradients", "activations", "ratios", "histograms"],
)
@pytest.mark.parametrize("count", [3, 6])
def test_no_record_is_left_out_in_silence(function, count):
    names = [f"net {i}" for i in range(count)]
    try:
        picture = function(names)
        (ax,) = picture.axes
    except ValueError:
        assert count > 3
    else:
        assert [t.get_text() for t in ax.get_legend().get_texts()] == names
        assert all(name in picture.words for name in names)


def test_two_pictures_of_one_kind_have_the_same_scale():
    def limits(gradient):
        return draw.gradient_norms({"r": record((gradient,) * 3)}).axes[0].get_ylim()

    vanished = [limits(gradient) for gradient in (1e-20, 1e-8)]
    arrived = [limits(gradient) for gradient in (1e-3, 1e5)]

    assert vanished[0] == vanished[1]
    assert arrived[0] == arrived[1]


def test_ratios_by_depth_show_each_seed_and_the_middle_one():
    seeds = {8: [0.1, 1.0, 100.0], 20: [1e-8, 1e-6, 1e-5]}
    picture = draw.ratios_by_depth({"plain": seeds, "residual": {8: [2.0], 20: [3.0]}})
    (ax,) = picture.axes

    middle = line(ax, "plain")
    assert list(middle.get_xdata()) == [8, 20]
    np.testing.assert_allclose(middle.get_ydata(), [0, -6], atol=1e-9)
    marks = sorted(
        (x, y)
        for found in ax.lines
        if found.get_marker() == "_" and found.get_color() == middle.get_color()
        for x, y in zip(found.get_xdata(), found.get_ydata(), strict=True)
    )
    np.testing.assert_allclose(
        marks, [(8, -1), (8, 0), (8, 2), (20, -8), (20, -6), (20, -5)], atol=1e-9
    )
    assert list(ax.get_xticks()) == [8, 20]
    assert "plain: 1 at depth 8, 1e-6 at depth 20" in picture.words
    assert "residual: 2 at depth 8, 3 at depth 20" in picture.words
    assert "predicted" not in picture.words


def test_a_prediction_stands_in_the_same_picture():
    picture = draw.ratios_by_depth({"plain": {8: [0.1], 20: [1e-6]}}, predicted={8: 0.01, 20: None})
    (ax,) = picture.axes

    guess = line(ax, "your prediction")
    assert list(guess.get_xdata()) == [8]
    np.testing.assert_allclose(guess.get_ydata(), [-2])
    assert guess.get_marker() == "D"
    assert "you predicted 0.01 at 8" in picture.words
    none = draw.ratios_by_depth({"plain": {8: [0.1]}}, predicted={8: None})
    assert "predicted" not in none.words


def test_the_grid_says_and_shows_each_ratio():
    ratios = {
        "He": {"8": 0.5, "20": 0.2, "56": 310.0},
        "default": {"8": 0.01, "20": 9e-8, "56": 0.0},
    }
    picture = draw.flow_grid(ratios, title="Ratio")
    (ax,) = picture.axes

    assert {t.get_position(): t.get_text() for t in ax.texts} == {
        (0, 0): "0.5", (1, 0): "0.2", (2, 0): "310",
        (0, 1): "0.01", (1, 1): "9e-8", (2, 1): "0",
    }  # fmt: skip
    assert [t.get_text() for t in ax.get_xticklabels()] == ["8", "20", "56"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["He", "default"]
    assert "He: 0.5 at 8, 0.2 at 20, 310 at 56" in picture.words
    assert "default: 0.01 at 8, 9e-8 at 20, 0 at 56" in picture.words


def field_colours(ratios):
    picture = draw.flow_grid({"row": {str(r): r for r in ratios}})
    (ax,) = picture.axes
    (image,) = ax.images
    colours = image.cmap(image.norm(image.get_array()))[0, :, :3]
    return ax, dict(zip(ratios, map(tuple, colours), strict=True))


def test_the_grid_is_orange_where_gradients_vanish_and_white_where_they_are_healthy():
    _, colours = field_colours([1e-20, 1e-6, 1.0, 1e3, 1e5])

    red, _, blue = colours[1e-6]
    assert red > blue + 0.2
    red, _, blue = colours[1e3]
    assert blue > red + 0.05
    assert min(colours[1.0]) > 0.95
    assert contrast(colours[1e-20], "white") > contrast(colours[1e-6], "white")
    assert contrast(colours[1e5], "white") > contrast(colours[1e3], "white")


def test_every_number_in_the_grid_can_be_read():
    ax, colours = field_colours([0.0, *10.0 ** np.arange(-20, 7)])

    for text, (ratio, colour) in zip(ax.texts, colours.items(), strict=True):
        assert contrast(text.get_color(), colour) > 4.5, ratio


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (record((1e-8, 1, 1)), ["vanishes", "1e-8 times"]),
        (record((0.0, 1, 1)), ["vanished", "0"]),
        (record((1e4, 1, 1)), ["explodes", "1e4 times"]),
        (record((0.5, 1, 1)), ["arrives", "0.5 times"]),
        (record((0.01, 1, 1)), ["shrinks", "0.01 times"]),
        (record((1e-9, 1e-9, 1e-9)), ["tiny", "1e-9"]),
        (record((1.0, 1, 1), (1.0, 1.0, 1e5), 81_291.0), ["activations explode", "1e5", "8e4"]),
        (
            record((math.inf, 1, 1), (1.0, 1.0, 1.0), math.inf),
            ["beyond what a float can hold", "inf"],
        ),
        (
            record((1.0, 1, 1), (1.0, math.nan, math.nan), math.nan),
            ["beyond what a float can hold"],
        ),
    ],
    ids=["vanishes", "zero", "explodes", "arrives", "shrinks", "tiny", "activations", "inf", "nan"],
)
def test_the_reading_names_what_is_seen(found, words):
    sentence = draw.gradient_flow_reading(found)

    assert all(word in sentence for word in words), sentence
    assert f"Initial loss {scientific(found.loss)} " in sentence
    kinds = ("vanish", "gradient explodes", "activations", "arrives", "shrinks", "tiny", "float")
    assert sum(kind in sentence for kind in kinds) == 1


def test_a_gradient_that_is_zero_at_the_last_layer_has_vanished():
    assert "vanished" in draw.gradient_flow_reading(record((1.0, 1.0, 0.0)))


def test_the_gradient_flow_shows_the_setting_before_in_grey():
    picture = draw.GradientFlowDrawing().update(record(), record((1, 1), (10, 10)), "residual")
    lines = [sorted(ax.lines, key=lambda x: len(x.get_xdata())) for ax in picture.axes]

    for (ghost, now), was, values in zip(
        lines, ([0, 0], [1, 1]), ([-3, -1, 1], np.log10([1.0, 0.5, 2.0])), strict=True
    ):
        np.testing.assert_allclose(ghost.get_ydata(), was)
        np.testing.assert_allclose(now.get_ydata(), values)
        assert rgb(ghost.get_color()) == rgb(draw.COLOURS["ghost"])
        assert rgb(now.get_color()) == rgb(draw.COLOURS["residual"])


def test_the_quick_way_of_drawing_gives_the_same_picture_as_the_slow_one():
    drawing = draw.GradientFlowDrawing()
    flat, steep = record((1.0,) * 20, (1.0,) * 20), record(10.0 ** np.arange(-3, 3), (2.0,) * 6)
    first = drawing.update(flat)
    second = drawing.update(steep, before=flat, colour="residual")

    slow = draw.Picture(second.axes, second.words)
    np.testing.assert_array_equal(pixels(second.png), pixels(slow.png))
    assert not np.array_equal(pixels(first.png), pixels(second.png))
    assert drawing.update(flat) == first, "nothing is left of the setting before"


def test_the_gradient_flow_has_room_for_the_deepest_network():
    flow = gradient_flow(FlowSetting(56), torch.rand(2, 3, 16, 16), torch.tensor([0, 1]))
    drawing = draw.GradientFlowDrawing()
    limits = [(ax.get_xlim(), ax.get_ylim()) for ax in drawing.update(record()).axes]
    picture = drawing.update(flow)

    assert [(ax.get_xlim(), ax.get_ylim()) for ax in picture.axes] == limits
    for ax, ((left, right), (low, high)) in zip(picture.axes, limits, strict=True):
        (drawn,) = [x for x in ax.lines if len(x.get_xdata())]
        assert list(drawn.get_xdata()) == list(range(1, 56))
        assert left < 1 < 55 < right
        assert low < min(drawn.get_ydata()) < max(drawn.get_ydata()) < high


# Bars


def test_bars_are_as_long_as_their_numbers():
    picture = draw.bars({"3x3": 9408, "7x7": 2.5}, title="Parameters", unit="count")
    (ax,) = picture.axes

    widths = {
        label.get_text(): bar.get_width()
        for label, bar in zip(ax.get_yticklabels(), ax.patches, strict=True)
    }
    assert widths == {"3x3": 9408, "7x7": 2.5}
    assert [t.get_text() for t in ax.texts] == ["9,408", "2.5"]
    assert ax.get_xlabel() == "count"
    assert ax.yaxis_inverted(), "the first name stands at the top"
    assert "Parameters" in picture.words
    assert "7x7: 2.5" in picture.words
    assert "predicted" not in picture.words
    assert ax.get_xscale() == "linear"


def test_a_prediction_is_a_diamond_on_its_bar():
    predicted = {"b": 5.0, "a": None, "elsewhere": 3.0}
    picture = draw.bars({"a": 1.0, "b": 2.0}, predicted=predicted, log=True)
    (ax,) = picture.axes

    (diamonds,) = ax.collections
    assert diamonds.get_offsets().tolist() == [[5.0, 1.0]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["your prediction"]
    assert "your prediction for b: 5" in picture.words
    assert "elsewhere" not in picture.words
    assert ax.get_xscale() == "log"
    other = draw.bars({"b": 2.0}, predicted=predicted, predicted_by="the formula")
    assert [t.get_text() for t in other.axes[0].get_legend().get_texts()] == ["the formula"]
    assert "the formula for b: 5" in other.words


# Images


def test_images_show_the_pixels_given():
    colour, grey = np.random.default_rng(0).random((3, 4, 5)), np.array([[0.0, 0.5], [0.25, 1.0]])
    picture = draw.images({"photo": colour, "digit": grey})
    first, second = picture.axes

    np.testing.assert_allclose(first.images[0].get_array(), colour.transpose(1, 2, 0))
    np.testing.assert_allclose(second.images[0].get_array(), grey)
    assert second.images[0].norm.vmin == 0
    assert [title(ax) for ax in (first, second)] == ["photo", "digit"]
    assert picture.words == "Image: photo. Image: digit."


@pytest.mark.parametrize("count", [1, 3, 5, 6, 7])
def test_images_stand_in_rows(count):
    pictures = {str(i): np.ones((2, 2)) for i in range(count)}
    made = draw.images(pictures, columns=3).axes

    assert made[0].figure.axes == made
    assert len(made) == count
    tops = [round(ax.get_position().y1, 3) for ax in made]
    assert [len([t for t in tops if t == top]) for top in sorted(set(tops), reverse=True)] == [
        min(3, count - start) for start in range(0, count, 3)
    ]


def test_symmetric_images_show_zero_as_middle_grey():
    (ax,) = draw.images({"edges": np.array([[-1.0, 0.0], [0.5, 4.0]])}, symmetric=True).axes
    (image,) = ax.images

    assert image.norm(0) == pytest.approx(0.5)
    assert image.norm(4.0) == pytest.approx(1)


def test_histograms_show_all_numbers_and_tell_mean_and_deviation():
    generator = np.random.default_rng(0)
    samples = {"before": generator.normal(3, 2, (10, 100)), "after": generator.normal(0, 1, 1000)}
    picture = draw.histograms(samples, title="Batch norm", xlabel="activation")
    (ax,) = picture.axes

    assert "Batch norm" in picture.words
    for name, values in samples.items():
        said = f"{name}: mean {values.mean():.2f}, deviation {values.std():.2f}"
        assert said in picture.words
    assert {t.get_text() for t in ax.get_legend().get_texts()} == samples.keys()
    assert (ax.get_xlabel(), title(ax)) == ("activation", "Batch norm")
    outlines = [p for p in ax.patches if not p.get_fill()]
    assert len(outlines) == 2
    for outline in outlines:
        xy = outline.get_xy()
        heights = xy[1::2, 1][: (len(xy) - 1) // 2]
        assert heights.max() <= 1000
        assert heights.sum() == pytest.approx(1000)


def test_the_convolution_picture_shows_sizes_pixels_and_reach():
    image = torch.rand(3, 12, 16)
    found = convolution(image, KERNELS["Sharpen"], stride=2, padding=1, dilation=2)
    picture = draw.convolution(found)
    left, middle, right = picture.axes

    np.testing.assert_array_equal(left.images[0].get_array(), found.image)
    np.testing.assert_array_equal(middle.images[0].get_array(), found.kernel)
    np.testing.assert_array_equal(right.images[0].get_array(), found.output)
    assert "12 x 16" in title(left)
    assert "5 x 7" in title(right)
    assert "3 x 3" in title(middle)
    assert {t.get_text() for t in middle.texts} == {"0", "-1", "5"}
    padded, reach = (p.get_bbox().bounds for p in left.patches)
    assert padded == (-1, -1, 18, 14)
    assert reach == (-1, -1, 5, 5)
    assert "12 by 16 pixels, with 1 pixels of padding" in picture.words
    assert "spans 5 pixels and moves by 2" in picture.words
    assert "output, 5 by 7" in picture.words


def test_edges_are_drawn_around_middle_grey_and_blurs_from_black():
    image = torch.rand(3, 12, 12)
    for name, zero in (("Vertical edges", 0.5), ("Blur", 0.0), ("Identity", 0.0)):
        _, _, right = draw.convolution(convolution(image, KERNELS[name])).axes
        assert right.images[0].norm(0) == pytest.approx(zero), name


def test_the_convolution_picture_keeps_its_figure_and_nothing_of_the_past():
    image = torch.rand(3, 12, 12)
    one = convolution(image, KERNELS["Blur"], padding=2)
    two = convolution(image, KERNELS["Wide blur (5x5)"], dilation=2)
    drawing = draw.ConvolutionDrawing()
    first, second = drawing.update(one), drawing.update(two)

    assert first.axes == second.axes == first.axes[0].figure.axes
    assert first.png != second.png
    assert drawing.update(one) == first


# A network


def test_the_anatomy_names_sizes_and_costs_of_each_part():
    found = anatomy(resnet50(), 224)
    picture = draw.anatomy(found)
    (ax,) = picture.axes
    texts = [t.get_text() for t in ax.texts]

    boxes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
    assert len(boxes) == 6
    assert [t for t in texts if t in {"conv1", "layer1", "layer2", "layer3", "layer4", "fc"}] == [
        "conv1", "layer1", "layer2", "layer3", "layer4", "fc",
    ]  # fmt: skip
    for shape in ("112 x 112", "56 x 56", "28 x 28", "14 x 14", "7 x 7", "logits"):
        assert shape in texts
    assert "25.6 M parameters, 4.09 G multiply-adds" in title(ax)
    assert "224 x 224" in title(ax)
    last = [layer for layer in found.layers if layer.name.startswith("layer4")]
    parameters = sum(layer.parameters for layer in last)
    assert f"{parameters / 1e6:.3g} M parameters" in texts
    assert f"{sum(layer.multiply_adds for layer in last) / 1e6:.3g} M multiply-adds" in texts
    assert f"sees {last[-1].receptive_field} px" in texts
    assert "sees all" in texts
    assert "layer4: output 2048 x 7 x 7" in picture.words

    heights = [box.get_height() for box in boxes]
    widths = [box.get_width() for box in boxes]
    assert heights == sorted(heights, reverse=True), "the image shrinks"
    assert widths[:5] == sorted(widths[:5]), "the channels grow"


# Training


def test_a_training_curve_shows_the_middle_and_the_spread_of_the_runs():
    picture = draw.training_accuracy(RUNS)
    (ax,) = picture.axes
    plain, residual = ax.lines
    assert plain.get_label() == "plain-8"
    assert plain.get_ydata() == pytest.approx([0.2, 0.225, 0.25, 0.275])
    assert mpl_colors.same_color(plain.get_color(), draw.COLOURS["plain"])
    assert mpl_colors.same_color(residual.get_color(), draw.COLOURS["residual"])
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.5, 0.9))
    assert "ResNet-8 ends at 70% (50% to 90%)" in picture.words


def test_deeper_networks_of_a_kind_have_full_lines():
    runs = RUNS["plain-8"]
    picture = draw.training_accuracy({"plain-8": runs, "plain-20": runs, "plain-56": runs})
    (ax,) = picture.axes
    assert [line.get_linestyle() for line in ax.lines] == [":", "--", "-"]


def test_a_point_of_a_curve_is_the_mean_of_the_last_five_steps():
    assert draw.smoothed([1.0, 0.0, 0.5, 0.5, 0.5, 0.0]) == pytest.approx(
        [1.0, 0.5, 0.5, 0.5, 0.5, 0.3]
    )


def test_validation_shows_each_run_and_the_middle_one():
    picture = draw.validation_accuracy({"plain-8": [0.5, 0.9, 0.8], "ResNet-8": [1.0, 0.9, 0.9]})
    (ax,) = picture.axes
    assert list(ax.lines[0].get_xdata()) == [0.5, 0.9, 0.8]
    assert [text.get_text() for text in ax.texts] == ["80%", "90%"]
    assert "plain-8 80% (50% to 90%)" in picture.words


def test_the_race_picture_forgets_the_race_before():
    drawing = draw.DegradationRaceDrawing(3, 4)
    empty = drawing.update({})
    full = drawing.update({name: runs[0] for name, runs in RUNS.items()})
    assert full.png != empty.png
    assert "plain-8 25%, ResNet-8 50%" in full.words
    assert drawing.update({}) == empty


def test_a_prediction_stands_at_the_end_of_the_training():
    picture = draw.training_accuracy(RUNS, predicted={"plain-8": 75, "ResNet-8": None})
    (ax,) = picture.axes
    diamond = line(ax, "your prediction")
    assert (list(diamond.get_xdata()), list(diamond.get_ydata())) == ([4], [0.75])
    assert "predicted for plain-8: 75%" in picture.words


# Residual networks


def test_path_lengths_are_shares_of_paths_and_of_gradient():
    picture = draw.path_lengths((1, 2, 1), (1.0, 0.5, 0.0))
    (ax,) = picture.axes
    paths, gradient = ax.containers
    assert [bar.get_height() for bar in paths] == [0.25, 0.5, 0.25]
    assert [bar.get_height() for bar in gradient] == [0.5, 0.5, 0]
    assert "1.0 branches on average" in picture.words
    assert "0.5 branches on average" in picture.words


def test_an_autocorrelation_shows_the_middle_run():
    runs = [[1.0, 0.5], [1.0, 0.1], [1.0, 0.2]]
    picture = draw.autocorrelations({"plain-8": runs}, colours={"plain-8": "plain"})
    (ax,) = picture.axes
    assert list(line(ax, "plain-8").get_ydata()) == [1.0, 0.2]
    assert "plain-8: 0.20 from one point to the next" in picture.words
