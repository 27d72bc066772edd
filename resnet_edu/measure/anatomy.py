"""What a network is made of: shape, parameters, multiply-adds and receptive field, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from resnet_edu.as_found import hooked, in_mode


@dataclass(frozen=True)
class Layer:
    """One layer, in the order of execution.

    `output_shape` is (C, H, W), or (features,) behind the pooling. `multiply_adds` is for one image;
    the papers call it FLOPs. `receptive_field` is the side in pixels of the square of the image that one
    output number depends on, or None for the whole image; it can be larger than the image.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int | None


@dataclass(frozen=True)
class Anatomy:
    """All layers of a network, first to last, for square images of `image_size` pixels.

    `receptive_field` is the one in front of the head: the side in pixels of the square that one number sees
    before the last pooling over all places, or, without such a pooling, at the end. None is the whole
    image: so it is behind a block that pools over all places and multiplies its maps by what it found.
    """

    network: str
    image_size: int
    layers: tuple[Layer, ...]
    receptive_field: int | None

    @property
    def parameters(self) -> int:
        """Weights and biases in total."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds in total, for one image."""
        return sum(layer.multiply_adds for layer in self.layers)


def anatomy(model: nn.Module, image_size: int = 224) -> Anatomy:
    """Follow one image (3, image_size, image_size) through `model` and note every layer.

    Nothing is computed: only shapes are followed, on PyTorch's "meta" device, so that ResNet-152 takes
    a moment and no memory. A layer is a module without children. Receptive fields are right for
    convolutions (not transposed ones), pooling and whatever works pixel by pixel.
    """
    layers: list[Layer] = []
    image = torch.empty(1, 3, image_size, image_size, device="meta")
    fields = _ReceptiveFields(image)
    counter = FlopCounterMode(display=False)
    seen: set[nn.Parameter] = set()

    def note(name: str, module: nn.Module, output: Tensor) -> None:
        own = set(module.parameters()) - seen
        seen.update(own)
        layers.append(
            Layer(
                name=name,
                kind=type(module).__name__,
                output_shape=tuple(output.shape[1:]),
                parameters=sum(parameter.numel() for parameter in own),
                multiply_adds=counter.get_total_flops() // 2 - sum(x.multiply_adds for x in layers),
                receptive_field=fields.of(output).side,
            )
        )

    def hook_for(name: str) -> Callable[..., None]:
        return lambda module, _args, output: note(name, module, output)

    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    shapes = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    leaves = [(n, m) for n, m in model.named_modules() if not list(m.children())]
    handles = [m.register_forward_hook(hook_for(n)) for n, m in leaves]
    with hooked(handles), in_mode(model, training=False), torch.no_grad(), fields, counter:
        logits = functional_call(model, shapes, (image,))
    seen_by_head = fields.of(logits).before_pooling
    return Anatomy(type(model).__name__, image_size, tuple(layers), seen_by_head)


class _Field(NamedTuple):
    """What one number of a tensor depends on: a square of the image.

    `jump` is by how many image pixels the square moves from one number to its neighbour. Behind a pooling
    over all places `side` is None, the whole image, and `before_pooling` is the side in front of it.
    """

    side: int | None = 1
    jump: int = 1
    before_pooling: int | None = 1


class _ReceptiveFields(TorchDispatchMode):
    """Notes for every tensor which square of the image one of its numbers depends on.

    A kernel of span s widens the square by (s - 1) jumps; a stride multiplies the jump. Where two paths
    meet, the wider one counts (Araujo et al., "Computing Receptive Fields of Convolutional Neural
    Networks", Distill 2019).
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.known = WeakIdKeyDictionary()  # tensor: _Field, for what was computed from the image
        self.known[image] = _Field()

    def of(self, tensor: Tensor) -> _Field:
        return self.known.get(tensor, _Field())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        inputs = [
            self.known[t] for t in tree_leaves(args) if isinstance(t, Tensor) and t in self.known
        ]
        if not inputs:  # weights among themselves
            return output
        field = _joined(inputs)

        operation = func.overloadpacket
        aten = torch.ops.aten
        if operation is aten.convolution:
            kernel, stride, dilation = args[1].shape[2:], args[3], args[5]
            field = _widened(field, kernel, stride, dilation)
        elif operation in (aten.max_pool2d_with_indices, aten.avg_pool2d):
            kernel, stride = args[1], (args[2] if len(args) > 2 and args[2] else args[1])
            dilated = operation is aten.max_pool2d_with_indices and len(args) > 4
            field = _widened(field, kernel, stride, args[4] if dilated else [1])
        elif operation in (aten._adaptive_avg_pool2d, aten.adaptive_max_pool2d):
            field = field._replace(side=None)
        elif operation is aten.mean:
            averaged = range(args[0].dim()) if len(args) < 2 else args[1]
            if any(dim % args[0].dim() >= 2 for dim in averaged):  # over height or width
                field = field._replace(side=None)

        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self.known[tensor] = field
        return output


def _joined(fields: Sequence[_Field]) -> _Field:
    """The field of what is computed from numbers with these fields."""
    sides = [field.side for field in fields]
    before = [field.before_pooling for field in fields]
    if (
        len({side is None for side in sides}) == 2
    ):  # a map, and what was pooled: squeeze-and-excitation
        before = [None]
    jump = max(field.jump for field in fields)
    return _Field(_widest(sides), jump, _widest(before))


def _widest(sides: Sequence[int | None]) -> int | None:
    known = [side for side in sides if side is not None]
    return max(known) if len(known) == len(sides) else None


def _widened(
    field: _Field, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> _Field:
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, cycle(dilation), strict=False)]
    jump = field.jump * max(stride)
    if field.side is None:  # a square cannot be wider than the whole image
        return field._replace(jump=jump)
    side = field.side + (max(spans) - 1) * field.jump
    return _Field(side, jump, side)
