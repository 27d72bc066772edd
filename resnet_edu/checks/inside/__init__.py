"""The checks of the lesson on looking inside a trained ResNet. One module and one text for each task."""
