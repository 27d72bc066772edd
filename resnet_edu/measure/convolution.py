"""What one small kernel does to one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_ROW = np.array([[1.0, 2.0, 1.0]])
_STEP = np.array([[-1.0, 0.0, 1.0]])

KERNELS: dict[str, np.ndarray] = {
    "Identity": np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "Blur": _ROW.T @ _ROW / 16,
    "Sharpen": np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "Vertical edges": _ROW.T @ _STEP / 4,
    "Horizontal edges": _STEP.T @ _ROW / 4,
    "Wide blur (5x5)": np.full((5, 5), 1 / 25),
}
"""Kernels by name, as a learner meets them in the lesson on convolution. The edge kernels are Sobel's."""


@dataclass(frozen=True)
class Convolution:
    """One kernel moved over one grey image.

    `image` (H, W) and `output` (H', W') are arrays; `kernel` is (k, k). With the span
    s = dilation * (k - 1) + 1, H' = floor((H + 2 * padding - s) / stride) + 1.
    """

    image: np.ndarray
    kernel: np.ndarray
    stride: int
    padding: int
    dilation: int
    output: np.ndarray

    @property
    def span(self) -> int:
        """How many input pixels the kernel spans, from its first to its last, in one direction."""
        return self.dilation * (len(self.kernel) - 1) + 1


def convolution(
    image: Tensor, kernel: np.ndarray, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Convolution:
    """Move `kernel` (k, k) over the mean of the channels of `image` (C, H, W).

    As in every deep-learning library, the kernel is not flipped (a cross-correlation). Raises
    ValueError for an image of another shape, for settings out of range, and where the kernel spans more
    than the padded image.
    """
    if image.dim() != 3:
        raise ValueError(f"The image must have the shape (C, H, W), not {tuple(image.shape)}.")
    if stride < 1 or padding < 0 or dilation < 1:
        raise ValueError(
            f"Stride and dilation are 1 or more, padding is 0 or more; they were {stride}, {dilation} "
            f"and {padding}."
        )
    grey = image.detach().cpu().float().mean(0)
    span = dilation * (len(kernel) - 1) + 1
    if span > min(grey.shape) + 2 * padding:
        raise ValueError(
            f"The kernel spans {span} pixels, and the padded image has only "
            f"{min(grey.shape) + 2 * padding}. Use less dilation, more padding or a larger image."
        )
    weight = torch.tensor(kernel, dtype=torch.float32)[None, None]
    output = F.conv2d(grey[None, None], weight, None, stride, padding, dilation)[0, 0]
    return Convolution(grey.numpy(), kernel, stride, padding, dilation, output.numpy())
