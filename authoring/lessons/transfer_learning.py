# %% [markdown]
# # 08 Transfer learning
#
# Few people train a ResNet-50 from random weights. They take one that has learned something else, and move it to their own
# images. Here you do that with a small ResNet-50 that reads printed letters, and teach it **handwritten digits from a few
# examples**. You will see what makes it work, a trap that catches many, and a task where it fails.
#
# **Afterwards you can**
# - put a new head on a trained network, and choose what to freeze and how fast the rest may learn,
# - tell how many labelled images you need, by measuring,
# - find out which parameters *and buffers* a training changed, and keep batch norm in order,
# - test whether pretrained features are worth anything for your task, before you train.
#
# **You need** [lesson 06](06_resnet50.ipynb). **Time:** about 60 minutes, of which two are the computer's.

# %%
import colorsys
import copy
import itertools
from collections import namedtuple
from dataclasses import replace
from statistics import median

# %%
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from resnet_edu import data, draw, training, transfer, weights, widgets
from resnet_edu.networks import resnet50
from resnet_edu.training import Recipe

# %% [markdown]
# ## 1. A reader that has never seen a digit
#
# The network comes with the course: a ResNet-50 of a quarter of the width. It was trained on 300,000 images of printed
# letters and symbols, 166 classes, in many fonts and in all colours. There was no digit among them, and no handwriting.
# These are the new images: digits written by hand, 8x8 pixels enlarged to 48, with a margin.

# %%
parts = [data.digits(split, size=48).tensors for split in ("train", "validation")]
images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:1300]
images = F.pad(images[mixed], (8, 8, 8, 8))  # (1300, 3, 64, 64)
labels = labels[mixed]
unseen, pool = torch.arange(300), torch.arange(300, 1300)  # 300 are held out, in the whole lesson

# %% [markdown]
# What does the letter reader take digits for? What would you say? (Two letters that differ in little but their size are
# one class, such as "Zz".)

# %%
model = weights.bundled()
firsts = [int((labels == digit).nonzero()[0]) for digit in range(10)]
taken_for = model(images[firsts]).argmax(1)
names = [data.GLYPHS[k] for k in taken_for]
draw.show(
    draw.images(
        {
            f"{d}, taken for {n}": images[i]
            for d, (i, n) in enumerate(zip(firsts, names, strict=True))
        }
    )
)

# %% [markdown]
# It answers with what it knows. Some of it is a fair reading of the shape. To teach it digits, we keep all of it
# but the last layer, the **head**, whose 166 outputs mean letters. What we keep is called the **backbone**.
#
# ## 2. Its features are worth more than its answers
#
# In front of the head stand 512 numbers, the **features** of an image. We compute them once, stage by stage, as
# nothing in front of the head changes. (We keep what each stage gives: sections 3, 4 and 8 need it.)


# %%
def outputs_of(images):
    """What each stage of the pretrained network makes of the images: (1300, channels, H, W)."""
    stem, _ = transfer.split(model, "stem")
    outputs = {None: images, "stem": transfer.compute(stem, images)}
    for before, stage in itertools.pairwise(transfer.stages(model)):
        outputs[stage] = transfer.compute(getattr(model, stage), outputs[before])
    outputs["layer4"] = outputs["layer4"].mean((2, 3), keepdim=True)  # as avgpool does
    return outputs


Task = namedtuple("Task", "labels outputs")
digits = Task(labels, outputs_of(images))


# %% [markdown]
# A **linear probe** is a linear classifier on these features: logistic regression, and no training of the network at all.
# Beside it stands the same classifier on the plain pixels. Both get a few labelled images, drawn anew each time.


# %%
def choose(labels, count, seed):
    """The numbers of `count` images of each class: another draw for each seed."""
    order = pool[torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))]
    return torch.cat([order[labels[order] == c][:count] for c in labels.unique()])


def linear(inputs, labels, few):
    """The accuracy on unseen images of a linear classifier that knows a few."""
    classifier = LogisticRegression(max_iter=5000).fit(inputs[few], labels[few])
    return classifier.score(inputs[unseen], labels[unseen])


COUNTS = (1, 5, 20, 50)  # labelled images of each class
features, pixels = digits.outputs["layer4"].flatten(1), F.avg_pool2d(images[:, 0], 6).flatten(1)

# %% [markdown]
# Before you look: with **five** labelled images of each digit, fifty in all, how many unseen digits does each way get right?
# Guessing gets 10%. "All tuned" trains the whole pretrained network on, "from scratch" starts
# the same network from random weights.

# %%
guess = widgets.Prediction(
    "Accuracy with five labels per class, in percent?",
    ["pixels", "from scratch", "linear probe", "all tuned"],
    low=0,
    high=100,
)
guess


# %%
def five_draws(inputs):
    """For each number of labels, the accuracies of five draws."""
    return {
        count: [linear(inputs, labels, choose(labels, count, seed)) for seed in range(5)]
        for count in COUNTS
    }


runs = {"pixels": five_draws(pixels), "linear probe": five_draws(features)}

# %% tags=["nbval-ignore-output"]
print("labels per class   pixels   linear probe   the probe wins")
for count in COUNTS:
    both = [runs[name][count] for name in ("pixels", "linear probe")]
    mean_pixels, mean_probe = (sum(values) / 5 for values in both)
    wins = sum(probe > plain for plain, probe in zip(*both, strict=True))
    print(f"{count:10} {mean_pixels:16.0%} {mean_probe:12.0%} {wins:12} of 5")
    assert wins >= 4

middle = {way: {c: median(values) for c, values in by.items()} for way, by in runs.items()}
assert middle["linear probe"][5] > middle["pixels"][50] - 0.02

# %% [markdown]
# Features that were made for letters serve for digits: with **one** image of each digit, the probe reads four of five. Five
# labels with the features are worth as much as fifty with pixels.
#
# ## 3. Five ways, from 1 label to 50
#
# Now we train. "Last stage tuned" trains `layer4` and the head, and all that stands before is **frozen**: it keeps its
# weights. "All tuned" trains everything. The recipe is short: 30 steps of 16 images. From scratch gets 40 steps, and
# a higher rate, which suits it.

# %%
TUNE = Recipe(steps=30, batch_size=16, learning_rate=0.02)
SCRATCH = Recipe(steps=40, batch_size=16, learning_rate=0.2)


def pretrained(classes):
    network = weights.bundled()
    transfer.replace_head(network, classes)  # network.fc = nn.Linear(512, classes)
    return network


def untrained(classes):
    return resnet50(classes, width=16, zero_init_residual=True)


# %% [markdown]
# Frozen stages give the same outputs at each step, so we do not compute them again: `split` cuts the network in two, and
# the second half trains on what we kept. The head is put in before the training starts, with fresh random weights.


# %%
def tuned(task, freeze, count, seed, start=pretrained, recipe=TUNE):
    """Train what is not frozen; give the network, and its accuracy on unseen images."""
    torch.manual_seed(seed)
    network = start(int(task.labels.max()) + 1)
    _, rest = transfer.split(network, freeze)
    inputs, few = task.outputs[freeze], choose(task.labels, count, seed)
    known = TensorDataset(inputs[few], task.labels[few])
    training.fit(rest, known, replace(recipe, seed=seed), on_step=training.quiet)
    network.zero_grad()  # gives the memory of its gradients back
    others = TensorDataset(inputs[unseen], task.labels[unseen])
    return network, training.evaluate(rest, others)


# %%
ways = {
    "from scratch": (None, untrained, SCRATCH),
    "last stage tuned": ("layer3", pretrained, TUNE),
    "all tuned": (None, pretrained, TUNE),
}
networks = {}

# %%
jobs = list(itertools.product(ways, COUNTS, range(3)))
runs |= {way: {} for way in ways}
for way, count, seed in widgets.progress(jobs, len(jobs), "Three ways, three draws each"):
    freeze, start, recipe = ways[way]
    network, accuracy = tuned(digits, freeze, count, seed, start, recipe)
    if count == 20:
        networks[way, seed] = network  # section 7 looks at them again
    runs[way].setdefault(count, []).append(accuracy)

# %%
colours = {
    "pixels": "neutral",
    "from scratch": "fourth",
    "linear probe": "third",
    "last stage tuned": "prediction",
    "all tuned": "residual",
}

# %%
shown = {name: runs[name] for name in colours}
predicted = (5, guess.values)
draw.show(
    draw.accuracy_along(shown, "labels per class", colours=colours, predicted=predicted, low=0.2)
)

# %%
middle = {way: {c: median(values) for c, values in by.items()} for way, by in runs.items()}
for count in COUNTS:
    for moved in ("linear probe", "last stage tuned", "all tuned"):
        assert middle[moved][count] > middle["from scratch"][count] + 0.02
        assert middle[moved][count] > middle["pixels"][count]
    assert middle["linear probe"][count] > middle["all tuned"][count] - 0.02
    assert middle["linear probe"][count] > middle["last stage tuned"][count] - 0.05
    assert middle["from scratch"][count] < middle["pixels"][count]

lead = {count: middle["linear probe"][count] - middle["pixels"][count] for count in COUNTS}
assert lead[1] > lead[5] > lead[50]
assert middle["from scratch"][50] < middle["from scratch"][5] + 0.2

# %% [markdown]
# All three ways that start from the letter reader are above the two that do not, at every number of labels. The fewer
# labels, the larger the probe's lead over the pixels. From scratch, the network does not even reach logistic
# regression on pixels, and above five labels more of them help it little. Forty steps are few for it: with twelve
# times the work and 20 labels per class it reached 93% when we tried, still less than the probe.
#
# And among the three? **The probe is as good as the tuning**, for less work: with 20 labels it passes each of 200 images
# once, and all tuned passes 30 times 16, forward and backward. The features already tell digits apart; there is little
# left to mend. So probe first: what you tune has to beat it. With a thousand images of each class, Yosinski
# et al. (2014) saw tuning win.
#
# ## 4. How deep to freeze
#
# `transfer.freeze` freezes the stem and all stages up to one: it sets their parameters' `requires_grad` to `False`. How many
# parameters are left to learn?

# %%
for stage in (None, *transfer.stages(model)):
    network = pretrained(10)
    transfer.freeze(network, stage)
    learning = sum(p.numel() for p in network.parameters() if p.requires_grad)
    print(f"frozen up to {stage or 'nothing':8}{learning:10,} parameters learn")

# %%
by_depth = {}
jobs = list(itertools.product((5, 50), (None, "layer1", "layer2", "layer3", "layer4"), range(3)))
for count, freeze, seed in widgets.progress(jobs, len(jobs), "Five depths, three draws each"):
    kept = {None: "all tuned", "layer3": "last stage tuned"}.get(freeze)
    accuracy = runs[kept][count][seed] if kept else tuned(digits, freeze, count, seed)[1]
    depths = by_depth.setdefault(f"{count} labels per class", {})
    depths.setdefault(freeze or "nothing", []).append(accuracy)

# %%
looks = {"5 labels per class": "third", "50 labels per class": "residual"}
draw.show(draw.accuracy_along(by_depth, "frozen up to", colours=looks, low=0.8))

# %% tags=["nbval-ignore-output"]
for name, depths in by_depth.items():
    medians = [median(values) for values in depths.values()]
    print(f"{name}: from {min(medians):.0%} to {max(medians):.0%}")
    assert max(medians) - min(medians) < 0.06

assert middle["linear probe"][50] > 0.97
assert middle["linear probe"][50] > median(by_depth["50 labels per class"]["layer4"])

# %% [markdown]
# **It hardly matters here**, with few labels or with many: the depths differ by a few points (the axis begins at 80%), and
# so do the draws. The blue line ends a little lower, but not because the features lack something. Frozen to `layer4`,
# only a linear classifier on the features is left to learn. That is the probe, which had more than 97% with
# 50 labels: thirty steps are few for a new head.
#
# The price differs. Frozen to `layer3`, most of the network is passed once for each image, forward. Otherwise it is passed
# in each step, forward and backward. Usual advice is "few labels: freeze much; many labels: freeze little". On a task that
# is near, freeze much in any case: it costs next to nothing. Section 8 has a task where it costs a lot.
#
# ## 5. One learning rate, or one for each part
#
# The head is new and knows nothing, the backbone knows a lot. Advice says: let the backbone learn ten times more slowly.
# PyTorch's optimisers take groups of parameters, each with a rate of its own, and `Recipe(rates=...)` makes such groups.
# With 20 labels per class:

# %%
slow_backbone = dict.fromkeys(transfer.stages(model), 0.1)
recipes = {
    "0.02 for all": TUNE,
    "0.2 for all": replace(TUNE, learning_rate=0.2),
    "0.2, backbone 0.02": replace(TUNE, learning_rate=0.2, rates=slow_backbone),
}

# %%
rates = {"0.02 for all": runs["all tuned"][20]}
jobs = list(itertools.product(list(recipes)[1:], range(3)))
for name, seed in widgets.progress(jobs, len(jobs), "Two recipes, three draws each"):
    networks[name, seed], accuracy = tuned(digits, None, 20, seed, recipe=recipes[name])
    rates.setdefault(name, []).append(accuracy)

# %%
looks = dict.fromkeys(rates, "residual")
title = "Accuracy on unseen digits, by learning rate"
draw.show(draw.validation_accuracy(rates, colours=looks, title=title))

# %%
assert median(rates["0.2, backbone 0.02"]) > median(rates["0.2 for all"]) + 0.03
assert median(rates["0.02 for all"]) > median(rates["0.2, backbone 0.02"]) + 0.02

# %% [markdown]
# At 0.2 for all, the steps are too large for a good backbone, and spoil it. A slow backbone saves most of it. But a single
# rate of 0.02 does better. **Two rates are a safety belt**: they let the head learn fast, and they do not beat a
# single rate that is well chosen.
#
# The head is often blamed: it starts from random numbers, and its first gradients mean nothing. That is not the reason here.
# When we tried 0.2 for all with the probe's weights as the head, the backbone was spoiled as well (29 to 73%).
#
# ## 6. The batch-norm trap
#
# Freeze everything but the head, and train in the usual loop. **What can change in the frozen part?** Here is
# the loop as it is often written. Look at it before you run on.


# %%
def ordinary_loop(network, few, seed):
    optimizer = torch.optim.SGD(network.fc.parameters(), lr=0.02, momentum=0.9)
    torch.manual_seed(seed)
    network.train()
    for step in range(30):
        optimizer.param_groups[0]["lr"] = TUNE.learning_rate_at(step)
        batch = few[torch.randperm(len(few))[:16]]
        loss = F.cross_entropy(network(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


# %%
torch.manual_seed(0)
network = pretrained(10)
transfer.freeze(network, "layer4")
before = copy.deepcopy(network)
ordinary_loop(network, choose(labels, 5, seed=0), seed=0)
audit = transfer.freeze_audit(before, network)
print(audit)

# %%
assert before.bn1.momentum == 0.1
*backbone, head = audit.stages
assert all(s.parameters_changed == 0 for s in backbone)
assert all(s.buffers_changed == s.buffers > 0 for s in backbone)
assert head.parameters_changed == head.parameters

# %% [markdown]
# Not one frozen weight changed, and **every buffer did**. They are batch norm's running mean and variance: no
# parameters, so `requires_grad` does not concern them. In training mode batch norm takes mean and variance of each
# batch, and moves its running ones a tenth of the way there. After thirty steps 4% of the old ones are left (0.9 to the
# power of 30), and the rest comes from the digits. "Frozen" was not true. A frozen batch norm must be in evaluation
# mode, *after* each `network.train()`. The library's `fit` does that (you write it yourself in the exercise):

# %%
torch.manual_seed(0)
network = pretrained(10)
transfer.freeze(network, "layer4")
before = copy.deepcopy(network)
few = choose(labels, 5, seed=0)
training.fit(network, TensorDataset(images[few], labels[few]), TUNE, on_step=training.quiet)

kept = transfer.freeze_audit(before, network)
assert all(s.parameters_changed == s.buffers_changed == 0 for s in kept.stages[:-1])
print(kept)

# %% [markdown]
# What does the trap cost? We look at the new task, and at the old one: the head for letters is put back, and 500 letters in
# fonts that the network has never seen are shown to it. Three draws each.

# %%
letters = data.glyphs("validation", 500, seed=1)


def still_reads(network):
    """The accuracy on unseen letters, with the old head on the backbone as it is now."""
    old = copy.deepcopy(network)
    old.fc = model.fc
    return training.evaluate(old, letters)


# %%
trap = {"statistics kept": [], "statistics moved": []}
for seed in widgets.progress(range(3), 3, "Head only, two loops, three draws"):
    careful, accuracy = tuned(digits, "layer4", 5, seed)
    trap["statistics kept"].append((accuracy, still_reads(careful)))
    torch.manual_seed(seed)
    careless = pretrained(10)
    transfer.freeze(careless, "layer4")
    ordinary_loop(careless, choose(labels, 5, seed), seed)
    others = TensorDataset(images[unseen], labels[unseen])
    trap["statistics moved"].append((training.evaluate(careless, others), still_reads(careless)))

# %% tags=["nbval-ignore-output"]
means = {}
for name, pairs in trap.items():
    means[name] = [sum(values) / 3 for values in zip(*pairs, strict=True)]
    print("{}: digits {:.0%}, letters {:.0%}".format(name, *means[name]))

for (_, kept), (_, moved) in zip(*trap.values(), strict=True):
    assert moved < kept == still_reads(model)

lost_digits, lost_letters = (kept - moved for kept, moved in zip(*means.values(), strict=True))
assert abs(lost_digits) < 0.03
assert lost_letters > 0.02

# %% [markdown]
# On the new task the trap costs next to nothing here: the digits make good statistics for themselves. On the old one it costs
# several points: **the network forgot letters although no weight of its backbone was trained**. Whoever keeps one
# backbone for two heads, and trains the second, breaks the first like this. The audit tells you whether it happened.
#
# ## 7. Forgetting
#
# The same measurement, letters with the old head, for the networks of sections 3 and 5, which had 20 labels per class. "All
# tuned" is the one with 0.02 for all. Will a slow backbone remember as much as it does?

# %%
tuned_ways = ("last stage tuned", "all tuned", "0.2, backbone 0.02", "0.2 for all")
memory = {"before": [still_reads(model)] * 3}
for way in tuned_ways:
    memory[way] = [still_reads(networks[way, seed]) for seed in range(3)]

draw.show(
    draw.validation_accuracy(
        memory, colours=dict.fromkeys(memory, "residual"), title="Letters still read"
    )
)

# %%
assert min(memory["last stage tuned"]) > 0.95
assert 0.6 < min(memory["all tuned"]) < 0.98
assert max(memory["0.2, backbone 0.02"]) < median(memory["all tuned"])
assert max(memory["0.2 for all"]) < 0.4

# %% [markdown]
# Thirty gentle steps on digits cost some of the letters, none of which was shown again. With the high rate for all,
# nearly everything is gone: the same recipe that spoiled the new task, and for the same reason. Two rates forget more
# than 0.02 for all, although the backbone's rate is the same. Here the random head does matter: with the probe's weights in
# its place, 85 to 94% of the letters were still read when we tried. So fit a head first that is to move fast (Kumar et
# al. 2022).
#
# What is forgotten is measured with the old head as it was; a newly fitted one might find more left in the features.
#
# ## 8. When transfer fails
#
# A new task, with the same digits. Each is written in one of six colours now, on a dark ground, and the class is
# **the colour**. A child can do it. Can the features?


# %%
def tinted(ink, seed=5):
    """The same digits, each in one of six colours, and the numbers of the colours."""
    generator = torch.Generator().manual_seed(seed)
    hues = torch.randint(6, (len(ink),), generator=generator)
    palette = torch.tensor([colorsys.hsv_to_rgb(hue / 6, 0.5, 0.9) for hue in range(6)])
    ground = 0.4 * torch.rand(len(ink), 1, 1, 1, generator=generator)
    return ground + (palette[hues][:, :, None, None] - ground) * ink, hues


coloured, hues = tinted(images)
colour = Task(hues, outputs_of(coloured))
one_of_each = {f"class {hue}": coloured[(hues == hue).nonzero()[0, 0]] for hue in range(6)}
draw.show(draw.images(one_of_each, columns=6))

# %% [markdown]
# Ask each stage what it knows about the two tasks. We take its channels, each averaged over the image, and fit a linear
# classifier on 20 images per class. (The scaler brings all channels to one size, so that early stages are not at a
# disadvantage. Pixels are averaged to 8x8.) In which direction will each line go?


# %%
def known_at(task, stage, seed):
    """How well a linear classifier does on one stage's channels."""
    channels = F.adaptive_avg_pool2d(task.outputs[stage], 1 if stage else 8).flatten(1)
    few = choose(task.labels, 20, seed)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    classifier.fit(channels[few], task.labels[few])
    return classifier.score(channels[unseen], task.labels[unseen])


# %%
by_stage = {}
tasks = {"which digit": digits, "which colour": colour}
jobs = list(itertools.product(tasks, digits.outputs, range(3)))
for name, stage, seed in widgets.progress(jobs, len(jobs), "Two tasks, six places"):
    accuracy = known_at(tasks[name], stage, seed)
    by_stage.setdefault(name, {}).setdefault(stage or "pixels", []).append(accuracy)

looks = {"which digit": "residual", "which colour": "plain"}
draw.show(draw.accuracy_along(by_stage, "linear classifier on", colours=looks))

# %%
stages_of = {name: {s: median(v) for s, v in by.items()} for name, by in by_stage.items()}
assert stages_of["which digit"]["layer4"] > stages_of["which digit"]["stem"] + 0.1
falling = list(stages_of["which colour"].values())[1:]  # from the stem on
assert falling == sorted(falling, reverse=True)
assert stages_of["which colour"]["stem"] > 0.8
assert stages_of["which colour"]["layer4"] < 0.4  # guessing gets 0.17
assert stages_of["which colour"]["pixels"] > 0.9

# %% [markdown]
# The lines cross. From the stem on the network knows more of the shape and **less of the colour** at each stage, until
# it knows next to nothing of it (guessing gets 17%). The digit's dip at the stem is no loss: pixels know their places,
# and channels that are averaged over the image do not. The network was trained on letters in all colours: what does not
# help to tell letters apart was taught away. That is what features are: what the first task needed, and no more.
#
# Perhaps tuning brings the colour back? All the ways of section 3, with 20 labels per class. This time all three that train
# have the very same recipe, 30 steps at 0.02:

# %%
on_colour = {"pixels": by_stage["which colour"]["pixels"]}
on_colour["linear probe"] = [
    linear(colour.outputs["layer4"].flatten(1), hues, choose(hues, 20, seed)) for seed in range(3)
]
jobs = list(itertools.product(ways, range(3)))
for way, seed in widgets.progress(jobs, len(jobs), "Three ways, three draws each"):
    freeze, start, _ = ways[way]
    accuracy = tuned(colour, freeze, 20, seed, start)[1]
    on_colour.setdefault(way, []).append(accuracy)

draw.show(draw.validation_accuracy(on_colour, colours=colours, title="Which colour?"))

# %%
for seed in range(3):
    assert on_colour["from scratch"][seed] > on_colour["all tuned"][seed]
assert median(on_colour["from scratch"]) > median(on_colour["all tuned"]) + 0.08
assert max(on_colour["linear probe"]) < 0.4
assert max(on_colour["last stage tuned"]) < 0.4

# %% [markdown]
# Here pretrained weights are **worse than random ones**. Tuning the last stage cannot bring back what the stages
# below it dropped. Tuning everything brings back only a part in these thirty steps. Pixels, with no network at all,
# suffice. Such *negative transfer* is rarely so pure with ImageNet, whose classes need colour. But whatever a first
# task taught a network to ignore is gone: it may be the colour, or the size, or which way round a thing is. The
# probe, stage by stage, tells you before you train.
#
# ## 9. Turn the dials
#
# Tune the letter reader yourself, on the digits: set the controls, press "Start", and see your run in the list. Can you
# lose more than ten points with 20 labels? The probe of section 2 read 94% with 5 labels. Can you get above it?

# %%
widgets.TransferDial(
    model, TensorDataset(images[pool], labels[pool]), TensorDataset(images[unseen], labels[unseen])
)

# %% [markdown]
# ## 10. Your own photos
#
# The same with ImageNet's weights and a folder of yours, with one folder of photos for each class: `pets/cat`, `pets/dog`.
# The library reads the photos, whatever their form, computes frozen features once, keeps the best state, and writes a
# report with the most confident mistakes. The weights are a download of 98 MB, once; with `"glyphs"` there is none, but
# you know by now what to expect of a letter reader.

# %% tags=["nbval-ignore-output"]
from IPython.display import display

from resnet_edu import finetune

PHOTOS = None  # a folder of yours, seen from the folder of this lesson, like "pets"

if PHOTOS is None:
    print(
        "With a folder of photos you would see here how many unseen ones are read rightly, and which"
    )
    print("classes are mixed up. 400 photos take a few minutes.")
else:
    result = finetune.finetune(PHOTOS, f"{PHOTOS} result", weights="imagenet", freeze="layer4")
    print(result)
    display(draw.show(draw.confusion_matrix(result.confusion, result.classifier.classes)))

# %% [markdown]
# In a terminal it is `resnet-edu finetune pets --weights imagenet --freeze layer4 --out result`, and afterwards
# `resnet-edu predict result/model.safetensors photo.jpg`.
#
# ## What was measured
#
# Digits of 64x64 pixels, 300 held out; three draws, or five for the probe and the pixels.
#
# | claim | measured here | in the literature |
# |---|---|---|
# | pretrained features save labels | 5 labels with them are worth 50 with pixels | Donahue et al. 2014 |
# | from scratch needs many labels | below every pretrained way, from 1 to 50 labels | Yosinski et al. 2014 |
# | tuning beats the probe | **no**: alike on a near task | Kornblith et al. 2019: it does, mostly, with many labels |
# | few labels: freeze much | the depth hardly matters here | |
# | the backbone needs a smaller rate | at a high rate yes; a small one for all does better | Howard and Ruder 2018 |
# | frozen means unchanged | **no**: all running statistics moved | |
# | ... and that costs | letters are forgotten with no weight trained | |
# | tuning forgets the old task | some of it; nearly all at a high rate | McCloskey and Cohen 1989; Kumar et al. 2022 |
# | transfer never hurts | **no**: colours are learned better from scratch | Rosenstein et al. 2005 |
#
# Donahue et al. 2014: "DeCAF: A Deep Convolutional Activation Feature". Yosinski et al. 2014: "How transferable are
# features in deep neural networks?" Kornblith et al. 2019: "Do Better ImageNet Models Transfer Better?" Howard and Ruder
# 2018: "Universal Language Model Fine-tuning". McCloskey and Cohen 1989: "Catastrophic Interference in
# Connectionist Networks". Kumar et al. 2022: "Fine-Tuning can Distort Pretrained Features and Underperform
# Out-of-Distribution". Rosenstein et al. 2005: "To Transfer or Not To Transfer".
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "You freeze all but the head, train in the usual loop, and the old head no longer works as well on the same "
    "backbone. What changed?",
    {
        "The optimiser moved the weights a little.": "Frozen parameters get no gradient. The audit showed none changed.",
        "Batch norm's running statistics.": "They are buffers. In training mode they follow the new images.",
        "Nothing: it is chance.": "It happened in each draw, and the audit names what changed.",
    },
    right="Batch norm's running statistics.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "You have 200 labelled photos and a pretrained network. What do you do first?",
    {
        "Train the whole network.": "Perhaps later. You would not know whether it was worth it.",
        "Fit a linear probe.": "It takes seconds, and says whether the features know anything of your task.",
        "Label more photos.": "The probe with half of your labels, and with all, tells whether more would help.",
    },
    right="Fit a linear probe.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A network was trained with every image mirrored at random. You want to tell left shoes from right ones. The probe "
    "is at chance. Why?",
    {
        "Shoes are not in its classes.": "Digits were not among the letters either.",
        "It was taught that left and right mean the same.": "As colours here: training away what does not matter is "
        "training away what you need.",
        "The head is too small.": "A linear classifier finds what lies open in the features. It does not lie there.",
    },
    right="It was taught that left and right mean the same.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 08](../exercises/08_transfer_learning.ipynb): replace a head, freeze, keep batch norm frozen after
# `train()`, give each part its rate, and write the linear probe.
