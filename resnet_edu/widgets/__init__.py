"""Explorers and the small widgets of a lesson. They move arguments; measuring and drawing is elsewhere."""

from resnet_edu.widgets.architecture import ArchitectureExplorer
from resnet_edu.widgets.convolution import ConvolutionExplorer
from resnet_edu.widgets.corrections import CorrectionsExplorer
from resnet_edu.widgets.dial import TransferDial
from resnet_edu.widgets.explorer import Explorer
from resnet_edu.widgets.features import FeatureExplorer
from resnet_edu.widgets.gradient_flow import GradientFlowExplorer
from resnet_edu.widgets.heat_map import HeatMapExplorer
from resnet_edu.widgets.lesions import LesionsExplorer
from resnet_edu.widgets.lesson import Prediction, Question, progress
from resnet_edu.widgets.race import DegradationRace
from resnet_edu.widgets.shortcuts import ShortcutExplorer
from resnet_edu.widgets.stop import Stop, stop_without

__all__ = [
    "ArchitectureExplorer",
    "ConvolutionExplorer",
    "CorrectionsExplorer",
    "DegradationRace",
    "Explorer",
    "FeatureExplorer",
    "GradientFlowExplorer",
    "HeatMapExplorer",
    "LesionsExplorer",
    "Prediction",
    "Question",
    "ShortcutExplorer",
    "Stop",
    "TransferDial",
    "progress",
    "stop_without",
]
