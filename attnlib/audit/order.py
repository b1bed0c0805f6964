"""Which predictions to look at, in which order, and which images are like one.

The functions return positions in the given table, so that whatever else is kept per image
(thumbnails, embeddings) can be looked up by the same number.
"""

from collections.abc import Collection, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnlib.audit.likeness import Likeness
from attnlib.audit.prediction import Outcome

SortKey = Literal["confidence", "margin", "loss", "lead", "probability_true", "entropy", "image"]


def order(table: pd.DataFrame, by: SortKey = "confidence", descending: bool = True) -> list[int]:
    """Positions of all predictions: wrong ones, then unlabelled, then right ones.

    Each group is sorted by the key; equals keep the order given. Unlabelled predictions have
    no loss and keep it too. Names come in the order of the alphabet.

    Raises:
        ValueError: the key is unknown.
    """
    if by not in get_args(SortKey):
        raise ValueError(f"unknown sort key {by!r}; known: {', '.join(get_args(SortKey))}")
    keys = table[by].fillna(0.0).to_numpy()
    if by == "image":
        # Names rank by their place in the alphabet, from its beginning.
        keys = -np.unique(keys.astype(str), return_inverse=True)[1]
    # The last key of lexsort sorts first, and its sort keeps the order of equals.
    ranked = np.lexsort((-keys if descending else keys, table["outcome"].cat.codes.to_numpy()))
    return [int(position) for position in ranked]


def select(
    table: pd.DataFrame,
    true: Collection[int] | None = None,
    predicted: Collection[int] | None = None,
    only: Outcome | Literal["all"] = "all",
) -> list[int]:
    """Positions of the predictions that meet every condition, in the order given.

    Args:
        true: the classes of which one is a label; an unlabelled prediction has none. None: any.
        predicted: the classes of which one is predicted. None: any.
        only: keep one outcome.

    Raises:
        ValueError: `only` is unknown.
    """
    if only not in ("all", *get_args(Outcome)):
        raise ValueError(f"unknown outcome {only!r}; known: all, {', '.join(get_args(Outcome))}")
    kept = np.ones(len(table), dtype=bool)
    if only != "all":
        kept &= (table["outcome"] == only).to_numpy()
    if true is not None:
        kept &= of_classes(table, "true", true)
    if predicted is not None:
        kept &= of_classes(table, "predicted", predicted)
    return [int(position) for position in np.flatnonzero(kept)]


def of_classes(
    table: pd.DataFrame, side: Literal["true", "predicted"], classes: Collection[int]
) -> NDArray[np.bool_]:
    """Where one of the classes is true, or predicted: ``(n,)``."""
    if f"{side}_set" not in table:
        return table[side].isin(list(classes)).to_numpy(dtype=bool, na_value=False)
    wanted = set(classes)
    sets = table[f"{side}_set"]
    return np.array([isinstance(s, frozenset) and not wanted.isdisjoint(s) for s in sets], bool)


def nearest(
    embeddings: NDArray[np.floating], query: int, candidates: Sequence[int], k: int
) -> list[tuple[int, float]]:
    """The k candidates most like the query, as (position, cosine similarity), best first.

    The query itself is left out, equals come by position, and a zero vector is like nothing
    (similarity 0).

    Args:
        embeddings: `(n, D)`.
        query: row of the image that is compared.
        candidates: rows that it is compared with; repeated ones count once.
    """
    rows = sorted(set(candidates) - {query})
    if not rows or k < 1:
        return []
    alike = Likeness(embeddings[[query, *rows]])
    return [(rows[i - 1], share) for i, share in alike.nearest(0, range(1, len(rows) + 1), k)]
