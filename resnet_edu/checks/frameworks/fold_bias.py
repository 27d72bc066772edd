"""Task 10.3: the bias of a convolution, moved into the batch norm behind it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, same, snapshot
from resnet_edu.checks.guard import Wrong, shortened

Change = Callable[[Tensor, nn.BatchNorm2d], object]


@torch.no_grad()
def _fold_bias(conv_bias: Tensor, bn: nn.BatchNorm2d) -> None:
    bn.running_mean -= conv_bias


def _version(change: Change) -> Answer:
    """Something else done to the batch norm."""

    @torch.no_grad()
    def version(conv_bias: Tensor, bn: nn.BatchNorm2d) -> None:
        change(conv_bias, bn)

    return version


def _mean(what: Callable[[Tensor, nn.BatchNorm2d], Tensor], sign: float = -1) -> Answer:
    """Something added to the running mean, or subtracted."""
    return _version(lambda b, bn: bn.running_mean.add_(what(b, bn), alpha=sign))


def _bias(what: Callable[[Tensor, nn.BatchNorm2d], Tensor], sign: float = 1) -> Answer:
    """Something added to batch norm's own bias, or subtracted."""
    return _version(lambda b, bn: bn.bias.add_(what(b, bn), alpha=sign))


def _deviation(bn: nn.BatchNorm2d, eps: float | None = None) -> Tensor:
    return (bn.running_var + (bn.eps if eps is None else eps)).sqrt()


def _itself(b: Tensor, _bn: nn.BatchNorm2d) -> Tensor:
    return b


def _scaled(b: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    """What the bias is worth behind the batch norm."""
    return b * bn.weight / _deviation(bn)


def _both(b: Tensor, bn: nn.BatchNorm2d) -> None:
    bn.bias += _scaled(b, bn)
    bn.running_mean -= b


def _cleared(b: Tensor, bn: nn.BatchNorm2d) -> None:
    bn.running_mean -= b
    b.zero_()


def _cleared_after_scaling(b: Tensor, bn: nn.BatchNorm2d) -> None:
    bn.bias += _scaled(b, bn)
    b.zero_()


def _new_parameter(b: Tensor, bn: nn.BatchNorm2d) -> None:
    bn.bias = nn.Parameter(bn.bias + _scaled(b, bn))


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
        raise Wrong(
            "tensor-in-place-of-parameter",
            "PyTorch does not let a plain tensor take the place of a parameter: an optimiser "
            "could not train it. Write the new numbers into the one that is there.",
            (("Error", shortened(f"{type(error).__name__}: {error}")),),
        ) from None
    _require_no_history(bn)
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
        raise Wrong(
            "not-in-its-numbers",
            "This batch norm gives the right output, but its numbers alone do not. Saved, and loaded "
            "into another network, they would give answers without the bias.",
            (
                ("Looked at", "a new batch norm that got the numbers of `bn`"),
                ("Got", "another output"),
            ),
        )


def _require_no_history(bn: nn.BatchNorm2d) -> None:
    recorded = [name for name, value in bn.named_buffers() if value.requires_grad]
    if recorded:
        raise Wrong(
            "recorded-by-autograd",
            "The bias is a parameter, so autograd recorded what you did with it, and your batch "
            "norm is now part of a computation. Setting statistics is not to be differentiated: "
            "tell autograd so.",
            (
                ("Looked at", f"bn.{recorded[0]}"),
                ("Expected", "no gradient"),
                ("Got", "a gradient"),
            ),
        )


fold_bias = Check(
    signature="fold_bias(conv_bias, bn)",
    reference=_fold_bias,
    observe=_observe,
    cases={
        f"a bias of {channels} numbers, and a batch norm with eps={eps}": (channels, eps)
        for channels, eps in ((5, 1.001e-5), (3, 0.1), (4, 1e-3))
    },
    mistakes=(
        Mistake(
            "added-instead-of-subtracted",
            "You move the bias in the wrong direction. Batch norm subtracts the mean: if the bias "
            "is missing in what comes in, less must be subtracted.",
            [
                _mean(_itself, +1),
                _bias(_scaled, -1),
            ],
        ),
        Mistake(
            "unchanged",
            "The batch norm does what it did before. In training it takes any bias away, with the "
            "mean of the batch. In evaluation mode it subtracts a fixed number, and the bias is "
            "missing.",
            [_version(lambda *_: None)],
        ),
        Mistake(
            "not-scaled",
            "You add the bias to batch norm's own bias as it is. There it comes behind the "
            "division and the multiplication, which the convolution's bias went through.",
            [_bias(_itself), _bias(_itself, -1)],
        ),
        Mistake(
            "not-divided",
            "You multiply by batch norm's weight, but do not divide by the deviation. The "
            "convolution's bias goes through both: at a deviation of 0.5, half of it is still "
            "missing.",
            [_bias(lambda b, bn: b * bn.weight), _bias(lambda b, bn: b * bn.weight, -1)],
        ),
        Mistake(
            "gamma-forgotten",
            "You divide by the deviation, but do not multiply by batch norm's weight. The "
            "convolution's bias goes through both: a channel that is doubled gets half of what it "
            "should.",
            [_bias(lambda b, bn: b / _deviation(bn)), _bias(lambda b, bn: b / _deviation(bn), -1)],
        ),
        Mistake(
            "variance-without-root",
            "You divide by the variance, and batch norm divides by its square root. At a variance "
            "of 0.25, the bias counts twice as much as it should.",
            [
                _bias(lambda b, bn: b * bn.weight / (bn.running_var + bn.eps)),
                _bias(lambda b, bn: b * bn.weight / bn.running_var),
                _bias(lambda b, bn: b * bn.weight / (bn.running_var**2 + bn.eps).sqrt()),
                _bias(lambda b, bn: b * bn.weight / (bn.running_var + bn.eps), -1),
            ],
        ),
        Mistake(
            "multiplied-by-deviation",
            "You multiply by the deviation, and batch norm divides by it. At a deviation of 0.5, "
            "the bias counts a quarter of what it should.",
            [_bias(lambda b, bn: b * bn.weight * _deviation(bn))],
        ),
        Mistake(
            "divided-by-weight",
            "You divide by batch norm's weight, and batch norm multiplies by it. A channel that "
            "it doubles gets a quarter of the bias that it should.",
            [
                _bias(lambda b, bn: b / bn.weight),
                _bias(lambda b, bn: b / bn.weight / _deviation(bn)),
                _bias(lambda b, bn: b / bn.weight * _deviation(bn)),
            ],
        ),
        Mistake(
            "mean-moved-too",
            "You move the running mean into the bias as well. Batch norm goes on subtracting it: "
            "now it is subtracted twice, and every channel has another level.",
            [
                _bias(lambda b, bn: (b - bn.running_mean) * bn.weight / _deviation(bn)),
                _bias(lambda b, bn: b - bn.running_mean),
            ],
        ),
        Mistake(
            "epsilon-forgotten",
            "Batch norm adds its epsilon, `bn.eps`, to the variance before it takes the root. "
            "With another one, or none, your bias is off most where the variance is small. (There "
            "is a way that needs neither.)",
            [
                _bias(lambda b, bn, eps=eps: b * bn.weight / _deviation(bn, eps))
                for eps in (0.0, 1e-5, 1.001e-5, 1e-3)
            ]
            + [_bias(lambda b, bn: b * bn.weight / (bn.running_var.sqrt() + bn.eps))],
        ),
        Mistake(
            "same-for-all-channels",
            "You move all channels by the same number. The bias has one for each of them: some "
            "channels come out too high and others too low, and the next layer sees another "
            "pattern.",
            [_mean(lambda b, _: b.mean()), _mean(lambda b, _: b.sum()), _mean(lambda b, _: b[0])],
        ),
        Mistake(
            "both-ways",
            "The bias is moved twice: into the running mean, and into batch norm's bias. Each of "
            "the two makes up for the missing one, so it now counts double.",
            [_version(_both)],
        ),
        Mistake(
            "mean-scaled",
            "You scale the bias before you take it from the running mean. The mean is in the same "
            "units as the convolution's output, where nothing has been scaled yet, so each "
            "channel is off by another factor.",
            [
                _mean(scale, sign)
                for sign in (-1, +1)
                for scale in (
                    _scaled,
                    lambda b, bn: b * bn.weight,
                    lambda b, bn: b / bn.weight,
                    lambda b, bn: b / _deviation(bn),
                    lambda b, bn: b / _deviation(bn, 0.0),
                    lambda b, bn: b * _deviation(bn),
                    lambda b, bn: b * _deviation(bn, 0.0),
                    lambda b, bn: b * _deviation(bn) / bn.weight,
                )
            ],
        ),
        Mistake(
            "momentum-used",
            "You move the mean by a part of the bias only, as training does with each batch. No "
            "further batches come to bring the rest, so most of the bias stays missing.",
            [
                _version(lambda b, bn, s=s: bn.running_mean.lerp_(s * b, bn.momentum))
                for s in (1, -1)
            ]
            + [_mean(lambda b, bn: bn.momentum * b, sign) for sign in (-1, 1)],
        ),
        Mistake(
            "mean-overwritten",
            "The running mean that was measured is gone: something else is in its place. Batch "
            "norm no longer brings its channels to where the next layer expects them.",
            [
                _version(lambda b, bn: bn.running_mean.copy_(b)),
                _version(lambda b, bn: bn.running_mean.copy_(-b)),
                _version(lambda _, bn: bn.running_mean.zero_()),
            ],
        ),
        Mistake(
            "subtracted-the-wrong-way",
            "You take the mean from the bias, and get the right size with the wrong sign. Batch "
            "norm then adds what it should subtract, and is off by twice as much.",
            [_version(lambda b, bn: bn.running_mean.copy_(b - bn.running_mean))],
        ),
        Mistake(
            "bias-overwritten",
            "The bias that batch norm had is gone: you put the convolution's in its place. It was "
            "trained, and the level that it gave to each channel is lost.",
            [
                _version(lambda b, bn: bn.bias.copy_(b)),
                _version(lambda b, bn: bn.bias.copy_(_scaled(b, bn))),
            ],
        ),
        Mistake(
            "another-number-changed",
            "You change batch norm's weight or its variance. Those stretch, and a bias only "
            "moves: a number far from zero would now be changed more than one near it.",
            [
                _version(lambda b, bn: bn.weight.add_(b)),
                _version(lambda b, bn: bn.weight.sub_(b)),
                _version(lambda b, bn: bn.weight.mul_(b)),
                _version(lambda b, bn: bn.running_var.sub_(b)),
                _version(lambda b, bn: bn.running_var.add_(b)),
                _version(lambda b, bn: bn.running_var.add_(b**2)),
            ],
        ),
        Mistake(
            "bias-cleared",
            "The batch norm is right, but `conv_bias` has been changed. Whoever calls your "
            "function may still need it.",
            [_version(_cleared), _version(_cleared_after_scaling)],
        ),
        Mistake(
            "new-parameters",
            "You put a new parameter in the place of the old one. An optimiser that was made "
            "before would go on training the old one: write into that.",
            [_version(_new_parameter)],
        ),
        Mistake(
            "frozen",
            "The output is right, but a parameter of the batch norm can no longer be trained. "
            "Whoever trains the network further leaves it behind, and nothing says so.",
            [
                _version(lambda b, bn: bn.bias.requires_grad_(False).add_(_scaled(b, bn))),
                _version(
                    lambda b, bn: (bn.requires_grad_(False), bn.running_mean.sub_(b)),
                ),
                _version(
                    lambda b, bn: (bn.requires_grad_(False), bn.bias.add_(_scaled(b, bn))),
                ),
            ],
        ),
    ),
)
