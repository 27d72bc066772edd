"""Photos whose colours and pixels are mixed up."""

from __future__ import annotations

import torch
from torch import Tensor

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.text import beside


def _photos_to_batch(photos: Tensor) -> Tensor:
    batch = photos.permute(0, 3, 1, 2)
    return batch.float() / 255


def _observe(answer: Answer, case: tuple[int, int, int, bool], see: See) -> None:
    n, height, width, is_red = case
    numbers = torch.Generator().manual_seed(n + width)
    photos = torch.randint(256, (n, height, width, 3), generator=numbers, dtype=torch.uint8)
    if is_red:
        photos[:] = torch.tensor([255, 0, 0], dtype=torch.uint8)
    given = photos.clone()
    batch = tensor(answer(given))
    see("shape of the batch", tuple(batch.shape))
    see("type of its numbers", str(batch.dtype).removeprefix("torch."))
    see("the batch", batch)
    see("photos, afterwards", given)


photos_to_batch = Check(
    signature="photos_to_batch(photos)",
    reference=_photos_to_batch,
    observe=_observe,
    cases={
        "one red photo of 2x3 pixels": (1, 2, 3, True),
        "two photos of 5x4 pixels": (2, 5, 4, False),
        "three photos of 6x6 pixels": (3, 6, 6, False),
    },
    said=beside(__file__),
)
