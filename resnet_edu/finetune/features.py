"""What the frozen part of a network puts out for each photo: computed once, and kept in a file.

The numbers stand in `features.bin`, one row for each photo that could be read. `features.json` beside it
says how far the work has come; what a kill has left behind that is further is written again. Neither the
photos nor the rows are ever all in memory: the file is read where a row is needed.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from resnet_edu import files, transfer
from resnet_edu.data import photos
from resnet_edu.data.photos import Photo, Skipped

BATCH = 16
"""Photos at once. The batches are the same after a break: so are the numbers, to the last digit."""


@dataclass(frozen=True)
class Preparation:
    """What photos go through before a network gets them: `weights.preprocess(name)`, and its sizes."""

    name: str
    apply: Callable[[Tensor], Tensor]

    def read(self, path: Path) -> Tensor:
        """The network's input (1, 3, H, W) for one photo. Raises PhotoError where it cannot be used."""
        return self.apply(photos.read(path, self.apply.resize_size[0])[None])

    def shown(self, prepared: Tensor) -> Tensor:
        """A prepared photo (3, H, W) in values from 0 to 1 again, to look at."""
        mean, std = (
            torch.tensor(values).view(3, 1, 1) for values in (self.apply.mean, self.apply.std)
        )
        return (prepared * std + mean).clamp(0, 1)

    @property
    def side(self) -> int:
        """Pixels of the network's input, each way."""
        return self.apply.crop_size[0]


@dataclass(frozen=True)
class Features:
    """Outputs (N, ...) of the frozen part, in a file that is read as needed, and whose they are."""

    outputs: Tensor
    photos: tuple[Photo, ...]

    @property
    def labels(self) -> Tensor:
        """The class numbers (N,)."""
        return torch.tensor([photo.label for photo in self.photos])


@dataclass
class _Progress:
    """How many photos have been looked at, and why some of them have no row, by their place."""

    looked_at: int = 0
    skipped: dict[int, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return self.looked_at - len(self.skipped)

    @classmethod
    def load(cls, path: Path) -> _Progress:
        if not path.exists():
            return cls()
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(kept["looked_at"], {int(place): why for place, why in kept["skipped"].items()})

    def save(self, path: Path) -> None:
        files.put(json.dumps(vars(self)).encode(), path)


def compute(
    frozen: nn.Module, of: Sequence[Photo], preparation: Preparation, folder: Path
) -> tuple[Features, tuple[Skipped, ...]]:
    """The outputs of `frozen` for the photos `of`, and which of these could not be used.

    Goes on where an earlier call with the same arguments was broken off. A progress bar is shown.
    Raises OSError where the disk has no room for all of them.
    """
    rows_file, progress_file = folder / "features.bin", folder / "features.json"
    blank = torch.zeros(1, 3, preparation.side, preparation.side)
    shape = transfer.compute(frozen, blank).shape[1:]
    row_bytes = 4 * math.prod(shape)

    progress = _Progress.load(progress_file)
    if not rows_file.exists() or rows_file.stat().st_size < progress.rows * row_bytes:
        progress = _Progress()
    _require_room(folder, len(of) * row_bytes, progress.rows * row_bytes)
    rows_file.touch()
    with (
        rows_file.open("r+b") as rows,
        tqdm(total=len(of), initial=progress.looked_at, desc="Photos", unit="photo") as bar,
    ):
        rows.truncate(progress.rows * row_bytes)
        rows.seek(0, os.SEEK_END)
        while progress.looked_at < len(of):
            start, batch = progress.looked_at, of[progress.looked_at :][:BATCH]
            inputs = []
            for place, photo in enumerate(batch, start):
                try:
                    inputs.append(preparation.read(photo.path))
                except photos.PhotoError as error:
                    progress.skipped[place] = error.skipped.reason
            if inputs:
                rows.write(transfer.compute(frozen, torch.cat(inputs)).contiguous().numpy())
            rows.flush()
            os.fsync(rows.fileno())  # on the disk, before it counts
            progress.looked_at += len(batch)
            progress.save(progress_file)
            bar.update(len(batch))

    used = tuple(photo for place, photo in enumerate(of) if place not in progress.skipped)
    skipped = tuple(Skipped(of[place].path, why) for place, why in progress.skipped.items())
    outputs = _mapped(rows_file, (len(used), *shape)) if used else torch.empty(0, *shape)
    return Features(outputs, used), skipped


def _mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The numbers in a file as a tensor. They come into memory when they are used, and can leave it."""
    size = math.prod(shape)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.float32).view(shape)


def _require_room(folder: Path, needed: int, there: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise OSError(
            f"What the frozen part puts out for all photos takes {needed / 1e9:.1f} GB, and on the disk of "
            f"{folder} {free / 1e9:.1f} GB are free. Make room, give a folder on another disk, or freeze "
            f"up to the last stage: then a photo takes 8 kB."
        )
