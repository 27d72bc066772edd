"""Answers to the sheet on looking inside a trained ResNet, as people write them."""

# ruff: noqa: ARG001, ARG005, E501 - wrong answers are wrong in this too, and an edit is one line

import copy
from collections import OrderedDict
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import numpy as np
import torch
from bank import right, wrong, wrong_edits
from harms import add_harms
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, measure

# capture


@right(checks.capture)
def the_librarys_capture(model, names, inputs):
    return measure.capture(model, names, inputs)


@right(checks.capture)
def with_partial(model, names, inputs):
    kept = {}

    def keep(name, module, args, output):
        kept[name] = output.detach().clone()

    handles = []
    try:
        for name in names:
            module = model.get_submodule(name)
            handles.append(module.register_forward_hook(partial(keep, name)))
        with torch.no_grad():
            model(inputs)
    finally:
        [handle.remove() for handle in handles]
    return kept


@right(checks.capture)
def on_a_deep_copy(model, names, inputs):
    copied, out = copy.deepcopy(model), {}
    modules = dict(copied.named_modules())
    for name in names:
        modules[name].register_forward_hook(
            lambda m, i, o, name=name: out.update({name: torch.clone(o)})
        )
    copied(inputs)
    return out


@right(checks.capture)
def with_an_exit_stack(model, names, inputs):
    found = OrderedDict()
    known = dict(model.named_modules())
    with ExitStack() as stack, torch.inference_mode():
        for name in names:
            handle = known[name].register_forward_hook(
                lambda *a, key=name: found.__setitem__(key, a[-1] + 0)
            )
            stack.callback(handle.remove)
        model(inputs)
    return found


@right(checks.capture)
def a_run_for_each_name(model, names, inputs):
    def once(name):
        box = []
        with model.get_submodule(name).register_forward_hook(lambda m, i, o: box.append(o.clone())):
            model(inputs)
        return box[-1]

    return {name: once(name) for name in names}


@right(checks.capture)
def one_hook_for_all_modules(model, names, inputs):
    wanted = {}
    for name in names:
        wanted[model.get_submodule(name)] = name
    out = {}

    def hook(module, args, output):
        if module in wanted:
            out[wanted[module]] = output.data.clone()

    handle = nn.modules.module.register_module_forward_hook(hook)
    try:
        model(inputs)
        return {name: out[name] for name in names}
    finally:
        handle.remove()


class _Recorder:
    def __init__(self, model, names):
        self.outputs = {}
        self.places = [(n, model.get_submodule(n)) for n in names]

    @contextmanager
    def on(self):
        handles = [m.register_forward_hook(self.hook(n)) for n, m in self.places]
        try:
            yield
        finally:
            for handle in reversed(handles):
                handle.remove()

    def hook(self, name):
        return lambda _m, _i, output: self.outputs.update(
            {name: torch.empty_like(output).copy_(output)}
        )


@right(checks.capture)
def with_a_class(model, names, inputs):
    recorder = _Recorder(model, names)
    with recorder.on(), torch.no_grad():
        model.eval()(inputs)
    return recorder.outputs


@right(checks.capture)
def forward_replaced_and_put_back(model, names, inputs):
    modules, kept = {n: model.get_submodule(n) for n in names}, {}

    def wrapped(name, old):
        def forward(x):
            y = old(x)
            kept[name] = y.clone()
            return y

        return forward

    try:
        for name, module in modules.items():
            module.forward = wrapped(name, module.forward)
        model(inputs)
    finally:
        for module in modules.values():
            module.__dict__.pop("forward", None)
    return kept


@right(checks.capture)
def another_class_for_a_moment(model, names, inputs):
    found, modules = {}, {name: model.get_submodule(name) for name in names}
    kinds = {name: type(module) for name, module in modules.items()}

    def listening(name, kind):
        def forward(self, *args):
            out = kind.forward(self, *args)
            found[name] = out * 1
            return out

        return type("Listening", (kind,), {"forward": forward})

    try:
        for name, module in modules.items():
            module.__class__ = listening(name, kinds[name])
        model(inputs)
    finally:
        for name, module in modules.items():
            module.__class__ = kinds[name]
    return found


wrong_edits(
    checks.capture,
    with_partial,
    r"""
    not-copied
        output.detach().clone() => output.detach()

        kept[name] = output.detach().clone() => return kept.setdefault(name, output.clone())

    hooks-not-as-before
        [handle.remove() for handle in handles] => pass

        [handle.remove() for handle in handles] => [m._forward_hooks.clear() for m in model.modules()]

    hooks-left-after-error
        try: => if True:
        finally: => if True:

        handles = [] => handles = [model.get_submodule(n).register_forward_hook(partial(keep, n)) for n in names]
        for name in names: => for name in ():

    last-name-only
        partial(keep, name) => lambda *a: keep(name, *a)

    inputs-instead-of-outputs
        module, args, output => module, output, args
        output.detach() => output[0].detach()

        register_forward_hook => register_forward_pre_hook
        args, output => args
        output.detach() => args[0].detach()

    outermost-modules-only
        model.get_submodule(name) => getattr(model, name)

        model.get_submodule(name) => dict(model.named_children())[name]

    more-than-asked
        for name in names: => for name, _ in model.named_modules():

        for name in names: => for name in [n for n, _ in model.named_modules() if any(part in n for part in names)]:

    unknown-name-ignored
        for name in names: => for name in [n for n, _ in model.named_modules() if n in names]:

    error-swallowed
        finally: => except RuntimeError as error:\n    print("did not work:", error)\nfinally:

    run-by-itself
        model(inputs) => return {name: model.get_submodule(name)(inputs) for name in names}

    children-in-a-row
        model(inputs) => nn.Sequential(*model.children())(inputs)

    wrong-type
        return kept => return list(kept.values())

        return kept => return {name: output.numpy() for name, output in kept.items()}

    returns-none
        return kept => pass

    nothing-captured
        model(inputs) => pass

    other-keys
        kept[name] => kept[module]

    one-image-only
        output.detach().clone() => output.detach().clone()[0]

    mode-changed
        return kept => model.train()\nreturn kept

    order-of-running
        return kept => return dict(zip(names, kept.values(), strict=True))
    """,
)
wrong_edits(
    checks.capture,
    one_hook_for_all_modules,
    """
    hooks-not-as-before
        handle.remove() => pass
    """,
)
add_harms(checks.capture, with_partial)


# grad_cam


@right(checks.grad_cam)
def step_by_step(model, layer, image, class_index):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    logits = model(image.unsqueeze(0))
    handle.remove()
    maps = kept[0]
    score = logits[0, class_index]
    (gradient,) = torch.autograd.grad(score, maps)
    weights = gradient.mean((2, 3), keepdim=True)
    cam = (weights * maps).sum(1, keepdim=True).relu()
    cam = F.interpolate(cam, image.shape[1:], mode="bilinear")[0, 0].detach()
    return cam / cam.max() if cam.max() > 0 else cam


wrong_edits(
    checks.grad_cam,
    step_by_step,
    r"""
    gradient-of-the-probability
        logits[0, class_index] => F.softmax(logits, 1)[0, class_index]

    gradient-of-the-loss
        logits[0, class_index] => F.cross_entropy(logits, torch.tensor([class_index]))

    best-class
        logits[0, class_index] => logits[0, logits.argmax()]

    no-relu
        keepdim=True).relu() => keepdim=True)

    min-max
        cam / cam.max() if cam.max() > 0 else cam => (cam - cam.min()) / (cam.max() - cam.min() + 1e-8)

    divided-by-zero
        cam / cam.max() if cam.max() > 0 else cam => cam / cam.max()

    nearest
        image.shape[1:], mode="bilinear" => image.shape[1:]

    mean-over-channels
        (2, 3) => 1

    no-mean
        gradient.mean((2, 3), keepdim=True) => gradient

    activation-instead-of-gradient
        gradient.mean((2, 3), keepdim=True) => F.adaptive_avg_pool2d(maps, 1)

    maps-left-out
        weights * maps => gradient

    dimension-left
        [0, 0].detach() => [0].detach()

    not-enlarged
        F.interpolate(cam, image.shape[1:], mode="bilinear")[0, 0] => cam[0, 0]

    fixed-size
        image.shape[1:] => (224, 224)

    sides-swapped
        image.shape[1:] => (image.shape[2], image.shape[1])

    gradients-left
        lambda m, i, o: kept.append(o) => lambda m, i, o: o.retain_grad() or kept.append(o)
        (gradient,) = torch.autograd.grad(score, maps) => score.backward()\ngradient = maps.grad

    grad-not-kept
        (gradient,) = torch.autograd.grad(score, maps) => model.zero_grad()\nscore.backward()\ngradient = maps.grad

    hooks-not-as-before
        handle.remove() => pass

    cut-from-the-graph
        kept.append(o) => kept.append(o.clone())

    no-graph
        logits = model(image.unsqueeze(0)) => with torch.no_grad():\n    logits = model(image.unsqueeze(0))

    batch-dimension-missing
        image.unsqueeze(0) => image

    outermost-modules-only
        model.get_submodule(layer) => getattr(model, layer)

    weights-of-the-head
        gradient.mean((2, 3), keepdim=True) => model.fc.weight[class_index].view(1, -1, 1, 1)

    normalised-otherwise
        return cam / cam.max() => return 255 * cam / cam.max()

    mode-changed
        handle.remove() => handle.remove()\nmodel.train()

    wrong-type
        [0, 0].detach() => [0, 0].detach().numpy()

    not-normalised
        cam / cam.max() if cam.max() > 0 else cam => cam.clamp(0, 1)
    """,
)
add_harms(checks.grad_cam, step_by_step, what_can_be_trained="frozen")


@right(checks.grad_cam)
def the_librarys_grad_cam(model, layer, image, class_index):
    return measure.grad_cam(model, layer, image, class_index)


@right(checks.grad_cam)
def with_retain_grad(model, layer, image, class_index):
    kept = {}

    def hook(module, args, output):
        output.retain_grad()
        kept["maps"] = output

    handle = dict(model.named_modules())[layer].register_forward_hook(hook)
    try:
        model.eval()
        model(image.unsqueeze(0))[0][class_index].backward()
    finally:
        handle.remove()
    maps, gradient = kept["maps"][0].detach(), kept["maps"].grad[0]
    model.zero_grad()
    weights = gradient.mean(dim=(1, 2))
    cam = torch.einsum("c,chw->hw", weights, maps).clamp(min=0)
    cam = nn.Upsample(size=tuple(image.shape[-2:]), mode="bilinear")(cam[None, None]).squeeze()
    return cam / (cam.max() + 1e-8)


@right(checks.grad_cam)
def with_a_backward_hook(model, layer, image, class_index):
    maps, gradients = [], []
    module = model.get_submodule(layer)
    with ExitStack() as stack:
        one = module.register_forward_hook(lambda m, i, o: maps.append(o.detach()))
        two = module.register_full_backward_hook(lambda m, gi, go: gradients.append(go[0].detach()))
        stack.callback(one.remove)
        stack.callback(two.remove)
        logits = model(image[None])
        chosen = torch.zeros_like(logits)
        chosen[0, class_index] = 1
        logits.backward(gradient=chosen)
    for p in model.parameters():
        p.grad = None
    weights = gradients[0].sum((2, 3), keepdim=True)  # the sum: the maximum takes the factor out
    cam = torch.relu((maps[0] * weights).mean(1, keepdim=True))
    cam = F.interpolate(cam, size=image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    top = cam.max()
    if top == 0:
        return cam
    return cam.div(top)


@right(checks.grad_cam)
def with_a_tensor_hook(model, layer, image, class_index):
    seen = {}

    def forward_hook(module, args, output):
        seen["a"] = output
        output.register_hook(lambda g: seen.__setitem__("g", g))

    h = model.get_submodule(layer).register_forward_hook(forward_hook)
    out = model(image.view(1, *image.shape))
    h.remove()
    torch.autograd.backward(out[:, class_index].sum(), inputs=[seen["a"]])
    cam = torch.zeros(seen["a"].shape[2:])
    for k in range(seen["a"].shape[1]):
        cam += seen["g"][0, k].mean().item() * seen["a"][0, k].detach()
    cam = torch.maximum(cam, torch.zeros(()))
    cam = torch.nn.functional.interpolate(
        cam.view(1, 1, *cam.shape), image.shape[1:], mode="bilinear"
    )
    return torch.nan_to_num(cam / cam.max())[0, 0]


@right(checks.grad_cam)
def from_the_layer_on(model, layer, image, class_index):
    """The maps become a leaf of their own, as if the network began there."""
    leaf = []

    def cut(module, args, output):
        leaf.append(output.detach().requires_grad_())
        return leaf[0]

    with model.get_submodule(layer).register_forward_hook(cut):
        score = model(torch.stack([image]))[0, class_index]
    g = torch.autograd.grad(score, leaf[0])[0]
    a = leaf[0].detach().flatten(2)  # (1, C, h*w)
    cam = (g.flatten(2).mean(-1)[:, None] @ a).view(1, 1, *g.shape[2:]).relu_()
    cam = F.upsample(cam, size=list(image.shape[1:]), mode="bilinear")[0, 0]
    return cam / cam.amax().clamp(min=1e-12)


@right(checks.grad_cam)
def on_a_copy_with_numpy(model, layer, image, class_index):
    model = copy.deepcopy(model)
    kept = []
    model.get_submodule(layer).register_forward_hook(lambda *a: kept.append(a[2]))
    score = model(image[np.newaxis])[0, class_index]
    (grad,) = torch.autograd.grad(outputs=score, inputs=kept)
    maps, grad = kept[0][0].detach().numpy(), grad[0].numpy()
    small = np.maximum(np.tensordot(grad.mean(axis=(1, 2)), maps, axes=1), 0)
    large = F.interpolate(torch.from_numpy(small)[None, None], image.shape[1:], mode="bilinear")
    return (large / large.max() if large.any() else large).squeeze(0).squeeze(0)


@right(checks.grad_cam)
def by_adding_nothing_to_the_maps(model, layer, image, class_index):
    module, kept = model.get_submodule(layer), []
    with module.register_forward_hook(lambda m, i, o: kept.append(o.detach())), torch.no_grad():
        model(image[None])
    (maps,) = kept
    nothing = torch.zeros_like(maps, requires_grad=True)
    with module.register_forward_hook(lambda m, i, o: o + nothing):
        logit = model(image[None])[0][class_index]
    (gradient,) = torch.autograd.grad(logit, nothing)
    heat = torch.einsum("nchw,nc->nhw", maps, gradient.sum((-1, -2))).clamp_min(0)[:, None]
    heat = nn.Upsample(size=tuple(image.shape[1:]), mode="bilinear")(heat).squeeze()
    return heat / heat.amax().clamp_min(torch.finfo(heat.dtype).tiny)


# block_importance


def _accuracy_of(model, batches):
    right = total = 0
    with torch.no_grad():
        for x, y in batches:
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return right / total


def _every_name(model):
    kinds = blocks.BasicBlock, blocks.Bottleneck
    return [name for name, module in model.named_modules() if isinstance(module, kinds)]


def _names(model):
    return [
        name
        for name in _every_name(model)
        if isinstance(model.get_submodule(name).downsample, nn.Identity)
    ]


@right(checks.block_importance)
def with_the_librarys_lesions(model, batches):
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    found = measure.lesions(model, images, labels)
    return {n: found.intact_accuracy - a for n, a in found.accuracies.items()}


@right(checks.block_importance)
def a_copy_for_each_block(model, batches):
    whole = _accuracy_of(copy.deepcopy(model).eval(), batches)
    lost = {}
    for name in _names(model):
        without = copy.deepcopy(model).eval()
        parent, _, child = name.rpartition(".")
        setattr(without.get_submodule(parent), child, nn.Identity())
        lost[name] = whole - _accuracy_of(without, batches)
    return lost


@right(checks.block_importance)
def in_place_with_finally(model, batches):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    lost = {}
    try:
        whole = _accuracy_of(model, batches)
        for name in _names(model):
            stage, place = name.split(".")
            row, place = getattr(model, stage), int(place)
            block = row[place]
            row[place] = nn.Sequential()
            try:
                lost[name] = whole - _accuracy_of(model, batches)
            finally:
                row[place] = block
    finally:
        for module, mode in modes:
            module.training = mode
    return lost


@right(checks.block_importance)
def by_a_hook_that_gives_back_the_input(model, batches):
    copied = copy.deepcopy(model).eval()
    whole = _accuracy_of(copied, batches)

    def without(name):
        skip = copied.get_submodule(name).register_forward_hook(lambda m, args, out: args[0])
        with skip:
            return _accuracy_of(copied, batches)

    return {name: whole - without(name) for name in _names(copied)}


@right(checks.block_importance)
def by_the_shapes_that_pass(model, batches):
    model = copy.deepcopy(model)
    model.eval()
    keeps = {}

    def look(name):
        return lambda m, args, out: keeps.__setitem__(name, args[0].shape == out.shape)

    rows = [(n, s) for n, s in model.named_children() if isinstance(s, nn.Sequential)]
    handles = [
        block.register_forward_hook(look(f"{n}.{i}")) for n, s in rows for i, block in enumerate(s)
    ]
    model(batches[0][0][:1])
    for handle in handles:
        handle.remove()
    all_labels = torch.cat([y for _, y in batches])

    def predict():
        with torch.inference_mode():
            return torch.cat([model(x) for x, _ in batches]).argmax(-1)

    base = (predict() == all_labels).double().mean()
    result = {}
    for n, s in rows:
        for i in range(len(s)):
            if keeps[f"{n}.{i}"]:
                saved, s[i] = s[i], nn.Identity()
                result[f"{n}.{i}"] = float(base - (predict() == all_labels).double().mean())
                s[i] = saved
    return result


@right(checks.block_importance)
def all_networks_at_once_for_each_batch(model, batches):
    whole = copy.deepcopy(model).eval()
    networks = {name: measure.without_block(whole, name) for name in _names(whole)}
    hits = dict.fromkeys([None, *networks], 0)
    total = 0
    for x, y in batches:
        total += y.shape[0]
        for name, network in ((None, whole), *networks.items()):
            hits[name] += int(torch.eq(network(x).max(dim=1).indices, y).count_nonzero())
    return {name: (hits[None] - hits[name]) / total for name in networks}


@right(checks.block_importance)
def if_the_network_still_runs(model, batches):
    """Which blocks can be taken out is found by trying."""
    lost, copied = {}, copy.deepcopy(model).eval()
    whole = _accuracy_of(copied, batches)
    for stage in [n for n, _ in copied.named_children() if n.startswith("layer")]:
        for i, block in enumerate(list(getattr(copied, stage))):
            getattr(copied, stage)[i] = nn.Identity()
            with suppress(RuntimeError):
                lost[f"{stage}.{i}"] = whole - _accuracy_of(copied, batches)
            getattr(copied, stage)[i] = block
    return lost


@wrong(checks.block_importance, "blocks-stay-out")
def copied_shallowly(model, batches):
    shallow, found = copy.copy(model), {}
    modes = {m: m.training for m in model.modules()}
    shallow.eval()
    whole = _accuracy_of(shallow, batches)
    for name in _names(shallow):
        stage, place = name.split(".")
        parts = list(getattr(shallow, stage))
        parts[int(place)] = nn.Identity()
        setattr(shallow, stage, nn.Sequential(*parts))
        found[name] = whole - _accuracy_of(shallow, batches)
        parts[int(place)] = copy.deepcopy(model.get_submodule(name))
    for m, mode in modes.items():
        m.training = mode
    return found


@right(checks.block_importance)
def forward_of_a_copys_block(model, batches):
    copied, lost = copy.deepcopy(model).eval(), {}
    whole = _accuracy_of(copied, batches)
    for name in _names(copied):
        block = copied.get_submodule(name)
        block.forward = lambda x: x
        lost[name] = whole - _accuracy_of(copied, batches)
        del block.forward
    return lost


@right(checks.block_importance)
def on_a_copy(model, batches):
    def accuracy(network):
        right = total = 0
        with torch.no_grad():
            for x, y in batches:
                right += (network(x).argmax(1) == y).sum().item()
                total += len(y)
        return right / total

    copied, lost = copy.deepcopy(model).eval(), {}
    whole = accuracy(copied)
    for name in _names(copied):
        stage, place = name.split(".")
        row, place = getattr(copied, stage), int(place)
        block = row[place]
        row[place] = nn.Identity()
        lost[name] = whole - accuracy(copied)
        row[place] = block
    return lost


wrong_edits(
    checks.block_importance,
    on_a_copy,
    r"""
    sign
        whole - accuracy(copied) => accuracy(copied) - whole

    accuracy-without
        whole - accuracy(copied) => accuracy(copied)

    percent
        whole - accuracy(copied) => (whole - accuracy(copied)) * 100

    mean-of-batch-means
        sum().item() => float().mean().item()
        total += len(y) => total += 1

    loss-instead-of-accuracy
        (network(x).argmax(1) == y).sum() => F.cross_entropy(network(x), y)
        total += len(y) => total += 1
        whole - accuracy(copied) => accuracy(copied) - whole

    tensors
        sum().item() => float().sum()

    first-blocks-left-out
        in _names(copied): => in [n for n in _names(copied) if n[-1] != "0"]:

    every-block
        in _names(copied): => in _every_name(copied):

    shape-changing-blocks-too
        return lost => return {name: lost.get(name, 0.0) for name in _every_name(model)}

    other-names
        return lost => return dict(enumerate(lost.values()))

        return lost => return {name.replace(".", "_"): value for name, value in lost.items()}

    wrong-type
        return lost => return list(lost.items())

    blocks-stay-out
        row[place] = block => pass

    mode-as-it-comes
        copy.deepcopy(model).eval() => model

        whole = accuracy(copied) => pass
        copied, lost = => whole = accuracy(model)\ncopied, lost =

    mode-changed
        copy.deepcopy(model).eval() => model.eval()

    one-mode-for-all
        copied, lost = copy.deepcopy(model).eval(), {} => was = model.training\ncopied, lost = model.eval(), {}
        return lost => model.train(was)\nreturn lost

    not-put-back-after-error
        copied, lost = copy.deepcopy(model) => was = {m: m.training for m in model.modules()}\ncopied, lost = model
        return lost => [setattr(m, "training", mode) for m, mode in was.items()]\nreturn lost

    not-put-back
        copied, lost = copy.deepcopy(model) => was = {m: m.training for m in model.modules()}\ncopied, lost = model
        return lost => [setattr(m, "training", mode) for m, mode in was.items()]\nreturn lost
        row[place] = block => row[place] = copy.deepcopy(block)

    block-still-there
        row[place] = nn.Identity() => setattr(copied, name.replace(".", "_"), nn.Identity())

    bias-left
        row[place] = nn.Identity() => saved = copy.deepcopy(block.state_dict())\nnn.init.zeros_(getattr(block, "bn3", block.bn2).weight)
        row[place] = block => block.load_state_dict(saved)

        row[place] = nn.Identity() => saved = copy.deepcopy(block.state_dict())\nnn.init.zeros_(getattr(block, "conv3", block.conv2).weight)
        row[place] = block => block.load_state_dict(saved)

    stages-instead-of-blocks
        lost[name] = => lost[stage] = lost.get(stage, 0) +

    batches-alike
        right / total => right / (len(batches) * len(batches[0][0]))

    another-number
        row[place] = nn.Identity() => del row[place]
        row[place] = block => row.append(block)

    blocks-missing
        in _names(copied): => in [n for n in _names(copied) if int(n[-1]) == len(copied.get_submodule(n[:6])) - 1]:
    """,
)
wrong_edits(
    checks.block_importance,
    by_a_hook_that_gives_back_the_input,
    """
    zeros-instead-of-identity
        args[0] => torch.zeros_like(out)
    """,
)
add_harms(
    checks.block_importance,
    on_a_copy,
    a_module="not-put-back",
    a_mode="one-mode-for-all",
)
