"""Every residual block starts as the identity."""

from __future__ import annotations

from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.text import beside


def _zero_init_residual_(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)


def _network() -> nn.Module:
    stages = nn.Sequential(
        BasicBlock(4, 4), nn.Sequential(BasicBlock(4, 6, 2), nn.Sequential(BasicBlock(6, 6)))
    )
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), stages, nn.Flatten(), nn.Linear(96, 2)
    )
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, 0.5, 1.5)
    return model


def _observe(answer: Answer, _case: None, see: See) -> None:
    model = _network()
    before = {name: value.detach().clone() for name, value in model.state_dict().items()}
    parameters = dict(model.named_parameters())
    answer(model)
    for name, value in model.state_dict().items():
        if name.endswith("bn2.weight"):
            see(name, value)
    others = [
        name
        for name, value in model.state_dict().items()
        if not name.endswith("bn2.weight") and not value.equal(before[name])
    ]
    kinds = dict.fromkeys(name.lstrip("0123456789.") for name in others)
    see("other tensors that changed", ", ".join(kinds) or "none")
    kept = all(p is parameters[name] for name, p in model.named_parameters())
    see("parameters", "the same objects as before" if kept else "new objects")
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    see("parameters that cannot be trained any more", ", ".join(frozen) or "none")


zero_init_residual_ = Check(
    signature="zero_init_residual_(model)",
    reference=_zero_init_residual_,
    observe=_observe,
    cases={"a network with residual blocks, some in modules of modules": None},
    said=beside(__file__),
)
