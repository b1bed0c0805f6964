"""Where maps lie on the demo's exact masks, beside the maps that know nothing of the image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import attnlib
from attnlib.model import objects

COUNT = 12


@pytest.fixture(scope="module")
def found() -> dict[str, NDArray[np.float64]]:
    """By method ``(n, 2)``: mass on the object, and whether the highest patch is on it.

    Counted pixel by pixel, of pictures without a trap that the model has right.
    """
    vit = attnlib.load(objects.NAME, device="cpu")
    usual = [i for i in objects.images() if not i.marked and i.ground != objects.WATER]
    pictures = [Image.open(io.BytesIO(image.data)).convert("RGB") for image in usual]
    right = [
        (image, picture)
        for image, picture, record in zip(usual, pictures, vit.inspect_many(pictures), strict=True)
        if vit.class_names[record.predicted] == image.label
    ][:COUNT]
    assert len(right) == COUNT
    measured = {}
    for method in ("relevance", "raw", "centre", "random"):
        rows = []
        for image, picture in right:
            mask = np.asarray(Image.open(io.BytesIO(image.mask)), dtype=bool)
            heat = np.maximum(vit.attribute(picture, method=method).values, 0)
            drawn = heat.repeat(8, axis=0).repeat(8, axis=1)
            top = drawn == drawn.max()
            rows.append((drawn[mask].sum() / drawn.sum(), mask[top].mean()))
        measured[method] = np.array(rows)
    return measured


@pytest.mark.parametrize("method", ["relevance", "raw"])
def test_maps_beat_chance_and_the_middle_of_the_picture(
    found: dict[str, NDArray[np.float64]], method: str
) -> None:
    mass, pointing = found[method].mean(axis=0)
    for blind in ("centre", "random"):
        blind_mass, blind_pointing = found[blind].mean(axis=0)
        assert mass > blind_mass + 0.2
        assert pointing > blind_pointing + 0.1
