# %% [markdown]
# # 11 Two frameworks, one network
#
# ResNet-50 is everywhere: in torchvision, in Keras, and in this course. Are they the same network? Load the
# weights of one into another, and you get an answer without any error message. It may be wrong all the same. In this
# lesson you carry a network from Keras to PyTorch by hand, find the five differences that spoil its answers in
# silence, and measure how much each of them matters.
#
# **Afterwards you can**
# - explain why Keras counts 79,680 parameters more, to the last one,
# - carry weights from Keras to PyTorch: names, axes, biases, statistics,
# - prove that two networks are equal, layer by layer, and find the first layer where they are not,
# - say which difference matters how much, and which one only in training.
#
# **You need** [lesson 06](06_resnet50.ipynb), and Keras, which the course brings along. **Time:** about 45 minutes.

# %%
import os

os.environ["KERAS_BACKEND"] = "torch"  # read when Keras is imported

# %% [markdown]
# Keras is a language for networks, and computes with TensorFlow, JAX or PyTorch. With `"torch"` it needs nothing
# that you do not have. If you have TensorFlow: write `"tensorflow"` there, restart the kernel, and run the same cells.
# They then take 3 GB of memory.

# %%
from resnet_edu import data, draw, measure, weights, widgets

widgets.stop_without("keras")

# %%
import copy
import itertools
import re
from pathlib import Path

import keras
import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from resnet_edu.blocks import Bottleneck
from resnet_edu.networks import resnet50

# %% [markdown]
# ## 1. Three times ResNet-50
#
# Ours and torchvision's have the same names, shapes and parameters. That was [lesson 06](06_resnet50.ipynb). And Keras's?

# %%
keras.utils.set_random_seed(0)
theirs, ours = torchvision.models.resnet50(), resnet50()
kerass = keras.applications.ResNet50(weights=None)  # random weights: no download

names = [list(model.state_dict()) for model in (theirs, ours)]
assert names[0] == names[1]
for name, model in (("torchvision", theirs), ("ours", ours)):
    print(f"{name:12}{sum(p.numel() for p in model.parameters()):,} parameters")
print(f"{'Keras':12}{kerass.count_params():,} parameters")

# %% [markdown]
# Keras calls everything by other names. It counts stages from the stem, so that our `layer1` is its `conv2`, as in
# the paper's table 1. It counts blocks from 1. And the shortcut's convolution is number 0 of its block:


# %%
def keras_name(name):
    """Where Keras keeps our layer: layer1.0.conv1 is conv2_block1_1_conv."""
    if name == "fc":
        return "predictions"
    if name in ("conv1", "bn1"):
        return f"conv1_{name[:-1]}"
    stage, block, layer = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", name).groups()
    layer = {"downsample.0": "conv0", "downsample.1": "bn0"}.get(layer, layer)
    return f"conv{int(stage) + 1}_block{int(block) + 1}_{layer[-1]}_{layer[:-1]}"


# %%
def side_by_side(model, keras_model, prefixes):
    """Two summaries, line by line, for our layers whose names begin like this."""
    line = "{:21}{:>14}{:>10}  {:19}{:>14}{:>10}"
    print(line.format("ours", "shape", "numbers", "Keras", "shape", "numbers"))
    for layer in measure.anatomy(model).layers:
        if layer.name.startswith(prefixes) and layer.parameters:
            other = keras_model.get_layer(keras_name(layer.name))
            ours = layer.name, str(layer.output_shape), f"{layer.parameters:,}"
            shape, numbers = str(other.output.shape[1:]), f"{other.count_params():,}"
            print(line.format(*ours, other.name, shape, numbers))


# %%
side_by_side(ours, kerass, ("conv1", "bn1", "layer2.0", "fc"))

# %% [markdown]
# Read it line by line.
# - **Shapes.** The same numbers in another order: Keras has the channels last. But look at `layer2.0.conv1`: ours
#   is still at 56 x 56 there, and Keras's is at 28 x 28 already. That is the **stride**, our first difference.
# - **Numbers.** Every convolution of Keras has a few more: 64 where 64 channels come out. These are **biases**,
#   the second difference. And its batch norms count twice as many.
#
# ## 2. 79,680 parameters
#
# Keras says 25,636,712, and PyTorch 25,557,032. Who is right? Count by kind.

# %%
kinds = {}
for weight in kerass.weights:
    kinds[weight.name] = kinds.get(weight.name, 0) + int(np.prod(weight.shape))
for kind, numbers in kinds.items():
    print(f"Keras: {kind:20}{numbers:12,}")

buffers = sum(b.numel() for name, b in ours.named_buffers() if "running" in name)
parameters = sum(p.numel() for p in ours.parameters())
print(f"\nPyTorch: parameters        {parameters:12,}")
print(f"PyTorch: running statistics{buffers:12,}")

# %%
channels = sum(m.out_channels for m in ours.modules() if isinstance(m, nn.Conv2d))
statistics = kinds["moving_mean"] + kinds["moving_variance"]
of_convolutions = kinds["bias"] - 1000  # the last layer has 1,000, in ours too

assert (of_convolutions, statistics) == (channels, buffers) == (26_560, 53_120)
assert kerass.count_params() == 25_636_712
assert parameters == 25_557_032 == kerass.count_params() - of_convolutions - statistics

# %% [markdown]
# Both are right. Of the 79,680,
# - 53,120 are **running means and variances**. PyTorch has them too, and calls them buffers: no gradient changes
#   them, so they are not parameters. Keras counts them, as "non-trainable".
# - 26,560 are **biases** of convolutions, one for each channel that comes out. PyTorch's have none, for the
#   batch norm behind them subtracts the mean, and any bias with it.
#
# If that is so, such a bias is of no use in training: its gradient must be zero. (Not exactly. Floats are
# rounded.)

# %%
torch.manual_seed(0)
conv, norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
norm(conv(torch.randn(16, 3, 8, 8))).pow(3).sum().backward()

assert conv.bias.grad.abs().max() < 1e-4 * conv.weight.grad.abs().max()

# %% [markdown]
# ## 3. A network with something to say
#
# To see whether a port is right, we need a network whose answers can go wrong. The fresh one is no good: where a
# mistake could hide, it has zeros and ones.

# %%
zeros, ones = ("bias", "beta", "moving_mean"), ("gamma", "moving_variance")

assert all(not w.numpy().any() for w in kerass.weights if w.name in zeros)
assert all((w.numpy() == 1).all() for w in kerass.weights if w.name in ones)
del theirs, ours, kerass  # about 300 MB that are no longer needed

# %% [markdown]
# Trained weights would do, but they are a download of 103 MB (section 9). So we bring a network to life ourselves:
# random numbers for everything, statistics measured on real images, and a last layer that is fitted to a task. The
# task is to read digits, in blue ink on yellow paper: the order of the colours shall matter, too.


# %%
def coloured(split, count):
    """Digits (count, 3, 64, 64) in blue ink on yellow paper, and what they are."""
    images, labels = data.digits(split, size=64)[:count]
    ink, paper = torch.tensor([[0.10, 0.15, 0.60], [0.95, 0.90, 0.60]])[..., None, None]
    return images * ink + (1 - images) * paper, labels


known, known_labels = coloured("train", 300)
images, labels = coloured("validation", 64)
named = {f"image {i + 1}: a {labels[i]}": images[i].numpy() for i in range(6)}
draw.show(draw.images(named, columns=6))

# %% [markdown]
# Both networks were published with rules for their input. Keras's ResNet-50 wants blue, green, red, from 0 to 255,
# with a mean subtracted. torchvision's wants red, green, blue, from 0 to 1, normalised.


# %%
def for_keras(images):
    """RGB in 0..1 to BGR in 0..255, less the mean of ImageNet."""
    mean = torch.tensor([103.939, 116.779, 123.68])
    return 255 * images.flip(1) - mean[:, None, None]


def channels_last(images):
    return images.permute(0, 2, 3, 1).numpy()


rule = keras.applications.resnet.preprocess_input(channels_last(255 * images))
assert np.allclose(channels_last(for_keras(images)), rule, atol=1e-3)

# %%
keras_model = keras.applications.ResNet50(weights=None, classes=10, input_shape=(64, 64, 3))
numbers = np.random.default_rng(0)

for layer in keras_model.layers:
    own = layer.get_weights()
    if isinstance(layer, keras.layers.Conv2D):
        own[0] = numbers.normal(0, np.prod(own[0].shape[:3]) ** -0.5, own[0].shape)
        own[1] = numbers.normal(0, 0.1, own[1].shape)
    elif isinstance(layer, keras.layers.BatchNormalization):
        last = layer.name.endswith("3_bn")  # of a branch: small, so that blocks change little
        own[0] = numbers.uniform(0.5, 1.5, own[0].shape) * (0.2 if last else 1)
        own[1] = numbers.normal(0, 0.2, own[1].shape)
    layer.set_weights(own)

# %%
norms = [x for x in keras_model.layers if isinstance(x, keras.layers.BatchNormalization)]
for norm in norms:
    norm.momentum = 0.0  # keep nothing of the old statistics
with torch.no_grad():
    keras_model(channels_last(for_keras(known[:32])), training=True)
for norm in norms:
    norm.momentum = 0.99

# %% [markdown]
# Now the last layer. We fit it by least squares: no training, one equation (ridge regression).

# %%
body = keras.Model(keras_model.input, keras_model.get_layer("avg_pool").output)
batches = for_keras(known).split(20)
features = np.concatenate(
    [
        body.predict_on_batch(channels_last(batch))
        for batch in widgets.progress(batches, len(batches), "Keras looks at 300 digits")
    ]
)

# %%
mean = features.mean(0)
spread = (features - mean).T @ (features - mean) + 10 * np.eye(2048)
kernel = 10 * np.linalg.solve(spread, (features - mean).T @ (np.eye(10)[known_labels] - 0.1))
keras_model.get_layer("predictions").set_weights([kernel, -mean @ kernel])

expected = keras_model.predict(channels_last(for_keras(images)), batch_size=16, verbose=0)
assert (expected.argmax(1) == labels.numpy()).mean() > 0.65

# %% [markdown]
# It reads about four of five unseen digits rightly: random convolutions, with a fitted head. That is enough. This
# network has answers, they differ from image to image, and they can get worse.
#
# ## 4. The port
#
# Two things change on the way. Names: you have seen them. And axes. A kernel of Keras is (H, W, in, out), PyTorch's
# is (out, in, H, W); of a dense layer (in, out) and (out, in).


# %%
def to_torch(numbers):
    """A weight of Keras as a tensor, its axes in PyTorch's order."""
    numbers = torch.tensor(numbers)
    order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    return numbers.permute(order[numbers.dim()])


# %%
@torch.no_grad()
def copy_weights(keras_layer, module):
    if isinstance(module, nn.BatchNorm2d):
        own = module.weight, module.bias, module.running_mean, module.running_var
        module.eps, module.momentum = 1.001e-5, 0.01
    else:
        module.bias = nn.Parameter(torch.zeros(len(module.weight)))  # convolutions had none
        own = module.weight, module.bias
    for tensor, numbers in zip(own, keras_layer.get_weights(), strict=True):
        tensor.copy_(to_torch(numbers))


# %%
def port(keras_model):
    """Our ResNet-50 with Keras's weights, and with all that Keras does differently."""
    classes = keras_model.output.shape[-1]
    model = resnet50(num_classes=classes, stride_in_1x1=True).eval()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            copy_weights(keras_model.get_layer(keras_name(name)), module)
    return model


@torch.no_grad()
def probabilities(model, inputs):
    logits = torch.cat([model(batch) for batch in inputs.split(16)])
    return logits.softmax(1).numpy()  # in Keras, the softmax is part of the last layer


# %%
ported = port(keras_model)
found = probabilities(ported, for_keras(images))

assert np.abs(found - expected).max() < 1e-4

# %% [markdown]
# All 640 probabilities are equal, to within a ten-thousandth (and far closer, as you will see). `strict=True` made
# sure that no weight was left over, `copy_` that every shape fits. But neither would have told us of the rest.
#
# The library does the same in one call. Its network has no biases, and needs none: they are hidden in the batch
# norms. The exercise `fold_bias` asks you how.

# %%
model = weights.from_keras(keras_model)

assert all(m.bias is None for m in model.modules() if isinstance(m, nn.Conv2d))
assert np.abs(probabilities(model, for_keras(images)) - expected).max() < 1e-4
assert all(keras_name(n) == weights.keras_name(n) for n in ("conv1", "layer4.2.bn3", "fc"))

# %% [markdown]
# ## 5. Layer by layer
#
# Equal probabilities are one test. A better one compares what leaves each layer: if something is wrong, it shows
# where. Here are the max-pool and the 16 blocks, in both networks, for eight images.

# %%
blocks = [f"layer{s}.{b}" for s, count in enumerate((3, 4, 6, 3), 1) for b in range(count)]
outs = ["pool1_pool", *(weights.keras_name(f"{block}.relu3") for block in blocks)]
stages = keras.Model(keras_model.input, [keras_model.get_layer(name).output for name in outs])
inside = [
    torch.tensor(out).permute(0, 3, 1, 2)
    for out in stages.predict(channels_last(for_keras(images[:8])), verbose=0)
]


# %%
@torch.no_grad()
def drifts(model, inputs):
    """How far each layer's output is from Keras's, relative to how large that is."""
    x = model.maxpool(model.relu(model.bn1(model.conv1(inputs))))
    found = [x]
    for name in blocks:
        found.append(x := model.get_submodule(name)(x))
    return [((a - b).norm() / b.norm()).item() for a, b in zip(found, inside, strict=True)]


# %%
lines = {"complete": drifts(ported, for_keras(images[:8]))}
assert max(lines["complete"]) < 1e-4
draw.show(draw.drift_by_layer(lines, ["pool", *blocks], colours={"complete": "residual"}))

# %% [markdown]
# The two networks are equal up to rounding, in every layer. Floats have about seven digits, and a layer adds up
# hundreds or thousands of them, not always in the same order. So the difference begins near 1e-7, and grows a little on
# its way.
#
# ## 6. One correction less
#
# Now the five differences, one at a time. Each of the functions below takes one correction back, in a copy of the
# network that we have just proved right. How many of the 64 answers will no longer be Keras's?

# %%
differences = ("stride", "biases", "epsilon", "padding", "input")
guess = widgets.Prediction(
    "Without this correction, how many of 64 answers change?", differences, 0, 64
)
guess

# %% [markdown]
# **Stride.** Where a block makes the image smaller, the 2015 paper and Keras have the stride on the first 1x1
# convolution, which then skips three pixels of four. torchvision has it on the 3x3. Shapes and parameters are
# the same, so nothing complains.
#
# **Biases.** PyTorch's convolutions have none. Load with `strict=False`, and they are dropped in silence.
#
# **Epsilon.** Batch norm adds a small number to the variance before it divides. It is 1.001e-5 in Keras's ResNets, and
# 1e-5 in PyTorch.


# %%
def stride(model):
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride


def biases(model):
    for conv in model.modules():
        if isinstance(conv, nn.Conv2d):
            conv.bias = None


# %%
def epsilon(model, value=1e-5):
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = value


# %% [markdown]
# **Padding.** Keras's ResNet-50 pads the image by 3 pixels on each side in front of its 7x7 convolution with stride 2, as
# PyTorch does. But it takes a layer of its own for that (`conv1_pad`). Who rebuilds the network writes
# `padding="same"` instead, and gets something else:

# %%
same = keras.layers.Conv2D(4, 7, strides=2, padding="same")
output = keras.ops.convert_to_numpy(same(channels_last(images[:2])))
by_keras, kernel = torch.tensor(output).permute(0, 3, 1, 2), to_torch(same.get_weights()[0])


def by_torch(*left_right_top_bottom):
    return F.conv2d(F.pad(images[:2], left_right_top_bottom), kernel, stride=2)


assert torch.allclose(by_torch(2, 3, 2, 3), by_keras, atol=1e-4)
assert not torch.allclose(by_torch(3, 3, 3, 3), by_keras, atol=1e-1)

# %% [markdown]
# `"same"` pads as little as it can, and an odd pixel goes to the right and below: (2, 3). The kernel looks at
# other pixels, and everything moves by one.
#
# The max-pool has a difference that is none. Keras pads it with zeros, and PyTorch with minus infinity. Behind a ReLU
# nothing is below zero, so a zero never wins against a pixel:

# %%
x = torch.randn(2, 8, 9, 9)
with_zeros = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
with_infinity = nn.MaxPool2d(3, 2, padding=1)

assert torch.equal(with_zeros(x.relu()), with_infinity(x.relu()))
assert not torch.equal(with_zeros(x), with_infinity(x))


# %%
def padding(model):
    """As if the network had been built with padding="same"."""
    model.conv1.padding, model.maxpool.padding = (0, 0), 0
    model.conv1 = nn.Sequential(nn.ZeroPad2d((2, 3, 2, 3)), model.conv1)
    model.maxpool = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), model.maxpool)


# %% [markdown]
# **Input.** The numbers that go in. torchvision's rule for the same images:


# %%
def for_torchvision(images):
    """RGB in 0..1, normalised."""
    numbers = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    mean, deviation = numbers[..., None, None]
    return (images - mean) / deviation


for name, rule in (("Keras", for_keras), ("torchvision", for_torchvision)):
    low, high = rule(images).aminmax()
    print(f"{name:12} the numbers go from {low:6.1f} to {high:5.1f}")

# %% [markdown]
# Now all of it. What is missing is a set of names; `input` is no matter of the network.


# %%
undo = {"stride": stride, "biases": biases, "epsilon": epsilon, "padding": padding}


def without(missing, network=ported):
    """A copy of the network without these corrections, and the rule for its input."""
    model = copy.deepcopy(network)
    for name in set(missing) & set(undo):
        undo[name](model)
    return model, for_torchvision if "input" in missing else for_keras


# %%
def answers(missing, count=64):
    model, rule = without(missing)
    return probabilities(model, rule(images[:count]))


one_less = {"nothing": answers([])}
for name in widgets.progress(differences, len(differences), "One correction less"):
    one_less[name] = answers([name])

# %%
changed = {name: int((p.argmax(1) != expected.argmax(1)).sum()) for name, p in one_less.items()}

assert changed["nothing"] == 0
assert changed["epsilon"] == 0
assert 3 <= changed["stride"] < 20
assert 8 <= changed["biases"] < 32
assert changed["padding"] >= 25
assert changed["input"] >= 45
title = "Missing: answers of 64 that are not Keras's"
draw.show(draw.bars(changed, predicted=guess.values, title=title, unit="answers"))

# %% [markdown]
# Not one of these networks complained. With the wrong padding more than half of the answers are others, and with the
# wrong input nearly all: as good as guessing. (One seed may be luck. Five gave 7 to 12 for the stride, 13 to 23 for the
# biases, 37 to 49 for the padding, 59 to 62 for the input, and never one for epsilon.)
#
# An answer is a coarse measure. How far do the probabilities move?

# %%
drift = {name: float(np.abs(p - expected).max(1).mean()) for name, p in one_less.items()}
model, _ = without([])
epsilon(model, 1e-3)
moved = np.abs(probabilities(model, for_keras(images)) - expected)
drift["epsilon of 1e-3"] = float(moved.max(1).mean())

assert drift["epsilon"] < 1e-4 < 1e-3 < drift["epsilon of 1e-3"] < drift["stride"] / 3
unit = "largest change of a probability, mean of 64 images"
draw.show(draw.bars(drift, title="Missing: how far probabilities move", unit=unit, log=True))

# %% [markdown]
# **Epsilon does not matter here.** Between 1.001e-5 and 1e-5 the probabilities move no more than rounding moves them.
# It would matter where a variance is about as small as epsilon: in a channel that is nearly dead. The last bar is
# what people get who rebuild the network by hand: the default of Keras's `BatchNormalization` is 1e-3. That moves
# probabilities in the third digit.
#
# How much the others matter depends on the weights. Ours are random, and their head is fitted to what they happen to
# give. Section 9 tries trained ones.
#
# The rule for the input has three parts. Is one of them harmless?

# %%
partly = {
    "red and blue swapped": lambda x: for_keras(x.flip(1)),
    "0 to 1, not 0 to 255": lambda x: for_keras(x) / 255,
    "mean not subtracted": lambda x: 255 * x.flip(1),
}
for name, rule in partly.items():
    others = probabilities(ported, rule(images)).argmax(1) != expected.argmax(1)
    assert others.sum() > 20
    partly[name] = int(others.sum())

# %%
title = "Input: answers of 64 that are not Keras's"
draw.show(draw.bars(partly, title=title, unit="answers"))

# %% [markdown]
# None. And now the picture of section 5 again, with one correction less each time:

# %%
for name in differences:
    model, rule = without([name])
    lines[name] = drifts(model, rule(images[:8]))

first_stage, later = slice(0, 4), slice(4, None)
assert max(lines["stride"][first_stage]) < 1e-4 < 0.02 < min(lines["stride"][later])
assert min(min(lines[name]) for name in ("biases", "padding", "input")) > 1e-3
colours = ("residual", "third", "fourth", "neutral", "prediction", "plain")
colours = dict(zip(lines, colours, strict=True))
draw.show(draw.drift_by_layer(lines, ["pool", *blocks], colours=colours))

# %% [markdown]
# This is how to find a mistake in a port. Wrong padding, input or missing biases show at the very first layer. The stride
# shows at `layer2.0`, where a block makes the image smaller for the first time: up to there its line, like that of
# epsilon all the way, lies on the line of the complete port. So **look for the first layer that differs**: the mistake
# is there, or just before.
#
# ## 7. All combinations
#
# Do two mistakes add up? Tick what is corrected, and go through the images.

# %%
sets = [frozenset(c) for n in range(6) for c in itertools.combinations(differences, n)]
combined = {
    missing: answers(missing, 16)
    for missing in widgets.progress(sets, len(sets), "All 32 combinations")
}

# %%
start = frozenset(["stride"])
widgets.CorrectionsExplorer(images[:16], expected[:16], combined, start)

# %% [markdown]
# ## 8. A difference that only training shows
#
# **Momentum.** In training, batch norm follows the statistics of its batches. Keras says which share of the *old*
# statistics is kept, 0.99, and PyTorch which share of the *new* ones is taken, 0.1. One step, from mean 0 and variance 1:

# %%
batch = 5 + 3 * torch.randn(4, 16, 2, 2, generator=torch.Generator().manual_seed(0))
keras_norm = keras.layers.BatchNormalization(momentum=0.99, epsilon=1.001e-5)
with torch.no_grad():
    keras_norm(channels_last(batch), training=True)
mean, variance = map(torch.tensor, keras_norm.get_weights()[2:])
print(f"Keras, momentum 0.99:   mean {mean.mean():.3f}, variance {variance.mean():.3f}")

for momentum in (0.1, 0.01):
    norm = nn.BatchNorm2d(16, momentum=momentum)
    norm(batch)
    means = f"mean {norm.running_mean.mean():.3f}, variance {norm.running_var.mean():.3f}"
    print(f"PyTorch, momentum {momentum:<5} {means}")

# %%
assert torch.allclose(norm.running_mean, mean, atol=1e-5)
assert not torch.allclose(norm.running_var, variance, atol=1e-3)
assert torch.allclose(
    (norm.running_var - 0.99) / (variance - 0.99), torch.tensor(16 / 15), rtol=1e-3
)

# %% [markdown]
# With its default, PyTorch moves ten times as fast as Keras. With 0.01 the means agree. But **the variances still do
# not**: PyTorch divides by n − 1, and Keras by n, the number of pixels that a channel has in the batch (16 here). Ioffe
# and Szegedy (2015, algorithm 2) have n − 1. With large batches nobody notices. Where a layer sees few
# pixels, two frameworks part here, and no setting mends it.
#
# ## 9. With ImageNet's weights
#
# Keras publishes trained weights. The file has 103 MB; nothing here needs it. If you have a network, run
# `keras.applications.ResNet50()` once: Keras keeps the file, and this cell finds it.

# %%
home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
file = home / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"


# %%
def look_at(name, model, ported):
    """The first answer to a photo: Keras's, and ours without each of the corrections."""
    photo = data.photo(name, width=360)[None, :, 8:232, 68:292]
    answers = {"Keras": model.predict(channels_last(for_keras(photo)), verbose=0)[0]}
    for missing in ([], *([name] for name in differences)):
        one_less, rule = without(missing, ported)
        row = f"ours, without {missing[0] if missing else 'nothing'}"
        answers[row] = probabilities(one_less, rule(photo))[0]
    classes = torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"]
    for row, values in answers.items():
        print(f"{name:8}{row:24}{values.max():6.1%}  {classes[values.argmax()]}")


# %% tags=["nbval-ignore-output"]
if file.exists():
    trained = keras.applications.ResNet50(weights=str(file))
    for name in ("flower", "palace"):
        look_at(name, trained, port(trained))
else:
    print(
        "Keras's ImageNet weights are not on this computer. With them, this cell shows what "
        "Keras sees in two photos, and our port without each of the corrections."
    )

# %% [markdown]
# ## What was measured
#
# 64 digits of 64x64 pixels, in a ResNet-50 with random weights, measured statistics and a fitted head.
#
# | claim | measured here | in the literature |
# |---|---|---|
# | Keras counts 79,680 more | 26,560 biases and 53,120 statistics | Keras and torchvision, documentation |
# | a bias in front of batch norm is of no use in training | its gradient is zero | Ioffe and Szegedy 2015, section 3.2 |
# | ported with care, the networks are equal | every probability to 1e-4, every layer to 1e-4 | |
# | the stride's place matters | a tenth of the answers change; it shows from `layer2.0` on | "v1.5" in torchvision's documentation |
# | biases matter | a fifth of the answers change, or more | |
# | epsilon matters | **no**: 1e-5 for 1.001e-5 is lost in rounding; 1e-3 moves the third digit | |
# | padding matters | "same" changes more than half of the answers; zeros around the pool change nothing | |
# | the rule for the input matters | nearly all answers change; each of its three parts is enough | |
# | momentum .99 is PyTorch's .01 | for the mean; variances differ by n/(n − 1) | Ioffe and Szegedy 2015, algorithm 2 |
#
# Ioffe and Szegedy 2015: "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift".
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "You load a file of weights into a network. All names and shapes fit. Is it the same network?",
    {
        "Yes: the weights are all there is.": "Strides, padding, epsilon and the rule for the input are in no "
        "file of weights.",
        "Not shown: compare outputs.": "Names and shapes say nothing about strides, padding or input. Only the "
        "same outputs for the same images do.",
        "No: PyTorch and Keras never agree.": "Here they agreed in every layer, up to rounding.",
    },
    right="Not shown: compare outputs.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Two networks agree up to layer2.3, and differ from layer3.0 on. What do you look at first?",
    {
        "The input.": "Then the very first layer would differ.",
        "What is new in layer3.0: its stride, its shortcut.": "The first layer that differs has the mistake, or "
        "the one just before it.",
        "The head.": "It comes after layer3, and cannot reach back.",
    },
    right="What is new in layer3.0: its stride, its shortcut.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Why may the biases of Keras's convolutions not simply be left out, if training does not use them?",
    {
        "They may.": "Look at their bar: a part of the answers changed.",
        "In evaluation, a fixed mean is subtracted.": "It was measured with the biases. In training, the mean of "
        "each batch is taken, and the bias goes with it.",
        "They are large.": "Ours were drawn small, and answers changed all the same.",
    },
    right="In evaluation, a fixed mean is subtracted.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 11](../exercises/11_two_frameworks.ipynb): move a kernel, explain the 79,680 for any of our
# networks, and hide a bias in a batch norm.
