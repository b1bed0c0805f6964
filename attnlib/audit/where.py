"""Which rows of an audit are meant: what became of them, their classes, their groups."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from attnlib.errors import AttnlibError

Outcome = Literal["wrong", "right", "no label", "refused", "all"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
OUTCOME: dict[Outcome, str] = {
    "wrong": "error is null and label_index <> predicted_index",
    "right": "error is null and label_index = predicted_index",
    "no label": "error is null and label_index is null",
    "refused": "error is not null",
    "all": "true",
}
Sort = Literal["confidence", "loss", "margin", "probability_true", "name"]
SORTS: tuple[Sort, ...] = get_args(Sort)
# Columns of a page of rows.
SHOWN = (
    "name", "label", "predicted", "confidence", "probability_true", "margin", "loss", "error",
)  # fmt: skip
JUDGED = "error is null and label_index is not null"

Key = tuple[str, str]
"""What images are grouped by, and which of them are meant: ("brightness", "at most 0.21")."""
Group = tuple[Key, ...]
"""Images of which all of this is true."""

CLASS, PREDICTED, FOLDER = "true class", "predicted class", "folder"
HESITATES, CLUSTER = "undecided between", "cluster"
CATEGORIES = {
    CLASS: "label",
    PREDICTED: "predicted",
    FOLDER: "split_part(name, '/', 1)",
}
# Numbers of images: both ends of each are groups.
PROPERTIES = {
    "number of pixels": "width::double * height",
    "width over height": "width::double / height",
    "brightness": "brightness::double",
    "contrast": "contrast::double",
    "saturation": "saturation::double",
    "sharpness": "sharpness::double",
    "even border": "border::double",
    "attention entropy": "list_avg(entropy)::double",
    "attention distance": "list_avg(distance)::double",
}
# The two likeliest classes, the smaller index first, times as many as fit between.
_PAIR = 2**20
PAIR = (
    "case when len(top_index) > 1 then "
    f"least(top_index[1], top_index[2])::bigint * {_PAIR} + greatest(top_index[1], top_index[2]) "
    "end"
)
# A name's place in the table of clusters.
PLACE = "hash(name)"
# The half of a set in which groups are searched.
FIRST = f"{PLACE} % 2 = 0"
SIGNS = {"at most": "<=", "at least": ">="}
_END = re.compile(r"(at most|at least) (-?[0-9.]+(?:e[-+]?[0-9]+)?)", re.ASCII)
_BETWEEN = " / "


@dataclass(frozen=True)
class Where:
    """Which rows are meant; every part narrows.

    Attributes:
        label, predicted: class names; "" for any.
        text: part of the name.
        low, high: confidence.
        group: of which they are.
        names: the rows themselves; None for any.
    """

    outcome: Outcome = "wrong"
    label: str = ""
    predicted: str = ""
    text: str = ""
    low: float = 0.0
    high: float = 1.0
    group: Group = ()
    names: tuple[str, ...] | None = None

    def sql(self, classes: Sequence[str] = ()) -> tuple[str, list[Any]]:
        """A condition, and the values of its places: no text of a person is in it.

        Args:
            classes: names of the model's classes.

        Raises:
            AttnlibError: there is no such group.
        """
        parts = [OUTCOME[self.outcome]]
        values: list[Any] = []
        for column, value in (("label", self.label), ("predicted", self.predicted)):
            if value:
                parts.append(f"{column} = ?")
                values.append(value)
        if self.text:
            parts.append("contains(lower(name), lower(?))")
            values.append(self.text)
        if self.low > 0 or self.high < 1:
            parts.append("confidence between ? and ?")
            values += [self.low, self.high]
        for key in self.group:
            condition, value = within(key, classes)
            parts.append(condition)
            values.append(value)
        if self.names is not None:
            parts.append("name in (select unnest(?::varchar[]))")
            values.append(list(self.names))
        return " and ".join(parts), values


def within(key: Key, classes: Sequence[str]) -> tuple[str, Any]:
    """The condition of being in a group, and the value of its one place.

    Raises:
        AttnlibError: there is no such group.
    """
    by, value = key
    if by in CATEGORIES:
        return f"{CATEGORIES[by]} = ?", value
    if by in PROPERTIES and (found := cut(value)) is not None:
        return f"{PROPERTIES[by]} {SIGNS[found[0]]} ?", found[1]
    if by == HESITATES and (pair := two(value, classes)) is not None:
        return f"({PAIR}) = ?", pair
    if by == CLUSTER and value.isascii() and value.isdecimal() and len(value) < 5:
        return f"{PLACE} in (select place from clusters where cluster = ?)", int(value)
    raise _none(key)


def _none(key: Key) -> AttnlibError:
    return AttnlibError(f"There is no group of images “{key[0]} {key[1]}”: choose one anew.")


def end(words: str, cut: float) -> str:
    """One end of a property, of a cut of four digits: "at most 0.21"."""
    return f"{words} {cut:.0f}" if abs(cut) >= 1000 else f"{words} {cut:.4g}"


def cut(value: str) -> tuple[str, float] | None:
    """The side and the number of an end as :func:`end` writes it; None where it is none."""
    found = _END.fullmatch(value)
    if found is None:
        return None
    try:
        number = float(found[2])
    except ValueError:
        return None
    return (found[1], number) if math.isfinite(number) else None


def between(pair: int, classes: Sequence[str]) -> str:
    """The classes of a pair, as :data:`PAIR` counts them; "" where their names do not tell."""
    places = divmod(pair, _PAIR)
    if max(places) >= len(classes):
        return ""
    said = _BETWEEN.join(classes[place] for place in places)
    return said if two(said, classes) == pair else ""


def two(said: str, classes: Sequence[str]) -> int | None:
    """The pair that :func:`between` calls so; None where there is none."""
    parts = said.split(_BETWEEN)
    known = {name: place for place, name in reversed([*enumerate(classes)])}
    for cut in range(1, len(parts)):
        one, other = _BETWEEN.join(parts[:cut]), _BETWEEN.join(parts[cut:])
        if one in known and other in known:
            return known[one] * _PAIR + known[other]
    return None


def words(group: Group) -> str:
    """A group in words."""
    return " and ".join(f"{by} {value}" for by, value in group)
