"""Pictures. A record goes in, a `Picture` comes out; nothing is measured here.

A `Picture` has the Axes that were drawn on, a PNG file, and words: sentences that say in numbers what is to
be seen, for who cannot see it. A notebook displays it, by `show`, with the words as alternative text.

What an explorer redraws at each move is a class, ending in Drawing: its figure is kept, and its `update`
takes a record and gives a `Picture`.
"""

from resnet_edu.draw.anatomy import anatomy
from resnet_edu.draw.architecture import ArchitectureDrawing, architecture_reading
from resnet_edu.draw.bars import bars, by_block
from resnet_edu.draw.convolution import ConvolutionDrawing, convolution
from resnet_edu.draw.corrections import CorrectionsDrawing, corrections_reading, drift_by_layer
from resnet_edu.draw.dial import TransferDialDrawing
from resnet_edu.draw.features import FeatureDrawing, features_as_points
from resnet_edu.draw.finetuning import confusion_matrix, finetuning_curve
from resnet_edu.draw.gradient_flow import (
    GradientFlowDrawing,
    activation_scales,
    flow_grid,
    gradient_flow_reading,
    gradient_norms,
    ratios_by_depth,
)
from resnet_edu.draw.heat_map import HeatMapDrawing, heat_maps, over_image
from resnet_edu.draw.images import gallery, histograms, images
from resnet_edu.draw.lesions import LesionsDrawing, lesions_reading
from resnet_edu.draw.residual import autocorrelations, path_lengths
from resnet_edu.draw.shortcuts import ShortcutDrawing, shortcut_reading
from resnet_edu.draw.style import COLOURS, Picture, axes, scientific, show
from resnet_edu.draw.surface import loss_surfaces
from resnet_edu.draw.training import (
    DegradationRaceDrawing,
    smoothed,
    training_accuracy,
    validation_accuracy,
)
from resnet_edu.draw.transfer import accuracy_along

__all__ = [
    "COLOURS",
    "ArchitectureDrawing",
    "ConvolutionDrawing",
    "CorrectionsDrawing",
    "DegradationRaceDrawing",
    "FeatureDrawing",
    "GradientFlowDrawing",
    "HeatMapDrawing",
    "LesionsDrawing",
    "Picture",
    "ShortcutDrawing",
    "TransferDialDrawing",
    "accuracy_along",
    "activation_scales",
    "anatomy",
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
    "gallery",
    "gradient_flow_reading",
    "gradient_norms",
    "heat_maps",
    "histograms",
    "images",
    "lesions_reading",
    "loss_surfaces",
    "over_image",
    "path_lengths",
    "ratios_by_depth",
    "scientific",
    "shortcut_reading",
    "show",
    "smoothed",
    "training_accuracy",
    "validation_accuracy",
]
