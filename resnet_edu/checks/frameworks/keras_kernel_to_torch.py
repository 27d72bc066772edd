"""Task 10.1: a kernel of Keras in PyTorch's order of axes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet_edu.checks.check import Answer, Check, Mistake
from resnet_edu.checks.compare import See, same, snapshot, tensor
from resnet_edu.checks.guard import Wrong, shortened

Change = Callable[[Tensor], Any]


def _keras_kernel_to_torch(kernel: np.ndarray) -> Tensor:
    numbers = torch.tensor(kernel)
    return numbers.permute(3, 2, 0, 1) if numbers.dim() == 4 else numbers.T


def _version(conv: Change, dense: Change, own: tuple[bool, bool] = (True, True)) -> Answer:
    """Something else done to kernels of convolutions, or of dense layers.

    `own` says for each of the two whether the numbers are copied.
    """

    def version(kernel: np.ndarray) -> Any:
        is_conv = kernel.ndim == 4
        numbers = torch.from_numpy(kernel)
        numbers = numbers.clone() if own[not is_conv] else numbers
        return conv(numbers) if is_conv else dense(numbers)

    return version


def _moved(numbers: Tensor) -> Tensor:
    return numbers.permute(3, 2, 0, 1)


def _turned(numbers: Tensor) -> Tensor:
    return numbers.T


def _permuted(*axes: int) -> Change:
    return lambda numbers: numbers.permute(axes)


def _reshaped(numbers: Tensor) -> Tensor:
    height, width, inputs, outputs = numbers.shape
    return numbers.reshape(outputs, inputs, height, width)


def _turned_shape(numbers: Tensor) -> Tensor:
    return numbers.reshape(numbers.shape[::-1])


def _conv(*changes: Change) -> list[Answer]:
    """These changes of a convolution's kernel; a dense layer's is looked at only where it is right."""
    return [_version(change, _turned) for change in changes]


def _dense(*changes: Change) -> list[Answer]:
    """Convolutions done right, and these changes of a dense layer's kernel."""
    return [_version(_moved, change) for change in changes]


# What is made for four axes, and stops with an error where there are two.
FOR_FOUR_AXES: tuple[Change, ...] = (
    _moved,
    _reshaped,
    lambda numbers: numbers.numpy().transpose(3, 2, 0, 1),
    lambda numbers: torch.einsum("hwio->oihw", numbers),
    lambda numbers: np.einsum("hwio->oihw", numbers.numpy()),
    lambda numbers: numbers.transpose(0, 3),
    lambda numbers: np.moveaxis(numbers.numpy(), 3, 0),
    lambda numbers: np.moveaxis(numbers.numpy(), (3, 2), (0, 1)),
    lambda numbers: numbers.numpy().swapaxes(0, 3),
)

NAMED = {(3, 2, 0, 1), (3, 2, 1, 0), (2, 3, 0, 1), (2, 3, 1, 0), (0, 1, 2, 3)}
INPUTS_LAST = {axes for axes in permutations(range(4)) if axes[0] == 3 and axes[3] == 2}
OTHERS = sorted(set(permutations(range(4))) - NAMED - INPUTS_LAST)


def _observe(answer: Answer, shapes: tuple[tuple[int, ...], ...], see: See) -> None:
    """One kernel after the other, as far as the results are right: one mistake at a time."""
    numbers = torch.Generator().manual_seed(0)
    kernels = [torch.randn(shape, generator=numbers).numpy() for shape in shapes]
    results = []
    for kernel in kernels:
        wanted = snapshot(_keras_kernel_to_torch(kernel))
        results.append(_result(answer, kernel))
        see(f"result for a kernel of shape {kernel.shape}", results[-1])
        if not same(snapshot(results[-1]), wanted):
            return
    see("type of the numbers", str(results[0].dtype).removeprefix("torch."))
    before = [snapshot(result) for result in results]
    for kernel in kernels:
        kernel += 1
    kept = all(map(same, map(snapshot, results), before))
    see("results, once the kernels are changed", "as they were" if kept else "changed too")


def _result(answer: Answer, kernel: np.ndarray) -> Tensor:
    given = kernel.copy()
    try:
        result = tensor(answer(kernel))
    except (AttributeError, TypeError) as error:
        if "numpy.ndarray" not in str(error):
            raise
        raise Wrong(
            "array-not-tensor",
            "The kernel is a numpy array. What you call is there for tensors only: make a tensor "
            "of it first.",
            (("Error", shortened(f"{type(error).__name__}: {error}")),),
        ) from None
    if not np.array_equal(kernel, given):
        raise Wrong(
            "changes-its-input",
            "Your code changes the kernel that it was given. Whoever calls it still needs that "
            "kernel: what Keras holds would no longer be what you ported.",
            (("Looked at", f"a kernel of shape {given.shape}, afterwards"),),
        )
    return result


keras_kernel_to_torch = Check(
    signature="keras_kernel_to_torch(kernel)",
    reference=_keras_kernel_to_torch,
    observe=_observe,
    cases={
        "kernels of convolutions, then of dense layers": (
            (3, 5, 4, 6),
            (3, 3, 4, 4),
            (1, 1, 6, 4),
            (7, 7, 3, 8),
            (6, 4),
            (5, 5),
        )
    },
    mistakes=(
        Mistake(
            "height-and-width-swapped",
            "Height and width have changed places: every kernel lies on its side, and one for "
            "upright edges finds level ones. `.T` and `transpose()` without arguments turn all "
            "axes around.",
            _conv(_permuted(3, 2, 1, 0)),
        ),
        Mistake(
            "in-and-out-swapped",
            "Input and output channels are in each other's place. Where there are equally many of "
            "both, the weight loads without an error, and mixes the wrong channels.",
            _conv(_permuted(2, 3, 0, 1), _permuted(2, 3, 1, 0)),
        ),
        Mistake(
            "inputs-last",
            "The input channels come last, as TensorFlow has them in images. PyTorch takes the "
            "second axis for them: it would read a side of the kernel as a number of channels.",
            _conv(*(_permuted(*axes) for axes in INPUTS_LAST)),
        ),
        Mistake(
            "kernel-unchanged",
            "The axes of a convolution's kernel are where they were. PyTorch takes the first for "
            "the output channels: a 3x3 kernel would seem to have three of them.",
            _conv(lambda numbers: numbers),
        ),
        Mistake(
            "reshaped",
            "The shape is right, but the numbers are mixed up. `reshape` and `view` cut the same "
            "row of numbers into other pieces; you need to move axes.",
            _conv(_reshaped, _turned_shape),
        ),
        Mistake(
            "flipped",
            "The axes are right, but the kernels are turned around. Neither Keras nor PyTorch "
            "flips a kernel: both call a cross-correlation a convolution.",
            _conv(*(lambda n, dims=dims: _moved(n).flip(dims) for dims in ((2, 3), (2,), (3,)))),
        ),
        Mistake(
            "squeezed",
            "Axes of length 1 are gone. A kernel of 1x1 has four axes too, most of ResNet-50's "
            "are of that size, and a convolution takes no weight with fewer.",
            _conv(lambda numbers: _moved(numbers).squeeze()),
        ),
        Mistake(
            "wrong-order",
            "The axes are not in the order (out, in, H, W). A convolution goes by places alone, "
            "and asks no axis what it means. Write both orders down, one below the other, and "
            "compare.",
            _conv(*(_permuted(*axes) for axes in OTHERS)),
        ),
        Mistake(
            "dense-unchanged",
            "Kernels of convolutions are right, but that of a dense layer is as it was. "
            "`nn.Linear` reads a row for each output: yours does not fit, or, if it is square, "
            "gives wrong answers in silence.",
            _dense(lambda numbers: numbers),
        ),
        Mistake(
            "dense-reshaped",
            "Kernels of convolutions are right. That of a dense layer has the right shape, and its "
            "numbers are mixed up: `reshape` and `view` do not move axes.",
            _dense(_turned_shape),
        ),
        Mistake(
            "dense-with-more-axes",
            "The kernel of a dense layer comes out with more than two axes. It has no height and "
            "no width, and `nn.Linear` refuses to load a weight of another shape.",
            _dense(
                lambda numbers: numbers.T[:, :, None, None],
                lambda numbers: numbers.T[None, None],
                lambda numbers: numbers.T[None],
            ),
        ),
        Mistake(
            "only-convolutions",
            "Kernels of convolutions are right, but with that of a dense layer, which has two "
            "axes, your code stops with an error. A ResNet ends in such a layer, so no port would "
            "be complete.",
            _dense(*FOR_FOUR_AXES),
        ),
        Mistake(
            "shares-memory",
            "The numbers are right, but the result uses the memory of the kernel: change one, and "
            "the other changes too. Copy the numbers.",
            [
                _version(_moved, _turned, own)
                for own in ((False, False), (True, False), (False, True))
            ],
        ),
        Mistake(
            "other-type-of-numbers",
            "The numbers are right, but no longer float32. A convolution refuses images of another "
            "type than its weights.",
            [
                lambda kernel, t=t: _keras_kernel_to_torch(kernel).to(t)
                for t in (torch.float64, torch.float16, torch.bfloat16)
            ],
        ),
    ),
)
