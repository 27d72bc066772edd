"""The command line: `resnet-edu doctor` and `resnet-edu pretrain`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import resnet_edu


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 where all is well, 1 where it is not, 2 where it was not understood."""
    parser = argparse.ArgumentParser(prog="resnet-edu", description="A course on ResNets.")
    parser.add_argument("--version", action="version", version=resnet_edu.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    commands.add_parser("doctor", help="say whether this computer is ready for the course")

    about = "train the course's own ResNet-50 on letters and symbols"
    pretrain = commands.add_parser("pretrain", help=about, description=f"{about.capitalize()}.")
    pretrain.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder for the weights"
    )
    pretrain.add_argument(
        "--passes", type=_from(1), default=10, help="times 30,000 images (default: 10)"
    )
    pretrain.add_argument("--seed", type=_from(0), default=0, help="default: 0")

    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # a terminal may lack the symbols
    return {"doctor": _doctor, "pretrain": _pretrain}[options.command](options)


def _doctor(_options: argparse.Namespace) -> int:
    from resnet_edu import doctor

    report = doctor.check_up()
    print(report)
    return 0 if report.is_healthy else 1


def _pretrain(options: argparse.Namespace) -> int:
    from resnet_edu import pretrain

    recipe = pretrain.recipe(options.passes, options.seed)
    try:
        history = pretrain.pretrain(options.out, recipe, pretrain.validation())
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"resnet-edu pretrain: {error}", file=sys.stderr)
        return 1
    if os.environ.get("RANK", "0") != "0":  # torchrun: one of the processes reports
        return 0
    if history.stopped:
        print(f"{history}: stopped. The same command goes on from here.")
        return 1
    for step, accuracy in history.validation.items():
        print(f"{step * recipe.batch_size:9,} images  {accuracy:.1%} of unseen faces read")
    print(f"Written: {options.out / pretrain.WEIGHTS}")
    return 0


def _from(least: int):
    """A type for argparse: whole numbers from `least` on."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise ValueError
        return value

    number.__name__ = f"whole number from {least} on"  # argparse says: invalid ... value
    return number
