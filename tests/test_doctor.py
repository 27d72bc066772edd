"""The doctor finds what is wrong, says how to mend it, and never raises."""

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
import torchvision

from resnet_edu import cli, doctor
from resnet_edu.doctor import OK, PROBLEM, WARNING, Report, Row


def row(report: Report, what: str) -> Row:
    return next(row for row in report.rows if row.what == what)


def pretend_version(monkeypatch: pytest.MonkeyPatch, name: str, version: str | None) -> None:
    real = doctor.metadata.version

    def pretended(asked: str) -> str:
        if asked != name:
            return real(asked)
        if version is None:
            raise doctor.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(doctor.metadata, "version", pretended)


def test_a_healthy_machine() -> None:
    report = doctor.check_up()
    assert report.is_healthy, report
    assert row(report, "torch").found == doctor.metadata.version("torch")
    assert row(report, "scikit-learn").state == OK
    assert row(report, "Pictures").found == "1,797 digits; a photo of 640 x 427"
    assert "Chromium" in str(report)


def test_no_path_of_this_computer_is_shown() -> None:
    shown = str(doctor.check_up()) + doctor.check_up()._repr_html_()
    for folder in (Path.home(), Path(sys.prefix), Path(doctor.__file__).parent):
        assert f"{folder}/" not in shown


def test_an_error_is_shown_without_paths_of_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_at_files() -> Row:
        raise OSError(f"cannot open {Path.home()}/a and {sys.prefix}/b\nand more")

    monkeypatch.setattr(doctor, "_pictures", look_at_files)
    found = row(doctor.check_up(), "Pictures")
    assert found.state == PROBLEM
    assert found.found == "OSError: cannot open ~/a and (Python)/b"
    assert found.remedy


def test_a_package_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    report = doctor.check_up()
    assert not report.is_healthy
    assert row(report, "scikit-learn").state == PROBLEM
    assert "does not load" in row(report, "scikit-learn").found
    assert row(report, "Pictures").state == PROBLEM
    assert row(report, "torch").state == OK


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_version(monkeypatch, "matplotlib", None)
    found = row(doctor.check_up(), "matplotlib")
    assert found.state == PROBLEM
    assert found.found == "not installed, needed >=3.9"
    assert "In the course folder run:" in found.remedy


@pytest.mark.parametrize(
    ("version", "state"),
    [("7.8.1", PROBLEM), ("8.1", OK), ("8.1.0rc2", PROBLEM), ("9.0.0rc1", OK)],
)
def test_a_version(monkeypatch: pytest.MonkeyPatch, version: str, state: str) -> None:
    pretend_version(monkeypatch, "ipywidgets", version)
    assert row(doctor.check_up(), "ipywidgets").state == state


def test_a_course_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "requires", requires)
    assert row(doctor.check_up(), "Packages").state == PROBLEM


@pytest.mark.parametrize(
    ("total", "available", "state"),
    [(8e9, 5e9, OK), (8e9, 1.2e9, WARNING), (3.9e9, 3e9, WARNING)],
)
def test_memory(
    monkeypatch: pytest.MonkeyPatch, total: float, available: float, state: str
) -> None:
    memory = SimpleNamespace(total=total, available=available)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    report = doctor.check_up()
    assert row(report, "Memory").state == state
    assert report.is_healthy


def test_a_folder_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    found = row(doctor.check_up(), "Course folder")
    assert found.state == PROBLEM
    assert "not writable (Permission denied)" in found.found
    assert "folder of your own" in found.remedy


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=5e8))
    assert row(doctor.check_up(), "Course folder").state == WARNING


def test_torch_and_torchvision_that_do_not_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def nms(*_: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", nms)
    found = row(doctor.check_up(), "torchvision's operations")
    assert found.state == PROBLEM
    assert "do not fit together" in found.found


def test_a_processor_that_miscalculates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_, **__: torch.ones(2))
    found = row(doctor.check_up(), "Calculation")
    assert found.state == PROBLEM
    assert "gave 2.0, not 49" in found.found


def test_a_graphics_card_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def ones(*shape: int, device: str) -> torch.Tensor:
        if device == "cuda":
            raise RuntimeError("no kernel image is available")
        return torch.full(shape, 1.0)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old card")
    monkeypatch.setattr(torch, "ones", ones)
    report = doctor.check_up()
    found = row(report, "Calculation")
    assert found.state == WARNING
    assert "Old card does not work: RuntimeError: no kernel image" in found.found
    assert report.is_healthy


def test_jupyterlab_without_its_part_of_ipywidgets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = row(doctor.check_up(), "Explorers")
    assert found.state == PROBLEM
    assert "jupyterlab_widgets" in found.found
    assert "pip install -e ." in found.remedy


@pytest.mark.parametrize(
    ("file", "command"),
    [("conda-meta", "conda env update"), ("resnet-edu.stamp", "make clean"), ("other", "pip")],
)
def test_the_remedy_is_that_of_the_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, command: str
) -> None:
    (tmp_path / file).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert command in row(doctor.check_up(), "Explorers").remedy


def test_chromium_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    found = row(doctor.check_up(), "Chromium")
    assert found.state == OK
    assert "not found" in found.found


def test_html_shows_text_as_it_is() -> None:
    html = Report((Row("<b>", "a < b & c", PROBLEM, "run <this>"),))._repr_html_()
    assert "<th scope=" in html
    for shown in ("&lt;b&gt;", "a &lt; b &amp; c", "run &lt;this&gt;", "✗ problem"):
        assert shown in html


@pytest.mark.parametrize(
    ("states", "summary"),
    [
        ([OK, OK], "Everything is ready."),
        ([OK, WARNING], "The course will run, with 1 warning."),
        ([WARNING, PROBLEM, PROBLEM], "2 problems: what to do stands below each."),
    ],
)
def test_the_first_line_sums_up(states: list[str], summary: str) -> None:
    report = Report(tuple(Row("thing", "found", state) for state in states))
    assert str(report).splitlines()[0] == summary
    assert summary in report._repr_html_()


@pytest.mark.parametrize(("state", "code"), [(OK, 0), (WARNING, 0), (PROBLEM, 1)])
def test_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    report = Report((Row("Thing", "as found", state, "do this"),))
    monkeypatch.setattr(doctor, "check_up", lambda: report)
    assert cli.main(["doctor"]) == code
    assert "as found" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["quack"]])
def test_a_command_that_does_not_exist(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: resnet-edu" in capsys.readouterr().err


def test_the_command_line_starts_without_the_libraries() -> None:
    code = (
        "import sys, resnet_edu.cli, resnet_edu.doctor;"
        "print({'torch', 'torchvision', 'sklearn', 'matplotlib', 'ipywidgets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
