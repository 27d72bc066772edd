"""The report of a fine-tuning: one HTML file that holds all its pictures and asks nobody for anything."""

from __future__ import annotations

import base64
import io
import math
import shlex
from collections.abc import Iterable
from html import escape

import numpy as np
from PIL import Image

from resnet_edu import draw, files
from resnet_edu.data.photos import Skipped
from resnet_edu.finetune.result import Mistake, Result
from resnet_edu.page import page

STYLE = """
.accuracy { font-size: 3.5rem; font-weight: 700; line-height: 1.1; margin: 1rem 0 0; }
.chart { display: block; max-width: 100%; height: auto; background: #fff; }
@media (prefers-color-scheme: dark) { .chart { filter: invert(0.92) hue-rotate(180deg); } }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: .75rem; background: var(--card); border-radius: .5rem; }
figure div { display: flex; gap: .5rem; }
figure img { width: calc(50% - .25rem); border-radius: .25rem; }
figcaption { margin-top: .5rem; overflow-wrap: anywhere; }
pre { background: var(--card); padding: .75rem 1rem; border-radius: .5rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
"""


def write(result: Result) -> None:
    """Write the report of `result` to `result.report`, whole or not at all."""
    sections = (_accuracy, _curve, _confusion, _mistakes, _skipped, _use, _settings)
    content = "\n".join(section(result) for section in sections)
    html = page(f"Fine-tuned on {_name(result)}", content, STYLE)
    files.put(html.encode(errors="replace"), result.report)


def interval(right: int, of: int) -> tuple[float, float]:
    """The range, 0 to 1, in which a share lies with 95% certainty, of which `right` in `of` were seen.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    z, share = 1.96, right / of
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    reach = z / (1 + z**2 / of) * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    return middle - reach, middle + reach


def _accuracy(result: Result) -> str:
    right, of = int(result.confusion.trace()), int(result.confusion.sum())
    low, high = interval(right, of)
    most_frequent = result.confusion.sum(1).max() / of
    return f"""<p class="accuracy">{result.accuracy:.1%}</p>
<p>of the photos of validation are right: {right:,} of {of:,}. Whoever always names the most frequent
class is right in {most_frequent:.0%}.</p>
<p class="quiet">{of:,} photos say that the accuracy lies between {low:.0%} and {high:.0%}. On new photos it
can be a little lower: of the states of the training, the one that did best on these was kept.</p>"""


def _curve(result: Result) -> str:
    picture = draw.finetuning_curve(result.history, result.step)
    return f"<h2>The training</h2>\n{_chart(picture)}"


def _confusion(result: Result) -> str:
    picture = draw.confusion_matrix(result.confusion, result.classifier.classes)
    return f'<h2>Who was taken for whom</h2>\n<div class="scroll">{_chart(picture)}</div>'


def _mistakes(result: Result) -> str:
    wrong = int(result.confusion.sum() - result.confusion.trace())
    if not wrong:
        return "<h2>Mistakes</h2>\n<p>There are none: every photo of validation is right.</p>"
    title = "All mistakes, the most confident first"
    if len(result.mistakes) < wrong:
        title = f"The {len(result.mistakes)} most confident of {wrong:,} mistakes"
    figures = "\n".join(_figure(mistake) for mistake in result.mistakes)
    return f"""<h2>{title}</h2>
<p class="quiet">Each photo as the network gets it, and beside it Grad-CAM of {result.layer}: it is bright
where the network sees the class that it names, and all dark where it sees nothing of it. Some of these
photos may lie in the wrong folder.</p>
<div class="mistakes">
{figures}
</div>"""


def _figure(mistake: Mistake) -> str:
    seen = f"A photo of {mistake.true}"
    where = f"Where the network sees {mistake.taken_for}"
    heat = draw.over_image(mistake.image, mistake.heat)
    images = _image(mistake.image, seen) + _image(heat, where)
    return f"""<figure><div>{images}</div><figcaption>
Is <b>{escape(mistake.true)}</b>, taken for <b>{escape(mistake.taken_for)}</b> ({mistake.probability:.0%})
<br><span class="quiet">{escape(mistake.path.name)}</span></figcaption></figure>"""


def _skipped(result: Result) -> str:
    if not result.photos.skipped:
        return (
            "<h2>What was not used</h2>\n<p>Nothing: every file is a photo that could be read.</p>"
        )
    rows = _table((_inside(result, skipped), skipped.reason) for skipped in result.photos.skipped)
    return f"<h2>What was not used, and why</h2>\n{rows}"


def _use(result: Result) -> str:
    model = shlex.quote(str(result.model_file))
    return f"""<h2>Use it</h2>
<pre>{escape(f"resnet-edu predict {model} PHOTO ...")}</pre>
<p class="quiet">The model file is all that this needs. Beside it lie files for going on after a break;
they can be deleted now.</p>"""


def _settings(result: Result) -> str:
    freeze, recipe, classifier = result.freeze or "none", result.recipe, result.classifier
    command = (
        f"resnet-edu finetune {shlex.quote(str(result.photos.path))} "
        f"--weights {shlex.quote(result.weights)} --freeze {freeze} "
        f"--out {shlex.quote(str(result.report.parent))}"
    )
    side = classifier.preparation.side
    rates = "".join(f", times {f:.2g} for {name}" for name, f in recipe.rates.items())
    rows = {
        "weights at first": result.weights,
        "frozen up to": freeze,
        "photos trained on": f"{len(result.photos.train):,}",
        "photos of validation": f"{len(result.photos.validation):,}"
        + (", drawn by chance from each class" if result.photos.drawn else ""),
        "classes": ", ".join(classifier.classes),
        "input": f"{side} x {side} pixels, prepared as for {classifier.preparation.name}",
        "training": f"{recipe.steps:,} steps of {recipe.batch_size} photos, in {result.history.precision}; "
        f"momentum {recipe.momentum}, weight decay {recipe.weight_decay}",
        "learning rate": f"up to {recipe.learning_rate:.2g}, then down again{rates}",
        "kept": f"the state after step {result.step}, the best on the photos of validation",
    }
    return f"<h2>How it was made</h2>\n<pre>{escape(command)}</pre>\n{_table(rows.items())}"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows
    )
    return f'<div class="scroll"><table>\n{cells}\n</table></div>'


def _inside(result: Result, skipped: Skipped) -> str:
    return str(skipped.path.relative_to(result.photos.path))


def _name(result: Result) -> str:
    return result.photos.path.resolve().name


def _chart(picture: draw.Picture) -> str:
    return f'<img class="chart" src="{_uri("png", picture.png)}" alt="{escape(picture.words)}">'


def _image(image: np.ndarray, alt: str) -> str:
    """An image (3, H, W) in 0..1 as an <img>."""
    pixels = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="jpeg", quality=90)
    return f'<img src="{_uri("jpeg", buffer.getvalue())}" alt="{escape(alt)}">'


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
