# %% [markdown]
# # Exercises 03: training, and the degradation problem
#
# You need [lesson 03](../lessons/03_degradation.ipynb). Plan about 60 minutes.
#
# You practise to
# - write one step of training, and measure an accuracy without harm,
# - build a plain network of any depth,
# - make a network deeper without changing what it computes.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
import copy
from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import checks
from resnet_edu.blocks import PlainBlock

# %% [markdown]
# ## 3.1 One step of training
#
# *Difficulty ●○○, 10 minutes*
#
# Let the model learn from one batch: images `inputs` and their classes `targets`. The model gives logits, and is in
# training mode. The loss is the cross-entropy, its mean over the batch.
# - Gradients of earlier passes must not count.
# - `optimizer` moves the weights. It may be any of PyTorch's optimisers.
# - Return the loss as a `float`: the one that the gradients came from.
#
# <details><summary>Hint 1</summary>
# Five lines: clear the old gradients, go forward, compute the loss, go backward, step.
# </details>
# <details><summary>Hint 2</summary>
# Two of the lines are calls of the optimiser, one is a call of the loss. <code>F.cross_entropy</code>
# takes logits.
# </details>
# <details><summary>Hint 3</summary>
# <code>optimizer.zero_grad()</code>, <code>loss.backward()</code>, <code>optimizer.step()</code>; and
# <code>loss.item()</code> is the number.
# </details>


# %%
def train_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor
) -> float:
    """Move the weights once; the loss of this batch before the move."""
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %%
checks.train_step(train_step)

# %% [markdown]
# ## 3.2 Accuracy
#
# *Difficulty ●●○, 15 minutes*
#
# Which share of the images does the model put into the right class? `batches` gives pairs of inputs
# and targets, as a `DataLoader` does. You can go through it once, it may have no length, and its batches may differ in
# size.
# - Return a `float` from 0 to 1.
# - Measure in evaluation mode. Afterwards the model is in the mode in which it came, and its weights and
#   batch norm's running statistics are unchanged.
#
# <details><summary>Hint 1</summary>
# Count two things: the images with a right answer, and all images. Divide at the end.
# </details>
# <details><summary>Hint 2</summary>
# <code>model.training</code> says in which mode the model is; <code>model.train(mode)</code> sets it.
# <code>torch.no_grad()</code> saves memory, but changes no mode.
# </details>
# <details><summary>Hint 3</summary>
# The class is where the logit is largest: <code>argmax(1)</code>. Comparing it with the targets gives
# True and False, and their sum is a count.
# </details>


# %%
def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The share of right answers, 0 to 1, in evaluation mode."""
    ### BEGIN SOLUTION
    before = model.training
    model.eval()
    right = total = 0
    with torch.no_grad():
        for inputs, targets in batches:
            right += (model(inputs).argmax(1) == targets).sum().item()
            total += len(targets)
    model.train(before)
    return right / total
    ### END SOLUTION


# %%
checks.accuracy(accuracy)

# %% [markdown]
# ## 3.3 A plain network of any depth
#
# *Difficulty ●●○, 20 minutes*
#
# Build the network that [lesson 03](../lessons/03_degradation.ipynb) trains, from `PlainBlock`s, for images with 3 channels:
# - `conv1`, `bn1`, ReLU: a 3x3 convolution to 16 channels, stride 1, padding 1, no bias.
# - `layer1`, `layer2`, `layer3`: an `nn.Sequential` of n blocks each, with 16, 32 and 64 channels. The first
#   block of `layer2` and of `layer3` has stride 2, and changes the number of channels.
# - The mean over height and width of each channel, then `fc`, a linear layer to `num_classes` logits.
#
# It has 6n + 2 layers. Another depth than 8, 14, 20, ... raises a `ValueError`.
#
# <details><summary>Hint 1</summary>
# Write a class with <code>__init__</code> and <code>forward</code> and let <code>plain_network</code>
# make one, or give an <code>nn.Sequential</code> an <code>OrderedDict</code> of names and modules. How
# many blocks does a stage have at depth 8?
# </details>
# <details><summary>Hint 2</summary>
# A function that makes one stage from the channels that go in, those that come out, n and the
# stride saves you from writing it three times. <code>nn.Sequential(*blocks)</code> takes a list of blocks.
# </details>
# <details><summary>Hint 3</summary>
# <code>(depth - 2) % 6</code> must be 0, and n is <code>(depth - 2) // 6</code>. The mean over height
# and width is <code>x.mean((2, 3))</code>, or <code>nn.AdaptiveAvgPool2d(1)</code> and a flatten.
# </details>


# %%
def plain_network(depth: int, num_classes: int = 10) -> nn.Module:
    """The plain network of `depth` 6n + 2 layers."""
    ### BEGIN SOLUTION
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 8, 14, 20, ... (6n + 2), and was {depth}")
    n = (depth - 2) // 6

    def stage(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
        rest = [PlainBlock(out_channels, out_channels) for _ in range(n - 1)]
        return nn.Sequential(PlainBlock(in_channels, out_channels, stride), *rest)

    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 16, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(16),
            relu=nn.ReLU(),
            layer1=stage(16, 16, stride=1),
            layer2=stage(16, 32, stride=2),
            layer3=stage(32, 64, stride=2),
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(64, num_classes),
        )
    )
    ### END SOLUTION


# %%
checks.plain_network(plain_network)

# %% [markdown]
# ## 3.4 Deeper by the identity
#
# *Difficulty ●●●, 20 minutes*
#
# `model` is a trained network as in `plain_network`. Make a new one that has `extra_blocks` plain blocks more, in the whole
# network, and computes the same in evaluation mode.
# - You may add the blocks at the end of any stage.
# - Each added block is a `PlainBlock`, whose weights you set.
# - The given network is untouched, and shares no weights with the new one.
#
# <details><summary>Hint 1</summary>
# A block can hand on its input, as its input has no negative numbers. What must each of its convolutions
# and batch norms do? <a href="../lessons/03_degradation.ipynb">Lesson 03</a>, section 5.
# </details>
# <details><summary>Hint 2</summary>
# <code>copy.deepcopy</code> gives you a network of your own. <code>nn.init.dirac_</code> makes a
# convolution hand on its input. An <code>nn.Sequential</code> has <code>append</code>.
# </details>
# <details><summary>Hint 3</summary>
# In evaluation mode a new batch norm divides by the root of 1 + eps, as its running variance is 1. Its
# weight can make up for that. The number of channels of the last stage is
# <code>model.fc.in_features</code>.
# </details>


# %%
def deepen_by_identity(model: nn.Module, extra_blocks: int) -> nn.Module:
    """A new network, `extra_blocks` blocks deeper, that computes the same."""
    ### BEGIN SOLUTION
    deeper = copy.deepcopy(model)
    channels = deeper.fc.in_features
    for _ in range(extra_blocks):
        block = PlainBlock(channels, channels)
        for conv, bn in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            nn.init.dirac_(conv.weight)
            nn.init.constant_(bn.weight, (1 + bn.eps) ** 0.5)
        deeper.layer3.append(block)
    return deeper.train(model.training)
    ### END SOLUTION


# %%
checks.deepen_by_identity(deepen_by_identity)

# %%
checks.summary("degradation")

# %% [markdown]
# ## What comes next
#
# You have the loop, the measure, the network and the argument: all of [lesson 03](../lessons/03_degradation.ipynb). Put them together: train your
# `plain_network(20)` with your `train_step` on `resnet_edu.data.digits()`, deepen it, and measure
# both. In [lesson 04](../lessons/04_residual_blocks.ipynb) the identity need not be set by hand any more.
