"""The checks of the lesson on identity mappings. One module and one text for each task."""
