"""How many layers a ResNet has."""

from __future__ import annotations

from functools import cache

from torch import nn

from resnet_edu import networks
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, whole_number
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside


def _count_layers(model: nn.Module) -> int:
    return sum(
        isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in name
        for name, module in model.named_modules()
    )


@cache
def _network(depth: int) -> nn.Module:
    """A narrow one: width changes no count of layers."""
    return getattr(networks, f"resnet{depth}")(num_classes=5, width=4).eval()


def _observe(answer: Answer, depth: int, see: See) -> None:
    model = _network(depth)
    before = [name for name, _ in model.named_modules()]
    try:
        see("number of layers", whole_number(answer(model)))
    finally:
        model.eval()
        after = [name for name, _ in model.named_modules()]
        if after != before:
            _network.cache_clear()
            rows = (("Modules before", str(len(before))), ("afterwards", str(len(after))))
            raise Wrong("changes-the-model", rows)


count_layers = Check(
    signature="count_layers(model)",
    reference=_count_layers,
    observe=_observe,
    cases={f"ResNet-{depth}": depth for depth in (50, 18, 34, 101, 152)},
    said=beside(__file__),
)
