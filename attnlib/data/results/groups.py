"""Columns that belong together: one for each class, each number of a vector, each place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from attnlib.data.results.roles import NAMES
from attnlib.data.text import loose

_SHARES: Final = re.compile(
    r"(probability|probabilities|probs?|proba|p|pred[ _]?probs?|softmax|scores?|logits?)"
    r"(?:[ _.-]|: ?|(\[))(.+?)(?(2)\]|)",
    re.IGNORECASE,
)
_VECTOR: Final = re.compile(
    r"(embeddings?|emb|features?|feat|vector|vec|dim)[ _.\[-]*([0-9]{1,6})\]?", re.IGNORECASE
)
_PLACE: Final = re.compile(
    r"(?:top[ _-]?([0-9]{1,3})(?:[ _-]+([a-z]+))?|(pred|class|label|prob|score|conf)[ _-]?"
    r"([0-9]{1,3}))",
    re.IGNORECASE,
)
_SHARE_WORDS: Final = ("prob", "score", "conf", "p")
# What stands behind "probability" and is no class, unless a class is known to be called so.
NO_CLASS: Final = {"true", "value", "of the true class", "predicted", "max"}


def compact(name: str) -> str:
    """A header as it is compared: see :data:`attnlib.data.results.roles.NAMES`."""
    return loose(name).replace(".", "")


def per_class(
    columns: Iterable[str], classes: Collection[str]
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Columns of numbers, one for each class: why -> (columns, class texts).

    Args:
        columns: those that hold numbers.
        classes: texts that are known to be classes: the model's, and those in other columns.
    """
    known = {loose(text) for text in classes}
    known |= {loose(text.split(",")[0]) for text in classes}
    scalar = {name for tiers in NAMES.values() for tier in tiers for name in tier}
    by_prefix: dict[str, list[tuple[str, str]]] = defaultdict(list)
    named: list[tuple[str, str]] = []
    numbers: list[tuple[str, str]] = []
    for column in columns:
        found = _SHARES.fullmatch(column.strip())
        if found and (found[3] not in NO_CLASS or loose(found[3]) in known):
            by_prefix[found[1].casefold()].append((column, found[3]))
        elif loose(column) in known and compact(column) not in scalar:
            named.append((column, column.strip()))
        elif column.strip().isascii() and column.strip().isdecimal():
            numbers.append((column, column.strip()))
    options = {f"columns that begin with “{prefix}”": pairs for prefix, pairs in by_prefix.items()}
    options["columns that are called like classes"] = named
    options["columns that are numbered"] = numbers
    return {
        why: (tuple(column for column, _ in pairs), tuple(text for _, text in pairs))
        for why, pairs in options.items()
        if len(pairs) > 1
    }


def vector(columns: Iterable[str]) -> tuple[str, ...]:
    """Columns that are the numbers of one vector, in their order; none if one is missing."""
    found: dict[int, str] = {}
    for column in columns:
        match = _VECTOR.fullmatch(column.strip())
        if match:
            found[int(match[2])] = column
    first = min(found, default=0)
    whole = (
        len(found) > 1 and first in (0, 1) and set(found) == set(range(first, first + len(found)))
    )
    return tuple(found[place] for place in sorted(found)) if whole else ()


def places(columns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns of the likeliest classes and of their probabilities, first the likeliest."""
    classes: dict[int, str] = {}
    shares: dict[int, str] = {}
    for column in columns:
        match = _PLACE.fullmatch(column.strip())
        if match is None:
            continue
        place = int(match[1] or match[4])
        word = (match[2] or match[3] or "").casefold()
        (shares if word.startswith(_SHARE_WORDS) and word != "pred" else classes)[place] = column
    same = sorted(classes)
    if len(same) < 2 or set(shares) - set(classes):
        return (), ()
    return tuple(classes[p] for p in same), tuple(shares[p] for p in same if p in shares)
