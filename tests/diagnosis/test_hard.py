"""Images that every model gets wrong, beside separate errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor

import attnlib
from attnlib.diagnosis import Examined, examine
from attnlib.diagnosis.hard import hard
from attnlib.errors import AttnlibError
from tests.diagnosis.planted import demo_images, demo_labels
from tests.diagnosis.readers import reader


def examined(vit: attnlib.Vit, wrong: list[int]) -> Examined:
    """The demo's examination with labels, and predictions that are wrong at some places."""
    found = examine(vit, demo_images(40))
    labels = np.arange(40) % 10
    records = []
    for place, record in enumerate(found.records):
        said = (labels[place] + (place in wrong)) % 10
        values = np.full(10, 0.05, np.float32)
        values[said] = 0.55 if place % 2 else 0.5
        records.append(replace(record, probabilities=values))
    return replace(found, records=tuple(records), labels=labels)


def test_common_mistakes_are_found_with_what_chance_would_give(vit: attnlib.Vit) -> None:
    one, two = examined(vit, [1, 2, 5, 7, 9, 30]), examined(vit, [1, 2, 5, 7, 9, 20])
    found = hard([one, two])
    assert found is not None
    assert set(found.images) == set(one.named([1, 2, 5, 7, 9]))
    assert found.mistakes == 5
    assert found.threshold == pytest.approx(6 / 40 * 6 / 40)
    assert "1 of 6 mistakes" in found.evidence_against[0].sentence
    assert "On 5 of them" in found.evidence[0].sentence


def test_separate_mistakes_are_no_finding(vit: attnlib.Vit) -> None:
    one, two = examined(vit, list(range(10))), examined(vit, list(range(8, 20)))
    assert hard([one, two]) is None
    assert hard([examined(vit, [1]), examined(vit, [2])]) is None


def test_a_model_beside_itself(vit: attnlib.Vit) -> None:
    def same(pixels: Tensor) -> Tensor:
        return pixels.new_zeros(len(pixels), 10)

    images, labels = demo_images(), demo_labels()
    both = [examine(one, images, labels) for one in (vit, reader(vit, same, trust=1.0))]
    found = hard(both)
    assert found is not None
    assert found.mistakes == int(both[0].wrong.sum())
    given = [
        both[0].probabilities[both[0].names.index(n), both[0].labels[both[0].names.index(n)]]
        for n in found.images
    ]
    assert given == sorted(given), "the least likely labels come first"


def test_sets_that_differ_are_refused(vit: attnlib.Vit) -> None:
    one = examined(vit, [1])
    with pytest.raises(AttnlibError, match="two models or more"):
        hard([one])
    with pytest.raises(AttnlibError, match="different images or labels"):
        hard([one, replace(one, labels=one.labels[::-1].copy())])
