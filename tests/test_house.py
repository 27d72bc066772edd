"""The floors of the house: which part of the library may import which, and what an import costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import resnet_edu

PACKAGE = Path(resnet_edu.__file__).parent
STDLIB = sys.stdlib_module_names
HEAVY = {"IPython", "ipywidgets", "keras", "matplotlib", "sklearn", "torchvision"}

# Each floor: the floors it may import from, and the libraries. Floors import only from those above, and the
# table in CONTRIBUTING.md says the same in the same order.
FLOORS = {
    "__init__": (set(), set()),
    "blocks": (set(), {"torch"}),
    "course": (set(), set()),
    "networks": ({"blocks"}, {"torch"}),
    "as_found": (set(), {"torch"}),
    "data": (set(), {"PIL", "matplotlib", "numpy", "sklearn", "torch", "torchvision"}),
    "files": (set(), {"safetensors", "torch"}),
    "weights": ({"blocks", "networks", "files"}, {"torch", "torchvision"}),
    "measure": ({"blocks", "networks", "as_found"}, {"numpy", "torch"}),
    "training": ({"networks", "as_found", "files"}, {"torch", "tqdm"}),
    "transfer": ({"networks", "as_found", "training"}, {"sklearn", "torch"}),
    "dense": ({"blocks", "networks", "as_found"}, {"torch", "torchvision"}),
    "pretrain": ({"networks", "data", "weights", "training"}, {"numpy", "torch"}),
    "draw": ({"measure"}, {"PIL", "matplotlib", "numpy"}),
    "page": (set(), set()),
    "finetune": (
        {"networks", "data", "files", "weights", "measure", "training", "transfer", "draw", "page"},
        {"PIL", "matplotlib", "numpy", "torch", "tqdm"},
    ),
    "widgets": (
        {"networks", "measure", "training", "transfer", "draw"},
        {"IPython", "ipywidgets", "torch", "traitlets"},
    ),
    "checks": ({"blocks", "course", "networks", "as_found", "measure"}, {"numpy", "torch"}),
    "grade": ({"course", "page", "checks"}, {"nbclient", "nbformat", "psutil", "tqdm"}),
    "doctor": (set(), None),
}
ROOF = "cli"  # may import anything
NAMES = {"Pillow": "PIL", "scikit-learn": "sklearn"}  # of a package, and of what is imported


def floor_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path, skip_type_checking):
    """The dotted names that a file imports, wherever in it the import stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if skip_type_checking:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
                node.body = []
    package = ["resnet_edu", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from resnet_edu import data` and `from torch import nn` name modules or things in them
            yield from (f"{module}.{alias.name}" for alias in node.names)


def wrong_imports(path):
    floor = floor_of(path)
    floors, libraries = FLOORS[floor]
    for name in imports(path, skip_type_checking=floor == "draw"):
        top, *rest = name.split(".")
        if top == "resnet_edu":
            inner = rest[0] if rest else "__init__"
            if inner not in floors | {floor, "__version__"}:
                yield name
        elif top not in STDLIB and libraries is not None and top not in libraries:
            yield name


FILES = sorted(p for p in PACKAGE.rglob("*.py") if floor_of(p) != ROOF)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_imports_only_from_the_floors_above_it(path):
    assert floor_of(path) in FLOORS, "a new file needs its place in the house: add it to FLOORS"
    assert list(wrong_imports(path)) == []


def test_the_floors_stand_in_an_order_without_circles():
    order = list(FLOORS)
    for floor, (floors, _) in FLOORS.items():
        assert all(order.index(above) < order.index(floor) for above in floors), floor


def table_of_contributing():
    """The floors in CONTRIBUTING.md, top to bottom, each with all names that it may import."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `resnet_edu/(\w+)(?:/|\.py)` \|.*\| (.*) \|$", text, re.MULTILINE)
    return [
        (floor, {NAMES.get(name, name) for name in cell.split(", ")} - {"nothing"})
        for floor, cell in rows
    ]


def test_contributing_says_what_each_floor_may_import():
    expected = [
        (floor, floors | ({"any library"} if libraries is None else libraries))
        for floor, (floors, libraries) in FLOORS.items()
        if floor != "__init__"  # the sentence below the table
    ]
    assert table_of_contributing() == [*expected, (ROOF, {"anything"})]


def test_every_floor_is_there():
    assert {floor_of(path) for path in FILES} == set(FLOORS)


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("blocks.py", "from resnet_edu.networks import ResNet", "resnet_edu.networks.ResNet"),
        ("blocks.py", "from resnet_edu import networks", "resnet_edu.networks"),
        ("blocks.py", "from . import networks", "resnet_edu.networks"),
        ("networks.py", "def f():\n    import torchvision.models", "torchvision.models"),
        ("measure/new.py", "from ..widgets import x", "resnet_edu.widgets.x"),
        ("measure/new.py", "import matplotlib.pyplot as plt", "matplotlib.pyplot"),
        ("draw/new.py", "import torch", "torch"),
        ("draw/new.py", "from torch import nn", "torch.nn"),
        ("draw/new.py", "if x:\n    import torch", "torch"),
        ("draw/new.py", "from resnet_edu.data import photo", "resnet_edu.data.photo"),
        ("__init__.py", "from resnet_edu.blocks import BasicBlock", "resnet_edu.blocks.BasicBlock"),
        ("doctor.py", "import resnet_edu.networks", "resnet_edu.networks"),
    ],
)
def test_a_wrong_import_would_be_found(monkeypatch, tmp_path, file, line, wrong):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"import math\n{line}\n")

    assert list(wrong_imports(path)) == [wrong]


def test_draw_may_name_torch_for_a_type_checker(monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "draw" / "new.py"
    path.parent.mkdir()
    path.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n")

    assert list(wrong_imports(path)) == []


# What an import loads


def loaded_by(*modules):
    """The names of all modules that a fresh Python has loaded after importing these."""
    return loaded_by_code(f"import {', '.join(modules)}")


def loaded_by_code(code):
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in run.stdout.split()}


def test_the_package_alone_loads_nothing_heavy():
    assert not loaded_by("resnet_edu") & (HEAVY | {"torch", "numpy"})


def test_blocks_networks_weights_and_measure_load_torch_alone():
    names = ("blocks", "networks", "weights", "measure")
    loaded = loaded_by(*(f"resnet_edu.{name}" for name in names))

    assert "torch" in loaded
    assert not loaded & HEAVY


def test_data_loads_scikit_learn_only_when_images_are_wanted():
    assert not loaded_by("resnet_edu.data") & HEAVY


@pytest.mark.slow
def test_a_network_without_numbers_loads_nothing_more():
    """PyTorch loads its compiler, which takes seconds, to draw numbers that are not there."""
    build = (
        "import torch\nfrom resnet_edu.networks import {}\ntorch.set_default_device('meta')\n{}({})"
    )

    assert "sympy" not in loaded_by_code(build.format("resnet50", "resnet50", ""))
    assert "sympy" not in loaded_by_code(build.format("cifar_resnet", "cifar_resnet", 8))
