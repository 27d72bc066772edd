"""Tensors in files: written whole or not at all, read without running anything that is in them.

The format is safetensors: names, numbers, and a few words of metadata. There is no pickle in it, so a
file from a stranger can be wrong, but it cannot run code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor


class FileError(ValueError):
    """A file that cannot be read, or is not what was asked for. The file is left as it was."""


def write(tensors: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write all to a safetensors file, or leave what is there.

    Raises OSError where the disk or the folder does not allow it.
    """
    from safetensors.torch import save

    put(save({name: t.cpu().contiguous() for name, t in tensors.items()}, dict(metadata)), path)


def put(content: bytes, path: str | Path) -> None:
    """Write `content` to `path`, or leave what is there: the file is made beside it, then renamed.

    Raises OSError where the disk or the folder does not allow it.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # on the disk, before it takes the name
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file.

    Raises FileError for a file that is missing, cut off, damaged, or of another format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileError(f"{path} {what}; a file in the format safetensors was expected.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise FileError(
            f"{path} is not a whole safetensors file ({error}). It may be cut off, damaged, or of "
            f"another format. Files that hold pickled objects (.pt, .pth) are not opened here."
        ) from error
