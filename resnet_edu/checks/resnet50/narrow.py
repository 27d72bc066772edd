"""How a whole ResNet-50 is looked at.

It is large, and a verdict is to come at once. So weights are not drawn at random while an answer is built:
they are overwritten anyway. A mistake is looked for in a narrow network, for which the answer's tensors are
given a sixteenth of their channels. What is right is decided by the logits of the whole network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from resnet_edu import networks
from resnet_edu.checks.compare import same, snapshot, tensor

CLASSES = 10
IMAGES = (2, 3, 40, 72)
STAGES = {
    f"layer{number}": (blocks, 32 * 2**number)
    for number, blocks in enumerate(networks.RESNETS[50][1], start=1)
}
"""Blocks and width of each stage, by name."""
FEATURES = 2048  # also in the narrow network, for those who write the number down in `forward`

Trace = dict[str, Tensor]
"""What reaches each block and the head, and the logits, each under a text for the learner."""


class NoRandomWeights(TorchFunctionMode):
    """Leaves a tensor as it is where it would be filled with random numbers."""

    NAMES = frozenset(
        {"normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_"}
        | {"xavier_normal_", "xavier_uniform_"}
    )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self.NAMES:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@cache
def shapes(num_classes: int) -> dict[str, torch.Size]:
    """The keys of torchvision's ResNet-50, and the shapes of its tensors."""
    with NoRandomWeights():
        model = networks.resnet50(num_classes)
    return {key: value.shape for key, value in model.state_dict().items()}


@cache
def images() -> Tensor:
    """A few small ones, of which no side equals the other."""
    return torch.randn(IMAGES, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def set_weights(model: nn.Module, *, narrow: bool = False) -> None:
    """Give a network with the right keys the same numbers each time, and none that it starts with."""
    own = model.state_dict(keep_vars=True)
    for key, shape in shapes(CLASSES).items():
        if key.endswith("num_batches_tracked"):
            continue
        numbers = _numbers()
        if key.endswith("running_var"):
            numbers = numbers.abs() + 0.5
        elif len(shape) > 1:
            numbers = numbers * math.sqrt(2 / shape[1:].numel())
        if narrow:
            shape = [size // 16 if 64 <= size < FEATURES else size for size in shape]
        own[key].data = own[key].data.new_empty(shape)
        for part in own[key].view(-1).split(len(numbers)):
            part.copy_(numbers[: len(part)])


@cache
def narrow_network() -> nn.Module:
    """A right one."""
    return _network(narrow=True)


# Known versions are many, and a network is slow to make: they take turns with the narrow one's stages.


def make_stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Module:  # noqa: ARG001
    """A stage of the narrow network, with this stride. For known versions, which call it like their own."""
    (name,) = [name for name, stage in STAGES.items() if stage == (blocks, width)]
    stage = narrow_network().get_submodule(name)
    stage[0].conv1.stride, stage[0].conv2.stride = (1, 1), (stride, stride)
    stage[0].downsample[0].stride = (stride, stride)
    return stage


def is_known(model: nn.Module) -> bool:
    """Whether the stages are those of `make_stage`."""
    return getattr(model, "layer1", None) is narrow_network().get_submodule("layer1")


def set_other_weights(model: nn.Module) -> None:
    """Give stem and head of a network with stages of `make_stage` the narrow network's weights."""
    for part in ("conv1", "bn1", "fc"):
        own = model.get_submodule(part)
        for key, value in narrow_network().get_submodule(part).state_dict().items():
            getattr(own, key).data = value


@cache
def wanted_trace() -> Trace:
    """What a right narrow network computes."""
    return trace(narrow_network(), {})[0]


@cache
@torch.no_grad()
def wanted_logits() -> Tensor:
    """What a right network of full width computes."""
    return snapshot(_network(narrow=False)(images()))


@torch.no_grad()
def trace(model: nn.Module, wanted: Trace) -> tuple[Trace, Exception | None]:
    """What a narrow model computes, up to the first thing that is not as wanted, or to an error."""
    seen: Trace = {}

    def note(label: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs:
                seen[label] = snapshot(tensor(inputs[0]))
                if wanted and not same(seen[label], wanted[label]):
                    raise _Enough

        return hook

    blocks = [
        f"{stage}.{place}" for stage, (number, _) in STAGES.items() for place in range(number)
    ]
    handles = [
        model.get_submodule(name).register_forward_pre_hook(note(f"what reaches {name}"))
        for name in (*blocks, "fc")
    ]
    try:
        seen["logits"] = snapshot(tensor(model(images())))
    except _Enough:
        pass
    except Exception as error:
        return seen, error
    finally:
        for handle in handles:
            handle.remove()
    return seen, None


class _Enough(Exception):  # noqa: N818 - it stops a network, and is no failure
    """The first difference was seen."""


def _network(*, narrow: bool) -> nn.Module:
    with NoRandomWeights():
        model = networks.resnet50(CLASSES)
    set_weights(model, narrow=narrow)
    return model.eval()


@cache
def _numbers() -> Tensor:
    # a prime number of them: repeated, they stand at another place in each row
    return torch.randn(99_991, generator=torch.Generator().manual_seed(0))
