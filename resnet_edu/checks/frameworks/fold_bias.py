"""The bias of a convolution, moved into the batch norm behind it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, require, same, snapshot
from resnet_edu.checks.guard import Wrong, shortened
from resnet_edu.checks.text import beside


@torch.no_grad()
def _fold_bias(conv_bias: Tensor, bn: nn.BatchNorm2d) -> None:
    bn.running_mean -= conv_bias


def _batch_norm(channels: int, eps: float) -> nn.BatchNorm2d:
    bn = nn.BatchNorm2d(channels, eps=eps).eval()
    nn.init.uniform_(bn.weight, 0.5, 2.0)
    nn.init.normal_(bn.bias)
    nn.init.normal_(bn.running_mean)
    nn.init.uniform_(bn.running_var, 0.05, 0.5)
    return bn


def _observe(answer: Answer, case: tuple[int, float], see: See) -> None:
    channels, eps = case
    bn, x = _batch_norm(channels, eps), torch.randn(4, channels, 3, 3)
    conv_bias = nn.Parameter(torch.randn(channels))
    wanted = snapshot(bn(x + conv_bias[:, None, None]))
    before = {name: value.detach().clone() for name, value in bn.state_dict().items()}
    parameters = dict(bn.named_parameters())
    try:
        answer(conv_bias, bn)
    except TypeError as error:
        if "as parameter" not in str(error):
            raise
        rows = (("Error", shortened(f"{type(error).__name__}: {error}")),)
        raise Wrong("tensor-in-place-of-parameter", rows) from None
    for name, value in bn.named_buffers():
        got = "a gradient" if value.requires_grad else "no gradient"
        require("recorded-by-autograd", f"bn.{name}", "no gradient", got)
    out = bn.eval()(x)
    see("output of bn in eval mode", out)
    if not same(snapshot(out), wanted):  # only then does it matter which way was tried
        changed = [name for name, value in bn.state_dict().items() if not value.equal(before[name])]
        see("what has changed", ", ".join(changed))
    else:
        _require_in_its_numbers(bn, x, wanted)
    see("conv_bias, afterwards", conv_bias)
    kept = all(p is parameters.get(name) for name, p in bn.named_parameters())
    see("parameters of bn", "the same objects as before" if kept else "new objects")
    frozen = [name for name, p in bn.named_parameters() if not p.requires_grad]
    see("parameters that cannot be trained any more", ", ".join(frozen) or "none")


def _require_in_its_numbers(bn: nn.BatchNorm2d, x: Tensor, wanted: Tensor) -> None:
    """Is it right also where its numbers are loaded into another one? Raises Wrong."""
    other = nn.BatchNorm2d(bn.num_features, eps=bn.eps).eval()
    other.load_state_dict(bn.state_dict(), strict=False)
    if not same(snapshot(other(x)), wanted):
        new = "a new batch norm that got the numbers of `bn`"
        raise Wrong("not-in-its-numbers", (("Looked at", new), ("Got", "another output")))


fold_bias = Check(
    signature="fold_bias(conv_bias, bn)",
    reference=_fold_bias,
    observe=_observe,
    cases={
        f"a bias of {channels} numbers, and a batch norm with eps={eps}": (channels, eps)
        for channels, eps in ((5, 1.001e-5), (3, 0.1), (4, 1e-3))
    },
    said=beside(__file__),
)
