# %% [markdown]
# # Exercises 02: plain networks
#
# You need [lesson 02](../lessons/02_plain_networks.ipynb). Plan about 50 minutes.
#
# You practise to
# - build the block of which plain networks are made,
# - give a network weights that keep the size of its signals,
# - measure the gradient layer by layer.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import checks

# %% [markdown]
# ## 2.1 The plain block
#
# *Difficulty ●○○, 15 minutes*
#
# Build two convolution blocks in a row as one `nn.Module`: convolution, batch norm, ReLU, convolution,
# batch norm, ReLU.
# - The modules are called `conv1`, `bn1`, `conv2`, `bn2`. There are no other parameters.
# - Both convolutions have kernels of 3x3 and no bias. At stride 1 height and width stay as they are.
# - `conv1` changes the number of channels, and the `stride` sits on it.
# - `bn1` and `bn2` have PyTorch's default settings.
# - Nothing is added to the output: shortcuts come later.
#
# <details><summary>Hint 1</summary>
# Start from your <code>ConvBlock</code> of an earlier exercise, and write its three steps twice.
# </details>
# <details><summary>Hint 2</summary>
# Write the shape after each line of <code>forward</code> as a comment. How many channels reach
# <code>conv2</code>?
# </details>
# <details><summary>Hint 3</summary>
# <code>conv1</code> goes from <code>in_channels</code> to <code>out_channels</code> with the stride,
# <code>conv2</code> from <code>out_channels</code> to <code>out_channels</code> without it. Both have a
# padding of 1. Each has a batch norm of its own.
# </details>


# %%
class PlainBlock(nn.Module):
    """Two 3x3 convolutions: (N, in_channels, H, W) to (N, out_channels, H', W')."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        out = F.relu(self.bn1(self.conv1(x)))  # (N, out_channels, H', W')
        return F.relu(self.bn2(self.conv2(out)))  # (N, out_channels, H', W')
        ### END SOLUTION


# %%
checks.plain_block(PlainBlock)

# %% [markdown]
# ## 2.2 He initialisation
#
# *Difficulty ●●○, 15 minutes*
#
# Give new weights to every `nn.Conv2d` in `model`, also to those inside of other modules:
# - drawn from a normal distribution with mean 0 and variance 2 / fan-out,
# - where fan-out is `out_channels` times the number of pixels of the kernel.
#
# Write them into the weights that are there: the `_` at the end of the name says "in place". The model
# keeps its parameters, and all other layers stay exactly as they are. A bias of a convolution may stay
# or become zero. Every call draws other numbers. Return nothing.
#
# <details><summary>Hint 1</summary>
# <code>model.modules()</code> gives all modules, also those inside of others. <code>isinstance</code>
# finds the convolutions.
# </details>
# <details><summary>Hint 2</summary>
# The functions of <code>torch.nn.init</code> write into a tensor and keep autograd out. One of them
# bears He's first name, Kaiming. Which of its settings stand for fan-out and for the ReLU?
# </details>
# <details><summary>Hint 3</summary>
# For each convolution call <code>nn.init.kaiming_normal_</code> with its weight, and set
# <code>mode</code> and <code>nonlinearity</code>. Or work out the standard deviation, the root of the
# variance, and call <code>nn.init.normal_</code>.
# </details>


# %%
def he_init_(model: nn.Module) -> None:
    """He initialisation of every convolution in `model`, in place."""
    ### BEGIN SOLUTION
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    ### END SOLUTION


# %%
checks.he_init_(he_init_)

# %% [markdown]
# ## 2.3 The gradient, layer by layer
#
# *Difficulty ●●●, 20 minutes*
#
# Measure what [lesson 02](../lessons/02_plain_networks.ipynb) draws. For each `nn.Conv2d` in `model`, also inside of other modules, find the
# gradient of the cross-entropy by the convolution's weight, and its L2 norm: the root of the sum of the
# squares.
#
# - `inputs` is a batch of images, `targets` holds the right classes. The model gives logits. The loss
#   is the mean over the batch.
# - Return a dictionary: the name of the module, as `model.named_modules()` has it, and the norm as a
#   `float`. Its order is the one in which the modules are defined.
# - The model is used in the mode it is in, and keeps its mode and its weights.
# - The model may still have gradients of an earlier pass. They must not change your result. Afterwards
#   the model has no gradients.
#
# <details><summary>Hint 1</summary>
# Four steps: clear the old gradients, go forward to the loss, go backward, read <code>.grad</code> of
# each weight. And clean up.
# </details>
# <details><summary>Hint 2</summary>
# <code>model.zero_grad()</code> clears. <code>F.cross_entropy</code> takes logits: it has the softmax
# inside. <code>.item()</code> makes a number out of a tensor with one entry.
# </details>
# <details><summary>Hint 3</summary>
# A comprehension over <code>model.named_modules()</code> with an <code>isinstance</code> gives the
# dictionary, in the right order: <code>module.weight.grad.norm().item()</code>. Return it after the
# gradients are cleared.
# </details>


# %%
def gradient_norms(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, float]:
    """The L2 norm of the gradient of each convolution's weight, by the module's name."""
    ### BEGIN SOLUTION
    model.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    norms = {
        name: module.weight.grad.norm().item()
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    model.zero_grad()
    return norms
    ### END SOLUTION


# %%
checks.gradient_norms(gradient_norms)

# %%
checks.summary("plain")

# %% [markdown]
# ## What comes next
#
# You have built the block, set its weights and measured its gradient: the three things of which
# [lesson 02](../lessons/02_plain_networks.ipynb) is made. Try `gradient_norms` on `resnet_edu.networks.cifar_plain(56)`, before and after you put in
# weights of your own choice. [Lesson 03](../lessons/03_degradation.ipynb) trains such a network, and meets a trouble that healthy
# gradients do not cure.
