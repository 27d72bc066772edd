"""Task B.1: photos whose colours and pixels are mixed up."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, tensor


def _photos_to_batch(photos: Tensor) -> Tensor:
    return photos.permute(0, 3, 1, 2).float() / 255


def _then(change: Callable[[Tensor], Tensor]) -> Answer:
    """Right, and then something too much."""
    return lambda photos: change(_photos_to_batch(photos))


def _reshaped(photos: Tensor) -> Tensor:
    n, height, width, channels = photos.shape
    return photos.reshape(n, channels, height, width).float() / 255


def _mean_colour(batch: Tensor) -> Tensor:
    return batch.mean((2, 3), keepdim=True).expand_as(batch)


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
    mistakes=(
        Mistake(
            "still-there",
            "All the numbers are still there, but most of them do not stand at their pixel and their "
            "colour. What lay side by side in the photo is torn apart, and no network can see it.",
            [_reshaped],
        ),
        Mistake(
            "height-and-width-swapped",
            "Every number has its colour now. But height and width have changed places: every photo lies "
            "on its side, and a network that knows upright photos would not know it.",
            [
                _then(lambda batch: batch.transpose(2, 3)),
                lambda photos: (
                    photos.transpose(1, 3).float().reshape(len(photos), 3, *photos.shape[1:3]) / 255
                ),
            ],
        ),
        Mistake(
            "colours-in-another-order",
            "Every number stands at its pixel now. But red has changed places with another colour, and a "
            "network that was trained on real colours sees false ones.",
            [
                _then(lambda batch: batch.flip(1)),
                _then(lambda batch: batch[:, [0, 2, 1]]),
                _then(lambda batch: batch[:, [1, 0, 2]]),
            ],
        ),
        Mistake(
            "one-colour-everywhere",
            "A red photo comes out as red. But in other photos every pixel now has the mean colour, and "
            "what was to be seen is gone.",
            [_then(_mean_colour)],
        ),
        Mistake(
            "not-from-0-to-1",
            "The pixels stand where they should. But their numbers no longer go from 0 to 1, as the "
            "network expects them: that part was right as it was.",
            [
                _then(lambda batch: batch * 255),
                _then(lambda batch: batch / 255),
                _then(lambda batch: (batch - batch.mean()) / batch.std()),
                _then(lambda batch: 2 * batch - 1),
                _then(lambda batch: 255 * batch / 256),
            ],
        ),
        Mistake(
            "mirrored",
            "The colours are right. But the photos are mirrored, or stand on their heads: a `b` in them "
            "becomes a `d`, or a `p`.",
            [
                _then(lambda batch: batch.flip(2)),
                _then(lambda batch: batch.flip(3)),
                _then(lambda batch: batch.flip(2, 3)),
            ],
        ),
    ),
    places=(
        Place(
            "shape of the batch",
            "wrong-shape",
            "The batch has another shape than a network expects: (N, 3, H, W), with the height before "
            "the width. A convolution takes the second axis for the channels, whatever stands there.",
        ),
        Place(
            "type of its numbers",
            "wrong-type",
            "The batch holds numbers of another type than float32. The weights of a network are float32, "
            "and PyTorch does not mix the two.",
        ),
        Place(
            "the batch",
            "other-pixels",
            "Not every number has its value, at its pixel and in its colour. A picture of it may look "
            "right at first sight all the same.",
        ),
    ),
)
