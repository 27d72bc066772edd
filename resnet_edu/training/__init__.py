"""One training loop, for every network of the course.

`Recipe`    the numbers that decide how a network is trained
`fit`       trains a network by a recipe and gives a `History`
`steps`     the same step by step, for a network that is watched while it trains
`evaluate`  the share of images that a network gets right
`parameter_groups`  what an optimiser is given, where parts of a network learn at rates of their own

The loop itself is `loop.py`; read it first.

The same seed and the same weights at the start give the same result bit for bit, on the same machine with
the same number of threads; so does a training that was stopped and goes on from its checkpoint, and a
finished one is not repeated. (A network with random layers, like dropout, also draws from PyTorch's own
generator.) A batch norm whose parameters are frozen, `requires_grad` False, is kept in evaluation mode, so
that its running statistics stay as they are. Afterwards the model has the modes and the device that it came
with; stopped, it keeps what it has learned.
"""

from resnet_edu.training.loop import Run, complete, evaluate, fit, steps
from resnet_edu.training.machine import fastest_device, prepared
from resnet_edu.training.progress import quiet
from resnet_edu.training.recipe import History, NotFiniteError, Recipe, parameter_groups

__all__ = [
    "History",
    "NotFiniteError",
    "Recipe",
    "Run",
    "complete",
    "evaluate",
    "fastest_device",
    "fit",
    "parameter_groups",
    "prepared",
    "quiet",
    "steps",
]
