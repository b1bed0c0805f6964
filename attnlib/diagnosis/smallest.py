"""The smallest set of patches that turns a prediction, as far as a search can tell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnlib.diagnosis.editing import StandIn, probabilities, reference
from attnlib.errors import AttnlibError
from attnlib.methods import perturbation
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

Masks = NDArray[np.bool_]
# After the first step, so many of the patches that had the most effect alone are looked at.
CANDIDATES = 48
# All sets of a size are tried as long as these are so many in all.
BUDGET = 2500


@dataclass(frozen=True, eq=False)
class Smallest:
    """What a search found.

    Attributes:
        region: ``(rows, cols)`` bool, the patches to replace; None if none was found.
        before, after: ``(C,)``, probabilities without and with them replaced (as before if none).
        passes: how many sets of patches were tried.
        exact: whether every smaller set was tried (every set, if none was found), so that none
            turns the prediction. Otherwise no patch of the region can be left out, and a smaller
            set of others may exist.
    """

    region: Masks | None
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    passes: int
    exact: bool

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        if self.region is None:
            none = "No set of patches that turns the prediction"
            if self.exact:
                return f"{none} is there: all {self.passes} of the sizes asked for were tried."
            return f"{none} was found in {self.passes} tries; there may be one."
        count = int(self.region.sum())
        patches = "1 patch turns" if count == 1 else f"{count} patches turn"
        if self.exact:
            less = "" if count == 1 else ", and no smaller set does"
            return f"{patches} the prediction{less} ({self.passes} sets were tried)."
        return (
            f"{patches} the prediction: the smallest set found in {self.passes} tries. None of "
            "them can be left out; a smaller set of others may exist."
        )


def smallest(
    vit: Vit,
    pixels: Tensor,
    stand_in: StandIn = "blur",
    *,
    target: int | None = None,
    other: Tensor | None = None,
    most: int | None = None,
    progress: Progress | None = None,
) -> Smallest:
    """Search for few patches whose replacement turns the prediction.

    All single patches are tried, all pairs and so on as far as they are few, then the best is
    added step by step; in the end patches that are not needed are put back.

    Args:
        pixels: ``(1, C, h, w)``.
        stand_in, other: as in :func:`attnlib.diagnosis.editing.edit`.
        target: the class that the prediction shall become, for a repair; any other one if None.
        most: patches at most; a half of all if None.
        progress: called with (sets tried, about how many there may be); what it raises ends it.

    Raises:
        AttnlibError: there is no such class, or it is the one predicted already.
    """
    vit = vit.fitting(pixels)
    search = _Search(vit, pixels, reference(pixels, stand_in, other), target, progress)
    count = vit.layout.patches
    most = min(most or max(1, count // 2), count)
    size, order = 0, np.arange(count)
    chosen = np.zeros(count, dtype=bool)
    while size < most and (not size or search.passes + comb(count, size + 1) <= BUDGET):
        size += 1
        tried = _all(count, size)
        gained = search.ask(tried)
        chosen = tried[int(gained.argmax())]
        if gained.max() > 0:
            return search.result(chosen, exact=True)
        if size == 1:
            order = np.argsort(-gained, kind="stable")
    whole = size
    while int(chosen.sum()) < most:
        free = order[~chosen[order]][:CANDIDATES]
        tried = np.repeat(chosen[None], len(free), axis=0)
        tried[np.arange(len(free)), free] = True
        gained = search.ask(tried)
        chosen = tried[int(gained.argmax())]
        if gained.max() > 0:
            chosen = _without_needless(search, chosen)
            return search.result(chosen, exact=int(chosen.sum()) == whole + 1)
    return search.result(None, exact=whole == most)


def _all(count: int, size: int) -> Masks:
    """``(P, count)``: every set of so many patches."""
    places = np.array(list(combinations(range(count), size)))
    found = np.zeros((len(places), count), dtype=bool)
    found[np.arange(len(places))[:, None], places] = True
    return found


def _without_needless(search: _Search, chosen: Masks) -> Masks:
    """Put patches back as long as the prediction stays turned."""
    while int(chosen.sum()) > 1:
        places = np.flatnonzero(chosen)
        tried = np.repeat(chosen[None], len(places), axis=0)
        tried[np.arange(len(places)), places] = False
        gained = search.ask(tried)
        if gained.max() <= 0:
            return chosen
        chosen = tried[int(gained.argmax())]
    return chosen


class _Search:
    """One image, what stands in, and what is wanted; counts what is tried."""

    def __init__(
        self,
        vit: Vit,
        pixels: Tensor,
        stand_in: Tensor,
        target: int | None,
        progress: Progress | None,
    ) -> None:
        self.before = probabilities(vit, pixels)[0]
        self._class = int(self.before.argmax())
        if target is not None and not 0 <= target < len(self.before):
            raise AttnlibError(f"A class must be from 0 to {len(self.before) - 1}, not {target}.")
        if target == self._class:
            raise AttnlibError("This is the class that is predicted already.")
        self._vit, self._pixels, self._stand_in = vit, pixels, stand_in
        self._target, self._progress, self.passes = target, progress, 0

    def ask(self, masks: Masks) -> NDArray[np.float64]:
        """``(P,)`` of sets ``(P, N)``: how far the prediction is turned; turned above 0."""
        found = self._probabilities(masks)
        self.passes += len(masks)
        index = self._class if self._target is None else self._target
        own = found[:, index].copy()
        found[:, index] = -1
        rest = found.max(axis=1)
        return np.asarray(rest - own if self._target is None else own - rest)

    def result(self, chosen: Masks | None, *, exact: bool) -> Smallest:
        """What is handed back."""
        if chosen is None:
            return Smallest(None, self.before, self.before, self.passes, exact)
        after = self._probabilities(chosen[None])[0]
        region = chosen.reshape(self._vit.layout.grid)
        return Smallest(region, self.before, after, self.passes, exact)

    def _probabilities(self, masks: Masks) -> NDArray[np.float64]:
        """``(P, C)``, admitted batch by batch."""
        return perturbation.probabilities(
            self._vit,
            self._pixels,
            self._stand_in,
            masks.reshape(len(masks), *self._vit.layout.grid),
            range(len(self.before)),
            progress=self._step,
        )

    def _step(self, done: int, total: int) -> None:
        if self._progress is not None:
            # The steps after the exhaustive ones are not known ahead.
            self._progress(self.passes + done, max(2 * BUDGET, self.passes + total))
