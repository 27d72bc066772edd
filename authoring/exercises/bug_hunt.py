# %% [markdown]
# # Bug hunt
#
# You need lessons [01](../lessons/01_convolution_blocks.ipynb) to [08](../lessons/08_transfer_learning.ipynb); each task says which one teaches its part. Plan about 100 minutes, in any order.
#
# Ten small programs. Each has **one mistake**, of a kind that people really make, and each **runs without an error**.
# Only numbers and pictures tell you that something is wrong.
#
# **How it works.** Each task has three cells: the program, a cell that shows the symptom, and the check.
# 1. Run the program and the symptom. What do you see, and what should you see?
# 2. Find the mistake and mend it in the program. All its other lines do what they should, and so does the second cell.
# 3. Run both again. Is the symptom gone? Then run the check. It asks whether the symptom is gone **for the right
#    reason**. Any mending that does that passes, however you write it.
#
# Open one hint at a time. `tested_accuracy` waits for some seconds, and so does the first program that trains: PyTorch loads its parts.

# %%
import torch
from matplotlib.cbook import get_sample_data
from matplotlib.image import imread
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_edu import checks, data, draw, weights
from resnet_edu.blocks import BasicBlock
from resnet_edu.networks import ResNet

# %% [markdown]
# ## B.1 A photo in pieces
#
# *Difficulty ●○○, 5 minutes, [lesson 01](../lessons/01_convolution_blocks.ipynb)*
#
# Photos come from a camera as bytes, (N, H, W, 3): for each pixel red, green and blue. A network wants (N, 3, H, W), from
# 0 to 1. The shape came out right at once, and nobody looked at what the network gets. It never learned much. (The photo
# shows Grace Hopper, who liked to tell of an early bug in a computer: a moth.)
#
# <details><summary>Hint 1</summary>
# The picture should be a portrait. Something of it can still be seen, so the numbers are there. Do they stand where they
# should?
# </details>
# <details><summary>Hint 2</summary>
# In memory the bytes stand pixel by pixel: red, green, blue, red, green, blue. Which line gives them a new shape, and
# does it know that an axis has to move?
# </details>
# <details><summary>Hint 3</summary>
# <code>reshape</code> keeps the order of the numbers and cuts it anew. To move an axis you need <code>permute</code>.
# </details>


# %%
def photos_to_batch(photos: Tensor) -> Tensor:
    """Bytes (N, H, W, 3) to numbers from 0 to 1, (N, 3, H, W)."""
    ### BEGIN SOLUTION
    batch = photos.permute(0, 3, 1, 2)
    ### INSTEAD OF
    # n, height, width, channels = photos.shape
    # batch = photos.reshape(n, channels, height, width)
    ### END SOLUTION
    return batch.float() / 255


# %%
pixels = imread(get_sample_data("grace_hopper.jpg", asfileobj=False))
photo = torch.from_numpy(pixels[::4, ::4].copy())  # (150, 128, 3)
draw.show(draw.images({"what the network gets": photos_to_batch(photo[None])[0]}))

# %%
checks.photos_to_batch(photos_to_batch)

# %% [markdown]
# ## B.2 Frozen, they said
#
# *Difficulty ●○○, 5 minutes, [lesson 08](../lessons/08_transfer_learning.ipynb)*
#
# Only the head `model.fc` was to be trained on twenty photos, and the rest kept as it was. The training was much slower
# than promised, and soon the network knew these twenty photos by heart, and no others.
#
# <details><summary>Hint 1</summary>
# As many numbers can be trained after it as before. The function does something to each parameter. What does it do?
# </details>
# <details><summary>Hint 2</summary>
# In Python you may set an attribute of any name on an object, and nobody complains. Print
# <code>model.conv1.weight.requires_grad</code> after the function.
# </details>
# <details><summary>Hint 3</summary>
# PyTorch's attribute has an <code>s</code>: <code>requires_grad</code>.
# </details>


# %%
def only_the_head(model: nn.Module) -> None:
    """Freeze everything but the head `model.fc`."""
    for name, parameter in model.named_parameters():
        ### BEGIN SOLUTION
        parameter.requires_grad = name.startswith("fc.")
        ### INSTEAD OF
        # parameter.require_grad = name.startswith("fc.")
        ### END SOLUTION


# %%
model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=4, width=8)
for when in ("before", "after"):
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"{trainable:7,} numbers can be trained {when}")
    only_the_head(model)

# %%
checks.only_the_head(only_the_head)

# %% [markdown]
# ## B.3 Only upwards
#
# *Difficulty ●○○, 10 minutes, [lesson 04](../lessons/04_residual_blocks.ipynb)*
#
# A residual block adds a correction to what comes in: here a little more, there a little less. Sixteen of these blocks
# in a row trained badly. Then somebody looked at what each block does to the values.
#
# <details><summary>Hint 1</summary>
# When can a value come out smaller than it went in? The branch has to give something negative there.
# </details>
# <details><summary>Hint 2</summary>
# Go through the last line with a pixel where the branch gives -3 and x is 5. What should come out, and what does?
# </details>
# <details><summary>Hint 3</summary>
# The ReLU belongs around the sum, and not around the branch.
# </details>


# %%
class ShortcutBlock(nn.Module):
    """A residual block that keeps the shape: (N, channels, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        ### BEGIN SOLUTION
        return F.relu(out + x)
        ### INSTEAD OF
        # return F.relu(out) + x
        ### END SOLUTION


# %%
torch.manual_seed(0)
x = torch.rand(8, 8, 12, 12)
for number in range(1, 17):
    before, x = x, ShortcutBlock(8)(x)
    if number in (1, 4, 16):
        up, down = ((d > 0).float().mean() for d in (x - before, before - x))
        print(f"block {number:2}: {up:4.0%} of the values got larger, {down:4.0%} got smaller")

# %%
checks.shortcut_block(ShortcutBlock)

# %% [markdown]
# ## B.4 Deep, and no better
#
# *Difficulty ●○○, 5 minutes, [lesson 06](../lessons/06_resnet50.ipynb)*
#
# The stage was made deeper and deeper: one block, two, four, eight. The time for one image grew as it should. The network
# became no better, and the file it was saved in no larger.
#
# <details><summary>Hint 1</summary>
# Every block brings its own parameters. How many does the second one bring?
# </details>
# <details><summary>Hint 2</summary>
# How often does the line with <code>BasicBlock(...)</code> make a block? Ask <code>blocks[0] is blocks[1]</code>.
# </details>
# <details><summary>Hint 3</summary>
# <code>[block] * n</code> is a list with the same object n times. A list with <code>for _ in range(n)</code> inside
# makes a new one each time.
# </details>


# %%
def stack_blocks(channels: int, n: int) -> nn.Sequential:
    """`n` residual blocks in a row."""
    ### BEGIN SOLUTION
    blocks = [BasicBlock(channels, channels) for _ in range(n)]
    ### INSTEAD OF
    # blocks = [BasicBlock(channels, channels)] * n
    ### END SOLUTION
    return nn.Sequential(*blocks)


# %%
for n in (1, 2, 4, 8):
    print(f"n = {n}: {sum(p.numel() for p in stack_blocks(16, n).parameters()):6,} parameters")

# %%
checks.stack_blocks(stack_blocks)

# %% [markdown]
# ## B.5 One network, three accuracies
#
# *Difficulty ●●○, 10 minutes, [lesson 03](../lessons/03_degradation.ipynb)*
#
# A network classifies eight of ten images right. Three people tested it on these ten, and found three accuracies, all of
# them wrong. They had only put the images into batches of different sizes.
#
# <details><summary>Hint 1</summary>
# Work it out on paper for a batch of nine images, all right, and a batch of one, wrong. What is the share of right
# images, and what comes out?
# </details>
# <details><summary>Hint 2</summary>
# Each batch counts the same in the end, however many images it has. But it is the images that should count the same.
# </details>
# <details><summary>Hint 3</summary>
# Collect the hits of all images, not one number for each batch: <code>results += hits.tolist()</code>.
# </details>


# %%
def accuracy_of_batches(model: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    """The share of images, from 0 to 1, that `model` classifies right."""
    model.eval()
    results = []
    with torch.no_grad():
        for images, labels in batches:
            hits = (model(images).argmax(1) == labels).float()
            ### BEGIN SOLUTION
            results += hits.tolist()
            ### INSTEAD OF
            # results.append(hits.mean().item())
            ### END SOLUTION
    return sum(results) / len(results)


# %%
labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 1, 2])
answers = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 0])  # the last two are wrong
scores = F.one_hot(answers, 4).float()  # instead of images; the "network" passes them on
for size in (4, 8, 9):
    batches = list(zip(scores.split(size), labels.split(size), strict=True))
    print(f"in batches of {size}: accuracy {accuracy_of_batches(nn.Identity(), batches):.2f}")

# %%
checks.accuracy_of_batches(accuracy_of_batches)

# %% [markdown]
# ## B.6 The moody network
#
# *Difficulty ●●○, 10 minutes, [lesson 01](../lessons/01_convolution_blocks.ipynb)*
#
# [Lesson 07](../lessons/07_inside_a_resnet.ipynb) has a network that reads 98% of the letters right. Here it is tested three times with the same 50 letters, in
# three orders. Nobody trains it in between, and an order should not matter.
#
# <details><summary>Hint 1</summary>
# What does the network have inside that looks at the other images in the batch? When does it do that?
# </details>
# <details><summary>Hint 2</summary>
# Print <code>model.training</code> inside the loop. <code>torch.no_grad()</code> has nothing to do with it.
# </details>
# <details><summary>Hint 3</summary>
# A method that is named is not yet called. Look for the parentheses.
# </details>


# %%
def tested_accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> float:
    """The share of images, from 0 to 1, that `model` classifies right in evaluation mode."""
    ### BEGIN SOLUTION
    model.eval()
    ### INSTEAD OF
    # model.eval
    ### END SOLUTION
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            right += (model(images[part]).argmax(1) == labels[part]).sum().item()
    return right / len(images)


# %%
torch.manual_seed(0)
images, labels = data.glyphs("validation", 50, seed=6).tensors
model = weights.bundled().train()  # as a training leaves it
orders = {
    "as they come": torch.arange(50),
    "shuffled": torch.randperm(50),
    "by letter": labels.argsort(),
}
for name, order in orders.items():
    accuracy = tested_accuracy(model, images[order], labels[order], batch_size=3)
    print(f"{name:12}: accuracy {accuracy:.0%} {'█' * round(30 * accuracy)}")

# %%
checks.tested_accuracy(tested_accuracy)

# %% [markdown]
# ## B.7 A floor under the loss
#
# *Difficulty ●●○, 10 minutes, [lesson 03](../lessons/03_degradation.ipynb)*
#
# An easy task: four kinds of images that any network can tell apart. The accuracy is soon 100%. But the loss stops high
# above zero, however long the training goes on.
#
# <details><summary>Hint 1</summary>
# The cross-entropy of a network that is sure and right is almost 0. To be sure, it must be able to give the loss large
# numbers. How large can those be that the loss gets here?
# </details>
# <details><summary>Hint 2</summary>
# Look up what <code>F.cross_entropy</code> does with its first argument before it takes the logarithm.
# </details>
# <details><summary>Hint 3</summary>
# It has a softmax inside. With one more in front, the best possible scores are 1, 0, 0, 0, and their loss is
# <code>-log(e / (e + 3))</code>, which is 0.74.
# </details>


# %%
def fit_classes(
    model: nn.Module, images: Tensor, labels: Tensor, steps: int, learning_rate: float
) -> list[float]:
    """Train on all images in each step. The losses, one for each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        ### BEGIN SOLUTION
        loss = F.cross_entropy(model(images), labels)
        ### INSTEAD OF
        # loss = F.cross_entropy(model(images).softmax(1), labels)
        ### END SOLUTION
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
torch.manual_seed(0)
labels = torch.arange(32) % 4
images = 0.3 * torch.randn(32, 3, 4, 4)
images[torch.arange(32), 0, labels, labels] += 3  # a bright spot, in another place for each class
model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
losses = fit_classes(model, images, labels, steps=200, learning_rate=0.5)
(ax,) = draw.axes(height=2.2)
ax.plot(losses, color=draw.COLOURS["neutral"])
ax.set(xlabel="step", ylabel="loss", ylim=(0, None))
print(f"accuracy at the end: {(model(images).argmax(1) == labels).float().mean():.0%}")
draw.show(ax, f"The loss comes down from {losses[0]:.2f} to {losses[-1]:.2f}.")

# %%
checks.fit_classes(fit_classes)

# %% [markdown]
# ## B.8 Every number copied
#
# *Difficulty ●●○, 10 minutes, [lesson 06](../lessons/06_resnet50.ipynb)*
#
# She and he wrote the same small network. He got her trained weights: all tensors were copied, all shapes fitted. Still
# the two networks give different outputs. Both classes are right as they are.
#
# <details><summary>Hint 1</summary>
# Print the names of both <code>state_dict</code>s, side by side. Which tensor goes where?
# </details>
# <details><summary>Hint 2</summary>
# A <code>state_dict</code> has the order in which the layers were made, and not the one in which they are used. The names
# say what belongs together.
# </details>
# <details><summary>Hint 3</summary>
# Go through the names of the target, and take from the source what has the same name.
# </details>


# %%
@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Give `target` the parameters and the statistics of `source`."""
    theirs, ours = source.state_dict(), target.state_dict()
    ### BEGIN SOLUTION
    for name in ours:
        ours[name].copy_(theirs[name])
    ### INSTEAD OF
    # for mine, other in zip(ours.values(), theirs.values(), strict=True):
    #     mine.copy_(other)
    ### END SOLUTION


# %%
class Hers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))


class His(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        return self.conv2(x)


torch.manual_seed(0)
hers, his = Hers(), His()
copy_weights(hers, his)
x = torch.randn(1, 3, 5, 5)
for whose, network in (("hers", hers), ("his", his)):
    print(f"{whose:4}", *(f"{value:5.2f}" for value in network(x).flatten()[:8]), "...")

# %%
checks.copy_weights(copy_weights)

# %% [markdown]
# ## B.9 The head that never learns
#
# *Difficulty ●●○, 10 minutes, [lesson 08](../lessons/08_transfer_learning.ipynb)*
#
# A network gets a new head for other classes, and both are to be trained together. The loss comes down, so nobody noticed
# anything. But the new head has the same numbers at the end as at the beginning.
#
# <details><summary>Hint 1</summary>
# Who changes the numbers of the head? How does it know which parameters there are?
# </details>
# <details><summary>Hint 2</summary>
# <code>model.parameters()</code> is asked once, when the optimiser is made. Which head does the model have at that
# moment?
# </details>
# <details><summary>Hint 3</summary>
# First the head, then the optimiser.
# </details>


# %%
def with_new_head(
    model: nn.Module, head: nn.Linear, images: Tensor, labels: Tensor, steps: int
) -> list[float]:
    """Put `head` into the place of `model.fc`, and train the whole model. The losses, one for each step."""
    ### BEGIN SOLUTION
    model.fc = head
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    ### INSTEAD OF
    # optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    # model.fc = head
    ### END SOLUTION
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
torch.manual_seed(0)
model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=10, width=4)
head = nn.Linear(model.fc.in_features, 3)
before = head.weight.detach().clone()
labels = torch.arange(12) % 3
losses = with_new_head(model, head, torch.randn(12, 3, 16, 16), labels, steps=5)
print("losses:", ", ".join(f"{loss:.2f}" for loss in losses))
print(f"largest change of the new head: {(head.weight - before).abs().max():.3f}")

# %%
checks.with_new_head(with_new_head)

# %% [markdown]
# ## B.10 Frozen, and moving
#
# *Difficulty ●●●, 15 minutes, [lesson 08](../lessons/08_transfer_learning.ipynb)*
#
# Only the head is trained, and no parameter in front of it moves: that was looked at. So the features that come into the
# head should be the same after the training as before. They are not.
#
# <details><summary>Hint 1</summary>
# Not everything in a network is a parameter. What else is in <code>model.state_dict()</code>, and what changes it?
# </details>
# <details><summary>Hint 2</summary>
# Batch norm's running statistics move in each forward pass in train mode, whatever <code>requires_grad</code> says. And
# in that mode the head learns from features that depend on the batch.
# </details>
# <details><summary>Hint 3</summary>
# A head needs no train mode to learn: gradients come in either mode. Which mode keeps batch norm as it is?
# </details>


# %%
def train_frozen(model: nn.Module, images: Tensor, labels: Tensor, steps: int) -> list[float]:
    """Train the head `model.fc`, and leave everything else as it is. The losses, one for each step."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("fc.")
    ### BEGIN SOLUTION
    model.eval()
    ### INSTEAD OF
    # model.train()
    ### END SOLUTION
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
torch.manual_seed(0)
model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=3, width=4)
backbone = nn.Sequential(*list(model.children())[:-1])  # all but the head
image = torch.randn(1, 3, 16, 16)
before = backbone.eval()(image).detach()
train_frozen(model, torch.randn(12, 3, 16, 16), torch.arange(12) % 3, steps=5)
after = backbone.eval()(image).detach()
print(f"the features of the image have changed by {(after - before).norm() / before.norm():.0%}")

# %%
checks.train_frozen(train_frozen)

# %%
checks.summary("hunt")

# %% [markdown]
# ## What comes next
#
# None of these ten showed itself by an error. Each showed itself by a number or a picture, to somebody who looked. When
# something of your own does not work, look at these first: what does the network really get, what can be trained, what
# has moved, and does the result depend on something that should not matter?
