# %% [markdown]
# # 04 Residual blocks
#
# One addition turned a network that fails into one that learns. Now you take the residual block apart: what
# each of its parts is for, what it costs to start it as the identity, and what may stand in where the identity does
# not fit. Some famous claims hold at our size, and some do not. You will see which.
#
# **Afterwards you can**
# - write a residual block, and say what breaks without each part of it,
# - make a block the exact identity, and say what that costs and gains,
# - compare kinds of shortcuts by parameters, cost and training.
#
# **You need** [lesson 03](03_degradation.ipynb). **Time:** about 40 minutes, of which up to five are the computer's.

# %%
import difflib
import inspect
from functools import partial
from itertools import islice

import torch
from torch import nn

from resnet_edu import data, draw, measure, training, widgets
from resnet_edu.blocks import BasicBlock, PlainBlock, conv1x1, padding_shortcut
from resnet_edu.networks import CifarResNet, cifar_resnet, zero_init_residual_
from resnet_edu.training import Recipe

# %%
digits = data.digits("train", size=16)  # 1,500 images (3, 16, 16) with their classes

# %% [markdown]
# ## 1. The difference
#
# Here is all that makes a plain block residual: the source of the two blocks, compared line by line. A line
# with `-` is in the plain block only, one with `+` in the residual block only.

# %%
before = inspect.getsource(PlainBlock.forward).splitlines()
after = inspect.getsource(BasicBlock.forward).splitlines()
changes = [line for line in difflib.ndiff(before, after) if line[0] != "?"]

assert sum(line[0] in "+-" for line in changes) == 2
print("\n".join(changes))

# %% [markdown]
# `downsample` is the **shortcut**. Where the block keeps the shape of its input, it is the identity. What the rest
# computes is the **residual**: what to add to the input. The sum then goes through a ReLU.
#
# ## 2. What each part is for
#
# Take one part away at a time, or move it. Networks of 20 layers, in five forms:


# %%
def no_batch_norm(*shape):
    block = residual(*shape)
    block.bn1, block.bn2 = nn.Identity(), nn.Identity()
    return block


def no_relu(*shape):
    block = residual(*shape)
    block.relu1, block.relu2 = nn.Identity(), nn.Identity()
    return block


residual = partial(BasicBlock, shortcut=padding_shortcut)  # its shortcuts have no parameters


# %%
class ReluBeforeAddition(BasicBlock):
    def forward(self, x):
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        return out + self.downsample(x)


forms = {
    "complete": residual,
    "ReLU before the addition": partial(ReluBeforeAddition, shortcut=padding_shortcut),
    "no ReLU": no_relu,
    "no shortcut": PlainBlock,
    "no batch norm": no_batch_norm,
}
guess = widgets.Prediction("Training accuracy after 40 steps, in percent?", list(forms), 0, 100)
guess


# %%
def train_forms(forms, depth=20):
    """Train five networks made of each form of block, for 40 steps."""
    trained, histories = {name: [] for name in forms}, {name: [] for name in forms}
    runs = [(name, seed) for name in forms for seed in range(5)]
    for name, seed in widgets.progress(runs, len(runs), "Five seeds for each form"):
        torch.manual_seed(seed)
        trained[name].append(CifarResNet(forms[name], depth))
        recipe = Recipe(steps=40, seed=seed)
        history = training.fit(trained[name][-1], digits, recipe, on_step=training.quiet)
        histories[name].append(history)
    return trained, histories


ablated, histories = train_forms(forms)


# %%
def accuracies_after(step):
    """The accuracies after so many steps, sorted; the middle one of five is at place 2."""
    return {
        name: sorted(draw.smoothed(h.accuracies)[step - 1] for h in runs)
        for name, runs in histories.items()
    }


half_way, at_end = accuracies_after(20), accuracies_after(40)
assert at_end["complete"][0] > 0.75
assert at_end["no batch norm"][-1] < 0.3
assert at_end["no shortcut"][2] < 0.65
assert half_way["ReLU before the addition"][2] < half_way["complete"][2]
assert half_way["no ReLU"][2] > half_way["complete"][2]

# %%
colours = ("residual", "third", "fourth", "plain", "neutral")
looks = dict(zip(forms, colours, strict=True))
draw.show(draw.training_accuracy(histories, colours=looks, predicted=guess.values))

# %% [markdown]
# The surprise is the network without ReLUs: it starts faster than the complete one. Are they of use at all? Give
# the blocks two inputs and their mean. If the output for the mean is the mean of the outputs, the blocks
# are **linear**.


# %%
def bend(network):
    """How far the blocks are from linear: 0 is linear."""
    blocks = nn.Sequential(*network.eval().children())[3:6]  # layer1, layer2, layer3
    torch.manual_seed(0)
    a, b = torch.rand(2, 8, 16, 16, 16)
    with torch.no_grad():
        between, mean = blocks((a + b) / 2), (blocks(a) + blocks(b)) / 2
    return ((between - mean).norm() / mean.norm()).item()


assert max(bend(network) for network in ablated["no ReLU"]) < 1e-4
assert min(bend(network) for network in ablated["complete"]) > 0.05

# %% [markdown]
# - **Batch norm** keeps the sum in bounds. Without it, nothing is learned with this recipe: the numbers grow from
#   block to block, as in [lesson 02](02_plain_networks.ipynb).
# - **The shortcut** is what [lesson 03](03_degradation.ipynb) was about.
# - **The ReLU's place** matters. If it comes before the addition, a branch can only add, and never take away:
#   the numbers grow, and learning begins later.
# - **The ReLU** is the part that bends. Without it nine blocks, once trained, compute no more than one linear layer
#   could. For these easy digits that is nearly enough, and easy to learn. It is depth for nothing.
#
# ## 3. The identity, exactly
#
# Each batch norm ends with a multiplication by its weight, **gamma**. Set the last gamma of a branch to zero, and
# the branch gives zero. Then the block is its shortcut: the identity. Not nearly, but bit for bit.

# %%
block = residual(16, 16)
nn.init.zeros_(block.bn2.weight)
x = torch.rand(8, 16, 16, 16)  # like all that comes out of a ReLU: not negative

assert torch.equal(block(x), x)
assert torch.equal(block.eval()(x), x)

# %% [markdown]
# Goyal et al. (2017) start ResNets like this, to make the beginning gentle. What do the first steps look like?
# We train ResNet-56 from usual weights, and from zero gammas.


# %%
def first_steps(network, seed, steps=25):
    """The history of the first steps of the usual recipe of 100."""
    *_, history = islice(training.steps(network, digits, Recipe(seed=seed)), steps)
    return history


# %%
starts = {"gamma 1": [], "gamma 0": []}
for seed in widgets.progress(range(3), 3, "ResNet-56, three seeds, two starts"):
    torch.manual_seed(seed)
    usual, zero = cifar_resnet(56), cifar_resnet(56)
    zero_init_residual_(zero)
    starts["gamma 1"].append(first_steps(usual, seed))
    starts["gamma 0"].append(first_steps(zero, seed))

# %%
losses = {name: sorted(h.losses[0] for h in runs) for name, runs in starts.items()}
assert losses["gamma 0"][-1] < 2.6 < losses["gamma 1"][0]  # guessing: ln 10 = 2.3
learned = {name: [draw.smoothed(h.accuracies)[24] for h in runs] for name, runs in starts.items()}
assert max(learned["gamma 0"]) < min(learned["gamma 1"])
looks = {"gamma 1": "residual", "gamma 0": "third"}
draw.show(draw.training_accuracy(starts, colours=looks))

# %% [markdown]
# The first loss is gentle indeed: 2.3, as for guessing, where the usual start has about 3 or more. But then it
# learns **more slowly**. A branch at zero hands no gradient to its convolutions: first gamma has to move. In
# a training of 100 steps that is a long delay. Goyal et al. train for thousands of steps with very large batches and
# learning rates, where a gentle start is worth it. Good advice has a range, and we are not in it.
#
# ## 4. Where the shape changes: options A, B and C
#
# Twice in this network the image becomes smaller and the channels more. There the identity does not fit. He et
# al. (2015, section 3.3) compare three ways out:
# - **A**: take every second pixel, and add channels of zeros. No parameters.
# - **B**: a 1x1 convolution with batch norm there, and the identity everywhere else.
# - **C**: a 1x1 convolution with batch norm in every block.


# %%
def always_projects(in_channels, out_channels, stride):
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


options = {
    "A: zeros": residual,
    "B: projection where needed": BasicBlock,
    "C: projection everywhere": partial(BasicBlock, shortcut=always_projects),
}

# %%
for name, form in options.items():
    cost = measure.anatomy(CifarResNet(form, 20), image_size=32)
    print(
        f"{name:28}{cost.parameters:8,} parameters, {cost.multiply_adds / 1e6:.1f} million multiply-adds"
    )

assert measure.anatomy(CifarResNet(residual, 20), image_size=32).parameters == 269_722

# %%
new = {name: form for name, form in options.items() if form is not residual}
histories = {"A: zeros": histories["complete"], **train_forms(new)[1]}

ends = {name: sorted(draw.smoothed(h.accuracies)[-1] for h in r) for name, r in histories.items()}
assert ends["C: projection everywhere"][2] < min(
    ends["A: zeros"][2], ends["B: projection where needed"][2]
)
looks = dict(zip(options, ("residual", "third", "fourth"), strict=True))
draw.show(draw.training_accuracy(histories, colours=looks))

# %% [markdown]
# The paper, on ImageNet, found B slightly better than A, and C slightly better than B, for its parameters. Here
# A and B are alike, and **C learns more slowly**: now every shortcut holds random weights and a batch norm, and
# none is free. The paper left C out for its cost. [Lesson 05](05_identity_mappings.ipynb) shows what it does to depth.
#
# ## What was measured
#
# Digits of 16x16 pixels; three or five seeds each.
#
# | claim | measured here | in the literature |
# |---|---|---|
# | batch norm, shortcut, ReLU's place all count | each is missed in training | He et al. 2015; 2016, table 2 |
# | gamma zero makes a block the identity | bit for bit | Goyal et al. 2017, section 5.1 |
# | gamma zero helps the start | the first loss, yes; the first 25 steps, **no** | Goyal et al. 2017: it helps large batches |
# | C is at least as good as A and B | **no**: it learns more slowly | He et al. 2015, table 3: slightly better |
#
# He et al. 2015: "Deep Residual Learning for Image Recognition". He et al. 2016: "Identity Mappings in Deep
# Residual Networks". Goyal et al. 2017: "Accurate, Large Minibatch SGD".
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A friend puts the ReLU before the addition, so that the sum goes out untouched. What is wrong?",
    {
        "Nothing: pre-activation does the same.": "There the ReLU stands before the convolution, so a "
        "branch can still give negative numbers.",
        "The branch can only add.": "Its output is never negative, so the sum can only grow from block to block.",
        "The gradient vanishes.": "The shortcut carries it. The trouble is on the way forward.",
    },
    right="The branch can only add.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Every branch starts with its last gamma at zero. Why does the network learn more slowly at first?",
    {
        "A block that is the identity cannot learn.": "It starts as the identity, and learns: gamma "
        "itself gets a gradient.",
        "The gradient stops at each block.": "The shortcut is free, and hands it on as it is.",
        "The convolutions get no gradient yet.": "What comes back into the branch is multiplied by gamma, and that is zero.",
    },
    right="The convolutions get no gradient yet.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "With a projection on every shortcut (option C) the network learns more slowly. What is the matter?",
    {
        "It has more parameters.": "So has option B, more than A, and the two learn alike.",
        "None of its shortcuts is free.": "Each one begins with random weights and has to be learned like any other layer.",
        "A 1x1 convolution sees too little.": "A shortcut is to hand on what it gets, and that is one place at a time.",
    },
    right="None of its shortcuts is free.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 04](../exercises/04_residual_blocks.ipynb): build the block, its cheapest shortcut and its
# gentlest start.
