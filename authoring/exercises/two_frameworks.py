# %% [markdown]
# # Exercises 11: two frameworks, one network
#
# You need [lesson 11](../lessons/11_two_frameworks.ipynb). Plan about 40 minutes. Keras itself is not needed here.
#
# You practise to
# - bring a kernel from Keras's order of axes into PyTorch's,
# - explain a difference between two counts to the last number,
# - move a bias to where the other framework has room for it.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
import numpy as np
import torch
from torch import Tensor, nn

from resnet_edu import checks

# %% [markdown]
# ## 11.1 A kernel moves
#
# *Difficulty ●○○, 10 minutes*
#
# Turn a kernel of Keras into a weight for PyTorch. `kernel` is a numpy array, as Keras's
# `layer.get_weights()` gives it:
# - of a convolution: (H, W, in, out). PyTorch wants (out, in, H, W);
# - of a dense layer: (in, out). PyTorch wants (out, in).
#
# Give back a tensor with the same numbers, float32 as they are. It is a copy: when `kernel` is changed later, the
# tensor stays as it is.
#
# <details><summary>Hint 1</summary>
# <code>torch.tensor</code> copies an array, and <code>torch.from_numpy</code> does not.
# <code>kernel.ndim</code> says how many axes there are.
# </details>
# <details><summary>Hint 2</summary>
# Axes are moved by <code>permute</code> (a tensor's) or <code>transpose</code> (an array's). It takes, for each of the
# new axes, the place where it was. <code>reshape</code> does not move axes.
# </details>
# <details><summary>Hint 3</summary>
# Keras's axes have the places H 0, W 1, in 2, out 3. Read them off in PyTorch's order. For a dense
# layer, <code>.T</code> is enough.
# </details>


# %%
def keras_kernel_to_torch(kernel: np.ndarray) -> Tensor:
    """(H, W, in, out) to (out, in, H, W), and (in, out) to (out, in)."""
    ### BEGIN SOLUTION
    weight = torch.tensor(kernel)
    return weight.permute(3, 2, 0, 1) if weight.dim() == 4 else weight.T
    ### END SOLUTION


# %%
checks.keras_kernel_to_torch(keras_kernel_to_torch)

# %% [markdown]
# ## 11.2 Where 79,680 parameters come from
#
# *Difficulty ●●○, 15 minutes*
#
# For ResNet-50, Keras counts 25,636,712 parameters, and PyTorch 25,557,032. Explain the difference, from PyTorch's
# model alone. Give back a dictionary with two keys:
# - `"biases"`: the biases that Keras's convolutions have, and those of `torch_model` have not;
# - `"statistics"`: the running means and variances, which Keras counts and PyTorch does not.
#
# `torch_model` is a ResNet-50, 101 or 152 of `resnet_edu.networks`, of any width. Count in the model: for each of them
# other numbers come out.
#
# <details><summary>Hint 1</summary>
# <code>torch_model.modules()</code> goes through all modules, also those inside others. You need
# <code>nn.Conv2d</code> and <code>nn.BatchNorm2d</code>.
# </details>
# <details><summary>Hint 2</summary>
# A bias has one number for each channel that comes out of a convolution. Batch norm keeps a mean and a
# variance for each of its channels.
# </details>
# <details><summary>Hint 3</summary>
# Add up <code>m.out_channels</code> of all convolutions, and <code>2 * m.num_features</code> of all
# batch norms.
# </details>


# %%
def explain_difference(torch_model: nn.Module) -> dict[str, int]:
    """What Keras counts more than PyTorch: {"biases": ..., "statistics": ...}."""
    ### BEGIN SOLUTION
    modules = list(torch_model.modules())
    return {
        "biases": sum(m.out_channels for m in modules if isinstance(m, nn.Conv2d)),
        "statistics": sum(2 * m.num_features for m in modules if isinstance(m, nn.BatchNorm2d)),
    }
    ### END SOLUTION


# %%
checks.explain_difference(explain_difference)

# %% [markdown]
# ## 11.3 A bias finds a place
#
# *Difficulty ●●○, 15 minutes*
#
# In Keras, a convolution with a bias stands in front of the batch norm `bn`. In PyTorch, the same convolution has none.
# Change `bn` in place, so that in evaluation mode it makes up for the missing `conv_bias`: for every $x$, `bn` then
# gives for $x$ what it gave before for $x$ + `conv_bias`.
# - `conv_bias` is a parameter, one number for each channel, and stays as it is.
# - The parameters of `bn` stay the same objects, and can be trained.
# - Return nothing.
#
# <details><summary>Hint 1</summary>
# Write batch norm's formula down, with x + b in the place of x:
# (x + b − mean) / √(var + eps) · weight + bias. Where could b be hidden?
# </details>
# <details><summary>Hint 2</summary>
# x + b − mean is x − (mean − b). Autograd must not follow what you do:
# <code>with torch.no_grad():</code>
# </details>
# <details><summary>Hint 3</summary>
# Take <code>conv_bias</code> away from <code>bn.running_mean</code>.
# </details>


# %%
def fold_bias(conv_bias: Tensor, bn: nn.BatchNorm2d) -> None:
    """Move the bias of a convolution into the batch norm behind it, in place."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        bn.running_mean -= conv_bias
    ### END SOLUTION


# %%
checks.fold_bias(fold_bias)

# %%
checks.summary("frameworks")

# %% [markdown]
# ## What comes next
#
# You have the three tools that bring any convolutional network from Keras to PyTorch. `resnet_edu.weights.from_keras`
# is made of them. Read it: it fits on a page.
