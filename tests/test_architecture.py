"""A ResNet place by place, against torchvision, a real forward pass and autograd; and its picture."""

import io
import itertools

import numpy as np
import pytest
import torch
import torchvision
from matplotlib import colors as mpl_colors
from PIL import Image
from test_measure import all_positive, reach_of_the_gradient
from torch import nn

import resnet_edu.networks
from resnet_edu import draw, widgets
from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.measure import RESNETS, STAGES, Layer, anatomy, architecture

DEPTHS = (18, 34, 50, 101, 152)
SIZES = (32, 64, 128, 224, 320, 448)
every_depth = pytest.mark.parametrize("depth", DEPTHS)
every_depth_with_numbers = pytest.mark.parametrize(
    "depth", [18, 50, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (34, 101, 152))]
)


def ours(depth, **options):
    return getattr(resnet_edu.networks, f"resnet{depth}")(**options)


def without_numbers(make, *args, **options):
    """The network on PyTorch's device without memory: built at once, and good for counting."""
    with torch.device("meta"):
        return make(*args, **options)


def modules(model, place):
    """The modules of `model` that make up this place, by name."""
    if place.stage == "stem":
        names = ("conv1", "bn1", "relu", "maxpool")
    elif place.stage == "head":
        names = ("avgpool", "fc")
    else:
        names = (place.modules.replace("[", ".").replace("]", ""),)
    return {name: model.get_submodule(name) for name in names}


def places(depth, size=224):
    """Stem, head, and the first, second and last block of each stage."""
    record = architecture(depth, size)
    for stage in STAGES:
        inside = record.stage(stage)
        yield from {
            p.block: p for p in (inside[0], inside[min(1, len(inside) - 1)], inside[-1])
        }.values()


# The record


@every_depth
def test_parameters_are_those_of_torchvision_place_by_place(depth):
    model = without_numbers(getattr(torchvision.models, f"resnet{depth}"))
    record = architecture(depth)
    for place in record.places:
        parts = modules(model, place).values()
        assert place.parameters == sum(p.numel() for part in parts for p in part.parameters())
    assert record.parameters == sum(p.numel() for p in model.parameters())


@every_depth
@pytest.mark.parametrize("size", [32, 224, 321])
def test_a_network_put_together_from_repeated_blocks_is_the_network_measured_whole(depth, size):
    whole = anatomy(without_numbers(ours, depth), size)
    found = {
        layer.name: Layer(**{name: getattr(layer, name) for name in Layer.__dataclass_fields__})
        for place in architecture(depth, size).places
        for layer in place.layers + place.shortcut
    }
    assert found == {layer.name: layer for layer in whole.layers}


@every_depth_with_numbers
def test_shapes_kernels_and_strides_are_those_of_a_real_network(depth):
    model = ours(depth).eval()
    shapes, handles = {}, []
    for name, module in model.named_modules():
        handles.append(
            module.register_forward_hook(
                lambda _m, args, out, n=name: shapes.update({n: (args[0].shape[1:], out.shape[1:])})
            )
        )
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for place in architecture(depth, 64).places:
        parts = list(modules(model, place))
        assert (place.input_shape, place.output_shape) == (
            shapes[parts[0]][0],
            shapes[parts[-1]][1],
        )
        for layer in place.layers + place.shortcut:
            assert layer.output_shape == tuple(shapes[layer.name][1])
            module = model.get_submodule(layer.name)
            if isinstance(module, nn.Conv2d | nn.MaxPool2d):
                sides = module.kernel_size, module.stride
                assert sides in (
                    (layer.kernel_size, layer.stride),
                    ((layer.kernel_size,) * 2, (layer.stride,) * 2),
                )
            else:
                assert (layer.kernel_size, layer.stride) == (None, None)


@pytest.mark.parametrize(
    ("depth", "billions"), [(18, 1.814), (34, 3.664), (50, 4.089), (101, 7.801), (152, 11.514)]
)
def test_multiply_adds_are_the_published_ones(depth, billions):
    record = architecture(depth, 224)
    assert round(record.multiply_adds / 1e9, 3) == billions
    assert record.multiply_adds == sum(place.multiply_adds for place in record.places)


@pytest.mark.parametrize(("depth", "stage", "block"), [(34, "conv3_x", 4), (50, "conv2_x", 3)])
def test_a_block_sees_as_far_as_its_gradient_reaches(depth, stage, block):
    place = architecture(depth).stage(stage)[block - 1]
    model = all_positive(ours(depth, width=1))
    (name,) = modules(model, place)
    assert reach_of_the_gradient(model, [name], 256) == {name: place.receptive_field}


@every_depth_with_numbers
def test_the_code_builds_the_place(depth):
    record = architecture(depth, 64)
    names = {"nn": nn, "BasicBlock": BasicBlock, "Bottleneck": Bottleneck}
    model = without_numbers(ours, depth)
    for place in record.places:
        built = eval(f"nn.Sequential({place.code})", names).eval()
        with torch.no_grad():
            output = built(torch.zeros(1, *place.input_shape))
        assert tuple(output.shape[1:]) == place.output_shape
        assert sum(p.numel() for p in built.parameters()) == place.parameters
        shapes = [p.shape for part in modules(model, place).values() for p in part.parameters()]
        assert [p.shape for p in built.parameters()] == shapes


@every_depth
def test_a_place_projects_where_the_network_does(depth):
    model = without_numbers(ours, depth)
    for place in architecture(depth).places:
        (part, *_) = modules(model, place).values()
        has_shortcut = hasattr(part, "downsample")
        assert bool(place.shortcut) == has_shortcut == (place.block > 0)
        assert place.projects == (has_shortcut and not isinstance(part.downsample, nn.Identity))


def test_places_are_in_order_and_know_where_they_are():
    record = architecture(50)
    assert record.blocks == {
        "stem": 0,
        "conv2_x": 3,
        "conv3_x": 4,
        "conv4_x": 6,
        "conv5_x": 3,
        "head": 0,
    }
    assert [p.modules for p in record.stage("conv3_x")] == [f"layer2[{i}]" for i in range(4)]
    assert [p.block for p in record.stage("conv3_x")] == [1, 2, 3, 4]
    for before, after in itertools.pairwise(record.places):
        assert before.output_shape == after.input_shape
    place = record.stage("conv2_x")[1]
    assert [p.modules for p in record.up_to(place)] == [
        "conv1 to maxpool",
        "layer1[0]",
        "layer1[1]",
    ]
    assert tuple(RESNETS) == DEPTHS


@pytest.mark.parametrize("depth", [20, 0, "50"])
def test_another_depth_is_refused(depth):
    with pytest.raises(ValueError, match="18, 34, 50, 101, 152"):
        architecture(depth)


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ValueError, match="at least 1 pixel"):
        architecture(50, 0)


# The picture


def contrasts(colour, background):
    """The contrast ratio of a colour to every pixel (..., 3) in 0..1, as WCAG 2 defines it."""

    def luminance(rgb):
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ np.array((0.2126, 0.7152, 0.0722))

    a, b = luminance(np.array(mpl_colors.to_rgb(colour))), luminance(background)
    return (np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)


def assert_readable(figure, smallest=9.0):
    """No text is cut off, covered, too small, or on a ground or a line that it does not stand out from."""
    texts = [text for ax in figure.axes for text in ax.texts]
    boxes = [t.get_window_extent() for t in texts]
    for text in texts:
        assert text.get_fontsize() >= smallest - 1e-6, text.get_text()
        text.set_visible(False)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    height, width, _ = pixels.shape
    for text, box in zip(texts, boxes, strict=True):
        text.set_visible(True)
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= width, text.get_text()
        assert box.y0 >= 0, text.get_text()
        assert box.y1 <= height, text.get_text()
        x0, x1 = int(box.x0), int(np.ceil(box.x1))
        y0, y1 = int(height - box.y1), int(np.ceil(height - box.y0))
        ground = pixels[y0:y1, x0:x1]
        assert contrasts(text.get_color(), ground).min() >= 4.5, text.get_text()
    for (a, box), (b, other) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        assert not box.overlaps(other), (a.get_text(), b.get_text())


@pytest.fixture(scope="module")
def drawing():
    return draw.ArchitectureDrawing()


@pytest.mark.parametrize(
    ("depth", "size"),
    [
        pytest.param(d, s, marks=() if (d, s) in ((50, 224), (152, 448)) else pytest.mark.slow)
        for d in DEPTHS
        for s in SIZES
    ],
)
def test_all_text_can_be_read_at_every_place(drawing, depth, size):
    for place in places(depth, size):
        picture = drawing.update(architecture(depth, size), place)
        assert_readable(picture.axes[0].figure)


@every_depth
def test_a_slab_reaches_up_with_its_pixels_and_down_with_its_channels(drawing, depth):
    record = architecture(depth)
    (shapes,) = drawing.update(record, record.places[1]).axes[0].collections
    extents = [path.get_extents() for path in shapes.get_paths()]
    ground = next(e.y0 for e in extents if e.width > 30 and e.height == 0)
    up = [e.height for e in extents if e.y0 == ground and e.height > 0]
    down = [e.height for e in extents if e.y1 == ground and e.height > 0]
    sides = [[*place.output_shape, 1][1] for place in record.places]  # the head's logits: one pixel
    channels = [place.output_shape[0] for place in record.places]
    np.testing.assert_allclose(np.array(up) / up[0], np.array(sides) / sides[0])
    np.testing.assert_allclose(np.array(down) / down[0], np.array(channels) / channels[0])


@pytest.mark.parametrize(
    ("depth", "stage", "block", "words"),
    [
        (
            50,
            "conv3_x",
            1,
            ["halves height and width to 28 x 28", "doubles the channels to 512", "projection"],
        ),
        (
            50,
            "conv2_x",
            1,
            ["keeps 56 x 56 pixels and quadruples the channels to 256", "projection"],
        ),
        (50, "conv4_x", 6, ["keeps the shape: 1,024 channels of 14 x 14", "identity"]),
        (18, "conv2_x", 1, ["keeps the shape: 64 channels of 56 x 56", "identity"]),
        (
            34,
            "conv5_x",
            1,
            ["halves height and width to 7 x 7", "doubles the channels to 512", "projection"],
        ),
        (152, "stem", 1, ["to 56 x 56", "64 channels"]),
        (101, "head", 1, ["2,048 channels", "7 x 7", "1,000 logits"]),
    ],
)
def test_the_reading_says_what_the_place_does(depth, stage, block, words):
    sentence = draw.architecture_reading(architecture(depth).stage(stage)[block - 1])
    assert all(word in sentence for word in words), sentence
    assert ("projection" in sentence) + ("identity" in sentence) == (stage not in ("stem", "head"))


@every_depth
def test_there_is_a_reading_for_every_place_and_size(depth):
    for size in SIZES:
        for place in architecture(depth, size).places:
            sentence = draw.architecture_reading(place)
            assert str(place.output_shape[-1]) in sentence.replace(",", "")


def texts(picture):
    return [text.get_text() for ax in picture.axes[0].figure.axes for text in ax.texts]


def test_the_picture_shows_the_layers_the_numbers_and_the_code(drawing):
    record = architecture(50)
    place = record.stage("conv3_x")[0]
    picture = drawing.update(record, place)
    shown = texts(picture)
    for text in (
        *("ResNet-50", "conv3_x, block 1 of 4", "layer2[0]", "projection: 1×1, stride 2, BN"),
        *("stride 2", "379,392", "604,736", "25,557,032", "373 M", "4,089 M", "43×43", "224×224"),
        "Bottleneck(in_channels=256, width=128, stride=2)",
    ):
        assert text in shown, text
    assert [t for t in shown if t in ("1×1", "3×3")] == ["1×1", "3×3", "1×1"]
    for words in (
        "1 x 1, BN, ReLU, giving 128 x 56 x 56",
        "3 x 3, stride 2",
        "379,392 parameters here",
    ):
        assert words in picture.words
    picture = drawing.update(record, record.stage("conv3_x")[1])
    assert "identity" in texts(picture)
    assert not any("projection:" in text for text in texts(picture))


def test_the_receptive_field_is_drawn_to_scale_with_the_image(drawing):
    for depth, size in ((50, 224), (152, 32), (18, 448)):
        record = architecture(depth, size)
        for place in places(depth, size):
            (shapes,) = drawing.update(record, place).axes[0].collections
            extents = [path.get_extents() for path in shapes.get_paths()]
            squares = [e for e in extents if 0 < e.width == pytest.approx(e.height)]
            image, field = squares[-2:]
            assert field.width / image.width == pytest.approx(
                (place.receptive_field or size) / size
            )
            for end in ("x", "y"):
                a, b = (sum(getattr(e, f"interval{end}")) for e in (image, field))
                assert a == pytest.approx(b), "they have the same centre"


def test_the_quick_way_of_drawing_gives_the_same_picture_as_the_slow_one(drawing):
    record = architecture(34)
    picture = drawing.update(record, record.places[3])
    figure = picture.axes[0].figure
    figure.canvas.draw()
    slow = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.png))), slow)


def test_nothing_that_moves_is_painted_over_the_texts_that_stay(drawing):
    picture = drawing.update(architecture(18), architecture(18).places[0])
    still, moving = picture.axes[0].figure.axes
    assert still.texts
    for depth, size in ((18, 448), (152, 32)):
        for place in places(depth, size):
            drawing.update(architecture(depth, size), place)
            seen = []
            for visible in (False, True):
                moving.set_visible(visible)
                still.figure.canvas.draw()
                seen.append(np.array(still.figure.canvas.buffer_rgba())[::-1])
            for text in still.texts:
                box = text.get_window_extent()
                rows, columns = slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))
                assert np.array_equal(seen[0][rows, columns], seen[1][rows, columns]), (
                    text.get_text()
                )


def test_the_same_place_gives_the_same_picture_and_another_another(drawing):
    record = architecture(18)
    first = drawing.update(record, record.places[1])
    assert drawing.update(record, record.places[2]).png != first.png
    assert drawing.update(record, record.places[1]) == first
    width, height = Image.open(io.BytesIO(first.png)).size
    assert (width, round(height / width, 1)) == (1101, 0.8)


# The explorer


@pytest.fixture(scope="module")
def explorer():
    return widgets.ArchitectureExplorer()


def test_the_explorer_begins_with_a_good_block(explorer):
    assert "conv3_x, block 1" in explorer._reading.value
    bundle, metadata = explorer._repr_mimebundle_()
    assert len(bundle["image/png"]) > 10_000
    assert "layer2[0]" in metadata["image/png"]["alt"]


def test_the_explorer_keeps_the_block_within_its_stage(explorer):
    network, size, stage, block = explorer._controls.values()
    network.value, stage.value = 152, "conv4_x"
    assert block.options == tuple(range(1, 37))
    block.value = 30
    assert "conv4_x, block 30" in explorer._reading.value
    network.value = 50
    assert block.value == 6
    assert "conv4_x, block 6" in explorer._reading.value
    stage.value = "conv5_x"
    assert (block.value, block.options) == (3, (1, 2, 3))
    stage.value = "head"
    assert block.disabled
    assert "The head" in explorer._reading.value
    stage.value = "conv2_x"
    assert not block.disabled
    size.value = 32
    assert "8 x 8" in explorer._reading.value


@pytest.mark.slow
def test_the_explorer_works_for_every_setting(explorer):
    network, size, stage, block = explorer._controls.values()
    for depth, pixels in zip(network.options, (32, 64, 128, 320, 448), strict=True):
        network.value, size.value = depth, pixels
        for name in stage.options:
            stage.value = name
            for number in (1,) if block.disabled else block.options:
                block.value = number
                assert explorer._error.value == "", (depth, name, number)
                assert f"ResNet-{depth}." in explorer._picture.tooltip
                assert f"Chosen: {name}" in explorer._picture.tooltip


def test_one_change_draws_one_picture(explorer, monkeypatch):
    network, _, stage, block = explorer._controls.values()
    network.value, stage.value, block.value = 152, "conv4_x", 30
    drawn = []
    update = explorer._drawing.update
    monkeypatch.setattr(explorer._drawing, "update", lambda *a: drawn.append(a[1]) or update(*a))
    network.value = 50
    stage.value = "conv2_x"
    assert [place.modules for place in drawn] == ["layer3[5]", "layer1[2]"]
