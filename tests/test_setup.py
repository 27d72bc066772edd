"""The set-up: install.sh with a stand-in for Python, and the files that must say the same thing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from resnet_edu.doctor import IMPORT_NAMES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]

GOOD = "3.12 Linux-x86_64 True"
TOOLS = ("awk", "cat", "cksum", "cp", "df", "dirname", "grep", "mkdir", "rm", "sed", "sh")

# Answers as Python would, in no time: the probes of install.sh, venv, pip and uv.
STAND_IN = """#!/bin/sh
case $1 in
-c)
    case $2 in
    *platform.system*) [ -n "$PROBE" ] && echo "$PROBE" ;;
    *'print(name)'*) printf "$MISSING" ;;
    *pty.spawn*) exec "{python}" "$@" ;;
    esac ;;
-m)
    echo "$@" >>calls
    case $2 in
    venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    uv) echo "Resolved 3 packages"; printf "$UV_SAYS"; exit ${{UV_STATUS:-0}} ;;
    esac ;;
esac
"""


class Course:
    """A folder with all that install.sh needs, and a PATH on which the stand-in is `python3`."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        folder.mkdir()
        programs.mkdir()
        for name in ("install.sh", "pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, folder)
        for name in TOOLS:
            (programs / name).symlink_to(shutil.which(name))
        self.python = self.add_program("python3", STAND_IN.format(python=sys.executable))

    def add_program(self, name: str, text: str) -> Path:
        program = self.programs / name
        program.unlink(missing_ok=True)
        program.write_text(text)
        program.chmod(0o755)
        return program

    def install(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.programs), "PROBE": GOOD} | variables
        (self.folder / "calls").unlink(missing_ok=True)
        return subprocess.run(
            [self.folder / "install.sh"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def fails(self, **variables: str) -> str:
        """What a failing set-up tells: one paragraph, on stderr, without a traceback."""
        done = self.install(**variables)
        assert done.returncode == 1, done
        assert done.stderr.startswith("\nThe set-up stopped: ")
        assert "Traceback" not in done.stdout + done.stderr
        return done.stderr

    @property
    def calls(self) -> list[str]:
        """What the stand-in was asked to do by the last run."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def uv_call(self) -> str:
        return next((call for call in self.calls if call.startswith("-m uv")), "")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path / "a course", tmp_path / "programs")


def test_the_first_run_installs_and_the_second_does_nothing(course: Course) -> None:
    done = course.install()
    assert done.returncode == 0, done
    assert "about 3 GB" in done.stdout
    assert "TORCH_BACKEND=cpu" in done.stdout
    assert [call.split()[1] for call in course.calls] == ["venv", "pip", "uv"]
    assert "--editable .[dev] --constraint requirements.lock" in course.uv_call
    assert "--torch-backend" not in course.uv_call

    done = course.install()
    assert (done.returncode, done.stdout, done.stderr, course.calls) == (0, "", "", [])


def test_the_small_build_is_asked_for_once(course: Course) -> None:
    done = course.install(TORCH_BACKEND="cpu")
    assert "about 0.5 GB" in done.stdout
    assert "--torch-backend=cpu" in course.uv_call

    course.install()
    assert course.calls == []

    course.install(TORCH_BACKEND="default")
    assert "--torch-backend" not in course.uv_call
    assert course.uv_call


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_list_of_packages_is_installed(course: Course, name: str) -> None:
    course.install()
    with (course.folder / name).open("a") as file:
        file.write("# changed\n")
    done = course.install()
    assert "has changed" in done.stdout
    assert [call.split()[1] for call in course.calls] == ["pip", "uv"]
    course.install()
    assert course.calls == []


def test_a_moved_folder_is_installed_anew(course: Course) -> None:
    course.install()
    course.folder = course.folder.rename(course.folder.with_name("moved away"))
    done = course.install()
    assert "the folder was moved" in done.stdout
    assert [call.split()[1] for call in course.calls] == ["venv", "pip", "uv"]


def test_another_python_makes_another_venv(course: Course) -> None:
    course.install()
    done = course.install(PYTHON=str(course.python), PROBE="3.13 Linux-x86_64 True")
    assert "another Python, 3.13" in done.stdout
    assert course.calls


def test_what_did_not_finish_is_done_again(course: Course) -> None:
    course.fails(UV_STATUS="2", TORCH_BACKEND="cpu")
    done = course.install()
    assert "did not finish" in done.stdout
    assert "--torch-backend=cpu" in course.uv_call


def test_ctrl_c_stops_without_a_complaint(course: Course) -> None:
    done = course.install(UV_STATUS="130")
    assert done.returncode == 130
    assert done.stderr == "\nStopped. Run the same command again to go on.\n"
    assert course.install().returncode == 0
    assert course.uv_call


def test_no_python(course: Course) -> None:
    course.python.unlink()
    assert "no Python 3.11 or newer was found.\n" in course.fails()


def test_only_an_old_python(course: Course) -> None:
    told = course.fails(PROBE="3.9 Linux-x86_64 True")
    assert "no Python 3.11 or newer was found. (python3 is Python 3.9.)\n" in told
    assert not (course.folder / ".venv").exists()


def test_a_newer_python_under_another_name(course: Course) -> None:
    course.add_program("python3", "#!/bin/sh\necho 3.10 Linux-x86_64 True\n")
    course.add_program("python3.13", STAND_IN.format(python=sys.executable))
    assert course.install().returncode == 0


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho Python 3.9.2\n"])
def test_the_chosen_python_is_none(course: Course, program: str) -> None:
    chosen = course.add_program("my python", program)
    told = course.fails(PYTHON=str(chosen))
    assert f"PYTHON={chosen} is " in told
    assert "not a working Python 3.11 or newer" in told
    assert "make lab PYTHON=" in told


def test_debian_without_venv(course: Course) -> None:
    told = course.fails(PROBE="3.11 Linux-x86_64 False")
    assert "Python 3.11 has no venv module" in told
    assert "sudo apt install python3.11-venv" in told


def test_a_mac_with_an_intel_processor_keeps_what_it_has(course: Course) -> None:
    course.install()
    told = course.fails(PROBE="3.12 Darwin-x86_64 True", PYTHON=str(course.python))
    assert "Intel" in told
    assert "conda" in told
    assert (course.folder / ".venv").exists()


def test_an_unknown_build_of_pytorch_keeps_what_it_has(course: Course) -> None:
    course.install()
    assert "TORCH_BACKEND=gpu is not a build of PyTorch" in course.fails(TORCH_BACKEND="gpu")
    assert course.install().stdout == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: Request failed\\n  cause: tcp connect error",
            "the packages could not be downloaded",
        ),
        ("error: dns error: failed to lookup address", "the packages could not be downloaded"),
        ("error: No space left on device (os error 28)", "the disk is full"),
        (
            "  × no wheels with a matching Python ABI tag",
            "a package has no build for this computer",
        ),
        ("error: something new", "installing the packages failed"),
    ],
)
def test_why_uv_failed(course: Course, said: str, told: str) -> None:
    done = course.install(UV_SAYS=said, UV_STATUS="2")
    assert done.returncode == 1
    assert done.stderr.startswith(f"\nThe set-up stopped: {told}")
    assert "The details are in .venv/install.log." in done.stderr
    assert "Resolved 3 packages" in done.stdout  # progress is shown, ...
    assert said.split()[-1] not in done.stdout  # ... the error is kept for the log
    assert said.split()[-1] in (course.folder / ".venv/install.log").read_text()


def test_a_venv_whose_python_does_not_start(course: Course) -> None:
    course.install()
    (course.folder / ".venv/bin/python").unlink()
    told = course.fails()
    assert ".venv is broken: its Python does not start" in told
    assert "make clean" in told


def test_a_venv_from_which_modules_were_deleted(course: Course) -> None:
    course.install()
    told = course.fails(MISSING="torch\\nnumpy\\n")
    assert ".venv is broken, parts of it are missing (torch numpy)" in told
    assert "make clean" in told


def test_a_venv_of_an_old_python(course: Course) -> None:
    (course.folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(course.python, course.folder / ".venv/bin/python")
    assert ".venv was made with Python 3.9" in course.fails(PROBE="3.9 Linux-x86_64 True")


def test_a_folder_that_cannot_be_written_to(course: Course) -> None:
    course.add_program("mkdir", "#!/bin/sh\necho mkdir: Read-only file system >&2\nexit 1\n")
    assert f"the folder {course.folder} cannot be written to" in course.fails()


def test_the_check_for_lost_modules_knows_all_packages() -> None:
    listed = re.search(r'for name in """(.+?)"""', (ROOT / "install.sh").read_text(), re.DOTALL)
    names = IMPORT_NAMES | {"pytest-xdist": "xdist"}
    needed = {names.get(package.name, package.name) for package in RUNTIME + DEV}
    assert needed <= set(listed.group(1).split())


def test_conda_gets_what_pyproject_asks_for() -> None:
    text = (ROOT / "environment.yml").read_text()
    listed = set(re.findall(r"^  - (\S+[<>=]\S+)$", text, re.MULTILINE))
    ours = {str(package).replace("torch>", "pytorch>", 1) for package in RUNTIME}
    assert listed == ours | {"python=3.12"}
    assert re.search(r"^channels:\n  - conda-forge\n\w", text, re.MULTILINE)
    assert text.endswith("  - pip:\n      - -e .\n")


def lock() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def test_the_lock_pins_what_pyproject_asks_for() -> None:
    for package in RUNTIME + DEV:
        pins = [pin for pin in lock() if pin.name == package.name]
        assert pins, package
        for pin in pins:
            (version,) = (specifier.version for specifier in pin.specifier)
            assert package.specifier.contains(version), (package, pin)


def test_the_lock_pins_every_package_and_names_no_address() -> None:
    assert all([s.operator for s in pin.specifier] == ["=="] for pin in lock())
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "install.sh"):
        assert not re.search(r"https?://|--(extra-)?index-url[ =]", (ROOT / name).read_text()), name


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE)) - {"help", "install"}
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert targets == set(re.findall(r"^make (\w+) ", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r'(?:\]\(|src="|srcset=")([^)#"\s]+)', (ROOT / name).read_text())
    inside = [link for link in links if "://" not in link]
    assert inside
    assert [link for link in inside if not (ROOT / link).exists()] == []


def test_readme_lists_every_lesson() -> None:
    listed = set(re.findall(r"lessons/(\d\d\w+)\.ipynb", (ROOT / "README.md").read_text()))
    assert listed == {path.stem for path in (ROOT / "lessons").glob("*.ipynb")}
