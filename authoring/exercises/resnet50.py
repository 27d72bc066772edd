# %% [markdown]
# # Exercises 06: bottlenecks and ResNet-50
#
# You need [lesson 06](../lessons/06_resnet50.ipynb). Plan about 90 minutes.
#
# You practise to
# - build the bottleneck, which makes deep networks affordable,
# - stack bottlenecks to stages, and stages to the ResNet-50 that everybody uses,
# - count its 50 layers,
# - load weights by name, and say what did not fit.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import checks, networks

# %% [markdown]
# ## 6.1 The bottleneck
#
# *Difficulty ●●○, 20 minutes*
#
# Three convolutions, each with batch norm, and a shortcut around them (He et al. 2015, figure 5, right):
# - `conv1`, `bn1`, ReLU: a 1x1 convolution down to `width` channels.
# - `conv2`, `bn2`, ReLU: a 3x3 convolution on those. The stride is here, as in PyTorch's ResNet-50.
# - `conv3`, `bn3`: a 1x1 convolution up to `expansion` times `width` channels.
# - Then the shortcut is added, and the sum goes through a ReLU. No convolution has a bias.
# - Where the block changes the shape, the shortcut is `downsample`: an `nn.Sequential` of a 1x1
#   convolution with the block's stride, and a batch norm. Elsewhere it is the identity, without
#   parameters.
#
# <details><summary>Hint 1</summary>
# Start from your <code>BasicBlock</code> of an earlier exercise. One convolution more, and other kernels. How many
# channels go into each convolution, and how many come out?
# </details>
# <details><summary>Hint 2</summary>
# The channels are <code>in_channels</code>, <code>width</code>, <code>width</code>, and the last number is
# what comes out of the block. Compare <b>that</b> number with <code>in_channels</code> to see whether the
# shape changes.
# </details>
# <details><summary>Hint 3</summary>
# Write <code>out_channels = self.expansion * width</code>. There is a projection if <code>stride != 1 or
# in_channels != out_channels</code>, also in a block without a stride.
# </details>


# %%
class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut: (N, in_channels, H, W) to (N, 4 * width, H', W')."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
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
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x))
        ### END SOLUTION


# %%
checks.bottleneck(Bottleneck)

# %% [markdown]
# ## 6.2 A stage
#
# *Difficulty ●○○, 10 minutes*
#
# A stage is a number of bottlenecks one after the other, all of one `width`:
# - the first block takes `in_channels` channels and has the stride,
# - each further block takes what the block before it gives, and keeps the size.
#
# Use your `Bottleneck`. If it is not finished yet, go on with the library's, `networks.Bottleneck`: it
# takes the same arguments.
#
# <details><summary>Hint 1</summary>
# How many channels does the second block get? It is neither <code>in_channels</code> nor
# <code>width</code>.
# </details>
# <details><summary>Hint 2</summary>
# Make a list with the first block, add the others in a loop, and hand it to <code>nn.Sequential</code>
# with a star: <code>nn.Sequential(*list_of_blocks)</code>. Each turn of the loop makes a new block.
# </details>
# <details><summary>Hint 3</summary>
# The first is <code>Bottleneck(in_channels, width, stride)</code>. Then come <code>blocks - 1</code> times
# <code>Bottleneck(Bottleneck.expansion * width, width)</code>.
# </details>


# %%
def make_stage(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """A stage of bottlenecks: (N, in_channels, H, W) to (N, 4 * width, H', W')."""
    ### BEGIN SOLUTION
    stage = [Bottleneck(in_channels, width, stride)]
    for _ in range(blocks - 1):
        stage.append(Bottleneck(Bottleneck.expansion * width, width))
    return nn.Sequential(*stage)
    ### END SOLUTION


# %%
checks.make_stage(make_stage)

# %% [markdown]
# ## 6.3 ResNet-50
#
# *Difficulty ●●●, 25 minutes*
#
# Build the whole network, so that torchvision's weights load into it and give the same logits:
# - the stem: `conv1`, a 7x7 convolution to 64 channels with stride 2 and no bias, `bn1`, ReLU, and a 3x3
#   max-pool with stride 2. Both halve the image exactly, so both need padding;
# - the stages: `layer1` to `layer4`, of 3, 4, 6 and 3 bottlenecks. Their widths are 64, 128, 256 and 512.
#   Each but the first halves the image;
# - the head: the mean of each channel, and `fc`, a linear layer that gives `num_classes` logits.
#
# Images of any size go in, not only of 224 pixels. Use your `make_stage`, or
# `networks.make_stage(networks.Bottleneck, in_channels, width, blocks, stride)`.
#
# <details><summary>Hint 1</summary>
# Only what has weights needs its name. The ReLU and the two pools may be modules or functions. How many
# channels come out of each stage?
# </details>
# <details><summary>Hint 2</summary>
# 64 channels go into <code>layer1</code>, and 256, 512 and 1024 into the others. A 7x7 kernel needs a
# padding of 3, a 3x3 window a padding of 1.
# </details>
# <details><summary>Hint 3</summary>
# <code>nn.AdaptiveAvgPool2d(1)</code> takes the mean of a map of any size and gives (N, 2048, 1, 1);
# <code>.flatten(1)</code> makes (N, 2048) of it. Or write <code>x.mean((2, 3))</code>. No softmax at the
# end.
# </details>


# %%
class ResNet50(nn.Module):
    """Images (N, 3, H, W) to logits (N, num_classes)."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = make_stage(64, 64, 3, stride=1)
        self.layer2 = make_stage(256, 128, 4, stride=2)
        self.layer3 = make_stage(512, 256, 6, stride=2)
        self.layer4 = make_stage(1024, 512, 3, stride=2)
        self.fc = nn.Linear(2048, num_classes)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))
        ### END SOLUTION


# %%
checks.resnet50(ResNet50)

# %% [markdown]
# ## 6.4 Where are the 50 layers?
#
# *Difficulty ●○○, 10 minutes*
#
# The number in the name counts the layers with weights on the way through the network: convolutions and
# linear layers. Batch norms do not count, and neither do the convolutions on shortcuts.
#
# Count them in any of the library's networks `networks.resnet18()` to `networks.resnet152()`. To have a
# look at one:

# %%
for name, module in networks.resnet18().layer2[0].named_modules():
    print(name, type(module).__name__)

# %% [markdown]
# <details><summary>Hint 1</summary>
# <code>model.named_modules()</code> gives every module with its name, those inside others too.
# </details>
# <details><summary>Hint 2</summary>
# <code>isinstance(module, (nn.Conv2d, nn.Linear))</code> finds the layers. What do the names of those on a
# shortcut have in common?
# </details>
# <details><summary>Hint 3</summary>
# Count those of the right kind for which <code>"downsample" not in name</code>.
# </details>


# %%
def count_layers(model: nn.Module) -> int:
    """The number in the name: 18, 34, 50, 101 or 152."""
    ### BEGIN SOLUTION
    return sum(
        isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in name
        for name, module in model.named_modules()
    )
    ### END SOLUTION


# %%
checks.count_layers(count_layers)

# %% [markdown]
# ## 6.5 Weights by name
#
# *Difficulty ●●●, 25 minutes*
#
# Load `state_dict`, a dictionary of tensors, into `model`. Only names decide which tensor goes where,
# never their order.
# - Copy each tensor whose name the model has, into the tensor that is there: parameters stay the same
#   objects, so that an optimiser still knows them. Running statistics are loaded too.
# - Give back two lists of names: those that the model has and `state_dict` has not (missing), and those
#   that `state_dict` has and the model has not (unexpected). Any order will do.
# - If a tensor has another shape than the model's of that name, raise a `ValueError` with its name in the
#   text. Then nothing in the model has changed.
# - `state_dict` is untouched.
#
# <details><summary>Hint 1</summary>
# <code>model.state_dict()</code> gives the model's own tensors by name, parameters and buffers. They share
# their memory with the model: what you copy into them is in the model.
# </details>
# <details><summary>Hint 2</summary>
# Go through the names twice: first to look at all shapes, then to copy. <code>copy_</code> alone would
# stretch a tensor of one number without a word.
# </details>
# <details><summary>Hint 3</summary>
# After the shapes are looked at, <code>model.load_state_dict(state_dict, strict=False)</code> copies, and
# gives back <code>missing_keys</code> and <code>unexpected_keys</code>. Or do it yourself:
# <code>own[name].copy_(tensor)</code>, and two lists with an <code>if</code> in them.
# </details>


# %%
def load_by_name(model: nn.Module, state_dict: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Load what has a name in the model. Gives the missing and the unexpected names."""
    ### BEGIN SOLUTION
    own = model.state_dict()
    for name, tensor in state_dict.items():
        if name in own and own[name].shape != tensor.shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}, and the model wants {tuple(own[name].shape)}"
            )
    for name, tensor in state_dict.items():
        if name in own:
            own[name].copy_(tensor)
    missing = [name for name in own if name not in state_dict]
    unexpected = [name for name in state_dict if name not in own]
    return missing, unexpected
    ### END SOLUTION


# %%
checks.load_by_name(load_by_name)

# %%
checks.summary("resnet50")

# %% [markdown]
# ## What comes next
#
# You have built the ResNet-50 that everybody uses, and the tool that fills it. Put the two to work:
# torchvision's network, with the random weights that it starts with, and yours are to say the same.
#
# ```python
# import torch
# import torchvision
#
# theirs, mine = torchvision.models.resnet50().eval(), ResNet50().eval()
# print(load_by_name(mine, theirs.state_dict()))
# images = torch.randn(2, 3, 64, 64)
# print((mine(images) - theirs(images)).abs().max())
# ```
#
# And with the weights of ImageNet, a download of 98 MB, your own network knows what is in a photo:
# `load_by_name(mine, weights.imagenet().state_dict())`, with `from resnet_edu import weights`. [Lesson 06](../lessons/06_resnet50.ipynb)
# shows how to ask it.
