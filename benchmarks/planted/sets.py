"""Sets of test images whose faults are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.planted.marks import SIDE, Mark

Images = NDArray[np.uint8]  # (n, 32, 32, 3)
Labels = NDArray[np.int64]  # (n,)
PATCH = 4
# Preparations that are wrong for the demo model; the factor; how much larger the images are, since
# an image of the model's own size is not resized.
FAULTS: Mapping[str, tuple[dict[str, Any], str, int]] = {
    "blue first": ({"channels": "BGR"}, "channels", 1),
    "0 to 255": ({"mean": 0.0, "std": 1 / 255}, "scale", 1),
    "not normalised": ({"mean": 0.0, "std": 1.0}, "statistics", 1),
    "mean and std of 0.5": ({"mean": 0.5, "std": 0.5}, "statistics", 1),
    "crop of a half": ({"crop_pct": 0.5}, "crop", 1),
    "crop of 0.7": ({"crop_pct": 0.7}, "crop", 3),
    "nearest neighbour": ({"interpolation": "nearest"}, "interpolation", 5),
}


@dataclass(frozen=True)
class Drawn:
    """Test images with what was done to them.

    Attributes:
        marked: ``(n,)`` which images have the mark, or a changed label.
        covered: ``(8, 8)`` the patches that the mark covers in any of them.
    """

    images: Images
    labels: Labels
    marked: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    covered: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))

    def pictures(self, scale: int = 1) -> dict[str, Image.Image]:
        """By name, ``scale`` times as large."""
        side = (SIDE * scale, SIDE * scale)
        return {
            f"{place:04d}": Image.fromarray(image).resize(side, Image.Resampling.BICUBIC)
            for place, image in enumerate(self.images)
        }

    def given(self) -> dict[str, int]:
        """Labels by name."""
        return {f"{place:04d}": int(label) for place, label in enumerate(self.labels)}

    def chosen(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        """``(n,)``: which images some names are."""
        made = np.zeros(len(self.labels), dtype=bool)
        made[[int(name) for name in names]] = True
        return made


def clean(images: Images, labels: Labels, count: int, seed: int) -> Drawn:
    """Some of the test images."""
    chosen = np.random.default_rng(seed).permutation(len(labels))[:count]
    return Drawn(images[chosen].copy(), labels[chosen].copy())


def marked(drawn: Drawn, mark: Mark, seed: int, share: float = 0.15) -> Drawn:
    """The same with a mark in some, whatever their class."""
    rng = np.random.default_rng(seed)
    chosen = rng.random(len(drawn.labels)) < share
    images = drawn.images.copy()
    covered = np.zeros((SIDE, SIDE), dtype=bool)
    for place in np.flatnonzero(chosen):
        images[place], mask = mark.draw(images[place], rng)
        covered |= mask
    side = SIDE // PATCH
    patches = covered.reshape(side, PATCH, side, PATCH).any(axis=(1, 3))
    return Drawn(images, drawn.labels, np.asarray(chosen), np.asarray(patches))


def mislabelled(drawn: Drawn, true: int, labelled: int, share: float, seed: int) -> Drawn:
    """The same with some images of one class labelled as another."""
    draws = np.random.default_rng(seed).random(len(drawn.labels))
    chosen = np.where(drawn.labels == true, draws, 1.0) < share
    return Drawn(drawn.images, np.where(chosen, labelled, drawn.labels), chosen)


def exchanged(names: tuple[str, ...], how: str, seed: int) -> list[str]:
    """The names of classes, two exchanged, three in a ring, or all shifted by one."""
    rng, order = np.random.default_rng(seed), np.arange(len(names))
    if how == "shift":
        order = np.roll(order, 1)
    else:
        some = rng.permutation(len(names))[: 2 if how == "swap" else 3]
        order[some] = order[np.roll(some, 1)]
    return [names[i] for i in order]
