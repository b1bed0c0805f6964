"""Where every method's maps lie on the second demo, whose objects have exact masks.

    python -m benchmarks.localisation       # prints the table; --write puts it into README.md

All images of the demo with a planted cause, the predicted class. A map that is on the object is
not a better explanation: this model reads the ground and the tag in places, and then a faithful
map lies beside the object.
"""

from __future__ import annotations

import io
from collections import defaultdict

import numpy as np
from PIL import Image

import attnlib
from attnlib.data.image import decode
from attnlib.evaluation.localisation import localise
from attnlib.methods import METHODS
from attnlib.model import objects
from benchmarks.capture import show


def measure() -> dict[str, tuple[float, float, float]]:
    """Method -> mean AUC, pointing game, and mass on the object."""
    vit = attnlib.load(objects.NAME, device="cpu")
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for image in objects.images():
        picture = decode(image.data)
        mask = np.asarray(Image.open(io.BytesIO(image.mask)), dtype=bool)
        subject, predicted = vit.subject(picture), vit.inspect(picture, rollout=False).predicted
        for name, method in METHODS.items():
            if "against" not in method.options:
                one = localise(vit.explain(subject, name, predicted).values, mask)
                found[name].append((one.auc, one.pointing, one.mass))
    return {name: tuple(np.nanmean(rows, axis=0).tolist()) for name, rows in found.items()}


def table() -> str:
    """The measured table, in Markdown, by AUC."""
    lines = ["| method | AUC | pointing game | mass on the object |", "|---|---:|---:|---:|"]
    found = measure()
    for name in sorted(found, key=lambda name: -found[name][0]):
        cells = " | ".join(f"{number:.3f}" for number in found[name])
        lines.append(f"| {METHODS[name].title} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    show("localisation", table, __doc__)


if __name__ == "__main__":
    main()
