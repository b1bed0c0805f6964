"""On the demo with planted causes the diagnosis finds both: the mark and the water."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import attnlib
from attnlib.diagnosis import Finding, Report, diagnose
from attnlib.model import objects

ALL = objects.images()
# With more strangers on water their class is searched for marks too, which takes half a minute.
STRANGERS = [i for i in ALL if i.ground == objects.WATER and i.label != objects.WATER_CLASS][3:]
IMAGES = tuple(image for image in ALL if image not in STRANGERS)
FRUIT, SEA = (objects.CLASS_NAMES.index(c) for c in (objects.MARK_CLASS, objects.WATER_CLASS))


# What amends the set for later finders, and the two that are planted.
KINDS = ("class-names", "shortcut", "label-noise", "background")


@pytest.fixture(scope="module")
def report() -> Report:
    """All causes looked for together: what one explains must not hide the other."""
    return diagnose(
        attnlib.load(objects.NAME, device="cpu"),
        {image.name: Image.open(io.BytesIO(image.data)).convert("RGB") for image in IMAGES},
        {image.name: image.label for image in IMAGES},
        {image.name: np.asarray(Image.open(io.BytesIO(image.mask))) for image in IMAGES},
        kinds=KINDS,
    )


def only(report: Report, kind: str) -> Finding:
    """The one finding of a kind."""
    (found,) = (finding for finding in report.findings if finding.kind == kind)
    return found


def test_the_mark_is_found_with_its_class_and_place(report: Report) -> None:
    found = only(report, "shortcut")
    assert found.classes == (FRUIT,)
    assert found.region is not None
    # The tag is one patch; the search may take one beside it that weighs in as well.
    assert found.region[objects.MARK_PATCH]
    assert found.region.sum() <= 2
    marked = {image.name for image in IMAGES if image.marked}
    fooled = {image.name for image in IMAGES if image.marked and image.label != "fruit"}
    named = set(found.images)
    assert len(named & marked) >= 0.95 * len(named)
    assert len(named & fooled) >= 0.9 * len(fooled)


def test_water_is_found_with_its_class(report: Report) -> None:
    found = only(report, "background")
    assert found.classes == (SEA,)
    grounds = {image.name: image.ground for image in IMAGES}
    assert found.images
    assert all(grounds[name] == "water" for name in found.images)
