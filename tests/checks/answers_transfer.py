"""Answers to the exercise sheet on transfer learning, as people write them."""

# ruff: noqa: ARG001, ARG002, ARG005 - wrong answers are wrong in this too

import copy
import types
from itertools import chain

import numpy as np
import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from resnet_edu import checks, transfer

# 7.1


@right(checks.replace_head)
def the_librarys_head(model, num_classes):
    transfer.replace_head(model, num_classes)


@right(checks.replace_head)
def by_setattr_with_keywords(model, num_classes):
    old = getattr(model, "fc")  # noqa: B009
    new = nn.Linear(in_features=old.weight.shape[1], out_features=num_classes, bias=True)
    nn.init.normal_(new.weight, std=0.01)
    nn.init.zeros_(new.bias)
    setattr(model, "fc", new)  # noqa: B010
    return model


@right(checks.replace_head)
def lazy(model, num_classes):
    model.fc = nn.LazyLinear(num_classes)


@right(checks.replace_head)
def in_the_dictionary_of_modules(model, num_classes):
    model._modules["fc"] = nn.Linear(model._modules["fc"].in_features, num_classes)


@right(checks.replace_head)
def the_old_module_made_anew(model, num_classes):
    model.fc.__init__(model.fc.in_features, num_classes)


@right(checks.replace_head)
def new_parameters_in_the_old_module(model, num_classes):
    head = model.fc
    bound = head.in_features**-0.5
    head.weight = nn.Parameter(torch.empty(num_classes, head.in_features).uniform_(-bound, bound))
    head.bias = nn.Parameter(torch.zeros(num_classes))
    head.out_features = num_classes


@right(checks.replace_head)
def found_by_trying(model, num_classes):
    class Probe(nn.Module):
        def forward(self, x):
            self.features = x.shape[1]
            return x

    model.fc = probe = Probe()
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    model.fc = nn.Linear(probe.features, num_classes)


@wrong(checks.replace_head, "does-not-fit")
def as_in_the_tutorial(model, num_classes):
    model.fc = nn.Linear(2048, num_classes)


@wrong(checks.replace_head, "does-not-fit")
def onto_the_old_logits(model, num_classes):
    model.fc = nn.Linear(model.fc.out_features, num_classes)


@wrong(checks.replace_head, "another-name")
def for_other_networks(model, num_classes):
    model.classifier = nn.Linear(model.fc.in_features, num_classes)


@wrong(checks.replace_head, "number-only")
def only_the_number(model, num_classes):
    model.fc.out_features = num_classes


@wrong(checks.replace_head, "head-unchanged")
def a_local_name(model, num_classes):
    fc = model.fc
    fc = nn.Linear(fc.in_features, num_classes)


@wrong(checks.replace_head, "head-unchanged")
def a_changed_copy(model, num_classes):
    model = copy.deepcopy(model)
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model


@wrong(checks.replace_head, "old-head-kept")
def only_if_another_number(model, num_classes):
    if num_classes != model.fc.out_features:
        model.fc = nn.Linear(model.fc.in_features, num_classes)


@wrong(checks.replace_head, "on-top-of-the-old-head")
def one_more_layer(model, num_classes):
    model.fc = nn.Sequential(model.fc, nn.Linear(model.fc.out_features, num_classes))


@wrong(checks.replace_head, "softmax-inside")
def with_softmax(model, num_classes):
    model.fc = nn.Sequential(nn.Linear(model.fc.in_features, num_classes), nn.Softmax(dim=1))


@wrong(checks.replace_head, "not-one-linear-layer")
def two_layers(model, num_classes):
    n = model.fc.in_features
    model.fc = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, num_classes))


@wrong(checks.replace_head, "not-one-linear-layer")
def with_dropout(model, num_classes):
    model.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(model.fc.in_features, num_classes))


@wrong(checks.replace_head, "arguments-swapped")
def swapped(model, num_classes):
    model.fc = nn.Linear(num_classes, model.fc.in_features)


@wrong(checks.replace_head, "no-bias")
def bias_false(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes, False)


@wrong(checks.replace_head, "backbone-frozen")
def freezes_the_rest(model, num_classes):
    for p in model.parameters():
        p.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes)


@wrong(checks.replace_head, "head-frozen")
def freezes_everything_afterwards(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    for p in model.parameters():
        p.requires_grad = False


@wrong(checks.replace_head, "old-rows-kept")
def cut_to_size(model, num_classes):
    old = model.fc
    model.fc = nn.Linear(old.in_features, num_classes)
    n = min(num_classes, old.out_features)
    model.fc.weight.data[:n] = old.weight.data[:n]


@wrong(checks.replace_head, "not-a-module")
def the_class_itself(model, num_classes):
    del model.fc
    model.fc = lambda x: nn.Linear(x.shape[1], num_classes)(x)


@wrong(checks.replace_head, "backbone-changed")
def everything_anew(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    model.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)


@right(checks.replace_head)
def deleted_and_lazy(model, num_classes):
    del model.fc
    model.fc = nn.LazyLinear(num_classes)


@wrong(checks.replace_head, "not-random")
def starts_at_zero(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    for parameter in model.fc.parameters():
        nn.init.zeros_(parameter)


@wrong(checks.replace_head, "old-layer-changed")
def a_new_weight_for_the_old_layer(model, num_classes):
    model.fc.weight = nn.Parameter(torch.randn(num_classes, model.fc.in_features))


# 7.2

STAGES = ["stem", "layer1", "layer2", "layer3", "layer4"]


@right(checks.freeze)
def the_librarys_freeze(model, up_to):
    transfer.freeze(model, up_to)


@right(checks.freeze)
def modules_in_a_dictionary(model, up_to):
    stages = {"stem": nn.ModuleList([model.conv1, model.bn1])}
    stages |= {f"layer{i}": getattr(model, f"layer{i}") for i in range(1, 5)}
    if up_to not in stages:
        raise ValueError(up_to)
    for name, stage in stages.items():
        stage.requires_grad_(False)
        if name == up_to:
            return


@right(checks.freeze)
def children_until_the_named_one(model, up_to):
    names = [name for name, _ in model.named_children()]
    last = "bn1" if up_to == "stem" else up_to
    if last == "fc" or last not in names or up_to in ("conv1", "bn1", "relu", "maxpool", "avgpool"):
        raise ValueError(f"unknown stage {up_to}")
    for child in list(model.children())[: names.index(last) + 1]:
        for parameter in child.parameters():
            parameter.requires_grad_(False)


@right(checks.freeze)
def numbers_of_the_stages(model, up_to):
    numbers = {"stem": 0, "layer1": 1, "layer2": 2, "layer3": 3, "layer4": 4}
    try:
        last = numbers[up_to]
    except KeyError:
        raise ValueError(f"{up_to} is none of {list(numbers)}") from None
    parts = chain(model.conv1.parameters(), model.bn1.parameters())
    for i in range(1, last + 1):
        parts = chain(parts, model.get_submodule(f"layer{i}").parameters())
    for p in parts:
        p.requires_grad = False


@right(checks.freeze)
def everything_then_the_rest_back(model, up_to):
    later = {s: STAGES[i + 1 :] for i, s in enumerate(STAGES)}
    if up_to not in later:
        raise ValueError("no such stage")
    prefixes = tuple(f"{s}." for s in [*later[up_to], "fc"])
    for name, p in model.named_parameters():
        p.requires_grad = name.startswith(prefixes)


@right(checks.freeze)
def with_match(model, up_to):
    match up_to:
        case "stem":
            parts = []
        case "layer1" | "layer2" | "layer3" | "layer4":
            parts = [getattr(model, f"layer{i + 1}") for i in range(int(up_to[-1]))]
        case _:
            raise ValueError(up_to)
    nn.ModuleList([model.conv1, model.bn1, *parts]).requires_grad_(False)


@wrong(checks.freeze, "misspelt")
def require_grad(model, up_to):
    if up_to not in STAGES:
        raise ValueError(up_to)
    frozen = STAGES[: STAGES.index(up_to) + 1]
    for name, p in model.named_parameters():
        part = name.split(".")[0]
        if part in frozen or part in ("conv1", "bn1"):
            p.require_grad = False


@wrong(checks.freeze, "attribute-of-a-module")
def on_the_module(model, up_to):
    if up_to not in STAGES:
        raise ValueError(up_to)
    for name in STAGES[1 : STAGES.index(up_to) + 1]:
        getattr(model, name).requires_grad = False
    model.conv1.requires_grad = model.bn1.requires_grad = False


def _frozen(model, parts):
    for name, p in model.named_parameters():
        part = name.split(".")[0]
        if ("stem" if part in ("conv1", "bn1") else part) in parts:
            p.requires_grad = False


def _known(up_to):
    if up_to not in STAGES:
        raise ValueError(up_to)
    return STAGES.index(up_to)


@wrong(checks.freeze, "named-stage-left-out")
def without_the_last(model, up_to):
    _frozen(model, STAGES[: _known(up_to)])


@wrong(checks.freeze, "stem-left-out")
def stages_only(model, up_to):
    _frozen(model, STAGES[1 : _known(up_to) + 1])


@wrong(checks.freeze, "first-batch-norm-left-out")
def conv1_is_the_stem(model, up_to):
    n = _known(up_to)
    model.conv1.requires_grad_(False)
    _frozen(model, STAGES[1 : n + 1])


@wrong(checks.freeze, "named-stage-only")
def one_stage(model, up_to):
    _known(up_to)
    _frozen(model, [up_to])


@wrong(checks.freeze, "stem-refused")
def stem_is_no_stage(model, up_to):
    names = STAGES[1:]
    if up_to not in names:
        raise ValueError(up_to)
    _frozen(model, ["stem", *names[: names.index(up_to) + 1]])


@wrong(checks.freeze, "everything-frozen")
def all_parameters(model, up_to):
    _known(up_to)
    for p in model.parameters():
        p.requires_grad = False


@wrong(checks.freeze, "all-but-the-head")
def feature_extraction(model, up_to):
    _known(up_to)
    for p in model.parameters():
        p.requires_grad = False
    for p in model.fc.parameters():
        p.requires_grad = True


@wrong(checks.freeze, "batch-norms-left-out")
def convolutions_only(model, up_to):
    parts = STAGES[: _known(up_to) + 1]
    for name, m in model.named_modules():
        part = "stem" if name.split(".")[0] == "conv1" else name.split(".")[0]
        if isinstance(m, nn.Conv2d) and part in parts:
            m.weight.requires_grad = False


@wrong(checks.freeze, "unknown-name-ignored")
def until_it_comes(model, up_to):
    for name, child in model.named_children():
        if name == "fc":
            break
        child.requires_grad_(False)
        if name == up_to or (up_to == "stem" and name == "bn1"):
            break


@wrong(checks.freeze, "frozen-before-the-error")
def complains_at_the_end(model, up_to):
    found = False
    for name in STAGES:
        _frozen(model, [name])
        if name == up_to:
            found = True
            break
    if not found:
        raise ValueError(up_to)


@wrong(checks.freeze, "other-error")
def by_getattr(model, up_to):
    if up_to != "stem":
        getattr(model, up_to)
    _frozen(model, STAGES[: STAGES.index(up_to) + 1] if up_to in STAGES else [])


@wrong(checks.freeze, "other-error")
def by_a_dictionary(model, up_to):
    place = {name: i for i, name in enumerate(STAGES)}[up_to]
    _frozen(model, STAGES[: place + 1])


@wrong(checks.freeze, "the-wrong-way-round")
def the_others(model, up_to):
    n = _known(up_to)
    _frozen(model, [*STAGES[n + 1 :], "fc"])


@wrong(checks.freeze, "nothing-frozen")
def a_list_of_booleans(model, up_to):
    _known(up_to)
    for p in model.parameters():
        requires_grad = p.requires_grad
        requires_grad = False  # noqa: F841


@wrong(checks.freeze, "nothing-frozen")
def detached(model, up_to):
    n = _known(up_to)
    for name, p in model.named_parameters():
        if name.split(".")[0] in STAGES[: n + 1]:
            p = p.detach()


@wrong(checks.freeze, "nothing-frozen")
def under_no_grad(model, up_to):
    _known(up_to)
    with torch.no_grad():
        for p in model.parameters():
            p.grad = None


@wrong(checks.freeze, "one-stage-too-many")
def counts_wrongly(model, up_to):
    _frozen(model, [*STAGES, "fc"][: _known(up_to) + 2])


@right(checks.freeze)
def detached_in_place(model, up_to):
    order = ["stem", "layer1", "layer2", "layer3", "layer4"]
    if order.count(up_to) != 1:
        raise ValueError(up_to)
    for name, module in model.named_children():
        place = int(name[-1]) if name.startswith("layer") else 9 if name == "fc" else 0
        if place <= order.index(up_to):
            for parameter in module.parameters():
                parameter.detach_()


@wrong(checks.freeze, "stem-not-found")
def until_the_name_is_met(model, up_to):
    if up_to not in ("stem", "layer1", "layer2", "layer3", "layer4"):
        raise ValueError(up_to)
    for name, child in model.named_children():
        child.requires_grad_(False)
        if name == up_to:
            break


@wrong(checks.freeze, "alphabet")
def names_compared(model, up_to):
    if up_to not in ("stem", "layer1", "layer2", "layer3", "layer4"):
        raise ValueError(up_to)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.split(".")[0] > up_to


@wrong(checks.freeze, "unknown-name-ignored")
def the_head_is_a_stage_too(model, up_to):
    names = ["stem", "layer1", "layer2", "layer3", "layer4", "fc"]
    if up_to not in names:
        raise ValueError(up_to)
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        part = "stem" if part in ("conv1", "bn1") else part
        parameter.requires_grad = names.index(part) > names.index(up_to)


# 7.3


@right(checks.train_mode)
def another_class_for_frozen_ones(model):
    class FrozenBatchNorm(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(False)

    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not any(p.requires_grad for p in m.parameters()):
            m.__class__ = FrozenBatchNorm
            m.eval()


@right(checks.train_mode)
def lambdas(model):
    model.train()
    for m in model.modules():
        if (
            isinstance(m, nn.BatchNorm2d)
            and not m.weight.requires_grad
            and not m.bias.requires_grad
        ):
            m.eval()
            m.train = lambda mode=True, m=m: m


@right(checks.train_mode)
def the_models_own_train(model):
    def train(self, mode=True):
        nn.Module.train(self, mode)
        for m in self.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm) and not m.weight.requires_grad:
                m.training = False
        return self

    model.train = types.MethodType(train, model)
    model.train()


@right(checks.train_mode)
def the_old_train_wrapped(model):
    old = model.train

    def train(mode=True):
        old(mode)
        for m in model.modules():
            if "BatchNorm" in type(m).__name__ and not next(m.parameters()).requires_grad:
                m.eval()
        return model

    model.train = train
    train(True)


@right(checks.train_mode)
def before_each_pass(model):
    """A hook puts a frozen batch norm into evaluation mode whenever it is used."""
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()
            m.register_forward_pre_hook(lambda m, args: m.eval() and None)


@right(checks.train_mode)
def training_as_a_property(model):
    class Frozen(nn.BatchNorm2d):
        training = property(lambda self: False, lambda self, mode: None)

    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.bias.requires_grad:
            del m.__dict__["training"]
            m.__class__ = Frozen
    model.train()


@right(checks.train_mode)
def train_listens_to_the_parameters(model):
    class Mode:
        def __init__(self, norm):
            self.norm = norm

        def __call__(self, mode=True):
            trainable = all(p.requires_grad for p in self.norm.parameters())
            return type(self.norm).train(self.norm, mode and trainable)

    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.train = Mode(m)
    model.train(True)


@right(checks.train_mode)
def another_forward(model):
    """Frozen ones compute as in evaluation mode, whatever their mode is."""
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.forward = lambda x, m=m: F.batch_norm(
                x, m.running_mean, m.running_var, m.weight, m.bias, False, 0.1, m.eps
            )


@wrong(checks.train_mode, "undone-by-model-train")
def eval_once(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()


@wrong(checks.train_mode, "undone-by-model-train")
def training_false(model):
    model.train(True)
    for m in model.modules():
        if hasattr(m, "running_mean") and not m.weight.requires_grad:
            m.training = False


@wrong(checks.train_mode, "all-batch-norms")
def every_batch_norm(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()


@wrong(checks.train_mode, "all-batch-norms")
def every_batch_norm_for_ever(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
            m.train = lambda mode=True: None


@wrong(checks.train_mode, "nothing-in-eval-mode")
def only_train(model):
    model.train()


@wrong(checks.train_mode, "nothing-in-eval-mode")
def train_comes_last(model):
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()
    model.train()


@wrong(checks.train_mode, "nothing-in-eval-mode")
def a_misspelt_attribute(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.train_mode = False


@wrong(checks.train_mode, "outermost-modules-only")
def children_only(model):
    model.train()
    for m in model.children():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()
            m.train = types.MethodType(lambda self, mode=True: self, m)


@wrong(checks.train_mode, "dropout-in-eval-mode")
def frozen_stages(model):
    model.train()
    for child in model.children():
        if not any(p.requires_grad for p in child.parameters()):
            for m in child.modules():
                m.eval()
                m.train = types.MethodType(lambda self, mode=True: self, m)


@wrong(checks.train_mode, "dropout-in-eval-mode")
def whole_stages_once(model):
    model.train()
    for child in (model.bn1, model.layer1, model.layer2, model.layer3, model.layer4):
        if not next(child.parameters()).requires_grad:
            child.eval()


@wrong(checks.train_mode, "statistics-stopped")
def momentum_zero(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.momentum = 0


@wrong(checks.train_mode, "train-calls-itself")
def without_the_old_one(model):
    def train(mode=True):
        model.train(mode)
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
                m.eval()
        return model

    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()
    model.train = train


@wrong(checks.train_mode, "train-returns-nothing")
def forgets_the_model(model):
    def train(mode=True):
        nn.Module.train(model, mode)
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
                m.eval()

    train()
    model.train = train


@wrong(checks.train_mode, "train-without-mode")
def no_parameter(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()
            m.train = lambda: None


@wrong(checks.train_mode, "class-changed")
def for_all_batch_norms_there_are(model):
    model.train()

    def train(self, mode=True):
        self.training = mode and self.weight.requires_grad
        return self

    nn.BatchNorm2d.train = train
    model.train()


@wrong(checks.train_mode, "no-way-to-eval-mode")
def the_mode_ignored(model):
    def train(mode=True):
        nn.Module.train(model)
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
                m.training = False
        return model

    model.train = train
    model.train()


@wrong(checks.train_mode, "modules-replaced")
def other_modules(model):
    from torch.nn import Module

    class Frozen(Module):
        def __init__(self, bn):
            super().__init__()
            self.bn = [bn.eval()]

        def forward(self, x):
            return self.bn[0](x)

    for parent in list(model.modules()):
        for name, m in list(parent.named_children()):
            if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
                setattr(parent, name, Frozen(m))
    model.train()


@wrong(checks.train_mode, "trainable-in-eval-mode")
def freezes_more(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            for p in m.parameters():
                p.requires_grad = False
            m.eval()
            m.train = types.MethodType(lambda self, mode=True: self, m)


@wrong(checks.train_mode, "everything-in-eval-mode")
def eval_last(model):
    model.train()
    model.eval()


@right(checks.train_mode)
def another_class_for_single_modules(model):
    class Frozen(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(False)

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.bias.requires_grad:
            module.__class__ = Frozen
    model.train()


@wrong(checks.train_mode, "statistics-stopped")
def statistics_put_back_after_each_pass(model):
    def put_back(bn, inputs, output):
        bn.load_state_dict(kept[bn])

    kept = {}
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            kept[module] = copy.deepcopy(module.state_dict())
            module.register_forward_hook(put_back)
    model.train()


# 7.4


@right(checks.parameter_groups)
def two_comprehensions(model, head_lr, backbone_lr):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"lr": head_lr, "params": [p for n, p in named if n.split(".")[0] == "fc"]},
        {"lr": backbone_lr, "params": [p for n, p in named if n.split(".")[0] != "fc"]},
    ]


@right(checks.parameter_groups)
def by_identity(model, head_lr, backbone_lr):
    head = {id(p) for p in model.fc.parameters()}
    rest = filter(lambda p: p.requires_grad and id(p) not in head, model.parameters())
    return [
        {"params": rest, "lr": backbone_lr},
        {"params": (p for p in model.fc.parameters() if p.requires_grad), "lr": head_lr},
    ]


@right(checks.parameter_groups)
def a_group_for_each_parameter(model, head_lr, backbone_lr):
    return [
        {"params": [p], "lr": head_lr if name in ("fc.weight", "fc.bias") else backbone_lr}
        for name, p in model.named_parameters()
        if p.requires_grad
    ]


@right(checks.parameter_groups)
def by_children(model, head_lr, backbone_lr):
    groups = []
    for name, child in model.named_children():
        params = [p for p in child.parameters() if p.requires_grad]
        if params:
            groups.append(
                {"params": params, "lr": {"fc": head_lr}.get(name, backbone_lr), "name": name}
            )
    return groups


@right(checks.parameter_groups)
def sets_of_parameters(model, head_lr, backbone_lr):
    trainable = {p for p in model.parameters() if p.requires_grad}
    head = set(model.fc.parameters()) & trainable
    return [
        {"params": list(head), "lr": head_lr},
        {"params": list(trainable - head), "lr": backbone_lr},
    ]


@right(checks.parameter_groups)
def with_names(model, head_lr, backbone_lr):
    """Optimisers of newer versions also take pairs of a name and a parameter."""
    pairs = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return (
        {"params": [pair for pair in pairs if pair[0].startswith("fc.")], "lr": head_lr},
        {"params": [pair for pair in pairs if not pair[0].startswith("fc.")], "lr": backbone_lr},
    )


@right(checks.parameter_groups)
def as_the_library_counts(model, head_lr, backbone_lr):
    rates = dict.fromkeys(["stem", "layer1", "layer2", "layer3", "layer4"], backbone_lr)
    return transfer.parameter_groups(model, 1.0, rates | {"fc": head_lr})


@wrong(checks.parameter_groups, "rates-swapped")
def the_rates_swapped(model, head_lr, backbone_lr):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in named if not n.startswith("fc.")], "lr": head_lr},
        {"params": [p for n, p in named if n.startswith("fc.")], "lr": backbone_lr},
    ]


@wrong(checks.parameter_groups, "in-two-groups")
def all_and_the_head(model, head_lr, backbone_lr):
    return [
        {"params": model.parameters(), "lr": backbone_lr},
        {"params": model.fc.parameters(), "lr": head_lr},
    ]


@wrong(checks.parameter_groups, "frozen-too")
def no_filter(model, head_lr, backbone_lr):
    return [
        {
            "params": [p for n, p in model.named_parameters() if not n.startswith("fc.")],
            "lr": backbone_lr,
        },
        {"params": list(model.fc.parameters()), "lr": head_lr},
    ]


@wrong(checks.parameter_groups, "frozen-too")
def head_not_filtered(model, head_lr, backbone_lr):
    rest = [p for n, p in model.named_parameters() if not n.startswith("fc.") and p.requires_grad]
    return [{"params": rest, "lr": backbone_lr}, {"params": model.fc.parameters(), "lr": head_lr}]


@wrong(checks.parameter_groups, "fc-anywhere-in-the-name")
def fc_in_the_name(model, head_lr, backbone_lr):
    head = [p for n, p in model.named_parameters() if "fc" in n and p.requires_grad]
    rest = [p for n, p in model.named_parameters() if "fc" not in n and p.requires_grad]
    return [{"params": head, "lr": head_lr}, {"params": rest, "lr": backbone_lr}]


@wrong(checks.parameter_groups, "compared-by-value")
def not_in_a_list(model, head_lr, backbone_lr):
    head = list(model.fc.parameters())
    rest = [p for p in model.parameters() if p.requires_grad and p not in head]
    return [{"params": head, "lr": head_lr}, {"params": rest, "lr": backbone_lr}]


@wrong(checks.parameter_groups, "no-lr")
def learning_rate(model, head_lr, backbone_lr):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in named if n.startswith("fc.")], "learning_rate": head_lr},
        {"params": [p for n, p in named if not n.startswith("fc.")], "learning_rate": backbone_lr},
    ]


@wrong(checks.parameter_groups, "no-params")
def parameters_as_the_key(model, head_lr, backbone_lr):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"parameters": [p for n, p in named if n.startswith("fc.")], "lr": head_lr},
        {"parameters": [p for n, p in named if not n.startswith("fc.")], "lr": backbone_lr},
    ]


@wrong(checks.parameter_groups, "stem-left-out")
def stages_and_head(model, head_lr, backbone_lr):
    stages = [model.layer1, model.layer2, model.layer3, model.layer4]
    rest = [p for s in stages for p in s.parameters() if p.requires_grad]
    head = [p for p in model.fc.parameters() if p.requires_grad]
    return [{"params": rest, "lr": backbone_lr}, {"params": head, "lr": head_lr}]


@wrong(checks.parameter_groups, "head-only")
def nothing_but_the_head(model, head_lr, backbone_lr):
    return [{"params": [p for p in model.fc.parameters() if p.requires_grad], "lr": head_lr}]


@wrong(checks.parameter_groups, "one-rate")
def by_what_is_frozen(model, head_lr, backbone_lr):
    return [{"params": [p for p in model.parameters() if p.requires_grad], "lr": head_lr}]


@wrong(checks.parameter_groups, "head-weight-only")
def the_weight(model, head_lr, backbone_lr):
    return [
        {"params": [p], "lr": head_lr if p is model.fc.weight else backbone_lr}
        for p in model.parameters()
        if p.requires_grad
    ]


@wrong(checks.parameter_groups, "optimizer-instead-of-groups")
def an_optimizer(model, head_lr, backbone_lr):
    return torch.optim.SGD(by_children(model, head_lr, backbone_lr), momentum=0.9)


@wrong(checks.parameter_groups, "wrong-type")
def one_dictionary(model, head_lr, backbone_lr):
    return {"params": list(model.parameters()), "lr": backbone_lr}


@wrong(checks.parameter_groups, "wrong-type")
def a_list_of_parameters(model, head_lr, backbone_lr):
    return [p for p in model.parameters() if p.requires_grad]


@wrong(checks.parameter_groups, "not-parameters")
def names_only(model, head_lr, backbone_lr):
    named = [n for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [n for n in named if n.startswith("fc.")], "lr": head_lr},
        {"params": [n for n in named if not n.startswith("fc.")], "lr": backbone_lr},
    ]


@wrong(checks.parameter_groups, "copies")
def numbers_copied(model, head_lr, backbone_lr):
    named = [(n, p.data) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in named if n.startswith("fc.")], "lr": head_lr},
        {"params": [p for n, p in named if not n.startswith("fc.")], "lr": backbone_lr},
    ]


@wrong(checks.parameter_groups, "returns-none")
def groups_printed(model, head_lr, backbone_lr):
    print(by_children(model, head_lr, backbone_lr))


# 7.5


def _without_head(model):
    copied = copy.deepcopy(model).eval()
    copied.fc = nn.Identity()
    return copied


@right(checks.linear_probe)
def the_librarys_probe(model, train, test):
    return transfer.linear_probe(model, TensorDataset(*train), TensorDataset(*test))


@right(checks.linear_probe)
def support_vectors_on_scaled_features(model, train, test):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    backbone = nn.Sequential(*list(model.children())[:-1], nn.Flatten())
    was = model.training
    model.eval()
    backbone.eval()
    with torch.no_grad():
        a, b = (backbone(x).cpu().numpy() for x in (train[0], test[0]))
    model.train(was)
    pipeline = make_pipeline(StandardScaler(), LinearSVC())
    return float(pipeline.fit(a, train[1]).score(b, test[1]))


@right(checks.linear_probe)
def a_linear_layer_with_adam(model, train, test):
    body = _without_head(model)
    with torch.no_grad():
        known, unknown = body(train[0]), body(test[0])
    torch.manual_seed(0)
    probe = nn.Linear(known.shape[1], int(train[1].max()) + 1)
    optimizer = torch.optim.Adam(probe.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(probe(known), train[1]).backward()
        optimizer.step()
    return (probe(unknown).argmax(1) == test[1]).float().mean().item()


@right(checks.linear_probe)
def least_squares_by_a_hook(model, train, test):
    modes = {m: m.training for m in model.modules()}
    caught = []
    handle = model.fc.register_forward_pre_hook(lambda m, args: caught.append(args[0]))
    try:
        model.eval()
        with torch.inference_mode():
            model(train[0])
            model(test[0])
    finally:
        handle.remove()
        for m, mode in modes.items():
            m.training = mode
    x, y = (torch.cat([c.clone(), torch.ones(len(c), 1)], dim=1) for c in caught)
    w = torch.linalg.lstsq(x, F.one_hot(train[1]).float(), driver="gelsd").solution
    return (y @ w).argmax(-1).eq(test[1]).double().mean().item()


@right(checks.linear_probe)
def ridge_with_the_head_put_back(model, train, test):
    from sklearn.linear_model import RidgeClassifier

    head, was = model.fc, model.training
    model.fc = nn.Identity()
    try:
        model.eval()
        with torch.no_grad():
            a = model(train[0]).numpy()
            b = model(test[0]).numpy()
    finally:
        model.fc = head
        model.train(was)
    answers = RidgeClassifier().fit(a, train[1].numpy()).predict(b)
    return np.mean(answers == test[1].numpy())


@right(checks.linear_probe)
def in_batches_with_sgd(model, train, test):
    body = _without_head(model)

    @torch.no_grad()
    def features(data):
        return torch.cat([body(x) for x, _ in DataLoader(TensorDataset(*data), batch_size=16)])

    a, b = features(train), features(test)
    mean, std = a.mean(0), a.std(0) + 1e-5
    a, b = (a - mean) / std, (b - mean) / std
    weight = torch.zeros(3, a.shape[1], requires_grad=True)
    bias = torch.zeros(3, requires_grad=True)
    for _ in range(100):
        loss = F.cross_entropy(F.linear(a, weight, bias), train[1])
        for p, g in zip((weight, bias), torch.autograd.grad(loss, (weight, bias)), strict=True):
            p.data -= 0.5 * g
    right = 0
    for row, label in zip(F.linear(b, weight, bias).tolist(), test[1].tolist(), strict=True):
        right += row.index(max(row)) == label
    return right / len(test[1])


@right(checks.linear_probe)
def discriminants(model, train, test):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import accuracy_score

    first, _ = transfer.split(model, "layer4")
    a, b = (transfer.compute(first, data[0]).flatten(1).numpy() for data in (train, test))
    guess = LinearDiscriminantAnalysis().fit(a, train[1].numpy()).predict(b)
    return accuracy_score(test[1].numpy(), guess)


@right(checks.linear_probe)
def with_lbfgs(model, train, test):
    body = _without_head(model)
    with torch.no_grad():
        a, b = body(train[0]), body(test[0])
    probe = nn.Linear(a.shape[1], 3)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(probe(a), train[1]) + 1e-3 * probe.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return float((probe(b).argmax(1) == test[1]).float().mean())


def _score(known, train, unknown, test):
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=500).fit(known, train[1].numpy())
    return classifier.score(unknown, test[1].numpy())


def _both(body, train, test):
    with torch.no_grad():
        return body(train[0]).flatten(1).numpy(), body(test[0]).flatten(1).numpy()


@wrong(checks.linear_probe, "train-mode")
def no_eval(model, train, test):
    copied = copy.deepcopy(model)
    copied.fc = nn.Identity()
    a, b = _both(copied, train, test)
    return _score(a, train, b, test)


@wrong(checks.linear_probe, "left-in-eval-mode")
def eval_for_good(model, train, test):
    model.eval()
    a, b = _both(nn.Sequential(*list(model.children())[:-1]), train, test)
    return _score(a, train, b, test)


@wrong(checks.linear_probe, "left-in-train-mode")
def train_for_good(model, train, test):
    model.eval()
    a, b = _both(nn.Sequential(*list(model.children())[:-1]).eval(), train, test)
    model.train()
    return _score(a, train, b, test)


@wrong(checks.linear_probe, "head-left-off")
def identity_stays(model, train, test):
    was = model.training
    model.fc = nn.Identity()
    a, b = _both(model.eval(), train, test)
    model.train(was)
    return _score(a, train, b, test)


@wrong(checks.linear_probe, "model-not-used")
def pixels(model, train, test):
    return _score(train[0].flatten(1).numpy(), train, test[0].flatten(1).numpy(), test)


@wrong(checks.linear_probe, "same-answer-always")
def logits(model, train, test):
    a, b = _both(copy.deepcopy(model).eval(), train, test)
    return _score(a, train, b, test)


@wrong(checks.linear_probe, "accuracy-on-train")
def scored_on_train(model, train, test):
    a, _ = _both(_without_head(model), train, test)
    return _score(a, train, a, train)


@wrong(checks.linear_probe, "fitted-on-test")
def fitted_on_test(model, train, test):
    _, b = _both(_without_head(model), train, test)
    return _score(b, test, b, test)


@wrong(checks.linear_probe, "fitted-on-test")
def fitted_on_both(model, train, test):
    a, b = _both(_without_head(model), train, test)
    both = np.concatenate([a, b])
    return _score(both, (None, torch.cat([train[1], test[1]])), b, test)


@wrong(checks.linear_probe, "percent")
def in_percent(model, train, test):
    a, b = _both(_without_head(model), train, test)
    return 100 * _score(a, train, b, test)


@wrong(checks.linear_probe, "error-rate")
def errors(model, train, test):
    a, b = _both(_without_head(model), train, test)
    return 1 - _score(a, train, b, test)


@wrong(checks.linear_probe, "count")
def how_many(model, train, test):
    a, b = _both(_without_head(model), train, test)
    return round(_score(a, train, b, test) * len(b))


@wrong(checks.linear_probe, "gradients-recorded")
def no_grad_forgotten(model, train, test):
    body = _without_head(model)
    return _score(body(train[0]).numpy(), train, body(test[0]).numpy(), test)


@wrong(checks.linear_probe, "gradients-recorded")
def trained_through_the_graph(model, train, test):
    body = _without_head(model)
    a, b = body(train[0]), body(test[0])
    probe = nn.Linear(a.shape[1], 3)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(probe(a), train[1]).backward()
        optimizer.step()
    return (probe(b).argmax(1) == test[1]).float().mean().item()


@wrong(checks.linear_probe, "wrong-type")
def accuracy_as_a_tensor(model, train, test):
    a, b = _both(_without_head(model), train, test)
    return torch.tensor(_score(a, train, b, test))


@wrong(checks.linear_probe, "hooks-not-as-before")
def the_hook_stays(model, train, test):
    caught, was = [], model.training
    model.fc.register_forward_pre_hook(lambda m, args: caught.append(args[0].numpy()))
    model.eval()
    with torch.no_grad():
        model(train[0])
        model(test[0])
    model.train(was)
    return _score(caught[0], train, caught[1], test)


@wrong(checks.linear_probe, "weights-changed")
def the_head_is_trained(model, train, test):
    was = model.training
    model.eval()
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=0.05)
    for _ in range(12):
        optimizer.zero_grad()
        F.cross_entropy(model(train[0]), train[1]).backward()
        optimizer.step()
    model.train(was)
    with torch.no_grad():
        return (copy.deepcopy(model).eval()(test[0]).argmax(1) == test[1]).float().mean().item()


@right(checks.linear_probe)
def the_nearest_mean(model, train, test):
    body = _without_head(model)
    with torch.no_grad():
        known, unknown = body(train[0]), body(test[0])
    means = torch.stack([known[train[1] == k].mean(0) for k in range(int(train[1].max()) + 1)])
    return float((torch.cdist(unknown, means).argmin(1) == test[1]).double().mean())
