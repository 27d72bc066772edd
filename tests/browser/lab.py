"""A private JupyterLab, and a notebook in it that is moved by a real browser.

    with serve(folder) as server, chromium() as browser:
        notebook = Notebook.open(browser, server, "lessons/01_convolution_blocks.ipynb")
        notebook.run_all()
        notebook.screenshot("lesson.png")

The server keeps its settings, workspaces and kernels in a temporary folder, and knows nothing of the
person's own JupyterLab.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_HINT = (
    "No Chromium was found. Install it (Debian and Ubuntu: apt-get install chromium; macOS: brew install "
    "chromium) or set CHROMIUM to the program's path."
)
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUN_TIMEOUT = 300_000  # milliseconds

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    # All cells are in the page, also those out of sight.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


def find_chromium() -> str | None:
    """The path of a Chromium on this machine: $CHROMIUM, or one of the usual names."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Raises RuntimeError where there is no Chromium."""
    program = find_chromium()
    if program is None:
        raise RuntimeError(CHROMIUM_HINT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Server:
    """A running JupyterLab."""

    url: str
    token: str

    def page_url(self, path: str) -> str:
        """The address of the notebook at `path`, below the folder that is served, and no other open."""
        return f"{self.url}lab/tree/{path}?reset&token={self.token}"

    def stop_kernels(self) -> None:
        """Stop every kernel, with its notebook's session."""
        for session in json.load(self._request("GET", "api/sessions")):
            self._request("DELETE", f"api/sessions/{session['id']}")

    def kernel_ids(self) -> list[str]:
        """The ids of the kernels that run."""
        return [kernel["id"] for kernel in json.load(self._request("GET", "api/kernels"))]

    def _request(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        return urllib.request.urlopen(request, timeout=30)


@contextmanager
def serve(folder: Path, *, dark: bool = False) -> Iterator[Server]:
    """JupyterLab on `folder`, on a free port of this machine. It ends with the `with` block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as private:
        environment = _private_environment(Path(private), dark)
        log = Path(private, "server.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    *("--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=200"),
                    *(f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"),
                ],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _wait_for(process, Path(environment["JUPYTER_RUNTIME_DIR"]), log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _private_environment(private: Path, dark: bool) -> dict[str, str]:
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
    }
    folders = {variable: private / name for variable, name in names.items()}
    for folder in folders.values():
        folder.mkdir()
    # As for learners: what they change is not written into the sources of the notebooks.
    config = {"ServerApp": {"jpserver_extensions": {"jupyterlab_jupytext": False}}}
    (folders["JUPYTER_CONFIG_DIR"] / "jupyter_server_config.json").write_text(json.dumps(config))
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    for name, values in {
        **SETTINGS,
        "@jupyterlab/apputils-extension/themes": {"theme": theme},
    }.items():
        path = folders["JUPYTERLAB_SETTINGS_DIR"] / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return os.environ | {variable: str(folder) for variable, folder in folders.items()}


def _wait_for(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> Server:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            try:
                info = json.loads(path.read_text())
                server = Server(info["url"], info["token"])
                server.kernel_ids()
            except (OSError, ValueError):  # not complete, or not yet listening
                continue
            return server
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")


@dataclass
class Notebook:
    """An open notebook in a page, with an idle kernel."""

    page: Page
    console_errors: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls, browser: Browser, server: Server, path: str, *, width: int = 1400, height: int = 1000
    ) -> Notebook:
        """Open the notebook at `path` in a new page and wait until its kernel is idle."""
        page = browser.new_page(viewport={"width": width, "height": height})
        notebook = cls(page)
        page.on("console", notebook._keep_console_error)
        page.on("pageerror", lambda error: notebook.console_errors.append(str(error)))
        page.goto(server.page_url(path))
        page.wait_for_function(
            """name => {
                const panel = window.jupyterapp?.shell.currentWidget;
                return panel?.context?.isReady && panel.context.path.endsWith(name)
                    && panel.sessionContext?.session?.kernel?.status === 'idle';
            }""",
            arg=path.rsplit("/", 1)[-1],
            timeout=90_000,
        )
        page.evaluate(
            """() => {
                window.callbackErrors = [];
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                kernel.iopubMessage.connect((_, message) => {
                    if (message.header.msg_type === 'error'
                        && message.parent_header.msg_type.startsWith('comm'))
                        window.callbackErrors.push(
                            `${message.content.ename}: ${message.content.evalue}`);
                });
            }"""
        )
        return notebook

    def _keep_console_error(self, message: Any) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} {message.location.get('url', '')}")

    def run_all(self) -> None:
        """Run all cells and wait until the last has ended and its widgets are shown."""
        self.page.set_default_timeout(RUN_TIMEOUT)
        self.page.evaluate(
            "async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
        )
        self.wait_until_idle()
        self.page.set_default_timeout(30_000)

    def run_cell(self, place: int) -> None:
        """Run one cell, counted from 0, and wait until it has ended."""
        self.page.evaluate(
            """async place => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = place;
                await window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            place,
        )
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until the kernel has nothing to do and the page has drawn the answer."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"
            " === 'idle'"
        )
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def cells(self) -> list[dict[str, Any]]:
        """The cells as they would be saved."""
        return self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"
        )

    def set_source(self, place: int, source: str) -> None:
        """Replace the text of one cell, counted from 0."""
        self.page.evaluate(
            """([place, source]) => window.jupyterapp.shell.currentWidget.content.model
                .sharedModel.getCell(place).setSource(source)""",
            [place, source],
        )

    def errors(self) -> list[str]:
        """Whatever went wrong: in a cell, on stderr, or in a widget's callback."""
        found = [
            f"cell {place}: {output.get('ename', output.get('text'))}: {output.get('evalue', '')}"
            for place, cell in enumerate(self.cells())
            for output in cell.get("outputs", [])
            if output["output_type"] == "error" or output.get("name") == "stderr"
        ]
        if self.page.get_by_text("Error displaying widget").count():
            found.append("Error displaying widget")
        return found + self.callback_errors()

    def callback_errors(self) -> list[str]:
        """Exceptions in callbacks of widgets, which JupyterLab shows nowhere in the notebook."""
        return self.page.evaluate("() => window.callbackErrors")

    def output(self, place: int) -> Locator:
        """What stands below one cell, counted from 0."""
        return self.page.locator(".jp-Notebook-cell").nth(place).locator(".jp-Cell-outputWrapper")

    def control(self, label: str, within: Locator | None = None) -> Locator:
        """The part that takes the keyboard, of the slider, dropdown, button or field with this label."""
        root = within or self.page.locator(".jp-Notebook")
        button = root.locator("button.jupyter-button", has_text=label)
        if button.count():
            return button.first
        named = root.locator("label.widget-label", has_text=_exactly(label)).first
        return named.locator("xpath=..").locator(".noUi-handle, select, input, textarea").first

    def choose(self, select: Locator, option: str) -> None:
        """Choose from a dropdown by keyboard, as it goes in JupyterLab: Space, arrows, Enter."""
        options = [text.strip() for text in select.locator("option").all_text_contents()]
        steps = options.index(option) - select.evaluate("select => select.selectedIndex")
        select.press("Space")
        for _ in range(abs(steps)):
            self.page.keyboard.press("ArrowDown" if steps > 0 else "ArrowUp")
        self.page.keyboard.press("Enter")

    def picture(self, within: Locator | None = None) -> Locator:
        """The picture of an explorer."""
        return (within or self.page.locator(".jp-Notebook")).locator("img.widget-image").first

    @contextmanager
    def new_picture(self, picture: Locator) -> Iterator[None]:
        """Do something in the `with` block; at its end, wait until `picture` shows another picture."""
        before = picture.get_attribute("src")
        yield
        self.page.wait_for_function(
            "([picture, before]) => picture.src !== before && picture.complete",
            arg=[picture.element_handle(), before],
        )
        self.wait_until_idle()

    def too_wide(self) -> list[str]:
        """Outputs of which a part is out of sight to the right."""
        return self.page.locator(".jp-Notebook .jp-OutputArea-output").evaluate_all(
            """outputs => outputs
                .filter(output => output.scrollWidth > output.clientWidth + 1)
                .map(output => `${output.scrollWidth} pixels in ${output.clientWidth}: `
                    + output.textContent.trim().slice(0, 80))"""
        )

    def screenshot(self, path: str | Path) -> None:
        """A picture of the whole notebook, as if the screen were as high as it."""
        size = self.page.viewport_size
        out_of_sight = """() => {
            const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
            const scroller = panel.querySelector('.jp-WindowedPanel-outer');
            scroller.scrollTop = 0;
            const end = [...panel.querySelectorAll('.jp-Notebook-cell')].at(-1);
            return Math.ceil(
                end.getBoundingClientRect().bottom - scroller.getBoundingClientRect().bottom) + 40;
        }"""
        for _ in range(2):  # a higher page may lose a scroll bar, and its lines break elsewhere
            height = self.page.viewport_size["height"] + self.page.evaluate(out_of_sight)
            self.page.set_viewport_size({"width": size["width"], "height": max(height, 400)})
            self.page.wait_for_timeout(300)
        self.page.screenshot(path=path)
        self.page.set_viewport_size(size)


def text_of(picture: Locator) -> str:
    """What a person who does not see the picture is told: its accessible name."""
    return picture.evaluate("e => e.alt || e.ariaLabel || e.title")


def _exactly(text: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*{re.escape(text)}\s*$")
