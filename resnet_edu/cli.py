"""The command line: `resnet-edu doctor`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import resnet_edu


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 where all is well, 1 where the doctor found a problem."""
    parser = argparse.ArgumentParser(prog="resnet-edu", description="A course on ResNets.")
    parser.add_argument("--version", action="version", version=resnet_edu.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("doctor", help="say whether this computer is ready for the course")
    parser.parse_args(arguments)

    from resnet_edu import doctor

    report = doctor.check_up()
    sys.stdout.reconfigure(errors="replace")  # a terminal may lack the symbols
    print(report)
    return 0 if report.is_healthy else 1
