"""Move a kernel's settings and see what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from resnet_edu import draw, measure
from resnet_edu.draw import Picture
from resnet_edu.widgets.explorer import Explorer


class ConvolutionExplorer(Explorer):
    """One kernel on one image: the output, its size, and the formula of that size.

    `images` maps a name to an image (C, H, W); a colour image is made grey.
    """

    def __init__(self, images: Mapping[str, Tensor]) -> None:
        if not images:
            raise ValueError("ConvolutionExplorer needs an image: {'flower': data.photo('flower')}")
        self._images = dict(images)
        self._drawing = draw.ConvolutionDrawing()
        super().__init__(
            {
                "Image": widgets.Dropdown(options=list(self._images)),
                "Kernel": widgets.Dropdown(options=list(measure.KERNELS), value="Vertical edges"),
                "Stride": widgets.IntSlider(1, min=1, max=4),
                "Padding": widgets.IntSlider(1, min=0, max=4),
                "Dilation": widgets.IntSlider(1, min=1, max=4),
            },
            width=1000,
        )

    def view(self, **values: Any) -> tuple[Picture, str]:
        """The convolution for these values of "Image", "Kernel", "Stride", "Padding", "Dilation"."""
        stride, padding, dilation = (values[name] for name in ("Stride", "Padding", "Dilation"))
        record = measure.convolution(
            self._images[values["Image"]],
            measure.KERNELS[values["Kernel"]],
            stride,
            padding,
            dilation,
        )
        height, out = len(record.image), len(record.output)
        reading = (
            f"The kernel spans <b>{record.span}</b> pixels "
            f"({dilation} × ({len(record.kernel)} − 1) + 1). Height out = "
            f"floor(({height} + 2 × {padding} − {record.span}) / {stride}) + 1 = <b>{out}</b>. "
            "The width follows in the same way. Orange: where the kernel starts; "
            "dashed: the edge of the padding."
        )
        return self._drawing.update(record), reading
