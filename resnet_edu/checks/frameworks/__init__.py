"""The checks of the lesson on two frameworks. One module and one text for each task."""
