# %% [markdown]
# # Exercises 08: transfer learning
#
# You need [lesson 08](../lessons/08_transfer_learning.ipynb). Plan about 75 minutes.
#
# You practise to
# - give a trained network a new head,
# - freeze its first stages, and keep them frozen in every sense,
# - let head and backbone learn at different rates,
# - find out how far its features get alone.
#
# **How it works.** Put your lines in the place of `raise NotImplementedError`, run the cell, then run
# the check below it. Any right answer passes, however you write it. Open one hint at a time.
#
# In all tasks, `model` is a ResNet in the form you know: `conv1` and `bn1` (the **stem**), the stages `layer1` to
# `layer4`, and the **head** `fc`, a linear layer.

# %%
import copy
import types

import torch
from torch import Tensor, nn

from resnet_edu import checks

# %% [markdown]
# ## 8.1 A new head
#
# *Difficulty ●○○, 10 minutes*
#
# Put a fresh linear layer with `num_classes` outputs in the place of `model.fc`. It takes as many features as the old one
# did, has a bias, and starts with new random numbers, also where the number of classes stays the same.
# - Change the model itself, and return nothing.
# - The rest of the model stays as it is, and everything can still be trained.
#
# <details><summary>Hint 1</summary>
# A module is an attribute like any other: setting <code>model.fc</code> replaces it.
# </details>
# <details><summary>Hint 2</summary>
# <code>nn.Linear</code> needs two numbers. How many features come in differs from network to network: the old
# head knows.
# </details>
# <details><summary>Hint 3</summary>
# The old head's number of features is <code>model.fc.in_features</code>. One line is enough.
# </details>


# %%
def replace_head(model: nn.Module, num_classes: int) -> None:
    """Put a fresh linear layer in the place of `model.fc`."""
    ### BEGIN SOLUTION
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    ### END SOLUTION


# %%
checks.replace_head(replace_head)

# %% [markdown]
# ## 8.2 Freeze the first stages
#
# *Difficulty ●●○, 15 minutes*
#
# Freeze the stem and every stage up to **and with** the one named `up_to`: their parameters get no gradient any more. What
# comes later, and the head, can still be trained. At first everything can be.
# - `up_to` is `"stem"`, `"layer1"`, `"layer2"`, `"layer3"` or `"layer4"`. For `"stem"` only the stem is frozen.
# - For any other name raise a `ValueError`, and change nothing.
#
# <details><summary>Hint 1</summary>
# A parameter is frozen when its <code>requires_grad</code> is <code>False</code>. Look at the spelling: Python lets you
# set any other name as well, without a word.
# </details>
# <details><summary>Hint 2</summary>
# Write the five names into a list in their order. The part of it up to and with <code>up_to</code> is a slice that
# ends at <code>names.index(up_to) + 1</code>. The stem is two modules.
# </details>
# <details><summary>Hint 3</summary>
# Go through <code>model.named_parameters()</code>. What stands before the first dot of a name tells the part:
# <code>conv1</code> and <code>bn1</code> are the stem.
# </details>


# %%
def freeze(model: nn.Module, up_to: str) -> None:
    """Freeze the stem and the stages up to and with `up_to`."""
    ### BEGIN SOLUTION
    names = ["stem", "layer1", "layer2", "layer3", "layer4"]
    if up_to not in names:
        raise ValueError(f"There is no stage {up_to!r}; the stages are {', '.join(names)}.")
    frozen = names[: names.index(up_to) + 1]
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        if part in ("conv1", "bn1"):
            part = "stem"
        if part in frozen:
            parameter.requires_grad = False
    ### END SOLUTION


# %%
checks.freeze(freeze)

# %% [markdown]
# ## 8.3 Frozen in every sense
#
# *Difficulty ●●●, 20 minutes*
#
# A frozen batch norm still changes: in train mode, its running statistics follow the images. Put `model` into train mode, but
# its frozen batch norms into evaluation mode. A batch norm is frozen if its parameters are.
# - **It must last.** A training loop calls `model.train()` again and again, for instance after each validation. The
#   frozen batch norms stay in evaluation mode then, too. To call `.eval()` on them once is not enough.
# - Everything else is in train mode: other batch norms, and dropout wherever it stands.
# - `model.eval()` still puts everything into evaluation mode, and a later `model.train()` brings all of this back.
# - Keep the modules that are there, and change no class of PyTorch: other networks use them, too. Return nothing.
#
# <details><summary>Hint 1</summary>
# <code>model.train(mode)</code> calls <code>train(mode)</code> of every module inside, and <code>model.eval()</code> is
# nothing but <code>model.train(False)</code>. So what a batch norm's own <code>train</code> does decides everything.
# </details>
# <details><summary>Hint 2</summary>
# An object can have a <code>train</code> of its own, which comes before that of its class:
# <code>bn.train = ...</code> on a single batch norm. It gets a mode and returns the module. For a frozen one it can
# leave the mode at evaluation, whatever it is given.
# </details>
# <details><summary>Hint 3</summary>
# Write a function <code>train(bn, mode=True)</code> that calls
# <code>nn.BatchNorm2d.train(bn, mode and bn.weight.requires_grad)</code> and returns <code>bn</code>.
# <code>types.MethodType(train, bn)</code> makes a method of it for this one batch norm. Then call
# <code>model.train()</code>.
# </details>


# %%
def train_mode(model: nn.Module) -> None:
    """Train mode, in which frozen batch norms are in evaluation mode, and stay so."""
    ### BEGIN SOLUTION
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]

    def train(bn, mode=True):
        return nn.BatchNorm2d.train(bn, mode and bn.weight.requires_grad)

    for bn in norms:
        bn.train = types.MethodType(train, bn)
    model.train()
    ### END SOLUTION


# %%
checks.train_mode(train_mode)

# %% [markdown]
# ## 8.4 Rates of their own
#
# *Difficulty ●●○, 10 minutes*
#
# A new head has everything to learn, and the backbone little. Give back groups of parameters that any optimiser of PyTorch
# takes in the place of `model.parameters()`: a list of dictionaries, each with `"params"` (a list of parameters) and
# `"lr"` (their learning rate).
# - The parameters of `model.fc` learn at `head_lr`, all others at `backbone_lr`.
# - Each parameter that can be trained is in one group, once. Frozen ones are in none, wherever they stand.
# - The head is the module `model.fc`, and nothing else: blocks may have modules called `fc1` inside, as those of
#   squeeze-and-excitation networks do.
#
# <details><summary>Hint 1</summary>
# <code>model.named_parameters()</code> gives each parameter once, with its name. Two lists and one loop are enough.
# </details>
# <details><summary>Hint 2</summary>
# Take only parameters with <code>requires_grad</code>. Do not compare tensors by <code>in</code> or <code>==</code>:
# that compares their numbers. Compare names.
# </details>
# <details><summary>Hint 3</summary>
# The parameters of the head are those whose name starts with <code>"fc."</code>, with the dot.
# </details>


# %%
def parameter_groups(model: nn.Module, head_lr: float, backbone_lr: float) -> list[dict]:
    """Every trainable parameter once: the head's at `head_lr`, all others at `backbone_lr`."""
    ### BEGIN SOLUTION
    head, backbone = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (head if name.startswith("fc.") else backbone).append(parameter)
    return [{"params": head, "lr": head_lr}, {"params": backbone, "lr": backbone_lr}]
    ### END SOLUTION


# %%
checks.parameter_groups(parameter_groups)

# %% [markdown]
# ## 8.5 How far the features get
#
# *Difficulty ●●●, 20 minutes*
#
# The linear probe: fit a linear classifier on what comes into `model.fc`, and give back its accuracy on other images.
# `train` and `test` are pairs (images, labels) of tensors: (N, 3, H, W), and (N,) with class numbers from 0 on.
# - Compute the features in evaluation mode and without gradients.
# - Fit the classifier on `train` alone; the accuracy is that on `test`, from 0 to 1, a float. Any linear classifier will
#   do, from scikit-learn or your own in PyTorch. The check gives your code 1.5 seconds: a few hundred steps of
#   training are plenty.
# - The model is left as you found it: its mode, its numbers, its head. It may come in either mode.
#
# <details><summary>Hint 1</summary>
# If <code>fc</code> is an <code>nn.Identity</code>, the model gives back its features. Do that on a copy,
# <code>copy.deepcopy(model)</code>, and the model itself is never touched.
# </details>
# <details><summary>Hint 2</summary>
# <code>copied.eval()</code> and <code>with torch.no_grad():</code> are two different things, and you need both.
# </details>
# <details><summary>Hint 3</summary>
# <code>from sklearn.linear_model import LogisticRegression</code>. Its <code>fit(features, labels)</code> and
# <code>score(features, labels)</code> take numpy arrays: <code>tensor.numpy()</code>.
# </details>


# %%
def linear_probe(
    model: nn.Module, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> float:
    """The accuracy on `test` of a linear classifier fitted on the features of `train`."""
    ### BEGIN SOLUTION
    from sklearn.linear_model import LogisticRegression

    copied = copy.deepcopy(model).eval()
    copied.fc = nn.Identity()
    with torch.no_grad():
        known, unknown = copied(train[0]).numpy(), copied(test[0]).numpy()
    classifier = LogisticRegression(max_iter=1000).fit(known, train[1].numpy())
    return classifier.score(unknown, test[1].numpy())
    ### END SOLUTION


# %%
checks.linear_probe(linear_probe)

# %%
checks.summary("transfer")

# %% [markdown]
# ## What comes next
#
# These five functions are fine-tuning, all of it. `resnet_edu.transfer` has them in a form for daily use, and
# `resnet-edu finetune` puts them to work on a folder of your own photos.
