"""The checks of the lesson on the degradation problem. One module and one text for each task."""
