"""Task 6.2: where in an image a network finds its evidence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.found import Found, hooks_of_all_modules_kept, randomised
from resnet_edu.checks.guard import Wrong

Size = tuple[int, int]
Step = Callable[[Tensor], Tensor]


def _grad_cam(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    return _version()(model, layer, image, class_index)


def _logit(logits: Tensor, class_index: int) -> Tensor:
    return logits[0, class_index]


def _mean_over_places(gradient: Tensor, _maps: Tensor) -> Tensor:
    return gradient.mean((2, 3), keepdim=True)


def _weighted_sum(weights: Tensor, maps: Tensor) -> Tensor:
    return (weights * maps).sum(1, keepdim=True)


def _bilinear(heat: Tensor, size: Size) -> Tensor:
    return F.interpolate(heat, size, mode="bilinear", align_corners=False)


def _by_maximum(heat: Tensor) -> Tensor:
    return heat / heat.max() if heat.max() > 0 else heat


def _min_max(heat: Tensor) -> Tensor:
    heat = heat - heat.min()
    return heat / (heat.max() + 1e-12)


def _nothing(heat: Tensor) -> Tensor:
    return heat


def _version(
    score: Callable[[Tensor, int], Tensor] = _logit,
    weigh: Callable[[Tensor, Tensor], Tensor] = _mean_over_places,
    join: Callable[[Tensor, Tensor], Tensor] = _weighted_sum,
    rectify: Step = F.relu,
    enlarge: Callable[[Tensor, Size], Tensor] = _bilinear,
    normalise: Step = _by_maximum,
) -> Answer:
    """The reference, and with other steps its wrong versions."""

    def grad_cam(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
        kept: list[Tensor] = []
        handle = model.get_submodule(layer).register_forward_hook(
            lambda _module, _args, output: kept.append(output)
        )
        try:
            logits = model(image[None])
        finally:
            handle.remove()
        maps = kept[0]
        (gradient,) = torch.autograd.grad(score(logits, class_index), maps)
        with torch.no_grad():
            heat = rectify(join(weigh(gradient, maps), maps))
            return normalise(enlarge(heat, image.shape[1:]))[0, 0]

    return grad_cam


def _in_train_mode(back: bool) -> Answer:
    def grad_cam(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
        model.train()
        try:
            return _grad_cam(model, layer, image, class_index)
        finally:
            model.train(not back)

    return grad_cam


def _of_the_input(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    """Looks at what goes into the layer."""
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_pre_hook(lambda _, args: kept.append(*args))
    score = model(image[None])[0, class_index]
    hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    heat = F.relu(_weighted_sum(_mean_over_places(gradient, kept[0]), kept[0]))
    return _by_maximum(_bilinear(heat, image.shape[1:]))[0, 0]


def _of_the_image(model: nn.Module, _layer: str, image: Tensor, class_index: int) -> Tensor:
    """A saliency map: the gradient by the image."""
    x = image[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0, class_index], x)
    return _by_maximum(gradient[0].abs().amax(0))


def _no_gradients(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    with torch.no_grad():
        return _grad_cam(model, layer, image, class_index)


def _detached(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda *a: kept.append(a[2].detach()))
    score = model(image[None])[0, class_index]
    hook.remove()
    return torch.autograd.grad(score, kept[0])[0]


def _copied(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda *a: kept.append(a[2].clone()))
    score = model(image[None])[0, class_index]
    hook.remove()
    return torch.autograd.grad(score, kept[0])[0]


def _by_attribute(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    getattr(model, layer)
    return _grad_cam(model, layer, image, class_index)


def _by_child(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    dict(model.named_children())[layer]
    return _grad_cam(model, layer, image, class_index)


def _with_the_head(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    weights = model.fc.weight[class_index].view(1, -1, 1, 1)
    return _version(weigh=lambda *_: weights)(model, layer, image, class_index)


def _by_einsum(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    weights = model.fc.weight[class_index]
    add_up = _version(join=lambda _, maps: torch.einsum("c,bchw->bhw", weights, maps)[:, None])
    return add_up(model, layer, image, class_index)


def _grad_not_kept(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda *a: kept.append(a[2]))
    score = model(image[None])[0, class_index]
    hook.remove()
    score.backward()
    return kept[0].grad.mean((2, 3))


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


def _observe(answer: Answer, case: tuple[str, Size, int], see: See) -> None:
    layer, size, class_index = case
    model = _network()
    found = Found(model)
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    given = image.clone()
    with hooks_of_all_modules_kept():
        heat = tensor(answer(model, layer, image, class_index))
        _require_shape(heat, size)
        _require_numbers(heat)
        see("the map", heat)
        see("the image, afterwards", image if image.shape != given.shape else image - given)
        found.see_left(see)


def _require_shape(heat: Tensor, size: Size) -> None:
    shape = tuple(heat.shape)
    if shape == size:
        return
    rows = (("Expected", f"shape {size}"), ("Got", f"shape {shape}"))
    sides = [side for side in shape if side != 1]
    if sides == [*size]:
        raise Wrong(
            "dimension-left",
            "Your map still has a dimension of one image or one channel. Whoever lays it over the "
            "image counts on height and width, and a dimension more can stop the drawing.",
            rows,
        )
    if len(shape) == 3 and shape[1:] == size:
        raise Wrong(
            "one-map-for-each-channel",
            "You give a map for each channel. No channel alone is the evidence for a class: they "
            "count together, some for it and some against.",
            rows,
        )
    if sides == [*size][::-1]:
        raise Wrong(
            "sides-swapped",
            "Height and width have changed places. The map lies on its side, and its bright spot "
            "points at another place of the image.",
            rows,
        )
    if len(sides) == 2 and max(sides) < min(size):
        raise Wrong(
            "not-enlarged",
            "Your map has the size of the layer's maps. Enlarge it to the image, so that it can "
            "be laid over it.",
            rows,
        )
    if len(sides) == 2 and sides[0] == sides[1]:
        raise Wrong(
            "fixed-size",
            "Your map has a size that is not the image's. Images need not be square, nor have 224 "
            "pixels: ask the image.",
            rows,
        )
    raise Wrong(
        "wrong-shape",
        "Your map does not have the shape of the image. Nobody can lay it over the image to "
        "see where the evidence is.",
        rows,
    )


def _require_numbers(heat: Tensor) -> None:
    if heat.is_floating_point() and bool(heat.isnan().any()):
        raise Wrong(
            "divided-by-zero",
            "Your map is not a number (NaN). Where nothing speaks for the class, the map is zero "
            "everywhere, and so is its maximum: then there is nothing to divide by.",
            (("Expected", "all zeros"), ("Got", "nan")),
        )


def _log_probability(logits: Tensor, class_index: int) -> Tensor:
    return logits.log_softmax(1)[0, class_index]


def _loss(logits: Tensor, class_index: int) -> Tensor:
    return -_log_probability(logits, class_index)


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
    mistakes=(
        Mistake(
            "gradient-of-the-probability",
            "You take the gradient of the class's probability, or of its logarithm. After softmax "
            "it also depends on the other classes: what speaks against those lights up as well.",
            [_version(_log_probability), _version(lambda logits, c: logits.softmax(1)[0, c])],
        ),
        Mistake(
            "gradient-of-the-loss",
            "You take the gradient of a loss. It points to where the class becomes less likely, "
            "and depends on the other classes, so the map is not about this one alone.",
            [_version(_loss), _version(_loss, rectify=_nothing)],
        ),
        Mistake(
            "negative-logit",
            "The sign is the wrong way round: your map shows what speaks against the class. "
            "Whoever reads it takes the bright places for the evidence, and learns the opposite.",
            [
                _version(lambda logits, c: -logits[0, c]),
                _version(rectify=lambda heat: F.relu(-heat)),
            ],
        ),
        Mistake(
            "best-class",
            "You take the class with the largest logit, whatever `class_index` is. So nobody can "
            "ask why the network missed the right class, which is when a map is needed most.",
            [_version(lambda logits, _: logits.max())],
        ),
        Mistake(
            "all-classes",
            "You take the gradient of all logits together. What speaks for one class and against "
            "another is mixed in it, and the map is the same whichever class was asked for.",
            [
                _version(lambda logits, _: logits.sum()),
                _version(lambda logits, _: logits.softmax(1).sum()),
            ],
        ),
        Mistake(
            "another-class",
            "You take the logit of another class. The map then answers another question, and "
            "nothing in it shows that. (Classes are counted from 0.)",
            [
                _version(lambda logits, c: logits[0, c - 1]),
                _version(lambda logits, c: logits[0, (c + 1) % logits.shape[1]]),
                _version(lambda logits, _: logits[0, 0]),
            ],
        ),
        Mistake(
            "no-relu",
            "There is no ReLU, so what speaks against the class stays in the map as numbers below "
            'zero. In a picture, dark then means "against", and a place that says nothing comes '
            "out grey.",
            [_version(rectify=_nothing)],
        ),
        Mistake(
            "no-relu-and-min-max",
            "Two things: there is no ReLU, and you also shift the map by its minimum. So the "
            "strongest evidence against the class becomes zero, and a place that says nothing "
            "looks like evidence for it.",
            [_version(rectify=_nothing, normalise=_min_max)],
        ),
        Mistake(
            "absolute-value",
            "You take the absolute value. Evidence against the class then counts as evidence for "
            "it, and both are equally bright in the picture.",
            [_version(rectify=torch.abs)],
        ),
        Mistake(
            "relu-too-early",
            "The ReLU comes too early: it drops what single channels have against the class. "
            "Nothing can then outweigh a channel that speaks for it, and the map claims too much.",
            [
                _version(join=lambda w, maps: (w * maps).relu().sum(1, keepdim=True)),
                _version(weigh=lambda g, maps: _mean_over_places(g, maps).relu()),
                _version(weigh=lambda g, maps: _mean_over_places(g.relu(), maps)),
            ],
        ),
        Mistake(
            "relu-after-enlarging",
            "You enlarge first and leave out the negative afterwards. The negative then eats into "
            "the positive at the border between them, and the bright places come out too small.",
            [
                _version(
                    rectify=_nothing,
                    enlarge=lambda heat, size: _bilinear(heat, size).relu(),
                )
            ],
        ),
        Mistake(
            "min-max",
            "You also shift the map, so that its smallest number becomes zero. A place with weak "
            "evidence may then look as if it had none: zero is to mean that nothing speaks for "
            "the class.",
            [_version(normalise=_min_max)],
        ),
        Mistake(
            "not-normalised",
            "The map is not divided by its maximum, so its numbers can be of any size. Drawn on a "
            "scale from 0 to 1, it may come out black, or white all over.",
            [_version(normalise=_nothing), _version(rectify=_nothing, normalise=_nothing)],
        ),
        Mistake(
            "normalised-otherwise",
            "The map is scaled, but not by its maximum alone. A reader takes 1 for the strongest "
            "evidence and 0 for none, and in yours at least one of them means something else.",
            [
                _version(normalise=lambda h: h / h.sum() if h.any() else h),
                _version(normalise=lambda h: h / h.norm() if h.any() else h),
                _version(normalise=torch.sigmoid),
                _version(normalise=lambda h: 255 * _by_maximum(h)),
                _version(normalise=lambda h: 1 - _by_maximum(h)),
                _version(normalise=lambda h: h.flatten().softmax(0).view_as(h)),
                _version(normalise=lambda h: h / h.mean() if h.any() else h),
            ],
        ),
        Mistake(
            "normalised-before-enlarging",
            "You divide by the maximum first, and enlarge afterwards. Between the pixels of the "
            "small map the enlarged one is lower, so its largest number can be less than the 1 "
            "that readers expect.",
            [
                _version(
                    rectify=lambda heat: _by_maximum(heat.relu()),
                    normalise=_nothing,
                )
            ],
        ),
        Mistake(
            "nearest",
            "Your map has steps: each number is repeated over a square. The edges of the squares "
            "look like edges of the evidence, and nothing in the network put them there.",
            [
                _version(enlarge=lambda heat, size: F.interpolate(heat, size)),
                _version(
                    enlarge=lambda heat, size: F.interpolate(heat, size, mode="nearest-exact")
                ),
            ],
        ),
        Mistake(
            "corners-aligned",
            "The corners of the two maps are laid onto each other (`align_corners=True`). But a "
            "number stands for the middle of its square: in your map evidence moves outwards, by "
            "up to half a square.",
            [
                _version(
                    enlarge=lambda h, size: F.interpolate(
                        h, size, mode="bilinear", align_corners=True
                    )
                )
            ],
        ),
        Mistake(
            "bicubic",
            "You enlarge bicubically. Such a curve swings over beside a high number: it can go "
            "above the largest one, and it goes below zero, where nothing was measured.",
            [_version(enlarge=lambda h, size: F.interpolate(h, size, mode="bicubic"))],
        ),
        Mistake(
            "mean-over-channels",
            "The mean of the gradient is taken over the channels, so that all of them get the "
            "same weight. But channels are what differs: some speak for the class, some against.",
            [
                _version(weigh=lambda g, _: g.mean(1, keepdim=True)),
                _version(weigh=lambda g, _: g.mean((1, 2), keepdim=True)),
                _version(weigh=lambda g, _: g.mean((1, 3), keepdim=True)),
                _version(weigh=lambda g, _: g.mean()),
            ],
        ),
        Mistake(
            "mean-over-one-axis",
            "The mean of the gradient is taken over height alone, or width alone. A channel's "
            "weight then changes from column to column, or row to row, and Grad-CAM asks what it "
            "is worth as a whole.",
            [
                _version(weigh=lambda g, _: g.mean(2, keepdim=True)),
                _version(weigh=lambda g, _: g.mean(3, keepdim=True)),
            ],
        ),
        Mistake(
            "no-mean",
            "You multiply the maps by the gradient, place by place. That is another method: "
            "Grad-CAM asks what a channel is worth as a whole, and the slope at a single place "
            "says little about that.",
            [_version(weigh=lambda g, _: g)],
        ),
        Mistake(
            "maximum-instead-of-mean",
            "A channel's weight is the largest gradient of all places. One odd place decides for "
            "the whole channel, and one that speaks against the class nearly everywhere may count "
            "for it.",
            [_version(weigh=lambda g, _: g.amax((2, 3), keepdim=True))],
        ),
        Mistake(
            "absolute-gradient",
            "You take the absolute value of the gradient, or its square. Channels that speak "
            "against the class then light up as if they spoke for it.",
            [
                _version(weigh=lambda g, maps: _mean_over_places(g, maps).abs()),
                _version(weigh=lambda g, maps: _mean_over_places(g.abs(), maps)),
                _version(weigh=lambda g, maps: _mean_over_places(g.square(), maps)),
            ],
        ),
        Mistake(
            "activation-instead-of-gradient",
            "A channel's weight is the mean of its map. That says how much of it is in the image, "
            "and nothing about the class: each class would get the same map.",
            [_version(weigh=lambda _, maps: maps.mean((2, 3), keepdim=True))],
        ),
        Mistake(
            "softmax-of-the-weights",
            "You put the channels' weights through a softmax. All of them become positive, so a "
            "channel that speaks against the class counts for it.",
            [_version(weigh=lambda g, maps: _mean_over_places(g, maps).softmax(1))],
        ),
        Mistake(
            "weights-left-out",
            "You add up the maps without weights. That shows where anything is seen, and each "
            "class would get the same map.",
            [_version(weigh=lambda g, _: torch.ones_like(g))],
        ),
        Mistake(
            "maps-left-out",
            "You use the gradient alone. It says what a channel would be worth, and not whether "
            "the channel sees anything at that place of this image.",
            [
                _version(join=lambda weights, _: weights.sum(1, keepdim=True)),
                _version(
                    weigh=lambda g, _: g, join=lambda weights, _: weights.sum(1, keepdim=True)
                ),
                _version(
                    weigh=lambda g, _: g * g.mean((2, 3), keepdim=True),
                    join=lambda weights, _: weights.sum(1, keepdim=True),
                ),
                _version(
                    weigh=lambda g, _: g.abs(),
                    join=lambda weights, _: weights.sum(1, keepdim=True),
                ),
            ],
        ),
        Mistake(
            "one-channel-only",
            "Your map shows one channel, or in each place the strongest one. The logit is "
            "computed from all of them, so what the others say for the class or against it is "
            "missing.",
            [
                _version(join=lambda w, maps: (w * maps)[:, :1]),
                _version(join=lambda w, maps: (w * maps).amax(1, keepdim=True)),
            ],
        ),
        Mistake(
            "input-of-the-layer",
            "You look at what goes into the layer, so the map is that of the layer before it. A "
            "forward hook gets the module, its inputs and its output, in this order.",
            [_of_the_input],
        ),
        Mistake(
            "gradient-of-the-image",
            "That is the gradient with respect to the image. It tells which single pixels the "
            "logit reacts to, and nothing about the layer that was asked for.",
            [_of_the_image],
        ),
        Mistake(
            "train-mode",
            "The model runs in train mode, and batch norm takes the statistics of this one image. "
            "That is another network than the one that gives the answers, and the look changes "
            "its running statistics.",
            [_in_train_mode(back=True), _in_train_mode(back=False)],
        ),
        Mistake(
            "no-graph",
            "The model runs where gradients are switched off, so there is nothing to "
            "differentiate. Only what comes after the gradient may stand under `torch.no_grad()`.",
            [_no_gradients],
        ),
        Mistake(
            "cut-from-the-graph",
            "You keep a tensor that the logit was not computed from: `detach` and `clone` make "
            "another one. Keep the output itself, and copy it later.",
            [_detached, _copied],
        ),
        Mistake(
            "grad-not-kept",
            "You read `.grad` of a tensor that PyTorch keeps none for. It does so for parameters; "
            "for other tensors you ask it before the backward pass, by `retain_grad()`.",
            [_grad_not_kept],
        ),
        Mistake(
            "outermost-modules-only",
            "You find only the outermost modules. A name with dots, such as `layer2.0.conv2`, "
            "leads into modules inside of modules, where nearly all layers of a ResNet stand.",
            [_by_attribute, _by_child],
        ),
        Mistake(
            "weights-of-the-head",
            "The weights come from the head. It has one for each channel of the last stage: in "
            "other layers there are other channels, and your code stops, or weighs the wrong "
            "ones.",
            [_with_the_head, _by_einsum],
        ),
        Mistake(
            "batch-dimension-missing",
            "The network takes a batch of images (N, C, H, W), and you give it a single one (C, "
            "H, W). Batch norm cannot tell the axes apart then, and stops with an error.",
            [lambda model, _layer, image, _class: model(image)],
        ),
        Mistake(
            "logit-of-another-image",
            "The logits have the shape (1, classes): the first index is the image, the second is "
            "the class. With one index you ask for an image of that number, and there is only "
            "one.",
            [lambda model, _, image, class_index: model(image[None])[class_index]],
        ),
    ),
    places=(
        Place(
            "the map",
            "another-map",
            "This is not the map. Go through the steps again: the gradient of one logit, its mean "
            "over places, the weighted sum of the channels, ReLU, enlarging, dividing.",
        ),
        Place(
            "the image, afterwards",
            "image-changed",
            "The image that was given has changed. Whoever calls you still needs it: a map laid "
            "over another image shows nothing.",
        ),
        Place(
            "hooks",
            "hooks-not-as-before",
            "The map is right, but a hook of yours is still in the model. It goes on working in "
            "each later run, and may keep the maps of every image in memory.",
        ),
        Place(
            "mode",
            "mode-changed",
            "The map is right, but the model came in evaluation mode and is left in another. Its "
            "next answers depend on which images come together.",
        ),
        Place(
            "gradients",
            "gradients-left",
            "The map is right, but the model's parameters now have a `.grad`: `backward()` writes "
            "there, and the next step of training would use it. `torch.autograd.grad` leaves "
            "nothing behind.",
        ),
        Place(
            "weights",
            "weights-changed",
            "The map is right, but the weights of the model have changed. Its next answer is that "
            "of another network.",
        ),
        Place(
            "what can be trained",
            "frozen",
            "The map is right, but parameters of the model can no longer be trained, or can now. "
            "The next training would leave some out, or change some that were to stay.",
        ),
    ),
)
