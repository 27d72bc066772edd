# %% [markdown]
# # Exercises 07: inside a trained ResNet
#
# You need [lesson 07](../lessons/07_inside_a_resnet.ipynb). Plan about 70 minutes.
#
# You practise to
# - catch what any module of a network puts out,
# - draw the map of where a network finds its evidence for a class,
# - measure what each block is worth,
# - look into a network and leave it as you found it.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.

# %%
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import blocks, checks

# %% [markdown]
# ## 7.1 What a module puts out
#
# *Difficulty ●●○, 20 minutes*
#
# Run `model` once on `inputs`, and give back the outputs of the modules with these names, in a dictionary: for
# `names=["conv1", "layer1.0.bn2"]` it has these two keys. The names are those of `model.named_modules()`. The
# model is in evaluation mode.
# - Each output is what the module put out **at that moment**. Some networks work in place: what comes next
#   overwrites the numbers, and yours must stay.
# - Afterwards no hook of yours is left in the model, and those that were there before still are. That holds after an
#   error, too: images may be of a wrong shape.
# - A name that the model does not have raises an error. Which one is up to you.
#
# <details><summary>Hint 1</summary>
# <code>module.register_forward_hook(function)</code> calls <code>function(module, inputs, output)</code> each time
# the module has run. It returns a handle, and <code>handle.remove()</code> takes the hook away.
# <code>model.get_submodule(name)</code> finds a module, also one with dots in its name.
# </details>
# <details><summary>Hint 2</summary>
# Each hook must know its own name. A function that is made in a loop sees the loop's variable as it is when the hook
# runs, and by then the loop is over. Make the hook in a function that gets the name. And copy the output:
# <code>output.clone()</code>.
# </details>
# <details><summary>Hint 3</summary>
# Register all hooks and keep the handles in a list. Then <code>try:</code> run the model, <code>finally:</code>
# remove every handle. If you look up all modules before you register the first hook, an unknown name leaves nothing
# behind.
# </details>


# %%
def capture(model: nn.Module, names: list[str], inputs: Tensor) -> dict[str, Tensor]:
    """The outputs of the named modules for `inputs`, by name."""
    ### BEGIN SOLUTION
    outputs = {}

    def hook_for(name):
        def hook(module, inputs, output):
            outputs[name] = output.clone()

        return hook

    modules = {name: model.get_submodule(name) for name in names}
    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules.items()]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return outputs
    ### END SOLUTION


# %%
checks.capture(capture)

# %% [markdown]
# ## 7.2 Where the evidence is
#
# *Difficulty ●●●, 25 minutes*
#
# Grad-CAM (Selvaraju et al. 2017, section 3) for one image (C, H, W), one class and one layer. The layer is a module's
# name, such as `"layer4"` or `"layer3.0.conv2"`, and puts out maps (1, channels, h, w). The model is in evaluation mode.
# 1. Take the gradient of the **logit** of class `class_index` with respect to the layer's maps.
# 2. The weight of a channel is the mean of its gradient over all places.
# 3. Add up the maps, each times its weight: (1, 1, h, w).
# 4. ReLU: what speaks against the class is left out.
# 5. Enlarge to the image's height and width, bilinearly, with `align_corners=False`.
# 6. Divide by the largest number. Where all are zero they stay zero.
#
# Give back a tensor (H, W). The model is left as you found it: no hook, the same mode, and no `.grad` in its
# parameters.
#
# <details><summary>Hint 1</summary>
# Catch the maps with a forward hook, as in `capture`. But keep the output itself: the logit is computed from it, and not
# from a copy. The network takes a batch: <code>image[None]</code> is one of one image.
# </details>
# <details><summary>Hint 2</summary>
# <code>torch.autograd.grad(logit, maps)</code> gives a tuple with one gradient in it, of the shape of
# <code>maps</code>, and writes nothing into the parameters. Its mean over places is
# <code>gradient.mean((2, 3), keepdim=True)</code>.
# </details>
# <details><summary>Hint 3</summary>
# <code>F.interpolate(heat, image.shape[1:], mode="bilinear", align_corners=False)</code> enlarges a tensor
# (1, 1, h, w). Take <code>[0, 0]</code> of it, and divide only if <code>heat.max() &gt; 0</code>.
# </details>


# %%
def grad_cam(model: nn.Module, layer: str, image: Tensor, class_index: int) -> Tensor:
    """The heat map (H, W) of a class, from 0 to 1, for an image (C, H, W)."""
    ### BEGIN SOLUTION
    caught = []
    module = model.get_submodule(layer)
    handle = module.register_forward_hook(lambda module, inputs, output: caught.append(output))
    try:
        logits = model(image[None])
    finally:
        handle.remove()
    maps = caught[0]
    (gradient,) = torch.autograd.grad(logits[0, class_index], maps)

    weights = gradient.mean((2, 3), keepdim=True)
    heat = F.relu((weights * maps.detach()).sum(1, keepdim=True))
    heat = F.interpolate(heat, image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    return heat / heat.max() if heat.max() > 0 else heat
    ### END SOLUTION


# %%
checks.grad_cam(grad_cam)

# %% [markdown]
# ## 7.3 What a block is worth
#
# *Difficulty ●●●, 25 minutes*
#
# How much accuracy does the network lose without one of its blocks? Take out each block in turn: put the identity in its
# place, measure, and put the block back. `batches` is a list of pairs (images, labels), of unequal sizes.
# - The model is a `ResNet` of this library. Its blocks stand in the stages `layer1` to `layer4`, and are of the
#   classes `blocks.BasicBlock` or `blocks.Bottleneck`.
# - Only blocks that keep the shape of their input can be taken out. In them the shortcut, `block.downsample`, is an
#   `nn.Identity`.
# - The keys are the blocks' names in the model, such as `"layer1.1"`. The values are floats: the accuracy of the whole
#   network minus the accuracy without the block, both in evaluation mode and over all images. Where the network is better
#   without a block, that is negative.
# - The model is left as you found it, also after an error: the blocks are in their places, no number has changed, and
#   **each module** is in the mode it had. In a model in train mode, a frozen batch norm may be in evaluation mode.
#
# <details><summary>Hint 1</summary>
# Begin with a function that gives the accuracy of a model over all batches, as in the exercise `accuracy`. There is a short
# way to leave a model as you found it: work on a copy of it, made by <code>copy.deepcopy</code>.
# </details>
# <details><summary>Hint 2</summary>
# <code>model.named_modules()</code> gives names and modules; make a list of the blocks before you change anything. A
# name <code>"layer1.1"</code> falls into two parts: <code>stage, place = name.split(".")</code>.
# </details>
# <details><summary>Hint 3</summary>
# <code>copied.get_submodule(stage)[int(place)] = nn.Identity()</code> takes a block of the copy out, and
# <code>... = block</code> puts it back. Measure the whole network once, before the loop.
# </details>


# %%
def block_importance(model: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """The accuracy that is lost without each block that keeps the shape, by the block's name."""
    ### BEGIN SOLUTION
    copied = copy.deepcopy(model).eval()

    def accuracy():
        with torch.no_grad():
            right = sum((copied(x).argmax(1) == y).sum().item() for x, y in batches)
        return right / sum(len(y) for _, y in batches)

    kinds = (blocks.BasicBlock, blocks.Bottleneck)
    found = [(name, module) for name, module in copied.named_modules() if isinstance(module, kinds)]
    whole, lost = accuracy(), {}
    for name, block in found:
        if isinstance(block.downsample, nn.Identity):
            stage, place = name.split(".")
            copied.get_submodule(stage)[int(place)] = nn.Identity()
            lost[name] = whole - accuracy()
            copied.get_submodule(stage)[int(place)] = block
    return lost
    ### END SOLUTION


# %%
checks.block_importance(block_importance)

# %%
checks.summary("inside")

# %% [markdown]
# ## What comes next
#
# You have three tools that work on any trained network, and leave no trace. Try them on the one in the box:
# `resnet_edu.weights.bundled()`. In [lesson 08](../lessons/08_transfer_learning.ipynb) you put it to new work.
