"""Two audits of two models on one set: what the second repairs and breaks, in all and by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from attnlib.audit.opened import Opened
from attnlib.errors import AttnlibError
from attnlib.evaluation.paired import mcnemar

LEVEL = 0.05
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """Some images between two models.

    Attributes:
        by, value: which; of all images "all" and "".
        p_value: McNemar's exact test, two-sided.
        q_value: false discovery rate over all groups of the same kind; ``p_value`` for all.
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


@dataclass(frozen=True)
class Compared:
    """What became of the images that both audits have.

    Attributes:
        all: of all images.
        groups: by true class, those that changed most surely first.
        alone: images that only one of them has, or of which one knows no label.
        table: ``name``, ``label``, ``first``, ``second`` (predictions), ``category``.
    """

    all: Group
    groups: tuple[Group, ...]
    alone: int
    table: pd.DataFrame

    @property
    def regressions(self) -> list[Group]:
        """The groups that got worse, all images among them."""
        return [one for one in (self.all, *self.groups) if one.regresses]


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
    names = np.array(["still right", "broken", "fixed", "still wrong"])
    table = pd.DataFrame(
        {
            "name": both["name"],
            "label": both["label"],
            "first": both["predicted"],
            "second": both["predicted_then"],
            "category": names[2 * before + after],
        }
    )
    groups = [
        _group("class", str(label), before[places], after[places])
        for label, places in sorted(both.groupby("label").indices.items())
    ]
    adjusted = stats.false_discovery_control([group.p_value for group in groups])
    judged = [
        Group(**{**group.__dict__, "q_value": float(q)})
        for group, q in zip(groups, adjusted, strict=True)
    ]
    judged.sort(key=lambda group: (group.p_value, group.value))
    alone = len(one) + len(two) - 2 * len(both)
    return Compared(_group("all", "", before, after), tuple(judged), alone, table)


def _group(by: str, value: str, before: Mask, after: Mask) -> Group:
    fixed, broken = int((before & ~after).sum()), int((~before & after).sum())
    p = mcnemar(fixed, broken)
    return Group(by, value, len(before), fixed, broken, int((before & after).sum()), p, p)
