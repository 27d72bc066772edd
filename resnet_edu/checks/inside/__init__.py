"""The checks of the lesson on looking inside a trained ResNet. One module and one text for each task."""

from resnet_edu.checks.inside.block_importance import block_importance
from resnet_edu.checks.inside.capture import capture
from resnet_edu.checks.inside.grad_cam import grad_cam

__all__ = ["block_importance", "capture", "grad_cam"]
