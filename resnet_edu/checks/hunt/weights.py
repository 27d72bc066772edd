"""Tasks B.2 and B.8: a freezing that freezes nothing, and weights that come to the wrong layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.found import randomised
from resnet_edu.networks import ResNet


def _only_the_head(model: nn.Module) -> None:
    _freezing(lambda name, _: not name.startswith("fc."))(model)


def _freezing(is_frozen: Callable[[str, nn.Parameter], bool]) -> Answer:
    def only_the_head(model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not is_frozen(name, parameter)

    return only_the_head


def _then(change: Callable[[nn.Module], object]) -> Answer:
    def only_the_head(model: nn.Module) -> None:
        _only_the_head(model)
        change(model)

    return only_the_head


def _fresh_head(model: nn.Module) -> None:
    model.fc = nn.Linear(model.fc.in_features, model.fc.out_features)


def _zeros(model: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("fc."):
                parameter.zero_()


def _observe_frozen(answer: Answer, with_fc1: bool, see: See) -> None:
    model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5, width=4)
    if with_fc1:
        model.layer1[0].fc1 = nn.Linear(4, 4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    objects = dict(model.named_parameters())
    answer(model)
    parameters = dict(model.named_parameters())
    after = model.state_dict()
    others = [name for name, p in objects.items() if parameters.get(name) is not p]
    for label, in_head in (("the head", True), ("the backbone", False)):
        ours = [name for name in objects if name.startswith("fc.") == in_head]
        trained = [n for n in ours if n in parameters and parameters[n].requires_grad]
        some = f"only {len(trained)} of {len(ours)} parameters" if trained else "nothing"
        see(f"can be trained in {label}", "everything" if len(trained) == len(ours) else some)
    changed = [k for k, v in before.items() if k in after and not after[k].equal(v)]
    see("numbers, afterwards", f"{changed[0]} changed" if changed else "as before")
    see("parameters, afterwards", f"{others[0]} is another object" if others else "as before")


only_the_head = Check(
    signature="only_the_head(model)",
    reference=_only_the_head,
    observe=_observe_frozen,
    cases={
        "a ResNet": False,
        "a ResNet that has a layer called fc1 in one of its blocks": True,
    },
    mistakes=(
        Mistake(
            "still-there",
            "Every parameter of the backbone can still be trained, and twenty photos are far too few for "
            "so many. Python ran each of your lines, but PyTorch does not go by what they set.",
            [lambda model: None],  # noqa: ARG005
        ),
        Mistake(
            "head-frozen-too",
            "The backbone is frozen now, and the head with it. Nothing is left that could learn: the "
            "first `backward` stops with an error.",
            [_freezing(lambda *_: True)],
        ),
        Mistake(
            "the-wrong-way-round",
            "The head is frozen, and the backbone can be trained: it is the wrong way round. The head "
            "would keep its random numbers for ever.",
            [_freezing(lambda name, _: name.startswith("fc."))],
        ),
        Mistake(
            "convolutions-only",
            "The convolutions are frozen now. But each batch norm of the backbone has parameters, too, "
            "and these can still be trained.",
            [
                _freezing(lambda _, p: p.dim() == 4),
                _freezing(lambda name, p: not name.startswith("fc.") and p.dim() > 1),
                _freezing(lambda name, _: "conv" in name or "downsample.0" in name),
                _freezing(lambda name, _: "conv" in name),
            ],
        ),
        Mistake(
            "biases-left-out",
            "Of the backbone only what is called `weight` is frozen. The batch norms have parameters of "
            "another name, too, and these can still be trained.",
            [_freezing(lambda name, _: not name.startswith("fc.") and name.endswith("weight"))],
        ),
        Mistake(
            "also-fc1",
            "In a network with a layer called `fc1` in a block, that layer can still be trained. The "
            "head is `model.fc` alone.",
            [
                _freezing(lambda name, _: "fc" not in name),
            ],
        ),
        Mistake(
            "bias-of-the-head-frozen",
            "The backbone is frozen now. But only one of the two parameters of the head can be trained: "
            "the other keeps its first, random numbers.",
            [_freezing(lambda name, _: name != "fc.weight")],
        ),
        Mistake(
            "stem-left-out",
            "The stages are frozen now. But the stem can still be trained, and whatever changes there "
            "changes what all stages get.",
            [_freezing(lambda name, _: name.startswith("layer"))],
        ),
        Mistake(
            "numbers-changed",
            "What can be trained is right. But numbers of the network have changed, and what it had "
            "learned is lost: to freeze is to keep them.",
            [_then(_fresh_head), _then(_zeros)],
        ),
    ),
    places=(
        Place(
            "parameters, afterwards",
            "parameters-replaced",
            "Parameters of the network are gone, or other objects have taken their place. Whoever holds "
            "the old ones, like an optimiser made before, now trains numbers that nobody uses.",
        ),
        Place(
            "in the backbone",
            "not-all-frozen",
            "A part of the backbone can still be trained. That part would learn the twenty photos by "
            "heart, and change the features of all others.",
        ),
        Place(
            "in the head",
            "head-frozen-too",
            "A part of the head is frozen. It is the one part that is to learn, and all of it.",
        ),
        Place(
            "numbers",
            "numbers-changed",
            "What can be trained is right. But numbers of the network have changed: to freeze is to keep "
            "them.",
        ),
    ),
)


# B.8


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    _pairing(lambda theirs, mine: {name: name for name in mine if name in theirs})(source, target)


Pairing = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, str]]
"""From the tensors of source and target to the names: target's name to source's."""


def _pairing(pair: Pairing) -> Answer:
    @torch.no_grad()
    def copy_weights(source: nn.Module, target: nn.Module) -> None:
        theirs, mine = source.state_dict(), target.state_dict()
        values = {name: theirs[other].clone() for name, other in pair(theirs, mine).items()}
        for name, value in values.items():
            mine[name].copy_(value)

    return copy_weights


def _by_place(theirs: Mapping[str, Tensor], mine: Mapping[str, Tensor]) -> Mapping[str, str]:
    return dict(zip(mine, theirs, strict=True))


def _named(choose: Callable[[str], bool]) -> Answer:
    """Copies some of the tensors, by name."""
    return _pairing(lambda _, mine: {name: name for name in mine if choose(name)})


def _parameters_by_place(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
            mine.copy_(theirs)


def _backwards(source: nn.Module, target: nn.Module) -> None:
    _copy_weights(target, source)


def _what_it_computes(source: nn.Module, target: nn.Module) -> None:
    target.forward = source.forward


def _shared(source: nn.Module, target: nn.Module) -> None:
    theirs = source.state_dict()
    for name, value in target.state_dict(keep_vars=True).items():
        value.data = theirs[name]


class _Layers(nn.Module):
    """Layers of one shape, made in the order of `order`, and run in the order of their names."""

    def __init__(self, order: str, channels: int) -> None:
        super().__init__()
        for number in order:
            setattr(self, f"conv{number}", nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        for number in order:
            setattr(self, f"bn{number}", nn.BatchNorm2d(channels))
        self.numbers = sorted(order)

    def forward(self, x: Tensor) -> Tensor:
        for number in self.numbers:
            x = torch.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        return x


def _observe_copies(answer: Answer, case: tuple[str, str, int], see: See) -> None:
    first, second, channels = case
    source = randomised(_Layers(first, channels)).eval()
    target = randomised(_Layers(second, channels), seed=1).eval()
    wanted = {key: value.clone() for key, value in source.state_dict().items()}
    objects = dict(target.named_parameters())
    answer(source, target)
    got = target.state_dict()
    for name in wanted:
        if name not in got:
            see("names, afterwards", f"{name} is gone")
            return
        see(f"{name} in the target", got[name])
    see("names, afterwards", "all there")
    changed = [key for key, value in source.state_dict().items() if not value.equal(wanted[key])]
    see("the source, afterwards", f"{changed[0]} changed" if changed else "as before")
    x = torch.rand(2, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    see("what the target computes", tensor(target(x)))
    with torch.no_grad():
        for value in source.state_dict().values():
            value.zero_()
    moved = [key for key, value in target.state_dict().items() if not value.equal(wanted[key])]
    see("the target, when the source is trained on", "moves too" if moved else "as before")
    others = [name for name, p in target.named_parameters() if objects.get(name) is not p]
    see("parameters of the target", f"{others[0]} is another object" if others else "the same")


copy_weights = Check(
    signature="copy_weights(source, target)",
    reference=_copy_weights,
    observe=_observe_copies,
    cases={
        f"layers made in the order {', '.join(first)}, and {', '.join(second)}": (
            first,
            second,
            channels,
        )
        for first, second, channels in (("12", "21", 4), ("123", "231", 3), ("12", "12", 4))
    },
    mistakes=(
        Mistake(
            "still-there",
            "Every number is copied, and to a place where it fits. But some come to another layer than "
            "the one they were trained in, so the two networks compute different things.",
            [_pairing(_by_place)],
        ),
        Mistake(
            "without-statistics",
            "The parameters are copied now. But the running statistics of the batch norms are buffers, "
            "and they stay behind.",
            [
                _named(lambda name: "running" not in name and "num_batches" not in name),
                _named(lambda name: "running" not in name),
            ],
        ),
        Mistake(
            "still-there-without-statistics",
            "Only parameters are copied, and some come to another layer than the one they were trained "
            "in. The running statistics are no parameters, and stay behind.",
            [_parameters_by_place],
        ),
        Mistake(
            "weights-only",
            "What is called `weight` is copied now. But a batch norm has four more tensors, and these "
            "stay behind.",
            [_named(lambda name: name.endswith("weight"))],
        ),
        Mistake(
            "batch-norms-left-out",
            "The convolutions are copied now. But the batch norms stay as they were: they scale what "
            "comes out of the convolutions, and not as they did in the source.",
            [_named(lambda name: "conv" in name)],
        ),
        Mistake(
            "convolutions-left-out",
            "The batch norms are copied now. But the convolutions stay as they were, and these were "
            "never trained.",
            [_named(lambda name: "bn" in name)],
        ),
        Mistake(
            "from-target-to-source",
            "The numbers go from the target to the source. There they take the place of the trained "
            "ones, which are lost.",
            [_backwards],
        ),
        Mistake(
            "nothing-copied",
            "The target keeps the numbers that it had. A new name, a dictionary or a method does not "
            "help: the tensors inside the network have to get other numbers.",
            [lambda *_, **__: None, _what_it_computes],
        ),
        Mistake(
            "only-where-the-names-agree",
            "Layers at the same place are copied only if they have the same name. The others stay as "
            "they were, and nobody is told.",
            [
                _pairing(
                    lambda theirs, mine: {
                        a: b for a, b in _by_place(theirs, mine).items() if a == b
                    }
                )
            ],
        ),
        Mistake(
            "shared",
            "The two networks are the same now, and stay so: they share their numbers. Whoever trains "
            "one of them changes the other.",
            [_shared],
        ),
    ),
    places=(
        Place(
            "names, afterwards",
            "modules-replaced",
            "The target has other modules than before. Whoever uses one of them by its name does not "
            "find it any more.",
        ),
        Place(
            "in the target",
            "other-numbers",
            "Some numbers of the target are not those that were trained for that layer. Compare the two "
            "`state_dict`s, line by line.",
        ),
        Place(
            "the source, afterwards",
            "source-changed",
            "The source changes, and is to stay as it is. Its owner still needs the trained network.",
        ),
        Place(
            "what the target computes",
            "computes-something-else",
            "All the numbers are right. But the target does not compute with them as it did: something "
            "else in it has changed.",
        ),
        Place(
            "when the source is trained on",
            "shared",
            "The two networks are the same now, and stay so: they share numbers. Whoever trains one of "
            "them changes the other.",
        ),
        Place(
            "parameters of the target",
            "parameters-replaced",
            "The target has new parameters. An optimiser made before would go on training the old ones.",
        ),
    ),
)
