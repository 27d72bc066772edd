# %% [markdown]
# # 00 Start here
#
# At the end of this course you will have built ResNet-50 yourself, the network behind a good part of
# computer vision. You will know what each of its parts is for, because you will have measured what
# happens without it.
#
# **After this lesson you can**
# - work with the lessons: predict, measure, explain,
# - do an exercise and read what the check tells you,
# - say whether your computer is ready.
#
# **You need** Python, and a first idea of PyTorch. No graphics card, no network. **Time:** about 10 minutes.
#
# New to JupyterLab? Click into the grey cell below and press **Shift + Enter**: it runs, and the next cell
# is selected. Go through the whole notebook in this way. You cannot break anything.

# %% [markdown]
# ## 1. Is your computer ready?

# %% tags=["nbval-ignore-output"]
from resnet_edu import doctor

doctor.check_up()

# %% [markdown]
# Each line should say *ok*. If one says *problem*, do what it says beside it, and run the cell again. A
# *warning* will not stop you.
#
# ## 2. Predict, measure, explain
#
# Each lesson asks a question, and you answer it **before** you measure. A wrong guess is worth more than a
# right one: it shows you where your picture of the thing is not yet true. So guess, even if you have no
# idea. Nobody sees it but you.
#
# Here is a first one. ResNet-50 has 50 layers with weights. It was trained on 1.3 million photos. How many
# numbers does it learn? How many in the network with 18 layers, and in the one with 152?
#
# Move the sliders with the mouse, or with the arrow keys. (By keyboard: Tab goes from one control to the
# next. A list opens with Space; choose with the arrow keys, and press Enter.)

# %%
from resnet_edu import checks, draw, measure, networks, widgets

guess = widgets.Prediction(
    "How many millions of parameters?", ["ResNet-18", "ResNet-50", "ResNet-152"], low=0, high=150
)
guess

# %% [markdown]
# Now measure. Your guesses stand in the picture as diamonds.

# %%
sizes = {}
for depth in (18, 50, 152):
    network = getattr(networks, f"resnet{depth}")()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    sizes[f"ResNet-{depth}"] = parameters / 1e6
    print(f"ResNet-{depth} has {parameters:,} parameters")

draw.show(draw.bars(sizes, predicted=guess.values, title="Size", unit="million parameters"))

# %% [markdown]
# The deepest network has eight times the layers of the smallest, and only five times the parameters. How
# can that be? The deeper ones are made of another block, the bottleneck, which does more layers with fewer
# numbers. [Lesson 06](06_resnet50.ipynb) is about it.
#
# That is the rhythm: a question, your prediction, a measurement, and why. The cells are yours: change a
# number, run them again, see what happens.
#
# You need not believe us. What we say of a measurement is held by an `assert`: a line that stops with an
# error if it is not true on your computer. This one says that our ResNet-50 has as many parameters as the
# one in torchvision, the library that most people use:

# %%
from torchvision.models import resnet50

theirs = sum(parameter.numel() for parameter in resnet50(weights=None).parameters())
assert round(sizes["ResNet-50"] * 1e6) == theirs
assert 5 < sizes["ResNet-152"] / sizes["ResNet-18"] < 5.5

# %% [markdown]
# Nothing happened. That is what an `assert` does if all is well.
#
# ## 3. The network you will build
#
# This is ResNet-50, drawn from the real network. An image comes in on the left. It gets smaller from part
# to part, and has more channels: more numbers that say *what* is there, fewer that say exactly *where*.

# %%
anatomy = measure.anatomy(networks.resnet50(), image_size=224)
draw.show(draw.anatomy(anatomy))

# %%
kinds = [layer.kind for layer in anatomy.layers if ".downsample" not in layer.name]
assert (kinds.count("Conv2d"), kinds.count("Linear")) == (49, 1)
assert round(anatomy.multiply_adds / 1e9, 2) == 4.09

# %% [markdown]
# Here are the 50 layers: 49 convolutions (those on shortcuts, the ways around a block, do not count) and `fc`, the linear layer
# at the end, which gives a number for each of 1,000 classes. You need not understand more of it yet.
#
# ## 4. Exercises that answer
#
# After each lesson you write a few small functions. A **check** looks at what your function does, not at how
# you write it: any right answer passes. If something is wrong, it tells you what it saw.
#
# The first task asks for the size of a convolution's output. Suppose that somebody remembers only that a stride
# of 2 halves the size:


# %%
def my_answer(size, kernel_size, stride=1, padding=0):
    return size // stride


checks.conv_output_size(my_answer)

# %% [markdown]
# A task that you have not done yet reads *not attempted*. Nothing is lost if you go on and come back.


# %%
def not_done_yet(size, kernel_size, stride=1, padding=0):
    raise NotImplementedError


checks.conv_output_size(not_done_yet)

# %% [markdown]
# Each task has hints, folded away. Open one at a time. The solutions are in the folder `solutions`: look
# there after you have tried, they also show good style.
#
# ## 5. The map
#
# ![The course in four parts: Before ResNets, lessons 00 to 02; ResNets, lessons 03 to 06; At work, lessons 07 to 09; And beyond, lessons 10 to 12. Ready: lessons 00 to 08 and 11. Planned: 09, 10 and 12.](images/course_map.svg)
#
# | | lesson | you measure | exercises |
# |---|---|---|---|
# | 00 | Start here | how large ResNets are | |
# | 01 | [Convolution blocks](01_convolution_blocks.ipynb) | what convolution, batch norm and ReLU do | [5 tasks](../exercises/01_convolution_blocks.ipynb) |
# | 02 | [Plain networks and vanishing gradients](02_plain_networks.ipynb) | where gradients vanish, and where they explode | [3 tasks](../exercises/02_plain_networks.ipynb) |
# | 03 | [The degradation problem](03_degradation.ipynb) | deeper plain networks train worse | [4 tasks](../exercises/03_degradation.ipynb) |
# | 04 | [Residual blocks](04_residual_blocks.ipynb) | what one `+ x` changes | [3 tasks](../exercises/04_residual_blocks.ipynb) |
# | 05 | [Identity mappings](05_identity_mappings.ipynb) | what a free way through is worth | [2 tasks](../exercises/05_identity_mappings.ipynb) |
# | 06 | [Bottlenecks and ResNet-50](06_resnet50.ipynb) | that yours is the real one | [5 tasks](../exercises/06_resnet50.ipynb) |
# | 07 | [Inside a trained ResNet](07_inside_a_resnet.ipynb) | what its layers see | [3 tasks](../exercises/07_inside_a_resnet.ipynb) |
# | 08 | [Transfer learning](08_transfer_learning.ipynb) | how few labels are enough | [5 tasks](../exercises/08_transfer_learning.ipynb) |
# | 09 | Applications (*planned*) | one backbone: what, where, which pixels | |
# | 10 | Variants (*planned*) | what each of them buys | |
# | 11 | [Two frameworks, one network](11_two_frameworks.ipynb) | PyTorch and Keras, number for number | [3 tasks](../exercises/11_two_frameworks.ipynb) |
# | 12 | Faster and larger (*planned*) | what is faster here, and still right | |
#
# When you have done them, go on a [bug hunt](../exercises/bug_hunt.ipynb): ten programs, each with one mistake that
# raises no error.
#
# The course remembers which tasks you have passed. Come back to this cell to see what is done, and what is next:

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
# ## What was measured
#
# | claim | measured here | in the literature |
# |---|---|---|
# | parameters of ResNet-50 | 25,557,032 | 25.6 million (torchvision's documentation) |
# | cost of ResNet-50 | 4.09 billion multiply-adds at 224 x 224 | 3.8 billion for the 2015 form (He et al. 2015, table 1) |
#
# The two costs differ because today's ResNet-50 has its stride at another place. [Lesson 06](06_resnet50.ipynb) measures it.
#
# ## Three questions

# %% jupyter={"source_hidden": true}
widgets.Question(
    "You are asked for a prediction and have no idea. What do you do?",
    {
        "Skip it and measure.": "Then the number tells you little. A guess makes you notice what surprises you.",
        "Guess anyway.": "Right or wrong, you will remember the answer better.",
        "Look it up first.": "Then you learn what others say. Here you find out for yourself.",
    },
    right="Guess anyway.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "A cell with an assert runs, and nothing is shown. What does that mean?",
    {
        "The claim holds on this computer.": "An assert is silent if all is well.",
        "The cell was not run.": "Look at the number in brackets on its left: it was.",
        "Asserts are only comments.": "Change a number in section 2's asserts, and see it stop.",
    },
    right="The claim holds on this computer.",
)

# %% jupyter={"source_hidden": true}
widgets.Question(
    "Your solution of a task looks quite different from the one in the folder solutions. Does it pass?",
    {
        "Only if it is written alike.": "The check never reads your code. It runs it.",
        "Yes, if it does the same.": "Checks compare what comes out, on many inputs.",
    },
    right="Yes, if it does the same.",
)

# %% [markdown]
# ## Next
#
# Go on to [lesson 01](01_convolution_blocks.ipynb).
