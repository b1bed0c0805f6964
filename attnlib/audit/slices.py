"""Groups of images with a high error rate, found on one half of a set and tested on the other.

Whoever looks at many groups finds one with many mistakes by chance. So half of the images say
which groups are worth a look, the other half whether they hold (Fisher's exact test, with the
false discovery rate of Benjamini and Hochberg, J. R. Stat. Soc. B 57, 1995, over those tested).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from attnlib.audit.numbers import wilson

# Fewer images in a half tell nothing.
FEWEST = 5
# As many groups, the worst of the first half, are tested on the second.
TESTED = 50
LEVEL = 0.05
# A property that is a number is cut at these quantiles.
CUTS = (0.1, 0.25, 0.75, 0.9)


@dataclass(frozen=True)
class Slice:
    """A group of images.

    Attributes:
        by: what it is a group of, such as "label".
        value: which, such as "frog", or "at most 31".
        images, wrong: of the half that it was tested on.
        interval: of its error rate there, Wilson's 95 %.
        rest: the error rate of all other images there.
        p_value: Fisher's, one-sided, on that half.
        q_value: false discovery rate at which it is announced.
        tried: how many groups were looked at in the first half.
    """

    by: str
    value: str
    images: int
    wrong: int
    interval: tuple[float, float]
    rest: float
    p_value: float
    q_value: float
    tried: int

    @property
    def rate(self) -> float:
        """Its error rate on the half that it was tested on."""
        return self.wrong / self.images

    @property
    def sentence(self) -> str:
        """In words."""
        low, high = self.interval
        return (
            f"{self.by} {self.value}: {self.wrong} of {self.images} held-out images are wrong "
            f"({self.rate:.0%}, 95 %: {low:.0%} to {high:.0%}; all others {self.rest:.0%})."
        )


def groups(table: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """The groups that columns make: each value of a text, and the ends of a number."""
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for name in table.columns:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(dtype=float)
            known = values[~np.isnan(values)]
            if len(np.unique(known)) < 2:
                continue
            for share, cut in zip(CUTS, np.quantile(known, CUTS), strict=True):
                low = share < 0.5
                mask = values <= cut if low else values >= cut
                if not mask.all():
                    found[str(name), f"{'at most' if low else 'at least'} {cut:.4g}"] = mask
            continue
        codes, values_ = pd.factorize(column)
        for code, value in enumerate(values_):
            found[str(name), str(value)] = codes == code
    return found


def halves(names: pd.Series) -> NDArray[np.bool_]:
    """Which half each image is in, by its name: the same in every run and every audit."""
    digest = pd.util.hash_array(names.to_numpy(dtype=object))
    return np.asarray(digest % 2 == 0)


def slices(
    found: Mapping[tuple[str, str], NDArray[np.bool_]],
    wrong: NDArray[np.bool_],
    first: NDArray[np.bool_],
) -> list[Slice]:
    """The groups that fail, in the order of how surely.

    Args:
        found: ``(n,)`` masks by (what, which).
        wrong: ``(n,)``.
        first: ``(n,)``, which images are searched; the others test.
    """
    tried = {key: mask for key, mask in found.items() if (mask & first).sum() >= FEWEST}
    hopeful = sorted(
        (p, key) for key, mask in tried.items() if (p := _p(mask, wrong, first)) < LEVEL
    )[:TESTED]
    tested = [(key, _p(found[key], wrong, ~first)) for _, key in hopeful]
    kept = [(key, p) for key, p in tested if (found[key] & ~first).sum() >= FEWEST]
    if not kept:
        return []
    adjusted = stats.false_discovery_control([p for _, p in kept])
    result = []
    for (key, p), q in zip(kept, adjusted, strict=True):
        mask = found[key] & ~first
        rest = ~found[key] & ~first
        images, mistakes = int(mask.sum()), int((mask & wrong).sum())
        if q <= LEVEL:
            result.append(
                Slice(
                    *key,
                    images,
                    mistakes,
                    wilson(mistakes, images),
                    float(wrong[rest].mean()) if rest.any() else 0.0,
                    p,
                    float(q),
                    len(tried),
                )
            )
    return sorted(result, key=lambda one: one.p_value)


def _p(mask: NDArray[np.bool_], wrong: NDArray[np.bool_], half: NDArray[np.bool_]) -> float:
    """Fisher's exact test whether more of a group are wrong than of the others, in one half."""
    inside, total = mask & half, int(half.sum())
    mistakes = int((wrong & half).sum())
    # The upper tail of the hypergeometric distribution is Fisher's one-sided test.
    return float(
        stats.hypergeom.sf(int((wrong & inside).sum()) - 1, total, mistakes, int(inside.sum()))
    )
