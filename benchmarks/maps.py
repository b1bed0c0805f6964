"""How faithful every method's maps are on the demo: deletion and insertion, beside the baselines.

    python -m benchmarks.maps               # prints the table; --write puts it into README.md

All 80 images of the demo, the predicted class, 16 steps. A low deletion and a high insertion are
good. The ruler has a replacement of its own: a method that replaces pixels by the same (integrated
gradients, RISE and occlusion take one as an option) is measured with its own ruler, so each method
is measured with both.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict

import numpy as np

import attnlib
from attnlib.data.image import decode
from attnlib.evaluation import faithfulness
from attnlib.methods import METHODS, Subject
from attnlib.methods.perturbation import Replacement
from attnlib.model import demo
from benchmarks.capture import show

RULERS: tuple[Replacement, ...] = ("blur", "zero")


def measure() -> dict[str, tuple[float, dict[str, tuple[float, float]]]]:
    """Method -> median milliseconds, and for each ruler the mean deletion and insertion."""
    vit = attnlib.load("demo", device="cpu")
    areas: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    for image in demo.images():
        picture = decode(image.data)
        pixels = vit.pixels(picture)
        predicted = vit.inspect(picture, rollout=False).predicted
        heats = []
        for name, method in METHODS.items():
            if "against" in method.options:
                continue
            start = time.perf_counter()
            heats.append(vit.explain(Subject(vit, pixels), name, predicted))
            times[name].append(time.perf_counter() - start)
        for ruler in RULERS:
            found = faithfulness.evaluate(
                vit, pixels, heats, [predicted], replacement=ruler, draws=1
            )
            for entry in found.methods:
                pair = (float(entry.deletion.auc[0]), float(entry.insertion.auc[0]))
                areas[entry.method, ruler].append(pair)
    return {
        name: (
            1000 * statistics.median(taken),
            {ruler: tuple(np.mean(areas[name, ruler], axis=0).tolist()) for ruler in RULERS},
        )
        for name, taken in times.items()
    }


def table() -> str:
    """The measured table, in Markdown, the most faithful first."""
    rulers = " | ".join(f"deletion, {r} | insertion, {r}" for r in RULERS)
    lines = [f"| method | {rulers} | ms |", "|---|" + "---:|" * (2 * len(RULERS) + 1)]
    found = measure()
    for name in sorted(found, key=lambda name: -_gain(found[name][1])):
        taken, areas = found[name]
        cells = " | ".join(f"{number:.3f}" for ruler in RULERS for number in areas[ruler])
        mark = " ¹" if METHODS[name].patented else ""
        lines.append(f"| {METHODS[name].title}{mark} | {cells} | {taken:.1f} |")
    return "\n".join([*lines, "", "¹ under patent: free for personal and scientific use only."])


def _gain(areas: dict[str, tuple[float, float]]) -> float:
    return sum(insertion - deletion for deletion, insertion in areas.values())


def main() -> None:
    show("maps", table, __doc__)


if __name__ == "__main__":
    main()
