# %% [markdown]
# # 05 Identity mappings
#
# Where nothing stands on the shortcut and no ReLU follows the addition, what leaves a block is what came in, plus what
# the branch has found. Put many such blocks in a row, and the output of block $L$ is the input of any block $l$ before
# it, plus a sum: $x_L = x_l + \sum_{i=l}^{L-1} F_i(x_i)$ (He et al. 2016, section 2). What does this free way through
# the network change? What if something stands in it, or a block is missing? How does the gradient come back, and what
# is it worth? Some famous claims hold at our size, and some do not. You will see which.
#
# **Afterwards you can**
# - say what happens to a signal if something stands on each shortcut,
# - write the residual block of 2016, and say what its order is for,
# - explain why a ResNet survives the loss of a block, and a plain network does not,
# - draw the loss around a solution, and say what such a picture shows and what it does not.
#
# **You need** [lesson 04](04_residual_blocks.ipynb). **Time:** about 50 minutes, of which two to three are the computer's.

# %%
from itertools import islice

import torch
from torch import nn

from resnet_edu import data, draw, measure, training, widgets
from resnet_edu.blocks import conv3x3, padding_shortcut
from resnet_edu.measure import ShortcutSetting
from resnet_edu.networks import CifarResNet, cifar_plain, cifar_resnet
from resnet_edu.training import Recipe

# %%
digits = data.digits("train", size=16)  # 1,500 images (3, 16, 16) with their classes
unseen = data.digits("validation", size=16)  # 297 others

# %% [markdown]
# ## 1. Nothing on the shortcut
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
def first_steps(network, seed, steps=25):
    """The history of the first steps of the usual recipe of 100."""
    *_, history = islice(training.steps(network, digits, Recipe(seed=seed)), steps)
    return history


# %%
usual, histories = [], {"post-activation": [], "pre-activation": []}
for seed in widgets.progress(range(3), 3, "56 layers, three seeds, two orders"):
    torch.manual_seed(seed)
    usual.append(cifar_resnet(56))
    history = training.fit(usual[-1], digits, Recipe(seed=seed), on_step=training.quiet)
    histories["post-activation"].append(history)
    torch.manual_seed(seed)
    pre_activation = CifarResNet(PreActivationBlock, 56)
    histories["pre-activation"].append(first_steps(pre_activation, seed))

# %%
early = {
    name: sum(sum(h.accuracies[:25]) / 25 for h in runs) / 3 for name, runs in histories.items()
}  # the mean accuracy of the first 25 steps, and of the three seeds
assert early["pre-activation"] > early["post-activation"] + 0.03
colours = {"post-activation": "residual", "pre-activation": "third"}
draw.show(draw.training_accuracy(histories, colours=colours))

# %% [markdown]
# Pre-activation learns sooner. (We trained it for the first 25 steps only, and the usual block to the end: sections 2
# and 3 need it.) The paper found the same at 1,001 layers: with the ReLU after the addition, training is slow to begin.
#
# ## 2. Take a block away
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
# ## 3. Many paths, most of them short
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
# ## 4. Shattered gradients
#
# [Lesson 03](03_degradation.ipynb) left a question open. Plain-56's gradients do not vanish, and still it does not learn. Walk along a
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
# ResNet-56, with seven times its layers, keeps a good part of it. This is the best answer we know to the question of
# [lesson 03](03_degradation.ipynb).
#
# ## 5. The land around a solution
#
# Why does plain-56 not learn where ResNet-56 does? Li et al. (2018) drew the loss around trained networks: take two
# random directions, move the weights along both, and measure the loss. A network with large weights needs large steps,
# so each filter of a direction is made as long as the network's own filter:


# %%
def direction(network, seed):
    """A random direction, filter by filter as long as the weights; batch norm stays."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, weight in network.named_parameters():
        if weight.dim() > 1:
            noise = torch.randn(weight.shape, generator=generator)
            of_weight, of_noise = (t.detach().flatten(1).norm(dim=1) for t in (weight, noise))
            found[name] = noise * (of_weight / of_noise).view(-1, *[1] * (noise.dim() - 1))
    return found


# %%
small = data.digits("train", size=8)  # the same images, (3, 8, 8)
makers = {name: kinds[name][:2] for name in ("plain-20", "plain-56", "ResNet-56")}
trained = {}
for name, (make, depth) in widgets.progress(makers.items(), 3, "Three networks, 60 steps"):
    torch.manual_seed(0)
    trained[name] = make(depth)
    training.fit(trained[name], small, Recipe(steps=60), on_step=training.quiet)

# %%
distances = [i / 5 for i in range(-5, 6)]  # -1 to 1: as far as the weights are long
surfaces = {}
for name, model in widgets.progress(trained.items(), 3, "121 points around each network"):
    directions = direction(model, seed=0), direction(model, seed=1)
    surfaces[name] = measure.loss_surface(model, *small[:100], directions, distances)

# %%
middle = {name: surface.at_distance(0) for name, surface in surfaces.items()}
away = {name: surface.at_distance(0.4) for name, surface in surfaces.items()}
assert max(middle["plain-20"], middle["ResNet-56"]) < 1 < 1.4 < middle["plain-56"]
assert away["ResNet-56"] < away["plain-20"]
assert away["plain-56"] > 1.9
assert surfaces["plain-56"].losses.min() > 1.4
assert surfaces["plain-56"].losses.max() < 4 < surfaces["ResNet-56"].losses.max()
draw.show(draw.loss_surfaces(surfaces))

# %% [markdown]
# Dark is low; the dashed line is where guessing is as good (ln 10 = 2.3). Plain-20 and ResNet-56 lie in a round bowl, and
# that of ResNet-56 is the **wider** one, with nearly three times the layers: 0.4 away, its loss is still lower. Plain-56
# lies on a **plateau**: whichever way we go, the loss stays near that of guessing. That fits the noise in its gradient
# (section 4), which points somewhere else after each small step.
#
# The paper's famous picture shows more: a plain-56 in a jagged land of peaks. **Here that does not show.** Theirs was
# trained for 300 passes and had come down; ours has not left the plateau in 60 steps. And a map of two directions
# out of 850,000 shows little in any case: a network that learns does not walk along random directions.
#
# ## What was measured
#
# Digits of 16x16 pixels, three or five seeds each; section 5 on digits of 8x8 pixels, one seed.
#
# | claim | measured here | in the literature |
# |---|---|---|
# | a scaled shortcut closes the path | below 1e-6 of the signal over 27 blocks | He et al. 2016, section 3 |
# | pre-activation is easier to train | it learns sooner at 56 layers | He et al. 2016, section 4 |
# | a ResNet survives the loss of a block | most blocks, **not** the first | Veit et al. 2016, section 4.1 |
# | it survives shuffling | **not** when all blocks of a stage are shuffled | Veit et al. 2016, section 4.3: a few |
# | short paths carry the gradient | 6 or 7 of 27 branches | Veit et al. 2016, section 5 |
# | plain gradients shatter | no correlation at 56 layers | Balduzzi et al. 2017, section 2 |
# | shortcuts make the land smooth | a wider bowl for ResNet-56, a plateau for plain-56 | Li et al. 2018, figure 1 |
# | plain-56 is jagged | **not seen**, after a training this short | Li et al. 2018, figure 1 |
#
# He et al. 2016: "Identity Mappings in Deep Residual Networks". Veit et al. 2016: "Residual Networks Behave
# Like Ensembles of Relatively Shallow Networks". Balduzzi et al. 2017: "The Shattered Gradients Problem". Li et al.
# 2018: "Visualizing the Loss Landscape of Neural Nets".
#
# ## Three questions

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

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Plain-56 gets gradients that are large enough, and still does not learn. What do they lack?",
    {
        "A direction.": "Each of them has one. It holds for its own point only.",
        "Agreement with those a small step away.": "A step is taken on the word of one point. If the gradient is "
        "noise, the next point says something else.",
        "Batch norm.": "Plain-56 has it, after each convolution.",
    },
    right="Agreement with those a small step away.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 05](../exercises/05_identity_mappings.ipynb): take a block out, and build the block of 2016.
