"""Two audits of two models on one set: what the second repairs and breaks, in all and by slice."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from attnlib.audit.groups import CUTS, SIDES
from attnlib.audit.opened import Opened
from attnlib.audit.where import CLASS, FOLDER, PROPERTIES, cut, end
from attnlib.errors import AttnlibError
from attnlib.evaluation.paired import mcnemar

LEVEL = 0.05
STILL_RIGHT, BROKEN, FIXED, STILL_WRONG = "still right", "broken", "fixed", "still wrong"
CATEGORIES = (BROKEN, FIXED, STILL_WRONG, STILL_RIGHT)
# By what a model was asked, not by what it answered: that changes from one to the other.
BY = tuple(name for name in PROPERTIES if not name.startswith("attention"))
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """Some images between two models.

    Attributes:
        by, value: which; of all images "all" and "".
        p_value: McNemar's exact test, two-sided.
        q_value: false discovery rate over all groups of the same kind (classes, folders,
            properties); ``p_value`` for all.
    """

    by: str
    value: str
    images: int
    fixed: int
    broken: int
    both_wrong: int
    p_value: float
    q_value: float

    @property
    def regresses(self) -> bool:
        """More is broken than fixed, and not by chance."""
        return self.broken > self.fixed and self.q_value <= LEVEL

    @property
    def still_right(self) -> int:
        """Images that both models know."""
        return self.images - self.fixed - self.broken - self.both_wrong

    @property
    def words(self) -> str:
        """Which images: a class by its name alone."""
        if self.by == "all":
            return "all images"
        return self.value if self.by == CLASS else f"{self.by} {self.value}"


@dataclass(frozen=True)
class Compared:
    """What became of the images that both audits have.

    Attributes:
        all: of all images.
        groups: by true class, folder and property, those that changed most surely first.
        alone: images that only one of them has, or of which one knows no label.
        table: ``name``, ``label``, ``first``, ``second`` (predictions), ``category``, and what
            groups are by: ``folder`` and the properties.
    """

    all: Group
    groups: tuple[Group, ...]
    alone: int
    table: pd.DataFrame

    @property
    def regressions(self) -> list[Group]:
        """The groups that got worse, all images among them."""
        return [one for one in (self.all, *self.groups) if one.regresses]

    def of(self, group: Group, category: str = "") -> pd.DataFrame:
        """The rows of a group, in order of their names.

        Args:
            category: of :data:`CATEGORIES`; "" for any.
        """
        found = self.table[_mask(self.table, group.by, group.value)]
        return found[found["category"] == category] if category else found


def compare(first: Opened, second: Opened) -> Compared:
    """Join two audits by the images' names.

    Raises:
        AttnlibError: they share no labelled image, or give an image different labels.
    """
    one, two = first.judged(), second.judged()
    both = one.merge(two, on="name", suffixes=("", "_then"), how="inner")
    if both.empty:
        raise AttnlibError(
            "The two audits share no labelled image: names are paths within the source, so both "
            "must be of the same source."
        )
    strange = both[both["label"] != both["label_then"]]
    if len(strange):
        name = strange.iloc[0]
        raise AttnlibError(
            f"The audits give {len(strange)} images different labels, {name['name']!r} for one "
            f"({name['label']!r} and {name['label_then']!r})."
        )
    before, after = both["wrong"].to_numpy(bool), both["wrong_then"].to_numpy(bool)
    names = np.array([STILL_RIGHT, BROKEN, FIXED, STILL_WRONG])
    table = pd.DataFrame(
        {
            "name": both["name"],
            "label": both["label"],
            "first": both["predicted"],
            "second": both["predicted_then"],
            "category": names[2 * before + after],
            FOLDER: both[FOLDER],
            # One of them may be of a version that did not measure.
            **{by: both[by].fillna(both[f"{by}_then"]) for by in BY},
        }
    )
    groups = [
        group
        for kind in (_listed(table, "label", CLASS), _listed(table, FOLDER, FOLDER), _ends(table))
        for group in _adjusted([_group(*key, mask, before, after) for key, mask in kind.items()])
    ]
    groups.sort(key=lambda group: (group.p_value, group.by, group.value))
    everything = _group("all", "", np.ones(len(table), bool), before, after)
    return Compared(everything, tuple(groups), len(one) + len(two) - 2 * len(both), table)


def _listed(table: pd.DataFrame, column: str, by: str) -> dict[tuple[str, str], Mask]:
    """Folders that are the labels, or one folder, are no groups of their own."""
    if by == FOLDER and (table[FOLDER].nunique() < 2 or (table[FOLDER] == table["label"]).all()):
        return {}
    found = {}
    for value, places in table.groupby(column).indices.items():
        mask = np.zeros(len(table), bool)
        mask[places] = True
        found[by, str(value)] = mask
    return found


def _ends(table: pd.DataFrame) -> dict[tuple[str, str], Mask]:
    """Both ends of each property, cut as for slices; of those that are not all images."""
    found = {}
    for by in BY:
        known = table[by][np.isfinite(table[by])]
        for side, share in zip(SIDES, CUTS, strict=True) if len(known) else ():
            value = end(side, float(known.quantile(share)))
            mask = _mask(table, by, value)
            if 0 < mask.sum() < len(table):
                found[by, value] = mask
    return found


def _mask(table: pd.DataFrame, by: str, value: str) -> Mask:
    """Which rows are in a group."""
    if by == "all":
        return np.ones(len(table), bool)
    if by in (CLASS, FOLDER):
        return np.asarray(table["label" if by == CLASS else by] == value, bool)
    side, number = cut(value) or ("", math.nan)
    return np.asarray(table[by] <= number if side == "at most" else table[by] >= number, bool)


def _adjusted(groups: list[Group]) -> list[Group]:
    if not groups:
        return []
    rates = stats.false_discovery_control([group.p_value for group in groups])
    return [replace(group, q_value=float(q)) for group, q in zip(groups, rates, strict=True)]


def _group(by: str, value: str, mask: Mask, before: Mask, after: Mask) -> Group:
    before, after = before[mask], after[mask]
    fixed, broken = int((before & ~after).sum()), int((~before & after).sum())
    p = mcnemar(fixed, broken)
    return Group(by, value, len(before), fixed, broken, int((before & after).sum()), p, p)
