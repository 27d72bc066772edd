"""Build the notebooks of the course from their sources.

    authoring/lessons/name.py      ->  lessons/NN_name.ipynb      executed, outputs saved
    authoring/exercises/name.py    ->  exercises/NN_name.ipynb    solutions cut out, not executed
                                   ->  solutions/NN_name.ipynb    executed, every check must pass

NN is the lesson's number in the table of the course, `resnet_edu/course.py`; what names it elsewhere is
brought in line first (`numbering.py`). The sources are jupytext's percent format. In an exercise, what
stands between `### BEGIN SOLUTION` and `### END SOLUTION` is cut out. Where a mistake is to be found, it
stands there too, as comments after a line `### INSTEAD OF`, and is code in the exercise:

    ### BEGIN SOLUTION
    return torch.relu(out + x)
    ### INSTEAD OF
    # return torch.relu(out) + x
    ### END SOLUTION

Run it by `make notebooks`, or for some notebooks only:

    python authoring/build.py convolution_blocks
    python authoring/build.py lessons/01_convolution_blocks.ipynb

A notebook is written only if every cell ran without an error, a warning or a message on stderr. With
`--text` nothing is run: a notebook whose code is as before gets its new text, and keeps its outputs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from authoring import numbering
from resnet_edu.course import LESSONS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = numbering.NOTEBOOKS
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BUG = "### INSTEAD OF"
STUB = "raise NotImplementedError"
MAX_BYTES = 1_500_000
CELL_TIMEOUT = 600  # seconds
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class BuildError(Exception):
    """A notebook cannot be built; the message says which, where and what to do."""


@dataclass(frozen=True)
class Target:
    """One notebook to build, from the source `stem`. `folder` is "lessons", "exercises" or "solutions"."""

    root: Path
    folder: str
    stem: str

    @property
    def source(self) -> Path:
        """The text file that the notebook is built from."""
        folder = "lessons" if self.folder == "lessons" else "exercises"
        return self.root / "authoring" / folder / f"{self.stem}.py"

    @property
    def name(self) -> str:
        """The notebook's name: with a number in front, if the table of the course has one."""
        return next((lesson.file for lesson in LESSONS if lesson.stem == self.stem), self.stem)

    @property
    def path(self) -> Path:
        """The notebook."""
        return self.root / self.folder / f"{self.name}.ipynb"

    @property
    def is_executed(self) -> bool:
        """Whether the notebook is saved with outputs."""
        return self.folder != "exercises"

    def __str__(self) -> str:
        return f"{self.folder}/{self.name}.ipynb"


def targets(root: Path = ROOT) -> list[Target]:
    """Every notebook that the sources under `root` give."""
    found = [
        Target(root, folder, source.stem)
        for folder, sources in zip(FOLDERS, ("lessons", "exercises", "exercises"), strict=True)
        for source in (root / "authoring" / sources).glob("*.py")
    ]
    return sorted(found, key=lambda target: (FOLDERS.index(target.folder), target.name))


def orphans(root: Path = ROOT) -> list[str]:
    """Notebooks under `root` that have no source: all but learners' own sheets, as README names them."""
    known = {target.path for target in targets(root)}
    return [
        f"{folder}/{path.name}"
        for folder in FOLDERS
        for path in sorted((root / folder).glob("*.ipynb"))
        if path not in known and not path.name.startswith("my_")
    ]


# From the source to the cells


def read(target: Target) -> NotebookNode:
    """The notebook as its source describes it, before it is executed.

    Raises BuildError where the source is malformed.
    """
    cells = jupytext.read(target.source, fmt="py:percent").cells
    if not cells:
        raise BuildError(f"{_shown(target.source)} has no cells. A cell starts with a line `# %%`.")
    has_solution = False
    for place, cell in enumerate(cells):
        where = f"{_shown(target.source)}, cell {place}"
        cell.id = _cell_id(target.stem, place)
        cell.metadata = NotebookNode(
            {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
        )
        if cell.cell_type == "code":
            cut = cut_solutions(cell.source, where)
            has_solution |= cut != cell.source
            if target.folder != "lessons" and (marks := _nbgrader(cells, place)):
                cell.metadata["nbgrader"] = marks
            if target.folder == "exercises":
                cell.source = cut
    if has_solution and target.folder == "lessons":
        raise BuildError(f"{_shown(target.source)} is a lesson and has a line {BEGIN!r}.")
    if not has_solution and target.folder != "lessons":
        raise BuildError(
            f"{_shown(target.source)} has no solution. Put each one between a line {BEGIN!r} and a "
            f"line {END!r}."
        )
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=_metadata(target, cells))
    nbformat.validate(notebook)
    return notebook


def cut_solutions(code: str, where: str) -> str:
    """`code` with everything between the markers, and the markers, replaced by one stub, or by the mistake.

    `where` names the cell in the message of the BuildError that unpaired markers raise.
    """
    lines: list[str] = []
    inside, in_bug = False, False
    for line in code.splitlines():
        marker = line.strip()
        if marker == BEGIN:
            if inside:
                raise BuildError(f"{where}: a second {BEGIN!r} before {END!r}.")
            inside = True
            lines.append(line[: line.index(BEGIN)] + STUB)
        elif marker == BUG:
            if not inside or in_bug:
                raise BuildError(f"{where}: {BUG!r} stands once between {BEGIN!r} and {END!r}.")
            in_bug = True
            lines.pop()  # the stub
        elif marker == END:
            if not inside:
                raise BuildError(f"{where}: {END!r} without a line {BEGIN!r} before it.")
            inside, in_bug = False, False
        elif any(known in line for known in (BEGIN, BUG, END)):
            raise BuildError(f"{where}: a marker must stand alone on its line, not as in {line!r}.")
        elif in_bug:
            if not marker.startswith("# "):
                raise BuildError(f"{where}: after {BUG!r} every line is a comment, not {line!r}.")
            lines.append(line.replace("# ", "", 1))
        elif not inside:
            lines.append(line)
    if inside:
        raise BuildError(f"{where}: {BEGIN!r} without a line {END!r} after it.")
    return "\n".join(lines)


def _nbgrader(cells: Sequence[NotebookNode], place: int) -> dict[str, object]:
    """What nbgrader wants to know of a cell (its schema, version 3): {} for those that it leaves alone.

    A cell with a solution is for the learner. The call of its check, below it, gives as many points as the
    task has dots of difficulty.
    """
    code = cells[place].source
    kinds = {"schema_version": 3, "task": False}
    if BEGIN in code:
        name = re.search(r"^(?:def|class) (\w+)", code, re.MULTILINE)[1]
        return kinds | {"grade_id": name, "grade": False, "solution": True, "locked": False}
    if check := re.fullmatch(r"checks\.\w+\(([A-Za-z_]\w*)\)", code):
        above = "".join(cell.source for cell in cells[:place] if cell.cell_type == "markdown")
        points = above.rpartition("*Difficulty ")[2].partition(",")[0].count("●")
        marks = {"grade": True, "solution": False, "locked": True, "points": points}
        return kinds | marks | {"grade_id": f"check_{check[1]}"}
    return {}


def _cell_id(stem: str, place: int) -> str:
    cell_id = f"{stem}-{place:02d}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", cell_id):
        raise BuildError(
            f"{stem!r} gives no valid cell ids. Name a source with letters, digits, - and _, in at "
            f"most 60 characters."
        )
    return cell_id


def _metadata(target: Target, cells: Sequence[NotebookNode]) -> dict[str, object]:
    metadata: dict[str, object] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    if target.folder == "exercises":
        metadata["resnet_edu"] = {"sha256": fingerprint(cells)}
    else:  # paired for jupytext: the source follows what is edited in JupyterLab
        source = target.source.parent.relative_to(target.root).as_posix()
        number = target.name.removesuffix(target.stem)  # in front of the notebook's name only
        metadata["jupytext"] = {
            "formats": f"{target.folder}/{number}/ipynb,{source}//py:percent",
            "notebook_metadata_filter": "-all",
            "cell_metadata_filter": "tags,jupyter,-all",
        }
    return metadata


# From the cells to the outputs


def execute(notebook: NotebookNode, target: Target) -> None:
    """Run the notebook in a fresh kernel, in the notebook's own folder, and keep its outputs.

    Raises BuildError at the first cell that fails.
    """
    target.path.parent.mkdir(exist_ok=True)
    metadata = notebook.metadata.copy()
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(target.path.parent)}},
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    with tempfile.TemporaryDirectory() as profile:
        environment = os.environ | {
            "IPYTHONDIR": profile,  # not with anybody's own settings
            "RESNET_EDU_STRICT": "1" if target.folder == "solutions" else "",
        }
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            place = next(p for p, output in _outputs(notebook) if output.output_type == "error")
            problem = f"{error.ename}: {error.evalue}\n\n{strip_ansi(error.traceback)}"
            raise BuildError(_in_cell(target, notebook, place, problem)) from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise BuildError(f"{target}: {error}") from None
    notebook.metadata = metadata
    for _, output in _outputs(notebook):
        # A view of a widget that no longer lives would be shown as "Error displaying widget".
        output.get("data", {}).pop(WIDGET_VIEW, None)


def faults(notebook: NotebookNode, target: Target) -> list[str]:
    """What may not be saved in an executed notebook: errors, warnings, and traces of this machine."""
    found = []
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source and cell.execution_count is None:
            found.append(_in_cell(target, notebook, place, "The cell was not executed."))
    for place, output in _outputs(notebook):
        may_fail = "raises-exception" in notebook.cells[place].metadata.get("tags", [])
        problem = ""
        if output.output_type == "error" and not may_fail:
            problem = f"{output.ename}: {output.evalue}"
        elif output.get("name") == "stderr":
            problem = f"A warning or a message on stderr:\n{output.text}"
        elif output.output_type in ("display_data", "execute_result") and not output.data:
            problem = "A widget without a static picture for those who read without running."
        elif trace := _TRACES.search(_text(output)):
            problem = f"The output shows something of this machine only: {trace.group()!r}"
        if problem:
            found.append(_in_cell(target, notebook, place, problem))
    return found


_TRACES = re.compile(
    "|".join(
        [
            re.escape(str(ROOT)),
            re.escape(sys.prefix),
            r"(?<!\w)/(?:home|Users|root|tmp|usr|opt|var)/\S+",
            r"\b[A-Z]:\\\S+",
            r"ipykernel_\d+",
            r"\b0x[0-9a-f]{6,}",
        ]
    )
)


def _outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield place, output


def _text(output: NotebookNode) -> str:
    """Everything in an output that a person reads: pictures left out."""
    parts = [output.get("text", ""), *output.get("traceback", [])]
    parts += [str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/")]
    return re.sub(r"data:image/[^\"')\s]+", "", "\n".join(parts))


def _in_cell(target: Target, notebook: NotebookNode, place: int, problem: str) -> str:
    return f"{target}, cell {place} ({notebook.cells[place].id}):\n{problem.strip()}"


# What stands on the disk


def fingerprint(cells: Sequence[NotebookNode]) -> str:
    """A short name for the types and the texts of `cells`: another text, another name."""
    content = json.dumps([(cell.cell_type, cell.source) for cell in cells])
    return hashlib.sha256(content.encode()).hexdigest()


def changed_by_hand(target: Target) -> bool:
    """Whether somebody has worked in this exercise sheet since it was built."""
    if target.folder != "exercises" or not target.path.exists():
        return False
    notebook = nbformat.read(target.path, as_version=4)
    return notebook.metadata.get("resnet_edu", {}).get("sha256") != fingerprint(notebook.cells)


_PARTS = {
    "cell_type": "type is",
    "id": "id is",
    "source": "text is",
    "metadata": "tags are",
}


def difference(target: Target) -> str:
    """In what the notebook on the disk differs from its source; empty if in nothing."""
    if not target.path.exists():
        return f"{target} is not built."
    built = nbformat.read(target.path, as_version=4)
    expected = read(target)
    if len(built.cells) != len(expected.cells):
        return f"{target} has {len(built.cells)} cells, and its source gives {len(expected.cells)}."
    for place, (is_, should) in enumerate(zip(built.cells, expected.cells, strict=True)):
        for part, name in _PARTS.items():
            if is_[part] != should[part]:
                return (
                    f"{target}, cell {place} ({should.id}): its {name} not what its source gives."
                )
    if built.metadata != expected.metadata:
        return f"{target}: its metadata differ from what is built."
    return ""


def write(notebook: NotebookNode, target: Target) -> None:
    """Save the notebook, all of it or not at all. Raises BuildError where it is too large."""
    content = nbformat.writes(notebook) + "\n"
    if len(content.encode()) > MAX_BYTES:
        raise BuildError(
            f"{target} has {len(content.encode()):,} bytes, and {MAX_BYTES:,} is the most. Show fewer "
            f"or smaller pictures."
        )
    target.path.parent.mkdir(exist_ok=True)
    temporary = target.path.with_suffix(".ipynb.tmp")
    try:
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, target.path)
    finally:
        temporary.unlink(missing_ok=True)


def build(target: Target) -> None:
    """Build one notebook. Raises BuildError, and leaves the one on the disk as it was."""
    notebook = read(target)
    if target.is_executed:
        execute(notebook, target)
        if found := faults(notebook, target):
            raise BuildError("\n\n".join(found))
    write(notebook, target)


def write_text(target: Target) -> None:
    """Write new text into a built notebook, which keeps its outputs. Raises BuildError if code is new."""
    notebook = read(target)
    if target.is_executed:
        old = nbformat.read(target.path, as_version=4).cells if target.path.exists() else []
        before, now = (
            [cell for cell in cells if cell.cell_type == "code"] for cells in (old, notebook.cells)
        )
        if [cell.source for cell in before] != [cell.source for cell in now]:
            raise BuildError(
                f"{target}: its code has changed, so it must be run. Leave out --text."
            )
        for cell, ran in zip(now, before, strict=True):
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    write(notebook, target)


# The command line


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Build all notebooks, or those that are named. Gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as convolution_blocks; all, if none")
    parser.add_argument(
        "--check", action="store_true", help="build nothing, say what is not up to date"
    )
    parser.add_argument(
        "--text", action="store_true", help="run nothing: new text, the same outputs"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite exercise sheets changed by hand"
    )
    options = parser.parse_args(arguments)
    try:
        chosen = _choose(options.names, targets(root))
        if options.check:
            wrong = [f"{_shown(path)} has old numbers." for path in numbering.stale(root)]
            return _report(wrong + [difference(target) for target in chosen])
        changed = numbering.bring_in_line(root)
        beside = [t for t in targets(root) if t.source in changed and t not in chosen]
        if not options.force:
            _protect_sheets([*chosen, *beside])
    except (BuildError, ValueError) as error:
        return _report([str(error)])
    make = write_text if options.text else build
    told = [_build_and_tell(target, make) for target in chosen]
    return _report(told + [_build_and_tell(target, write_text) for target in beside])


def _choose(names: Sequence[str], known: list[Target]) -> list[Target]:
    chosen = []
    for name in map(Path, names):
        found = [t for t in known if name.stem in (t.stem, t.name) and _matches_folder(name, t)]
        if not found:
            raise BuildError(
                f"There is no source for {str(name)!r}. The sources are in authoring/lessons and "
                f"authoring/exercises."
            )
        chosen += found
    return chosen or known


def _matches_folder(name: Path, target: Target) -> bool:
    if name.suffix == ".py":
        return name.parent.name in ("", target.source.parent.name)
    return name.parent.name in ("", target.folder)


def _protect_sheets(chosen: Sequence[Target]) -> None:
    changed = [str(target) for target in chosen if changed_by_hand(target)]
    if changed:
        raise BuildError(
            f"Changed by hand since the last build, and would be overwritten: {', '.join(changed)}. "
            f"Nothing was built. Keep a copy of the answers in them, then run this again with --force."
        )


def _build_and_tell(target: Target, make: Callable[[Target], None]) -> str:
    start = time.perf_counter()
    try:
        make(target)
    except BuildError as error:
        return str(error)
    seconds, kilobytes = time.perf_counter() - start, target.path.stat().st_size / 1000
    print(f"{target!s:42} {seconds:6.1f} s {kilobytes:7.0f} kB", flush=True)
    return ""


def _report(problems: Sequence[str]) -> int:
    for problem in filter(None, problems):
        print(f"\n{problem}", file=sys.stderr)
    return int(any(problems))


def _shown(path: Path) -> str:
    return "/".join(path.parts[-3:])


if __name__ == "__main__":
    sys.exit(main())
