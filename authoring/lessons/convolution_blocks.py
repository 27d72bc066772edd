# %% [markdown]
# # 01 Convolution blocks
#
# Every network in this course is made of one part, used again and again: **convolution, batch norm,
# ReLU**. In this lesson you take that part to pieces and measure what each piece does.
#
# **Afterwards you can**
# - compute what a convolution gives, its size, its parameters and its cost,
# - say how far into the image a layer can see,
# - explain what batch norm does in training and in evaluation, and what a ReLU is for,
# - read the class `ConvBlock`, and build it yourself in the exercises.
#
# **You need** Python, and a first idea of PyTorch: tensors, `nn.Module`. **Time:** about 40 minutes.
#
# Run each cell with Shift + Enter. Where a slider asks for your prediction, move it *before* you run the
# next cell: your guess will stand in the picture, beside what was measured. To change your mind later,
# move the slider and run the next cell again.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from resnet_edu import data, draw, measure, networks, widgets

torch.manual_seed(0)
flower = data.photo("flower", width=128)  # (3, 85, 128): channels, height, width
digits, labels = data.digits("train", size=16).tensors  # (1500, 3, 16, 16) and (1500,)
draw.show(draw.images({"flower": flower, **{f"digit {labels[i]}": digits[i] for i in range(4)}}))

# %% [markdown]
# ## 1. What a convolution computes
#
# A convolution lays a small grid of numbers, the **kernel**, over a patch of the image. It multiplies
# each pixel by the number above it and adds up the products. That is one number of the output. Then the
# kernel moves on by one pixel.
#
# The kernel below subtracts what is on the left from what is on the right. What will it answer to?

# %%
record = measure.convolution(flower, measure.KERNELS["Vertical edges"], padding=1)
draw.show(draw.convolution(record))

# %% [markdown]
# (The photo was made grey first. The orange square is the kernel at its first place.) In the output, grey is
# zero: where left and right are alike, nothing comes out. White and black mark vertical edges, from dark to
# light and from light to dark. The lines at the left and right border are not in the photo: there the image
# meets the zeros that were put around it, the dashed frame. More about those below.
#
# Let us check one number of the output by hand.

# %%
row, column = 40, 70
patch = record.image[row - 1 : row + 2, column - 1 : column + 2]  # 3 x 3 pixels
by_hand = (patch * record.kernel).sum()

assert abs(by_hand - record.output[row, column]) < 1e-5
print("multiply and add:", f"{by_hand:.3f}", "   PyTorch:", f"{record.output[row, column]:.3f}")

# %% [markdown]
# Nine products and a sum, the same nine numbers at every place. So a convolution has few parameters, and
# it finds an edge wherever it is. Nobody chooses these numbers in a ResNet: training finds them.
#
# ## 2. Size: stride and padding
#
# The **stride** is how far the kernel moves each time. **Padding** puts a border of zeros around the
# image, so that the kernel can also stand at the edge. The first convolution of ResNet-50 has a kernel
# of 7x7. What is its output's height, for an image 224 pixels high?

# %%
size_guess = widgets.Prediction(
    "Height of the output for an image of 224 pixels, kernel 7x7?",
    ["stride 1, padding 0", "stride 1, padding 3", "stride 2, padding 3"],
    low=100,
    high=240,
)
size_guess

# %%
image = torch.zeros(1, 3, 224, 224)
sizes = {}
for stride, padding in [(1, 0), (1, 3), (2, 3)]:
    out = nn.Conv2d(3, 64, kernel_size=7, stride=stride, padding=padding)(image)
    sizes[f"stride {stride}, padding {padding}"] = out.shape[2]

assert list(sizes.values()) == [(224 + 2 * p - 7) // s + 1 for s, p in [(1, 0), (1, 3), (2, 3)]]
draw.show(
    draw.bars(sizes, predicted=size_guess.values, title="Height of the output", unit="pixels")
)

# %% [markdown]
# Without padding, the kernel does not fit over the last pixels, and 6 are lost. A padding of 3, half the
# kernel rounded down, keeps the size. A stride of 2 halves it: that is how a ResNet shrinks its image. As a formula:
#
# $$\text{out} = \Big\lfloor \frac{\text{in} + 2 \cdot \text{padding} - \text{kernel}}{\text{stride}} \Big\rfloor + 1$$
#
# In the explorer you can move all of it. **Dilation** spreads the kernel's numbers apart, with gaps in
# between: with dilation d the kernel spans d × (kernel − 1) + 1 pixels, and that number takes its place in
# the formula. Try to make the output of the flower exactly as large as its input with the 5x5 kernel; then
# again with dilation 2. Which setting does the digit refuse, and why?

# %%
widgets.ConvolutionExplorer({"flower": flower, "digit": digits[0]})

# %% [markdown]
# ## 3. Channels, parameters, cost
#
# A colour image has three channels, and a layer in the middle of a network has hundreds. For **one**
# output channel, a convolution has one kernel for **each** input channel, and adds up what they give.
# For 128 output channels it does so 128 times.

# %%
cost_guess = widgets.Prediction(
    "How many parameters, without bias?",
    ["1x1, 64 to 128 channels", "3x3, 64 to 128 channels", "7x7, 64 to 128 channels"],
    low=2,
    high=6,
    log=True,
)
cost_guess

# %%
parameters = {}
for k in (1, 3, 7):
    conv = nn.Conv2d(64, 128, k, padding=k // 2, bias=False)
    network = nn.Sequential(nn.Conv2d(3, 64, 1), conv)  # the first: from 3 colours to 64 channels
    layer = measure.anatomy(network, image_size=56).layers[1]
    parameters[f"{k}x{k}, 64 to 128 channels"] = layer.parameters
    assert layer.parameters == 128 * 64 * k * k
    assert layer.multiply_adds == layer.parameters * 56 * 56
    print(f"{k}x{k}: {layer.multiply_adds / 1e6:.0f} million multiply-adds at 56x56 pixels")

# %%
draw.show(draw.bars(parameters, predicted=cost_guess.values, title="Parameters", log=True))

# %% [markdown]
# Output channels × input channels × kernel height × kernel width. Each parameter is used once for each
# pixel of the output, so the cost is parameters × pixels: at 56x56 pixels, the 3x3 convolution takes 231
# million multiplications and additions. Papers call this number FLOPs or multiply-adds.
#
# A 1x1 convolution costs a ninth of a 3x3. It sees one pixel and mixes its channels. ResNet-50 lives on
# this difference; [lesson 06](06_resnet50.ipynb) shows how.
#
# ## 4. How far a layer can see
#
# One number after a 3x3 convolution depends on 3x3 pixels. After a second one? The square of the image
# on which one number depends is its **receptive field**. It can be measured: ask for the gradient of the
# middle output with respect to the image. It is zero where a pixel has no influence.

# %%
stacks = {
    "1 convolution 3x3": [1],  # the stride of each layer
    "2 convolutions 3x3": [1, 1],
    "5 convolutions 3x3": [1, 1, 1, 1, 1],
    "5, the second has stride 2": [1, 2, 1, 1, 1],
}
field_guess = widgets.Prediction(
    "Side of the receptive field, in pixels?", list(stacks), low=1, high=27
)
field_guess


# %%
def visible_pixels(strides):
    convs = [nn.Conv2d(1, 1, 3, stride, padding=1, bias=False) for stride in strides]
    for conv in convs:
        nn.init.ones_(conv.weight)  # so that no influence cancels another
    image = torch.zeros(1, 1, 65, 65, requires_grad=True)
    out = nn.Sequential(*convs)(image)
    middle = out.shape[2] // 2
    out[0, 0, middle, middle].backward()
    return image.grad[0, 0] > 0  # (65, 65): True where a pixel has an influence


# %%
masks = {name: visible_pixels(strides) for name, strides in stacks.items()}
draw.show(draw.images({name: mask.float() for name, mask in masks.items()}))

# %%
fields = {name: int(mask.any(0).sum()) for name, mask in masks.items()}

assert list(fields.values()) == [3, 5, 11, 17]
draw.show(draw.bars(fields, predicted=field_guess.values, title="Receptive field", unit="pixels"))

# %% [markdown]
# At stride 1, each 3x3 convolution adds two pixels. After a stride of 2, neighbours are two pixels
# apart, so each layer adds four. Depth and strides let a network see a whole object.
#
# Two 3x3 convolutions see as far as one 5x5, and have 18 weights for each pair of channels instead of
# 25 (Simonyan and Zisserman, 2014). So deep networks of small kernels won. And ResNet-50?

# %%
for depth, expected in ((18, 435), (50, 427)):
    network = getattr(networks, f"resnet{depth}")()
    seen = measure.anatomy(network, image_size=224).receptive_field
    assert seen == expected
    print(f"ResNet-{depth}: {seen} pixels; the image has 224")

# %% [markdown]
# Both see the whole image, and beyond its edge. ResNet-50 sees a little less than ResNet-18, although it is
# deeper: most of its kernels are 1x1.
#
# ## 5. Batch norm
#
# A network is a long chain. If each layer made its numbers twice as large, the twentieth would make them
# a million times as large. Batch norm (Ioffe and Szegedy, 2015) stops this at every link. For each
# channel it takes mean and variance over all images and all pixels of the batch, and computes
#
# $$y = \gamma \cdot \frac{x - \text{mean}}{\sqrt{\text{variance} + \epsilon}} + \beta$$
#
# with a γ (at first 1) and a β (at first 0) that training can change. ε is tiny; it keeps the division
# safe.

# %%
conv = nn.Conv2d(3, 16, 3, padding=1)
with torch.no_grad():
    conv.weight.mul_(10)  # a badly scaled layer, on purpose
    conv.bias.add_(5)
    before = conv(digits[:256])  # (256, 16, 16, 16)
    after = nn.BatchNorm2d(16)(before)

mean, deviation = after.mean((0, 2, 3)), after.std((0, 2, 3), correction=0)
assert mean.abs().max() < 1e-4
assert (deviation - 1).abs().max() < 1e-2
title = "Batch norm in training mode, all 16 channels together"
draw.show(draw.histograms({"before": before, "after": after}, title=title))

# %% [markdown]
# However the numbers came in, every channel leaves with mean 0 and deviation 1.
#
# This is also why the convolution before it needs **no bias**: batch norm subtracts the mean, and with
# it any constant that was added.

# %%
with torch.no_grad():
    conv.bias.add_(100)
    assert torch.allclose(nn.BatchNorm2d(16)(conv(digits[:256])), after, atol=1e-3)
    conv.bias.sub_(100)

# %% [markdown]
# ### Two modes
#
# In training mode, the output for one image depends on the other images of the batch. That would be bad
# when you *use* the network: your photo's class must not depend on other people's photos. So batch norm
# keeps **running statistics** while it trains. In evaluation mode it uses those, and each image stands
# alone. Forgetting `model.eval()` is one of the most common errors in PyTorch. Here it is:

# %%
bn = nn.BatchNorm2d(16)
with torch.no_grad():
    alone, among_others = bn(before[:1]), bn(before)[:1]
    assert (alone - among_others).abs().max() > 0.1  # training mode: not the same!
    bn.eval()
    assert torch.allclose(bn(before[:1]), bn(before)[:1], atol=1e-5)  # evaluation mode: the same

# %% [markdown]
# The running mean starts at 0. At each batch it moves a tenth of the way to the mean of that batch
# (`momentum=0.1`; PyTorch counts it in this direction, Keras in the other). Suppose that all batches are
# alike. How much of the way has it gone after 1, 10, 50 batches?

# %%
momentum_guess = widgets.Prediction(
    "How much of the way has the running mean gone, in percent?",
    ["after 1", "after 10", "after 50"],
    low=0,
    high=100,
)
momentum_guess

# %%
bn = nn.BatchNorm2d(16)
true_mean = before.mean((0, 2, 3))
gone = {}
for step in range(1, 51):
    bn(before)
    gone[f"after {step}"] = 100 * float(bn.running_mean.norm() / true_mean.norm())
    assert abs(gone[f"after {step}"] - 100 * (1 - 0.9**step)) < 0.1

gone = {name: gone[name] for name in momentum_guess.values}
draw.show(draw.bars(gone, predicted=momentum_guess.values, title="Running mean", unit="percent"))

# %% [markdown]
# After ten batches, a third of the way is still to go. Evaluate a network too early, and its running
# statistics are wrong, although its weights may be fine.
#
# ## 6. ReLU
#
# A ReLU sets negative numbers to zero: `max(x, 0)`. It seems to destroy. How much, after a batch norm?

# %%
relu_guess = widgets.Prediction("How many numbers become zero, in percent?", ["ReLU"], 0, 100)
relu_guess

# %%
zeros = {"ReLU": 100 * float((F.relu(after) == 0).float().mean())}

assert 35 < zeros["ReLU"] < 65
draw.show(draw.bars(zeros, predicted=relu_guess.values, title="Set to zero", unit="percent"))

# %% [markdown]
# About half. Why would one want that? Because without something that is not linear, depth is worth nothing.
# Two convolutions in a row, with nothing in between, are one convolution with a larger kernel. Here are the
# two, and the one (`flip`, because PyTorch does not turn its kernels around, and putting two together does):

# %%
first = torch.randn(1, 1, 3, 3)
second = torch.randn(1, 1, 3, 3)
both = F.conv2d(first, second.flip(2, 3), padding=2)  # (1, 1, 5, 5): the two kernels in one

grey = flower.mean(0)[None, None]  # (1, 1, 85, 128)
two_layers = F.conv2d(F.conv2d(grey, first), second)
assert torch.allclose(two_layers, F.conv2d(grey, both), atol=1e-4)

with_relu = F.conv2d(F.relu(F.conv2d(grey, first)), second)
assert not torch.allclose(with_relu, F.conv2d(grey, both), atol=1e-1)

# %% [markdown]
# The first assert holds: two layers without a ReLU compute what a single 5x5 layer computes. The second
# one shows that the ReLU in between makes the difference.
#
# ## 7. The block
#
# Convolution, batch norm, ReLU, in this order:


# %%
class ConvBlock(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1):
        super().__init__()
        padding = kernel_size // 2  # keeps height and width at stride 1
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


# %% [markdown]
# With it, a network is a list. Three blocks, of which two have stride 2, then the mean of each channel
# and a linear layer that gives one number for each of the ten digits:

# %%
network = nn.Sequential(
    ConvBlock(3, 16),  # (N, 16, 16, 16)
    ConvBlock(16, 32, stride=2),  # (N, 32, 8, 8)
    ConvBlock(32, 64, stride=2),  # (N, 64, 4, 4)
    nn.AdaptiveAvgPool2d(1),  # (N, 64, 1, 1)
    nn.Flatten(),  # (N, 64)
    nn.Linear(64, 10),  # (N, 10)
)
anatomy = measure.anatomy(network, image_size=16)
cost = {layer.name: layer.multiply_adds for layer in anatomy.layers}
assert cost["1.conv"] == cost["2.conv"]
draw.show(draw.anatomy(anatomy))

# %% [markdown]
# The boxes are named by their place in the list; 3 and 4 have no parameters. *Logits* are the numbers that
# come out, one for each class, before any softmax. Blocks 1 and 2 cost the same: half the height and width,
# but twice the channels. You will find this rule in every ResNet.
#
# Does this small network learn? 150 steps with 128 digits each, judged on digits that it has not seen.
# Training is the subject of [lesson 03](03_degradation.ipynb); here it is only a few lines.

# %%
unseen, unseen_labels = data.digits("validation", size=16).tensors  # (297, 3, 16, 16)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
network.train()
for _ in widgets.progress(range(150), 150, "Training"):
    batch = torch.randint(len(digits), (128,))
    loss = F.cross_entropy(network(digits[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
network.eval()
with torch.no_grad():
    right = 100 * float((network(unseen).argmax(1) == unseen_labels).float().mean())

assert right > 75
draw.show(draw.bars({"guessing": 10, "the network": right}, title="Unseen digits", unit="% right"))

# %% [markdown]
# ## What was measured
#
# | claim | measured here | in the literature |
# |---|---|---|
# | output size | 218, 224, 112 for 224 pixels | ResNet-50's first layer: 112 (He et al. 2015, table 1) |
# | parameters | out × in × kernel², to the last one | |
# | receptive field | 3, 5, 11, 17 pixels; ResNet-50: 427 | two 3x3 see as one 5x5 (Simonyan and Zisserman 2014, section 2.3) |
# | batch norm in training | mean 0, deviation 1 | Ioffe and Szegedy 2015, algorithm 1 |
# | running mean after 10 batches | 65% of the way | the rule says 1 − 0.9¹⁰ |
# | ReLU | about half of the numbers become zero | He et al. 2015b, section 2.2, counts on it ([lesson 02](02_plain_networks.ipynb)) |
# | no ReLU between two layers | two layers compute what one can | |
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A 3x3 convolution with stride 2 and padding 1 gets an image of 15 x 15. What comes out?",
    {
        "7 x 7": "Take (15 + 2 − 3) / 2 = 7, and do not forget the place where the kernel starts: + 1.",
        "8 x 8": "(15 + 2 − 3) / 2 + 1 = 8. For odd sizes, a stride of 2 rounds up.",
        "15 x 15": "That is stride 1. With stride 2 the kernel visits every second pixel.",
    },
    right="8 x 8",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Your network is right for 97% of a batch, but for single photos its answers are poor. Why?",
    {
        "The learning rate is too high.": "Then it would be poor for batches too.",
        "It is still in training mode.": "A single photo is then normalised by its own statistics. "
        "Call model.eval() first.",
        "A single photo is too small.": "The size is the same, alone or in a batch.",
    },
    right="It is still in training mode.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Why does a convolution in front of a batch norm have no bias?",
    {
        "It would make the network too large.": "It is one number for each channel: next to nothing.",
        "Batch norm subtracts the mean, and any bias with it.": "The assert in section 5 showed it: "
        "add 100 to each bias, and nothing changes. Batch norm's own β takes its place.",
        "Convolutions never have a bias.": "nn.Conv2d has one, unless you say bias=False.",
    },
    right="Batch norm subtracts the mean, and any bias with it.",
)

# %% [markdown]
# ## Now you
#
# Open [exercise sheet 01](../exercises/01_convolution_blocks.ipynb): five tasks, with an answer at once
# to each. Then go on to [lesson 02](02_plain_networks.ipynb), where such blocks are stacked until the
# gradient gives up.
