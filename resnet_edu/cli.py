"""The command line: `resnet-edu doctor`, `progress`, `pretrain`, `finetune`, `predict`, `grade`."""

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
    commands.add_parser("progress", help="say which exercises were passed, and what comes next")

    about = "train the course's own ResNet-50 on letters and symbols"
    pretrain = commands.add_parser("pretrain", help=about, description=f"{about.capitalize()}.")
    pretrain.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder for the weights"
    )
    pretrain.add_argument(
        "--passes", type=_from(1), default=10, help="times 30,000 images (default: 10)"
    )
    pretrain.add_argument("--seed", type=_from(0), default=0, help="default: 0")

    about = "teach a pretrained network the classes of your own photos"
    finetune = commands.add_parser("finetune", help=about, description=f"{about.capitalize()}.")
    finetune.add_argument(
        "photos",
        type=Path,
        metavar="PHOTOS",
        help="a folder with one folder of photos for each class, or train/ and val/ with one for each",
    )
    finetune.add_argument(
        "--weights",
        default="imagenet",
        metavar="imagenet|glyphs|FILE",
        help="what the network has learned before (default: imagenet, downloaded once)",
    )
    finetune.add_argument(
        "--freeze",
        choices=("none", "stem", "layer1", "layer2", "layer3", "layer4"),
        default="layer4",
        help="the last stage that stays as it is (default: layer4, all but the head)",
    )
    finetune.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the results"
    )

    about = "say what photos show"
    predict = commands.add_parser("predict", help=about, description=f"{about.capitalize()}.")
    predict.add_argument(
        "model", type=Path, metavar="MODEL", help="the model.safetensors that finetune has written"
    )
    predict.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")

    about = "mark the exercise sheets of a class"
    grade = commands.add_parser("grade", help=about, description=f"{about.capitalize()}.")
    grade.add_argument(
        "sheets", type=Path, nargs="+", metavar="FILE|FOLDER", help="notebooks, or folders of them"
    )
    grade.add_argument(
        "--out", type=Path, required=True, metavar="report.html", help="the file for the report"
    )
    grade.add_argument("--csv", action="store_true", help="write the results also as report.csv")

    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal may lack the symbols
    run = {
        "doctor": _doctor,
        "progress": _progress,
        "pretrain": _pretrain,
        "finetune": _finetune,
        "predict": _predict,
        "grade": _grade,
    }
    return run[options.command](options)


def _doctor(_options: argparse.Namespace) -> int:
    from resnet_edu import doctor

    report = doctor.check_up()
    print(report)
    return 0 if report.is_healthy else 1


def _progress(_options: argparse.Namespace) -> int:
    from resnet_edu import checks
    from resnet_edu.checks import remembered

    if remembered.folder() is None:
        print(
            f"resnet-edu progress: {Path.cwd()} is not the folder of the course. Go to the folder that "
            f"holds lessons and exercises, and try again.",
            file=sys.stderr,
        )
        return 1
    print(checks.progress())
    return 0


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


def _finetune(options: argparse.Namespace) -> int:
    from resnet_edu import finetune

    freeze = None if options.freeze == "none" else options.freeze
    try:
        result = finetune.finetune(
            options.photos, options.out, weights=options.weights, freeze=freeze
        )
    except (ValueError, ArithmeticError, OSError, RuntimeError) as error:
        print(f"resnet-edu finetune: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 1
    for skipped in result.photos.skipped:
        print(f"not used: {skipped}", file=sys.stderr)
    print(result)
    return 0


def _predict(options: argparse.Namespace) -> int:
    from resnet_edu import finetune

    all_is_well = True
    try:
        for answer in finetune.predict(options.model, options.photos):
            is_prediction = isinstance(answer, finetune.Prediction)
            print(answer, file=sys.stdout if is_prediction else sys.stderr)
            all_is_well &= is_prediction
    except (ValueError, OSError) as error:
        print(f"resnet-edu predict: {error}", file=sys.stderr)
        return 1
    return 0 if all_is_well else 1


def _grade(options: argparse.Namespace) -> int:
    from resnet_edu import files, grade

    try:
        graded = grade.grade(grade.find_sheets(options.sheets))
        files.put(grade.report(graded).encode(), options.out)
        if options.csv:
            files.put(grade.table(graded).encode("utf-8-sig"), options.out.with_suffix(".csv"))
    except (ValueError, OSError) as error:
        print(f"resnet-edu grade: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Nothing was written.", file=sys.stderr)
        return 1
    for sheet in graded:
        print(sheet)
    print(f"Written: {options.out}")
    return 0


def _from(least: int):
    """A type for argparse: whole numbers from `least` on."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise ValueError
        return value

    number.__name__ = f"whole number from {least} on"  # argparse says: invalid ... value
    return number
