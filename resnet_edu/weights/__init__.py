"""Weights from elsewhere, and weights kept: always by name, never by position.

`load_by_name`  weights into a model, with a report of what did not fit
`imagenet`      our networks with the weights that torchvision publishes
`from_keras`    a ResNet of Keras as one of ours
`save`, `load`  a network with its architecture, in one file
`bundled`       the small ResNet-50 that comes with the course, pretrained on glyphs
`preprocess`    what images must go through before a pretrained network gets them

Networks that come out of here are in evaluation mode, ready to classify: call `model.train()` before you
train one on.
"""

from resnet_edu.weights.by_name import LoadError, LoadReport, load_by_name
from resnet_edu.weights.keras import from_keras, keras_name
from resnet_edu.weights.own import bundled, load, preprocess, save
from resnet_edu.weights.torchvision import DownloadError, imagenet, imagenet_file

__all__ = [
    "DownloadError",
    "LoadError",
    "LoadReport",
    "bundled",
    "from_keras",
    "imagenet",
    "imagenet_file",
    "keras_name",
    "load",
    "load_by_name",
    "preprocess",
    "save",
]
