"""The course as a table: its lessons in order, their tasks, and the section of a lesson for each task.

A lesson's number is its place in `PARTS`, and stands nowhere else: to move a lesson, move its line there
and build the notebooks. README's table, lesson 00's table, the map, headings and links follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PARTS = {
    "Before ResNets": (
        "start",
        "convolution",
        "plain",
    ),
    "ResNets": (
        "degradation",
        "residual",
        "identity",
        "resnet50",
    ),
    "At work": (
        "inside",
        "transfer",
        "applications",
    ),
    "And beyond": (
        "variants",
        "frameworks",
        "speed",
    ),
}
"""The topics of the lessons in order, in four parts. The first one is lesson 00."""

ORDER = tuple(topic for topics in PARTS.values() for topic in topics)


@dataclass(frozen=True)
class Task:
    """One task: the function or class it asks for, and where it is taught.

    That is the heading of a section, and the topic of the lesson that has it. The name stays for good: what
    a learner has passed is remembered by it.
    """

    name: str
    section: str
    topic: str

    @property
    def number(self) -> str:
        """The sheet's number and the place in it, "4.2" or "B.3"."""
        sheet = next(sheet for sheet in SHEETS if self in sheet.tasks)
        return f"{sheet.number.lstrip('0')}.{sheet.tasks.index(self) + 1}"

    @property
    def lesson(self) -> Lesson:
        """The lesson that has the section."""
        return find_topic(self.topic)

    @property
    def link(self) -> str:
        """From `exercises/` to the section: JupyterLab's anchors are headings with hyphens for spaces."""
        return f"../lessons/{self.lesson.file}.ipynb#{self.section.replace(' ', '-')}"


@dataclass(frozen=True)
class Lesson:
    """One lesson with its exercise sheet; the bug hunt is a sheet without a lesson.

    `stem` is the name of its files without the number. `measured` says what the learner measures, for
    README's table. `short` is the title and `brief` is what is measured where there is less room: on the
    map, and in lesson 00's table.
    """

    topic: str
    stem: str
    title: str
    minutes: int = 0
    measured: str = ""
    short: str = ""
    brief: str = ""
    tasks: tuple[Task, ...] = ()
    planned: bool = False

    @property
    def number(self) -> str:
        """Two digits, "03", or for the bug hunt "B"."""
        return f"{ORDER.index(self.topic):02}" if self.has_lesson else "B"

    @property
    def has_lesson(self) -> bool:
        """False for the bug hunt, which belongs to many lessons."""
        return self.topic in ORDER

    @property
    def file(self) -> str:
        """The name of its notebooks in `lessons/`, `exercises/` and `solutions/`, without `.ipynb`."""
        return f"{self.number}_{self.stem}" if self.has_lesson else self.stem


def _tasks(topic: str, *tasks: tuple[str, str]) -> tuple[Task, ...]:
    return tuple(Task(name, section, topic) for name, section in tasks)


_TABLE = (
    Lesson(
        "start",
        stem="start_here",
        title="Start here",
        minutes=10,
        measured="how large ResNets are",
    ),
    Lesson(
        "convolution",
        stem="convolution_blocks",
        title="Convolution blocks",
        minutes=40,
        measured="what convolution, batch norm and ReLU do",
        tasks=_tasks(
            "convolution",
            ("conv_output_size", "2. Size: stride and padding"),
            ("conv_parameters", "3. Channels, parameters, cost"),
            ("receptive_field", "4. How far a layer can see"),
            ("batch_norm", "5. Batch norm"),
            ("ConvBlock", "7. The block"),
        ),
    ),
    Lesson(
        "plain",
        stem="plain_networks",
        title="Plain networks and vanishing gradients",
        short="Plain networks",
        minutes=45,
        measured="where gradients vanish, and where they explode",
        tasks=_tasks(
            "plain",
            ("PlainBlock", "1. A plain network, and its gradient"),
            ("he_init_", "3. The factor of one layer"),
            ("gradient_norms", "1. A plain network, and its gradient"),
        ),
    ),
    Lesson(
        "degradation",
        stem="degradation",
        title="The degradation problem",
        short="Degradation",
        minutes=45,
        measured="that deeper plain networks train worse, and why it is neither overfitting nor vanishing",
        brief="deeper plain networks train worse",
        tasks=_tasks(
            "degradation",
            ("train_step", "1. A training loop"),
            ("accuracy", "3. It is not overfitting"),
            ("plain_network", "2. Deeper is worse"),
            ("deepen_by_identity", "5. A deeper network should never be worse"),
        ),
    ),
    Lesson(
        "residual",
        stem="residual_blocks",
        title="Residual blocks",
        minutes=40,
        measured="what each part of a block is for, and what it costs to change the shape",
        brief="what one `+ x` changes",
        tasks=_tasks(
            "residual",
            ("BasicBlock", "1. The difference"),
            ("identity_shortcut", "4. Where the shape changes: options A, B and C"),
            ("zero_init_residual_", "3. The identity, exactly"),
        ),
    ),
    Lesson(
        "identity",
        stem="identity_mappings",
        title="Identity mappings",
        minutes=50,
        measured="what may stand on a shortcut, which blocks are missed, and what a gradient is worth",
        brief="what a free way through is worth",
        tasks=_tasks(
            "identity",
            ("without_block", "2. Take a block away"),
            ("PreActivationBlock", "1. Nothing on the shortcut"),
        ),
    ),
    Lesson(
        "resnet50",
        stem="resnet50",
        title="Bottlenecks and ResNet-50",
        short="ResNet-50",
        minutes=60,
        measured="what a bottleneck saves, and that your ResNet-50 is the real one",
        brief="that yours is the real one",
        tasks=_tasks(
            "resnet50",
            ("Bottleneck", "1. Why a bottleneck"),
            ("make_stage", "4. Putting it together"),
            ("ResNet50", "4. Putting it together"),
            ("count_layers", "5. Fifty layers, and the others"),
            ("load_by_name", "6. The proof"),
        ),
    ),
    Lesson(
        "inside",
        stem="inside_a_resnet",
        title="Inside a trained ResNet",
        short="Inside a ResNet",
        minutes=70,
        measured="what its channels see, where it finds its evidence, and what a block is worth",
        brief="what its layers see",
        tasks=_tasks(
            "inside",
            ("capture", "2. What the stages see"),
            ("grad_cam", "3. Where is the evidence?"),
            ("block_importance", "4. Without a block"),
        ),
    ),
    Lesson(
        "transfer",
        stem="transfer_learning",
        title="Transfer learning",
        minutes=60,
        measured="how few labels are enough, how deep to freeze, and when it fails",
        brief="how few labels are enough",
        tasks=_tasks(
            "transfer",
            ("replace_head", "3. Five ways, from 1 label to 50"),
            ("freeze", "4. How deep to freeze"),
            ("train_mode", "6. The batch-norm trap"),
            ("parameter_groups", "5. One learning rate, or one for each part"),
            ("linear_probe", "2. Its features are worth more than its answers"),
        ),
    ),
    Lesson(
        "applications",
        stem="applications",
        title="Applications",
        brief="one backbone: what, where, which pixels",
        planned=True,
    ),
    Lesson(
        "variants",
        stem="variants",
        title="Variants",
        brief="what each of them buys",
        planned=True,
    ),
    Lesson(
        "frameworks",
        stem="two_frameworks",
        title="Two frameworks, one network",
        short="Two frameworks",
        minutes=45,
        measured="what parts PyTorch's ResNet-50 from that of Keras",
        brief="PyTorch and Keras, number for number",
        tasks=_tasks(
            "frameworks",
            ("keras_kernel_to_torch", "4. The port"),
            ("explain_difference", "2. 79,680 parameters"),
            ("fold_bias", "4. The port"),
        ),
    ),
    Lesson(
        "speed",
        stem="faster_and_larger",
        title="Faster and larger",
        brief="what is faster here, and still right",
        planned=True,
    ),
    Lesson(
        "hunt",
        stem="bug_hunt",
        title="Bug hunt",
        tasks=(
            Task("photos_to_batch", "1. What a convolution computes", "convolution"),
            Task("only_the_head", "4. How deep to freeze", "transfer"),
            Task("ShortcutBlock", "2. What each part is for", "residual"),
            Task("stack_blocks", "4. Putting it together", "resnet50"),
            Task("accuracy_of_batches", "1. A training loop", "degradation"),
            Task("tested_accuracy", "5. Batch norm", "convolution"),
            Task("fit_classes", "1. A training loop", "degradation"),
            Task("copy_weights", "6. The proof", "resnet50"),
            Task("with_new_head", "3. Five ways, from 1 label to 50", "transfer"),
            Task("train_frozen", "6. The batch-norm trap", "transfer"),
        ),
    ),
)

LESSONS = tuple(sorted(_TABLE, key=lambda lesson: lesson.number))
"""All lessons in order, with those that are planned, and the bug hunt at the end."""

SHEETS = tuple(lesson for lesson in LESSONS if lesson.tasks)
"""Those that have an exercise sheet."""

OLD_ORDER = {
    "1": ("conv_output_size", "conv_parameters", "receptive_field", "batch_norm", "ConvBlock"),
    "2": ("PlainBlock", "he_init_", "gradient_norms"),
    "3": ("train_step", "accuracy", "plain_network", "deepen_by_identity"),
    "4": (
        "BasicBlock",
        "identity_shortcut",
        "zero_init_residual_",
        "without_block",
        "PreActivationBlock",
    ),
    "5": ("Bottleneck", "make_stage", "ResNet50", "count_layers", "load_by_name"),
    "6": ("capture", "grad_cam", "block_importance"),
    "7": ("replace_head", "freeze", "train_mode", "parameter_groups", "linear_probe"),
    "10": ("keras_kernel_to_torch", "explain_difference", "fold_bias"),
    "B": (
        "photos_to_batch",
        "only_the_head",
        "ShortcutBlock",
        "stack_blocks",
        "accuracy_of_batches",
        "tested_accuracy",
        "fit_classes",
        "copy_weights",
        "with_new_head",
        "train_frozen",
    ),
}
"""The sheets as they were numbered at first, with their tasks in order.

Sheets with answers and progress files from that time go by these numbers, so this never changes.
"""


def find(name: str) -> tuple[Lesson, Task] | None:
    """The sheet and the task that ask for the function or class `name`."""
    found = ((sheet, task) for sheet in SHEETS for task in sheet.tasks if task.name == name)
    return next(found, None)


def find_topic(topic: str) -> Lesson:
    """The lesson with this topic. Raises ValueError where there is none."""
    for lesson in LESSONS:
        if lesson.topic == topic:
            return lesson
    known = ", ".join(lesson.topic for lesson in LESSONS)
    raise ValueError(f"There is no topic {topic!r}; the topics are {known}.")


def named(names: Iterable[str]) -> tuple[Task, ...]:
    """The tasks with these names, in the order of `names`."""
    found = map(find, names)
    return tuple(pair[1] for pair in found if pair)


def old_name(number: str) -> str | None:
    """The name of the task that once had this number, such as "4.5" or "B.3"."""
    sheet, _, place = number.partition(".")
    names = OLD_ORDER.get(sheet, ())
    return names[int(place) - 1] if place.isdigit() and 0 < int(place) <= len(names) else None
