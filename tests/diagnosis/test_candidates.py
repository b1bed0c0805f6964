"""Which images have a mark or a cast: told on answers and pixels that are made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from attnlib.diagnosis.candidates import CHECKS, Candidate, Search, _confirmed, completed
from attnlib.diagnosis.casts import _told_apart
from tests.diagnosis.planted import demo_images

LARGE = np.ones((4, 4), dtype=bool)
SMALL = np.zeros((4, 4), dtype=bool)
SMALL[0, 0] = True
SEARCH = Search(0, (), (), tuple(range(100, 140)))


def answering(leads: dict[int, float]) -> Any:
    """Inputs whose class 0 leads by so much where a part of each source is pasted."""

    def pasted(triples: list[tuple[int, int, Any]]) -> np.ndarray:
        return np.array([[leads[source], 0.0] for source, _, _ in triples])

    def flips(sources: list[int], hosts: Any, masks: Any, target: int) -> np.ndarray:
        return np.array([[float(leads[source] > 0)] for source in sources])

    return SimpleNamespace(pasted=pasted, flips=flips)


def test_a_part_needs_the_lead_of_most_others_and_more_where_it_is_larger() -> None:
    leads = {1: 5.0, 2: 5.0, 3: 5.0, 4: 5.0, 5: 2.9, 6: 3.1, 7: 4.0, 8: 4.4, 9: -1.0}
    masks = {place: LARGE if place in (7, 8) else SMALL for place in leads}
    # The middle lead is 4.4: 60 % of it are 2.64, and 85 % are 3.74.
    assert _confirmed(answering(leads), SEARCH, list(leads), masks) == {1, 2, 3, 4, 5, 6, 7, 8}
    leads |= {5: 2.5, 7: 3.6}
    assert _confirmed(answering(leads), SEARCH, list(leads), masks) == {1, 2, 3, 4, 6, 8}


def test_further_images_are_not_those_of_the_search() -> None:
    assert len(SEARCH.more) == CHECKS
    assert not set(SEARCH.more) & set(SEARCH.few)
    few = Search(0, (), (), (1, 2, 3))
    assert few.more == (1, 2, 3)


def test_images_of_other_predictions_join_where_their_place_makes_the_class_as_surely() -> None:
    leads = {1: 5.0, 2: 5.0, 3: 5.0, 11: 4.0, 12: 1.0, 13: -2.0}
    one = Candidate(0, "place", (1, 2, 3), dict.fromkeys((1, 2, 3), SMALL), SMALL)
    found = completed(answering(leads), SEARCH, one, [11, 12, 13])
    assert found.marked == (1, 2, 3, 11)
    assert set(found.masks) == {1, 2, 3, 11}


def test_a_cast_is_told_by_colours_among_all_images() -> None:
    pixels = np.stack([np.asarray(image, dtype=float) for image in demo_images().values()])
    warm = np.arange(len(pixels)) % 5 == 0
    pixels[warm] = (pixels[warm] * (1.3, 1.0, 0.6)).clip(0, 255)
    inputs: Any = SimpleNamespace(pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2))
    known, others = np.flatnonzero(warm)[:10], np.flatnonzero(~warm)[:40]
    odds = _told_apart(inputs, known.tolist(), others.tolist(), range(len(pixels)))
    found = odds > 0
    assert (found & warm).sum() >= 0.75 * warm.sum()
    assert (found & warm).sum() >= 0.75 * found.sum()
    # Among images of which they are a half, the odds are the same but for the rarity of a tenth.
    even = _told_apart(inputs, known.tolist(), others.tolist(), range(20))
    np.testing.assert_allclose(even - odds[:20], np.log(70 / 10), rtol=1e-6)
