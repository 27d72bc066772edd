"""The checks of the lesson on ResNet-50. One module and one text for each task."""
