"""A plain network of any depth, in the CIFAR-10 form."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import blocks
from resnet_edu.checks.block import observe_block
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.guard import Wrong
from resnet_edu.checks.text import beside


class _PlainNetwork(nn.Module):
    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth must be 8, 14, 20, ... (6n + 2), and was {depth}")
        n = (depth - 2) // 6
        narrow, middle, wide = 16, 32, 64
        self.conv1 = nn.Conv2d(3, narrow, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.layer1 = self.stage(narrow, narrow, n, stride=1)
        self.layer2 = self.stage(narrow, middle, n, stride=2)
        self.layer3 = self.stage(middle, wide, n, stride=2)
        self.fc = nn.Linear(wide, num_classes)

    def stage(self, in_channels: int, out_channels: int, n: int, stride: int) -> nn.Sequential:
        first = blocks.PlainBlock(in_channels, out_channels, stride)
        rest = [blocks.PlainBlock(out_channels, out_channels) for _ in range(n - 1)]
        return nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = x.mean((2, 3))
        return self.fc(x)


def _observe(answer: Answer, case: Any, see: See) -> None:
    if isinstance(case, int):
        try:
            answer(case, 10)
        except ValueError:
            see(f"depth {case}", "ValueError")
        else:
            see(f"depth {case}", "no ValueError")
        return
    _require_blocks(answer(*case[0]), case[0][0])
    observe_block(_PlainNetwork, answer, case, see)


def _require_blocks(model: object, depth: int) -> None:
    """A block that is shared, or missing, would otherwise look like something else."""
    if not all(hasattr(model, f"layer{stage}") for stage in (1, 2, 3)):
        return
    for name in ("layer1", "layer2", "layer3"):
        # Not by `children`, which gives each once. What has no weights may be shared.
        modules = getattr(getattr(model, name), "_modules", {}).values()
        parts = [m for m in modules if any(True for _ in m.parameters())]
        if len(set(parts)) < len(parts):
            rows = (("Looked at", name), ("Places for blocks", str(len(parts))))
            raise Wrong("blocks-shared", (*rows, ("Blocks", str(len(set(parts))))))
    found = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    if found < depth - 1:
        rows = (("Convolutions, expected", str(depth - 1)), ("Got", str(found)))
        raise Wrong("too-few-blocks", rows)


plain_network = Check(
    signature="plain_network(depth, num_classes=10)",
    reference=_PlainNetwork,
    observe=_observe,
    cases={
        f"plain_network({arguments}), x of shape {shape}": (numbers, shape)
        for arguments, numbers, shape in (
            ("depth=8", (8,), (2, 3, 16, 16)),
            ("depth=20, num_classes=5", (20, 5), (3, 3, 9, 12)),
            ("depth=8, num_classes=3", (8, 3), (2, 3, 32, 32)),
        )
    }
    | {f"plain_network(depth={depth})": depth for depth in (10, 18)},
    said=beside(__file__),
)
