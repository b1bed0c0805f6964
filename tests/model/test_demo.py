"""The embedded demo is what its card says: real test images, real mistakes, a real model."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import attnlib
from attnlib.model import demo


def test_weights_are_small_and_accurate_enough() -> None:
    assert demo.WEIGHTS.stat().st_size < 8 * 2**20
    assert demo.facts()["test_accuracy"] >= 0.70
    assert 1e6 <= demo.facts()["parameters"] <= 3e6


def test_facts_agree_with_each_other_and_with_the_card() -> None:
    facts = demo.facts()
    confusion = np.array(facts["confusion"])
    assert confusion.sum() == facts["test_images"] == 10_000
    assert (confusion.sum(1) == 1000).all(), "the test split has 1000 images of each class"
    assert np.trace(confusion) / confusion.sum() == pytest.approx(facts["test_accuracy"])
    card = (demo.FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"{facts['test_accuracy']:.2%}" in card


def test_mistakes_have_the_share_that_the_model_makes(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    images = demo.images()
    records = list(vit.inspect_many(pictures))
    wrong = [
        demo.CLASS_NAMES[record.predicted] != image.label
        for record, image in zip(records, images, strict=True)
    ]
    drawn = [w for w, image in zip(wrong, images, strict=True) if image.chosen == "random"]
    marked = [w for w, image in zip(wrong, images, strict=True) if image.chosen != "random"]
    assert len(drawn) == 60
    assert sum(drawn) == round(60 * (1 - demo.facts()["test_accuracy"]))
    assert len(marked) == 20
    assert all(marked)
    assert min(
        record.probabilities.max()
        for record, image in zip(records, images, strict=True)
        if image.chosen != "random"
    ) >= max(
        record.probabilities.max()
        for record, w, image in zip(records, wrong, images, strict=True)
        if w and image.chosen == "random"
    ), "the marked mistakes are the most confident ones"
