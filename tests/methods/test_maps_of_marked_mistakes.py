"""What “How to read a map” says of the true class's map, on the demo with a planted mark."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import attnlib
from attnlib.methods import METHODS
from attnlib.model import objects
from attnlib.model.objects import ObjectImage

FRUIT = objects.CLASS_NAMES.index(objects.MARK_CLASS)
FOOLED = [one for one in objects.images() if one.marked and one.label != objects.MARK_CLASS]


@pytest.fixture(scope="module")
def vit() -> attnlib.Vit:
    return attnlib.load(objects.NAME, device="cpu")


def on_top(vit: attnlib.Vit, image: ObjectImage, method: str, target: int, **options: int) -> bool:
    """Whether the largest value of a map stands at the mark."""
    picture = Image.open(io.BytesIO(image.data)).convert("RGB")
    values = np.asarray(vit.attribute(picture, method, target, **options).values)
    return bool(values.argmax() == np.ravel_multi_index(objects.MARK_PATCH, values.shape))


def test_relevance_has_the_mark_on_top_in_most_maps_of_the_true_class_too(vit) -> None:  # type: ignore[no-untyped-def]
    true = [objects.CLASS_NAMES.index(one.label) for one in FOOLED]
    assert all(on_top(vit, one, "relevance", FRUIT) for one in FOOLED)
    hits = [on_top(vit, one, "relevance", t) for one, t in zip(FOOLED, true, strict=True)]
    assert len(FOOLED) / 2 < sum(hits) < len(FOOLED)


@pytest.mark.parametrize("name", ["integrated_relevance_contrast", "integrated_contrast"])
def test_a_contrast_has_it_on_top_for_the_mistake(vit, name: str) -> None:  # type: ignore[no-untyped-def]
    for one in FOOLED:
        true = objects.CLASS_NAMES.index(one.label)
        assert on_top(vit, one, name, FRUIT, against=true), one.name
        if METHODS[name].signed:
            assert not on_top(vit, one, name, true, against=FRUIT), one.name
