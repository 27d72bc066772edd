"""A linear classifier on the features before the head."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.as_found import in_mode
from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import Near, See, wrong_type
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet

Data = tuple[Tensor, Tensor]

# Three groups of images, which differ in how far red and blue are from the middle. That can be up or down,
# so no linear function of the pixels tells the groups apart; the features do, each of them several times.
# To each group: red, blue, the number of images in train and test, and the label in train and test.
GROUPS = (
    (2.5, 2.5, 12, 14, 0, 0),
    (2.5, 0.0, 12, 10, 1, 1),
    (0.0, 2.5, 8, 16, 2, 1),  # another label in the test: whoever fits on the test is found out
)
CONTRADICTIONS = 2  # images of the second group with label 2 in the test: nobody gets all of them
RIGHT, TOTAL = 14 + 10 - CONTRADICTIONS, 14 + 10 + 16
SCALE = 8.0
TOLERANCE = 0.03


def _linear_probe(model: nn.Module, train: Data, test: Data) -> float:
    with in_mode(model, training=False):
        classify = _fitted(_features(model, train[0]), train[1])
        found = classify(_features(model, test[0]))
    return (found == test[1]).double().mean().item()


def _features(model: nn.Module, images: Tensor) -> Tensor:
    kept: list[Tensor] = []
    hook = model.fc.register_forward_pre_hook(lambda _, args: kept.append(args[0].detach()))
    try:
        with torch.no_grad():
            model(images)
    finally:
        hook.remove()
    return kept[0]


def _fitted(features: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Least squares on the labels, one column for each class."""
    with_one = torch.cat([features, torch.ones(len(features), 1)], 1).double()
    wanted = nn.functional.one_hot(labels).double()
    gram = with_one.T @ with_one + 1e-3 * torch.eye(with_one.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, with_one.T @ wanted)
    return lambda x: (torch.cat([x, torch.ones(len(x), 1)], 1).double() @ weights).argmax(1)


@lru_cache
def _trained(width: int) -> dict[str, Tensor]:
    """Weights that carry red and blue through the stages, to features that tell the groups apart.

    The last stage measures how far each is from the middle, up and down. The head ignores that: its logits
    are always the same.
    """
    model = randomised(ResNet(BasicBlock, (1, 1, 1, 1), num_classes=4, width=width))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.zero_()
                module.running_var.fill_(1 - module.eps)
                module.weight.fill_(1)
                module.bias.zero_()
        for module in model.modules():
            if isinstance(module, BasicBlock):
                module.downsample.apply(_pass_on)
                module.bn2.weight.zero_()  # nothing but the shortcut
        model.conv1.weight.zero_()
        model.conv1.weight[0, 0, 3, 3] = model.conv1.weight[1, 2, 3, 3] = 1
        conv, norm = model.layer4[0].downsample
        conv.weight.zero_()
        for place in range(8 * width):
            channel, sign = place % 2, (-1) ** (place // 2)
            conv.weight[place, channel] = sign * SCALE
            norm.bias[place] = -sign * SCALE / 2
        model.fc.weight.zero_()
    return model.state_dict()


def _pass_on(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        module.weight.zero_()
        module.weight[0, 0] = module.weight[1, 1] = 1


@lru_cache
def _data(size: int) -> tuple[Data, Data]:
    """Images of nearly one colour, for training and for the test, mixed."""
    numbers = torch.Generator().manual_seed(0)
    parts = []
    for is_test in (0, 1):
        images, labels = [], []
        for red, blue, *rest in GROUPS:
            count, label = rest[is_test], rest[2 + is_test]
            for n in range(count):
                ways = (1 if n % 2 else -1), (1 if n // 2 % 2 else -1)
                image = 0.01 * torch.randn(3, size, size, generator=numbers)
                image[0] += 0.5 + ways[0] * red / SCALE
                image[1] += torch.rand((), generator=numbers)
                image[2] += 0.5 + ways[1] * blue / SCALE
                images.append(image)
                contradicts = is_test and red > blue and n < CONTRADICTIONS
                labels.append(2 if contradicts else label)
        order = torch.randperm(len(images), generator=numbers)
        parts.append((torch.stack(images)[order], torch.tensor(labels)[order]))
    return parts[0], parts[1]


def _observe(answer: Answer, case: tuple[int, bool], see: See) -> None:
    width, training = case
    train, test = (tuple(x.clone() for x in part) for part in _data(16))
    model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=4, width=width)
    model.load_state_dict(_trained(width))
    model.train(training)
    modes: list[bool] = []
    model.bn1.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    found = Found(model)
    with hooks_of_all_modules_kept():
        try:
            result = answer(model, train, test)
        except RuntimeError as error:
            raise _about_gradients(error) from error
        if not modes:
            raise Wrong("model-not-used", (("Images that the model saw", "none"),))
        see("mode of the model while it computes", "train" if any(modes) else "eval")
        value = _number(result)
        if not any(modes):
            _require_known(value)
        see("accuracy", Near(value, TOLERANCE, f"{value:.3f}"))
        found.see_left(see)
        pairs = zip((*train, *test), chain(*_data(16)), strict=True)
        same = all(torch.equal(value, given) for value, given in pairs)
        see("images and labels, afterwards", "as before" if same else "changed")


def _about_gradients(error: RuntimeError) -> Exception:
    if "requires grad" not in str(error) and "backward through the graph" not in str(error):
        return error
    return Wrong("gradients-recorded", explain(error).evidence)


def _number(result: Any) -> float:
    kind = type(result)
    if not issubclass(kind, Real) or kind is bool:
        raise wrong_type(result, "a float")
    return float(result)


def _require_known(value: float) -> None:
    """Some wrong ways come to a number of their own. Raises Wrong."""
    right = RIGHT / TOTAL
    known = (
        ("accuracy-on-train", 1.0, 0.012),
        ("fitted-on-test", (TOTAL - CONTRADICTIONS) / TOTAL, 0.012),
        ("error-rate", 1 - right, 0.012),
        ("percent", 100 * right, 100 * TOLERANCE),
        ("count", RIGHT, 1.5),
        *(("same-answer-always", share / TOTAL, 0.012) for share in (14, 24, 2)),
    )
    for name, number, within in known:
        if abs(value - number) < within:
            raise Wrong(name, (("Expected", f"{right:.3f}"), ("Got", f"{value:.6g}")))


linear_probe = Check(
    signature="linear_probe(model, train, test)",
    reference=_linear_probe,
    observe=_observe,
    cases={
        f"a ResNet in {mode}, {12 + 12 + 8} training images, {TOTAL} others": (width, training)
        for mode, width, training in (("train mode", 4, True), ("evaluation mode", 6, False))
    },
    said=beside(__file__),
)
