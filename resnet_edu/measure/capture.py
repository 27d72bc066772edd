"""What modules inside a network put out, caught by hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from resnet_edu.as_found import hooked, in_mode


def capture(model: nn.Module, names: Iterable[str], images: Tensor) -> dict[str, Tensor]:
    """The outputs of the named modules for `images`, by name, in the order of `names`.

    In evaluation mode and without gradients; `images` are (N, 3, H, W), or what else the model takes.
    Where a module works several times in one pass, its last output counts. The model is left as it was.
    Raises ValueError for a name that is no module's, and for a module that takes no part in the pass or
    puts out something else than one tensor.
    """
    modules = {name: named_module(model, name) for name in names}
    outputs: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, _args: object, output: object) -> None:
            if not isinstance(output, Tensor):
                raise ValueError(
                    f"{name!r} ({type(module).__name__}) puts out a {type(output).__name__}, not a tensor."
                )
            outputs[name] = output.clone()  # the next module may work in place

        return keep

    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules.items()]
    with hooked(handles), in_mode(model, training=False), torch.no_grad():
        model(images)
    if missing := [repr(name) for name in modules if name not in outputs]:
        raise ValueError(f"Took no part in the forward pass: {', '.join(missing)}.")
    return {name: outputs[name] for name in modules}


def named_module(model: nn.Module, name: str) -> nn.Module:
    """The module of this name, such as "layer1.0.conv2".

    Raises ValueError, with the names there are in the deepest module on the way, for another name.
    """
    module, found = model, ""
    for part in name.split(".") if name else []:
        children = dict(module.named_children())
        if part not in children:
            where = f"{found!r} has" if found else f"this {type(model).__name__} has"
            inside = ", ".join(children) or "nothing"
            raise ValueError(f"There is no module {name!r}: {where} {inside} inside.")
        module, found = children[part], f"{found}.{part}".lstrip(".")
    return module
