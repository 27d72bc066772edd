"""Task 6.3: the accuracy that is lost without each block."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu.as_found import in_mode
from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.checks.check import Answer, Check, Mistake, Place
from resnet_edu.checks.compare import See, see_float, wrong_type
from resnet_edu.checks.found import Found, randomised
from resnet_edu.checks.guard import Wrong, explain
from resnet_edu.networks import ResNet

Batches = Sequence[tuple[Tensor, Tensor]]
Score = Callable[[nn.Module, Batches], float]


def _block_importance(model: nn.Module, batches: Batches) -> dict[str, float]:
    return _version()(model, batches)


def _accuracy(model: nn.Module, batches: Batches) -> float:
    counts = _counts(model, batches)
    return sum(right for right, _ in counts) / sum(size for _, size in counts)


def _counts(model: nn.Module, batches: Batches) -> list[tuple[int, int]]:
    with torch.no_grad():
        return [(int((model(x).argmax(1) == y).sum()), len(y)) for x, y in batches]


def _version(
    score: Score = _accuracy,
    lost: Callable[[float, float], Any] = lambda whole, without: whole - without,
    put: Callable[[], nn.Module] = nn.Identity,
    back: bool = True,
    training: bool = False,
) -> Answer:
    """The reference, and with other arguments its wrong versions."""

    def block_importance(model: nn.Module, batches: Batches) -> dict[str, float]:
        found, blocks = {}, [(n, s, p, s[p]) for n, s, p in _removable(model)]
        with in_mode(model, training=training):
            whole = score(model, batches)
            for name, stage, place, block in blocks:
                stage[place] = put()
                try:
                    found[name] = lost(whole, score(model, batches))
                finally:
                    if back:
                        stage[place] = block
        for _, stage, place, block in blocks:
            stage[place] = block
        return found

    return block_importance


def _in_mode(mode: bool | None, after: bool | None) -> Answer:
    """Works on the model itself, in a mode, and leaves it in another."""

    def block_importance(model: nn.Module, batches: Batches) -> dict[str, float]:
        before = model.training
        if mode is not None:
            model.train(mode)
        whole, found = _accuracy(model, batches), {}
        for name, stage, place in _removable(model):
            block = stage[place]
            stage[place] = nn.Identity()
            found[name] = whole - _accuracy(model, batches)
            stage[place] = block
        if after is not None or mode is not None:
            model.train(before if after is None else after)
        return found

    return block_importance


def _whole_as_it_comes(on_a_copy: bool) -> Answer:
    """Measures the whole network before it is put into evaluation mode, and the others after."""

    def block_importance(model: nn.Module, batches: Batches) -> dict[str, float]:
        whole = _accuracy(copy.deepcopy(model) if on_a_copy else model, batches)
        return _version(lost=lambda _, without: whole - without)(copy.deepcopy(model), batches)

    return block_importance


def _blocks(model: nn.Module) -> Iterator[tuple[str, nn.Sequential, int]]:
    for name, stage in model.named_children():
        if name.startswith("layer"):
            for place in range(len(stage)):
                yield f"{name}.{place}", stage, place


def _removable(model: nn.Module) -> list[tuple[str, nn.Sequential, int]]:
    return [
        (name, stage, place)
        for name, stage, place in _blocks(model)
        if isinstance(stage[place].downsample, nn.Identity)
    ]


def _every_block(model: nn.Module, batches: Batches) -> None:
    for _, stage, place in _blocks(model.eval()):
        block, stage[place] = stage[place], nn.Identity()
        _accuracy(model, batches)
        stage[place] = block


def _without_weight(kind: str) -> Answer:
    """Sets the weight of the last batch norm to zero, or that of the last convolution."""

    def block_importance(model: nn.Module, batches: Batches) -> dict[str, float]:
        with in_mode(model, training=False):
            whole, found = _accuracy(model, batches), {}
            for name, stage, place in _removable(model):
                last = getattr(stage[place], f"{kind}3", None) or getattr(stage[place], f"{kind}2")
                weight = last.weight.data
                last.weight.data = torch.zeros_like(weight)
                found[name] = whole - _accuracy(model, batches)
                last.weight.data = weight
        return found

    return block_importance


class _Zeros(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def _loss(model: nn.Module, batches: Batches) -> float:
    with torch.no_grad():
        losses = [F.cross_entropy(model(x), y, reduction="sum") for x, y in batches]
    return float(sum(losses)) / sum(len(y) for _, y in batches)


def _mean_loss(model: nn.Module, batches: Batches) -> float:
    with torch.no_grad():
        return sum(F.cross_entropy(model(x), y).item() for x, y in batches) / len(batches)


def _mean_of_means(model: nn.Module, batches: Batches) -> float:
    counts = _counts(model, batches)
    return sum(right / size for right, size in counts) / len(counts)


def _batches_alike(model: nn.Module, batches: Batches) -> float:
    counts = _counts(model, batches)
    return sum(right for right, _ in counts) / (len(counts) * counts[0][1])


def _of_one_batch(place: int) -> Score:
    def score(model: nn.Module, batches: Batches) -> float:
        right, size = _counts(model, batches)[place]
        return right / size

    return score


def _number(model: nn.Module, batches: Batches) -> float:
    return float(sum(right for right, _ in _counts(model, batches)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet of BasicBlock": lambda: ResNet(BasicBlock, (1, 2, 1, 1), num_classes=5, width=4),
    "ResNet of Bottleneck": lambda: ResNet(Bottleneck, (1, 3, 1, 1), num_classes=5, width=4),
}
SIZES = (17, 7)
AFTER_ERROR = "after an error"


def _observe(answer: Answer, case: tuple[str, int, str], see: See) -> None:
    kind, size, state = case
    trained, batches = _trained(kind, size)
    model = NETWORKS[kind]().eval()
    model.load_state_dict(trained)
    model.train("train" in state)
    if "frozen" in state:
        model.layer1[0].bn1.eval()
    if "error" in state:
        model.fc.register_forward_pre_hook(_fails_at(2 * len(SIZES)))
    found = Found(model)
    wanted, blocks = ([name for name, *_ in of(model)] for of in (_removable, _blocks))
    try:
        result = answer(model, [(x.clone(), y.clone()) for x, y in batches])
    except Exception as error:
        if "error" not in state:
            raise _about_shapes(error) from error
    if "error" in state:
        found.see_left(see, AFTER_ERROR)
        return
    values = _entries(result, wanted, blocks)
    _see_values(values, see)
    found.see_left(see)


def _see_values(values: dict[str, Any], see: See) -> None:
    """Note all of them at once: one of them may be right by chance."""
    read: dict[str, Any] = {}
    for name, value in values.items():
        see_float(f"the number of {name}", value, read.__setitem__)
        see(f"type of the number of {name}", read[f"type of the number of {name}"])
    numbers = [read.get(f"the number of {name}", 0.0) for name in values]
    see(f"accuracy lost without {', '.join(values)}", torch.tensor(numbers))


def _about_shapes(error: Exception) -> Exception:
    text = str(error)
    if not any(part in text for part in ("Given groups", "size of tensor", "shapes cannot be")):
        return error
    return Wrong(EVERY_BLOCK.name, EVERY_BLOCK.message, explain(error).evidence)


@lru_cache
def _trained(kind: str, size: int) -> tuple[dict[str, Tensor], Batches]:
    """The weights of a network, and images with labels.

    Some images are read rightly by the whole network, and others without its last removable block.
    """
    model = randomised(NETWORKS[kind](), seed=1).eval()
    numbers = torch.Generator().manual_seed(size)
    images = torch.randn(sum(SIZES), 3, size, size, generator=numbers)
    *_, (_name, stage, place) = _removable(model)
    with torch.no_grad():
        for _, stage, place in _removable(model):
            last = stage[place].bn3 if "Bottleneck" in kind else stage[place].bn2
            last.bias *= 4  # without weight, a branch is not yet nothing
        model.fc.bias -= model(images).mean(0)  # so that it does not always say the same
        whole, trained = model(images).argmax(1), model.state_dict()
        stage[place] = nn.Identity()
        without = model(images).argmax(1)
    labels = torch.where(torch.arange(len(images)) % 9 < 5, without, whole)
    return trained, list(zip(images.split(SIZES), labels.split(SIZES), strict=True))


def _fails_at(call: int) -> Callable[..., None]:
    calls = []

    def hook(*_: object) -> None:
        calls.append(1)
        if len(calls) == call:
            raise RuntimeError("out of memory")

    return hook


def _entries(found: Any, wanted: list[str], blocks: list[str]) -> dict[str, Any]:
    """What was returned, by name. Raises Wrong where names are missing, or too many."""
    if not issubclass(type(found), dict):
        raise wrong_type(found, "a dict")
    entries = {
        key if type(key) is str else f"{type(key).__name__} {place}": value
        for place, (key, value) in enumerate(dict.items(found))
    }
    missing = [name for name in wanted if name not in entries]
    rows = (("Expected names", ", ".join(wanted)), ("Got", ", ".join(entries) or "no names"))
    if not missing and len(entries) == len(wanted):
        return {name: entries[name] for name in wanted}
    if not entries and not all(name.endswith(".0") for name in wanted):
        raise Wrong(
            "no-blocks-found",
            "Your dictionary is empty: you found no block. They stand in the stages `layer1`, "
            "`layer2` and so on, and are of the classes `BasicBlock` or `Bottleneck`.",
            rows,
        )
    if not missing and set(entries) <= set(blocks):
        raise Wrong(
            "shape-changing-blocks-too",
            "There are blocks in your dictionary that change the shape of their input. Without "
            "one of them the next block cannot work, so their numbers do not say what a block is "
            "worth.",
            rows,
        )
    if missing and all(name.endswith(".0") for name in missing) and set(entries) <= set(blocks):
        raise Wrong(
            "first-blocks-left-out",
            "You leave out the first block of every stage. That of `layer1` may keep the shape: "
            "look at what a block does, not at its place.",
            rows,
        )
    if set(entries) & set(wanted) and set(entries) <= set(blocks):
        raise Wrong(
            "blocks-missing",
            "Blocks that keep the shape are missing. Whoever reads your list takes a block that "
            "is not in it for one that cannot be taken out.",
            rows,
        )
    if set(entries) <= {name.partition(".")[0] for name in blocks}:
        raise Wrong(
            "stages-instead-of-blocks",
            "You take out whole stages. A stage is a row of blocks: its number does not say which "
            "of them the network could spare, and which it could not.",
            rows,
        )
    if len(entries) == len(wanted):
        raise Wrong(
            "other-names",
            "There is an entry for each block, but not under its name in the model. Nobody can "
            "find the block again that belongs to a number: `named_modules` gives names like "
            "`layer1.1`.",
            rows,
        )
    raise Wrong(
        "not-blocks",
        "Your dictionary also names modules that are not blocks, such as convolutions inside of "
        "them, or the stem. Those have no shortcut around them: without one, the network is not "
        "shorter but broken.",
        rows,
    )


EVERY_BLOCK = Mistake(
    "every-block",
    "You take out blocks that change the shape of their input. The next block cannot work with "
    "what it then gets, and stops with an error.",
    [_every_block],
)
block_importance = Check(
    signature="block_importance(model, batches)",
    reference=_block_importance,
    observe=_observe,
    cases={
        f"a {kind} {state}, batches of {' and '.join(map(str, SIZES))} images": (kind, size, state)
        for kind, size, state in (
            ("ResNet of BasicBlock", 16, "in train mode, a frozen batch norm in evaluation mode"),
            ("ResNet of Bottleneck", 16, "in evaluation mode"),
            ("ResNet of BasicBlock", 16, "in train mode, and an error on the way"),
        )
    },
    mistakes=(
        Mistake(
            "sign",
            "The sign is the wrong way round. The block that matters most then looks like the one "
            "that the network is best rid of.",
            [_version(lost=lambda whole, without: without - whole)],
        ),
        Mistake(
            "accuracy-without",
            "You give the accuracy without the block. Alone it says nothing about the block: 80% "
            "is much lost for a network that had 99%, and nothing for one that had 80%.",
            [_version(lost=lambda _, without: without)],
        ),
        Mistake(
            "error-without",
            "You give the share of wrong answers without the block. The whole network makes "
            "mistakes too, and here each block is blamed for all of them.",
            [_version(lost=lambda _, without: 1 - without)],
        ),
        Mistake(
            "absolute-value",
            "You drop the sign. Where the network is better without a block, your number calls "
            "that a loss, or hides it, and those are the blocks one would most like to know.",
            [
                _version(lost=lambda whole, without: abs(whole - without)),
                _version(lost=lambda whole, without: max(whole - without, 0.0)),
            ],
        ),
        Mistake(
            "block-still-there",
            "Nothing is ever lost: the network still has all of its blocks when you measure. What "
            "it runs stands in its stages; to give a variable of yours another value takes "
            "nothing out.",
            [_version(lost=lambda *_: 0.0)],
        ),
        Mistake(
            "rounded",
            "Your numbers are rounded. Blocks that cost little then all get the same number, and "
            "which of them matters more can no longer be seen.",
            [
                _version(lost=lambda whole, without, digits=digits: round(whole - without, digits))
                for digits in (1, 2, 3)
            ],
        ),
        Mistake(
            "relative",
            "You divide by the whole network's accuracy. The same number of lost answers then "
            "counts for more in a poor network than in a good one.",
            [
                _version(lost=lambda whole, without: (whole - without) / whole),
                _version(lost=lambda whole, without: without / whole),
            ],
        ),
        Mistake(
            "percent",
            "You give percentages. Whoever takes them for shares, as accuracies are in this "
            "course, reads a loss of 3 points as 300%.",
            [
                _version(lost=lambda whole, without: 100 * (whole - without)),
                _version(lost=lambda whole, without: 100 * (whole - without) / whole),
            ],
        ),
        Mistake(
            "loss-instead-of-accuracy",
            "You compare cross-entropies. A few answers that are wrong and very sure can make one "
            "as large as you like, so it does not tell how many answers were lost.",
            [
                _version(score=score, lost=lost)
                for score in (_loss, _mean_loss)
                for lost in (lambda a, b: b - a, lambda a, b: a - b)
            ],
        ),
        Mistake(
            "count",
            "You give how many answers are lost. Measured on twice as many images, the same block "
            "would seem to matter twice as much.",
            [_version(score=_number)],
        ),
        Mistake(
            "mean-of-batch-means",
            "You take the mean of the batches' accuracies. The last batch is smaller here, and "
            "each of its images counts for more than the others.",
            [_version(score=_mean_of_means)],
        ),
        Mistake(
            "batches-alike",
            "You count the images as if every batch had as many as the first. The last batch is "
            "smaller here: you divide by images that do not exist, and every accuracy comes out "
            "too low.",
            [_version(score=_batches_alike)],
        ),
        Mistake(
            "one-batch-only",
            "Only one of the batches counts. On few images chance decides: of 17, a single answer "
            "is 6%.",
            [_version(score=_of_one_batch(0)), _version(score=_of_one_batch(-1))],
        ),
        Mistake(
            "tensors",
            "The values are tensors. They print as `tensor(0.0400)`, and what wants a number, "
            "such as a JSON file, does not take them.",
            [_version(lost=lambda whole, without: torch.tensor(whole - without))],
        ),
        Mistake(
            "blocks-stay-out",
            "Each block that was taken out stays out while the next one is: in the end all are "
            "missing together. So your numbers tell what many blocks do, and not what one of them "
            "is worth.",
            [_version(back=False)],
        ),
        Mistake(
            "bias-left",
            "You set weights to zero, and the last batch norm's bias still goes into the sum. So "
            "you measure a network with a constant in the block's place, and not one without the "
            "block.",
            [_without_weight("bn"), _without_weight("conv")],
        ),
        Mistake(
            "zeros-instead-of-identity",
            "In the place of the block comes zero, and nothing gets through. The network is cut "
            "in two: whichever block it is, all images get the same answer.",
            [_version(put=_Zeros)],
        ),
        Mistake(
            "train-mode",
            "The model is not in evaluation mode while you measure: batch norm takes the "
            "statistics of each batch. An answer then depends on the images beside it, and it is "
            "another network that you measure.",
            [_version(training=True), _in_mode(True, None), _in_mode(True, True)],
        ),
        Mistake(
            "mode-as-it-comes",
            "You measure in the mode in which the model comes. In train mode, batch norm takes "
            "the statistics of each batch, and changes its own: your measurement alters what it "
            "measures.",
            [_in_mode(None, None), _whole_as_it_comes(False), _whole_as_it_comes(True)],
        ),
        EVERY_BLOCK,
    ),
    places=(
        Place(
            f"modules, {AFTER_ERROR}",
            "not-put-back-after-error",
            "The numbers are right. But where the model raises an error on the way, a block is "
            "still missing afterwards. `finally` puts it back in any case, and so does work on a "
            "copy.",
        ),
        Place(
            f", {AFTER_ERROR}",
            "mode-not-put-back-after-error",
            "The numbers are right. But where the model raises an error on the way, it is not as "
            "it was found. `finally` tidies up in any case, and so does work on a copy.",
        ),
        Place(
            "type of the number",
            "not-floats",
            "The values of your dictionary are not numbers. Whoever sorts the blocks by them, or "
            "draws them as bars, needs floats.",
        ),
        Place(
            "accuracy lost without",
            "another-number",
            "This is not the accuracy of the whole network minus that without the block. Work it "
            "out for one block, step by step: which images count, and what is in the block's "
            "place?",
        ),
        Place(
            "hooks",
            "hooks-not-as-before",
            "The numbers are right, but hooks of yours are still in the model. They go on working "
            "in each later run.",
        ),
        Place(
            "modes of its modules",
            "one-mode-for-all",
            "The numbers are right, but a module is left in another mode than it had. Here a "
            "frozen batch norm was in evaluation mode, in a model in train mode: each module has "
            "a mode of its own.",
        ),
        Place(
            "modules",
            "not-put-back",
            "The numbers are right, but the model is not as it was found: put each block itself "
            "back into its place. Whoever uses the model next has a network with less in it, and "
            "does not know.",
        ),
        Place(
            "mode of the model",
            "mode-changed",
            "The numbers are right, but the model is left in another mode than it came in. A "
            "training that goes on, or the next answers, would use the wrong statistics.",
        ),
        Place(
            "statistics",
            "statistics-changed",
            "The numbers are right, but the running statistics of batch norm have changed: some "
            "of your passes were in train mode. The model's next answers are others than before "
            "you looked.",
        ),
    ),
)
