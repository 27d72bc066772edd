"""Task 5.4: how many layers a ResNet has."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import nn

from resnet_edu import networks
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, whole_number
from resnet_edu.checks.guard import Wrong

Modules = list[tuple[str, nn.Module]]
KINDS = (nn.Conv2d, nn.Linear)


def _count_layers(model: nn.Module) -> int:
    return sum(isinstance(m, KINDS) and "downsample" not in name for name, m in _modules(model))


def _modules(model: nn.Module) -> Modules:
    return list(model.named_modules())


def _version(*counts: Callable[[nn.Module], Any]) -> list[Answer]:
    def version(count: Callable[[nn.Module], Any]) -> Answer:
        return lambda model: count(model)

    return [version(count) for count in counts]


def _number_of(
    *kinds: type[nn.Module], shortcuts: bool, more: int = 0
) -> Callable[[nn.Module], int]:
    """Counts modules of these kinds, with or without those on shortcuts, and adds `more`."""

    def count(model: nn.Module) -> int:
        return more + sum(
            isinstance(m, kinds) and (shortcuts or "downsample" not in name)
            for name, m in _modules(model)
        )

    return count


def _blocks(model: Any) -> int:
    return sum(map(len, (model.layer1, model.layer2, model.layer3, model.layer4)))


def _per_block(layers: int, others: int = 2) -> Callable[[nn.Module], int]:
    return lambda model: layers * _blocks(model) + others


def _without(skip: Callable[[nn.Conv2d], bool]) -> Callable[[nn.Module], int]:
    """Counts convolutions, but for some, and linear layers."""
    return lambda model: sum(
        isinstance(m, nn.Linear) or (isinstance(m, nn.Conv2d) and not skip(m))
        for m in model.modules()
    )


@cache
def _network(depth: int) -> nn.Module:
    """A narrow one: width changes no count of layers."""
    return getattr(networks, f"resnet{depth}")(num_classes=5, width=4).eval()


def _observe(answer: Answer, depth: int, see: See) -> None:
    model = _network(depth)
    before = [name for name, _ in _modules(model)]
    try:
        see("number of layers", whole_number(answer(model)))
    finally:
        model.eval()
        if [name for name, _ in _modules(model)] != before:
            _network.cache_clear()
            raise Wrong(
                "changes-the-model",
                "The network that you were given has other modules afterwards. Whoever asked for "
                "its depth goes on with another network, and does not know it.",
                (("Modules before", str(len(before))), ("afterwards", str(len(_modules(model))))),
            )


count_layers = Check(
    signature="count_layers(model)",
    reference=_count_layers,
    observe=_observe,
    cases={f"ResNet-{depth}": depth for depth in (50, 18, 34, 101, 152)},
    mistakes=(
        Mistake(
            "shortcuts-counted",
            "You count the convolutions on the shortcuts as well. The number in the name follows "
            "the way through the network, and they are no step further on it: yours would be a "
            "ResNet-54.",
            _version(_number_of(*KINDS, shortcuts=True)),
        ),
        Mistake(
            "shortcuts-without-head",
            "You count all convolutions and nothing else. Two errors are in that: a shortcut's "
            "convolution is no step on the way through the network, and one step on that way is "
            "no convolution.",
            _version(_number_of(nn.Conv2d, shortcuts=True)),
        ),
        Mistake(
            "one-layer-missing",
            "One layer is missing, and a ResNet-50 would be called 49. The way from the image to "
            "the logits neither begins nor ends with the blocks.",
            _version(lambda model: _count_layers(model) - 1, _per_block(3, 1)),
        ),
        Mistake(
            "one-layer-too-many",
            "There is one layer too many, and a ResNet-50 would be called 51. Depths can be "
            "compared only where everybody counts the same: convolutions and linear layers.",
            _version(lambda model: _count_layers(model) + 1),
        ),
        Mistake(
            "float",
            "The number is right, but it is a float. Whoever counts with it, in `range(depth)` "
            "for one, gets a TypeError.",
            _version(lambda model: float(_count_layers(model))),
        ),
        Mistake(
            "four-shortcuts-assumed",
            "You take off a fixed number for the shortcuts. ResNet-50 has projections in four "
            "places, ResNet-18 in three: a number that was read off one network is wrong for the "
            "next.",
            _version(_number_of(*KINDS, shortcuts=True, more=-4)),
        ),
        Mistake(
            "blocks-only",
            "You count layers in the blocks only. An image goes through others with weights "
            "before it has become logits, and the number in the name counts those too.",
            _version(
                lambda model: _count_layers(model) - 2,
                _number_of(nn.Conv2d, shortcuts=True, more=-1),
                _per_block(3, 0),
            ),
        ),
        Mistake(
            "batch-norms-counted",
            "You count batch norms as well. They only stretch and shift each channel, and nearly "
            "every convolution has one: a ResNet-50 would come out about twice as deep.",
            _version(
                _number_of(*KINDS, nn.BatchNorm2d, shortcuts=True),
                _number_of(*KINDS, nn.BatchNorm2d, shortcuts=False),
                _number_of(nn.Conv2d, nn.BatchNorm2d, shortcuts=True),
                _number_of(nn.Conv2d, nn.BatchNorm2d, shortcuts=False),
            ),
        ),
        Mistake(
            "tensors-counted",
            "You count tensors. A batch norm alone has two to five of them, so your number says "
            "how the weights are stored, and not how many steps an image goes through.",
            _version(
                lambda model: len(list(model.parameters())),
                lambda model: len(model.state_dict()),
                lambda model: sum("downsample" not in n for n, _ in model.named_parameters()),
                lambda model: sum("downsample" not in n for n in model.state_dict()),
            ),
        ),
        Mistake(
            "numbers-counted",
            "You count the numbers in the weights. They say how much a network can store, and not "
            "how many steps an image goes through: a wider network has more of them and is no "
            "deeper.",
            _version(lambda model: sum(p.numel() for p in model.parameters())),
        ),
        Mistake(
            "modules-counted",
            "You count modules of every kind: ReLUs, pools and containers too. Written with "
            "`F.relu`, the same network would get another number from you, though it computes the "
            "same.",
            _version(
                lambda model: len(_modules(model)),
                lambda model: len(_modules(model)) - 1,
                lambda model: sum(not list(m.children()) for m in model.modules()),
                lambda model: sum(
                    not list(m.children()) and "downsample" not in name
                    for name, m in _modules(model)
                ),
            ),
        ),
        Mistake(
            "top-level-only",
            "You look at the outermost modules only. Stages and blocks hold all the others, so a "
            "ResNet-18 and a ResNet-152 get the same number from you.",
            _version(
                lambda model: sum(isinstance(m, KINDS) for m in model.children()),
                lambda model: sum(isinstance(m, nn.Conv2d) for m in model.children()),
                lambda model: len(list(model.children())),
            ),
        ),
        Mistake(
            "blocks-counted",
            "You count blocks, or blocks and two. ResNet-34 and ResNet-50 have equally many of "
            "those: what makes one deeper is inside them.",
            _version(_per_block(1, 0), _per_block(1, 2)),
        ),
        Mistake(
            "three-layers-a-block",
            "For ResNet-50 the number is right, and a ResNet-18 comes out as 26. You take every "
            "block for a bottleneck: what fits one kind of block is wrong for another.",
            _version(_per_block(3)),
        ),
        Mistake(
            "two-layers-a-block",
            "You count two layers for each block. That makes 34 of a ResNet-50, which has as many "
            "blocks as ResNet-34: what differs is inside them.",
            _version(_per_block(2)),
        ),
        Mistake(
            "always-50",
            "You give the same number for every network. A ResNet-18 would pass for a ResNet-50: "
            "your function never looks at the model that it is given.",
            _version(lambda model: 50),  # noqa: ARG005
        ),
        Mistake(
            "1x1-not-counted",
            "The 1x1 convolutions of the blocks are missing. An image goes through them like "
            "through any other layer; those on the shortcuts are left out for another reason than "
            "their size.",
            _version(
                _without(lambda conv: conv.kernel_size == (1, 1)),
                lambda model: _without(lambda conv: conv.kernel_size == (1, 1))(model) - 1,
            ),
        ),
        Mistake(
            "projections-of-stride-1-counted",
            "For ResNet-18 the number is right, for ResNet-50 there is one too many: a projection "
            "that has no stride. A stride says how a layer moves, and not where it stands.",
            _version(_without(lambda conv: conv.kernel_size == (1, 1) and conv.stride == (2, 2))),
        ),
    ),
    places=(
        Place(
            "number of layers",
            "wrong-number",
            "The number is not right. Print the names of what you count, for ResNet-18, and strike out "
            "what is not a convolution or a linear layer, or is on a shortcut.",
        ),
    ),
)
