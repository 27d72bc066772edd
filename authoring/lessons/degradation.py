# %% [markdown]
# # 03 The degradation problem
#
# In [lesson 02](02_plain_networks.ipynb) you mended plain-56: its gradients arrive. Now you train it, and it fails all the same. This
# is the puzzle that led to residual networks. You will see it on real handwritten digits, rule out the two
# usual suspects, and find the way out by hand.
#
# **Afterwards you can**
# - write a training loop, and say what each line of it does,
# - read a training curve, and tell overfitting from degradation,
# - explain why a deeper network should never be worse, and show that yours is,
# - say what changes when every block starts near the identity.
#
# **You need** [lesson 02](02_plain_networks.ipynb). **Time:** about 45 minutes, of which two are the computer's.

# %%
import copy

import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu import data, draw, measure, training, widgets
from resnet_edu.blocks import PlainBlock
from resnet_edu.networks import cifar_plain, cifar_resnet
from resnet_edu.training import Recipe

digits = data.digits("train", size=16)  # 1,500 images (3, 16, 16) with their classes, 0 to 9
unseen = data.digits("validation", size=16)  # 297 others

# %% [markdown]
# ## 1. A training loop
#
# Everything is in these lines. Each step takes a batch of images, looks how wrong the network is, asks
# backpropagation for the gradients, and goes a little downhill.

# %%
torch.manual_seed(0)
network = cifar_plain(8)
recipe = Recipe(steps=100, batch_size=64, learning_rate=0.03)
optimizer = torch.optim.SGD(network.parameters(), momentum=recipe.momentum)
right = []  # the accuracy of each batch

# %%
for step in range(recipe.steps):
    batch = torch.randperm(len(digits))[: recipe.batch_size]
    images, labels = digits[batch]
    optimizer.param_groups[0]["lr"] = recipe.learning_rate_at(step)
    logits = network(images)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    right.append((logits.argmax(1) == labels).float().mean().item())

# %%
assert sum(right[:10]) / 10 < 0.6
assert sum(right[-10:]) / 10 > 0.9

# %% [markdown]
# The learning rate goes up for thirty steps and down again for seventy: a short training ends well when
# its last steps are small. The library's loop does the same (open `resnet_edu/training/loop.py`: `take_step`).
# It also shows a bar, can be interrupted (the square ■ above), and uses what your processor is good at.

# %%
torch.manual_seed(0)
network = cifar_plain(8)
history = training.fit(network, digits, recipe)

assert sum(history.accuracies[-10:]) / 10 > 0.9

# %% [markdown]
# Eight layers are enough to learn these digits. **More layers can compute more. So they should do at least
# as well.** What do you expect?

# %%
guess = widgets.Prediction(
    "Training accuracy at the end, in percent?",
    {"plain-8": "8 layers", "plain-20": "20 layers", "plain-56": "56 layers"},
    low=0,
    high=100,
)
guess

# %% [markdown]
# ## 2. Deeper is worse
#
# Three plain networks, several seeds each, all with the same recipe. While they train we look at their
# gradients now and then: section 4 needs them. The cell trains for about a minute.

# %%
MOMENTS = (0, 10, 50, 99)  # after so many steps we look at the gradients
SEEDS = {8: 5, 20: 5, 56: 3}  # how many networks of each depth


def train(network, seed):
    """Train on the digits; give the history and, for each moment, the signals in the network."""
    images, labels = digits[:32]
    signals = {0: measure.signals(network, images, labels)}
    for history in training.steps(network, digits, Recipe(seed=seed)):
        step = len(history.losses)
        if step in MOMENTS:
            signals[step] = measure.signals(network, images, labels)
    return history, signals


# %%
def train_all(depths, make, name):
    """Train some networks of each depth."""
    runs = [(depth, seed) for depth in depths for seed in range(SEEDS[depth])]
    for depth, seed in widgets.progress(runs, len(runs), f"{name} networks, several seeds each"):
        torch.manual_seed(seed)
        key = f"{name}-{depth}"
        trained.setdefault(key, []).append(make(depth))
        history, signals = train(trained[key][-1], seed)
        histories.setdefault(key, []).append(history)
        flows.setdefault(key, []).append(signals)


trained, histories, flows = {}, {}, {}
train_all((8, 20, 56), cifar_plain, "plain")

# %%
ends = {key: [draw.smoothed(h.accuracies)[-1] for h in runs] for key, runs in histories.items()}
assert min(ends["plain-8"]) > 0.9
assert min(ends["plain-20"]) > 0.65
assert max(ends["plain-56"]) < 0.6
draw.show(draw.training_accuracy(histories, predicted=guess.values))

# %% [markdown]
# Each line is the median of three or five runs, the band goes from the worst to the best. Plain-8 learns at once,
# plain-20 later. Plain-56 hardly learns at all: guessing would give 10%. Look at *what* is drawn: accuracy on
# the images that it is **trained on**.
#
# ## 3. It is not overfitting
#
# A network that overfits does well on its training images and badly on others. Here are the others.

# %%
validation = {
    key: [training.evaluate(network, unseen) for network in networks]
    for key, networks in trained.items()
}
assert min(validation["plain-8"]) > 0.8
assert max(validation["plain-56"]) < 0.6
draw.show(draw.validation_accuracy(validation))

# %% [markdown]
# Plain-56 is bad on both. It has not learned too much from its training images; it has learned too little.
# That is why He et al. drew the training error first, and so do we.
#
# ## 4. It is not a vanishing gradient
#
# These are the gradients in plain-56 before training, after 10 steps, after 50 and near the end (the first of
# the three seeds).

# %%
looks = {f"after {step} steps": flow for step, flow in flows["plain-56"][0].items()}
smallest = min(
    layer.gradient_norm
    for flow in flows["plain-56"]
    for signals in flow.values()
    for layer in signals.layers
)
assert smallest > 1e-5
draw.show(draw.gradient_norms(looks))

# %% [markdown]
# They are not even. At the start the first layers get thousands of times more than the last; after 50 steps
# they get less. But **nothing has vanished**: no layer, at no moment, in none of the three runs, gets less than
# 0.00001. In [lesson 02](02_plain_networks.ipynb) a vanished gradient was 1e-22. Every layer of plain-56 is told to move, and moves. It
# does not find the way.
#
# ## 5. A deeper network should never be worse
#
# He et al. have a simple argument. Take a trained plain-20. At the end of each stage, add blocks that do
# nothing: they hand on what they get. Now it has 56 layers, and computes what plain-20 computes. So a
# plain-56 as good as plain-20 **exists**. Can a block of ours do nothing? Both of its convolutions must
# hand on their input, and both batch norms and both ReLUs must leave it alone.


# %%
def identity_block(channels):
    """A plain block set by hand so that it hands on any input without negative numbers."""
    block = PlainBlock(channels, channels)
    for conv in (block.conv1, block.conv2):
        nn.init.dirac_(conv.weight)  # 1 in the middle of each kernel's own channel, 0 elsewhere
    for bn in (block.bn1, block.bn2):
        nn.init.constant_(bn.weight, (1 + bn.eps) ** 0.5)  # batch norm divides by this
    return block.eval()


x = torch.rand(1, 16, 8, 8)
assert torch.allclose(identity_block(16)(x), x, atol=1e-5)

# %% [markdown]
# The ReLU does no harm: what leaves a block has been through a ReLU, so it has no negative numbers. Six such
# blocks at the end of each of the three stages make 36 layers more.


# %%
def deepen(network):
    deeper = copy.deepcopy(network)
    for stage in (deeper.layer1, deeper.layer2, deeper.layer3):
        for _ in range(6):
            stage.append(identity_block(stage[-1].out_channels))
    return deeper.eval()


shallow_ones = trained["plain-20"][:3]
by_hand = [deepen(network) for network in shallow_ones]
for shallow, deep in zip(shallow_ones, by_hand, strict=True):
    with torch.no_grad():
        assert torch.allclose(deep(unseen[:][0]), shallow.eval()(unseen[:][0]), atol=1e-3)
assert len([m for m in by_hand[0].modules() if isinstance(m, nn.Conv2d)]) == 55

# %%
validation["plain-56, by hand"] = [training.evaluate(network, unseen) for network in by_hand]

assert min(validation["plain-56, by hand"]) > max(validation["plain-56"])
draw.show(draw.validation_accuracy(validation))

# %% [markdown]
# The same 56 layers, the same number of weights, and all is well. So the trouble is not that plain-56 *cannot*
# be good. Gradient descent, from random weights, **does not find** the good weights. He et al. call this the
# **degradation problem**.
#
# Is it the depth itself that gradient descent cannot stand? Train the networks made by hand, with the
# same recipe in half the steps. (Batch norm now uses the statistics of each batch again, so they begin at
# less than 100%.)

# %%
histories["plain-56, by hand"] = []
for seed, deep in widgets.progress(enumerate(by_hand), 3, "Training on from the identity"):
    history = training.fit(deep, digits, Recipe(steps=50, seed=seed), on_step=training.quiet)
    histories["plain-56, by hand"].append(history)

ends = [draw.smoothed(h.accuracies)[-1] for h in histories["plain-56, by hand"]]
assert min(ends) > 0.7
shown = {key: histories[key] for key in ("plain-56, by hand", "plain-56")}
colours = {"plain-56, by hand": "third", "plain-56": "plain"}
draw.show(draw.training_accuracy(shown, colours=colours))

# %% [markdown]
# The depth is no trouble, nor is the recipe. **What counts is where the blocks start: near the identity they
# can learn, from random weights they hardly can.** (Of course the twenty layers below were trained already.
# The next step does without that.)
#
# ## 6. One addition
#
# So give every block the identity for nothing. Let it compute `f(x) + x`: if `f` is small, the block hands on
# `x`. Nobody has to find the identity any more; `f` only has to learn what should be *different*. That is a
# residual block, and the addition has no weights. The networks are otherwise the same.

# %%
train_all((20, 56), cifar_resnet, "ResNet")

# %%
curves = {key: [draw.smoothed(h.accuracies) for h in runs] for key, runs in histories.items()}
residual = curves["ResNet-20"] + curves["ResNet-56"]
assert min(curve[-1] for curve in residual) > 0.9
assert min(curve[40] for curve in residual) > max(curve[40] for curve in curves["plain-20"])
shown = ("plain-20", "plain-56", "ResNet-20", "ResNet-56")
draw.show(draw.training_accuracy({key: histories[key] for key in shown}))

# %%
for key in ("ResNet-20", "ResNet-56"):
    validation[key] = [training.evaluate(network, unseen) for network in trained[key]]

assert min(validation["ResNet-20"] + validation["ResNet-56"]) > 0.8
draw.show(draw.validation_accuracy(validation))

# %% [markdown]
# With the addition, 56 layers learn about as fast as 20, and both faster than plain-20. Depth has stopped
# being a burden.
#
# Has it become a gain? **Not here.** ResNet-56 reads unseen digits about as well as ResNet-20 or plain-8. These
# small digits need no depth. For that you need harder images, and the paper's figures:
#
# | | 18 or 20 layers | 34 or 56 layers |
# |---|---|---|
# | plain, ImageNet, top-1 error | 27.94% | 28.54%: deeper is worse |
# | residual, ImageNet, top-1 error | 27.88% | 25.03%: deeper is better |
# | residual, CIFAR-10, error | 8.75% | 6.97%: deeper is better |
#
# (ImageNet: 18 and 34 layers, table 2; CIFAR-10: 20 and 56 layers, table 6 of He et al. 2015.) On ImageNet
# the deeper plain network is worse by half a percent only, and on CIFAR-10 plain-56 learns, if worse than
# plain-20. Ours fails so badly because it has a hundred steps and not 64,000. Give it time to see this:
# `training.fit(cifar_plain(56), digits, Recipe(steps=300))`. With 300 steps it reached 67% and 82% when we
# tried, still less than plain-20 after 100.
#
# ## 7. Explore
#
# Choose networks, press *Start*, and watch. *Stop* ends a race at once, *Start* begins anew.
# - From which depth on does a plain network fall behind?
# - Is there any depth at which the residual network of the same depth is slower?

# %%
widgets.DegradationRace(digits)

# %% [markdown]
# ## What was measured
#
# 100 steps; three seeds for 56 layers, five for fewer; digits of 16x16 pixels.
#
# | claim | measured here | He et al. 2015 |
# |---|---|---|
# | deeper plain networks train worse | at the end plain-20 above 65%, plain-56 below 60% | figure 1: plain-56 has the higher training error |
# | it is not overfitting | the training accuracy itself is low | section 1 |
# | gradients do not vanish | all above 1e-5 in plain-56, at four moments | section 4.1 |
# | a good plain-56 exists | made by hand, it equals plain-20 | section 1 |
# | started near the identity, it trains | above 70% | not in the paper |
# | `+ x` mends it | ResNet-56 above 90% | figure 6 |
# | deeper is better | not here: the digits are too easy | tables 2 and 6 |
#
# He et al. 2015: "Deep Residual Learning for Image Recognition".
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A network has 99% on its training images and 60% on others. Another has 60% on both. Which one shows "
    "degradation?",
    {
        "The first.": "That is overfitting: it learned its training images, and little that holds for others.",
        "The second, if a shallower network does better in training.": "Degradation shows in training.",
        "Both.": "Look at the training accuracy of the first: it learned what it was shown.",
    },
    right="The second, if a shallower network does better in training.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Why may a plain block that hands on its input have ReLUs in it?",
    {
        "Because ReLU is nearly linear.": "It is far from linear: it cuts off everything below zero.",
        "Because its input has no negative numbers.": "It comes out of the ReLU of the block before.",
        "It may not.": "You measured that it may: the outputs were equal.",
    },
    right="Because its input has no negative numbers.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "What does the paper's argument with the copied layers prove?",
    {
        "That deeper networks are better.": "Only that weights exist with which they are not worse.",
        "That plain-56 cannot learn.": "It can be as good as plain-20. You built such a one.",
        "That the trouble lies in finding the weights.": "Good weights exist; training does not find them.",
    },
    right="That the trouble lies in finding the weights.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 03](../exercises/03_degradation.ipynb): write a training step, measure an accuracy,
# build a plain network of any depth, and deepen one by the identity.
