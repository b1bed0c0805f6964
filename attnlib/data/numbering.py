"""Numbers as labels: which class a folder called "7", or a 7 in a table, stands for.

Three rules are in use, and they disagree: from ten folders on, text order is not the order of the
numbers, and counting may begin at one. None of them can be told from the numbers alone, so the
rule that was used is always named beside the labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

Rule = Literal["index", "text", "natural"]

TITLE: Final[Mapping[Rule, str]] = {
    "index": "the number is the index of the class, from 0",
    "text": "in text order (1, 10, 2), as torchvision's ImageFolder sorts folders",
    "natural": "in the order of the numbers (1, 2, 10), as timm's reader sorts folders",
}
# pandas writes "1.0" for whole numbers where a cell of the column is empty. Nine digits: int()
# refuses thousands of them.
_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0{0,9})?", re.ASCII)


def number(text: str) -> int | None:
    """The whole number that a label is written as, or None."""
    found = _NUMBER.fullmatch(text.strip())
    return int(found[1]) if found else None


def readings(
    texts: Iterable[str], classes: int, *, folders: bool
) -> Mapping[Rule, Mapping[str, int]]:
    """What each of the rules that can be applied makes of numbers: text -> class index.

    The orders need all numbers of the training set: those at hand if there is one for each class,
    else 0 to C - 1 or, where none is 0, 1 to C. The index leaves out numbers that are no class.

    Args:
        texts: labels that are numbers (see :func:`number`).
        classes: C, how many classes the model has.
        folders: whether they are names of folders. In a table there is no text order, and
            the order of the numbers means that they count from 1.
    """
    values = {text: value for text in texts if (value := number(text)) is not None}
    found: dict[Rule, Mapping[str, int]] = {
        "index": {text: value for text, value in values.items() if value < classes}
    }
    every = _all(values, classes, folders)
    if every is not None:
        if folders:
            found["text"] = _places(values, sorted(every))
        found["natural"] = _places(values, sorted(every, key=lambda text: (every[text], text)))
    return found


def chosen(
    found: Mapping[Rule, Mapping[str, int]], texts: Iterable[str], asked: Rule | None
) -> Rule:
    """The rule to use: the one asked for, else the index if every number is one, else the order.

    For folders that is torchvision's text order, which most trainings use.
    """
    if asked is not None and asked in found:
        return asked
    if len(found["index"]) == len(set(texts)):
        return "index"
    return next((rule for rule in ("text", "natural") if rule in found), "index")


def different(found: Mapping[Rule, Mapping[str, int]]) -> tuple[Rule, ...]:
    """The rules that give different labels; one alone where all agree."""
    seen: list[Mapping[str, int]] = []
    rules: list[Rule] = []
    for rule, reading in found.items():
        if reading not in seen:
            seen.append(reading)
            rules.append(rule)
    return tuple(rules)


def _all(values: Mapping[str, int], classes: int, folders: bool) -> Mapping[str, int] | None:
    """The numbers of the whole training set, as written, or None where nothing tells them."""
    if folders and len(values) == classes:
        return values
    first = 0 if 0 in values.values() else 1
    if not values or max(values.values()) >= classes + first or (first == 0 and not folders):
        return None
    # "007" and "012": the others are padded alike.
    padded = any(text.startswith("0") and text != "0" for text in values)
    width = max(map(len, values)) if padded else 0
    return {str(n).zfill(width): n for n in range(first, classes + first)}


def _places(values: Mapping[str, int], order: list[str]) -> Mapping[str, int]:
    """Text -> its place in the order; by its number where it is written otherwise (1.0 for 1)."""
    place = {text: index for index, text in enumerate(order)}
    by_number = {number(text): index for index, text in enumerate(order)}
    found = {text: place.get(text, by_number.get(value)) for text, value in values.items()}
    return {text: index for text, index in found.items() if index is not None}
