"""A pretrained network learns your own classes, from a folder of photos.

    from resnet_edu import finetune

    result = finetune.finetune("photos", "out", weights="glyphs", freeze="layer4")
    for prediction in finetune.predict(result.model_file, ["new.jpg"]):
        print(prediction)

`finetune`  train on a folder; leaves a model file and a report
`predict`   what such a model takes photos for
`load`      the model of a file: the network, its classes, and what photos go through before it

The way of the photos: `data.photos` finds and reads them, `features` computes once what the frozen part of
the network makes of them, `training` trains the rest, `result` looks at its mistakes, `report` shows them.
"""

from resnet_edu.finetune.model_file import Classifier, Prediction, load, predict
from resnet_edu.finetune.result import Mistake, Result
from resnet_edu.finetune.tune import finetune

__all__ = ["Classifier", "Mistake", "Prediction", "Result", "finetune", "load", "predict"]
