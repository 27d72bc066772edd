"""How long a learner waits: from the key press to the new picture, in a real browser."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from lab import Notebook, chromium, serve

CODE = """
from resnet_edu import data, weights, widgets

images, labels = data.digits()[:4]  # as in the lesson on plain networks
flow = widgets.GradientFlowExplorer(images, labels)
convolution = widgets.ConvolutionExplorer({"flower": data.photo(width=128), "digit": images[0]})
architecture = widgets.ArchitectureExplorer()

glyphs = data.glyphs("validation", 509).tensors[0]  # as in the lesson on the inside
sheet = glyphs[:9].view(3, 3, 3, 64, 64).permute(2, 0, 3, 1, 4).reshape(3, 192, 192)
features = widgets.FeatureExplorer(weights.bundled(), dict(enumerate(glyphs[:6])), glyphs[9:])
heat_map = widgets.HeatMapExplorer(weights.bundled(), {"sheet": sheet}, data.GLYPHS)
"""
EXPLORERS = ("flow", "convolution", "architecture", "features", "heat_map")
METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
INGREDIENTS = (("Shortcut", 2), ("Normalisation", 2), ("Initialisation", 3), ("Activation", 3))
STRIDES_TO_AND_FRO = ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft") * 10


def key_to_picture() -> dict[str, list[float]]:
    """Seconds of each key press, for five explorers, by what was done."""
    with tempfile.TemporaryDirectory() as folder:
        cells = map(new_code_cell, (CODE, *EXPLORERS))
        notebook = new_notebook(cells=list(cells), metadata=METADATA)
        nbformat.write(notebook, Path(folder, "explorers.ipynb"))
        with serve(Path(folder)) as server, chromium() as browser:
            page = Notebook.open(browser, server, "explorers.ipynb")
            page.run_all()
            return {
                "gradient flow, new setting at depth 56": _new_settings_at_depth_56(page),
                "gradient flow, any depth": _times(page, 1, "Depth", _every_depth_and_back(4)),
                "convolution, stride": _times(page, 2, "Stride", STRIDES_TO_AND_FRO),
                "architecture, image size": _every_image_size(page),
                "architecture, any place of any network": _walk_through_all_networks(page),
                "features, channel": _times(page, 4, "Channel", ("ArrowRight",) * 40),
                "features, layer": _times(
                    page, 4, "Layer", ("ArrowRight",) * 15 + ("ArrowLeft",) * 15
                ),
                "heat map, a class that was not measured": _times(
                    page, 5, "Class", ("ArrowDown",) * 40
                ),
                "heat map, layer": _times(page, 5, "Layer", ("ArrowLeft", "ArrowRight") * 15),
            }


def _new_settings_at_depth_56(page: Notebook) -> list[float]:
    """All 36 combinations of the other controls, none of them measured before."""
    _times(page, 1, "Depth", ["End"])
    for label, _ in INGREDIENTS:  # start from the first option of each
        page.control(label, page.output(1)).press("Home")
        page.page.wait_for_timeout(500)
        page.wait_until_idle()
    return [t for label, key in _snake(INGREDIENTS) for t in _times(page, 1, label, [key])]


def _every_image_size(page: Notebook) -> list[float]:
    _times(page, 3, "Image size", ["End"])
    return _times(page, 3, "Image size", (*("ArrowLeft",) * 5, *("ArrowRight",) * 5) * 4)


def _walk_through_all_networks(page: Notebook) -> list[float]:
    """From the stem to the last stage and back, with a step to another block in the last."""
    page.control("Stage", page.output(3)).press("Home")
    found = []
    for key in ("Home", *("ArrowRight",) * 4):
        page.control("Network", page.output(3)).press(key)
        page.page.wait_for_timeout(500)
        page.wait_until_idle()
        found += _times(page, 3, "Stage", ("ArrowRight",) * 4)
        found += _times(page, 3, "Block", ("ArrowRight", "ArrowLeft"))
        found += _times(page, 3, "Stage", ("ArrowLeft",) * 4)
    return found


def _snake(ingredients: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    """Key presses that visit every combination once, changing one control at a time."""
    if not ingredients:
        return []
    (label, options), inner = ingredients[0], _snake(ingredients[1:])
    back = [
        (name, "ArrowUp" if key == "ArrowDown" else "ArrowDown") for name, key in reversed(inner)
    ]
    presses: list[tuple[str, str]] = []
    for place in range(options):
        presses += inner if place % 2 == 0 else back
        presses += [(label, "ArrowDown")] if place < options - 1 else []
    return presses


def _every_depth_and_back(times: int) -> Sequence[str]:
    return [*("ArrowLeft",) * 5, *("ArrowRight",) * 5] * times


def _times(notebook: Notebook, place: int, label: str, keys: Sequence[str]) -> list[float]:
    """Both ends are seen inside the page: the control moved by a key, and the picture loaded."""
    output = notebook.output(place)
    control, picture = notebook.control(label, output), notebook.picture(output)
    notebook.page.evaluate(
        """([control, picture]) => {
            const start = () => { window.waited = {start: performance.now(), end: null}; };
            control.addEventListener('keydown', start, {capture: true});
            control.addEventListener('change', start, {capture: true});
            picture.addEventListener('load', () => { window.waited.end = performance.now(); });
        }""",
        [control.element_handle(), picture.element_handle()],
    )
    return [_time(notebook, control, key) for key in keys]


def _time(notebook: Notebook, control: Locator, key: str) -> float:
    """Until the last picture that follows the key: the text of a picture loads it anew, too."""
    is_dropdown = control.evaluate("control => control.tagName === 'SELECT'")
    control.press("Space" if is_dropdown else key)
    if is_dropdown:  # while it is closed, JupyterLab takes the arrows for itself
        notebook.page.keyboard.press(key)
        notebook.page.keyboard.press("Enter")
    notebook.page.wait_for_function(
        "() => window.waited.end && performance.now() - window.waited.end > 200"
    )
    notebook.wait_until_idle()
    return notebook.page.evaluate("() => window.waited.end - window.waited.start") / 1000


if __name__ == "__main__":
    print(json.dumps(key_to_picture(), indent=1))
