# %% [markdown]
# # Exercises 05: identity mappings
#
# You need [lesson 05](../lessons/05_identity_mappings.ipynb). Plan about 35 minutes.
#
# You practise to
# - take a block out of a trained network,
# - build the block of 2016, in which nothing stands in the shortcut's way.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
import copy

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import checks

# %% [markdown]
# ## 5.1 Take a block out
#
# *Difficulty ●●●, 15 minutes*
#
# Make a copy of `model` in which the block `name` is the identity. The model is a `cifar_resnet`, and the
# name is one like `"layer2.1"`.
# - The given model is untouched, and shares no weights with the copy.
# - A block that changes the shape cannot be the identity: raise a `ValueError`.
#
# <details><summary>Hint 1</summary>
# <code>copy.deepcopy</code>, <code>name.split(".")</code>, and an <code>nn.Sequential</code> lets you
# set its items.
# </details>
# <details><summary>Hint 2</summary>
# <code>model.get_submodule(name)</code> finds a module by its name. A block changes the shape if its
# first convolution has a stride, or other channels come out than go in.
# </details>
# <details><summary>Hint 3</summary>
# <code>block.conv1.stride</code> is a pair. <code>block.conv1.in_channels</code> and
# <code>block.conv2.out_channels</code> are to be equal. Put <code>nn.Identity()</code> in the place
# of the block.
# </details>


# %%
def without_block(model: nn.Module, name: str) -> nn.Module:
    """A copy of `model` in which block `name` is the identity."""
    ### BEGIN SOLUTION
    block = model.get_submodule(name)
    if block.conv1.stride != (1, 1) or block.conv1.in_channels != block.conv2.out_channels:
        raise ValueError(f"{name} changes the shape, so it cannot be the identity")
    copied = copy.deepcopy(model)
    stage, place = name.split(".")
    copied.get_submodule(stage)[int(place)] = nn.Identity()
    return copied
    ### END SOLUTION


# %%
checks.without_block(without_block)

# %% [markdown]
# ## 5.2 The block of 2016
#
# *Difficulty ●●○, 15 minutes*
#
# In the pre-activation block, batch norm and ReLU come before each convolution, and the sum goes out as it
# is: `bn1`, ReLU, `conv1`, `bn2`, ReLU, `conv2`, then the addition of the block's input.
# - The convolutions are 3x3, with a padding of 1 and no bias. Channels and size stay as they are.
#
# <details><summary>Hint 1</summary>
# Write the six steps of the branch as three lines, and add x at the end.
# </details>
# <details><summary>Hint 2</summary>
# The x that is added is the one that came into the block, before the first batch norm.
# </details>
# <details><summary>Hint 3</summary>
# There is no ReLU after the addition: that is the point of it.
# </details>


# %%
class PreActivationBlock(nn.Module):
    """He et al. 2016, figure 1 (b): (N, channels, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return x + out
        ### END SOLUTION


# %%
checks.pre_activation_block(PreActivationBlock)

# %%
checks.summary("identity")

# %% [markdown]
# ## What comes next
#
# You can take a block out of a network and see what it loses, and you have built the block in its later form. Put your
# `PreActivationBlock` into a stage, as an `nn.Sequential` of many, and look: what comes out is the input plus a sum.
