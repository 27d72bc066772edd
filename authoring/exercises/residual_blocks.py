# %% [markdown]
# # Exercises 04: residual blocks
#
# You need [lesson 04](../lessons/04_residual_blocks.ipynb). Plan about 45 minutes.
#
# You practise to
# - build the residual block, with a shortcut that fits,
# - bring a shortcut over a change of shape without parameters,
# - start every block as the identity.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import blocks, checks

# %% [markdown]
# ## 4.1 The residual block
#
# *Difficulty ●●○, 20 minutes*
#
# Two 3x3 convolutions with batch norm, and a shortcut around them (He et al. 2015, figure 2):
# - `conv1`, `bn1`, ReLU, `conv2`, `bn2` as in the `PlainBlock` of an earlier exercise, without its last ReLU. The stride
#   is on `conv1`.
# - Then the shortcut is added, and the sum goes through a ReLU.
# - Where the block keeps the shape, the shortcut is the identity, without parameters.
# - Where channels or stride change the shape, it is `downsample`: an `nn.Sequential` of a 1x1 convolution
#   with the block's stride, without bias, and a batch norm.
#
# <details><summary>Hint 1</summary>
# Start from your plain block. <code>forward</code> needs the input once more at the end: keep it.
# </details>
# <details><summary>Hint 2</summary>
# The shape changes if the stride is not 1 <b>or</b> the channels differ. <code>nn.Identity()</code>
# gives back what it gets.
# </details>
# <details><summary>Hint 3</summary>
# The last line of <code>forward</code> is a ReLU of a sum: the branch after <code>bn2</code>, plus
# <code>downsample</code> of the input.
# </details>


# %%
class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, in_channels, H, W) to (N, out_channels, H', W')."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))
        ### END SOLUTION


# %%
checks.basic_block(BasicBlock)

# %% [markdown]
# ## 4.2 A shortcut without parameters
#
# *Difficulty ●●○, 10 minutes*
#
# The paper's option A. Where the shape changes, it needs no weights:
# - of height and width it takes every `stride`-th pixel, beginning with the first,
# - it adds channels of zeros up to `out_channels`, half of them before those of `x`, half after.
#
# `out_channels` is at least the number of channels of `x`, and the difference is even. The gradient flows back to
# `x`.
#
# <details><summary>Hint 1</summary>
# A slice with a step takes every second pixel: <code>x[..., ::2]</code>. How many zero channels go
# on each side?
# </details>
# <details><summary>Hint 2</summary>
# <code>F.pad</code> takes pairs of numbers, beginning with the <b>last</b> dimension: left and right of the
# width, then of the height, then of the channels.
# </details>
# <details><summary>Hint 3</summary>
# <code>F.pad(x, (0, 0, 0, 0, n, n))</code> adds n channels of zeros on each side.
# </details>


# %%
def identity_shortcut(x: Tensor, out_channels: int, stride: int) -> Tensor:
    """(N, C, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)), without parameters."""
    ### BEGIN SOLUTION
    x = x[:, :, ::stride, ::stride]
    zeros = (out_channels - x.shape[1]) // 2
    return F.pad(x, (0, 0, 0, 0, zeros, zeros))
    ### END SOLUTION


# %%
checks.identity_shortcut(identity_shortcut)

# %% [markdown]
# ## 4.3 Start as the identity
#
# *Difficulty ●○○, 10 minutes*
#
# In `model`, set the weight (gamma) of the last batch norm of each residual branch to zero. The blocks are of
# the library's class `blocks.BasicBlock`, and stand anywhere in the model.
# - Change the numbers in place: the parameters stay the same objects, and can be trained.
# - Nothing else changes. Return nothing.
#
# <details><summary>Hint 1</summary>
# As in the exercise <code>he_init_</code>: <code>model.modules()</code> and <code>isinstance</code>.
# </details>
# <details><summary>Hint 2</summary>
# Which batch norm does the branch meet last before the addition?
# </details>
# <details><summary>Hint 3</summary>
# <code>nn.init.zeros_</code> writes zeros into a parameter and keeps autograd out.
# </details>


# %%
def zero_init_residual_(model: nn.Module) -> None:
    """Let every residual block start as its shortcut, in place."""
    ### BEGIN SOLUTION
    for module in model.modules():
        if isinstance(module, blocks.BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    ### END SOLUTION


# %%
checks.zero_init_residual_(zero_init_residual_)

# %%
checks.summary("residual")

# %% [markdown]
# ## What comes next
#
# You have built the block that all residual networks share, its cheapest shortcut and its gentlest start. Put your
# `BasicBlock` into `resnet_edu.networks.CifarResNet(BasicBlock, 20)` and train it as in
# [lesson 03](../lessons/03_degradation.ipynb).
