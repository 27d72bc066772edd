"""The checks of the lesson on convolution blocks. One module and one text for each task."""
