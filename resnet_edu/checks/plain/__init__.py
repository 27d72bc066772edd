"""The checks of the lesson on plain networks. One module and one text for each task."""
