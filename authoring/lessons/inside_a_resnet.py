# %% [markdown]
# # 07 Inside a trained ResNet
#
# You built a ResNet-50. Now open a trained one and look inside: what its first kernels look for, what its channels
# answer to, where it finds its evidence, which of its blocks it could spare, and how the classes come apart on the way.
# The network is small and real. It comes with the course: a ResNet-50 of a quarter of the width, trained to read 166
# letters and symbols. (Two that differ in little but their size are one class: "Oo" is O or o.) You show it letters in
# fonts that it has never seen.
#
# **Afterwards you can**
# - catch the output of any layer of a network,
# - write Grad-CAM in ten lines, and test whether its heat maps mean something,
# - measure how much each block matters, and how much it changes.
#
# **You need** lessons [05](05_identity_mappings.ipynb) and [06](06_resnet50.ipynb). **Time:** about 70 minutes, of which less than two are the computer's.

# %%
import torch
from torch.nn import functional as F

from resnet_edu import data, draw, measure, networks, training, weights, widgets
from resnet_edu.training import Recipe

# %%
network = weights.bundled()
unseen = data.glyphs("validation", 2000, seed=6)
images, labels = unseen.tensors  # (2000, 3, 64, 64), (2000,)

accuracy = training.evaluate(network, unseen)
assert accuracy > 0.97
print(f"It reads {accuracy:.0%} of 2,000 letters in fonts it was never trained on.")

# %%
draw.show(draw.gallery({"some of them": images[:12]}))

# %% [markdown]
# ## 1. The first kernels
#
# The first layer has 16 kernels of 7x7 pixels, each with a red, a green and a blue part. They started as noise. What
# have they become? One question first. Make a kernel grey: put the mean of the three parts in the place of each. How
# much of it is left, as a sum of squares? Of noise, a third. And of the trained kernels?

# %%
grey_guess = widgets.Prediction(
    "How much of the kernels is left when they are made grey, in percent?",
    ["trained"],
    low=0,
    high=100,
)
grey_guess

# %%
kernels = network.conv1.weight.detach()  # (16, 3, 7, 7)
shown = kernels / kernels.abs().amax((1, 2, 3), keepdim=True) / 2 + 0.5  # zero is middle grey
draw.show(draw.images({f"{i}": kernel for i, kernel in enumerate(shown)}, columns=8))


# %%
def grey_percent(kernels):
    """How much of the kernels is left when they are made grey, in percent."""
    grey = kernels.mean(1, keepdim=True).expand_as(kernels)
    return int(100 * grey.square().sum() / kernels.square().sum())


torch.manual_seed(0)
untrained = networks.resnet50(len(data.GLYPHS), width=16).eval()
at_start = untrained.conv1.weight.detach()
grey = {"before training": grey_percent(at_start), "trained": grey_percent(kernels)}

assert grey["before training"] < 40
assert grey["trained"] > 85
draw.show(draw.bars(grey, predicted=grey_guess.values, title="Grey share", unit="percent"))


# %%
def balance(kernels):
    """The sum of a kernel's numbers over the sum of their sizes; 0: bright and dark parts cancel."""
    grey = kernels.mean(1)
    return grey.sum((1, 2)).abs() / grey.abs().sum((1, 2))


lengths = kernels.flatten(1).norm(dim=1)
assert balance(kernels).median() < 0.05
assert balance(at_start).median() > 0.08
assert lengths[[3, 8, 9]].max() < 0.6 * lengths.median()

# %% [markdown]
# Bright beside dark: the kernels have become **edges and bars**, in many directions. In most of them the bright and the
# dark part cancel, so that a plain ground, however bright, gives nearly zero. And they are **grey**. (Each is drawn with
# full contrast. The three with most colour, 3, 8 and 9, are in truth weak: about half as long as most.) Networks
# trained on photos also have coloured kernels (Zeiler and Fergus 2014, figure 2). Our letters come in any two colours,
# so that colour says nothing about the class. A network learns what its data reward.
#
# ## 2. What the stages see
#
# A network gives back its logits only. To see what a layer puts out, hang a **hook** on it: a function of yours that
# PyTorch calls each time the layer has run, with the layer, its inputs and its output.

# %%
letter, kept = images[3], []
hook = network.layer1.register_forward_hook(lambda layer, inputs, output: kept.append(output))
network(letter[None])
hook.remove()  # else it goes on catching

# %% [markdown]
# `measure.capture` does so for several layers at once. Of each stage, here is the channel that answers most to the
# letter: the one with the largest number in its map. `relu` is the end of the stem.

# %%
stages = ("relu", "layer1", "layer2", "layer3", "layer4")
caught = measure.capture(network, stages, letter[None])
strongest = {stage: maps[0, maps[0].amax((1, 2)).argmax()] for stage, maps in caught.items()}

sides = [len(strongest[stage]) for stage in stages]
assert sides == [32, 16, 8, 4, 2]
torch.testing.assert_close(caught["layer1"], kept[0])
draw.show(draw.images({"the letter": letter, **strongest}, columns=6))

# %% [markdown]
# The maps become smaller, 32x32 to 2x2, and the channels more, 16 to 512. A pixel of the first map says "an edge is
# here". What does a number of the last one say? Ask the channel: which of 2,000 images excite it most, with the largest
# number anywhere in its map?
#
# Think of the eight images that excite a channel most. Eight of one letter: the channel knows the letter. Eight
# letters: it looks for something else.

# %%
labels_guess = widgets.Prediction(
    "Of the eight images that excite a channel most, how many show its most frequent letter?",
    list(stages),
    low=1,
    high=8,
)
labels_guess

# %%
peaks, means = ({stage: [] for stage in stages} for _ in range(2))
for part in widgets.progress(images.split(100), 20, "2,000 images through all stages"):
    for stage, maps in measure.capture(network, stages, part).items():
        peaks[stage].append(maps.amax((2, 3)))  # (100, channels)
        means[stage].append(maps.mean((2, 3)))
peaks, means = ({s: torch.cat(p) for s, p in found.items()} for found in (peaks, means))


# %%
def most_exciting(stage, channel):
    return peaks[stage][:, channel].topk(8).indices


rows = {
    f"{stage}, channel {channel}": images[most_exciting(stage, channel)]
    for stage in ("layer1", "layer4")
    for channel in (0, 1)
}
draw.show(draw.gallery(rows))


# %%
def alike(stage):
    """How many of the eight images show the same letter, on average over the channels."""
    tops = peaks[stage].topk(8, dim=0).indices.T if stage in peaks else by_chance
    return float((labels[tops] == labels[tops].mode(1, keepdim=True).values).sum(1).float().mean())


by_chance = torch.randint(2000, (500, 8), generator=torch.Generator().manual_seed(0))
same = {stage: alike(stage) for stage in ("any eight", *stages)}
assert same["relu"] < same["any eight"] + 0.3
assert 3.5 < same["layer4"] < 5.5
assert same["layer1"] < same["layer2"] < same["layer3"] < same["layer4"]
last = labels[peaks["layer4"].topk(8, dim=0).indices]  # (8, 512)
assert (last == last[0]).all(0).float().mean() < 0.1
draw.show(draw.bars(same, predicted=labels_guess.values, title="Same letter, of eight"))

# %% [markdown]
# In the stem a channel takes whatever has its edge: eight images, hardly more alike than any eight. From stage to stage it
# becomes more choosy, and in the last one about four of the eight show one letter. But not all eight, in nine channels of
# ten and more: even there most channels stand for a **form**, which several letters share, and a letter is a
# combination of forms. "One channel, one thing" is too simple.
#
# Look for yourself. Walk through the layers and channels: can you say in words what a channel looks for?

# %%
letters = {data.GLYPHS[labels[i]]: images[i] for i in range(3, 9)}
widgets.FeatureExplorer(network, letters, images[:500])

# %% [markdown]
# ## 3. Where is the evidence?
#
# Grad-CAM (Selvaraju et al. 2017, section 3) asks a layer: which of your places speak for this class? It weighs each channel
# by the slope of the class's logit, averaged over places, adds the channels up, and drops what speaks against. Here it is;
# `args[2]` is the layer's output:


# %%
def grad_cam(network, layer, image, class_index):
    kept = []
    hook = network.get_submodule(layer).register_forward_hook(lambda *args: kept.append(args[2]))
    logits = network(image[None])
    hook.remove()
    maps = kept[0]  # (1, channels, h, w)
    (slope,) = torch.autograd.grad(logits[0, class_index], maps)
    weight = slope.mean((2, 3), keepdim=True)  # one number for each channel
    evidence = (weight * maps).sum(1, keepdim=True).relu().detach()
    heat = F.interpolate(evidence, image.shape[1:], mode="bilinear")[0, 0]
    return heat / heat.max() if heat.max() > 0 else heat


# %% [markdown]
# Our network ends with a mean over places and a linear layer. For such a network and its last maps there is an older and
# simpler way, which you know from [lesson 06](06_resnet50.ipynb), class activation maps (CAM, Zhou et al. 2016): weigh the channels with the
# class's row of `fc`. Is Grad-CAM the same?

# %%
answer = int(network(letter[None]).argmax())
row = network.fc.weight[answer].detach()
simple = torch.einsum("c,chw->hw", row, caught["layer4"][0]).relu()  # (2, 2)
simple = F.interpolate(simple[None, None], (64, 64), mode="bilinear")[0, 0]

torch.testing.assert_close(grad_cam(network, "layer4", letter, answer), simple / simple.max())
for stage in stages:  # and the library's, which removes its hook also after an error
    heat = measure.grad_cam(network, stage, letter, answer)
    torch.testing.assert_close(grad_cam(network, stage, letter, answer), heat)

# %% [markdown]
# It is. But is a heat map **true**? A pretty picture proves nothing. We need images of which we know where the evidence is.
# So glue nine letters together into one sheet, three rows of three. The network was trained on one letter at a time and has
# never seen a sheet. Can it read one? And does Grad-CAM for a letter point at that letter?


# %%
def sheet_of(nine):
    """Nine images (9, 3, 64, 64) as one, (3, 192, 192)."""
    return nine.view(3, 3, 3, 64, 64).permute(2, 0, 3, 1, 4).reshape(3, 192, 192)


sheets = [(sheet_of(images[i : i + 9]), labels[i : i + 9].tolist()) for i in range(0, 54, 9)]
read = [int(network(sheet[None]).argmax()) in classes for sheet, classes in sheets]
assert sum(read) < 4
print(
    f"Sheets of which the network's answer is one of the nine letters: {sum(read)} of {len(read)}"
)

# %%
sheet, nine = sheets[0]
heats = {
    f"evidence for {data.GLYPHS[c]}": (sheet, grad_cam(network, "layer4", sheet, c))
    for c in nine[:4]
}
draw.show(draw.heat_maps(heats))

# %% [markdown]
# The sheet confuses it: the mean over places mixes nine letters. Yet ask it for one of them, and the heat map finds the
# place. Is that always so? Count how often the brightest pixel lies on the letter asked for (the "pointing game" of
# Zhang et al. 2016). Blind guessing hits one of nine, 11%.

# %%
pointing_guess = widgets.Prediction(
    "How often does the heat map point at the right letter, in percent?",
    [*stages, "layer4, not trained"],
    low=0,
    high=100,
)
pointing_guess


# %%
def points_at(heat):
    """Which of the nine letters the brightest pixel is on."""
    row, column = divmod(int(heat.argmax()), 192)
    return 3 * (row // 64) + column // 64


def pointing(network, stage):
    hits = [
        points_at(measure.grad_cam(network, stage, sheet, c)) == place
        for sheet, classes in sheets
        for place, c in enumerate(classes)
        if classes.count(c) == 1
    ]
    return round(100 * sum(hits) / len(hits))


# %%
games = {stage: (network, stage) for stage in stages}
games["layer4, not trained"] = (untrained, "layer4")
found = {
    name: pointing(*game)
    for name, game in widgets.progress(games.items(), len(games), "The letters of six sheets")
}
assert found["layer4"] > 90
assert found["layer3"] > 85
assert max(found["relu"], found["layer1"], found["layer4, not trained"]) < 25
draw.show(draw.bars(found, predicted=pointing_guess.values, title="Points at it", unit="percent"))

# %% [markdown]
# From `layer3` on, always or nearly. In the first stages, hardly more than chance: there the channels know edges, and
# edges are everywhere. And a network with random weights, though it has the same layers, points at nothing: what the
# map shows was learned (Adebayo et al. 2018 propose this test; some other methods fail it). So read heat maps of late
# layers, and test them before you trust them.
#
# Move through the sheets. Which letter does it take for another, and on what evidence?

# %%
shown = {f"sheet {i}": sheet for i, (sheet, _) in enumerate(sheets[:3], 1)} | {"a letter": letter}
widgets.HeatMapExplorer(network, shown, data.GLYPHS)

# %% [markdown]
# ## 4. Without a block
#
# In [lesson 05](05_identity_mappings.ipynb) you took blocks out of ResNet-56, one at a time. Now do it to a network with real work behind it: 12 of the 16
# blocks keep their input's shape and can be removed. Beside it a plain network as in [lesson 05](05_identity_mappings.ipynb), trained on digits.

# %%
some = ["layer1.1", "layer2.2", "layer3.3", "layer4.2"]
lesion_guess = widgets.Prediction("Accuracy without this block, in percent?", some, low=0, high=100)
lesion_guess

# %%
letters_300 = torch.utils.data.TensorDataset(images[:300], labels[:300])
digits = data.digits("train", size=8)  # 1,500 images (3, 8, 8)
unseen_digits = data.digits("validation", size=8)

torch.manual_seed(0)
plain20 = networks.cifar_plain(20)
training.fit(plain20, digits, Recipe(steps=60), on_step=training.quiet)
records = {
    "ResNet-50": measure.lesions(network, *letters_300[:]),
    "plain-20": measure.lesions(plain20, *unseen_digits[:]),
}

# %%
percents = {}
for name, record in records.items():
    title = f"{name}, whole: {record.intact_accuracy:.0%}"
    percents[title] = {block: 100 * a for block, a in record.accuracies.items()}
residual, plain = percents.values()
assert records["plain-20"].intact_accuracy > 0.75
assert records["ResNet-50"].intact_accuracy > 0.97
assert sorted(plain.values())[len(plain) // 2] < 30
assert max(plain.values()) < 60
assert 75 < min(residual.values()) < 95
assert min(a for block, a in residual.items() if block > "layer3") > 95

# %%
looks = dict(zip(percents, ("residual", "plain"), strict=True))
units = dict.fromkeys(percents, "percent right without it")
guess = lesion_guess.values
draw.show(draw.by_block(percents, units=units, colours=looks, predicted=guess))

# %% [markdown]
# Take a block out of the plain network, whichever, and most of what it knew is gone. The ResNet loses a good tenth
# without the block that it misses most, and without those of its last two stages **next to nothing**. So are these
# idle? What if you take out several at once?

# %%
several_guess = widgets.Prediction(
    "Accuracy without all of these blocks, in percent?",
    ["five of layer3", "two of layer4"],
    low=0,
    high=100,
)
several_guess


# %%
def percent_without(*blocks):
    reduced = network
    for block in blocks:
        reduced = measure.without_block(reduced, block)
    return round(100 * training.evaluate(reduced, letters_300))


layer3 = [f"layer3.{i}" for i in range(1, 6)]
several = {
    "one of layer3": min(percent_without(block) for block in layer3),  # the one missed most
    "five of layer3": percent_without(*layer3),
    "two of layer4": percent_without("layer4.1", "layer4.2"),
}

# %%
assert several["one of layer3"] > 95
assert several["five of layer3"] < 35
assert several["two of layer4"] > 95
guess = several_guess.values
draw.show(draw.bars(several, predicted=guess, title="Right without them", unit="percent"))

# %% [markdown]
# Each of the five blocks of `layer3` can be spared, but not all five: then two letters of three are lost, or more. It looks
# as if they did one thing in many small steps, where the others make up for a missing one (Veit et al. 2016, section
# 4.2). The two of `layer4` can both go. For this task they *are* nearly idle.
#
# ## 5. Small steps
#
# What does a block do to its input? Let us walk through the network block by block, and keep everything that goes in. Two
# questions to each of the 12 blocks that keep the shape: how large is its change, compared with its input? And does the
# change make the loss smaller: does it point **down** the slope of the loss? The **cosine** between two directions says
# it: 1 if they are the same, 0 if they stand at a right angle.


# %%
def walk(images, labels):
    """The inputs of all blocks and of the head, and the slope of the loss at each."""
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    inputs = [x]
    for block in measure.block_names(network):
        inputs.append(network.get_submodule(block)(inputs[-1]))
    logits = network.fc(network.avgpool(inputs[-1]).flatten(1))
    slopes = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), inputs)
    return [x.detach().flatten(1) for x in inputs], [slope.flatten(1) for slope in slopes]


# %%
inputs, slopes = walk(images[:100], labels[:100])
size, downhill, at_random = {}, {}, {}
for i, block in enumerate(measure.block_names(network)):
    if block in residual:  # those that keep the shape
        change = inputs[i + 1] - inputs[i]
        size[block] = float((change.norm(dim=1) / inputs[i].norm(dim=1)).mean())
        downhill[block] = float(F.cosine_similarity(change, -slopes[i]).mean())
        noise = torch.randn(change.shape, generator=torch.Generator().manual_seed(i))
        at_random[block] = float(F.cosine_similarity(noise, -slopes[i]).mean())


# %%
def stage_means(values):
    """One mean for each stage, layer1 to layer4."""
    of = [[v for block, v in values.items() if block.startswith(stage)] for stage in stages[1:]]
    return [sum(found) / len(found) for found in of]


first, second, third, fourth = stage_means(size)
assert 0.2 < third < min(first, second)
assert max(size.values()) < 0.6
assert fourth < 0.1
first, second, third, fourth = stage_means(downhill)
assert max(first, second) < 0.02 < third < fourth
assert max(map(abs, stage_means(at_random))) < 0.005

# %%
panels = {"Change / input": size, "Cosine of change and way down": downhill}
units = {"Change / input": "ratio of lengths", "Cosine of change and way down": "cosine"}
draw.show(draw.by_block(panels, units=units, colours=dict.fromkeys(panels, "residual")))

# %% [markdown]
# None of these blocks builds its output anew. Each adds a change that is smaller than what came in: three to five tenths
# of it in the first two stages, a quarter or a little more in `layer3`, less than a tenth in `layer4`. And the late
# changes point down the slope: not straight down (a cosine of 0.02 to 0.08), but in these spaces of thousands of
# dimensions noise gives 0.00 (`at_random` above). The early ones hardly do. So early blocks add
# something new to the image, and late ones **refine** an answer. Greff et al. (2017) and Jastrzebski
# et al. (2018) found this in large ResNets, and here it shows too. It fits section 4: a small refinement can be
# spared, an early step less so.
#
# ## 6. How the classes come apart
#
# Each image is a point: the mean of each channel over all places gives it its coordinates, 64 after the first
# stage, 512 after the last. Are images of one letter neighbours there? For 500 images, look up the nearest of the 1,500
# others, and see whether it shows the same letter. "Pixels" does the same with the image itself.

# %%
points = {"pixels": images.mean(1).flatten(1), **means}
neighbour_guess = widgets.Prediction(
    "How often does the nearest neighbour show the same letter, in percent?",
    list(points),
    low=0,
    high=100,
)
neighbour_guess


# %%
def neighbours_agree(x):
    """For the last 500 images: how often the nearest of the others has their label, in percent."""
    nearest = torch.cdist(x[1500:], x[:1500]).argmin(1)
    return round(100 * float((labels[:1500][nearest] == labels[1500:]).float().mean()))


agree = {name: neighbours_agree(x) for name, x in points.items()}
assert max(agree["pixels"], agree["relu"], agree["layer1"]) < 25
assert agree["layer1"] + 20 < agree["layer2"] < agree["layer3"] - 20
assert agree["layer4"] > 95
draw.show(draw.bars(agree, predicted=neighbour_guess.values, title="Same letter", unit="percent"))

# %% [markdown]
# And as a map: ten letters, and of all coordinates the two directions along which the points vary most (principal
# components).

# %%
from sklearn.decomposition import PCA

ten = labels < 10
maps = {stage: PCA(2).fit_transform(means[stage][ten]) for stage in stages[1:]}
draw.show(draw.features_as_points(maps, labels[ten].tolist(), data.GLYPHS))

# %% [markdown]
# Pixels know next to nothing: the same letter comes in other colours at another place. The stem and the first stage
# hardly know more, for the mean of edges over all places forgets where they were. Then the letters come apart, most of
# all in `layer2` and `layer3`, until in `layer4` the nearest neighbour is almost always the same letter. In [lesson 08](08_transfer_learning.ipynb)
# that is worth a lot: points that lie apart like this can be told apart with a handful of labels.
#
# ## 7. ImageNet weights and a photo
#
# The same with the weights that others trained on 1.28 million photos, a download of 98 MB, once. The lesson works without.
# If you have a network connection, set `DOWNLOAD = True` below, then run that cell and all after it.

# %% tags=["nbval-ignore-output"]
DOWNLOAD = False  # True: fetch the weights, 98 MB, once

imagenet = None
try:
    if DOWNLOAD or weights.imagenet_file().is_file():
        imagenet = weights.imagenet().eval()
except weights.DownloadError as error:
    print(error)

# %%
from IPython.display import display
from torchvision.models import ResNet50_Weights

prepare = weights.preprocess("imagenet")
photos = {name: prepare(data.photo(name, width=640)[None])[0] for name in ("flower", "palace")}


def evidence(photo):
    """The photo with the heat map of each of its two likeliest classes."""
    names = ResNet50_Weights.IMAGENET1K_V2.meta["categories"]
    two = imagenet(photo[None])[0].topk(2).indices.tolist()
    return {names[c]: (photo, measure.grad_cam(imagenet, "layer4", photo, c)) for c in two}


# %% tags=["nbval-ignore-output"]
if imagenet is None:
    print(
        "With the weights (DOWNLOAD = True above) you would see 64 kernels with edges and colours,"
    )
    print("and where in two photos ResNet-50 finds its evidence for its two likeliest classes.")
else:
    first = imagenet.conv1.weight.detach()  # (64, 3, 7, 7)
    coloured = first / first.abs().amax((1, 2, 3), keepdim=True) / 2 + 0.5
    rows = {f"kernels from {i}": coloured[i : i + 16] for i in range(0, 64, 16)}
    display(draw.show(draw.gallery(rows)))
    for photo in photos.values():
        display(draw.show(draw.heat_maps(evidence(photo))))

# %% [markdown]
# ## What was measured
#
# On 2,000 letters in unseen fonts.
#
# | claim | measured here | in the literature |
# |---|---|---|
# | first kernels are edges | bright and dark cancel in most | Zeiler and Fergus 2014, figure 2 |
# | ... and colours | **no**: over 85% grey, for colour says nothing here | coloured, on photos |
# | late channels stand for one class | **half**: about 4 of 8 images show one letter | |
# | Grad-CAM is CAM at the last maps | equal | Selvaraju et al. 2017 |
# | Grad-CAM finds the evidence | over 90% at `layer4`, like chance at the stem | Zhang et al. 2016: pointing game |
# | its maps come from training | random weights: near chance | Adebayo et al. 2018 |
# | a ResNet survives the loss of a block | over 75% right whichever, over 95% for late ones | Veit et al. 2016, section 4.1 |
# | ... and of many | **not** of all five of `layer3` | Veit et al. 2016, section 4.2 |
# | late blocks refine | small changes, that point down the loss | Greff et al. 2017; Jastrzebski et al. 2018 |
#
# Zeiler and Fergus 2014: "Visualizing and Understanding Convolutional Networks". Selvaraju et al. 2017: "Grad-CAM".
# Zhou et al. 2016: "Learning Deep Features for Discriminative Localization". Zhang et al. 2016: "Top-down Neural
# Attention by Excitation Backprop". Adebayo et al. 2018: "Sanity Checks for
# Saliency Maps". Veit et al. 2016: "Residual Networks Behave Like Ensembles of Relatively Shallow Networks". Greff et al.
# 2017: "Highway and Residual Networks Learn Unrolled Iterative Estimation". Jastrzebski et al. 2018: "Residual Connections
# Encourage Iterative Inference".
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A heat map for 'dog' lights up the dog. What have you shown?",
    {
        "The network knows what a dog is.": "You saw one image. The map may light up whatever stands out.",
        "Little, until you test it.": "Ask for another class, use random weights, count over many images with a "
        "known answer: as you did in section 3.",
        "Nothing can be learned from heat maps.": "The pointing game was won more than nine times of ten.",
    },
    right="Little, until you test it.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Why is Grad-CAM at the first stage of little use?",
    {
        "The maps are too small.": "They are large: 16x16 for one letter.",
        "Its channels know edges, not letters.": "An edge speaks for many classes, and there are edges everywhere.",
        "The gradient has vanished there.": "The shortcuts carry it. And only its direction matters here.",
    },
    right="Its channels know edges, not letters.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Each of five blocks can be removed with hardly a loss. May you remove all five?",
    {
        "Yes, five times a small loss is small.": "Section 4 did it: most letters were lost.",
        "Not without measuring it.": "Each was measured with the other four in place. They make up for one another.",
        "Yes, if they are in one stage.": "The five of layer3 are, and it went wrong.",
    },
    right="Not without measuring it.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 07](../exercises/07_inside_a_resnet.ipynb): catch outputs without leaving a hook behind, write
# Grad-CAM, and measure how much each block matters.
