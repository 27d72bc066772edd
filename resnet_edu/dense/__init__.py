"""One backbone, other heads: what, where, and which pixels.

`Backbone`         a ResNet that gives the maps of its stages instead of one answer
`dilate_network_`  stages that keep the map's size: dilation in the place of stride
`Pyramid`          coarse maps, which know what, help fine ones, which know where
`Detector`         boxes: scores for each class and four distances at each place; `detection_loss`, `detect`
`Segmenter`        a class for each pixel; `segmentation_loss`
`train`            steps of AdamW on any of them
"""

from resnet_edu.dense.backbone import Backbone, Pyramid
from resnet_edu.dense.detector import Detector, assign, detect, detection_loss, focal_loss, iou_loss
from resnet_edu.dense.dilation import dilate_network_
from resnet_edu.dense.segmenter import Segmenter, segmentation_loss
from resnet_edu.dense.train import train

__all__ = [
    "Backbone",
    "Detector",
    "Pyramid",
    "Segmenter",
    "assign",
    "detect",
    "detection_loss",
    "dilate_network_",
    "focal_loss",
    "iou_loss",
    "segmentation_loss",
    "train",
]
