"""Figures of speed and memory, beside their targets: `make bench`.

    python benchmarks/run.py                    all of them, in more than ten minutes
    python benchmarks/run.py networks imports   some of them

What is compared is measured in turns, A B B A, in one run: other work on the machine then slows both, and
the ratio of each pair stays. Nothing here fails: the targets stand beside the figures.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

Row = tuple[str, str, str]
"""What was measured, the figure, the target."""


def main() -> None:
    """Measure and print."""
    sections = {
        "networks": networks,
        "training": training,
        "glyphs": glyphs,
        "transfer": transfer,
        "feedback": feedback,
        "imports": imports,
        "redraw": redraw,
        "browser": browser,
        "notebooks": notebooks,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", help=f"any of: {', '.join(sections)}; all, if none")
    chosen = parser.parse_args().sections or list(sections)
    if unknown := set(chosen) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    for section in chosen:
        print(f"\n{section}")
        for what, figure, target in sections[section]():
            print(f"  {what:58} {figure:>26}   {target}", flush=True)


def networks() -> Iterator[Row]:
    """Our ResNet-50 against torchvision's, with the same weights."""
    import torch
    import torchvision

    from resnet_edu.networks import resnet50

    theirs = torchvision.models.resnet50()
    ours = resnet50()
    ours.load_state_dict(theirs.state_dict())
    models = ours, theirs
    for name, memory_format in (
        ("contiguous", torch.contiguous_format),
        ("channels last", torch.channels_last),
    ):
        for model in models:
            model.to(memory_format=memory_format)
        images = torch.rand(8, 3, 224, 224).to(memory_format=memory_format)
        pair = [_forward(model, images) for model in models]
        yield f"ResNet-50 forward, 8 x 224 px, {name}", _ratio(*pair, rounds=12), "at most 1.03"
        images = torch.rand(16, 3, 64, 64).to(memory_format=memory_format)
        pair = [_training_step(model, images) for model in models]
        yield (
            f"ResNet-50 training step, 16 x 64 px, {name}",
            _ratio(*pair, rounds=12),
            "at most 1.03",
        )


def _forward(model, images) -> Callable[[], object]:
    import torch

    def run() -> None:
        with torch.inference_mode():
            model.eval()(images)

    return run


def _training_step(model, images) -> Callable[[], object]:
    import torch
    from torch.nn import functional as F

    targets = torch.arange(len(images))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def run() -> None:
        optimiser.zero_grad()
        F.cross_entropy(model.train()(images), targets).backward()
        optimiser.step()

    return run


def training() -> Iterator[Row]:
    """The course's loop against that of a tutorial, which is contiguous and in float32."""
    import torch

    from resnet_edu import data
    from resnet_edu.networks import cifar_plain, cifar_resnet, resnet50
    from resnet_edu.training import Recipe, evaluate, steps

    digits, large = data.digits("train", size=16), data.digits("train", size=64)
    at_least = {"ResNet-56": "at least 1.5", "a quarter of ResNet-50": "at least 1.5"}
    for name, make, images, batch in (
        ("plain-8", lambda: cifar_plain(8), digits, 64),
        ("plain-20", lambda: cifar_plain(20), digits, 64),
        ("plain-56", lambda: cifar_plain(56), digits, 64),
        ("ResNet-20", lambda: cifar_resnet(20), digits, 64),
        ("ResNet-56", lambda: cifar_resnet(56), digits, 64),
        ("a quarter of ResNet-50", lambda: resnet50(10, width=16), large, 64),
    ):
        recipe = Recipe(steps=1000, batch_size=batch, learning_rate=1e-4)
        ours = steps(make(), images, recipe)
        theirs = _tutorial(make(), images, recipe)
        pixels = images.tensors[0].shape[-1]
        ratio = _ratio(lambda run=theirs: next(run), lambda run=ours: next(run), rounds=14)
        ours.close()
        what = f"tutorial's step / ours, {name}, {batch} x {pixels} px"
        yield what, ratio, at_least.get(name, "at least 1.0")

    accuracies: dict[str, list[float]] = {"ours": [], "tutorial's": []}
    for seed in range(5):
        recipe = Recipe(seed=seed)
        for name, loop in (("ours", steps), ("tutorial's", _tutorial)):
            torch.manual_seed(seed)
            model = cifar_resnet(56)
            for _ in loop(model, digits, recipe):
                pass
            accuracies[name].append(evaluate(model, data.digits("validation", size=16)))
    for name, found in accuracies.items():
        spread = f"{statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"
        yield f"ResNet-56, 5 seeds, validation accuracy, {name} loop", spread, "as good"


def _tutorial(model, images, recipe) -> Iterator[None]:
    """A training loop as most tutorials have it, with our schedule."""
    import torch
    from torch.nn import functional as F
    from torch.utils.data import DataLoader

    optimiser = torch.optim.SGD(
        model.parameters(), lr=1, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    inputs, targets = images.tensors
    model.train()
    step = 0
    while step < recipe.steps:
        order = torch.randperm(len(images), generator=generator)
        for chosen in DataLoader(order, batch_size=recipe.batch_size, drop_last=True):
            if step == recipe.steps:
                return
            optimiser.param_groups[0]["lr"] = recipe.learning_rate_at(step)
            loss = F.cross_entropy(model(inputs[chosen]), targets[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            yield


def glyphs() -> Iterator[Row]:
    """How fast images are drawn, once the fonts have been read."""
    from resnet_edu import data

    data.glyphs(count=128)
    seconds = [_seconds(lambda s=seed: data.glyphs("train", 1000, s)) for seed in range(10)]
    yield "glyphs", f"{1000 / statistics.median(seconds):,.0f} images/s", "at least 2,000"


def transfer() -> Iterator[Row]:
    """The pretrained network moved to handwritten digits: 800 held out, mean of 5 draws."""
    from transfer import accuracies

    targets = {(5, "linear probe"): "at least 93%", (20, "fine-tuned"): "at least 97%"}
    for labels in (1, 5, 20):
        for name, found in accuracies(labels):
            spread = f"{statistics.mean(found):.1%} ({min(found):.1%} to {max(found):.1%})"
            yield f"{labels} labels a class, {name}", spread, targets.get((labels, name), "")


def feedback() -> Iterator[Row]:
    """The checks' verdicts on the bank of answers, and how long they take."""
    sys.path.insert(0, str(ROOT / "tests" / "checks"))
    from bank import RIGHT, WRONG, fill

    fill()
    seconds, passed, caught, named = [], 0, 0, 0
    for entry in [*RIGHT, *WRONG]:
        start = time.perf_counter()
        verdict = entry.check(entry.answer)
        seconds.append(time.perf_counter() - start)
        if entry.mistake is None:
            passed += verdict.passed
        else:
            caught += not verdict.passed
            named += verdict.mistake == entry.mistake
    slow = sorted(seconds)[int(0.95 * len(seconds))]
    yield "wrong answers caught", f"{caught} of {len(WRONG)}", "all"
    yield "named rightly", f"{named} of {len(WRONG)}, {named / len(WRONG):.1%}", "at least 90%"
    yield "right answers passed", f"{passed} of {len(RIGHT)}", "all"
    yield "time for a verdict, 95th percentile", f"{slow:.2f} s", "at most 2 s"
    yield "time for a verdict, the slowest", f"{max(seconds):.2f} s", ""
    import mutants

    known, total, named, unexplained = mutants.equal(), 0, 0, 0
    for check in mutants.all_checks():
        count, of_these_named, survivors = mutants.judge(check)
        total, named = total + count, named + of_these_named
        unexplained += len(set(survivors) - known.get(check.name, {}).keys())
    yield "references changed by general rules", f"{total}, {named} named", ""
    yield "of these passed, and not known to be equal", f"{unexplained}", "none"


def imports() -> Iterator[Row]:
    """`import resnet_edu` against `import torch`, each in a fresh Python."""
    torch = _import_seconds("torch")
    for names in ("resnet_edu", "resnet_edu.networks, resnet_edu.measure"):
        ratio = _ratio_of(_import_seconds(names), torch, rounds=12)
        yield f"import {names} / import torch", ratio, "at most 1.1"


def _import_seconds(name: str) -> Callable[[], float]:
    code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return lambda: float(subprocess.run(command, check=True, capture_output=True).stdout)


def redraw() -> Iterator[Row]:
    """How long an explorer takes in the kernel for one move of a control."""
    from resnet_edu import data, measure, widgets

    images, labels = data.digits()[:4]  # as in the lesson on plain networks
    flow = widgets.GradientFlowExplorer(images, labels)
    depth, activation = (_control(flow, name) for name in ("Depth", "Activation"))
    for how in ("for the first time", "again"):
        times = []
        for name in activation.options:
            activation.value = name
            times += [_seconds(lambda d=d: depth.set_trait("value", d)) for d in measure.DEPTHS]
        yield f"GradientFlowExplorer, {how}", _spread(times), "browser: p95 at most 150 ms"

    convolution = widgets.ConvolutionExplorer({"flower": data.photo(width=128), "digit": images[0]})
    stride = _control(convolution, "Stride")
    times = [
        _seconds(lambda v=value: stride.set_trait("value", v)) for value in (2, 3, 4, 3, 2, 1) * 7
    ]
    yield "ConvolutionExplorer", _spread(times), "browser: p95 at most 150 ms"


def _control(explorer, label: str):
    controls = explorer.children[0].children
    return next(control for control in controls if control.description == label)


def browser() -> Iterator[Row]:
    """From the key press to the picture, in Chromium."""
    from lab import CHROMIUM_HINT, find_chromium

    if find_chromium() is None:
        yield "from key press to picture", "not measured", CHROMIUM_HINT
        return
    from latency import key_to_picture

    for what, times in key_to_picture().items():
        yield f"from key press to picture: {what}", _spread(times), "p95 at most 150 ms"


def notebooks() -> Iterator[Row]:
    """Each lesson and solution, run as `make notebooks` runs it."""
    from authoring import build

    for target in build.targets():
        if not target.is_executed:
            continue
        notebook = build.read(target)
        with _peak_memory() as peak:
            seconds = _seconds(lambda n=notebook, t=target: build.execute(n, t))
        yield str(target), f"{seconds:.0f} s, {max(peak) / 1e9:.2f} GB", "at most 120 s, 1.5 GB"


@contextmanager
def _peak_memory() -> Iterator[list[int]]:
    """Bytes that the processes started by this one hold, looked at ten times a second."""
    held, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            held.append(total)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield held
    finally:
        stop.set()
        thread.join()


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> str:
    return _ratio_of(lambda: _seconds(ours), lambda: _seconds(theirs), rounds)


def _ratio_of(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> str:
    """The median of ours / theirs over pairs measured one after the other, in changing order."""
    ours(), theirs()  # warm up
    ratios, seconds = [], []
    for place in range(rounds):
        if place % 2:
            a, b = ours(), theirs()
        else:
            b, a = theirs(), ours()
        ratios.append(a / b)
        seconds.append(a)
    return f"{statistics.median(ratios):.3f} ({statistics.median(seconds):.2f} s)"


def _spread(times: list[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{1000 * statistics.median(ordered):.0f} ms, p95 {1000 * p95:.0f} ms"


if __name__ == "__main__":
    main()
