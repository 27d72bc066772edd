"""Two networks that drift apart: the pictures, the explorer, and a notebook that stops in one sentence."""

import io
import itertools

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from resnet_edu import draw, widgets

NAMES = ("stride", "biases")


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def probabilities(*classes, sure=0.9):
    """One row for each class number: `sure` for that class, the rest shared by the other two."""
    rows = np.full((len(classes), 3), (1 - sure) / 2)
    rows[range(len(classes)), classes] = sure
    return rows


def sets():
    return [frozenset(c) for n in range(3) for c in itertools.combinations(NAMES, n)]


FOUND = dict(
    zip(
        sets(),
        (
            probabilities(0, 1),
            probabilities(0, 1, sure=0.6),
            probabilities(0, 2),
            np.vstack([probabilities(1, sure=0.8), probabilities(2)]),
        ),
        strict=True,
    )
)


@pytest.fixture
def explorer():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return widgets.CorrectionsExplorer(images, probabilities(0, 1), FOUND)


def controls(explorer):
    return {c.description: c for c in explorer.children[0].children}


# Layer by layer


def test_a_line_has_the_difference_of_each_layer():
    picture = draw.drift_by_layer(
        {"complete": [1e-7, 1e-6], "stride": [0.0, 0.5]},
        ["pool", "layer1.0"],
        colours={"complete": "residual", "stride": "third"},
    )
    (ax,) = picture.axes
    first, second = ax.lines

    np.testing.assert_allclose(first.get_ydata(), [-7, -6])
    np.testing.assert_allclose(second.get_ydata(), [-8, np.log10(0.5)])  # zero stands at the end
    assert first.get_color() == draw.COLOURS["residual"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["pool", "layer1.0"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["complete", "stride"]
    assert "stride: 0 after pool, 0.5 after layer1.0" in picture.words


# The sentence


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ((), "With all corrections, 0 of 2 answers are not Keras's."),
        (("biases",), "Without biases, 1 of 2 answers are not Keras's."),
        (("stride", "biases"), "Without stride and biases, 2 of 2 answers are not Keras's."),
    ],
)
def test_the_sentence_counts_the_answers_that_changed(missing, sentence):
    found = FOUND[frozenset(missing)]
    assert draw.corrections_reading(probabilities(0, 1), found, missing, 0).startswith(sentence)


def test_the_sentence_says_how_far_the_image_moved():
    found = FOUND[frozenset(["stride"])]
    says = draw.corrections_reading(probabilities(0, 1), found, ["stride"], 1)
    assert "differs by up to 0.3." in says


# The picture


def test_the_picture_shows_both_networks():
    drawing = draw.CorrectionsDrawing((8, 8), ["a", "b", "c"])
    same = drawing.update(np.zeros((3, 8, 8)), "image 1", *[probabilities(0)[0]] * 2)
    moved = drawing.update(np.zeros((3, 8, 8)), "image 1", probabilities(0)[0], probabilities(2)[0])

    assert not np.array_equal(pixels(same.png), pixels(moved.png))
    assert moved.words.startswith("Image: image 1.")
    assert "Keras: a 0.90" in moved.words
    assert "ours: c 0.90" in moved.words


def test_the_picture_is_the_same_for_the_same_numbers():
    drawing = draw.CorrectionsDrawing((8, 8), ["a", "b", "c"])
    arguments = np.full((3, 8, 8), 0.5), "image 1", probabilities(0)[0], probabilities(1)[0]
    first = drawing.update(*arguments)
    drawing.update(np.ones((3, 8, 8)), "image 2", probabilities(2)[0], probabilities(2)[0])

    assert drawing.update(*arguments) == first


# The explorer


def test_every_control_changes_picture_and_text(explorer):
    assert list(controls(explorer)) == [*NAMES, "Image"]
    for label, control in controls(explorer).items():
        before = explorer._picture.value, explorer._reading.value
        control.value = 2 if label == "Image" else False
        assert explorer._picture.value != before[0], label
        assert explorer._reading.value != before[1], label
    assert "Without stride and biases, 2 of 2 answers" in explorer._reading.value
    assert "image 2" in explorer._picture.tooltip


def test_a_box_ticked_again_gives_the_first_picture(explorer):
    before = explorer._picture.value
    box = controls(explorer)["biases"]
    box.value = False
    box.value = True
    assert explorer._picture.value == before


def test_what_is_missing_at_first_is_shown_to_readers(explorer):
    images = torch.zeros(2, 3, 8, 8)
    start = frozenset(["biases"])
    other = widgets.CorrectionsExplorer(images, probabilities(0, 1), FOUND, start)

    assert not controls(other)["biases"].value
    data, metadata = other._repr_mimebundle_()
    assert "Without biases" in metadata["image/png"]["alt"]
    assert "image/png" in data
    assert "With all corrections" in explorer._repr_mimebundle_()[1]["image/png"]["alt"]


def test_a_combination_that_was_not_measured_is_refused():
    found = {missing: p for missing, p in FOUND.items() if missing != frozenset(NAMES)}
    with pytest.raises(ValueError, match=r"each of the 4 sets .* got 3"):
        widgets.CorrectionsExplorer(torch.zeros(2, 3, 8, 8), probabilities(0, 1), found)


# A notebook that stops


def test_with_the_package_the_notebook_goes_on():
    widgets.stop_without("numpy")


def test_without_the_package_one_sentence_is_shown_and_no_traceback(capsys):
    shell = InteractiveShell()
    result = shell.run_cell("from resnet_edu import widgets; widgets.stop_without('nosuchthing')")
    said = capsys.readouterr().out

    assert isinstance(result.error_in_exec, widgets.Stop)
    assert "it needs nosuchthing, which cannot be loaded (No module named 'nosuchthing')" in said
    assert "pip install nosuchthing" in said
    assert "Traceback" not in said
    assert "stop.py" not in said


def test_a_package_that_is_there_and_does_not_load_is_told(tmp_path, monkeypatch):
    (tmp_path / "halfthere.py").write_text("import nosuchbackend")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(widgets.Stop, match=r"halfthere, which .*No module named 'nosuchbackend'"):
        widgets.stop_without("halfthere")
