"""What different shortcuts do to the signal on its way, before any training.

Source: He et al., "Identity Mappings in Deep Residual Networks" (2016), section 3. If each shortcut
multiplies by a factor, the path through all of them multiplies by the product of the factors: 0.5 in each
of 27 blocks leaves 0.5^27 = 7e-9 of the signal, forward and backward. Only the factor 1 leaves it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.as_found import hooked
from resnet_edu.blocks import BasicBlock, PlainBlock, conv1x1, padding_shortcut
from resnet_edu.networks import Block, CifarResNet, block_names, last_norm


class _Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x


def _half_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Sequential(padding_shortcut(in_channels, out_channels, stride), _Half())


SHORTCUTS: dict[str, Block] = {
    "none": PlainBlock,
    "identity": partial(BasicBlock, shortcut=padding_shortcut),
    "scaled by 0.5": partial(BasicBlock, shortcut=_half_shortcut),
    "1x1 convolution": partial(BasicBlock, shortcut=conv1x1),
}


@dataclass(frozen=True)
class ShortcutSetting:
    """A network of the CIFAR-10 form with one kind of shortcut in all blocks (2016 paper, table 1).

    `gamma`, 0 to 1, is the weight of the last batch norm of each branch at the start: at 0 a block is its
    shortcut and nothing else. The ReLU stands after the addition, as in the 2015 paper. Where a block
    changes the shape, "identity" and "scaled by 0.5" pad with zeros (option A).
    """

    shortcut: str = "identity"
    depth: int = 20
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.shortcut not in list(SHORTCUTS):
            known = ", ".join(SHORTCUTS)
            raise ValueError(f"There is no shortcut {self.shortcut!r} here; choose of {known}.")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma is between 0 and 1 here, and not {self.gamma!r}.")


@dataclass(frozen=True)
class BlockSignal:
    """One block: its name, and the two signals at its output.

    `scale` is the root mean square of the numbers that come out, `gradient_norm` the L2 norm of the loss's
    gradient with respect to them.
    """

    name: str
    scale: float
    gradient_norm: float


@dataclass(frozen=True)
class ShortcutSignal:
    """The cross-entropy of one batch, and what was measured at every block, first to last."""

    loss: float
    blocks: tuple[BlockSignal, ...]


def shortcut_network(setting: ShortcutSetting, seed: int = 0) -> CifarResNet:
    """The untrained network of this setting, He-initialised from `seed`.

    Raises ValueError for a depth that is not 6n + 2.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CifarResNet(SHORTCUTS[setting.shortcut], setting.depth)
    for name in block_names(model):
        nn.init.constant_(last_norm(model.get_submodule(name)).weight, setting.gamma)
    return model


def shortcut_signal(
    setting: ShortcutSetting, images: Tensor, labels: Tensor, seed: int = 0
) -> ShortcutSignal:
    """One forward and backward pass of `shortcut_network(setting, seed)` in training mode.

    `images` are images (N, 3, H, W), `labels` (N,) class numbers.
    """
    model = shortcut_network(setting, seed).train()
    names = block_names(model)
    outputs: list[Tensor] = []

    def note_output(_block: nn.Module, _args: object, output: Tensor) -> None:
        outputs.append(output)

    hooks = [model.get_submodule(name).register_forward_hook(note_output) for name in names]
    with hooked(hooks), torch.enable_grad():
        loss = F.cross_entropy(model(images), labels)
        gradients = torch.autograd.grad(loss, outputs)
    blocks = (
        BlockSignal(
            name, x.detach().double().square().mean().sqrt().item(), g.double().norm().item()
        )
        for name, x, g in zip(names, outputs, gradients, strict=True)
    )
    return ShortcutSignal(loss.item(), tuple(blocks))
