# %% [markdown]
# # 02 Plain networks and vanishing gradients
#
# More layers can compute more. So why were networks of fifty layers out of reach before 2015? One answer
# is famous: **the gradient vanishes**. In this lesson you watch it vanish, explain by how much, cure it,
# and see that the cure brings the next problem.
#
# **Afterwards you can**
# - measure the gradient of every layer of a network, and read the picture,
# - say by which factor a layer shrinks the signal's gradient, from how its weights are drawn,
# - tell vanishing gradients from exploding ones, and say what cures which,
# - say what a `+ x` changes, and which problem is still open after it.
#
# **You need** [lesson 01](01_convolution_blocks.ipynb). **Time:** about 45 minutes.

# %%
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu import data, draw, measure, widgets
from resnet_edu.blocks import ConvBlock
from resnet_edu.measure import FlowSetting

digits, labels = data.digits("train", size=16).tensors

# One batch for all that is measured: images (32, 3, 16, 16) and their classes (32,).
images, targets = digits[:32], labels[:32]

# %% [markdown]
# ## 1. A plain network, and its gradient
#
# A **plain** network is a stack of convolution blocks, one after the other, and nothing else. Here is
# one with 20 layers: 19 convolutions and a linear layer at the end.


# %%
def plain(depth):
    blocks = [ConvBlock(3, 16)] + [ConvBlock(16, 16) for _ in range(depth - 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    return nn.Sequential(*blocks, *head)


# %%
torch.manual_seed(0)
network = plain(20)
loss = F.cross_entropy(network(images), targets)
loss.backward()

norms = [m.weight.grad.norm().item() for m in network.modules() if isinstance(m, nn.Conv2d)]
assert len(norms) == 19

# %% [markdown]
# Training changes each weight by its gradient times the learning rate. So the **gradient norm** of a
# layer, the length of its gradient as one long vector, says how strongly that layer is asked to change.
#
# You will need this measurement often, so the library has it: `measure.signals` goes forward and
# backward once and leaves the network as it was. It gives the same numbers:

# %%
signals = measure.signals(network, images, targets)
measured = [layer.gradient_norm for layer in signals.layers]

assert torch.allclose(torch.tensor(measured), torch.tensor(norms), rtol=1e-3)
draw.show(draw.gradient_norms({"plain network, 20 layers": signals}))

# %% [markdown]
# Read it from right to left, as the gradient travels: from the loss, on the right, back to the image, on
# the left. The scale is logarithmic: from one grid line to the next lies a factor of a thousand. This
# network is healthy: no layer gets much more, or much less, than another.
#
# ## 2. Without batch norm
#
# It is healthy because of batch norm. Before 2015 there was none. From here on we use networks built like
# those of He et al. (2015, section 4.2): three stages of 16, 32 and 64 channels. Theirs have 20 to 56 layers
# and see photos of 32x32 pixels; we add one of 8 layers, and show them digits of 16x16. `FlowSetting` says
# what such a network is made of. We take batch norm out, and leave the weights as PyTorch draws them.
#
# If the last convolution has a gradient of 1, what does the first one get?

# %%
vanish_guess = widgets.Prediction(
    "Gradient of the first layer over that of the last, without batch norm?",
    {8: "8 layers", 20: "20 layers", 56: "56 layers"},
    low=-24,
    high=6,
    log=True,
)
vanish_guess

# %%
old = {
    f"plain-{depth}": measure.gradient_flow(
        FlowSetting(depth, initialisation="PyTorch default", normalisation="none"), images, targets
    )
    for depth in (8, 20, 56)
}
draw.show(draw.gradient_norms(old))

# %% [markdown]
# After a flat start, each line climbs by about the same slope. On its way back, from right to left, the
# gradient loses the same share in each layer, and what remains is a product of many shares. One seed may be
# luck, so here are five, with your prediction.


# %%
def ratios(depths=(8, 20, 56), **ingredients):
    """First layer's gradient over the last one's: five seeds for each depth."""
    settings = {depth: FlowSetting(depth, **ingredients) for depth in depths}
    runs = [(depth, seed) for depth in depths for seed in range(5)]
    found = {depth: [] for depth in depths}
    for depth, seed in widgets.progress(runs, len(runs), "Five seeds for each depth"):
        flow = measure.gradient_flow(settings[depth], images, targets, seed)
        found[depth].append(flow.gradient_ratio)
    return found


# %%
default = ratios(initialisation="PyTorch default", normalisation="none")

assert max(default[8]) < 0.1
assert max(default[20]) < 1e-6
assert max(default[56]) < 1e-18
draw.show(draw.ratios_by_depth({"no batch norm": default}, predicted=vanish_guess.values))

# %% [markdown]
# At 8 layers, the first gets about a hundredth. At 20, less than a millionth. At 56, some 1e-22: if the
# last layer moved by a kilometre, the first would move by far less than the width of an atom. It does
# not learn. **The gradient has vanished.**
#
# ## 3. The factor of one layer
#
# Why does a layer shrink the signal's gradient? On its way back, it passes a ReLU and a convolution.
#
# - After the ReLU, about half of the numbers were zero, and the gradient of those is lost: its variance
#   is **halved**.
# - In the convolution, each number adds up the gradients of $k^2 \cdot \text{out}$ numbers, each
#   multiplied by a weight: the variance is multiplied by $k^2 \cdot \text{out} \cdot \text{Var}(w)$.
#
# A norm goes with the square root of the variance. So the factor of one layer is
#
# $$\sqrt{\tfrac{1}{2} \cdot k^2 \cdot \text{out} \cdot \text{Var}(w)}$$
#
# (He et al. 2015b, section 2.2). Everything hangs on how the weights are drawn:
#
# | initialisation | Var(w), with n = k² · channels | factor of a layer, for the signal |
# |---|---|---|
# | PyTorch's default | 1 / (3n) | √(1/6) = 0.41 |
# | Xavier (Glorot and Bengio 2010) | 1 / n | √(1/2) = 0.71 |
# | He | 2 / n | 1 |
#
# He's rule is made so that the factor is 1. That is the theory; now measure it.


# %%
def factor_of_a_layer(initialise, seed, layers=20, width=32):
    torch.manual_seed(seed)
    options = {"padding": 1, "padding_mode": "circular", "bias": False}  # an image without edges
    convs = [nn.Conv2d(width, width, 3, **options) for _ in range(layers)]
    for conv in convs:
        initialise(conv)
    start = torch.randn(8, width, 8, 8, requires_grad=True)
    end = nn.Sequential(*[m for conv in convs for m in (conv, nn.ReLU())])(start)
    arriving = torch.randn_like(end)  # any gradient will do
    end.backward(arriving)
    return float(start.grad.norm() / arriving.norm()) ** (1 / layers)


# %%
theory = {"PyTorch default": (1 / 6) ** 0.5, "Xavier": (1 / 2) ** 0.5, "He": 1.0}
factors = {}
for name, expected in theory.items():
    seeds = [factor_of_a_layer(measure.INITIALISATIONS[name], seed) for seed in range(5)]
    assert all(abs(f / expected - 1) < 0.1 for f in seeds)
    factors[name] = sum(seeds) / 5

draw.show(draw.bars(factors, predicted=theory, predicted_by="theory", title="Factor of one layer"))

# %% [markdown]
# The theory holds within a few percent. In a network with edges, the zeros of the padding take away a
# little more.
#
# ### Two signals, and a trap
#
# This is the gradient of the **signal**, the numbers that flow. The gradient of a **weight** is made of two
# things: the gradient that comes back, and the numbers that flowed in. PyTorch's default draws random
# biases too, and they keep those numbers from dying out. So what you saw in section 2 is the way back
# alone: 0.41 to the power of 54 is about 1e-21.
#
# What if the biases are zero? Then the way forward shrinks as well.


# %%
def with_zero_biases(depth, seed):
    setting = FlowSetting(depth, initialisation="PyTorch default", normalisation="none")
    network = measure.flow_network(setting, seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.bias)
    return measure.signals(network, images, targets)


# %%
silent = [with_zero_biases(56, seed) for seed in widgets.progress(range(5), 5, "Five seeds")]

assert all(0.1 < flow.gradient_ratio < 10 for flow in silent)
assert max(layer.gradient_norm for flow in silent for layer in flow.layers) < 1e-18
biases = {"random biases": old["plain-56"], "biases zero": silent[0]}
draw.show(draw.gradient_norms(biases))

# %% [markdown]
# The ratio is about 1, and nothing could be worse: **all** layers get next to nothing. The last layer gets a
# healthy gradient from the loss, but only a trace of the image; the first one gets the image, but only a
# trace of the gradient. The product is the same. So a ratio can lie: look at the height of the line too.
#
# ## 4. The activation
#
# He's rule counts on a ReLU. The networks of the 1990s had a **sigmoid**, whose slope is at most 1/4. What
# does it do, with He's initialisation?

# %%
sigmoid = ratios(activation="sigmoid", normalisation="none")
he = ratios(normalisation="none")

assert max(sigmoid[20]) < 1e-8
assert max(sigmoid[56]) < 1e-25
assert min(he[8] + he[20] + he[56]) > 0.05
draw.show(
    draw.ratios_by_depth({"He, sigmoid": sigmoid, "He, ReLU": he}, colours=("third", "plain"))
)

# %% [markdown]
# With a sigmoid, and no batch norm, a network of 56 layers cannot learn its first ones. With ReLU and He's
# initialisation the gradient arrives. (The axis ends at 1e-24; what is smaller is drawn there.)
#
# ## 5. Batch norm: the cure, and a surprise
#
# Batch norm rescales every layer, so the initialisation should matter less. Is the gradient then flat?

# %%
norm_guess = widgets.Prediction(
    "First layer over last, with batch norm?",
    {8: "8 layers", 20: "20 layers", 56: "56 layers"},
    low=-6,
    high=6,
    log=True,
)
norm_guess

# %%
normed = ratios()

assert max(normed[8]) < 20
assert min(normed[56]) > 100
curves = {"He, no batch norm": he, "He, batch norm": normed}
draw.show(draw.ratios_by_depth(curves, predicted=norm_guess.values, colours=("third", "plain")))

# %% [markdown]
# Nothing vanishes, but at 56 layers the gradient **explodes**: the first layer gets a thousand times that
# of the last. This is no accident of our network. Yang et al. (2019) showed that batch norm does this to
# deep plain networks at the start of training, whatever the initialisation.
#
# At the *start*: they also found that a single step of training tames it. Is that so? Take one step, and
# five, and measure again:


# %%
def after_training(seed, steps):
    network = measure.flow_network(FlowSetting(56), seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(steps):
        batch = slice(64 * step, 64 * (step + 1))
        loss = F.cross_entropy(network(digits[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return measure.signals(network, images, targets)


# %%
trained = [
    after_training(seed, 5) for seed in widgets.progress(range(5), 5, "Training five networks")
]

for flow in trained:
    norms = [layer.gradient_norm for layer in flow.layers]
    assert 0.01 < flow.gradient_ratio < 30
    assert max(norms) / min(norms) < 500

curves = {"at the start": after_training(0, 0), "after 1 step": after_training(0, 1)}
draw.show(draw.gradient_norms(curves | {"after 5 steps": trained[0]}))

# %% [markdown]
# It is so, in all five networks: the thousandfold between first and last is gone. Between the largest and
# the smallest layer there is still a factor of ten to a hundred, but nothing has vanished and nothing
# explodes. He et al. (2015, section 4.1) report healthy gradients in their plain networks too. Keep this in
# mind: whatever is wrong with plain-56, its gradients arrive.
#
# ## 6. A first look at `+ x`
#
# Now change one thing: around every two layers, add the input to the output. That is all that a residual
# network does. First in the sick network of section 2, with neither batch norm nor He's initialisation.

# %%
plain_56 = FlowSetting(56, initialisation="PyTorch default", normalisation="none")
resnet_56 = FlowSetting(56, initialisation="PyTorch default", normalisation="none", shortcut=True)
pair = {
    "plain-56": measure.gradient_flow(plain_56, images, targets),
    "with + x": measure.gradient_flow(resnet_56, images, targets),
}

assert pair["plain-56"].gradient_ratio < 1e-18 < 0.1 < pair["with + x"].gradient_ratio
draw.show(draw.gradient_norms(pair, colours=("plain", "residual")))

# %% [markdown]
# The gradient that had vanished arrives in full. The derivative of `f(x) + x` is the derivative of `f`,
# plus 1. However small the first part becomes, the 1 stays: the gradient has a way around each block, a
# **shortcut**, as long as nothing stands in that way.
#
# So is `+ x` enough? Look at the other signal, the one that goes forward, with He's initialisation:

# %%
naive = FlowSetting(56, normalisation="none", shortcut=True)
full = FlowSetting(56, shortcut=True)
flows = {
    "+ x, no batch norm": [measure.gradient_flow(naive, images, targets, s) for s in range(5)],
    "+ x, batch norm": [measure.gradient_flow(full, images, targets, s) for s in range(5)],
}
first_seed = {name: seeds[0] for name, seeds in flows.items()}
draw.show(draw.activation_scales(first_seed, colours=("fourth", "residual")))

# %%
assert min(flow.loss for flow in flows["+ x, no batch norm"]) > 100
assert max(flow.loss for flow in flows["+ x, batch norm"]) < 10
assert all(0.2 < flow.gradient_ratio < 5 for flow in flows["+ x, no batch norm"])
assert all(flow.layers[0].gradient_norm > 50 for flow in flows["+ x, no batch norm"])

# %% [markdown]
# Each block adds its output to its input, and the sum is larger than both. Over 27 blocks the numbers
# grow a thousandfold, and the loss starts in the hundreds or thousands, where guessing gives 2.3. The *ratio* of its
# gradients is about 1, and shows nothing; but each of them is in the hundreds or thousands. So **one healthy number is
# not enough: look at both signals and at the loss.** With batch norm
# inside each block, the sum grows slowly. (The blue line has teeth: every second layer gets the sum,
# and the one between gets freshly normalised numbers.)
#
# ## 7. All of it in one picture
#
# Every combination of what you met. Orange is vanished, violet exploded, white healthy; 0 is smaller than
# the computer can hold. Before you run it: which rows will be orange?

# %%
ingredients = ("ReLU", "sigmoid"), ("PyTorch default", "He"), ("none", "batch norm"), (False, True)
rows = list(itertools.product(*ingredients))
grid = {}
for a, i, n, s in widgets.progress(rows, len(rows), "Sixteen networks at three depths"):
    name = f"{a}, {i}, {n if n != 'none' else 'no norm'}{', + x' if s else ''}"
    settings = {f"{depth} layers": FlowSetting(depth, a, i, n, s) for depth in (8, 20, 56)}
    flows = {k: measure.gradient_flow(v, images, targets) for k, v in settings.items()}
    grid[name] = {k: flow.gradient_ratio for k, flow in flows.items()}

# %%
vanished = [name for name, row in grid.items() if row["56 layers"] < 1e-15]
assert vanished == [
    "ReLU, PyTorch default, no norm",
    "sigmoid, PyTorch default, no norm",
    "sigmoid, PyTorch default, no norm, + x",
    "sigmoid, He, no norm",
    "sigmoid, He, no norm, + x",
]
assert max(grid["ReLU, He, batch norm, + x"].values()) < 50
assert grid["ReLU, He, batch norm"]["56 layers"] > 500
draw.show(draw.flow_grid(grid, title="First layer over last"))

# %% [markdown]
# Three things to see:
#
# - With ReLU, only one recipe vanishes: poor initialisation, no batch norm, no shortcut.
# - A sigmoid without batch norm vanishes even with `+ x`. In these blocks the activation comes *after*
#   the addition, so it sits on the way around too. A shortcut helps as far as it stays free: [lesson 05](05_identity_mappings.ipynb)
#   is about that. With batch norm a sigmoid is much better, though not healthy at 56 layers.
# - With ReLU and batch norm, `+ x` stays below 50 at every depth, where the plain network goes
#   beyond 500. That is a ResNet.
#
# ## 8. What this is not
#
# By 2015, initialisation and batch norm had solved vanishing gradients. Yet deeper plain networks still
# trained **worse** than shallower ones. He et al. call this the **degradation problem**, and say in
# section 4.1 that vanishing gradients are unlikely to be its cause. You have just seen why: in plain-56
# the gradients arrive. [Lesson 03](03_degradation.ipynb) shows that it fails all the same.
#
# ## 9. Explore
#
# Move one thing at a time; grey is the setting before. Can you find
# - a network whose gradient explodes and one whose activations explode,
# - the depth from which, with PyTorch's default and no batch norm, the first layer gets less than a millionth
#   of what the last one gets,
# - a setting with tanh that is healthy at 56 layers without batch norm?

# %%
widgets.GradientFlowExplorer(images[:4], targets[:4])  # a small batch, for a quick answer

# %% [markdown]
# ## What was measured
#
# First layer's gradient over the last one's, five seeds each; digits of 16x16 pixels.
#
# | claim | measured here | in the literature |
# |---|---|---|
# | poor initialisation vanishes | 1e-2, 3e-7, 2e-22 at 8, 20, 56 layers | He et al. 2015b, figure 3: with Xavier, 30 layers do not learn |
# | factor of a layer, for the signal | 0.41, 0.71, 1.0 within 10% | √(1/6), √(1/2), 1 (He et al. 2015b, section 2.2) |
# | a sigmoid vanishes | below 1e-25 at 56 layers, without batch norm | Bengio, Simard and Frasconi 1994, for recurrent networks |
# | He with ReLU arrives | above 0.05 at every depth | He et al. 2015b |
# | batch norm explodes at the start | above 100 at 56 layers; gone after five steps | Yang et al. 2019 |
# | `+ x` without batch norm | ratio near 1, but initial loss above 100 | guessing: ln 10 = 2.3 |
#
# Bengio, Simard and Frasconi 1994: "Learning long-term dependencies with gradient descent is difficult". Glorot
# and Bengio 2010: "Understanding the difficulty of training deep feedforward neural networks". He et
# al. 2015: "Deep Residual Learning for Image Recognition". He et al. 2015b: "Delving Deep into Rectifiers".
# Yang et al. 2019: "A Mean Field Theory of Batch Normalization".
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A plain network of 32 layers: Xavier, ReLU, no batch norm, biases zero. All its layers get about the "
    "same gradient, some 1e-7. Is it healthy?",
    {
        "Yes: no layer gets less than another.": "Look at the height of the line: 1e-7 moves nothing.",
        "No: both signals shrink, and the ratio hides it.": "0.71 to the power of 30 is about 3e-5 in each "
        "direction. Look at the height of the line, not only at its slope.",
        "No: batch norm is missing, and without it gradients always vanish.": "With He's initialisation "
        "they arrive without batch norm. You measured it in section 4.",
    },
    right="No: both signals shrink, and the ratio hides it.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "First and last layer get the same gradient, but the first loss is 900. What now?",
    {
        "Nothing: gradients decide.": "Ten classes at random give 2.3. Something is far too large.",
        "Look at the activations.": "They explode on the way forward, as with a naive + x. "
        "The ratio did not show it.",
        "Use a sigmoid.": "It would hide the large numbers, and the gradient would vanish.",
    },
    right="Look at the activations.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Did vanishing gradients stop plain-56 (He's initialisation, batch norm) from training well?",
    {
        "Yes, that is why ResNets were invented.": "So say many textbooks. You measured otherwise: "
        "after one step of training its gradients arrive.",
        "No: its gradients arrive.": "So there must be another reason: the degradation problem.",
        "Yes, but only with ReLU.": "With ReLU and He's rule the factor of a layer is 1.",
    },
    right="No: its gradients arrive.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 02](../exercises/02_plain_networks.ipynb): build `PlainBlock`, initialise it, and
# write the measurement of this lesson yourself.
