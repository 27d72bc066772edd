"""A notebook that cannot go on says so in one sentence."""

from __future__ import annotations

import importlib


class Stop(Exception):  # noqa: N818 - the end of a run, not a failure
    """Ends a run of the notebook. IPython shows the sentence, and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def stop_without(package: str) -> None:
    """Go on where `package` can be imported. Where it cannot, raise Stop: the cells below do not run."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise Stop(
            f"This notebook stops here: it needs {package}, which cannot be loaded ({error}). The "
            f"course's installation brings it: in the course folder run `make lab`, or "
            f"`python -m pip install {package}`. Then restart the kernel and run the notebook again."
        ) from None
