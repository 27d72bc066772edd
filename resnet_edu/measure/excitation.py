"""Which images excite a channel most, and where in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from resnet_edu.measure.capture import capture

_BATCH = 100


@dataclass(frozen=True)
class Excitation:
    """The largest value of each channel in each image, and where it was found.

    `peaks`, `rows` and `columns` are (images, channels); a place goes from 0 (left, top) to 1.
    """

    peaks: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    def strongest(self, channel: int, count: int) -> tuple[int, ...]:
        """The numbers of the images that excite `channel` most, the strongest first."""
        order = np.argsort(-self.peaks[:, channel], kind="stable")
        return tuple(order[:count].tolist())


def excitation(model: nn.Module, names: Iterable[str], images: Tensor) -> dict[str, Excitation]:
    """What excites the channels of the named modules, among `images` (N, 3, H, W), by name.

    In evaluation mode; the model is left as it was. Raises ValueError for a name that is no module's, and
    for a module that puts out no maps (N, channels, h, w).
    """
    names = list(names)
    parts: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {name: [] for name in names}
    for batch in images.split(_BATCH):
        for name, maps in capture(model, names, batch).items():
            if maps.dim() != 4:
                raise ValueError(f"{name!r} puts out {tuple(maps.shape)}, not maps (N, C, h, w).")
            height, width = maps.shape[2:]
            peaks, at = maps.flatten(2).max(2)  # (N, C)
            rows, columns = at.div(width, rounding_mode="floor"), at % width
            parts[name].append((peaks, (rows + 0.5) / height, (columns + 0.5) / width))
    return {
        name: Excitation(*(torch.cat(each).cpu().numpy() for each in zip(*found, strict=True)))
        for name, found in parts.items()
    }
