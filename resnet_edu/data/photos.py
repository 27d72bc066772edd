"""Photos as people have them: a folder with one folder for each class, and the pixels of one photo.

`find`  the photos of a folder by class, some to train on and some to validate with
`read`  one photo as a tensor: upright, in colour, and small

A file that cannot be used never ends a search. It is put aside with a sentence that says why.
"""

from __future__ import annotations

import stat
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "JPEG2000", "PPM", "TGA", "MPO")
"""What is read, by Pillow's names. (Pillow also reads EPS, but starts another program for it.)"""
SHARE = 5
"""One photo in so many is kept for validation."""
SMALLEST = 4
"""A photo with a side of fewer pixels shows nothing."""
LONGEST = 4
"""Of a photo that is longer than so many times its shorter side, the middle is used."""
MOST_PIXELS = 89_478_485
"""Photos with more pixels are not opened: Pillow warns of them, for they can fill the memory.

JPEG files are counted, and opened, at a half, a fourth or an eighth of their size.
"""
OPENED_AT = 512
"""A JPEG is opened no smaller than this, in pixels of its shorter side."""
MOST_SHOWN = 4
"""Files put aside that an error names."""
_NOT_MEANT = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")


class Photo(NamedTuple):
    """A photo and the number of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was not used, and why: a sentence or two."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class PhotoError(ValueError):
    """A file that cannot be used as a photo. `skipped` holds its path and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        self.skipped = Skipped(path, reason)
        super().__init__(str(self.skipped))


class FolderError(ValueError):
    """A folder that nothing can be learned from as it is."""


@dataclass(frozen=True, repr=False)
class PhotoFolder:
    """The photos of a folder. Label k is the class `classes[k]`.

    `drawn` says that the photos to validate with were drawn by chance, and not put apart by their owner.
    """

    path: Path
    classes: tuple[str, ...]
    train: tuple[Photo, ...]
    validation: tuple[Photo, ...]
    skipped: tuple[Skipped, ...]
    drawn: bool

    def __repr__(self) -> str:
        how = ", drawn by chance from each class" if self.drawn else ""
        aside = f"; {len(self.skipped)} put aside" if self.skipped else ""
        return (
            f"{len(self.train) + len(self.validation):,} photos in {len(self.classes)} classes: "
            f"{len(self.train):,} to train on, {len(self.validation):,} to validate with{how}{aside}"
        )


# A folder of photos


def find(folder: str | Path) -> PhotoFolder:
    """The photos in `folder`, which has one folder for each class, or train/ and val/ with one for each.

    Without val/, a fifth of each class is drawn for validation, at least one photo where there are two:
    the same ones each time. Only the head of each file is read here. Hidden files are passed over.
    Raises FolderError where there are not two classes, or nothing to validate with.
    """
    folder = Path(folder)
    skipped: list[Skipped] = []
    entries = _entries(folder)
    given = {p.name.lower(): p for p in entries if p.name.lower() in ("train", "val")}
    if drawn := len(given) < 2:
        of_class = _classes(folder, skipped)
        _require_no_other_layout(folder, of_class)
    else:
        skipped += [_unasked(p) for p in entries if p not in given.values()]
        of_class = _classes(given["train"], skipped)
    _require_classes(folder, of_class, skipped)

    classes = tuple(of_class)
    train = {c: of_class[c] for c in classes}
    if drawn:
        generator = torch.Generator().manual_seed(0)
        validation = {c: _draw(of_class[c], generator) for c in classes}
        train = {c: [p for p in train[c] if p not in validation[c]] for c in classes}
    else:
        validation = _classes(given["val"], skipped)
        if unknown := sorted(validation.keys() - of_class.keys()):
            raise FolderError(
                f"{given['val']} has the class {unknown[0]!r}, of which {given['train']} has no photo. "
                f"Put some of its photos there, or take it away."
            )
    if not any(validation.values()):
        raise FolderError(
            f"{folder} has no photo to validate with: every class has a single one. Two photos in one "
            f"class are the least, twenty in each are better."
        )
    labels = {name: label for label, name in enumerate(classes)}
    parts = [
        tuple(Photo(path, labels[c]) for c, paths in part.items() for path in sorted(paths))
        for part in (train, validation)
    ]
    return PhotoFolder(folder, classes, *parts, tuple(skipped), drawn)


def _classes(folder: Path, skipped: list[Skipped]) -> dict[str, list[Path]]:
    """The photos of each folder in `folder`, by the folder's name."""
    of_class: dict[str, list[Path]] = {}
    for entry in _entries(folder):
        if not entry.is_dir():
            skipped.append(_unasked(entry))
            continue
        try:
            files = _entries(entry)
        except FolderError as error:
            reason = f"The folder cannot be read: {error.__cause__.strerror}."
            skipped.append(Skipped(entry, reason))
            continue
        photos = []
        for path in files:
            try:
                check(path)
                photos.append(path)
            except PhotoError as error:
                skipped.append(error.skipped)
        if photos:
            of_class.setdefault(_readable(entry.name), []).extend(photos)
        elif not files:
            skipped.append(Skipped(entry, "The folder is empty."))
        else:
            skipped.append(Skipped(entry, "The folder holds no photo that can be used."))
    return of_class


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of the names, without what is hidden."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be read as a folder: {error.strerror}. A folder with one folder of photos "
            f"for each class was expected."
        ) from error
    return [p for p in found if not p.name.startswith(".") and p.name.lower() not in _NOT_MEANT]


def _readable(name: str) -> str:
    """One spelling for one name: é can be one character or two, and bytes can be no character at all."""
    return unicodedata.normalize("NFC", name).encode(errors="replace").decode()


def _unasked(path: Path) -> Skipped:
    reason = "Only what lies in the folder of a class is used."
    return Skipped(path, reason)


def _draw(photos: list[Path], generator: torch.Generator) -> set[Path]:
    """A fifth of the photos of one class; of two to seven photos one; of a single photo none."""
    count = 0 if len(photos) == 1 else max(1, round(len(photos) / SHARE))
    chosen = torch.randperm(len(photos), generator=generator)[:count]
    return {photos[i] for i in chosen.tolist()}


def _require_no_other_layout(folder: Path, of_class: dict[str, list[Path]]) -> None:
    """Refuse what looks like one folder for each class, but is meant otherwise."""
    folders = [p for p in _entries(folder) if p.is_dir()]
    names = {p.name.lower() for p in folders}
    other = names & {"validation", "valid", "val", "test"}
    if "train" in names and (other or len(folders) == 1):
        raise FolderError(
            f"{folder} has train, but not val beside it{_has(other)}. Call the folder with the photos to "
            f"validate with val; or give {folder / 'train'}, and a part is drawn for it."
        )
    if not of_class and len(folders) == 1:
        inner = [p for p in _entries(folders[0]) if p.is_dir()]
        if len(inner) > 1:
            raise FolderError(f"The classes are one folder further down: give {folders[0]}.")


def _has(names: set[str]) -> str:
    return f" (it has {', '.join(sorted(names))})" if names else ""


def _require_classes(folder: Path, of_class: dict[str, list[Path]], skipped: list[Skipped]) -> None:
    if len(of_class) >= 2:
        return
    only = next(iter(of_class), None)
    found = "is no folder of photos" if only is None else f"are photos of one class, {only!r}"
    shown = "; ".join(map(str, skipped[:MOST_SHOWN]))
    more = f"; and {len(skipped) - MOST_SHOWN} more" if len(skipped) > MOST_SHOWN else ""
    raise FolderError(
        f"In {folder} there {found}. A folder for each of at least two classes was expected, like cats/ "
        f"and dogs/, with photos in each." + (f" Put aside: {shown}{more}" if skipped else "")
    )


# One photo


def check(path: str | Path) -> None:
    """Read the head of a file. Raises PhotoError where it is no photo that `read` could use."""
    with _opened(Path(path)):
        pass


def read(path: str | Path, side: int) -> Tensor:
    """A photo (3, H, W) in values from 0 to 1, its shorter side scaled to `side` pixels, 512 at most.

    It is turned as the camera was held. Grey becomes colour; 16 bits become 8; what is transparent becomes
    white; of an animation the first picture is taken. Raises PhotoError where the file cannot be used.
    """
    with _opened(Path(path)) as photo:
        small = _on_white(_scaled(_in_8_bits(_upright(photo)), side))
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255


@contextmanager
def _opened(path: Path) -> Iterator[PILImage]:
    """The photo, of which the head has been read. Whatever goes wrong with it is a PhotoError."""
    from PIL import Image, UnidentifiedImageError

    _require_file(path)
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd notes in a file, and of many pixels
        try:
            with Image.open(path, formats=known) as photo:
                photo.draft(None, (OPENED_AT, OPENED_AT))  # does nothing but for JPEG
                _require_size(photo, path)
                _require_known_white(photo, path)
                yield photo
        except PhotoError:
            raise
        except UnidentifiedImageError:
            raise PhotoError(path, _what_else(path)) from None
        except Image.DecompressionBombError:
            raise PhotoError(path, _too_large("more than 178 million")) from None
        except PermissionError:
            raise PhotoError(path, "There is no permission to read it.") from None
        except Exception as error:  # a damaged file can make a decoder fail in any way
            reason = f"The file is cut off or damaged ({error or type(error).__name__})."
            raise PhotoError(path, reason) from None


def _require_file(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        is_link = path.is_symlink()
        reason = "A link to a file that is not there." if is_link else "There is no such file."
        raise PhotoError(path, reason) from None
    except OSError as error:
        raise PhotoError(path, f"It cannot be opened: {error.strerror}.") from None
    if stat.S_ISDIR(found.st_mode):
        raise PhotoError(path, "A folder, where a photo was expected.")
    if not stat.S_ISREG(found.st_mode):
        raise PhotoError(path, "Not a file, but a device or a pipe.")
    if not found.st_size:
        raise PhotoError(path, "The file is empty.")


def _require_size(photo: PILImage, path: Path) -> None:
    width, height = photo.size
    if min(width, height) < SMALLEST:
        reason = f"Too small: {width} x {height} pixels. {SMALLEST} each way are the least."
        raise PhotoError(path, reason)
    if width * height > MOST_PIXELS:
        raise PhotoError(path, _too_large(f"{width} x {height}"))


def _require_known_white(photo: PILImage, path: Path) -> None:
    """(Older versions of Pillow also call the 16 bits of a PNG file I.)"""
    if photo.mode == "F" or (photo.mode == "I" and photo.format != "PNG"):
        reason = "Its grey is in 32 bits, and which of them are white is not said. Save it as PNG."
        raise PhotoError(path, reason)


def _too_large(pixels: str) -> str:
    return (
        f"Too large: {pixels} pixels. Save it smaller; 1,000 pixels each way are more than enough."
    )


def _what_else(path: Path) -> str:
    """What a file is that Pillow does not take for a photo."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        return "A HEIC photo, as iPhones take them, which cannot be read here. Save it as JPEG."
    return f"Not a photo in one of the formats {', '.join(FORMATS[:-1])}."


def _upright(photo: PILImage) -> PILImage:
    """The photo turned as its EXIF notes say; as it is where these are damaged."""
    from PIL import ImageOps

    photo.load()
    try:
        return ImageOps.exif_transpose(photo)
    except Exception:  # notes can be damaged in as many ways as files
        return photo


def _in_8_bits(photo: PILImage) -> PILImage:
    """The photo as RGB, or as RGBA where something in it may be transparent."""
    from PIL import Image

    if photo.mode.startswith("I"):
        values = np.asarray(photo).astype(np.uint32)  # 0 to 65535
        photo = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    transparent = photo.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in photo.info
    return photo.convert("RGBA" if transparent else "RGB")


def _scaled(photo: PILImage, side: int) -> PILImage:
    """As torchvision scales it: antialiased, the longer side rounded down."""
    from PIL import Image

    shorter = min(photo.size)
    kept = [min(length, LONGEST * shorter) for length in photo.size]
    start = [(length - keep) // 2 for length, keep in zip(photo.size, kept, strict=True)]
    box = (*start, start[0] + kept[0], start[1] + kept[1])
    size = [side * keep // shorter for keep in kept]
    return photo.resize(size, Image.Resampling.BILINEAR, box)


def _on_white(photo: PILImage) -> PILImage:
    from PIL import Image

    if photo.mode == "RGB":
        return photo
    ground = Image.new("RGBA", photo.size, "white")
    return Image.alpha_composite(ground, photo).convert("RGB")
