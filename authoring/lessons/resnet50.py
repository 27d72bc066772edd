# %% [markdown]
# # 06 Bottlenecks and ResNet-50
#
# You know the residual block. ResNet-50 is made of a cheaper form of it, the **bottleneck**: sixteen of them, a
# stem in front, a head behind. In this lesson you see what the bottleneck buys, look at one of them under the
# microscope, and put the whole network together. Then you prove that it is the ResNet-50 that everybody uses,
# number for number.
#
# **Afterwards you can**
# - say what a bottleneck saves, and what a count of operations does not tell,
# - name each layer of a residual block, and show by a measurement what it does,
# - say what ResNet-18 to ResNet-152 are made of, and count their layers,
# - load published weights into a network of your own, and check that it is the same.
#
# **You need** lessons [01](01_convolution_blocks.ipynb) and [04](04_residual_blocks.ipynb). **Time:** about 60 minutes, of which less than one is the computer's.

# %%
import difflib
import inspect
import time

import torch
import torchvision
from torch import nn

from resnet_edu import data, draw, measure, networks, weights, widgets
from resnet_edu.blocks import BasicBlock, Bottleneck
from resnet_edu.networks import ResNet, make_stage

# %% [markdown]
# ## 1. Why a bottleneck
#
# The deeper a stage, the more channels it has, and a 3x3 convolution pays for each pair of an input and an output
# channel. The basic block with 256 channels does so twice. The bottleneck first goes down to 64 channels with a
# 1x1 convolution, does its 3x3 convolution there, and comes back with another 1x1. What does that save?

# %%
forms = {
    "two 3x3, 256 channels": BasicBlock(256, 256),
    "bottleneck, 256 channels": Bottleneck(256, 64),
    "two 3x3, 64 channels": BasicBlock(64, 64),
}
guess = widgets.Prediction("How many parameters?", list(forms), low=4, high=7, log=True)
guess

# %%
parameters = {name: sum(p.numel() for p in block.parameters()) for name, block in forms.items()}

assert list(parameters.values()) == [1_180_672, 70_400, 73_984]
draw.show(draw.bars(parameters, predicted=guess.values, title="Parameters", log=True))

# %% [markdown]
# A seventeenth. The bottleneck handles 256 channels for the price of a basic block with 64 (He et al. 2015,
# figure 5). The multiply-adds say the same: at stride 1 each weight is used once for each pixel.
#
# Is it seventeen times faster, too? Take the bottleneck's time as 1.

# %%
others = ["two 3x3, 256 channels", "two 3x3, 64 channels"]
speed_guess = widgets.Prediction(
    "How many times the bottleneck's time?", others, low=0.0, high=20.0
)
speed_guess


# %%
@torch.inference_mode()
def fastest(blocks, rounds=10):
    """The least seconds of each block, for two images of 56 x 56; they take turns."""
    times = {name: [] for name in blocks}
    for _ in range(rounds):
        for name, block in blocks.items():
            x = torch.rand(2, 256 if "256" in name else 64, 56, 56)
            start = time.perf_counter()
            block(x)
            times[name].append(time.perf_counter() - start)
    return {name: min(measured) for name, measured in times.items()}


# %%
times = fastest({name: block.eval() for name, block in forms.items()})
multiples = {name: t / times["bottleneck, 256 channels"] for name, t in times.items()}

assert 1 < multiples["two 3x3, 256 channels"] < 17
assert multiples["two 3x3, 64 channels"] < 1
draw.show(draw.bars(multiples, predicted=speed_guess.values, title="Time, bottleneck = 1"))

# %% [markdown]
# It is several times faster, and **not** seventeen times. And the block with 64 channels does more
# multiply-adds than the bottleneck, yet needs less time. A count of operations leaves out the memory: the bottleneck reads
# and writes tensors of 256 channels, in convolutions, batch norms, ReLUs and the addition. Keep both in mind, the
# count and the clock.
#
# As in [lesson 04](04_residual_blocks.ipynb), the source tells the difference. `-` is in the basic block only, `+` in the bottleneck only:

# %%
before = inspect.getsource(BasicBlock.forward).splitlines()
after = inspect.getsource(Bottleneck.forward).splitlines()
print("\n".join(line for line in difflib.ndiff(before, after) if line[0] != "?"))

# %% [markdown]
# ## 2. Where the stride goes
#
# The first block of conv3_x, conv4_x and conv5_x halves the image. Which of its three convolutions takes the stride
# of 2? In the paper it is the first 1x1. PyTorch, and most networks since, give it to the 3x3; that form
# is called *v1.5*. Shapes and parameters are the same. What is not?
#
# A pixel that the block uses has an influence on its output, so a gradient comes back to it. Which share of the
# pixels is used?

# %%
places = ["stride on the 1x1 (2015)", "stride on the 3x3 (v1.5)"]
stride_guess = widgets.Prediction(
    "Share of the input's pixels that the block uses, in percent?", places, low=0, high=100
)
stride_guess


# %%
def used_pixels(stride_in_1x1):
    """True for each pixel of the input that the output depends on."""
    block = Bottleneck(256, 128, stride=2, stride_in_1x1=stride_in_1x1)
    x = torch.rand(1, 256, 32, 48, requires_grad=True)
    block(x).square().sum().backward()
    return x.grad[0].abs().sum(0) > 0


used = dict(zip(places, (used_pixels(True), used_pixels(False)), strict=True))
percents = {name: int(100 * mask.float().mean()) for name, mask in used.items()}

assert list(percents.values()) == [25, 100]
draw.show(draw.bars(percents, predicted=stride_guess.values, title="Pixels used", unit="percent"))

# %% [markdown]
# If what comes in were the photo on the left, the blocks would use the pixels that are not black:

# %%
photo = data.photo("flower", width=48)  # (3, 32, 48)
draw.show(draw.images({"comes in": photo, **{name: photo * mask for name, mask in used.items()}}))

# %% [markdown]
# With the stride on the 1x1, the block skips three pixels of four, and its shortcut skips the same ones: what the
# stage before computed there is thrown away. The 3x3 looks at all of them. What does that cost?

# %%
for name, in_1x1 in zip(places, (True, False), strict=True):
    record = measure.anatomy(networks.resnet50(stride_in_1x1=in_1x1), image_size=224)
    billions = record.multiply_adds / 1e9
    print(f"{name}: {record.parameters:,} parameters, {billions:.2f} billion multiply-adds")

    assert (record.parameters, round(billions, 2)) == (25_557_032, 3.86 if in_1x1 else 4.09)

# %% [markdown]
# The same parameters, and 6% more operations. NVIDIA, whose "ResNet50 v1.5" has this form, report an accuracy on
# ImageNet that is about half a percentage point higher. Weights fit into both forms without an error, and give wrong
# answers in the other one. [Lesson 11](11_two_frameworks.ipynb) shows how wrong.
#
# ## 3. One block under the microscope
#
# Take the first block of conv2_x out of the network, and send two photos to it, through the stem.

# %%
torch.manual_seed(0)
resnet = networks.resnet50()
photos = torch.stack([data.photo(name, width=224) for name in ("flower", "palace")])

print(resnet.layer1[0])

# %% [markdown]
# Read it from the top. `conv1` mixes channels, each pixel for itself. `conv2` looks at 3x3 neighbours. `conv3` goes up to
# 256 channels. Each has its batch norm, and a ReLU follows the first two, and the sum. Only here `conv1` has nothing to
# narrow: 64 channels come in. In the next block, `layer1[1]`, it goes from 256 to 64.
#
# `downsample` is the shortcut. Here it is a projection: 64 channels come in and 256 go out, so the input itself could not
# be added. In the next block it is `Identity()`.
#
# Now do by hand what `forward` does, and keep everything:


# %%
@torch.no_grad()
def walk(network, images):
    """What the first block of conv2_x makes of images, step by step."""
    block = network.layer1[0]
    out = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    steps = {"x": out}
    for name in ("conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3"):
        out = steps[name] = getattr(block, name)(out)
    steps["downsample"] = block.downsample(steps["x"])
    steps["sum"] = steps["bn3"] + steps["downsample"]
    steps["relu3"] = block.relu3(steps["sum"])
    return steps


# %% [markdown]
# One channel of each, for the palace. Grey is zero, dark is negative, light is positive; each picture has a scale of
# its own.


# %%
def picture(steps):
    """The same channel of the second image, after each step."""
    channel = {name: out[1, 3] for name, out in steps.items()}
    return draw.show(draw.images(channel, columns=4, symmetric=True))


steps = walk(resnet, photos)
assert torch.equal(steps["relu3"], resnet.layer1[0](steps["x"]))
picture(steps)

# %% [markdown]
# And in numbers, over all channels and both photos. "Means" is the standard deviation of the channels' means: how much
# the channels differ in their level. "Scales" are the smallest and the largest deviation of a channel.

# %%
print("           channels  means     scales    zeros  below 0")
for name, out in steps.items():
    mean, deviation = out.mean((0, 2, 3)), out.std((0, 2, 3))
    zero, below = (out == 0).float().mean(), (out < 0).float().mean()
    print(f"{name:12}{out.shape[1]:7}{mean.std():7.2f}", end="")
    print(f"{deviation.min():6.1f} to {deviation.max():.1f}{zero:9.0%}{below:9.0%}")


# %%
def zeros(name):
    return (steps[name] == 0).float().mean()


for name in ("bn1", "bn2", "bn3"):
    assert steps[name].mean((0, 2, 3)).abs().max() < 1e-3
    assert (steps[name].std((0, 2, 3)) - 1).abs().max() < 1e-2
assert steps["conv1"].mean((0, 2, 3)).std() > 0.5
for name in ("relu1", "relu2", "relu3"):
    assert 0.4 < zeros(name) < 0.6

carried = torch.corrcoef(torch.stack([steps["sum"].ravel(), steps["downsample"].ravel()]))[0, 1]
assert 0.65 < carried < 0.75
print(f"correlation of the sum with the shortcut alone: {carried:.1f}")

# %% [markdown]
# - **A convolution** gives each channel a level and a scale of its own: some lie mostly above zero, some below; some
#   vary four times as much as others.
# - **Batch norm** brings each channel to mean 0 and deviation 1 (in training mode, with its first γ = 1 and β = 0). The
#   picture keeps its forms; only which grey is zero changes.
# - **ReLU** sets what is below zero to zero: here half of all numbers. That is where the bend comes from.
# - **The shortcut** carries the input around all this; here, mixed into 256 channels.
# - **The sum** holds both in equal parts: two unrelated parts of equal size each have a correlation of
#   $1/\sqrt{2} = 0.7$ with their sum.
#
# The weights are random: this is what the layers do before any training. Section 7 walks through the trained block.
#
# ## 4. Putting it together
#
# Here is the whole network, part by part. Before you run the cell, write down the shape after each stage.

# %%
torch.manual_seed(0)
parts = {
    "conv1": nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
    "max-pool": nn.MaxPool2d(3, stride=2, padding=1),
    "conv2_x": make_stage(Bottleneck, 64, width=64, blocks=3, stride=1),
    "conv3_x": make_stage(Bottleneck, 256, width=128, blocks=4, stride=2),
    "conv4_x": make_stage(Bottleneck, 512, width=256, blocks=6, stride=2),
    "conv5_x": make_stage(Bottleneck, 1024, width=512, blocks=3, stride=2),
    "average": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "fc": nn.Linear(2048, 1000),
}

# %%
x = torch.rand(1, 3, 224, 224)
with torch.no_grad():
    for name, part in parts.items():
        x = part.eval()(x)
        print(f"{name:10}{' x '.join(map(str, x.shape[1:]))}")

total = sum(p.numel() for part in parts.values() for p in part.parameters())
assert (tuple(x.shape), total) == ((1, 1000), 25_557_032)

# %% [markdown]
# `make_stage` makes the first block with the stride and the new channels, and all others with neither. From conv3_x
# on, each stage halves the image and doubles the channels.
#
# Walk through the network. In which stage are most of its parameters, and which has the largest share of the
# multiply-adds? Which block is the first whose receptive field is as wide as the image?

# %%
widgets.ArchitectureExplorer()

# %%
network = measure.architecture(50, image_size=224)


def percent_of(what):
    """In percent of the whole network, for each stage."""
    whole = getattr(network, what)
    return {
        stage: round(100 * sum(getattr(place, what) for place in network.stage(stage)) / whole)
        for stage in network.blocks
    }


print("parameters:   ", percent_of("parameters"))
print("multiply-adds:", percent_of("multiply_adds"))

# %%
first = next(place for place in network.places if (place.receptive_field or 0) >= 224)
assert (first.stage, first.block) == ("conv4_x", 5)
print(f"{first.stage}, block {first.block}: {first.receptive_field} pixels")

later = [place for place in network.places if place.block > 1]
assert {place.multiply_adds for place in later} == {218_365_952}

# %% [markdown]
# Most parameters are in conv5_x, where the channels are many and the pixels few; the largest share of the work is done in
# conv4_x. From the second block of each stage on, **every block costs the same**, in whichever stage: twice the
# channels are four times the weights, and half the side is a quarter of the pixels. The fifth block of conv4_x is the
# first where a number in the middle sees the whole image.
#
# The library's class is the same network in one piece. Its `forward` reads like the list above:

# %%
print(inspect.getsource(ResNet.forward))

# %% [markdown]
# ## 5. Fifty layers, and the others
#
# Why fifty? Count the layers that have weights, and leave out those on shortcuts: the stem's convolution, three in each of
# the 3 + 4 + 6 + 3 bottlenecks, and the linear layer at the end.

# %%
blocks = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
for depth, stages in blocks.items():
    convolutions = 2 if depth < 50 else 3  # in each block
    assert 1 + convolutions * sum(stages) + 1 == depth
    print(f"ResNet-{depth}: 1 + {convolutions} x {sum(stages)} + 1")

# %% [markdown]
# The paper's table 1, filled in by measuring, multiply-adds in billions. The paper's are those of the 2015 form, so we
# measure both:


# %%
def cost(depth, **form):
    return measure.anatomy(getattr(networks, f"resnet{depth}")(**form), image_size=224)


paper = {18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3}  # billion multiply-adds
costs = {depth: cost(depth) for depth in blocks}
costs_2015 = {depth: cost(depth, stride_in_1x1=True) for depth in (50, 101, 152)}

# %%
print("                blocks   parameters      multiply-adds")
print("output side 56 28 14  7                v1.5   2015  paper")
for depth, stages in blocks.items():
    record = costs[depth]
    v15, in_2015 = (r.multiply_adds / 1e9 for r in (record, costs_2015.get(depth, record)))
    print(f"ResNet-{depth:<5}" + " ".join(f"{n:2}" for n in stages), end="")
    print(f"{record.parameters:13,}{v15:7.2f}{in_2015:7.2f}{paper[depth]:6.1f}")
    assert abs(in_2015 - paper[depth]) < 0.07

# %% [markdown]
# The last two columns agree to a tenth. ResNet-34 and ResNet-50 have the same numbers of blocks, 3, 4, 6 and 3; only
# the form of the block differs. For 17% more parameters and 12% more multiply-adds, ResNet-50 has 16 layers more, and four
# times the channels.
#
# ## 6. The proof
#
# Is it really *the* ResNet-50? Take torchvision's, with random weights, and load them into ours. Names and shapes
# must fit, all of them, and then the answers must be the same.

# %%
torch.manual_seed(0)
theirs = torchvision.models.resnet50(weights=None).eval()
ours = networks.resnet50().eval()
report = weights.load_by_name(ours, theirs.state_dict())
print(report)

image = torch.rand(2, 3, 224, 224)
with torch.inference_mode():
    logits, wanted = ours(image), theirs(image)
difference = (logits - wanted).abs().max() / wanted.abs().max()

assert difference < 1e-4
print(f"{logits.numel():,} logits, the largest {wanted.abs().max():.1f}: all equal to four digits")

# %% [markdown]
# And the other way: ours into theirs, with other weights.

# %%
torch.manual_seed(1)
ours = networks.resnet50().eval()
weights.load_by_name(theirs, ours.state_dict())
with torch.inference_mode():
    assert (ours(image) - theirs(image)).abs().max() < 1e-4 * theirs(image).abs().max()

# %% [markdown]
# Weights are matched **by name**. Some people copy them by position, one list into another. That works as long as
# both lists have the same order, and fails in silence where they have not and the shapes happen to agree. Here is what
# `load_by_name` says when a name is missing:

# %%
spoiled = {name.replace("fc", "linear"): value for name, value in theirs.state_dict().items()}
try:
    weights.load_by_name(ours, spoiled)
except weights.LoadError as error:
    print(error)

# %% [markdown]
# ## 7. With trained weights
#
# So the weights that others trained on 1.28 million photos fit into the network that you know from the inside. They are
# a download of 98 MB, once. The lesson works without them. If you have a network connection, set `DOWNLOAD = True` below,
# then run that cell and all after it.

# %%
published = torchvision.models.ResNet50_Weights.IMAGENET1K_V2
prepare, classes = published.transforms(), published.meta["categories"]
mean, std = (torch.tensor(values)[:, None, None] for values in (prepare.mean, prepare.std))

# %% tags=["nbval-ignore-output"]
DOWNLOAD = False  # True: fetch the weights, 98 MB, once

trained = None
try:
    if DOWNLOAD or weights.imagenet_file().is_file():
        trained = weights.imagenet()
except weights.DownloadError as error:
    print(error)


# %%
@torch.inference_mode()
def classify(image):
    """The five likeliest classes of a prepared image (3, 224, 224), and the map of the first."""
    probabilities, five = trained(image[None]).softmax(1)[0].topk(5)
    features = nn.Sequential(*list(trained.children())[:-2])(image[None])[0]  # (2048, 7, 7)
    where = torch.einsum("c,chw->hw", trained.fc.weight[five[0]], features)
    logit = trained(image[None])[0, five[0]]
    assert torch.isclose(where.mean() + trained.fc.bias[five[0]], logit, rtol=1e-3)
    return {classes[i]: float(p) for i, p in zip(five, probabilities, strict=True)}, where


# %% [markdown]
# `classify` also asks where the network sees the class. The head takes the mean of 7x7 places, then weighs the
# channels. One may as well weigh first: that gives a map of 7x7 numbers whose mean is the answer, up to the bias (Zhou et
# al. 2016). Bright is evidence for the class.
#
# `prepare` cuts out the middle of a photo, as in training, and normalises its colours.

# %%
from IPython.display import display
from PIL import Image, ImageOps
from torchvision.transforms.functional import pil_to_tensor

MY_PHOTO = None  # a photo of yours: its path, from the folder of this lesson, like "dog.jpg"

shown = {name: data.photo(name, width=640) for name in ("flower", "palace")}
if MY_PHOTO:
    opened = ImageOps.exif_transpose(Image.open(MY_PHOTO)).convert("RGB")
    shown["yours"] = pil_to_tensor(opened) / 255
images = {name: prepare(photo) for name, photo in shown.items()}

# %% tags=["nbval-ignore-output"]
if trained is None:
    print(
        "With the weights (DOWNLOAD = True above) you would see here what ResNet-50 takes the two"
    )
    print("photos and yours for, where it sees that, and section 3's block after training.")
else:
    display(picture(walk(trained, torch.stack([images["flower"], images["palace"]]))))
    for name, image in images.items():
        answers, where = classify(image)
        display(draw.show(draw.bars(answers, title=f"The photo: {name}", unit="probability")))
        pair = {name: image * std + mean, f"evidence for {next(iter(answers))}": where}
        display(draw.show(draw.images(pair)))

# %% [markdown]
# ## What was measured
#
# | claim | measured here | in the literature |
# |---|---|---|
# | a bottleneck saves parameters | 70,400 against 1,180,672 at 256 channels | He et al. 2015, figure 5: as cheap as 64 channels |
# | ... and as much time | **no**: several times faster, not 17 times | |
# | the 2015 form skips pixels | it uses 25% of them, v1.5 100% | NVIDIA: v1.5 is more accurate |
# | batch norm: mean 0, deviation 1 | in each channel, to 1% | Ioffe and Szegedy 2015, algorithm 1 |
# | ReLU sets half to zero, before training | 40 to 60% | He et al. 2015b, section 2.2 |
# | cost of ResNet-50, 101, 152 | 3.86, 7.57 and 11.28 billion in the 2015 form | 3.8, 7.6 and 11.3 (He et al. 2015, table 1) |
# | ours is torchvision's | the same logits, to 0.01% | |
#
# He et al. 2015: "Deep Residual Learning for Image Recognition". He et al. 2015b: "Delving Deep into Rectifiers".
# Ioffe and Szegedy 2015: "Batch Normalization". Zhou et al. 2016: "Learning Deep Features for Discriminative
# Localization". NVIDIA: "ResNet50 v1.5 for PyTorch", Deep Learning Examples.
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Another library's ResNet-50 weights load into yours without an error. You prepare the images as that "
    "library asks, and the answers are poor. What do you suspect first?",
    {
        "The weights are damaged.": "Damage usually stops the loading.",
        "The stride is at another place.": "Both forms have the same names and shapes, so nothing warns you.",
        "It has too few layers.": "Then names would be missing, and loading would fail.",
    },
    right="The stride is at another place.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A new block needs half the multiply-adds of a bottleneck. Is the network twice as fast?",
    {
        "Yes, half the work.": "Reading and writing memory is work too, and is not counted.",
        "One has to measure.": "In section 1, the block with more multiply-adds was the faster one.",
        "No, four times.": "Nothing speaks for that.",
    },
    right="One has to measure.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Why does the first block of conv2_x have a projection, although its stride is 1?",
    {
        "It need not have one.": "Try to add 64 channels to 256.",
        "64 channels come in and 256 go out.": "A shortcut is the identity only where the whole shape stays.",
        "Because of the max-pool.": "The max-pool is in front of the block.",
    },
    right="64 channels come in and 256 go out.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 06](../exercises/06_resnet50.ipynb): build the bottleneck, the stage and the whole ResNet-50, count
# its layers, and load weights by name.
