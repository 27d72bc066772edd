"""One JupyterLab and one browser for all browser tests, on a copy of the notebooks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Notebook, Server, chromium, serve
from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]

OpenNotebook = Callable[..., Notebook]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that JupyterLab serves: a copy, so that no test changes a notebook."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("lessons", "exercises"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Server]:
    with serve(folder) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_notebook(browser: Browser, server: Server, folder: Path) -> Iterator[OpenNotebook]:
    """Opens a notebook; afterwards its page is closed and its kernel stopped."""
    pages = []

    def open_(path: str, **size: int) -> Notebook:
        assert (folder / path).exists(), f"{path} is not built: run `make notebooks`"
        notebook = Notebook.open(browser, server, path, **size)
        pages.append(notebook.page)
        return notebook

    yield open_
    for page in pages:
        page.close()
    server.stop_kernels()
