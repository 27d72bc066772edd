# %% [markdown]
# # Exercises 01: convolution blocks
#
# You need [lesson 01](../lessons/01_convolution_blocks.ipynb). Plan about 60 minutes.
#
# You practise to
# - work out sizes, parameters and receptive fields by a formula of your own,
# - write batch norm from its definition,
# - build the block that every network of this course is made of.
#
# **How it works.** Each task has a cell with an unfinished function. Put your lines in the place of
# `raise NotImplementedError`, run the cell, then run the check below it. The check says what is right,
# and if something is not, what was seen. Any right answer passes, however you write it. Stuck? Open one
# hint at a time. The last one says nearly all.

# %%
import torch
from torch import Tensor, nn

from resnet_edu import checks

# %% [markdown]
# ## 1.1 The size of the output
#
# *Difficulty ●○○, 5 minutes*
#
# A convolution gets a row of `size` pixels, with `padding` pixels added at each end. Its kernel is
# `kernel_size` pixels wide and moves by `stride` pixels at a time. It never stands over the end of the
# padded row. How many pixels come out?
#
# Return an `int`. Your function works for all arguments for which the kernel fits at least once.
#
# <details><summary>Hint 1</summary>
# Draw it: 7 pixels, a kernel of 3, stride 2, no padding. Count the places where the kernel stands.
# </details>
# <details><summary>Hint 2</summary>
# How many pixels are left to move over, once the kernel stands at the left end? How many whole steps of
# <code>stride</code> pixels fit into those?
# </details>
# <details><summary>Hint 3</summary>
# The padded row has <code>size + 2 * padding</code> pixels. Take the kernel away from that, divide by
# the stride with <code>//</code>, and do not forget the place where the kernel started.
# </details>


# %%
def conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """How many pixels a convolution makes out of a row of `size` pixels."""
    ### BEGIN SOLUTION
    padded = size + 2 * padding
    steps = (padded - kernel_size) // stride
    return steps + 1  # the place where the kernel starts, and one for each step
    ### END SOLUTION


# %%
checks.conv_output_size(conv_output_size)

# %% [markdown]
# ## 1.2 The number of parameters
#
# *Difficulty ●○○, 5 minutes*
#
# How many numbers does a convolution learn? Its kernels are squares of `kernel_size` by `kernel_size`
# pixels. `bias` is `True` or `False`: does the convolution have biases?
#
# Return an `int`.
#
# <details><summary>Hint 1</summary>
# Look at one channel of the output. It looks at all channels of the input, through a kernel for each.
# </details>
# <details><summary>Hint 2</summary>
# Ask PyTorch: <code>nn.Conv2d(3, 16, 5).weight.shape</code>, and the same with
# <code>.bias.shape</code>.
# </details>
# <details><summary>Hint 3</summary>
# The weight has the shape (out_channels, in_channels, kernel_size, kernel_size), the bias the shape
# (out_channels,). Multiply, and add where there is a bias.
# </details>


# %%
def conv_parameters(in_channels: int, out_channels: int, kernel_size: int, bias: bool) -> int:
    """How many numbers a convolution learns."""
    ### BEGIN SOLUTION
    weights = out_channels * in_channels * kernel_size**2
    biases = out_channels if bias else 0
    return weights + biases
    ### END SOLUTION


# %%
checks.conv_parameters(conv_parameters)

# %% [markdown]
# ## 1.3 The receptive field
#
# *Difficulty ●●○, 15 minutes*
#
# One pixel of the output sees a window of the image. How wide is it, from its first pixel to its last?
# `layers` is a list of pairs `(kernel_size, stride)`, first layer first. `[(3, 2), (3, 1)]` is a 3x3
# convolution of stride 2, then one of stride 1.
#
# Return an `int`. Without any layer the output is the image itself: `receptive_field([])` is 1. Leave
# the list as it is.
#
# <details><summary>Hint 1</summary>
# All strides 1: each layer with a kernel of 3 adds one pixel at each side. What does a kernel of 5 add?
# </details>
# <details><summary>Hint 2</summary>
# After a layer of stride 2, two neighbours are two pixels apart in the image. After another one, how
# far? Keep that distance in a variable of its own.
# </details>
# <details><summary>Hint 3</summary>
# Start with a field of 1 and a distance of 1. Each layer first widens the field by <code>(kernel_size -
# 1)</code> distances, and then changes the distance for the layers after it.
# </details>


# %%
def receptive_field(layers: list[tuple[int, int]]) -> int:
    """The width of the window of the image that one pixel of the output sees."""
    ### BEGIN SOLUTION
    field = 1
    distance = 1  # between neighbours in the layer's input, in pixels of the image
    for kernel_size, stride in layers:
        field += (kernel_size - 1) * distance
        distance *= stride
    return field
    ### END SOLUTION


# %%
checks.receptive_field(receptive_field)

# %% [markdown]
# ## 1.4 Batch norm
#
# *Difficulty ●●○, 15 minutes*
#
# Write batch norm as it works in train mode. `x` has the shape (N, C, H, W). Each channel is brought to
# mean 0 and variance 1, over all images and all pixels of the batch. Then it is multiplied by its
# `gamma` and its `beta` is added:
#
# $$ y = \gamma \, \frac{x - \text{mean}}{\sqrt{\text{variance} + \text{eps}}} + \beta $$
#
# `gamma` and `beta` have the shape (C,). The variance is the mean of the squared distances from the
# mean: it divides by the number of values. Gradients flow through your function as through any function
# of PyTorch. `x` stays as it is, and there are no running statistics.
#
# <details><summary>Hint 1</summary>
# Which of the four dimensions belong to "all images and all pixels"? <code>x.mean</code> and
# <code>x.var</code> take a tuple of dimensions, and <code>keepdim=True</code> keeps the result in a
# shape that fits to <code>x</code>.
# </details>
# <details><summary>Hint 2</summary>
# Read what the argument <code>correction</code> of <code>torch.var</code> does, and what its default
# is.
# </details>
# <details><summary>Hint 3</summary>
# PyTorch lines up shapes from the right, so (C,) would meet the width. <code>gamma.view(1, -1, 1,
# 1)</code> has the shape (1, C, 1, 1). Mean and variance over the dimensions (0, 2, 3) have it too.
# </details>


# %%
def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """Batch norm in train mode: x (N, C, H, W), gamma (C,), beta (C,) to (N, C, H, W)."""
    ### BEGIN SOLUTION
    mean = x.mean((0, 2, 3), keepdim=True)  # (1, C, 1, 1)
    variance = x.var((0, 2, 3), correction=0, keepdim=True)  # (1, C, 1, 1)
    normalised = (x - mean) / torch.sqrt(variance + eps)  # (N, C, H, W)
    return gamma.view(1, -1, 1, 1) * normalised + beta.view(1, -1, 1, 1)
    ### END SOLUTION


# %%
checks.batch_norm(batch_norm)

# %% [markdown]
# ## 1.5 The convolution block
#
# *Difficulty ●●○, 15 minutes*
#
# Build the block of [lesson 01](../lessons/01_convolution_blocks.ipynb) as an `nn.Module`: a convolution, then batch norm, then a ReLU.
# - The convolution is called `conv`, the batch norm `bn`. There are no other parameters.
# - `conv` has no bias.
# - `kernel_size` is an odd number. At stride 1 the output is as high and as wide as the input, for any
#   of them.
# - `bn` has PyTorch's default settings.
#
# <details><summary>Hint 1</summary>
# <code>nn.Conv2d</code> and <code>nn.BatchNorm2d</code> do the work. Make them in
# <code>__init__</code>, as <code>self.conv</code> and <code>self.bn</code>, and use them in
# <code>forward</code>.
# </details>
# <details><summary>Hint 2</summary>
# Use <code>conv_output_size</code>: at stride 1, how much padding does a kernel of 3 need, and one of 5, and one of 1?
# </details>
# <details><summary>Hint 3</summary>
# The padding is half of the kernel, rounded down. Batch norm gets what the convolution gives, so it is
# made for <code>out_channels</code>. <code>nn.ReLU()</code> and <code>F.relu</code> do the same.
# </details>


# %%
class ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU: (N, in_channels, H, W) to (N, out_channels, H', W')."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        padding = kernel_size // 2
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return self.relu(self.bn(self.conv(x)))  # (N, out_channels, H', W')
        ### END SOLUTION


# %%
checks.conv_block(ConvBlock)

# %%
checks.summary("convolution")

# %% [markdown]
# ## What comes next
#
# You have the part that every network here is made of, and the formulas to foresee its sizes and its
# cost. [Lesson 02](../lessons/02_plain_networks.ipynb) puts many such blocks in a row and looks at what happens to the gradient.
