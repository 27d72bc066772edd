"""Answers to the sheet on transfer learning, as people write them."""

# ruff: noqa: ARG001, ARG002, ARG005, E501 - wrong answers are wrong in this too, and an edit is one line

import copy
import types
from itertools import chain

import numpy as np
import torch
from bank import right, wrong, wrong_edits
from harms import add_harms
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from resnet_edu import checks, transfer

# replace_head


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


@right(checks.replace_head)
def deleted_and_lazy(model, num_classes):
    del model.fc
    model.fc = nn.LazyLinear(num_classes)


@right(checks.replace_head)
def in_one_line(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)


wrong_edits(
    checks.replace_head,
    in_one_line,
    r"""
    does-not-fit
        model.fc.in_features => 2048

        model.fc.in_features => model.fc.out_features

    another-name
        model.fc = => model.classifier =

    number-only
        model.fc = nn.Linear(model.fc.in_features, num_classes) => model.fc.out_features = num_classes

    head-unchanged
        model.fc = => fc =

        model.fc = => model = copy.deepcopy(model)\nmodel.fc =

    old-head-kept
        model.fc = => if num_classes != model.fc.out_features:\n    model.fc =

    on-top-of-the-old-head
        nn.Linear(model.fc.in_features, num_classes) => nn.Sequential(model.fc, nn.Linear(model.fc.out_features, num_classes))

    softmax-inside
        nn.Linear(model.fc.in_features, num_classes) => nn.Sequential(nn.Linear(model.fc.in_features, num_classes), nn.Softmax(1))

    not-one-linear-layer
        nn.Linear(model.fc.in_features, num_classes) => nn.Sequential(nn.LazyLinear(9), nn.ReLU(), nn.Linear(9, num_classes))

        nn.Linear(model.fc.in_features, num_classes) => nn.Sequential(nn.Dropout(), nn.Linear(model.fc.in_features, num_classes))

    arguments-swapped
        model.fc.in_features, num_classes => num_classes, model.fc.in_features

    no-bias
        in_features, num_classes => in_features, num_classes, False

    backbone-frozen
        model.fc = => model.requires_grad_(False)\nmodel.fc =

    head-frozen
        in_features, num_classes) => in_features, num_classes)\nmodel.requires_grad_(False)

    old-rows-kept
        model.fc = => old, model.fc = model.fc,
        in_features, num_classes) => in_features, num_classes)\nmodel.fc.weight.data[:3] = old.weight.data[:3]

    not-a-module
        model.fc = nn.Linear(model.fc.in_features, num_classes) => del model.fc\nmodel.fc = lambda x: nn.Linear(x.shape[1], num_classes)(x)

    backbone-changed
        in_features, num_classes) => in_features, num_classes)\nfor m in model.modules():\n    getattr(m, "reset_parameters", int)()

    not-random
        in_features, num_classes) => in_features, num_classes)\nfor parameter in model.fc.parameters():\n    nn.init.zeros_(parameter)

    old-layer-changed
        model.fc = nn.Linear(model.fc.in_features, num_classes) => model.fc.weight = nn.Parameter(torch.randn(num_classes, model.fc.in_features))
    """,
)
add_harms(
    checks.replace_head,
    in_one_line,
    a_module="backbone-changed",
    a_weight="backbone-changed",
    a_statistic="backbone-changed",
    a_parameter="backbone-changed",
    what_can_be_trained="backbone-frozen",
)


# freeze

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
        parts = (model.conv1, model.bn1) if name == "stem" else (getattr(model, name),)
        nn.ModuleList(parts).requires_grad_(False)
        if name == up_to:
            found = True
            break
    if not found:
        raise ValueError(up_to)


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


@right(checks.freeze)
def by_the_first_part_of_the_name(model, up_to):
    if up_to not in STAGES:
        raise ValueError(up_to)
    frozen = STAGES[: STAGES.index(up_to) + 1]
    for name, p in model.named_parameters():
        part = name.split(".")[0]
        if ("stem" if part in ("conv1", "bn1") else part) in frozen:
            p.requires_grad = False


wrong_edits(
    checks.freeze,
    by_the_first_part_of_the_name,
    r"""
    misspelt
        p.requires_grad => p.require_grad

    attribute-of-a-module
        p.requires_grad => model.get_submodule(part).requires_grad

    named-stage-left-out
        STAGES.index(up_to) + 1 => STAGES.index(up_to)

    stem-left-out
        STAGES[: => STAGES[1 :

    first-batch-norm-left-out
        ("conv1", "bn1") => ("conv1",)

    named-stage-only
        STAGES[: STAGES.index(up_to) + 1] => [up_to]

    stem-refused
        not in STAGES: => not in STAGES[1:]:

    everything-frozen
        ("stem" if part in ("conv1", "bn1") else part) in frozen => True

    all-but-the-head
        ("stem" if part in ("conv1", "bn1") else part) in frozen => part != "fc"

    batch-norms-left-out
        in frozen: => in frozen and p.dim() == 4:

    other-error
        raise ValueError(up_to) => getattr(model, up_to)

        raise ValueError(up_to) => raise KeyError(up_to)

    the-wrong-way-round
        STAGES[: STAGES.index(up_to) + 1] => [*STAGES[STAGES.index(up_to) + 1 :], "fc"]

    nothing-frozen
        p.requires_grad = False => requires_grad = False

        p.requires_grad = False => p = p.detach()

        p.requires_grad = False => p.grad = None

    one-stage-too-many
        STAGES[: STAGES.index(up_to) + 1] => [*STAGES, "fc"][: STAGES.index(up_to) + 2]

    alphabet
        ("stem" if part in ("conv1", "bn1") else part) in frozen => part <= up_to

    unknown-name-ignored
        not in STAGES: => not in [*STAGES, "fc"]:
        STAGES[: STAGES.index(up_to) + 1] => [*STAGES, "fc"][: [*STAGES, "fc"].index(up_to) + 1]

    numbers-changed
        p.requires_grad = False => p.requires_grad = False\np.data.mul_(2)

    new-parameters
        p.requires_grad = False => module, _, kind = name.rpartition(".")\nsetattr(model.get_submodule(module), kind, nn.Parameter(p.data, False))
    """,
)


# train_mode


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


@wrong(checks.train_mode, "class-changed")
def for_all_batch_norms_there_are(model):
    model.train()

    def train(self, mode=True):
        self.training = mode and self.weight.requires_grad
        return self

    nn.BatchNorm2d.train = train
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


@right(checks.train_mode)
def a_method_that_does_nothing(model):
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad:
            m.eval()
            m.train = types.MethodType(lambda self, mode=True: self, m)


wrong_edits(
    checks.train_mode,
    a_method_that_does_nothing,
    r"""
    undone-by-model-train
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

        isinstance(m, nn.BatchNorm2d) => hasattr(m, "running_mean")
        m.eval() => m.training = False
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

    all-batch-norms
        nn.BatchNorm2d) and not m.weight.requires_grad => nn.BatchNorm2d)
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

        nn.BatchNorm2d) and not m.weight.requires_grad => nn.BatchNorm2d)
        types.MethodType(lambda self, mode=True: self, m) => lambda mode=True: None

    nothing-in-eval-mode
        model.train() => model.train()\nreturn

        m.eval() => m.eval()\nmodel.train()
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

        m.eval() => m.train_mode = False
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

    outermost-modules-only
        model.modules() => model.children()

    dropout-in-eval-mode
        model.modules() => [m for m in model.children() if not any(p.requires_grad for p in m.parameters())]
        isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad => True

        model.modules() => (model.bn1, model.layer1, model.layer2, model.layer3, model.layer4)
        isinstance(m, nn.BatchNorm2d) and not m.weight.requires_grad => not next(m.parameters()).requires_grad
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

    statistics-stopped
        m.eval() => m.momentum = 0
        m.train = types.MethodType(lambda self, mode=True: self, m) => pass

    train-without-mode
        types.MethodType(lambda self, mode=True: self, m) => lambda: None

    trainable-in-eval-mode
        nn.BatchNorm2d) and not m.weight.requires_grad => nn.BatchNorm2d)
        m.eval() => m.eval().requires_grad_(False)

    everything-in-eval-mode
        model.train() => model.train()\nmodel.eval()\nreturn

    further-tensors
        m.eval() => m.eval()\nm.register_buffer("frozen", torch.ones(1))

    weights-changed
        m.eval() => m.eval()\nm.weight.data.mul_(2)

    freezing-changed
        model.train() => model.train()\nmodel.fc.requires_grad_(False)
    """,
)
wrong_edits(
    checks.train_mode,
    the_models_own_train,
    """
    train-calls-itself
        nn.Module.train(self, mode) => self.train(mode)
        model.train() => pass

    train-returns-nothing
        return self => return None

    no-way-to-eval-mode
        nn.Module.train(self, mode) => nn.Module.train(self)
    """,
)


# parameter_groups


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


@right(checks.parameter_groups)
def in_two_lists(model, head_lr, backbone_lr):
    head, rest = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            (head if name.startswith("fc.") else rest).append(p)
    return [{"params": rest, "lr": backbone_lr}, {"params": head, "lr": head_lr}]


wrong_edits(
    checks.parameter_groups,
    in_two_lists,
    """
    rates-swapped
        head if name.startswith("fc.") else rest => rest if name.startswith("fc.") else head

    in-two-groups
        "params": rest => "params": model.parameters()
        "params": head => "params": model.fc.parameters()

    frozen-too
        p.requires_grad => True

        "params": head => "params": model.fc.parameters()

    fc-anywhere-in-the-name
        name.startswith("fc.") => "fc" in name

    compared-by-value
        if p.requires_grad: => if p.requires_grad and p not in list(model.fc.parameters()):

    no-lr
        "lr": backbone_lr => "learning_rate": backbone_lr

    no-params
        "params": head => "parameters": head

    stem-left-out
        if p.requires_grad: => if p.requires_grad and not name.startswith(("conv1", "bn1")):

    head-only
        {"params": rest, "lr": backbone_lr}, {"params" => {"params"

    one-rate
        "lr": backbone_lr => "lr": head_lr

    head-weight-only
        name.startswith("fc.") => name == "fc.weight"

    optimizer-instead-of-groups
        return [ => return torch.optim.SGD([
        head_lr}] => head_lr}], 0.1)

    wrong-type
        return [{"params": rest, "lr": backbone_lr}, {"params": head, => return {"params": rest + head,
        head_lr}] => head_lr}

        return [{"params": rest, "lr": backbone_lr}, {"params": head, "lr": head_lr}] => return rest + head

    not-parameters
        append(p) => append(name)

    copies
        append(p) => append(p.data)

    returns-none
        return [ => print([
        head_lr}] => head_lr}])
    """,
)
add_harms(checks.parameter_groups, in_two_lists, what_can_be_trained="freezing-changed")


# linear_probe


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


@right(checks.linear_probe)
def ridge_on_a_copy(model, train, test):
    from sklearn.linear_model import RidgeClassifier

    body = copy.deepcopy(model).eval()
    body.fc = nn.Identity()
    with torch.no_grad():
        known, unknown = body(train[0]).numpy(), body(test[0]).numpy()
    classifier = RidgeClassifier().fit(known, train[1].numpy())
    return classifier.score(unknown, test[1].numpy())


wrong_edits(
    checks.linear_probe,
    ridge_on_a_copy,
    r"""
    train-mode
        copy.deepcopy(model).eval() => copy.deepcopy(model)

    left-in-eval-mode
        copy.deepcopy(model).eval() => copy.deepcopy(model.eval())

    left-in-train-mode
        classifier = => model.train()\nclassifier =

    head-left-off
        body = copy.deepcopy(model).eval() => was = model.training\nbody = model.eval()
        classifier = => model.train(was)\nclassifier =

    model-not-used
        body(train[0]).numpy(), body(test[0]).numpy() => train[0].flatten(1).numpy(), test[0].flatten(1).numpy()

    same-answer-always
        body.fc = nn.Identity() => pass

    accuracy-on-train
        score(unknown, test[1].numpy()) => score(known, train[1].numpy())

    fitted-on-test
        fit(known, train[1].numpy()) => fit(unknown, test[1].numpy())

        fit(known, train[1].numpy()) => fit(np.concatenate([known, unknown]), np.concatenate([train[1], test[1]]))

    percent
        return classifier => return 100 * classifier

    error-rate
        return classifier => return 1 - classifier

    count
        return classifier => return len(test[1]) * classifier

    gradients-recorded
        with torch.no_grad(): => if True:

    wrong-type
        return classifier.score(unknown, test[1].numpy()) => return torch.tensor(classifier.score(unknown, test[1].numpy()))
    """,
)
wrong_edits(
    checks.linear_probe,
    least_squares_by_a_hook,
    """
    hooks-not-as-before
        handle.remove() => pass
    """,
)
add_harms(
    checks.linear_probe,
    ridge_on_a_copy,
    a_module="head-left-off",
    what_can_be_trained="freezing-changed",
)
