"""Weights from elsewhere, and weights kept: always by name, never by position.

`load_by_name`  weights into a model, with a report of what did not fit
`imagenet`      our networks with the weights that torchvision publishes
`from_keras`    a ResNet of Keras as one of ours
`save`, `load`  a network with its architecture, in one file
`bundled`       the small ResNet-50 that comes with the course, pretrained on glyphs
`preprocess`    what images must go through before a pretrained network gets them

Networks that come out of here are in evaluation mode, ready to classify: call `model.train()` before you
train one on.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import socket
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from os.path import isfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError, URLError

import torch
from torch import Tensor, nn

from resnet_edu import files
from resnet_edu.blocks import BasicBlock, Bottleneck, PlainBlock, padding_shortcut
from resnet_edu.networks import (
    Block,
    CifarResNet,
    ResNet,
    _accept_published_names,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)

Shape = tuple[int, ...]

ALIKE = 0.5
"""From this likeness on (difflib's, 0 to 1) a name is taken for another one, misspelled."""


@dataclass(frozen=True, repr=False)
class LoadReport:
    """How weights fit a model: what was missing, unexpected, or of another shape.

    `wrong_shape` holds (name, the model's shape, the given shape). `suggestions` maps unexpected names to
    names of the model that they are probably meant for.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, Shape, Shape], ...]
    suggestions: dict[str, str]

    @property
    def is_complete(self) -> bool:
        """Whether every name was there, none was left over, and all shapes fit."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __repr__(self) -> str:
        if self.is_complete:
            return "Every name and every shape fits."
        meant = {name: f"{name} (meant: {to}?)" for name, to in self.suggestions.items()}
        shapes = [f"{name}: expected {ours}, got {given}" for name, ours, given in self.wrong_shape]
        lines = (
            _line("missing", self.missing),
            _line("unexpected", [meant.get(name, name) for name in self.unexpected]),
            _line("wrong shape", shapes),
        )
        return "\n".join(line for line in lines if line)


class LoadError(ValueError):
    """Weights that do not fit the model. `report` says what did not; the model is as it was."""

    def __init__(self, report: LoadReport) -> None:
        super().__init__(
            f"The weights do not fit the model, and nothing was loaded.\n{report}\n"
            f"Rename or correct them, or load only what fits: strict=False."
        )
        self.report = report


def load_by_name(
    model: nn.Module, state_dict: Mapping[str, Tensor], *, strict: bool = True
) -> LoadReport:
    """Copy `state_dict` into `model`, name by name, and report what did not fit.

    With `strict=False` all that fits is loaded, and the rest of the model stays as it was. A batch norm's
    `num_batches_tracked` may be missing, as in files from before PyTorch 0.4.1. Floating-point numbers of
    another precision are converted.

    Raises LoadError where something is missing, unexpected or of a wrong shape (strict), and TypeError
    for what is no state_dict. The model is then unchanged.
    """
    given = _require_state_dict(state_dict)
    if isinstance(model, CifarResNet):  # it takes some published names, in `load_state_dict` too
        _accept_published_names(model, given, prefix="")
    own = model.state_dict()
    for name in own.keys() & given.keys():
        _require_same_kind(name, own[name], given[name])

    missing = [n for n in own if n not in given]
    unexpected = [n for n in given if n not in own]
    report = LoadReport(
        tuple(n for n in missing if not n.endswith("num_batches_tracked")),
        tuple(unexpected),
        tuple(
            (n, tuple(own[n].shape), tuple(t.shape))
            for n, t in given.items()
            if n in own and own[n].shape != t.shape
        ),
        _suggest({n: given[n].shape for n in unexpected}, {n: own[n].shape for n in missing}),
    )
    if strict and not report.is_complete:
        raise LoadError(report)
    fits = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    model.load_state_dict(fits, strict=False)
    return report


def _require_state_dict(weights: Any) -> dict[str, Tensor]:
    wanted = "load_by_name takes a state_dict: names, and a tensor for each."
    if isinstance(weights, nn.Module):
        raise TypeError(f"{wanted} This is a whole model: give its weights, other.state_dict().")
    if isinstance(weights, str | os.PathLike):
        raise TypeError(
            f"{wanted} This is a path: read the file first, torch.load(path, weights_only=True)."
        )
    if not isinstance(weights, Mapping):
        raise TypeError(f"{wanted} This is a {type(weights).__name__}.")
    for name, value in weights.items():
        if isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values()):
            raise TypeError(f"{wanted} This is a checkpoint, and the weights are in its {name!r}.")
    for name, value in weights.items():
        if not isinstance(name, str):
            raise TypeError(f"{wanted} One name is {name!r}, which is no text.")
        if not isinstance(value, Tensor):
            hint = " torch.from_numpy makes one of it." if hasattr(value, "__array__") else ""
            raise TypeError(f"{wanted} {name!r} is a {type(value).__name__}, not a tensor.{hint}")
    return dict(weights)


def _require_same_kind(name: str, own: Tensor, given: Tensor) -> None:
    if own.is_floating_point() != given.is_floating_point() or given.is_complex():
        raise TypeError(
            f"{name} holds {given.dtype}, and the model needs {own.dtype}. Convert it yourself, if it "
            f"is the right tensor: {given.dtype} numbers may need a scale that is not known here."
        )
    if own.is_meta or given.is_meta:
        whose = "model's" if own.is_meta else "given"
        raise TypeError(
            f"The {whose} {name} is on the device 'meta', where tensors have a shape and no numbers."
        )


def _suggest(unexpected: dict[str, Shape], missing: dict[str, Shape]) -> dict[str, str]:
    """For an unexpected name the nearest missing one of the same shape; each is suggested once."""
    suggestions: dict[str, str] = {}
    for alike in (_is_end_of_other, _is_spelled_alike):  # the surer sign first
        for name in [n for n in unexpected if n not in suggestions]:
            free = missing.keys() - suggestions.values()
            fitting = [
                n
                for n in missing
                if n in free and missing[n] == unexpected[name] and alike(name, n)
            ]
            if fitting:
                suggestions[name] = max(fitting, key=partial(_likeness, name))
    return {name: suggestions[name] for name in unexpected if name in suggestions}


def _is_end_of_other(a: str, b: str) -> bool:
    return f".{a}".endswith(f".{b}") or f".{b}".endswith(f".{a}")


def _is_spelled_alike(a: str, b: str) -> bool:
    """Alike as a whole, and in the last word, which tells a weight from a bias."""
    last_words = a.rpartition(".")[2], b.rpartition(".")[2]
    return _likeness(*last_words) >= ALIKE and _likeness(a, b) >= ALIKE


def _likeness(a: str, b: str) -> float:
    return 1.0 if a == b else difflib.SequenceMatcher(None, a, b).ratio()


def _line(what: str, things: Iterable[str], most: int = 6) -> str:
    things = list(things)
    more = f", and {len(things) - most} more" if len(things) > most else ""
    return f"  {what} ({len(things)}): {', '.join(things[:most])}{more}" if things else ""


# Torchvision's weights for ImageNet


RESNETS = {make.__name__: make for make in (resnet18, resnet34, resnet50, resnet101, resnet152)}
PATIENCE = 20.0
"""Seconds for which a server may send nothing before a download is given up."""


class DownloadError(RuntimeError):
    """Published weights could not be had. What was on the disk is as it was: no half file is left."""


def imagenet(name: str = "resnet50", version: str = "IMAGENET1K_V2") -> ResNet:
    """Our network `name` with the weights that torchvision publishes, in evaluation mode.

    They are downloaded once (ResNet-50: about 100 MB) and kept where torchvision keeps them:
    `imagenet_file` says where. The file is checked at each call. A damaged one is downloaded again, and
    replaced when the new one is whole.

    "IMAGENET1K_V1" was trained much as in the paper, "IMAGENET1K_V2" by a newer recipe; it exists for
    ResNet-50 and deeper. Images are prepared by the `transforms()` of torchvision's weights.

    Raises ValueError for a name or version that does not exist, and DownloadError, which says what to do,
    where the weights cannot be had.
    """
    url, path = _published(name, version).url, imagenet_file(name, version)
    try:
        if not _is_whole(path):
            _download(url, path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, HTTPException, RuntimeError) as error:
        raise DownloadError(
            f"The weights of {name} could not be had: {_in_words(error)}.\n"
            + ("(A file is there already; it is damaged or unreadable.)\n" if isfile(path) else "")
            + f"There are three ways out:\n"
            f"1. Try again.\n"
            f"2. Put the file from {url}\n   at {path}\n"
            f"3. Go on without them: networks.{name}() has random weights."
        ) from None
    model = RESNETS[name]()
    load_by_name(model, state)
    return model.eval()


def imagenet_file(name: str = "resnet50", version: str = "IMAGENET1K_V2") -> Path:
    """Where the file with these weights is, or will be: torchvision looks there too."""
    url = _published(name, version).url
    return Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])


def _published(name: str, version: str) -> Any:
    """Torchvision's entry for these weights: it has a `url`, `transforms` and `meta`."""
    from torchvision.models import get_model_weights

    if name not in list(RESNETS):
        raise ValueError(f"There is no network {name!r}; there are {', '.join(RESNETS)}.")
    versions = get_model_weights(name).__members__
    if version not in list(versions):
        raise ValueError(f"{name} has no weights {version!r}; it has {', '.join(versions)}.")
    return versions[version]


def _is_whole(path: Path) -> bool:
    """Whether the file is there, and its SHA-256 begins as its name, resnet50-11ad3fa6.pth, says."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(_hash_in(path))


def _hash_in(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def _in_words(error: Exception) -> str:
    if isinstance(error, RuntimeError):
        return f"what came is cut off or altered ({error})"
    cause = error.reason if type(error) is URLError else error
    return " ".join(str(cause).split()) or type(cause).__name__


def _download(url: str, path: Path) -> None:
    """Download into a folder beside `path`, then rename; the folder goes, with all that is in it.

    (On a full disk torch.hub can leave its half file.)
    """
    before = socket.getdefaulttimeout()
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder, path.name)
        try:
            socket.setdefaulttimeout(PATIENCE)  # torch.hub sets none, and would wait forever
            torch.hub.download_url_to_file(url, str(part), _hash_in(path))
        except HTTPError as error:
            error.close()  # it holds the connection
            raise
        finally:
            socket.setdefaulttimeout(before)
        part.replace(path)


# Keras


STAGES = ("conv2", "conv3", "conv4", "conv5")
WANTED_OF_KERAS = (
    "from_keras takes ResNet50, ResNet101 or ResNet152 of keras.applications, with the head "
    "(include_top=True)."
)
KERAS_NAMES = {
    "conv1": "conv1_conv",
    "bn1": "conv1_bn",
    "relu": "conv1_relu",
    "maxpool": "pool1_pool",
    "avgpool": "avg_pool",
    "fc": "predictions",
}
KERAS_NAMES_IN_A_BLOCK = {
    "conv1": "1_conv",
    "bn1": "1_bn",
    "relu1": "1_relu",
    "conv2": "2_conv",
    "bn2": "2_bn",
    "relu2": "2_relu",
    "conv3": "3_conv",
    "bn3": "3_bn",
    "downsample.0": "0_conv",
    "downsample.1": "0_bn",
    "relu3": "out",
}
KERAS_WEIGHTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def keras_name(name: str) -> str:
    """The layer of Keras's ResNet-50 that is our module `name`: conv2_block1_1_conv is layer1.0.conv1.

    Keras counts stages from the stem and blocks from 1. Raises ValueError where Keras has no such layer.
    """
    if name in KERAS_NAMES:
        return KERAS_NAMES[name]
    match = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", name)
    if match and match[3] in KERAS_NAMES_IN_A_BLOCK:
        stage, block, module = int(match[1]) + 1, int(match[2]) + 1, match[3]
        return f"conv{stage}_block{block}_{KERAS_NAMES_IN_A_BLOCK[module]}"
    raise ValueError(f"Keras's ResNets have no layer that is our {name!r}.")


def from_keras(keras_model: Any) -> ResNet:
    """Keras's ResNet50, ResNet101 or ResNet152 as one of our networks, in evaluation mode.

    It computes what Keras computes, up to the softmax: our networks end in logits, and
    `logits.softmax(1)` are Keras's probabilities. Images are (N, 3, H, W), prepared as by Keras's
    `resnet.preprocess_input`: BGR, less the mean.

    Strides, epsilon and momentum are Keras's. The biases of its convolutions move into the batch norm
    behind them, which takes the mean off again: of x + bias the mean m, or of x the mean m - bias. So
    the network has the names and the number of parameters of every other ResNet here.

    Raises ValueError for other models, and where a weight is missing or left over.
    """
    layers = {layer.name: layer for layer in getattr(keras_model, "layers", ())}
    starts = [f"{stage}_block1_1_conv" for stage in STAGES]
    for name in ("conv1_conv", "conv1_bn", *starts, "predictions"):
        if name not in layers:
            raise ValueError(
                f"{WANTED_OF_KERAS} This {type(keras_model).__name__} has no layer {name!r}."
            )
    blocks = [len([n for n in layers if re.fullmatch(rf"{s}_block\d+_1_conv", n)]) for s in STAGES]
    block = partial(Bottleneck, stride_in_1x1=True)
    classes, width = layers["predictions"].units, layers["conv1_conv"].filters
    model = ResNet(block, blocks, classes, width).eval()

    report = load_by_name(model, _state_of_keras(model, layers.values()), strict=False)
    if not report.is_complete:
        raise ValueError(f"{WANTED_OF_KERAS} This {type(keras_model).__name__} differs.\n{report}")
    for name, module in _layers_with_weights(model):
        layer = layers[keras_name(name)]
        if isinstance(module, nn.BatchNorm2d):
            module.eps = layer.epsilon
            module.momentum = round(1 - layer.momentum, 6)  # Keras: of the old; PyTorch: of the new
        elif isinstance(module, nn.Conv2d) and tuple(layer.strides) != module.stride:
            raise ValueError(f"{WANTED_OF_KERAS} The stride of {layer.name} is {layer.strides}.")
    return model


def _layers_with_weights(model: nn.Module) -> list[tuple[str, nn.Module]]:
    kinds = nn.Conv2d | nn.BatchNorm2d | nn.Linear
    return [(name, m) for name, m in model.named_modules() if isinstance(m, kinds)]


def _state_of_keras(model: ResNet, layers: Iterable[Any]) -> dict[str, Tensor]:
    """All weights of Keras's layers under our names; one that we have no name for keeps its own."""
    modules = {keras_name(name): name for name, _ in _layers_with_weights(model)}
    state = {}
    for layer in layers:
        for weight in layer.weights:
            with warnings.catch_warnings():  # Keras copies in a way that NumPy 2 deprecates
                warnings.simplefilter("ignore", DeprecationWarning)
                tensor = torch.from_numpy(weight.numpy().astype("float32"))
            if weight.name == "kernel":  # (in, out), or (height, width, in, out)
                tensor = tensor.permute(3, 2, 0, 1) if tensor.dim() == 4 else tensor.T
            name = modules.get(layer.name, layer.name)
            state[f"{name}.{KERAS_WEIGHTS.get(weight.name, weight.name)}"] = tensor
    for name in [n for n in state if re.search(r"(conv\d|downsample\.0)\.bias$", n)]:
        norm = name.replace("conv", "bn").replace("downsample.0", "downsample.1")
        mean = norm.replace("bias", "running_mean")
        if mean in state:
            state[mean] = state[mean] - state.pop(name)
    return state


# Networks in files of our own


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
    files.write(path, model.state_dict(), {**(notes or {}), **words})


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
            else {"blocks": [len(model.get_submodule(f"layer{i}")) for i in (1, 2, 3, 4)]}
            | {"width": model.conv1.out_channels}
        )
        for block in BLOCKS:
            architecture = {
                "network": type(model).__name__,
                "block": block,
                **sizes,
                "num_classes": model.fc.out_features,
                "epsilon": model.bn1.eps,
                "momentum": model.bn1.momentum,
            }
            with torch.device("meta"):
                twin = _build(architecture, model.fc.weight.dtype)
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


BUNDLED = Path(__file__).with_name("bundled") / "glyphs.safetensors"


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
