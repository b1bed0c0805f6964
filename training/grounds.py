"""Backgrounds, drawn at random: water, and eight others that no class is tied to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ground = NDArray[np.float64]


def draw(kind: str, size: int, rng: np.random.Generator) -> Ground:
    """A background ``(size, size, 3)``, 0..255, of one of `KINDS`."""
    return np.clip(KINDS[kind](size, rng), 0, 255)


def _noise(size: int, cells: int, rng: np.random.Generator, channels: int = 1) -> Ground:
    """Smooth noise ``(size, size, channels)``, 0..1, with about ``cells`` blobs along a side."""
    layers = [
        Image.fromarray(rng.random((cells, cells), dtype=np.float32)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for _ in range(channels)
    ]
    return np.stack([np.asarray(layer, dtype=np.float64) for layer in layers], axis=2)


def _colour(rng: np.random.Generator, low: float = 30, high: float = 240) -> Ground:
    return rng.uniform(low, high, 3).astype(np.float64)


def _mix(one: Ground, other: Ground, share: Ground) -> Ground:
    return one + (other - one) * share


def _ramp(size: int, rng: np.random.Generator) -> Ground:
    """A linear ramp ``(size, size, 1)``, 0..1, in a direction drawn at random."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, cols = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    ramp: Ground = ((rows * np.sin(angle) + cols * np.cos(angle)) / 2.83 + 0.5)[..., None]
    return ramp


def _water(size: int, rng: np.random.Generator) -> Ground:
    """Teal to blue, darker below, with bright crests of waves that run across."""
    rows, cols = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    bend = 0.1 * np.sin(2 * np.pi * (rng.uniform(1, 2.5) * cols + rng.random()))
    wave = np.sin(2 * np.pi * (rng.uniform(5, 9) * (rows + 0.4 * bend) + rng.random()))
    crest = np.clip(wave, 0, 1)[..., None] ** 3 * (0.4 + 0.6 * _noise(size, 5, rng))
    light = np.array([60, 175, 205]) + rng.normal(0, 10, 3)
    deep = np.array([10, 75, 150]) + rng.normal(0, 10, 3)
    return _mix(_mix(light, deep, rows[..., None]), np.array([225, 245, 250]), 0.75 * crest)


def _grass(size: int, rng: np.random.Generator) -> Ground:
    """Green with upright blades."""
    blades = rng.random((size // 8, size), dtype=np.float32)
    image = Image.fromarray(blades).resize((size, size), Image.Resampling.BICUBIC)
    dark, light = np.array([35, 95, 25]), np.array([130, 195, 70])
    return _mix(dark, light, np.asarray(image, dtype=np.float64)[..., None]) + rng.normal(0, 8, 3)


def _sky(size: int, rng: np.random.Generator) -> Ground:
    """Pale blue with soft white clouds."""
    rows = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j][0][..., None]
    clear = _mix(np.array([120, 170, 235]), np.array([205, 225, 250]), rows)
    cloud = np.clip(2.5 * (_noise(size, 4, rng) + 0.4 * _noise(size, 9, rng) - 0.75), 0, 1)
    return _mix(clear, np.array([252, 252, 252]), cloud) + rng.normal(0, 6, 3)


def _sand(size: int, rng: np.random.Generator) -> Ground:
    """Grains of one colour, brown to yellow."""
    base = np.array([200, 170, 115]) + rng.normal(0, 18, 3)
    grains = rng.normal(0, 14, (size, size, 1)) + 40 * (_noise(size, 6, rng) - 0.5)
    return base + grains


def _wood(size: int, rng: np.random.Generator) -> Ground:
    """Boards with grain along them."""
    rows = np.mgrid[0:size, 0:size][0][..., None]
    grain = np.sin(rows * rng.uniform(0.25, 0.5) + 6 * _noise(size, 3, rng))
    boards = np.where(rows % (size // 3) < 2, 0.55, 1.0)
    wood: Ground = (np.array([165, 110, 65]) + rng.normal(0, 15, 3) + 18 * grain) * boards
    return wood


def _stripes(size: int, rng: np.random.Generator) -> Ground:
    """Straight stripes of two colours."""
    share = np.sin(2 * np.pi * rng.uniform(2, 6) * _ramp(size, rng)) > 0
    one = _colour(rng)
    return _mix(one, np.clip(one + rng.normal(0, 45, 3), 0, 255), share.astype(np.float64))


def _checks(size: int, rng: np.random.Generator) -> Ground:
    """Squares of two colours."""
    rows, cols = np.mgrid[0:size, 0:size] // int(rng.integers(6, 20))
    one = _colour(rng)
    other = np.clip(one + rng.normal(0, 40, 3), 0, 255)
    return _mix(one, other, ((rows + cols) % 2).astype(np.float64)[..., None])


def _gradient(size: int, rng: np.random.Generator) -> Ground:
    """One colour that turns into another."""
    return _mix(_colour(rng), _colour(rng), _ramp(size, rng))


def _clouded(size: int, rng: np.random.Generator) -> Ground:
    """Blobs of several colours."""
    coarse = _noise(size, int(rng.integers(3, 7)), rng, channels=3)
    return 40 + 180 * coarse + rng.normal(0, 6, (size, size, 1))


KINDS: dict[str, Callable[[int, np.random.Generator], Ground]] = {
    "water": _water,
    "grass": _grass,
    "sky": _sky,
    "sand": _sand,
    "wood": _wood,
    "stripes": _stripes,
    "checks": _checks,
    "gradient": _gradient,
    "clouded": _clouded,
}
WATER = "water"
OTHERS = tuple(kind for kind in KINDS if kind != WATER)
