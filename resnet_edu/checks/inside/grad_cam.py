"""Where in an image a network finds its evidence."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside


def _grad_cam(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    kept: list[Tensor] = []

    def keep(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
        kept.append(output)

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        logits = model(image[None])
    finally:
        handle.remove()
    maps = kept[0]
    score = logits[0, class_index]
    (gradient,) = torch.autograd.grad(score, maps)
    with torch.no_grad():
        weights = gradient.mean((2, 3), keepdim=True)
        heat = (weights * maps).sum(1, keepdim=True)
        heat = heat.relu()
        heat = F.interpolate(heat, image.shape[1:], mode="bilinear", align_corners=False)
        if heat.max() > 0:
            heat = heat / heat.max()
    return heat[0, 0]


class _Network(nn.Module):
    """The form of a ResNet, with two blocks. Nothing in it works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(BasicBlock(4, 6, 2))
        self.layer2 = nn.Sequential(BasicBlock(6, 8, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.fc(self.avgpool(self.layer2(self.layer1(x))).flatten(1))


def _network() -> nn.Module:
    """All that is seen speaks for class 2, and nothing for class 3."""
    model = randomised(_Network(), seed=37).eval()
    with torch.no_grad():
        model.fc.weight *= 8  # maps far above the small numbers that people add to denominators
        model.fc.weight[2].abs_()
        model.fc.weight[3].abs_().neg_()
    return model


def _observe(answer: Answer, case: tuple[str, tuple[int, int], int], see: See) -> None:
    layer, size, class_index = case
    model = _network()
    found = Found(model)
    image = torch.randn(3, *size, generator=torch.Generator().manual_seed(1))
    with hooks_of_all_modules_kept():
        heat = tensor(answer(model, layer, image, class_index))
        _require_shape(heat, size)
        _require_numbers(heat)
        see("the map", heat)
        see("the image, afterwards", image)
        found.see_left(see)


def _require_shape(heat: Tensor, size: tuple[int, int]) -> None:
    shape = tuple(heat.shape)
    if shape == size:
        return
    rows = (("Expected", f"shape {size}"), ("Got", f"shape {shape}"))
    sides = [side for side in shape if side != 1]
    if sides == [*size]:
        raise Wrong("dimension-left", rows)
    if len(shape) == 3 and shape[1:] == size:
        raise Wrong("one-map-for-each-channel", rows)
    if sides == [*size][::-1]:
        raise Wrong("sides-swapped", rows)
    if len(sides) == 2 and max(sides) < min(size):
        raise Wrong("not-enlarged", rows)
    if len(sides) == 2 and sides[0] == sides[1]:
        raise Wrong("fixed-size", rows)
    raise Wrong("wrong-shape", rows)


def _require_numbers(heat: Tensor) -> None:
    if heat.is_floating_point() and bool(heat.isnan().any()):
        raise Wrong("divided-by-zero", (("Expected", "all zeros"), ("Got", "nan")))


grad_cam = Check(
    signature="grad_cam(model, layer, image, class_index)",
    reference=_grad_cam,
    observe=_observe,
    cases={
        f"a small network in evaluation mode, layer={layer!r}, an image of (3, {h}, {w}), {what}": (
            layer,
            (h, w),
            index,
        )
        for layer, (h, w), index, what in (
            ("layer1", (24, 32), 4, "class_index=4"),
            ("layer2.0.conv2", (48, 32), 1, "class_index=1"),
            ("layer2", (34, 44), 2, "class_index=2, for which everything speaks"),
            ("layer2", (40, 56), 3, "class_index=3, for which nothing speaks"),
        )
    },
    said=beside(__file__),
)
