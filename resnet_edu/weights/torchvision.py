"""Torchvision's weights for ImageNet: downloaded once, checked at each use."""

from __future__ import annotations

import hashlib
import socket
from http.client import HTTPException
from os.path import isfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError, URLError

import torch

from resnet_edu.networks import RESNETS, ResNet
from resnet_edu.weights.by_name import load_by_name

DEPTHS = {f"resnet{depth}": depth for depth in RESNETS}
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
    model = ResNet(*RESNETS[DEPTHS[name]])
    load_by_name(model, state)
    return model.eval()


def imagenet_file(name: str = "resnet50", version: str = "IMAGENET1K_V2") -> Path:
    """Where the file with these weights is, or will be: torchvision looks there too."""
    url = _published(name, version).url
    return Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])


def _published(name: str, version: str) -> Any:
    """Torchvision's entry for these weights: it has a `url`, `transforms` and `meta`."""
    from torchvision.models import get_model_weights

    if name not in list(DEPTHS):
        raise ValueError(f"There is no network {name!r}; there are {', '.join(DEPTHS)}.")
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
