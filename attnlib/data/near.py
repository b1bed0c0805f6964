"""Names of classes that labels nearly spell: what to offer, never what to apply."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attnlib.data.text import loose

# Of 1: "cats" and "cat" have 0.86, "aeroplane" and "airplane" 0.82, "car" and "cat" 0.67.
LEAST: Final = 0.8
# So many names are compared letter by letter with each label: those that share most pairs.
_TRIED: Final = 12


def near(labels: Iterable[str], class_names: Sequence[str]) -> Mapping[str, int]:
    """The one class whose name, or a synonym between commas, each label nearly spells.

    Case, spaces, underscores and hyphens count for nothing. A label that is as near to two
    classes, or to none, has no entry, and of two labels that are near to one class neither: they
    mean two classes.

    Returns:
        Label -> class index.
    """
    spellings: dict[str, set[int]] = defaultdict(set)
    for index, name in enumerate(class_names):
        for synonym in name.split(","):
            if spelled := loose(synonym):
                spellings[spelled].add(index)
    by_pair: dict[str, list[str]] = defaultdict(list)
    for spelled in spellings:
        for pair in _pairs(spelled):
            by_pair[pair].append(spelled)
    found = {}
    for label in dict.fromkeys(labels):
        spelled = loose(label)
        shared = Counter(name for pair in _pairs(spelled) for name in by_pair[pair])
        likeness: dict[int, float] = defaultdict(float)
        for name, _ in shared.most_common(_TRIED):
            ratio = difflib.SequenceMatcher(None, spelled, name).ratio()
            for index in spellings[name]:
                likeness[index] = max(likeness[index], ratio)
        best = max(likeness.values(), default=0.0)
        classes = [index for index, ratio in likeness.items() if ratio == best]
        if best >= LEAST and len(classes) == 1:
            found[label] = classes[0]
    claimed = Counter(found.values())
    return {label: index for label, index in found.items() if claimed[index] == 1}


def _pairs(text: str) -> set[str]:
    """Its pairs of neighbouring letters, with the ends as letters too."""
    ended = f"^{text}$"
    return {ended[place : place + 2] for place in range(len(ended) - 1)}
