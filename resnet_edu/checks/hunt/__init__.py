"""Checks of the bug hunt: is the mistake gone, and for the right reason?

In each of them `still-there` is the mistake that the sheet comes with. The message tells by what it still
shows, and never the line.
"""
