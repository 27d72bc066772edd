"""Is this computer ready for the course? `doctor.check_up()` looks, and says how to mend what is not.

    resnet-edu doctor          in a terminal
    doctor.check_up()          as the last line of a notebook's cell

Each row looks at one thing, and imports what it needs only then: whatever is missing or broken becomes a
row with its remedy, never a traceback.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path

OK, WARNING, PROBLEM = "ok", "warning", "problem"
SYMBOLS = {OK: "✓", WARNING: "!", PROBLEM: "✗"}

GB = 10**9
LITTLE_MEMORY, LITTLE_FREE_MEMORY, LITTLE_DISK = 4 * GB, 1.5 * GB, 1 * GB

IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn"}
WIDGETS_IN_LAB = "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Row:
    """One thing that was looked at. `state` is "ok", "warning" or "problem"."""

    what: str
    found: str
    state: str = OK
    remedy: str = ""

    @property
    def mark(self) -> str:
        """The state as a symbol and a word, so that no colour is needed to read it."""
        return f"{SYMBOLS[self.state]} {self.state}"


@dataclass(frozen=True, repr=False)
class Report:
    """What the doctor found: a table in a notebook, plain text elsewhere."""

    rows: tuple[Row, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether the course will run. Warnings are allowed."""
        return all(row.state != PROBLEM for row in self.rows)

    @property
    def summary(self) -> str:
        """The whole report in one sentence."""
        problems = sum(row.state == PROBLEM for row in self.rows)
        warned = sum(row.state == WARNING for row in self.rows)
        if problems:
            return f"{_count(problems, 'problem')}: what to do stands below each."
        if warned:
            return f"The course will run, with {_count(warned, 'warning')}."
        return "Everything is ready."

    def __repr__(self) -> str:
        width = max(len(row.what) for row in self.rows)
        lines = [self.summary]
        for row in self.rows:
            lines.append(f"{row.mark:<9}  {row.what:<{width}}  {row.found}")
            if row.remedy:
                lines.append(f"{'':<{width + 13}}{row.remedy}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        # Text and ground keep the theme's own colours: readable in light and dark.
        cell = (
            "text-align: left; vertical-align: top; background: none; padding: 0.2em 1.5em 0.2em 0;"
        )
        weight = {OK: "normal", WARNING: "bold", PROBLEM: "bold"}
        rows = "".join(
            f'<tr style="background: none;">'
            f'<td style="{cell} white-space: nowrap; font-weight: {weight[row.state]};">{row.mark}</td>'
            f'<th scope="row" style="{cell} white-space: nowrap;">{escape(row.what)}</th>'
            f'<td style="{cell}">{escape(row.found)}'
            + (f"<br><em>{escape(row.remedy)}</em>" if row.remedy else "")
            + "</td></tr>"
            for row in self.rows
        )
        return f"<p><strong>{self.summary}</strong></p><table>{rows}</table>"


def check_up() -> Report:
    """Look at everything the course needs. Takes some seconds; never raises."""
    looks: list[tuple[str, Callable[[], Row]]] = [
        ("Python", _python),
        ("Computer", _computer),
        ("Memory", _memory),
        ("Course folder", _folder),
        *((name, look) for name, look in _packages()),
        ("Calculation", _calculation),
        ("torchvision's operations", _operations),
        ("Explorers", _explorers),
        ("Pictures", _pictures),
        ("Chromium", _chromium),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Report(tuple(_guarded(what, look) for what, look in looks))


def _guarded(what: str, look: Callable[[], Row]) -> Row:
    try:
        return look()
    except Exception as error:
        return Row(what, _one_line(error), PROBLEM, _reinstall())


def _python() -> Row:
    from packaging.specifiers import SpecifierSet

    needed = metadata.metadata("resnet-edu")["Requires-Python"]
    found = platform.python_version()
    if found in SpecifierSet(needed, prereleases=True):
        return Row("Python", found)
    return Row("Python", f"{found}, needed {needed}", PROBLEM, "Install a newer Python.")


def _computer() -> Row:
    system = "macOS" if platform.system() == "Darwin" else platform.system()
    return Row("Computer", f"{system}, {platform.machine()}, {_count(os.cpu_count() or 1, 'core')}")


def _memory() -> Row:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.total / GB:.1f} GB, {memory.available / GB:.1f} GB of it free"
    if memory.total < LITTLE_MEMORY:
        remedy = (
            "The lessons need up to 1.5 GB. Run one notebook at a time and close other programs."
        )
        return Row("Memory", found, WARNING, remedy)
    if memory.available < LITTLE_FREE_MEMORY:
        remedy = (
            "The lessons need up to 1.5 GB. Close other programs, and notebooks you have finished."
        )
        return Row("Memory", found, WARNING, remedy)
    return Row("Memory", found)


def _folder() -> Row:
    folder = _course_folder()
    free = shutil.disk_usage(folder).free
    found = f"{folder.name}, {free / GB:.1f} GB free on the disk"
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        remedy = "Your answers could not be saved. Copy the course to a folder of your own."
        return Row("Course folder", f"{found}; not writable ({error.strerror})", PROBLEM, remedy)
    if free < LITTLE_DISK:
        return Row("Course folder", found, WARNING, "Free some space on the disk.")
    return Row("Course folder", found)


def _packages() -> list[tuple[str, Callable[[], Row]]]:
    """One row for each package that pyproject.toml names, with the version it asks for."""
    try:
        from packaging.requirements import Requirement

        requirements = [Requirement(line) for line in metadata.requires("resnet-edu") or ()]
    except (ImportError, metadata.PackageNotFoundError) as error:
        found = _one_line(error)
        return [("Packages", lambda: Row("Packages", found, PROBLEM, _reinstall()))]

    def look_at(name: str, bounds: str) -> Callable[[], Row]:
        return lambda: _package(name, bounds)

    return [
        (requirement.name, look_at(requirement.name, str(requirement.specifier)))
        for requirement in requirements
        if not requirement.marker or requirement.marker.evaluate({"extra": ""})
    ]


def _package(name: str, bounds: str) -> Row:
    from packaging.specifiers import SpecifierSet

    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Row(name, f"not installed, needed {bounds}", PROBLEM, _reinstall())
    if not SpecifierSet(bounds, prereleases=True).contains(found):
        return Row(name, f"{found}, needed {bounds}", PROBLEM, _reinstall())
    os.environ.setdefault("KERAS_BACKEND", "torch")  # else Keras wants TensorFlow
    try:
        importlib.import_module(IMPORT_NAMES.get(name, name))
    except Exception as error:
        return Row(
            name, f"{found}, but it does not load: {_one_line(error)}", PROBLEM, _reinstall()
        )
    return Row(name, found)


def _calculation() -> Row:
    """Convolve ones with ones: 4 corners of 4, 4 edges of 6 and a middle of 9 make 49."""
    import torch

    def convolve(device: str) -> float:
        ones = torch.ones(1, 1, 3, 3, device=device)
        return torch.nn.functional.conv2d(ones, ones, padding=1).sum().item()

    processor = f"on the processor, {_count(torch.get_num_threads(), 'thread')}"
    if (result := convolve("cpu")) != 49:
        found = f"{processor}: a convolution gave {result}, not 49"
        return Row("Calculation", found, PROBLEM, _reinstall())
    if torch.cuda.is_available():
        device, card = "cuda", torch.cuda.get_device_name()
    elif torch.backends.mps.is_available():
        device, card = "mps", "Apple's GPU (MPS)"
    else:
        return Row("Calculation", processor)
    try:
        result = convolve(device)
    except Exception as error:
        result = _one_line(error)
    if result == 49:
        return Row("Calculation", f"{processor}; {card} works too")
    found = f"{processor}; {card} does not work: {result}"
    return Row("Calculation", found, WARNING, "The lessons need no GPU: you can go on.")


def _operations() -> Row:
    """Of two boxes that overlap, torchvision keeps the one with the higher score."""
    import torch
    from torchvision.ops import nms

    what = "torchvision's operations"
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    try:
        kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    except (RuntimeError, NotImplementedError) as error:
        found = f"torch and torchvision do not fit together: {_one_line(error)}"
        return Row(what, found, PROBLEM, _reinstall())
    if kept != [0, 2]:
        return Row(what, f"nms kept boxes {kept}, not [0, 2]", PROBLEM, _reinstall())
    return Row(what, "work")


def _explorers() -> Row:
    import ipywidgets

    if not hasattr(ipywidgets, "TagsInput"):  # new in ipywidgets 8
        found = f"ipywidgets {ipywidgets.__version__} is too old"
        return Row("Explorers", found, PROBLEM, _reinstall())
    if not Path(sys.prefix, WIDGETS_IN_LAB).exists():
        found = "JupyterLab's part of ipywidgets (jupyterlab_widgets) is missing"
        return Row("Explorers", found, PROBLEM, f"{_reinstall()} Then reload the page.")
    if _in_notebook():
        return Row("Explorers", "work in this notebook")
    return Row("Explorers", "will work in JupyterLab")


def _in_notebook() -> bool:
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def _pictures() -> Row:
    from sklearn.datasets import load_digits, load_sample_image

    digits, photo = len(load_digits().images), load_sample_image("flower.jpg")
    return Row("Pictures", f"{digits:,} digits; a photo of {photo.shape[1]} x {photo.shape[0]}")


def _chromium() -> Row:
    if any(map(shutil.which, (os.environ.get("CHROMIUM", ""), *CHROMIUM_NAMES))):
        return Row("Chromium", "found; only the tests of the explorers use it")
    return Row("Chromium", "not found; only the tests of the explorers would use it")


def _course_folder() -> Path:
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").exists() else Path.cwd()


def _reinstall() -> str:
    """How to mend the installation, by the way in which it was made."""
    if Path(sys.prefix, "conda-meta").exists():
        return "In the course folder run: conda env update --file environment.yml"
    if Path(sys.prefix, "resnet-edu.stamp").exists():
        return "In the course folder run: make clean, then: make lab"
    return "In the course folder run: python -m pip install -e . -c requirements.lock"


def _one_line(error: Exception) -> str:
    """The error's first line, without the paths of this computer."""
    first = (str(error).strip().splitlines() or [""])[0]
    for folder, name in ((sys.prefix, "(Python)"), (str(_course_folder()), "(course)")):
        first = first.replace(folder, name)
    first = first.replace(f"{os.path.expanduser('~')}{os.sep}", "~/")
    return f"{type(error).__name__}: {first[:200]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
