"""The pictures of a fine-tuning say what the numbers say."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from resnet_edu import draw
from resnet_edu.training import History

COUNTS = np.array([[8, 2, 0], [1, 9, 0], [0, 5, 5]])
NAMES = ("cat", "dog", "emu")


def cells(ax):
    """The numbers of a confusion matrix by (row, column)."""
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def test_a_confusion_matrix_has_its_numbers_and_names():
    picture = draw.confusion_matrix(COUNTS, NAMES)
    (ax,) = picture.axes

    assert cells(ax) == {(r, c): str(n) for (r, c), n in np.ndenumerate(COUNTS) if n}
    assert [t.get_text() for t in ax.get_yticklabels()] == list(NAMES)
    assert [t.get_text() for t in ax.get_xticklabels()] == list(NAMES)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("is", "was taken for")
    assert "22 of 30 are right" in picture.words
    assert "emu taken for dog (5)" in picture.words


def test_right_is_green_and_wrong_is_pink_and_more_is_deeper():
    colours = draw.confusion_matrix(COUNTS, NAMES).axes[0].images[0].get_array()
    green, pink = (np.array(to_rgb(draw.COLOURS[name])) for name in ("third", "fourth"))

    def depth(row, column, colour):
        (shade,) = {round(x, 6) for x in (1 - colours[row, column]) / (1 - colour)}
        return shade

    assert depth(1, 1, green) > depth(0, 0, green) > depth(2, 2, green) > 0.2
    assert depth(2, 1, pink) > depth(0, 1, pink) > depth(1, 0, pink) > 0.2
    assert np.all(colours[0, 2] == 1)


def test_without_mistakes_it_says_so():
    assert "Every photo is right." in draw.confusion_matrix(np.diag([3, 4]), "ab").words


def test_of_many_classes_those_with_the_most_mistakes_are_drawn():
    counts = np.diag(np.full(40, 9))
    counts[7, 30], counts[31, 2] = 3, 2
    picture = draw.confusion_matrix(counts, [f"class {i}" for i in range(40)])
    (ax,) = picture.axes
    names = [t.get_text() for t in ax.get_yticklabels()]

    assert len(names) == 25
    assert {"class 2", "class 7", "class 30", "class 31"} <= set(names)
    assert names == sorted(names, key=lambda name: int(name.split()[1]))
    assert ax.get_title(loc="left") == "The 25 classes of 40 with the most mistakes"
    assert cells(ax)[names.index("class 7"), names.index("class 30")] == "3"


def test_a_class_that_validation_lacks_is_no_division_by_zero():
    counts = np.array([[0, 0], [1, 3]])

    (ax,) = draw.confusion_matrix(counts, "ab").axes
    assert cells(ax) == {(1, 0): "1", (1, 1): "3"}


def test_long_names_are_cut():
    (ax,) = draw.confusion_matrix(np.eye(2, dtype=int), ["x" * 40, "y"]).axes
    name, _ = ax.get_yticklabels()

    assert name.get_text() == "x" * 17 + "…"


def test_a_curve_marks_the_state_that_is_kept():
    history = History(4, (1.0,) * 4, (0.1, 0.3, 0.5, 0.7), {2: 0.6, 4: 0.55})
    picture = draw.finetuning_curve(history, 2)
    (ax,) = picture.axes
    batches, validated, kept = ax.lines

    assert list(batches.get_ydata()) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [list(validated.get_xdata()), list(validated.get_ydata())] == [[2, 4], [0.6, 0.55]]
    assert [list(kept.get_xdata()), list(kept.get_ydata())] == [[2], [0.6]]
    assert "The state of step 2 is kept, with 60%" in picture.words


def test_an_image_is_brightest_where_the_heat_is():
    heat = np.zeros((6, 8))
    heat[2, 5] = 1
    over = draw.over_image(np.full((3, 6, 8), 0.6), heat)

    assert over.shape == (3, 6, 8)
    assert over.min() >= 0
    assert over.max() <= 1
    assert np.unravel_index(over.mean(0).argmax(), heat.shape) == (2, 5)
    assert over[:, 0, 0] == pytest.approx([0.3] * 3, abs=0.02)  # grey, and darker
