"""Run learners' sheets and judge them, each in a fresh kernel in a temporary folder."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm.auto import tqdm

from resnet_edu.checks.verdict import NOT_ATTEMPTED
from resnet_edu.course import Task
from resnet_edu.grade.sheet import Graded, Handed, NotASheet, Status, TaskResult, is_check, read

AT_ONCE = 2
SECONDS = 60
"""What one cell may take. The course's own take less than ten on a slow machine."""
MEMORY = 3 * 2**30
"""What one kernel may take, in bytes. A sheet needs about 1 GB, most of it for PyTorch."""
_STARTS = 5  # kernels for one sheet: what hangs or kills one is left out in the next


class _Broken(Exception):  # noqa: N818 - reads as a sentence
    """A cell has hung or killed its kernel."""


def grade(paths: Sequence[Path]) -> list[Graded]:
    """Grade the sheets at `paths`, two at a time, with a progress bar. No sheet stops the others."""
    return asyncio.run(_grade_all(paths))


async def _grade_all(paths: Sequence[Path]) -> list[Graded]:
    places = asyncio.Semaphore(AT_ONCE)
    with tqdm(desc="Grading", total=len(paths), unit="sheet") as bar:

        async def when_there_is_a_place(path: Path) -> Graded:
            async with places:
                graded = await _grade_one(path)
            bar.update(1)
            return graded

        return await asyncio.gather(*map(when_there_is_a_place, paths))


async def _grade_one(path: Path) -> Graded:
    try:
        handed = read(path)
    except NotASheet as error:
        return Graded(path, notes=(str(error),))
    marking = _Marking(handed)
    for _ in range(_STARTS):
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                await marking.run(Path(folder))
            break
        except _Broken:
            continue
        except Exception as error:  # whatever it is, it must not stop the other sheets
            return Graded(path, notes=(f"Marking it failed: {error!r}.",))
    return Graded(path, marking.results(), (*handed.notes, *marking.notes))


class _Marking:
    """One sheet on its way: what was found so far, and what the next kernel must leave out."""

    def __init__(self, handed: Handed) -> None:
        self.handed = handed
        self.broken: dict[int, str] = {}  # cells that hung or killed the kernel, and how
        self.errors: dict[int, str] = {}  # cells that raised
        self.said: dict[str, dict[str, Any]] = {}  # what the checks said, by the task's name
        self.notes: list[str] = []

    async def run(self, folder: Path) -> None:
        """Run the cells and judge what they define. Raises _Broken where the kernel is lost."""
        async with _kernel(folder) as kernel:
            await kernel.execute(
                "from resnet_edu.grade import inside as _inside; _inside.close_network()"
            )
            for place, code in enumerate(self.handed.cells):
                if place in self.broken or is_check(code):
                    continue
                try:
                    error = await kernel.execute(code)
                except _Broken as how:
                    self.broken[place] = str(how)
                    self.notes.append(f"Code cell {place + 1} {how}.")
                    raise
                if error:
                    self.errors[place] = error
            for task in self.handed.tasks:
                if task.name not in self.said:
                    await self.judge(kernel, task, folder)

    async def judge(self, kernel: _Kernel, task: Task, folder: Path) -> None:
        """Ask the check of one task. Raises _Broken where the kernel is lost."""
        to = folder / f"{secrets.token_hex(16)}.json"
        inside = "__import__('sys').modules['resnet_edu.grade.inside']"
        try:
            error = await kernel.execute(f"{inside}.judge({task.name!r}, globals(), {str(to)!r})")
        except _Broken as how:
            self.said[task.name] = {"error": str(how)}
            raise
        if error:
            self.said[task.name] = {"error": error}
        elif not to.exists():
            self.said[task.name] = {"error": "kept our check from running", "sealed": False}
        else:
            self.said[task.name] = json.loads(to.read_text("utf-8"))

    def results(self) -> tuple[TaskResult, ...]:
        """The tasks in order."""
        if any(said.get("sealed") is False for said in self.said.values()):
            self.notes.append("It changes the library's checks: look at it yourself.")
        return tuple(self._result(task) for task in self.handed.tasks)

    def _result(self, task: Task) -> TaskResult:
        said = self.said.get(task.name, {"error": "was not reached: other cells broke the kernel"})
        if "error" in said:
            return TaskResult(task, Status.CRASHED, message=f"The answer {said['error']}.")
        if not said["found"]:
            cells = self.handed.defines(task.name)
            stopped = [self.broken.get(cell) or self.errors.get(cell) for cell in cells]
            if any(stopped):
                what = next(filter(None, stopped))
                return TaskResult(task, Status.CRASHED, message=f"Its cell {what}.")
            return TaskResult(task, Status.MISSING, message="Nothing of this name is defined.")
        if said["module"] != "__main__" and said["mistake"] != "not-callable":
            message = f"It was not written here, but comes from {said['module']}."
            return TaskResult(task, Status.MISSING, message=message)
        if said["passed"]:
            return TaskResult(task, Status.PASSED)
        if said["mistake"] == NOT_ATTEMPTED:
            return TaskResult(task, Status.NOT_ATTEMPTED)
        return TaskResult(task, Status.WRONG, said["mistake"], said["message"])


class _Kernel:
    """A kernel with limits."""

    def __init__(self, client: NotebookClient) -> None:
        self.client = client
        self.too_large = False

    async def execute(self, code: str) -> str | None:
        """Run `code`. Returns what it raised, in words, and raises _Broken where the kernel is lost."""
        cells = self.client.nb.cells
        cells.append(nbformat.v4.new_code_cell(code))
        try:
            await self.client.async_execute_cell(cells[-1], len(cells) - 1)
        except CellExecutionError as error:
            return f"stopped with {error.ename}: {error.evalue[:200]}"
        except CellTimeoutError as error:
            raise _Broken(f"ran longer than {SECONDS} seconds") from error
        except DeadKernelError as error:
            if self.too_large:
                raise _Broken(f"took more than {MEMORY / 2**30:.0f} GB of memory") from error
            raise _Broken("ended the kernel") from error
        return None


@asynccontextmanager
async def _kernel(folder: Path) -> AsyncIterator[_Kernel]:
    """A fresh kernel that works in `folder`, watched, and gone afterwards."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    own = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    environment = {k: v for k, v in os.environ.items() if k != "RESNET_EDU_STRICT"} | own
    async with client.async_setup_kernel(env=environment, stderr=subprocess.DEVNULL):
        kernel = _Kernel(client)
        process = psutil.Process(client.km.provisioner.pid)
        watch = asyncio.create_task(_watch(process, kernel))
        try:
            yield kernel
        finally:
            watch.cancel()
            _kill(process)


async def _watch(process: psutil.Process, kernel: _Kernel) -> None:
    """Kill a kernel that takes too much memory."""
    while not kernel.too_large:
        await asyncio.sleep(0.1)
        used = 0
        for member in _family(process):
            with suppress(psutil.Error):
                used += member.memory_info().rss
        kernel.too_large = used > MEMORY
    _kill(process)


def _kill(process: psutil.Process) -> None:
    for member in _family(process):
        with suppress(psutil.Error):
            member.kill()


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []
