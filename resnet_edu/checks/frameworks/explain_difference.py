"""Task 10.2: what Keras counts, and PyTorch does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from torch import nn

from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, whole_number, wrong_type
from resnet_edu.checks.guard import Wrong, shortened
from resnet_edu.networks import resnet50, resnet101, resnet152

Count = Callable[[nn.Module], int]
KEYS = ("biases", "statistics")
NO_BIAS = re.compile(
    r"'NoneType' object has no attribute '(numel|nelement|shape|size|data|sum)'"
    r"|object of type 'NoneType' has no len"
)
LOOKED_FOR_BIASES = (
    "You count biases that the PyTorch network has. Its convolutions have none, and what "
    "both have explains no difference: ask where Keras's convolutions, of the same "
    "shapes, would have one."
)


def _convs(model: nn.Module, keep: str = "") -> Iterator[nn.Conv2d]:
    return (m for name, m in _kept(model, keep) if isinstance(m, nn.Conv2d))


def _norms(model: nn.Module, keep: str = "") -> Iterator[nn.BatchNorm2d]:
    return (m for name, m in _kept(model, keep) if isinstance(m, nn.BatchNorm2d))


def _kept(model: nn.Module, keep: str) -> Iterator[tuple[str, nn.Module]]:
    """Modules by name: all, without the shortcuts, without the stem, or the stem alone."""
    for name, module in model.named_modules():
        left_out = {
            "": False,
            "no shortcuts": "downsample" in name,
            "no stem": "." not in name,
            "stem": "." in name,
            "blocks": "." not in name or "downsample" in name,
        }
        if not left_out[keep]:
            yield name, module


def _biases(model: nn.Module, keep: str = "") -> int:
    return sum(conv.out_channels for conv in _convs(model, keep))


def _statistics(model: nn.Module, keep: str = "") -> int:
    return sum(2 * norm.num_features for norm in _norms(model, keep))


def _explain_difference(torch_model: nn.Module) -> dict[str, int]:
    return {"biases": _biases(torch_model), "statistics": _statistics(torch_model)}


def _version(biases: Count = _biases, statistics: Count = _statistics) -> Answer:
    return lambda torch_model: {
        "biases": biases(torch_model),
        "statistics": statistics(torch_model),
    }


def _biases_are(*counts: Count) -> list[Answer]:
    """These counts of the biases; the statistics are looked at only where they are right."""
    return [_version(biases=count) for count in counts]


def _statistics_are(*counts: Count) -> list[Answer]:
    return [_version(statistics=count) for count in counts]


def _part(count: Callable[[nn.Module, str], int], keep: str) -> Count:
    return lambda model: count(model, keep)


@lru_cache
def _model(make: Callable[..., nn.Module], options: tuple[tuple[str, int], ...]) -> nn.Module:
    return make(**dict(options))


def _size(model: nn.Module) -> int:
    return sum(value.numel() for value in model.state_dict().values())


def _observe(
    answer: Answer, case: tuple[Callable[..., nn.Module], dict[str, int]], see: See
) -> None:
    make, options = case
    model = _model(make, tuple(options.items()))
    size = _size(model)
    try:
        found = answer(model)
    except (AttributeError, TypeError) as error:
        if not NO_BIAS.match(str(error)):
            raise
        rows = (("Error", shortened(f"{type(error).__name__}: {error}")),)
        raise Wrong("looked-for-biases", LOOKED_FOR_BIASES, rows) from None
    finally:
        after = _size(model)
        if after != size:
            _model.cache_clear()  # the next answer gets one as it was
    numbers = {key: whole_number(value) for key, value in _entries(found).items()}
    wanted = _explain_difference(model)
    see("biases", numbers["biases"])
    if numbers["biases"] == wanted["biases"] or [*numbers.values()] == [*wanted.values()][::-1]:
        see("statistics", numbers["statistics"])  # one mistake at a time
    see("numbers in torch_model, afterwards", after - size)


def _entries(found: Any) -> dict[str, Any]:
    if not issubclass(type(found), dict):
        raise wrong_type(found, f"a dict with the keys {KEYS[0]!r} and {KEYS[1]!r}")
    entries = {k if type(k) is str else type(k).__name__: v for k, v in dict.items(found)}
    if sorted(entries) != sorted(KEYS):
        raise Wrong(
            "wrong-keys",
            "Your dictionary does not have the two keys that the task asks for, and no other. Its "
            "values are to add up to the difference.",
            (("Expected", ", ".join(KEYS)), ("Got", ", ".join(entries) or "no keys")),
        )
    return {key: entries[key] for key in KEYS}


explain_difference = Check(
    signature="explain_difference(torch_model)",
    reference=_explain_difference,
    observe=_observe,
    cases={
        f"{make.__name__}({', '.join(f'{k}={v}' for k, v in options.items())})": (make, options)
        for make, options in (
            (resnet50, {}),
            (resnet101, {"num_classes": 10, "width": 16}),
            (resnet152, {"width": 8}),
        )
    },
    mistakes=(
        Mistake(
            "numbers-of-one-network",
            "For ResNet-50 your numbers are right, but one of them, or their sum, is the same for every "
            "network. A ResNet-101 has other layers, and of its difference they explain nothing.",
            [
                _version(lambda _: 26_560),
                _version(statistics=lambda _: 53_120),
                _version(lambda m: 79_680 - _statistics(m)),
                _version(statistics=lambda m: 79_680 - _biases(m)),
            ],
        ),
        Mistake(
            "keys-swapped",
            "The two numbers are right, but each stands under the other's name. Their sum fits, "
            "so nobody notices, and whoever ports a network looks for biases in the wrong place.",
            [_version(_statistics, _biases)],
        ),
        Mistake(
            "floats",
            "The numbers are right, but they are floats. What is counted is whole: PyTorch, for "
            "one, refuses a float as the size of a tensor.",
            [
                _version(lambda m: float(_biases(m)), lambda m: float(_statistics(m))),
                _version(lambda m: float(_biases(m))),
                _version(statistics=lambda m: float(_statistics(m))),
            ],
        ),
        Mistake(
            "layers-counted",
            "Under `biases` you count layers. A convolution has a bias for each channel that comes "
            "out of it.",
            _biases_are(lambda m: len([*_convs(m)]), lambda m: len([*_convs(m)]) + 1),
        ),
        Mistake(
            "head-counted",
            "The bias of the last layer, `fc`, is in your `biases`. Both frameworks have it, so it "
            "explains nothing.",
            _biases_are(lambda m: _biases(m) + m.fc.out_features),
        ),
        Mistake(
            "looked-for-biases",
            LOOKED_FOR_BIASES,
            _biases_are(
                lambda _: 0,
                lambda m: m.fc.out_features,
                lambda m: sum(conv.bias.numel() for conv in _convs(m)),
                lambda m: sum(len(conv.bias) for conv in _convs(m)),
            ),
        ),
        Mistake(
            "shortcuts-left-out",
            "Under `biases`, the convolutions of the shortcuts (`downsample`) are missing. Keras "
            "gives them biases like all others, so a part of the difference stays unexplained.",
            _biases_are(_part(_biases, "no shortcuts"), _part(_biases, "blocks")),
        ),
        Mistake(
            "stem-left-out",
            "Under `biases`, the first convolution, in front of the blocks, is missing. Keras "
            "gives it biases like all others, so a part of the difference stays unexplained.",
            _biases_are(_part(_biases, "no stem")),
        ),
        Mistake(
            "top-level-only",
            "You look at the outermost modules only, and find one convolution. The others stand "
            "inside stages and blocks, so nearly all of the difference stays unexplained.",
            _biases_are(_part(_biases, "stem")),
        ),
        Mistake(
            "blocks-counted-too",
            "Your `biases` hold more than the convolutions. Blocks have an attribute "
            "`out_channels` as well, so you count biases that no framework has.",
            _biases_are(
                lambda m: sum(getattr(part, "out_channels", 0) for part in m.modules()),
            ),
        ),
        Mistake(
            "some-kernels-only",
            "Under `biases` you count convolutions of one size only. There are kernels of 7x7, 3x3 "
            "and 1x1, and Keras gives each of them a bias.",
            _biases_are(
                *(
                    lambda m, size=size: sum(
                        conv.out_channels for conv in _convs(m) if conv.kernel_size == (size, size)
                    )
                    for size in (1, 3)
                )
            ),
        ),
        Mistake(
            "input-channels",
            "Under `biases` you count channels that go in. A bias is added to what comes out.",
            _biases_are(lambda m: sum(conv.in_channels for conv in _convs(m))),
        ),
        Mistake(
            "kernels-counted",
            "Under `biases` you count with the kernels. Both frameworks have those; a bias is one "
            "number for each channel that comes out.",
            _biases_are(
                lambda m: sum(conv.weight.numel() for conv in _convs(m)),
                lambda m: sum(conv.out_channels * conv.in_channels for conv in _convs(m)),
                lambda m: sum(conv.out_channels + conv.in_channels for conv in _convs(m)),
            ),
        ),
        Mistake(
            "channels-counted-twice",
            "Under `biases` you count the channels of the convolutions and those of the batch "
            "norms. A batch norm's own bias is in both frameworks, and explains nothing.",
            _biases_are(lambda m: 2 * _biases(m), lambda m: 2 * _biases(m) + m.fc.out_features),
        ),
        Mistake(
            "batches-counted",
            "Your `statistics` are a few too many: one for each batch norm. PyTorch also counts "
            "the batches it has seen (`num_batches_tracked`), and Keras does not.",
            [
                _version(statistics=lambda m: _statistics(m) + len([*_norms(m)])),
                _version(lambda m: _biases(m) - len([*_norms(m)])),  # by a subtraction
            ],
        ),
        Mistake(
            "one-statistic-only",
            "Under `statistics` there is one number for each channel. Batch norm keeps two, a "
            "mean and a variance, so half of what you explain is missing.",
            _statistics_are(
                lambda m: _statistics(m) // 2, lambda m: _statistics(m) // 2 + len([*_norms(m)])
            ),
        ),
        Mistake(
            "weights-counted-too",
            "Your `statistics` hold batch norm's weight or bias as well, or both. Both frameworks "
            "count those as parameters: they explain nothing.",
            _statistics_are(
                lambda m: 2 * _statistics(m),
                lambda m: 2 * _statistics(m) + len([*_norms(m)]),
                lambda m: 3 * _statistics(m) // 2,
            ),
        ),
        Mistake(
            "statistics-by-layer",
            "Under `statistics` you count layers, or tensors. Batch norm keeps a mean and a "
            "variance for each channel.",
            _statistics_are(*(lambda m, each=each: each * len([*_norms(m)]) for each in (1, 2, 3))),
        ),
        Mistake(
            "looked-among-parameters",
            "You found no statistics. PyTorch keeps them as buffers, so they are not among the "
            "parameters: that is the point.",
            _statistics_are(lambda _: 0),
        ),
        Mistake(
            "statistics-of-shortcuts-left-out",
            "Under `statistics`, the batch norms of the shortcuts (`downsample`) are missing. "
            "Keras counts their means and variances too, so a part of the difference stays "
            "unexplained.",
            _statistics_are(_part(_statistics, "no shortcuts"), _part(_statistics, "blocks")),
        ),
        Mistake(
            "statistics-of-stem-left-out",
            "Under `statistics`, the first batch norm, in front of the blocks, is missing. Keras "
            "counts its means and variances too, so a part of the difference stays unexplained.",
            _statistics_are(_part(_statistics, "no stem")),
        ),
        Mistake(
            "statistics-of-top-level-only",
            "Under `statistics` you look at the outermost modules only. The other batch norms "
            "stand inside stages and blocks, so nearly all of the difference stays unexplained.",
            _statistics_are(_part(_statistics, "stem")),
        ),
    ),
)
