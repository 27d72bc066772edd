"""Letters and symbols in colour, drawn with the fonts that matplotlib carries: as many as one wants.

Each glyph of each face is drawn once, large, as a mask. An image is then made from one mask: it is turned,
slanted, bent, moved and scaled, and put in one colour over a spotted ground of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import TensorDataset

_LETTERS = """
    A B Cc D E F G H Il J K L M N Oo P Q R Ss T Uu Vv Ww Xx Y Zz a b d e f g h i j k m n p q r t y
    Æ æ Œ œ Ð ð Þ þ ß Øø Å Ç Ñ
    Γ Δ Θθ Λ Ξ Ππ Σ Φ Ψψ Ω α β γ δ ε ζ η λ μ ξ σ ς τ φ χ ω
    Б Д Ж И Й Л Ц Ч Ш Щ Ь Э Ю Я
"""
_SYMBOLS = r"""
    ! ? ¿ # $ £ ¥ € % & @ § ¶ © ® ( ) [ ] { } < > = + * / \ ~ : ; ± ÷ "
    ← ↑ → ↓ ↔ ↕ ⇐ ⇑ ⇒ ⇓ ⇔
    ∀ ∂ ∃ ∇ ∈ ∋ √ ∝ ∞ ∠ ∩ ∫ ∬ ∴ ≈ ≠ ≡ ≤ ≥ ⊃ ⊆ ⊇ ⊕ ⊗ ⊥
"""
GLYPHS = tuple((_LETTERS + _SYMBOLS).split())
"""The classes: the characters of each.

Two characters are in one class where a trained network mistakes one for the other in faces it has not
seen: they differ in little but their size. Of letters that look alike in several alphabets there is one.
"""

UNSEEN_FACES = (
    "DejaVuSansMono",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif-Italic",
    "STIXGeneralBol",
    "cmss10",
)
"""The faces of the validation images."""

LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DEJAVU = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif")
_FILES = (
    *(face + style for face in _DEJAVU for style in ("", "-Bold")),
    *(face + style for face in _DEJAVU[:2] for style in ("-Oblique", "-BoldOblique")),
    *("DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "STIXGeneralBolIta"),
)
_COMPUTER_MODERN = ("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10", "cmmi10")
_ALPHABETS = {"script": 0x1D4D0, "sans": 0x1D5A0, "sans bold": 0x1D5D4, "typewriter": 0x1D670}
"""Four more Latin faces in STIXGeneral: the code of their A. B to Z and a to z stand behind it."""

SIDE = 64
"""Pixels of an image, and of a mask."""
LARGEST = 52
"""The longer side of a glyph in its mask, in pixels."""
_PART = 128
"""Images that are made at once: few enough for a processor's cache."""


def faces(split: str) -> tuple[str, ...]:
    """The font faces of a split, by the name of their file. No face is in both."""
    if split not in ("train", "validation"):
        raise ValueError(f'split is "train" or "validation", not {split!r}.')
    every = (*_FILES, *_COMPUTER_MODERN, *(f"STIXGeneral {name}" for name in _ALPHABETS))
    return tuple(face for face in every if (face in UNSEEN_FACES) == (split == "validation"))


def glyphs(split: str = "train", count: int = 2000, seed: int = 0) -> TensorDataset:
    """`count` images of letters and symbols, and their classes.

    `split` is "train" or "validation". Validation images show five font faces that are never in training
    images; for four of them, training has other styles of the same family.
    Gives a dataset of images (count, 3, 64, 64) and labels (count,): label k is the class `GLYPHS[k]`, and
    all classes are equally likely. The same seed gives the same images, with one version of matplotlib.

    There are no digits, and no З and б, which look like 3 and 6: digits are new to a network that has
    learned from these images. (O, I, S and Z are there.)

    Raises ValueError for another split, a count below 1, or a seed that is not a whole number from 0 on.
    """
    masks, first = _masks(split)
    if type(count) is not int or count < 1:
        raise ValueError(f"The count is a whole number of images, 1 or more; it was {count!r}.")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError(f"The seed is a whole number from 0 to 2**32 - 1; it was {seed!r}.")
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(GLYPHS), (count,), generator=generator)
    place = torch.rand(count, generator=generator, dtype=torch.float64)
    chosen = first[labels] + (place * (first[labels + 1] - first[labels])).long()
    images = torch.empty(count, 3, SIDE, SIDE)
    for part in range(0, count, _PART):
        some = slice(part, part + _PART)
        images[some] = _draw(masks[chosen[some]].float() / 255, generator)
    return TensorDataset(images, labels)


def _draw(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Images (N, 3, 64, 64) from masks (N, 2, 64, 64)."""
    n = len(masks)

    def between(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand((n, *shape), generator=generator) * (high - low) + low

    # Where each pixel looks for its ink: an affine map, and a slight bend of second and third order.
    turn, slant = between(-0.25, 0.25), between(-0.25, 0.25)
    wide, high = between(0.95, 1.6), between(-0.12, 0.12).exp()
    wide, high = wide * high, wide / high
    at = (
        torch.randn((n, 2, 4, 4), generator=generator) * 0.03
    )  # of x and y, by the orders in y and x
    at[:, :, 0, 0] = between(-0.18, 0.18, 2)
    at[:, 0, 0, 1] = wide * turn.cos()
    at[:, 0, 1, 0] = wide * (turn.sin() + slant * turn.cos())
    at[:, 1, 0, 1] = -high * turn.sin()
    at[:, 1, 1, 0] = high * (turn.cos() - slant * turn.sin())
    powers = _powers()
    grid = (powers @ at @ powers.T).permute(0, 2, 3, 1)  # (N, 64, 64, 2)
    sharp, soft = F.grid_sample(masks, grid, align_corners=False).split(1, dim=1)
    ink = sharp.lerp(soft, between(0, 1, 1, 1, 1) ** 2)  # (N, 1, 64, 64)
    ink.sub_(between(0.2, 0.5, 1, 1, 1))  # thick or thin
    ink.mul_(between(1.5, 6, 1, 1, 1)).add_(0.5).clamp_(0, 1)

    light = between(0, 1, 1, 1, 1)
    contrast = between(0.4, 0.8, 1, 1, 1)
    other = torch.where(light > 0.5, light - contrast, light + contrast).clamp(0, 1)
    colour = other + between(-0.15, 0.15, 3, 1, 1)
    spots = torch.randn((n, 3, 8, 8), generator=generator) * between(0, 0.12, 1, 1, 1)
    spots += light + between(-0.15, 0.15, 3, 1, 1)
    even = smooth(8)
    images = even @ spots @ even.T  # (N, 3, 64, 64)
    images.lerp_(colour, ink)
    grain = torch.randn((n, 1, SIDE, SIDE), generator=generator)
    return images.add_(grain.mul_(between(0, 0.08, 1, 1, 1))).clamp_(0, 1)


@lru_cache
def _masks(split: str) -> tuple[Tensor, Tensor]:
    """Masks (M, 2, 64, 64) in 0..255 of all glyphs in all faces of a split, ordered by class.

    Each is there twice, sharp and out of focus. Those of class k go from first[k] to first[k + 1].
    """
    drawn = [dict(_glyphs_of(face)) for face in faces(split)]
    of_class = [[glyph[c] for glyph in drawn for c in chars if c in glyph] for chars in GLYPHS]
    first = torch.tensor([0, *map(len, of_class)]).cumsum(0)
    masks = torch.stack([mask for masks in of_class for mask in masks])[:, None]
    for _ in range(2):  # an edge that is a little soft can be moved, for thick and thin
        masks = F.avg_pool2d(masks, 3, stride=1, padding=1)
    soft = F.interpolate(F.avg_pool2d(masks, 4), scale_factor=4, mode="bilinear")
    masks = torch.cat([masks, soft], dim=1)
    return masks.mul_(255).round_().to(torch.uint8), first


def _glyphs_of(face: str) -> Iterator[tuple[str, Tensor]]:
    """The characters that a face has, and a mask (64, 64) in 0..1 of each."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    file, _, alphabet = face.partition(" ")
    font = FT2Font(str(Path(get_data_path(), "fonts", "ttf", f"{file}.ttf")))
    font.set_size(96, 72)
    glyph_of = font.get_charmap()
    only_latin = alphabet or face in _COMPUTER_MODERN  # their other codes are TeX's
    for char in "".join(GLYPHS):
        if only_latin and char not in LATIN:
            continue
        code = _ALPHABETS[alphabet] + LATIN.index(char) if alphabet else ord(char)
        if not glyph_of.get(code):  # 0 is the box that stands for a missing glyph
            continue
        font.clear()
        font.set_text(chr(code))
        font.draw_glyphs_to_bitmap(antialiased=True)
        yield char, _fit(torch.from_numpy(np.array(font.get_image())).float() / 255)


def _fit(mask: Tensor) -> Tensor:
    """A mask (H, W) scaled until its longer side has 52 pixels, in the middle of (64, 64)."""
    scale = LARGEST / max(mask.shape)
    height, width = (max(1, round(side * scale)) for side in mask.shape)
    mask = F.interpolate(
        mask[None, None], (height, width), mode="bilinear", align_corners=False, antialias=True
    )[0, 0]
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    return F.pad(mask, (left, SIDE - width - left, top, SIDE - height - top))


@lru_cache
def _powers() -> Tensor:
    """Legendre's polynomials of order 0 to 3 at the centres of the pixels, from -1 to 1: (64, 4)."""
    x = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return torch.stack([x**0, x, 1.5 * x**2 - 0.5, 2.5 * x**3 - 1.5 * x], dim=1)


@lru_cache
def smooth(places: int, side: int = SIDE) -> Tensor:
    """The matrix (side, places) that interpolates from a few places to all pixels."""
    each = torch.eye(places)[None, :, :, None]  # (1, places, places, 1)
    return F.interpolate(each, (side, 1), mode="bicubic")[0, :, :, 0].T.contiguous()
