"""The checks of exercise sheet 06: inside a trained network. One file for each task."""

from resnet_edu.checks.sheet06.block_importance import block_importance
from resnet_edu.checks.sheet06.capture import capture
from resnet_edu.checks.sheet06.grad_cam import grad_cam

__all__ = ["block_importance", "capture", "grad_cam"]
