"""Pictures. A record goes in, matplotlib Axes come out; nothing is measured here.

Every function draws into `ax`, or into new Axes where none are given, and leaves in the Axes' label
(`ax.get_label()`) one sentence that says in words and numbers what is to be seen. `show` displays the
picture in a notebook, with these sentences as its alternative text for who cannot see it.
"""

from resnet_edu.draw.architecture import ArchitecturePicture, architecture, architecture_reading
from resnet_edu.draw.bars import bars
from resnet_edu.draw.corrections import CorrectionsPicture, corrections_reading, drift_by_layer
from resnet_edu.draw.dial import DialPicture
from resnet_edu.draw.finetuning import confusion_matrix, finetuning_curve, over_image
from resnet_edu.draw.flow import (
    FlowPicture,
    activation_scales,
    flow_grid,
    flow_reading,
    gradient_norms,
    ratios_by_depth,
)
from resnet_edu.draw.images import ConvolutionPicture, convolution, histograms, images
from resnet_edu.draw.inside import (
    FeaturePicture,
    HeatPicture,
    by_block,
    features_as_points,
    gallery,
    heat_maps,
    loss_surfaces,
)
from resnet_edu.draw.lesions import LesionPicture, lesion_reading
from resnet_edu.draw.network import anatomy
from resnet_edu.draw.residual import autocorrelations, path_lengths
from resnet_edu.draw.shortcuts import ShortcutPicture, shortcut_reading
from resnet_edu.draw.style import COLOURS, Picture, axes, png, scientific, show
from resnet_edu.draw.training import RacePicture, smoothed, training_accuracy, validation_accuracy
from resnet_edu.draw.transfer import accuracy_along

__all__ = [
    "COLOURS",
    "ArchitecturePicture",
    "ConvolutionPicture",
    "CorrectionsPicture",
    "DialPicture",
    "FeaturePicture",
    "FlowPicture",
    "HeatPicture",
    "LesionPicture",
    "Picture",
    "RacePicture",
    "ShortcutPicture",
    "accuracy_along",
    "activation_scales",
    "anatomy",
    "architecture",
    "architecture_reading",
    "autocorrelations",
    "axes",
    "bars",
    "by_block",
    "confusion_matrix",
    "convolution",
    "corrections_reading",
    "drift_by_layer",
    "features_as_points",
    "finetuning_curve",
    "flow_grid",
    "flow_reading",
    "gallery",
    "gradient_norms",
    "heat_maps",
    "histograms",
    "images",
    "lesion_reading",
    "loss_surfaces",
    "over_image",
    "path_lengths",
    "png",
    "ratios_by_depth",
    "scientific",
    "shortcut_reading",
    "show",
    "smoothed",
    "training_accuracy",
    "validation_accuracy",
]
