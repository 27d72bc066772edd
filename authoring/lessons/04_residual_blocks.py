# %% [markdown]
# # 04 Residual blocks and identity mappings
#
# One addition turned a network that fails into one that learns. Now you take the residual block apart: what
# each of its parts is for, why its shortcut should be the identity and nothing else, and what a network made of
# such blocks really is. Some famous claims hold at our size, and some do not. You will see which.
#
# **Afterwards you can**
# - write a residual block, and say what breaks without each part of it,
# - make a block the exact identity, and say what that costs and gains,
# - compare kinds of shortcuts by parameters, cost and training,
# - explain why a ResNet survives the loss of a block, and a plain network does not.
#
# **You need** lesson 03. **Time:** about 75 minutes, of which two are the computer's.

# %%
import difflib
import inspect
from functools import partial
from itertools import islice

import torch
from torch import nn

from resnet_edu import data, draw, measure, training, widgets
from resnet_edu.blocks import BasicBlock, PlainBlock, conv1x1, conv3x3, padding_shortcut
from resnet_edu.measure import ShortcutSetting
from resnet_edu.networks import CifarResNet, cifar_plain, cifar_resnet, zero_init_residual_
from resnet_edu.training import Recipe

# %%
digits = data.digits("train", size=16)  # 1,500 images (3, 16, 16) with their classes
unseen = data.digits("validation", size=16)  # 297 others

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
#   block to block, as in lesson 02.
# - **The shortcut** is what lesson 03 was about.
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
# We train ResNet-56 from usual weights, and from zero gammas. (The usual ones we train to the end:
# sections 6 and 7 need them.)


# %%
def first_steps(network, seed, steps=25):
    """The history of the first steps of the usual recipe of 100."""
    *_, history = islice(training.steps(network, digits, Recipe(seed=seed)), steps)
    return history


# %%
usual, starts = [], {"gamma 1": [], "gamma 0": []}
for seed in widgets.progress(range(3), 3, "ResNet-56, three seeds, two starts"):
    torch.manual_seed(seed)
    usual.append(cifar_resnet(56))
    zero = cifar_resnet(56)
    zero_init_residual_(zero)
    starts["gamma 0"].append(first_steps(zero, seed))
    history = training.fit(usual[-1], digits, Recipe(seed=seed), on_step=training.quiet)
    starts["gamma 1"].append(history)

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
# none is free. The paper left C out for its cost. The next section shows what it does to depth.
#
# ## 5. Nothing on the shortcut
#
# He et al. (2016) asked what may stand on a shortcut. If each one multiplies by 0.5, the path through 27 blocks
# multiplies by $0.5^{27}$, less than a hundred-millionth. We start with gamma zero, so that nothing but the
# shortcuts is there, and measure the signal at each block, forward and backward.

# %%
images, labels = digits[:32]
settings = {name: ShortcutSetting(name, depth=56, gamma=0.0) for name in measure.SHORTCUTS}
for name, setting in settings.items():
    record = measure.shortcut_signal(setting, images, labels)
    first, last = record.blocks[0], record.blocks[-1]
    forward = draw.scientific(last.scale / first.scale) if first.scale else "nothing"
    print(f"{name:16} last block's signal over the first one's: {forward}")

# %% [markdown]
# One seed may be luck, and there are two directions. Five seeds, forward and backward:


# %%
def through(name, seed):
    """What is left of the signal after all blocks, and of the gradient on its way back."""
    blocks = measure.shortcut_signal(settings[name], images, labels, seed).blocks
    first, last = blocks[0], blocks[-1]
    return last.scale / first.scale, first.gradient_norm / last.gradient_norm


for seed in range(5):
    assert min(through("identity", seed)) > 0.1
    assert max(through("scaled by 0.5", seed)) < 1e-6

# %% [markdown]
# The identity alone lets the signal through whole. (It falls to a half only because the two option-A blocks
# fill up with zeros.) Move the settings: with gamma 1 the branches carry the signal too, and much is
# hidden that gamma 0 shows.

# %%
widgets.ShortcutExplorer(images, labels)

# %% [markdown]
# One thing still stands in the way: the ReLU after the addition. It is no identity. So the paper moves it, with
# batch norm, to the front of the branch: **pre-activation**. What leaves a block is then a plain sum.


# %%
class PreActivationBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.out_channels = out_channels
        self.bn1, self.conv1 = (
            nn.BatchNorm2d(in_channels),
            conv3x3(in_channels, out_channels, stride),
        )
        self.bn2, self.conv2 = nn.BatchNorm2d(out_channels), conv3x3(out_channels, out_channels)
        self.downsample = padding_shortcut(in_channels, out_channels, stride)

    def forward(self, x):
        out = self.conv1(self.bn1(x).relu())
        return self.downsample(x) + self.conv2(self.bn2(out).relu())


# %%
starts["pre-activation"] = []
for seed in widgets.progress(range(3), 3, "Pre-activation, 56 layers, three seeds"):
    torch.manual_seed(seed)
    starts["pre-activation"].append(first_steps(CifarResNet(PreActivationBlock, 56), seed))

# %%
early = {
    name: sum(sum(h.accuracies[:25]) / 25 for h in runs) / 3 for name, runs in starts.items()
}  # the mean accuracy of the first 25 steps, and of the three seeds
assert early["pre-activation"] > early["gamma 1"] + 0.03
shown = {"post-activation": starts["gamma 1"], "pre-activation": starts["pre-activation"]}
colours = {"post-activation": "residual", "pre-activation": "third"}
draw.show(draw.training_accuracy(shown, colours=colours))

# %% [markdown]
# Pre-activation learns sooner. (We trained it for the first 25 steps only.) The paper
# found the same at 1,001 layers: with the ReLU after the addition, training is slow to begin.
#
# ## 6. Take a block away
#
# A block of a plain network is a link of a chain: what comes next knows nothing else. A residual block has a way
# around it. Veit et al. (2016) removed blocks from trained networks, one at a time. Removing a residual block
# means to leave its shortcut alone.

# %%
plain = []
for seed in widgets.progress(range(3), 3, "plain-20, three seeds"):
    torch.manual_seed(seed)
    plain.append(cifar_plain(20))
    training.fit(plain[-1], digits, Recipe(seed=seed), on_step=training.quiet)

residual_lesions = [measure.lesions(network, *unseen[:]) for network in usual]
plain_lesions = [measure.lesions(network, *unseen[:]) for network in plain]

# %%
for record in residual_lesions:
    losses = sorted(record.intact_accuracy - a for a in record.accuracies.values())
    assert losses[len(losses) // 2] < 0.08  # half of the blocks are hardly missed
    assert losses[-1] > 0.1  # but not all: the first is missed most
    assert min(record.accuracies, key=record.accuracies.get) == "layer1.0"
for record in plain_lesions:
    assert max(record.accuracies.values()) < 0.45

# %%
widgets.LesionsExplorer({"ResNet-56": usual[0], "plain-20": plain[0]}, *unseen[:])

# %% [markdown]
# Take a block out of plain-20, whichever, and most digits are lost. In ResNet-56 most blocks are hardly missed. But
# **the first is**: no other is missed as much, in any of the three networks. Veit et al. saw a small loss
# for nearly every block of their 110-layer network; with 27 blocks and a hundred steps of training, ours leans
# on its first one.
#
# They also shuffled blocks, and the error grew little by little. Does it here?

# %%
for network in usual:
    whole = training.evaluate(network, unseen)
    mixed = [training.evaluate(measure.shuffled(network, seed), unseen) for seed in range(3)]
    assert whole > 0.8
    assert sum(mixed) / 3 < whole - 0.2

# %% [markdown]
# No: shuffle all the blocks of each stage, and ResNet-56 misreads many digits, often most. They swapped a few
# at a time. Blocks do build on one another, if less than in a plain network.
#
# ## 7. Many paths, most of them short
#
# Each block offers two ways, so 27 blocks make $2^{27}$ paths from the image to the answer. Most pass 10 to 17
# branches. But a long path passes many branches, and each of them shrinks its gradient. We let the
# gradient through chosen branches only, and measure what paths of each length carry.

# %%
counts = measure.path_counts(27)
carried = [measure.path_gradients(network, *unseen[:16]) for network in usual]
mean_lengths = []
for gradients in carried:
    weights = [count * gradient for count, gradient in zip(counts, gradients, strict=True)]
    mean_lengths.append(sum(length * w for length, w in enumerate(weights)) / sum(weights))

assert sum(counts) == 2**27
assert all(4 < length < 11 for length in mean_lengths)  # the middle of all paths: 13.5
draw.show(draw.path_lengths(counts, carried[0]))

# %% [markdown]
# The paths that carry the gradient are short: 6 or 7 branches, where the middle path has 13.5. So a ResNet trains
# like a crowd of shallower networks that share their layers. That is also why it can spare a block: half of all
# paths never passed it.
#
# ## 8. Shattered gradients
#
# Lesson 03 left a question open. Plain-56's gradients do not vanish, and still it does not learn. Walk along a
# straight line from one digit to another, in small steps, and look at the gradient at each. If it is to show the way,
# it must be *similar* at neighbouring points. The autocorrelation says how similar: 1 is equal, 0 is noise.


# %%
def autocorrelation(make, depth, seed):
    torch.manual_seed(seed)
    start, end = digits[2 * seed][0], digits[2 * seed + 1][0]
    network = make(depth, num_classes=3)  # three outputs tell as much as ten, in less time
    slopes = measure.gradients_along_line(network, start, end, points=128)
    return measure.autocorrelation(slopes, lags=10).tolist()


kinds = {
    "plain-8": (cifar_plain, 8, "prediction"),
    "plain-20": (cifar_plain, 20, "fourth"),
    "plain-56": (cifar_plain, 56, "plain"),
    "ResNet-56": (cifar_resnet, 56, "residual"),
}

# %%
runs = {
    name: [autocorrelation(make, depth, s) for s in range(5)]
    for name, (make, depth, _) in kinds.items()
}
assert max(abs(run[1]) for run in runs["plain-56"]) < 0.25
assert min(run[1] for run in runs["ResNet-56"]) > 0.25
assert min(run[1] for run in runs["plain-8"]) > 0.3
draw.show(draw.autocorrelations(runs, colours={name: kind[2] for name, kind in kinds.items()}))

# %% [markdown]
# In plain-56 the gradient is **noise**: a step further on it points anywhere. It is there, and it is large, but what
# it says holds for one point only. Balduzzi et al. (2017) call it *shattered*. Plain-8 keeps its gradient, and
# ResNet-56, with seven times its layers, keeps a good part of it. This is the best answer we know to
# lesson 03's question.
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
# | a scaled shortcut closes the path | below 1e-6 of the signal over 27 blocks | He et al. 2016, section 3 |
# | pre-activation is easier to train | it learns sooner at 56 layers | He et al. 2016, section 4 |
# | a ResNet survives the loss of a block | most blocks, **not** the first | Veit et al. 2016, section 4.1 |
# | it survives shuffling | **not** when all blocks of a stage are shuffled | Veit et al. 2016, section 4.3: a few |
# | short paths carry the gradient | 6 or 7 of 27 branches | Veit et al. 2016, section 5 |
# | plain gradients shatter | no correlation at 56 layers | Balduzzi et al. 2017, section 2 |
#
# He et al. 2015: "Deep Residual Learning for Image Recognition". He et al. 2016: "Identity Mappings in Deep
# Residual Networks". Goyal et al. 2017: "Accurate, Large Minibatch SGD". Veit et al. 2016: "Residual Networks Behave
# Like Ensembles of Relatively Shallow Networks". Balduzzi et al. 2017: "The Shattered Gradients Problem".
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
    "Why does a factor of 0.9 on every shortcut hurt a network of 100 blocks more than one of 10?",
    {
        "It has more parameters.": "The factor is the same, whatever stands beside it.",
        "The factors multiply.": "0.9 to the power of 10 is 0.35; to the power of 100 it is 0.00003.",
        "Its branches are larger.": "Nothing was said of the branches.",
    },
    right="The factors multiply.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "You take one block out of a ResNet and the accuracy stays. Was the block useless?",
    {
        "Yes, train without it.": "The network you measured was trained with it: the others may have "
        "learned what they did because it was there.",
        "Not shown: others make up for it now.": "You measured what the trained network loses. "
        "What it would have learned without the block is another experiment.",
        "Yes, as ResNets need few blocks.": "One block at a time was removed, never many.",
    },
    right="Not shown: others make up for it now.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 04](../exercises/04_residual_blocks.ipynb): build the block, its cheapest shortcut and its
# gentlest start, take a block out, and build the block of 2016.
