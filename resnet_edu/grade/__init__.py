"""Mark a whole class: run learners' sheets, judge their answers by our own checks, and report.

`grade`   many sheets, two at a time, to a list of `Graded`
`report`  that list as one HTML page
`table`   that list as rows for a CSV file

A sheet is a program by somebody else. It runs in a fresh kernel, in a temporary folder, with limits of time
and memory and without a network; what it has saved or prints counts for nothing. This keeps accidents
and pranks away from the marks. It is no prison: for sheets from people whom you cannot trust, use a
container.
"""

from resnet_edu.grade.report import report, table
from resnet_edu.grade.run import grade
from resnet_edu.grade.sheet import Graded, Status, TaskResult, find_sheets

__all__ = ["Graded", "Status", "TaskResult", "find_sheets", "grade", "report", "table"]
