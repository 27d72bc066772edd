"""The checks of the lesson on transfer learning. One module and one text for each task."""
