"""Explorers and the small widgets of a lesson. They move arguments; measuring and drawing is elsewhere."""

from resnet_edu.widgets.convolution import ConvolutionExplorer
from resnet_edu.widgets.explorer import Explorer, View
from resnet_edu.widgets.gradient_flow import GradientFlowExplorer
from resnet_edu.widgets.lesson import Prediction, Question, progress

__all__ = [
    "ConvolutionExplorer",
    "Explorer",
    "GradientFlowExplorer",
    "Prediction",
    "Question",
    "View",
    "progress",
]
