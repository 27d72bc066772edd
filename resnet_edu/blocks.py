"""From a convolution to a bottleneck: the whole story in one file.

Four blocks, each one step from the one before:

`ConvBlock`    convolution, batch norm, ReLU: what every network here is made of
`PlainBlock`   two of them in a row: the deep network before ResNets
`BasicBlock`   the same, plus a shortcut around it: ResNet-18 and ResNet-34
`Bottleneck`   the same idea, made cheap for many channels: ResNet-50 and deeper

`PlainBlock` and `BasicBlock` repeat each other line for line, on purpose: what differs is the idea.

Tensors are (N, C, H, W): images, channels, height, width. A block with stride 2 halves H and W.
Each block tells by its attribute `out_channels` how many channels come out.

Sources: He et al., "Deep Residual Learning for Image Recognition" (2015), figures 2 and 5; attribute
names are torchvision's, so that its weights load as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

Shortcut = Callable[[int, int, int], nn.Module]
"""A function of (in_channels, out_channels, stride) that returns the module on the shortcut."""


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width at stride 1.

    It has no bias: the batch norm behind it subtracts the mean, and any bias with it.
    """
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution: mixes channels, looks at one pixel. No bias, as in `conv3x3`."""
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


class ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU.

    Shape: (N, in_channels, H, W) to (N, out_channels, H', W'). With an odd `kernel_size` and stride 1,
    H' = H and W' = W; stride s gives H' = ceil(H / s).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class PlainBlock(nn.Module):
    """Two 3x3 convolutions in a row, each with batch norm and ReLU (He et al. 2015, figure 3, middle).

    Shape: (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu2(out)


# A shortcut carries x around a block. Where the block keeps the shape, it is the identity. Where the
# block changes the shape, x must change too, or it could not be added: the paper offers two ways.


def projection_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Option B of He et al. 2015, section 3.3: a 1x1 convolution where the shape changes."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        conv1x1(in_channels, out_channels, stride),
        nn.BatchNorm2d(out_channels),
    )


def padding_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Option A of He et al. 2015, section 3.3: no parameters; see `PaddingShortcut`."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return PaddingShortcut(in_channels, out_channels, stride)


class PaddingShortcut(nn.Module):
    """Takes every `stride`-th pixel and adds channels of zeros, half of them before, half after.

    Shape: (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).
    Raises ValueError where out_channels is less than in_channels: zeros can only be added.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(
                f"PaddingShortcut can only add channels, and was asked to go from {in_channels} to "
                f"{out_channels}. Use projection_shortcut to reduce the number of channels."
            )
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """`PlainBlock` with a shortcut (He et al. 2015, figure 2).

    The convolutions learn the residual: what to add to x. The name `downsample` is torchvision's; it
    is the shortcut, and most of the time it is the identity.

    Shape: (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: Shortcut = projection_shortcut,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu2(out + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3 on those, 1x1 back to many; and the shortcut (figure 5, right).

    `width` is the number of channels inside; 4 * width come out. The stride sits on the 3x3
    convolution ("ResNet v1.5", as in torchvision). The 2015 paper and Keras put it on the first 1x1
    convolution, which then skips three pixels of four: `stride_in_1x1=True`.

    Shape: (N, in_channels, H, W) to (N, 4 * width, ceil(H / stride), ceil(W / stride)).
    """

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, stride_in_1x1: bool = False
    ) -> None:
        super().__init__()
        self.out_channels = self.expansion * width
        stride1, stride2 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = conv1x1(in_channels, width, stride1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(width, width, stride2)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = conv1x1(width, self.out_channels)
        self.bn3 = nn.BatchNorm2d(self.out_channels)
        self.downsample = projection_shortcut(in_channels, self.out_channels, stride)
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu3(out + self.downsample(x))
