"""Weights that have to come to the layers that they were trained in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, tensor
from resnet_edu.checks.found import randomised
from resnet_edu.checks.text import beside


@torch.no_grad()
def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    theirs, ours = source.state_dict(), target.state_dict()
    for name in ours:
        ours[name].copy_(theirs[name])


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


def _observe(answer: Answer, case: tuple[str, str, int], see: See) -> None:
    first, second, channels = case
    source = randomised(_Layers(first, channels)).eval()
    target = randomised(_Layers(second, channels), seed=1).eval()
    for batches, number in enumerate(sorted(first), 1):
        getattr(source, f"bn{number}").num_batches_tracked.fill_(batches)
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
    observe=_observe,
    cases={
        f"layers made in the order {', '.join(first)}, and {', '.join(second)}": (
            first,
            second,
            channels,
        )
        for first, second, channels in (("12", "21", 4), ("123", "231", 3), ("12", "12", 4))
    },
    said=beside(__file__),
)
