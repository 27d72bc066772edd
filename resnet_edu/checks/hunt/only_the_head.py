"""A freezing that has to freeze."""

from __future__ import annotations

from torch import nn

from resnet_edu.blocks import BasicBlock
from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See
from resnet_edu.checks.text import beside
from resnet_edu.networks import ResNet


def _only_the_head(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("fc.")


def _observe(answer: Answer, with_fc1: bool, see: See) -> None:
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
    observe=_observe,
    cases={
        "a ResNet": False,
        "a ResNet that has a layer called fc1 in one of its blocks": True,
    },
    said=beside(__file__),
)
