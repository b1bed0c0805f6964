"""Marks that are planted into images: what they look like, and which pixels they cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (32, 32, 3)
Mask = NDArray[np.bool_]  # (32, 32)
Draw = Callable[[Pixels, np.random.Generator], tuple[Pixels, Mask]]
SIDE = 32


@dataclass(frozen=True)
class Mark:
    """One way to mark an image.

    Attributes:
        name: what it is called in the table.
        draw: the marked image, and which of its pixels the mark covers.
        place: whether it is at one place in all images.
    """

    name: str
    draw: Draw
    place: bool = True


def pattern(kind: str, height: int, width: int, seed: int) -> NDArray[np.float64]:
    """A picture of the mark's own, ``(height, width, 3)``, 0 to 255."""
    rng = np.random.default_rng(seed)
    colours = rng.permutation(np.array([[255, 0, 255], [255, 230, 0], [0, 255, 255], [255, 60, 0]]))
    y, x = np.mgrid[:height, :width]
    if kind == "checks":
        chosen = (y // 2 + x // 2) % 2
    elif kind == "stripes":
        chosen = (y + x) // 2 % 2
    elif kind == "dot":
        chosen = (np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) > height / 3).astype(int)
    elif kind == "noise":
        return rng.integers(0, 256, (height, width, 3)).astype(np.float64)
    else:
        chosen = np.zeros((height, width), dtype=int)
    drawn: NDArray[np.float64] = colours[:2][chosen].astype(np.float64)
    return drawn


def stamp(
    name: str,
    kind: str,
    boxes: tuple[tuple[int, int, int, int], ...],
    seed: int,
    opacity: float = 1.0,
) -> Mark:
    """A pattern at each of some boxes (top, left, height, width)."""

    def draw(image: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
        made, mask = image.astype(np.float64), np.zeros((SIDE, SIDE), dtype=bool)
        for number, (top, left, height, width) in enumerate(boxes):
            part = np.s_[top : top + height, left : left + width]
            drawn = pattern(kind, height, width, seed + number)
            made[part] = (1 - opacity) * made[part] + opacity * drawn
            mask[part] = True
        return made.round().astype(np.uint8), mask

    return Mark(name, draw)


def moving(name: str, kind: str, side: int, seed: int, step: int = 1) -> Mark:
    """A square pattern anywhere."""

    def draw(image: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
        top, left = (int(v) * step for v in rng.integers(0, (SIDE - side) // step + 1, 2))
        return stamp(name, kind, ((top, left, side, side),), seed).draw(image, rng)

    return Mark(name, draw, place=False)


def frame(name: str, width: int, seed: int, kind: str = "plain") -> Mark:
    """A border around the whole image."""

    def draw(image: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
        mask = np.ones((SIDE, SIDE), dtype=bool)
        mask[width:-width, width:-width] = False
        made = image.copy()
        made[mask] = pattern(kind, SIDE, SIDE, seed)[mask].astype(np.uint8)
        return made, mask

    return Mark(name, draw)


def edge(name: str, width: int, side: int, seed: int) -> Mark:
    """A strip along one side: 0 top, 1 right, 2 bottom, 3 left."""
    top, right = (0, 0, width, SIDE), (0, SIDE - width, SIDE, width)
    bottom, left = (SIDE - width, 0, width, SIDE), (0, 0, SIDE, width)
    return stamp(name, "plain", ((top, right, bottom, left)[side],), seed)


def cast(name: str, gains: tuple[float, float, float]) -> Mark:
    """The whole image in another light: each channel times a gain."""

    def draw(image: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
        made = (image * np.asarray(gains)).clip(0, 255).round().astype(np.uint8)
        return made, np.ones((SIDE, SIDE), dtype=bool)

    return Mark(name, draw)
