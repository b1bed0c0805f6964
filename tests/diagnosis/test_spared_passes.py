"""What the search for shortcuts spares, and that it finds the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnlib.diagnosis.candidates import Search, _large, _moving
from attnlib.diagnosis.locating import compact, strongest
from attnlib.diagnosis.pasting import Inputs

Mask = NDArray[np.bool_]
GRID = (8, 8)
# Mistakes for class 0, of class 1; right images of class 0; right images of class 1.
WRONG, RIGHT, OTHER = range(6), range(6, 12), range(20, 50)


def windows(count: int) -> list[Mask]:
    """As many masks that can be told apart."""
    return [np.arange(64).reshape(GRID) == i for i in range(count)]


class Answering(Inputs):
    """Inputs whose answers are made, and which count what they are asked.

    Attributes:
        asked: every (source, host, mask).
    """

    def __init__(self, answer: Any) -> None:
        self.grid, self.tried = GRID, 0
        self.labels = np.where(np.isin(np.arange(50), RIGHT), 0, 1)
        self.answer = answer
        self.asked: list[tuple[int, int, Mask]] = []

    def pasted(self, triples: Sequence[tuple[int, int, Mask]]) -> NDArray[np.float64]:
        self.asked += triples
        return np.array([self.answer(*triple) for triple in triples], dtype=float)


def test_the_strongest_region_is_that_of_all_hosts() -> None:
    rng, spared = np.random.default_rng(0), 0
    masks = windows(9)
    for _ in range(300):
        hosts = range(int(rng.integers(2, 7)))
        leads = rng.normal(rng.normal(0, 2, (9, 1)), 1, (9, len(hosts)))

        def answer(source: int, host: int, mask: Mask, leads: Any = leads) -> tuple[float, float]:
            return leads[int(mask.ravel().argmax()), host], 0.0

        inputs = Answering(answer)
        best, flips = strongest(inputs, 0, hosts, masks, 0)
        often = (leads > 0).sum(axis=1)
        assert often[best] == often.max()
        assert round(flips * len(hosts)) == often.max()
        assert 0 < flips - often.max() / len(hosts) < 0.01
        assert inputs.tried == len(masks)
        spared += len(masks) * len(hosts) - len(inputs.asked)
        # Among those that do it equally often and were tried in all, the surest.
        tried = [
            i
            for i in range(9)
            if sum((m == masks[i]).all() for *_, m in inputs.asked) == len(hosts)
        ]
        equal = [i for i in tried if often[i] == often.max()]
        assert best == max(equal, key=lambda i: leads[i].mean())
    assert spared > 1000


SEARCH = Search(0, (*WRONG, *RIGHT), tuple(WRONG), tuple(OTHER))


def marked(source: int) -> int:
    """The patch where the mark of an image is, another one in each."""
    return 5 * source


def sources(inputs: Answering) -> set[int]:
    """Of which images parts were cut out."""
    return {source for source, _, _ in inputs.asked}


def test_right_images_are_cut_up_only_where_erasing_repairs_mistakes() -> None:
    def answer(source: int, host: int, mask: Mask, erasable: bool) -> tuple[float, float]:
        chosen = mask.ravel()
        if host in WRONG:
            return 0.0, 1.0 if erasable and chosen[marked(host)] else -1.0
        return 0.0, -1.0 if source not in OTHER and chosen[marked(source)] else 1.0

    inputs = Answering(lambda *asked: answer(*asked, erasable=True))
    (one,) = _moving(inputs, SEARCH, [])
    assert set(one.marked) == {*WRONG, *RIGHT}
    assert all(one.masks[place].ravel()[marked(place)] for place in one.marked)

    inputs = Answering(lambda *asked: answer(*asked, erasable=False))
    assert not list(_moving(inputs, SEARCH, []))
    assert set(WRONG) <= sources(inputs) and not sources(inputs) & set(RIGHT)


def test_parts_that_are_known_are_not_cut_out_again() -> None:
    def answer(source: int, host: int, mask: Mask) -> tuple[float, float]:
        if host in WRONG:
            return 0.0, 1.0
        return 0.0, -1.0 if source not in OTHER and mask.ravel()[marked(source)] else 1.0

    fresh = Answering(answer)
    known = compact(fresh, list(WRONG), SEARCH.few, 0)
    again, anew = Answering(answer), Answering(answer)
    (one,), (other,) = _moving(again, SEARCH, known), _moving(anew, SEARCH, [])
    assert one.marked == other.marked
    assert len(anew.asked) - len(again.asked) == len(fresh.asked)


def test_frames_that_make_nothing_are_not_compared_with_right_images() -> None:
    edge = np.zeros(GRID, dtype=bool)
    edge[:, -1] = True

    def answer(source: int, host: int, mask: Mask) -> tuple[float, float]:
        return 0.0, -1.0 if source in (*WRONG, *RIGHT) and mask[edge].all() else 1.0

    # So few that no pixels are compared.
    few = Search(0, (*WRONG[:4], *RIGHT), tuple(WRONG[:4]), tuple(OTHER))
    inputs = Answering(answer)
    (one,) = _large(inputs, few, few.wrong)
    assert one.form == "strip along the right"
    plain = [mask for source, _, mask in inputs.asked if source in OTHER]
    assert plain and all(mask[edge].all() for mask in plain)

    inputs = Answering(lambda *asked: (0.0, 1.0))
    assert not list(_large(inputs, few, few.wrong))
    assert sources(inputs) == set(few.wrong)
