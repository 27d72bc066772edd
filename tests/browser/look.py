"""Make a picture of a whole notebook, as it stands in JupyterLab.

    python tests/browser/look.py lessons/01_convolution_blocks.ipynb lesson.png --run --width 900

Nothing in the notebook's own folder is changed: the browser sees a copy.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from lab import Notebook, chromium, serve


def main() -> int:
    """Make the picture. Gives 1 where the notebook shows an error, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("picture", type=Path, help="a PNG file to write")
    parser.add_argument("--width", type=int, default=1400, help="of the screen, in pixels")
    parser.add_argument("--dark", action="store_true", help="with JupyterLab's dark theme")
    parser.add_argument("--run", action="store_true", help="run all cells first")
    options = parser.parse_args()
    if not options.notebook.is_file():
        parser.error(f"there is no notebook {str(options.notebook)!r}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, options.notebook.resolve().parent.name)
        shutil.copytree(options.notebook.resolve().parent, copy)
        path = f"{copy.name}/{options.notebook.name}"
        with serve(Path(folder), dark=options.dark) as server, chromium() as browser:
            notebook = Notebook.open(browser, server, path, width=options.width)
            if options.run:
                notebook.run_all()
            notebook.screenshot(options.picture)
            problems = notebook.errors() + notebook.console_errors
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
