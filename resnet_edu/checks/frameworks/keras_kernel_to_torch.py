"""A kernel of Keras in PyTorch's order of axes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from resnet_edu.checks.check import Answer, Check
from resnet_edu.checks.compare import See, same, snapshot, tensor
from resnet_edu.checks.guard import Wrong, shortened
from resnet_edu.checks.text import beside


def _keras_kernel_to_torch(kernel: np.ndarray) -> Tensor:
    weight = torch.tensor(kernel)
    if weight.dim() == 2:
        return weight.T
    return weight.permute(3, 2, 0, 1)


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
        rows = (("Error", shortened(f"{type(error).__name__}: {error}")),)
        raise Wrong("array-not-tensor", rows) from None
    if not np.array_equal(kernel, given):
        rows = (("Looked at", f"a kernel of shape {given.shape}, afterwards"),)
        raise Wrong("changes-its-input", rows)
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
    said=beside(__file__),
)
