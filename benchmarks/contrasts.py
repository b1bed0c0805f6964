"""Which contrast has the cause on the right side: models whose mistakes rest on a planted mark.

    python -m benchmarks.contrasts       # prints the table; --write puts it into README.md

The models and images of tests/methods/test_contrast.py, eight trainings of them: a mark comes with
class 0 in training, and in the test it turns images of other classes into class 0. What speaks for
the mistake is the mark.
"""

from __future__ import annotations

import numpy as np
import torch

import attnlib
from attnlib.methods import METHODS, Subject
from benchmarks.capture import show
from tests.methods.test_contrast import COLS, PATCH, ROWS, images, trained

SEEDS = range(2, 10)
CONTRASTS = (
    "contrast",
    "integrated_relevance_contrast",
    "integrated_contrast",
    "attnlrp_contrast",
)
Shares = dict[str, tuple[list[float], list[float], list[float]]]


def of_training(seed: int) -> tuple[int, Shares]:
    """Mistakes; for each contrast whether the mark is on top, whether it is below 0, and whether it
    is on top of the map with the classes exchanged, which should show anything else."""
    labels = 1 + torch.arange(240) % 2
    generator = torch.Generator().manual_seed(100 + seed)
    pixels, places = images(labels, torch.ones(240), generator)
    size = (ROWS * PATCH, COLS * PATCH)
    vit = attnlib.load(
        trained(seed), transform=lambda image: torch.zeros(3, *size), img_size=size, device="cpu"
    )
    found: Shares = {name: ([], [], []) for name in CONTRASTS}
    records = vit.inspect_pixels(pixels, rollout=False)
    mistakes = [i for i, record in enumerate(records) if record.predicted == 0]
    for i in mistakes:
        subject, mark = Subject(vit, pixels[i : i + 1]), int(places[i, 1])
        true = int(labels[i])
        for name, (top, below, turned) in found.items():
            compute = METHODS[name].compute
            values = compute(subject, 0, against=true).detach()
            other = compute(subject, true, against=0).detach()
            top.append(float(int(values.argmax()) == mark))
            below.append(float(values[mark] < 0))
            turned.append(float(int(other.argmax()) == mark))
    return len(mistakes), found


def table() -> str:
    """The measured table, in Markdown."""
    trainings = [of_training(seed) for seed in SEEDS]
    lines = [
        "| contrast | mark on top | worst training | mark drawn for the true class "
        "| on top for the true class |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in CONTRASTS:
        tops = [found[name][0] for _, found in trainings]
        below = [value for _, found in trainings for value in found[name][1]]
        turned = np.mean([value for _, found in trainings for value in found[name][2]])
        every = np.mean([value for top in tops for value in top])
        worst = min(np.mean(top) for top in tops)
        shown = f"{np.mean(below):.1%}" if METHODS[name].signed else "no sign"
        lines.append(
            f"| {METHODS[name].title} | {every:.1%} | {worst:.1%} | {shown} | {turned:.1%} |"
        )
    total = sum(count for count, _ in trainings)
    return "\n".join([*lines, "", f"{total:,} mistakes of {len(SEEDS)} trainings."])


def main() -> None:
    show("contrasts", table, __doc__)


if __name__ == "__main__":
    main()
