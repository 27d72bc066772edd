"""Take a block out of a network, or shuffle its blocks, and see what becomes of it.

Source: Veit et al., "Residual Networks Behave Like Ensembles of Relatively Shallow Networks" (2016),
sections 4.1 (one block removed) and 4.3 (blocks shuffled).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnet_edu import networks
from resnet_edu.as_found import hooked, in_mode
from resnet_edu.networks import block_names


@dataclass(frozen=True)
class Lesions:
    """What a network answers whole, and with one block removed.

    `labels` has one class number for each image, `intact` the answers of the whole network. `removed`
    maps the name of each removable block to the answers without it. `blocks` names all blocks in order,
    also those that change the shape and so cannot be removed.
    """

    blocks: tuple[str, ...]
    labels: tuple[int, ...]
    intact: tuple[int, ...]
    removed: dict[str, tuple[int, ...]]

    @property
    def intact_accuracy(self) -> float:
        """Accuracy of the whole network, 0 to 1."""
        return self._accuracy(self.intact)

    @property
    def accuracies(self) -> dict[str, float]:
        """Accuracy without each removable block, 0 to 1."""
        return {name: self._accuracy(answers) for name, answers in self.removed.items()}

    def misread(self, name: str | None = None) -> tuple[int, ...]:
        """Places of the images read rightly by the whole network and wrongly without block `name`.

        Without a name: the places of the images that the whole network misreads.
        """
        answers = self.intact if name is None else self.removed[name]
        rows = enumerate(zip(self.labels, self.intact, answers, strict=True))
        return tuple(
            place
            for place, (label, before, now) in rows
            if now != label and (name is None or before == label)
        )

    def _accuracy(self, answers: tuple[int, ...]) -> float:
        right = sum(a == b for a, b in zip(answers, self.labels, strict=True))
        return right / len(self.labels)


def without_block(model: nn.Module, name: str) -> nn.Module:
    """A copy of `model` in which block `name` is the identity. `model` is left as it is.

    In a residual network that takes the branch away: a block's input is never negative, so the ReLU
    after the addition leaves it as it is.
    Raises ValueError for a name that is no block's, and for a block that changes the shape.
    """
    names = block_names(model)
    if name not in names:
        raise ValueError(f"There is no block {name!r}; the blocks are {', '.join(names)}.")
    if not _keeps_shape(model.get_submodule(name)):
        can = ", ".join(n for n in names if _keeps_shape(model.get_submodule(n)))
        raise ValueError(
            f"Block {name} changes the shape, so what comes out cannot be what went in. "
            f"Removable are {can or 'none of its blocks'}."
        )
    copied = copy.deepcopy(model)
    stage, place = name.split(".")
    copied.get_submodule(stage)[int(place)] = nn.Identity()
    return copied


def shuffled(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy in which the blocks that keep the shape are in another order, inside each stage.

    The order is drawn from `seed`; a stage with fewer than two such blocks stays as it is, and chance
    may also draw the old order. `model` is left as it is.
    """
    generator = torch.Generator().manual_seed(seed)
    copied = copy.deepcopy(model)
    for blocks in networks.stages(copied).values():
        places = [i for i, block in enumerate(blocks) if _keeps_shape(block)]
        order = torch.randperm(len(places), generator=generator).tolist()
        moved = [blocks[places[i]] for i in order]
        for place, block in zip(places, moved, strict=True):
            blocks[place] = block
    return copied


def lesions(model: nn.Module, images: Tensor, labels: Tensor) -> Lesions:
    """The answers of `model` to images (N, 3, H, W), whole and without each removable block in turn.

    In evaluation mode; `labels` (N,) are class numbers. The model is left as it was. What comes before
    a removed block is computed once, and not again for each removal.
    Raises ValueError where images and labels are not as many, or none.
    """
    if not len(images) or len(images) != len(labels):
        raise ValueError(
            f"lesions needs as many labels as images, and one at least; got {len(images)} images and "
            f"{len(labels)} labels."
        )
    names = block_names(model)
    blocks = [model.get_submodule(name) for name in names]
    inputs: list[Tensor] = []
    removed = {}

    def note_input(_block: nn.Module, args: tuple[Tensor, ...]) -> None:
        inputs.append(args[0])

    with in_mode(model, training=False), torch.no_grad():
        with hooked([block.register_forward_pre_hook(note_input) for block in blocks]):
            intact = model(images)
        for place, name in enumerate(names):
            if _keeps_shape(blocks[place]):
                x = inputs[place]
                for block in blocks[place + 1 :]:
                    x = block(x)
                removed[name] = _classes(networks.classify(model, x))
    return Lesions(names, tuple(labels.tolist()), _classes(intact), removed)


def _keeps_shape(block: nn.Module) -> bool:
    if isinstance(block, nn.Identity):
        return True
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    same_size = all(conv.stride == (1, 1) for conv in convolutions)
    return same_size and convolutions[0].in_channels == block.out_channels


def _classes(logits: Tensor) -> tuple[int, ...]:
    return tuple(logits.argmax(1).tolist())
