"""The lesson on two frameworks where Keras is not installed, and where its ImageNet weights are here."""

from __future__ import annotations

import os
from pathlib import Path

import jupytext
import pytest
import torch
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

SOURCE = Path(__file__).parents[1] / "authoring" / "lessons" / "two_frameworks.py"
# What section 9 needs of the sections before it, by a name that its cell defines.
NEEDED = (
    "def keras_name",
    "def for_keras",
    "def to_torch",
    "def copy_weights",
    "def port",
    "differences =",
    "def stride",
    "def epsilon",
    "def padding",
    "def for_torchvision",
    "def without",
    "file =",
    "def look_at",
)


def code_cells() -> list[str]:
    return [cell.source for cell in jupytext.read(SOURCE).cells if cell.cell_type == "code"]


def test_without_keras_it_stops_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text("raise ModuleNotFoundError(\"No module named 'keras'\")")
    client = NotebookClient(jupytext.read(SOURCE), timeout=60, kernel_name="python3")
    with pytest.raises(CellExecutionError):
        client.execute(env=os.environ | {"PYTHONPATH": str(tmp_path)})

    cells = [cell for cell in client.nb.cells if cell.cell_type == "code"]
    (stopped,) = [cell for cell in cells if cell.outputs]
    assert "stop_without" in stopped.source
    (output,) = stopped.outputs
    (sentence,) = output.traceback
    assert sentence.startswith("This notebook stops here: it needs keras, which cannot be loaded")
    assert "make lab" in sentence
    assert [bool(cell.execution_count) for cell in cells].index(False) == cells.index(stopped) + 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_with_imagenet_weights_the_photos_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    cells = code_cells()
    chosen = cells[:4] + [cell for cell in cells if any(name in cell for name in NEEDED)]
    names = {"images": torch.rand(1, 3, 64, 64), "ported": None}
    for cell in dict.fromkeys(chosen):
        exec(compile(cell, "a cell", "exec"), names)
    last = next(cell for cell in cells if cell.startswith("if file.exists()"))

    exec(compile(last, "the last cell", "exec"), names)
    assert "Keras's ImageNet weights are not on this computer" in capsys.readouterr().out

    save_in_the_published_format(names["keras"].applications.ResNet50(weights=None), names["file"])
    exec(compile(last, "the last cell", "exec"), names)
    rows = capsys.readouterr().out.splitlines()
    assert [row[:8].strip() for row in rows] == ["flower"] * 7 + ["palace"] * 7
    for photo in (rows[:7], rows[7:]):
        keras_says, nothing, *others = [row[32:] for row in photo]
        assert keras_says == nothing
        assert others[-1] != nothing  # another rule for the input


def save_in_the_published_format(model, file: Path) -> None:
    """Weights as Keras publishes them: HDF5 in the layout of Keras 2."""
    import h5py

    file.parent.mkdir()
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = root.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, numbers in zip(names, layer.get_weights(), strict=True):
                group[name] = numbers
