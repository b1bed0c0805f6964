"""How often maps that know nothing are believed: python -m benchmarks.belief [--images 40].

Two kinds of maps of nothing, smooth noise and the maps of another image, against two controls:
random orders of the patches, and the maps themselves moved to random places
(`attnlib.evaluation.belief`). Both controls at 5 % for an image, corrected by Holm for all maps.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter
from torch import Tensor

import attnlib
from attnlib.data.image import decode
from attnlib.evaluation import faithfulness
from attnlib.evaluation.belief import believe, chance, holm
from attnlib.methods import METHODS, Heat
from attnlib.model import demo

NAMES = [name for name, method in METHODS.items() if method.compared and name != "random"]


def against_orders(vit: attnlib.Vit, pixels: Tensor, heats: list[Heat], target: int) -> bool:
    """Whether any map beats random orders in deletion or insertion."""
    found = faithfulness.evaluate(vit, pixels, heats, [target])
    areas = found.random_deletion.auc[:, 0]
    down = chance(-np.array([entry.deletion.auc[0] for entry in found.methods]), -areas)
    up = chance(np.array([entry.insertion.auc[0] for entry in found.methods]), areas)
    return bool(holm(np.concatenate([down, up]))[1].any())


def main() -> None:
    """Print how many images have a believed map, for each kind of map and control."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    count = parser.parse_args().images
    vit, random = attnlib.load("demo"), np.random.default_rng(1)
    listed = demo.images()
    every = len(listed) // count
    found: dict[str, list[tuple[bool, bool]]] = {"noise": [], "another image": [], "own": []}
    before: list[Heat] = []
    for image in listed[:: max(1, every)][:count]:
        picture = decode(image.data)
        subject, target = vit.subject(picture), vit.inspect(picture).predicted
        own = [
            vit.explain(subject, name, target if METHODS[name].class_specific else None)
            for name in NAMES
        ]
        noise = [
            replace(
                heat,
                values=gaussian_filter(random.standard_normal(heat.values.shape), 1.5).astype(
                    np.float32
                ),
            )
            for heat in own
        ]
        for name, heats in (("noise", noise), ("another image", before), ("own", own)):
            if heats:
                orders = against_orders(vit, subject.pixels, heats, target)
                moved = believe(vit, subject.pixels, heats, target).best is not None
                found[name].append((orders, moved))
        before = own
    for name, hits in found.items():
        orders, moved = np.sum(hits, axis=0)
        print(f"{name}: of {len(hits)} images, random orders {orders}, moved maps {moved}")


if __name__ == "__main__":
    main()
