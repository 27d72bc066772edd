"""How the course's own weights are made: a small ResNet-50 learns to read letters and symbols.

`pretrain` is the loop of `resnet_edu.training`, with two differences: every batch is new, so that no image
is ever seen twice, and several processes can share the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

from resnet_edu import data, training, weights
from resnet_edu.networks import ResNet, resnet50
from resnet_edu.training import History, Recipe

IMAGES_IN_A_PASS = 30_000
VALIDATION_IMAGES = 4000
WEIGHTS, CHECKPOINT = "glyphs.safetensors", "checkpoint.safetensors"


def network(seed: int = 0) -> ResNet:
    """ResNet-50 at a quarter of its width, for `data.GLYPHS`, as it is before the training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return resnet50(len(data.GLYPHS), width=16, zero_init_residual=True)


def recipe(passes: int = 10, seed: int = 0) -> Recipe:
    """The recipe for as many images as `passes` times 30,000."""
    return Recipe(
        steps=passes * IMAGES_IN_A_PASS // 128,
        batch_size=128,
        learning_rate=0.15,
        seed=seed,
    )


def validation(count: int = VALIDATION_IMAGES) -> TensorDataset:
    """The images that the accuracy is measured on, in faces that are never trained on."""
    return data.glyphs("validation", count)


def pretrain(folder: str | Path, recipe: Recipe, validation: TensorDataset) -> History:
    """Train `network()` on glyphs by `recipe`, and save it as `folder`/glyphs.safetensors.

    Images of validation are never trained on. The state of the training is kept in
    `folder`/checkpoint.safetensors: called again, with the same arguments and the same number of
    processes, it goes on from there to the same weights as without a break.

    It trains on a GPU, if there is one. Started by torchrun, all processes train one network together, and
    share each batch.

    Raises ValueError where the batch cannot be shared evenly, FileError for a checkpoint of another
    training, NotFiniteError where the loss is infinite or NaN.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _processes() as (rank, processes):
        if recipe.batch_size % processes:
            raise ValueError(
                f"A batch of {recipe.batch_size} cannot be shared evenly by {processes} processes."
            )
        model = network(recipe.seed)
        some = data.glyphs("train", 100, recipe.seed)  # a checkpoint knows the data by them
        with training.prepared(model) as device:
            trained = DistributedDataParallel(model) if processes > 1 else model
            run = _Run(trained, some, recipe, device)
            run.rank, run.processes = rank, processes
            history = training.complete(
                run,
                validation,
                folder / CHECKPOINT,
                on_step=training.quiet if rank else None,
            )
        if not (rank or history.stopped):
            weights.save(model.half(), folder / WEIGHTS, {"preparation": "glyphs"})
    return history


class _Run(training.Run):
    """A training in which each step has images of its own, shared by several processes."""

    rank: int
    processes: int

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """This process's part of the batch. Its images follow from the seed, the step and the rank."""
        mixed = np.random.SeedSequence((self.recipe.seed, self.step, self.rank))
        size, seed = self.recipe.batch_size // self.processes, int(mixed.generate_state(1)[0])
        images, labels = data.glyphs("train", size, seed).tensors
        images = images.to(self.device, memory_format=torch.channels_last)
        return images, labels.to(self.device)

    def save(self, path: str | Path) -> None:
        """All processes have the same state: one of them writes it."""
        if self.rank == 0:
            super().save(path)


@contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """The rank of this process and the number of processes; (0, 1) where torchrun has not started it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield 0, 1
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()
