"""Task 7.5: a linear classifier on the features before the head."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from resnet_edu.as_found import in_mode
from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import Near, See, wrong_type
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong, explain
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
    return _version()(model, train, test)


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


def _version(
    training: bool = False,
    after: bool | None = None,
    fit_on: Callable[[Data, Data], Data] = lambda train, _: train,
    score_on: Callable[[Data, Data], Data] = lambda _, test: test,
    give: Callable[[float], Any] = lambda accuracy: accuracy,
    change: Callable[[nn.Module], Any] = lambda _: None,
) -> Answer:
    """The reference, and with other arguments its wrong versions."""

    def linear_probe(model: nn.Module, train: Data, test: Data) -> Any:
        fit, score = fit_on(train, test), score_on(train, test)
        with in_mode(model, training=training):
            classify = _fitted(_features(model, fit[0]), fit[1])
            found = classify(_features(model, score[0]))
        change(model)
        if after is not None:
            model.train(after)
        return give((found == score[1]).double().mean().item())

    return linear_probe


def _in_mode_as_it_comes(model: nn.Module, train: Data, test: Data) -> float:
    classify = _fitted(_features(model, train[0]), train[1])
    return (classify(_features(model, test[0])) == test[1]).double().mean().item()


def _on_pixels(_model: nn.Module, train: Data, test: Data) -> float:
    classify = _fitted(train[0].flatten(1), train[1])
    return (classify(test[0].flatten(1)) == test[1]).double().mean().item()


def _take_the_head_off(model: nn.Module) -> None:
    model.fc = nn.Identity()


def _train_the_head(model: nn.Module) -> None:
    with torch.no_grad():
        model.fc.weight += 0.1


def _both(train: Data, test: Data) -> Data:
    return torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]])


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
            raise Wrong(
                "model-not-used",
                "Your code never runs the model. The classifier is to get the features that the "
                "model computes, and not the pixels.",
                (("Images that the model saw", "none"),),
            )
        see("mode of the model while it computes", "train" if any(modes) else "eval")
        value = _number(result)
        if not any(modes):
            _require_known(value)
        see("accuracy", Near(value, TOLERANCE, f"{value:.3f}"))
        found.see_left(see)
        same = all(torch.equal(a, b) for a, b in zip((*train, *test), _all(16), strict=True))
        see("images and labels, afterwards", "as before" if same else "changed")


def _all(size: int) -> tuple[Tensor, ...]:
    train, test = _data(size)
    return (*train, *test)


def _about_gradients(error: RuntimeError) -> Exception:
    if "requires grad" not in str(error) and "backward through the graph" not in str(error):
        return error
    return Wrong(
        "gradients-recorded",
        "The features still carry the record of how they were computed. A probe does not train "
        "the network: compute them under `torch.no_grad()`.",
        explain(error).evidence,
    )


def _number(result: Any) -> float:
    kind = type(result)
    if not issubclass(kind, Real) or kind is bool:
        raise wrong_type(result, "a float")
    return float(result)


def _require_known(value: float) -> None:
    """Some wrong ways come to a number of their own. Raises Wrong."""
    right, rows = RIGHT / TOTAL, (("Expected", f"{RIGHT / TOTAL:.3f}"), ("Got", f"{value:.6g}"))

    def is_(other: float) -> bool:
        return abs(value - other) < 0.012

    if is_(1.0):
        raise Wrong(
            "accuracy-on-train",
            "That is the accuracy on the images that the classifier was fitted on. It can know "
            "those by heart, so the number says nothing about new images.",
            rows,
        )
    if is_((TOTAL - CONTRADICTIONS) / TOTAL):
        raise Wrong(
            "fitted-on-test",
            "That is more than can be known from the training images: the classifier has seen the "
            "labels of the test. Fit it on `train` alone.",
            rows,
        )
    if is_(1 - right):
        raise Wrong(
            "error-rate",
            "You return the share of wrong answers. The better the features, the smaller is your "
            "number: whoever compares two networks by it takes the worse one.",
            rows,
        )
    if abs(value - 100 * right) < 100 * TOLERANCE:
        raise Wrong(
            "percent",
            "You return a percentage. Beside accuracies from 0 to 1, yours looks a "
            "hundred times better.",
            rows,
        )
    if abs(value - RIGHT) < 1.5:
        raise Wrong(
            "count",
            "You return how many are right. On other test images, more or fewer of them, the same "
            "classifier gets another number, and two probes cannot be compared.",
            rows,
        )
    if any(is_(share) for share in (14 / TOTAL, 24 / TOTAL, 2 / TOTAL)):
        raise Wrong(
            "same-answer-always",
            "Your classifier gives every image the same class. Does it get the features before "
            "`fc`, and not the logits? Was it fitted, and for long enough?",
            rows,
        )


linear_probe = Check(
    signature="linear_probe(model, train, test)",
    reference=_linear_probe,
    observe=_observe,
    cases={
        f"a ResNet in {mode}, {12 + 12 + 8} training images, {TOTAL} others": (width, training)
        for mode, width, training in (("train mode", 4, True), ("evaluation mode", 6, False))
    },
    mistakes=(
        Mistake(
            "train-mode",
            "The model computes its features in train mode: batch norm takes the statistics of "
            "the batch, and changes its own. So the features of an image depend on the images "
            "beside it, and the probe changes the network.",
            [_version(training=True), _in_mode_as_it_comes],
        ),
        Mistake(
            "left-in-eval-mode",
            "The accuracy is right, but a model that came in train mode is left in evaluation "
            "mode. If its training goes on, batch norm no longer follows the batches, and nothing "
            "says so.",
            [_version(after=False)],
        ),
        Mistake(
            "left-in-train-mode",
            "The accuracy is right, but a model that came in evaluation mode is left in train "
            "mode. Its next answers depend on which images come together, and its statistics "
            "change with them.",
            [_version(after=True)],
        ),
        Mistake(
            "head-left-off",
            "The accuracy is right, but the model has lost its head: another module is left in "
            "the place of `fc`. Whoever asks it for a class next gets features.",
            [_version(change=_take_the_head_off)],
        ),
        Mistake(
            "head-trained",
            "The accuracy is right, but the model's own head has other weights now. What it could "
            "tell apart before is changed: a probe is to look at a network, and not to train it.",
            [_version(change=_train_the_head)],
        ),
    ),
    places=(
        Place(
            "mode of the model while",
            "train-mode",
            "The model computes in train mode. Batch norm then takes the statistics of the batch: "
            "the features of an image depend on the images beside it, and the network changes.",
        ),
        Place(
            "accuracy",
            "another-accuracy",
            "This is not what a linear classifier reaches that was fitted on the features of "
            "`train`. What does it get, in which mode was that computed, and was the fitting long "
            "enough?",
        ),
        Place(
            "hooks",
            "hooks-not-as-before",
            "The accuracy is right, but a hook of yours is still in the model. It goes on working "
            "in each later run.",
        ),
        Place(
            "modes of its modules",
            "mode-changed",
            "The accuracy is right, but a module is left in another mode than it had. It will "
            "treat the next images in another way than before.",
        ),
        Place(
            "modules",
            "head-left-off",
            "The accuracy is right, but other modules are in the model than before. Whoever uses "
            "it next gets other answers: put them back, or work on a copy.",
        ),
        Place(
            "mode",
            "mode-changed",
            "The accuracy is right, but the model is left in another mode than it came in. It "
            "will treat the next images in another way than before.",
        ),
        Place(
            "weights",
            "weights-changed",
            "The accuracy is right, but the model's weights have changed. A probe trains nothing "
            "but its own classifier.",
        ),
        Place(
            "gradients",
            "gradients-left",
            "The accuracy is right, but the model's parameters now have gradients: a backward "
            "pass went through it. Compute the features under `torch.no_grad()`.",
        ),
        Place(
            "what can be trained",
            "freezing-changed",
            "The accuracy is right, but other parameters are frozen than before. The next "
            "training would leave some out, or change some that were to stay.",
        ),
    ),
)
