"""The checks of the lesson on residual blocks. One module and one text for each task."""
