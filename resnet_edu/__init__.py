"""resnet_edu: ResNet-50, built step by step and measured on the way.

Read the package in the order of the course: `blocks` tells the whole story in one file, `networks`
stacks the blocks, `measure` counts and measures, `draw` turns measurements into pictures.
"""

__version__ = "0.1.0"
