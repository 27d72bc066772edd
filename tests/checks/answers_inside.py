"""Answers to the exercise sheet on the inside of a ResNet, as people write them."""

# ruff: noqa: ARG001, ARG005 - wrong answers are wrong in this too

import copy
from collections import OrderedDict
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import numpy as np
import torch
from bank import right, wrong
from torch import nn
from torch.nn import functional as F

from resnet_edu import blocks, checks, measure

# 6.1


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


@wrong(checks.capture, "not-copied")
def detached_only(model, names, inputs):
    kept, handles = {}, []
    for name in names:
        module = model.get_submodule(name)
        handles.append(
            module.register_forward_hook(lambda m, i, o, n=name: kept.update({n: o.detach()}))
        )
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for h in handles:
            h.remove()
    return kept


def _hooks(model, names, kept, make):
    return [model.get_submodule(n).register_forward_hook(make(n, kept)) for n in names]


def _keep(name, kept):
    def hook(module, args, output):
        kept[name] = output.clone()

    return hook


@wrong(checks.capture, "hooks-not-as-before")
def hooks_stay(model, names, inputs):
    kept = {}
    _hooks(model, names, kept, _keep)
    model(inputs)
    return kept


@wrong(checks.capture, "hooks-not-as-before")
def all_hooks_cleared(model, names, inputs):
    kept = {}
    try:
        _hooks(model, names, kept, _keep)
        model(inputs)
    finally:
        for module in model.modules():
            module._forward_hooks.clear()
    return kept


@wrong(checks.capture, "hooks-not-as-before")
def a_hook_for_all_modules_stays(model, names, inputs):
    modules, kept = {model.get_submodule(n): n for n in names}, {}

    def hook(module, args, output):
        if module in modules:
            kept[modules[module]] = output.clone()

    nn.modules.module.register_module_forward_hook(hook)
    model(inputs)
    return kept


@wrong(checks.capture, "hooks-left-after-error")
def removed_if_all_goes_well(model, names, inputs):
    kept = {}
    modules = [model.get_submodule(n) for n in names]
    handles = [m.register_forward_hook(_keep(n, kept)) for n, m in zip(names, modules, strict=True)]
    model(inputs)
    for handle in handles:
        handle.remove()
    return kept


@wrong(checks.capture, "hooks-left-after-error")
def registered_before_the_try(model, names, inputs):
    kept, handles = {}, []
    for name in names:
        handles.append(model.get_submodule(name).register_forward_hook(_keep(name, kept)))
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return kept


@wrong(checks.capture, "last-name-only")
def the_loops_variable(model, names, inputs):
    kept, handles = {}, []
    for name in names:

        def hook(module, args, output):
            kept[name] = output.clone()  # noqa: B023 - the mistake

        handles.append(model.get_submodule(name).register_forward_hook(hook))
    model(inputs)
    for handle in handles:
        handle.remove()
    return kept


@wrong(checks.capture, "inputs-instead-of-outputs")
def arguments_mixed_up(model, names, inputs):
    kept = {}

    def hook_for(name):
        def hook(module, output, inp):
            kept[name] = output[0].detach().clone()

        return hook

    handles = _hooks(model, names, kept, lambda n, _: hook_for(n))
    model(inputs)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "inputs-instead-of-outputs")
def pre_hooks(model, names, inputs):
    kept = {}
    handles = [
        model.get_submodule(n).register_forward_pre_hook(
            lambda m, args, n=n: kept.update({n: args[0].clone()})
        )
        for n in names
    ]
    model(inputs)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "outermost-modules-only")
def getattr_only(model, names, inputs):
    kept, handles = {}, []
    try:
        for name in names:
            handles.append(getattr(model, name).register_forward_hook(_keep(name, kept)))
        model(inputs)
    finally:
        [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "outermost-modules-only")
def children_by_name(model, names, inputs):
    kept, children = {}, dict(model.named_children())
    handles = [
        m.register_forward_hook(_keep(n, kept)) for n, m in ((n, children[n]) for n in names)
    ]
    model(inputs)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "more-than-asked")
def every_module(model, names, inputs):
    kept = {}
    handles = [m.register_forward_hook(_keep(n, kept)) for n, m in model.named_modules()]
    model(inputs)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "more-than-asked")
def names_that_contain(model, names, inputs):
    kept, handles = {}, []
    for n, m in model.named_modules():
        if any(name in n for name in names):
            handles.append(m.register_forward_hook(_keep(n, kept)))
    model(inputs)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "unknown-name-ignored")
def if_it_is_there(model, names, inputs):
    kept, handles = {}, []
    for n, m in model.named_modules():
        if n in names:
            handles.append(m.register_forward_hook(_keep(n, kept)))
    try:
        model(inputs)
    finally:
        [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "error-swallowed")
def errors_are_printed(model, names, inputs):
    kept, modules = {}, [model.get_submodule(n) for n in names]
    handles = [m.register_forward_hook(_keep(n, kept)) for n, m in zip(names, modules, strict=True)]
    try:
        model(inputs)
    except Exception as error:
        print("did not work:", error)
    for h in handles:
        h.remove()
    return kept


@wrong(checks.capture, "run-by-itself")
def each_module_alone(model, names, inputs):
    out = {}
    with torch.no_grad():
        for name in names:
            out[name] = model.get_submodule(name)(inputs)
    return out


@wrong(checks.capture, "children-in-a-row")
def layer_after_layer(model, names, inputs):
    out, x = {}, inputs
    for name, layer in model.named_children():
        x = layer(x)
        if name in names:
            out[name] = x.clone()
    return out


@wrong(checks.capture, "wrong-type")
def a_list(model, names, inputs):
    kept = []
    handles = [
        model.get_submodule(n).register_forward_hook(lambda m, i, o: kept.append(o.clone()))
        for n in names
    ]
    model(inputs)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "wrong-type")
def numpy_arrays(model, names, inputs):
    return {n: t.numpy().copy() for n, t in measure.capture(model, names, inputs).items()}


@wrong(checks.capture, "returns-none")
def nothing_returned(model, names, inputs):
    kept = {}
    handles = _hooks(model, names, kept, _keep)
    model(inputs)
    [h.remove() for h in handles]


@wrong(checks.capture, "nothing-captured")
def never_run(model, names, inputs):
    kept = {}
    handles = _hooks(model, names, kept, _keep)
    [h.remove() for h in handles]
    return kept


@wrong(checks.capture, "other-keys")
def modules_as_keys(model, names, inputs):
    return {model.get_submodule(n): t for n, t in measure.capture(model, names, inputs).items()}


@wrong(checks.capture, "one-image-only")
def squeezed_to_one(model, names, inputs):
    return {n: t[0] for n, t in measure.capture(model, names, inputs).items()}


@wrong(checks.capture, "mode-changed")
def left_in_train_mode(model, names, inputs):
    model.eval()
    kept, modules = {}, [model.get_submodule(n) for n in names]
    handles = [m.register_forward_hook(_keep(n, kept)) for n, m in zip(names, modules, strict=True)]
    try:
        model(inputs)
    finally:
        [h.remove() for h in handles]
        model.train()
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


@wrong(checks.capture, "order-of-running")
def a_list_then_zipped(model, names, inputs):
    kept = []
    modules = [model.get_submodule(name) for name in names]
    handles = [m.register_forward_hook(lambda m, i, o: kept.append(o.clone())) for m in modules]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return dict(zip(names, kept, strict=True))


@wrong(checks.capture, "not-copied")
def the_lambda_returns_the_copy(model, names, inputs):
    kept = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda m, i, o, name=name: kept.setdefault(name, o.clone())
        )
        for name in names
    ]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return kept


# 6.2


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


def _cam(model, layer, image, class_index, score=None):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    logits = model(image.unsqueeze(0))
    handle.remove()
    value = logits[0, class_index] if score is None else score(logits)
    return kept[0], torch.autograd.grad(value, kept[0])[0]


def _show(cam, image):
    """(1, 1, h, w) to (H, W)."""
    cam = F.interpolate(cam, image.shape[1:], mode="bilinear", align_corners=False)[0, 0].detach()
    return cam / cam.max() if cam.max() > 0 else cam


def _sum(weights, maps):
    return (weights * maps).sum(1, keepdim=True)


@wrong(checks.grad_cam, "gradient-of-the-probability")
def softmax_first(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index, lambda out: F.softmax(out, 1)[0, class_index])
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "gradient-of-the-loss")
def cross_entropy(model, layer, image, class_index):
    maps, g = _cam(
        model, layer, image, 0, lambda out: F.cross_entropy(out, torch.tensor([class_index]))
    )
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "best-class")
def what_the_network_says(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, 0, lambda out: out[0, out.argmax()])
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "no-relu")
def relu_forgotten(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    return _show(_sum(g.mean((2, 3), keepdim=True), maps), image)


@wrong(checks.grad_cam, "min-max")
def from_zero_to_one(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    cam = _sum(g.mean((2, 3), keepdim=True), maps).relu()
    cam = F.interpolate(cam, image.shape[1:], mode="bilinear")[0, 0].detach()
    return (cam - cam.min()) / (cam.max() - cam.min() + 1e-8)


@wrong(checks.grad_cam, "divided-by-zero")
def never_zero(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    cam = _sum(g.mean((2, 3), keepdim=True), maps).relu()
    cam = F.interpolate(cam, image.shape[1:], mode="bilinear")[0, 0].detach()
    return cam / cam.max()


@wrong(checks.grad_cam, "nearest")
def default_mode(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    cam = F.interpolate(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image.shape[1:])[0, 0]
    return cam / cam.max().clamp(min=1e-9)


@wrong(checks.grad_cam, "mean-over-channels")
def wrong_axes(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    return _show(_sum(g.mean(1, keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "no-mean")
def place_by_place(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    return _show(_sum(g, maps).relu(), image)


@wrong(checks.grad_cam, "activation-instead-of-gradient")
def weights_are_activations(model, layer, image, class_index):
    maps, _ = _cam(model, layer, image, class_index)
    return _show(_sum(F.adaptive_avg_pool2d(maps, 1), maps).relu(), image)


@wrong(checks.grad_cam, "maps-left-out")
def gradients_only(model, layer, image, class_index):
    _, g = _cam(model, layer, image, class_index)
    return _show(g.sum(1, keepdim=True).relu(), image)


@wrong(checks.grad_cam, "dimension-left")
def still_a_batch(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)[None]


@wrong(checks.grad_cam, "not-enlarged")
def small(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    cam = _sum(g.mean((2, 3), keepdim=True), maps).relu()[0, 0].detach()
    return cam / cam.max()


@wrong(checks.grad_cam, "fixed-size")
def always_224(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), torch.zeros(3, 224, 224))


@wrong(checks.grad_cam, "sides-swapped")
def width_first(model, layer, image, class_index):
    _, h, w = image.shape
    maps, g = _cam(model, layer, image, class_index)
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), torch.zeros(3, w, h))


@wrong(checks.grad_cam, "gradients-left")
def backward_writes(model, layer, image, class_index):
    kept = []

    def hook(module, args, output):
        output.retain_grad()
        kept.append(output)

    handle = model.get_submodule(layer).register_forward_hook(hook)
    model(image[None])[0, class_index].backward()
    handle.remove()
    return _show(_sum(kept[0].grad.mean((2, 3), keepdim=True), kept[0]).relu(), image)


@wrong(checks.grad_cam, "grad-not-kept")
def no_retain_grad(model, layer, image, class_index):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    out = model(image[None])
    handle.remove()
    model.zero_grad()
    out[0, class_index].backward()
    weights = kept[0].grad.mean(dim=[2, 3])
    return _show(_sum(weights[..., None, None], kept[0]).relu(), image)


@wrong(checks.grad_cam, "hooks-not-as-before")
def hook_stays(model, layer, image, class_index):
    kept = []
    model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    score = model(image[None])[0, class_index]
    g = torch.autograd.grad(score, kept[0])[0]
    return _show(_sum(g.mean((2, 3), keepdim=True), kept[0]).relu(), image)


@wrong(checks.grad_cam, "cut-from-the-graph")
def copied_as_in_capture(model, layer, image, class_index):
    kept = {}
    hook = model.get_submodule(layer).register_forward_hook(
        lambda m, i, o: kept.update(o=o.clone())
    )
    score = model(image.unsqueeze(0))[0, class_index]
    hook.remove()
    (g,) = torch.autograd.grad(score, kept["o"])
    return _show(_sum(g.mean((2, 3), keepdim=True), kept["o"]).relu(), image)


@wrong(checks.grad_cam, "no-graph")
def with_capture(model, layer, image, class_index):
    maps = measure.capture(model, [layer], image[None])[layer]
    with torch.no_grad():
        score = model(image[None])[0, class_index]
    (g,) = torch.autograd.grad(score, maps)
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "batch-dimension-missing")
def no_batch(model, layer, image, class_index):
    kept = []
    with model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o)):
        score = model(image)[class_index]
    (g,) = torch.autograd.grad(score, kept[0])
    return _show(_sum(g.mean((2, 3), keepdim=True), kept[0]).relu(), image)


@wrong(checks.grad_cam, "outermost-modules-only")
def the_attribute(model, layer, image, class_index):
    kept = []
    with getattr(model, layer).register_forward_hook(lambda m, i, o: kept.append(o)):
        score = model(image[None])[0, class_index]
    (g,) = torch.autograd.grad(score, kept[0])
    return _show(_sum(g.mean((2, 3), keepdim=True), kept[0]).relu(), image)


@wrong(checks.grad_cam, "weights-of-the-head")
def class_activation_map(model, layer, image, class_index):
    maps, _ = _cam(model, layer, image, class_index)
    weights = model.fc.weight[class_index].view(1, -1, 1, 1)
    return _show(_sum(weights, maps).relu(), image)


@wrong(checks.grad_cam, "normalised-otherwise")
def grey_values(model, layer, image, class_index):
    maps, g = _cam(model, layer, image, class_index)
    return 255 * _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "mode-changed")
def training_goes_on(model, layer, image, class_index):
    model.eval()
    maps, g = _cam(model, layer, image, class_index)
    model.train()
    return _show(_sum(g.mean((2, 3), keepdim=True), maps).relu(), image)


@wrong(checks.grad_cam, "wrong-type")
def numpy_map(model, layer, image, class_index):
    return measure.grad_cam(model, layer, image, class_index).numpy()


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


@wrong(checks.grad_cam, "not-normalised")
def cut_off_at_one(model, layer, image, class_index):
    maps, gradient = _cam(model, layer, image, class_index)
    heat = _sum(gradient.mean((2, 3), keepdim=True), maps).relu()
    return F.interpolate(heat, image.shape[1:], mode="bilinear")[0, 0].clamp(0, 1)


# 6.3


def _accuracy_of(model, batches):
    right = total = 0
    with torch.no_grad():
        for x, y in batches:
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return right / total


def _names(model):
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, (blocks.BasicBlock, blocks.Bottleneck))
        and isinstance(module.downsample, nn.Identity)
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


def _taken_out(model, batches, lost=lambda a, b: a - b, score=_accuracy_of, names=_names):
    copied = copy.deepcopy(model).eval()
    whole, found = score(copied, batches), {}
    for name in names(copied):
        stage, place = name.split(".")
        block = getattr(copied, stage)[int(place)]
        getattr(copied, stage)[int(place)] = nn.Identity()
        found[name] = lost(whole, score(copied, batches))
        getattr(copied, stage)[int(place)] = block
    return found


@wrong(checks.block_importance, "sign")
def the_other_way(model, batches):
    return _taken_out(model, batches, lambda whole, without: without - whole)


@wrong(checks.block_importance, "accuracy-without")
def accuracies(model, batches):
    return _taken_out(model, batches, lambda _, without: without)


@wrong(checks.block_importance, "percent")
def in_percentage_points(model, batches):
    return _taken_out(model, batches, lambda a, b: (a - b) * 100)


@wrong(checks.block_importance, "mean-of-batch-means")
def means_of_batches(model, batches):
    def score(network, pairs):
        return np.mean([(network(x).argmax(1) == y).float().mean().item() for x, y in pairs])

    return _taken_out(model, batches, score=score)


@wrong(checks.block_importance, "loss-instead-of-accuracy")
def cross_entropies(model, batches):
    def score(network, pairs):
        with torch.no_grad():
            return np.mean([F.cross_entropy(network(x), y).item() for x, y in pairs])

    return _taken_out(model, batches, lambda a, b: b - a, score)


@wrong(checks.block_importance, "tensors")
def values_are_tensors(model, batches):
    def score(network, pairs):
        hits = torch.cat([network(x).argmax(1) == y for x, y in pairs])
        return hits.float().mean()

    return _taken_out(model, batches, score=score)


@wrong(checks.block_importance, "first-blocks-left-out")
def never_the_first(model, batches):
    return _taken_out(model, batches, names=lambda m: [n for n in _names(m) if n[-1] != "0"])


@wrong(checks.block_importance, "every-block")
def all_of_them(model, batches):
    def names(m):
        return [
            n for n, b in m.named_modules() if isinstance(b, (blocks.BasicBlock, blocks.Bottleneck))
        ]

    return _taken_out(model, batches, names=names)


@wrong(checks.block_importance, "shape-changing-blocks-too")
def zero_for_the_others(model, batches):
    found = _taken_out(model, batches)
    every = [
        n for n, b in model.named_modules() if isinstance(b, (blocks.BasicBlock, blocks.Bottleneck))
    ]
    return {n: found.get(n, 0.0) for n in every}


@wrong(checks.block_importance, "other-names")
def numbered(model, batches):
    return dict(enumerate(_taken_out(model, batches).values()))


@wrong(checks.block_importance, "other-names")
def with_underscores(model, batches):
    return {n.replace(".", "_"): v for n, v in _taken_out(model, batches).items()}


@wrong(checks.block_importance, "wrong-type")
def pairs(model, batches):
    return list(_taken_out(model, batches).items())


@wrong(checks.block_importance, "blocks-stay-out")
def never_put_back(model, batches):
    copied, found = copy.deepcopy(model).eval(), {}
    whole = _accuracy_of(copied, batches)
    for name in _names(copied):
        stage, place = name.split(".")
        getattr(copied, stage)[int(place)] = nn.Identity()
        found[name] = whole - _accuracy_of(copied, batches)
    return found


@wrong(checks.block_importance, "mode-as-it-comes")
def no_eval(model, batches):
    whole, found = _accuracy_of(model, batches), {}
    for name in _names(model):
        stage, place = name.split(".")
        block = getattr(model, stage)[int(place)]
        getattr(model, stage)[int(place)] = nn.Identity()
        found[name] = whole - _accuracy_of(model, batches)
        getattr(model, stage)[int(place)] = block
    return found


def _in_place(model, batches):
    whole, found = _accuracy_of(model, batches), {}
    for name in _names(model):
        stage, place = name.split(".")
        block = getattr(model, stage)[int(place)]
        getattr(model, stage)[int(place)] = nn.Identity()
        found[name] = whole - _accuracy_of(model, batches)
        getattr(model, stage)[int(place)] = block
    return found


@wrong(checks.block_importance, "mode-changed")
def stays_in_eval(model, batches):
    model.eval()
    return _in_place(model, batches)


@wrong(checks.block_importance, "one-mode-for-all")
def train_again(model, batches):
    was = model.training
    model.eval()
    found = _in_place(model, batches)
    model.train(was)
    return found


@wrong(checks.block_importance, "not-put-back-after-error")
def no_finally(model, batches):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    found = _in_place(model, batches)
    for m, mode in modes.items():
        m.training = mode
    return found


@wrong(checks.block_importance, "not-put-back")
def a_copy_is_put_back(model, batches):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    whole, found = _accuracy_of(model, batches), {}
    for name in _names(model):
        stage, place = name.split(".")
        saved = copy.deepcopy(getattr(model, stage)[int(place)])
        getattr(model, stage)[int(place)] = nn.Identity()
        found[name] = whole - _accuracy_of(model, batches)
        getattr(model, stage)[int(place)] = saved
    for m, mode in modes.items():
        m.training = mode
    return found


@wrong(checks.block_importance, "zeros-instead-of-identity")
def outputs_set_to_zero(model, batches):
    copied = copy.deepcopy(model).eval()
    whole, found = _accuracy_of(copied, batches), {}
    for name in _names(copied):
        with copied.get_submodule(name).register_forward_hook(lambda m, i, o: torch.zeros_like(o)):
            found[name] = whole - _accuracy_of(copied, batches)
    return found


@wrong(checks.block_importance, "block-still-there")
def another_attribute(model, batches):
    copied, found = copy.deepcopy(model).eval(), {}
    whole = _accuracy_of(copied, batches)
    for name in _names(copied):
        setattr(copied, name.replace(".", "_"), nn.Identity())
        found[name] = whole - _accuracy_of(copied, batches)
    return found


@wrong(checks.block_importance, "bias-left")
def gamma_zero(model, batches):
    copied, found = copy.deepcopy(model).eval(), {}
    whole = _accuracy_of(copied, batches)
    for name in _names(copied):
        block = copied.get_submodule(name)
        saved = copy.deepcopy(block.state_dict())
        nn.init.zeros_(block.bn3.weight if hasattr(block, "bn3") else block.bn2.weight)
        found[name] = whole - _accuracy_of(copied, batches)
        block.load_state_dict(saved)
    return found


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


@wrong(checks.block_importance, "stages-instead-of-blocks")
def whole_stages(model, batches):
    found = {}
    for name, value in _taken_out(model, batches).items():
        stage = name.split(".")[0]
        found[stage] = found.get(stage, 0) + value
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


@wrong(checks.block_importance, "batches-alike")
def number_of_batches_times_their_size(model, batches):
    def score(net, batches):
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in batches)
        return right / (len(batches) * len(batches[0][0]))

    return _taken_out(model, batches, score=score)


@wrong(checks.block_importance, "mode-as-it-comes")
def evaluation_mode_comes_too_late(model, batches):
    whole = _accuracy_of(model, batches)
    found = _taken_out(model, batches, lambda _, without: without)
    return {name: whole - without for name, without in found.items()}


@wrong(checks.block_importance, "bias-left")
def last_convolution_set_to_zero(model, batches):
    copied = copy.deepcopy(model).eval()
    whole, found = _accuracy_of(copied, batches), {}
    for name in _names(copied):
        block = copied.get_submodule(name)
        conv = block.conv3 if hasattr(block, "conv3") else block.conv2
        weight = conv.weight.detach().clone()
        nn.init.zeros_(conv.weight)
        found[name] = whole - _accuracy_of(copied, batches)
        conv.weight.data = weight
    return found


@wrong(checks.block_importance, "another-number")
def removed_and_hung_on_behind(model, batches):
    copied = copy.deepcopy(model).eval()
    whole, found = _accuracy_of(copied, batches), {}
    for name in _names(copied):
        stage, place = name.split(".")
        row = getattr(copied, stage)
        block = row[int(place)]
        del row[int(place)]
        found[name] = whole - _accuracy_of(copied, batches)
        row.append(block)  # not where it was
    return found


@wrong(checks.block_importance, "blocks-missing")
def the_last_block_of_each_stage(model, batches):
    def names(net):
        last = [f"layer{n}.{len(net.get_submodule(f'layer{n}')) - 1}" for n in range(1, 5)]
        return [name for name in _names(net) if name in last]

    return _taken_out(model, batches, names=names)
