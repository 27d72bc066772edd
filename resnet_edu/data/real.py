"""Real images that need no download: handwriting and photographs.

Every image of the course has the shape (3, H, W), also where it is grey, and values from 0 to 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import TensorDataset

TRAINING_DIGITS = 1500
PHOTOS = {"flower": "flower.jpg", "palace": "china.jpg"}


def digits(split: str = "train", size: int = 16) -> TensorDataset:
    """Handwritten digits: 1,797 images of 8x8 pixels, written by 13 people.

    `split` is "train" (the first 1,500 images) or "validation" (the last 297).
    Gives a dataset of images (N, 3, size, size), enlarged with bilinear interpolation, and labels (N,)
    from 0 to 9. Raises ValueError for another split or size, RuntimeError where scikit-learn's copy of
    the images cannot be read.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository (1998), in
    the copy that scikit-learn carries.
    """
    if split not in ("train", "validation"):
        raise ValueError(f'split is "train" or "validation", not {split!r}.')
    _require_size(size)
    try:
        from sklearn.datasets import load_digits

        bunch = load_digits()
    except Exception as error:
        raise RuntimeError(_unreadable("the handwritten digits", error)) from error
    part = slice(TRAINING_DIGITS) if split == "train" else slice(TRAINING_DIGITS, None)
    images = torch.from_numpy(bunch.images[part]).float() / 16  # (N, 8, 8), values 0 to 16 before
    images = _resize(images[:, None], size, size).expand(-1, 3, -1, -1).contiguous()
    return TensorDataset(images, torch.from_numpy(bunch.target[part]).long())


def photo(name: str = "flower", width: int = 320) -> Tensor:
    """A photograph (3, H, width) in colour; H follows from the photo's shape.

    `name` is "flower" or "palace". Raises ValueError for another name or width, RuntimeError where
    scikit-learn's copy of the photo cannot be read.
    """
    if name not in list(PHOTOS):
        raise ValueError(f"The photos are {' and '.join(map(repr, PHOTOS))}; there is no {name!r}.")
    _require_size(width)
    try:
        from sklearn.datasets import load_sample_image

        pixels = load_sample_image(PHOTOS[name])
    except Exception as error:
        raise RuntimeError(_unreadable(f"the photo {name!r}", error)) from error
    image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255
    height = round(width * image.shape[1] / image.shape[2])
    return _resize(image[None], max(1, height), width)[0]


def _resize(images: Tensor, height: int, width: int) -> Tensor:
    resized = F.interpolate(
        images, (height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return resized.clamp(0, 1)  # rounding can go a little beyond


def _require_size(size: int) -> None:
    if type(size) is not int or size < 1:
        raise ValueError(f"The size is a whole number of pixels, 1 or more; it was {size!r}.")


def _unreadable(what: str, error: Exception) -> str:
    return (
        f"Could not read {what} that scikit-learn carries ({type(error).__name__}: {error}). "
        f"Reinstall it with: python -m pip install --force-reinstall scikit-learn pillow"
    )
