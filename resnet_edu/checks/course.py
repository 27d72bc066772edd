"""The course as a table: its exercise sheets, their tasks, and the section of a lesson for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One task: its number, the function or class it asks for, and where it is taught.

    That is the file name of a lesson, and the heading of a section in it.
    """

    number: str
    name: str
    section: str
    lesson: str


@dataclass(frozen=True)
class Sheet:
    """The tasks of one file in `exercises/`. A lesson's own sheet has the lesson's file name."""

    file: str
    title: str
    tasks: tuple[Task, ...]

    @property
    def number(self) -> str:
        """Two digits, "03", or for the bug hunt "B"."""
        return self.file[:2] if self.file[0].isdigit() else self.file[0].upper()

    @property
    def has_lesson(self) -> bool:
        """Whether it is the sheet of one lesson."""
        return self.file == self.tasks[0].lesson

    def link(self, task: Task) -> str:
        """From `exercises/` to the section: JupyterLab's anchors are headings with hyphens for spaces."""
        return f"../lessons/{task.lesson}.ipynb#{task.section.replace(' ', '-')}"


def _sheet(file: str, title: str, *tasks: tuple[str, str]) -> Sheet:
    number = int(file[:2])
    numbered = (Task(f"{number}.{i}", name, at, file) for i, (name, at) in enumerate(tasks, 1))
    return Sheet(file, title, tuple(numbered))


def _hunt(*tasks: tuple[str, str, str]) -> Sheet:
    numbered = (Task(f"B.{i}", *task) for i, task in enumerate(tasks, 1))
    return Sheet("bug_hunt", "Bug hunt", tuple(numbered))


SHEETS = (
    _sheet(
        "01_convolution_blocks",
        "Convolution blocks",
        ("conv_output_size", "2. Size: stride and padding"),
        ("conv_parameters", "3. Channels, parameters, cost"),
        ("receptive_field", "4. How far a layer can see"),
        ("batch_norm", "5. Batch norm"),
        ("ConvBlock", "7. The block"),
    ),
    _sheet(
        "02_plain_networks",
        "Plain networks and vanishing gradients",
        ("PlainBlock", "1. A plain network, and its gradient"),
        ("he_init_", "3. The factor of one layer"),
        ("gradient_norms", "1. A plain network, and its gradient"),
    ),
    _sheet(
        "03_degradation",
        "The degradation problem",
        ("train_step", "1. A training loop"),
        ("accuracy", "3. It is not overfitting"),
        ("plain_network", "2. Deeper is worse"),
        ("deepen_by_identity", "5. A deeper network should never be worse"),
    ),
    _sheet(
        "04_residual_blocks",
        "Residual blocks and identity mappings",
        ("BasicBlock", "1. The difference"),
        ("identity_shortcut", "4. Where the shape changes: options A, B and C"),
        ("zero_init_residual_", "3. The identity, exactly"),
        ("without_block", "6. Take a block away"),
        ("PreActivationBlock", "5. Nothing on the shortcut"),
    ),
    _sheet(
        "05_resnet50",
        "Bottlenecks and ResNet-50",
        ("Bottleneck", "1. Why a bottleneck"),
        ("make_stage", "4. Putting it together"),
        ("ResNet50", "4. Putting it together"),
        ("count_layers", "5. Fifty layers, and the others"),
        ("load_by_name", "6. The proof"),
    ),
    _sheet(
        "06_inside_a_resnet",
        "Inside a trained ResNet",
        ("capture", "2. What the stages see"),
        ("grad_cam", "3. Where is the evidence?"),
        ("block_importance", "4. Without a block"),
    ),
    _sheet(
        "07_transfer_learning",
        "Transfer learning",
        ("replace_head", "3. Five ways, from 1 label to 50"),
        ("freeze", "4. How deep to freeze"),
        ("train_mode", "6. The batch-norm trap"),
        ("parameter_groups", "5. One learning rate, or one for each part"),
        ("linear_probe", "2. Its features are worth more than its answers"),
    ),
    _sheet(
        "10_two_frameworks",
        "Two frameworks, one network",
        ("keras_kernel_to_torch", "4. The port"),
        ("explain_difference", "2. 79,680 parameters"),
        ("fold_bias", "4. The port"),
    ),
    _hunt(
        ("photos_to_batch", "1. What a convolution computes", "01_convolution_blocks"),
        ("only_the_head", "4. How deep to freeze", "07_transfer_learning"),
        ("ShortcutBlock", "2. What each part is for", "04_residual_blocks"),
        ("stack_blocks", "4. Putting it together", "05_resnet50"),
        ("accuracy_of_batches", "1. A training loop", "03_degradation"),
        ("tested_accuracy", "5. Batch norm", "01_convolution_blocks"),
        ("fit_classes", "1. A training loop", "03_degradation"),
        ("copy_weights", "6. The proof", "05_resnet50"),
        ("with_new_head", "3. Five ways, from 1 label to 50", "07_transfer_learning"),
        ("train_frozen", "6. The batch-norm trap", "07_transfer_learning"),
    ),
)


def find(name: str) -> tuple[Sheet, Task] | None:
    """The sheet and the task that ask for the function or class `name`."""
    found = ((sheet, task) for sheet in SHEETS for task in sheet.tasks if task.name == name)
    return next(found, None)
