"""Networks in files of our own: written with all that it takes to build them again, and the bundled one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu import files
from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, padding_shortcut
from resnet_edu.networks import Block, CifarResNet, ResNet, head, stages
from resnet_edu.weights.by_name import load_by_name

FORMAT = "resnet_edu network 1"
BLOCKS: dict[str, Block] = {
    "PlainBlock": PlainBlock,
    "BasicBlock": BasicBlock,
    "BasicBlock with padding shortcuts": partial(BasicBlock, shortcut=padding_shortcut),
    "Bottleneck": Bottleneck,
    "Bottleneck with the stride in its first 1x1": partial(Bottleneck, stride_in_1x1=True),
}
"""The blocks that a file can name."""


def save(
    model: ResNet | CifarResNet, path: str | Path, notes: Mapping[str, str] | None = None
) -> None:
    """Write a network to a safetensors file: the weights, and what it takes to build it again.

    The file is written whole or not at all, over a file that is there. It holds neither the mode nor which
    parameters are frozen. `notes` are kept beside the weights; `files.read(path)[1]` has them.

    Raises ValueError for a network that `load` could not build: it must be one of `resnet_edu.networks`,
    of any width, depth and number of classes. Raises OSError where the disk does not allow it.
    """
    words = {"format": FORMAT, "architecture": json.dumps(_architecture_of(model))}
    files.write(model.state_dict(), path, {**(notes or {}), **words})


def load(path: str | Path) -> ResNet | CifarResNet:
    """The network that `save` wrote to `path`, in evaluation mode.

    Raises FileError for a file that is missing, damaged, or not written by `save`.
    """
    tensors, words = files.read(path)
    if words.get("format") != FORMAT:
        raise files.FileError(
            f"{path} holds no network of this version's weights.save: its format is "
            f"{words.get('format', 'not named')!r}, and {FORMAT!r} was expected. Weights from elsewhere "
            f"are loaded by name: load_by_name(model, safetensors.torch.load_file(path))."
        )
    try:
        architecture = json.loads(words["architecture"])
        dtype = tensors["fc.weight"].dtype
        if max(architecture.get("blocks", [0])) > len(tensors):
            raise ValueError("more blocks than tensors")
        with torch.device("meta"):  # shapes alone: what a stranger asks for costs no memory
            model = _build(architecture, dtype)
        fits = _shapes(model.state_dict()) == _shapes(tensors)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        raise files.FileError(
            f"The architecture that {path} names does not fit its weights. The file was altered, or made "
            f"by another program: {words.get('architecture', 'no architecture')[:200]}"
        )
    load_by_name(model.to_empty(device="cpu"), tensors)
    return model.eval()


def _architecture_of(model: ResNet | CifarResNet) -> dict[str, Any]:
    """What `_build` takes to make a network of the same parts: found by trying each block."""
    try:
        sizes = (
            {"depth": 6 * len(model.layer1) + 2}
            if type(model) is CifarResNet
            else {"blocks": [len(stage) for stage in stages(model).values()]}
            | {"width": model.conv1.out_channels}
        )
        for block in BLOCKS:
            architecture = {
                "network": type(model).__name__,
                "block": block,
                **sizes,
                "num_classes": head(model).out_features,
                "epsilon": model.bn1.eps,
                "momentum": model.bn1.momentum,
            }
            with torch.device("meta"):
                twin = _build(architecture, head(model).weight.dtype)
            if _parts(twin) == _parts(model):
                return architecture
    except (AttributeError, LookupError, TypeError, ValueError):
        pass  # a part that networks of ours do not have
    raise ValueError(
        f"save takes networks of resnet_edu.networks, built of {', '.join(BLOCKS)}; this "
        f"{type(model).__name__} has other parts. Keep its weights by "
        f"safetensors.torch.save_file(model.state_dict(), path), and the code that builds it."
    )


def _build(architecture: dict[str, Any], dtype: torch.dtype) -> ResNet | CifarResNet:
    sizes = dict(architecture)
    network = {"ResNet": ResNet, "CifarResNet": CifarResNet}[sizes.pop("network")]
    block, epsilon, momentum = (sizes.pop(name) for name in ("block", "epsilon", "momentum"))
    if not isinstance(epsilon, float | int) or not isinstance(momentum, float | int | None):
        raise TypeError("epsilon and momentum are numbers")
    model = network(BLOCKS[block], **sizes).to(dtype)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = epsilon, momentum
    return model


def _parts(model: nn.Module) -> tuple[Any, ...]:
    modules = [(name, type(m), m.extra_repr()) for name, m in model.named_modules()]
    return modules, _shapes(model.state_dict())


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


# The weights that come with the course


BUNDLED = Path(__file__).parents[1] / "bundled" / "glyphs.safetensors"


def bundled() -> ResNet:
    """ResNet-50 at a quarter of its width, pretrained on `data.glyphs`, in evaluation mode.

    Its logits are for `data.GLYPHS`. `bundled/glyphs.md`, beside the file, says how it was trained, how
    well it reads, and where its limits are. Raises FileError where the file is missing or damaged.
    """
    try:
        return load(BUNDLED).float()  # kept at half precision
    except files.FileError as error:
        raise files.FileError(
            f"The pretrained weights of the course cannot be used: {error} Get the course anew, or make "
            f"them yourself: resnet-edu pretrain --out {BUNDLED.parent}"
        ) from error


def preprocess(name: str) -> Callable[[Tensor], Tensor]:
    """The function from images (N, 3, H, W) in 0..1 to the input of a network with the weights `name`.

    "glyphs", the weights of `bundled`: the shorter side is scaled to 64 pixels, and the middle 64x64 cut
    out. "imagenet", those of `imagenet()`: likewise 232 and 224 pixels; then ImageNet's mean is taken off
    each channel, and the rest divided by its deviation. Raises ValueError for another name.
    """
    from torchvision.models import ResNet50_Weights

    transforms = ResNet50_Weights.IMAGENET1K_V2.transforms
    if name == "glyphs":
        return transforms(crop_size=64, resize_size=64, mean=(0, 0, 0), std=(1, 1, 1))
    if name == "imagenet":
        return transforms()
    raise ValueError(f'There are the weights "glyphs" and "imagenet"; there is no {name!r}.')
