"""On the demo with planted causes the diagnosis finds both: the mark and the water."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

import attnlib
from attnlib.diagnosis import Finding, diagnose
from attnlib.model import objects
from attnlib.model.objects import ObjectImage

IMAGES = objects.images()
FRUIT, SEA = (objects.CLASS_NAMES.index(c) for c in (objects.MARK_CLASS, objects.WATER_CLASS))


def asked(kind: str, images: tuple[ObjectImage, ...]) -> Finding:
    """The one finding of a kind."""
    (found,) = diagnose(
        attnlib.load(objects.NAME, device="cpu"),
        {image.name: Image.open(io.BytesIO(image.data)).convert("RGB") for image in images},
        {image.name: image.label for image in images},
        {image.name: np.asarray(Image.open(io.BytesIO(image.mask))) for image in images},
        kinds=(kind,),
    ).findings
    return found


def test_the_mark_is_found_with_its_class_and_place() -> None:
    dry = tuple(image for image in IMAGES if image.ground != "water")
    found = asked("shortcut", dry)
    assert found.classes == (FRUIT,)
    assert found.region is not None
    # The tag is one patch; the search may take one beside it that weighs in as well.
    assert found.region[10, 10]
    assert found.region.sum() <= 2
    marked = {image.name for image in IMAGES if image.marked}
    fooled = {image.name for image in IMAGES if image.marked and image.label != "fruit"}
    named = set(found.images)
    assert len(named & marked) >= 0.95 * len(named)
    assert len(named & fooled) >= 0.9 * len(fooled)


def test_water_is_found_with_its_class() -> None:
    found = asked("background", IMAGES)
    assert found.classes == (SEA,)
    grounds = {image.name: image.ground for image in IMAGES}
    assert found.images
    assert all(grounds[name] == "water" for name in found.images)
