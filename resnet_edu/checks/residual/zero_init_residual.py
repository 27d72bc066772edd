"""Task 4.3: every residual block starts as the identity."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See
from resnet_edu.networks import zero_init_residual_ as _zero_init_residual_

Blocks = Callable[[nn.Module], list[BasicBlock]]


def _all(model: nn.Module) -> list[BasicBlock]:
    return [m for m in model.modules() if isinstance(m, BasicBlock)]


def _version(change: Callable[[BasicBlock], object], blocks: Blocks = _all) -> Answer:
    """Something else done to the blocks."""

    @torch.no_grad()
    def version(model: nn.Module) -> None:
        for block in blocks(model):
            change(block)

    return version


def _zero(*names: str) -> Callable[[BasicBlock], None]:
    def change(block: BasicBlock) -> None:
        for name in names:
            block.get_parameter(name).zero_()

    return change


def _filled(value: float) -> Callable[[BasicBlock], object]:
    return lambda block: block.bn2.weight.fill_(value)


def _new_parameter(block: BasicBlock) -> None:
    block.bn2.weight = nn.Parameter(torch.zeros_like(block.bn2.weight))


def _frozen(block: BasicBlock) -> None:
    block.bn2.weight.zero_()
    block.bn2.weight.requires_grad_(False)


def _with_projection(block: BasicBlock) -> None:
    block.bn2.weight.zero_()
    for m in block.downsample.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.weight.zero_()


def _all_batch_norms(model: nn.Module) -> None:
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.zeros_(m.weight)


def _all_in_blocks(block: BasicBlock) -> None:
    for m in block.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.weight.zero_()


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


def _observe(answer: Answer, make: Callable[[], nn.Module], see: See) -> None:
    model = make()
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
    cases={"a network with residual blocks, some in modules of modules": _network},
    mistakes=(
        Mistake(
            "first-batch-norm",
            "You set the first batch norm of the branch to zero. The ReLU behind it then gets nothing "
            "but zeros and hands no gradient back, so in a new network neither convolution can ever "
            "learn.",
            [_version(_zero("bn1.weight"))],
        ),
        Mistake(
            "both-batch-norms",
            "You set both batch norms of the branch to zero. With the first at zero, its convolution and "
            "the next get no gradient: one zero is enough.",
            [_version(_zero("bn1.weight", "bn2.weight"))],
        ),
        Mistake(
            "shortcut-switched-off",
            "The batch norm of the projection is zero too. Then such a block puts out nothing at all: the "
            "shortcut must stay open.",
            [_version(_with_projection), _version(_all_in_blocks)],
        ),
        Mistake(
            "all-batch-norms",
            "Every batch norm of the network is zero, also the one after its first convolution. Nothing "
            "of the image gets through any more, and no gradient back: all images get the same answer.",
            [_all_batch_norms],
        ),
        Mistake(
            "bias-instead-of-weight",
            "You set the bias (beta) to zero. It is only added at the end, and starts at zero anyway: "
            "the branch keeps its full size, and the block is no identity.",
            [_version(_zero("bn2.bias"))],
        ),
        Mistake(
            "bias-too",
            "The bias of the batch norm is zero now as well. In a new network it is zero anyway; in any "
            "other something is lost that the caller wanted to keep.",
            [_version(_zero("bn2.weight", "bn2.bias"))],
        ),
        Mistake(
            "convolution-instead",
            "You set a convolution to zero. The batch norm after it brings any spread to 1: either the "
            "weights never move at all, or after one small step the branch is as large as it always "
            "was.",
            [_version(_zero("conv2.weight")), _version(_zero("conv1.weight"))],
        ),
        Mistake(
            "ones-instead-of-zeros",
            "The weights of the last batch norms are one, which is their usual start. So each branch "
            "begins at full size, no block is its shortcut, and the sum grows from block to block.",
            [_version(_filled(1.0))],
        ),
        Mistake(
            "small-instead-of-zero",
            "The weights are small, but not zero. So the block is nearly its shortcut and never "
            "exactly, and in a deep network the differences of many blocks add up.",
            [_version(_filled(value)) for value in (0.1, 0.01, 0.001)],
        ),
        Mistake(
            "model-unchanged",
            "The model is as it was before, and no error says so: it would train from its usual start. "
            "Did you change a copy? The blocks are of the class `blocks.BasicBlock`, not of one that "
            "you wrote.",
            [lambda _: None],
        ),
        Mistake(
            "top-level-only",
            "Blocks inside other modules keep their weights. In a ResNet every block stands in a stage, "
            "and a stage may stand in another module: those blocks would start at full size.",
            [
                _version(_zero("bn2.weight"), lambda m: [m[2][0]]),
                _version(_zero("bn2.weight"), lambda m: [m[2][0], m[2][1][0]]),
                _version(_zero("bn2.weight"), lambda m: [m[2][1][0], m[2][1][1][0]]),
            ],
        ),
        Mistake(
            "new-parameters",
            "You put new parameters in the place of the old ones. An optimiser that was made before would "
            "go on training the old ones: write the zeros into those.",
            [_version(_new_parameter)],
        ),
        Mistake(
            "frozen",
            "The weights are zero and can no longer be trained. So the branches stay shut for ever, "
            "their convolutions learn nothing, and the network is no deeper than its shortcuts.",
            [_version(_frozen)],
        ),
    ),
)
