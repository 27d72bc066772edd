"""Images that need no download. All have the shape (3, H, W) and values from 0 to 1.

`digits`  1,797 handwritten digits, small and quickly learned
`photo`   a photograph in colour, of a flower or of a palace
`glyphs`  letters and symbols in 150 classes and more, as many images as you ask for
`GLYPHS`  the classes of `glyphs`
`scenes`  several handwritten digits on one ground, with boxes, labels and masks
"""

from resnet_edu.data.real import digits, photo
from resnet_edu.data.rendered import GLYPHS, faces, glyphs
from resnet_edu.data.scenes import Scenes, scenes

__all__ = ["GLYPHS", "Scenes", "digits", "faces", "glyphs", "photo", "scenes"]
