"""The groups of an audit's images, and how many of each are wrong in either half of the set.

The halves are by a hash of the names. What decides who is in a group is never whether the model is
right: a group of mistakes would fail by its definition.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from attnlib.audit import where
from attnlib.audit.slices import Tally
from attnlib.audit.where import CATEGORIES, FIRST, JUDGED, PROPERTIES, Group, Key

# A property is cut at these quantiles: below the first two, above the others.
CUTS = (0.1, 0.25, 0.75, 0.9)
SIDES = ("at most", "at most", "at least", "at least")
# A bit for each end.
CODES = 2 ** len(CUTS)
MOST_GROUPS = 20_000
# With more classes too few images are both of one and at an end of a property.
MOST_PAIRED = 2_000
_COUNTS = (
    "count(*) filter (first), count(*) filter (first and wrong), "
    "count(*) filter (not first), count(*) filter (not first and wrong)"
)
Counts = dict[Group, Tally]


def prepare(marks: Mapping[Key, Collection[str]], *, clusters: bool) -> tuple[str, list[Any]]:
    """The question that makes the table ``judged``, and its values: a row for a labelled image.

    Args:
        marks: names of images by what somebody said of them, such as ("tag", "blurred").
        clusters: whether there is a table of them.
    """
    parts = [f"{sql} as c{i}" for i, sql in enumerate(CATEGORIES.values())]
    parts += [f"{sql} as p{i}" for i, sql in enumerate(PROPERTIES.values())]
    parts += [f"name in (select unnest(?::varchar[])) as m{i}" for i in range(len(marks))]
    joined = f"left join clusters on place = {where.PLACE}" if clusters else ""
    return (
        f"create or replace temp table judged as select {FIRST} as first, "
        f"label_index <> predicted_index as wrong, {where.PAIR} as pair, "
        f"{'cluster' if clusters else 'null::integer as cluster'}, {', '.join(parts)} "
        f"from rows {joined} where {JUDGED}"
    ), [list(names) for names in marks.values()]


def tallies(
    cursor: duckdb.DuckDBPyConnection, classes: tuple[str, ...], marks: Collection[Key] = ()
) -> tuple[Counts, Tally]:
    """Of each group of the table ``judged``, and of all images together."""
    (every,) = cursor.execute(f"select {_COUNTS} from judged").fetchall()
    total = Tally(*every)
    found: Counts = {}
    for i, by in enumerate(CATEGORIES):
        found |= _listed(cursor, f"c{i}", by)
    of_class = {group[0][1] for group in found if group[0][0] == where.CLASS}
    if {group[0][1] for group in found if group[0][0] == where.FOLDER} == of_class:
        # Folders that are the labels would be announced twice.
        found = {group: one for group, one in found.items() if group[0][0] != where.FOLDER}
    for (key,), one in _listed(cursor, "pair", where.HESITATES).items():
        if said := where.between(int(key[1]), classes):
            found[((where.HESITATES, said),)] = one
    found |= _listed(cursor, "cluster", where.CLUSTER)
    for i, key in enumerate(marks):
        (numbers,) = cursor.execute(f"select {_COUNTS} from judged where m{i}").fetchall()
        found[(key,)] = Tally(*numbers)
    found |= _of_properties(cursor, paired=1 < len(of_class) <= MOST_PAIRED)
    whole = total.first + total.second
    return {group: one for group, one in found.items() if 0 < one.first + one.second < whole}, total


def _listed(cursor: duckdb.DuckDBPyConnection, column: str, by: str) -> Counts:
    asked = f"select {column}, {_COUNTS} from judged where {column} is not null group by 1 limit ?"
    listed = cursor.execute(asked, [MOST_GROUPS + 1]).fetchall()
    if not 1 < len(listed) <= MOST_GROUPS:
        return {}
    return {((by, str(value)),): Tally(*numbers) for value, *numbers in listed}


def _of_properties(cursor: duckdb.DuckDBPyConnection, *, paired: bool) -> Counts:
    """Both ends of each property, of each pair of properties, and of each in each class.

    A number's ends are bits of one column, so that pairs are counted by grouping by two of them.
    """
    ends = _ends(cursor)
    if not ends:
        return {}
    bits = ", ".join(
        f"(case when isfinite(p{i}) then "
        + " + ".join(f"(p{i} {where.SIGNS[side]} {cut!r})::integer * {2**n}"
                     for n, (side, cut) in enumerate(listed))
        + f" else 0 end)::utinyint as b{i}"
        for i, listed in ends.items()
    )  # fmt: skip
    ended = cursor.sql(
        f"select c0, (2 * (not first)::utinyint + wrong::utinyint)::utinyint as quarter, {bits} "
        "from judged"
    ).to_arrow_table()
    quarter = ended["quarter"].to_numpy()
    codes = {i: ended[f"b{i}"].to_numpy() for i in ends}
    by = dict(enumerate(PROPERTIES))
    keys = {
        i: [(by[i], where.end(side, cut)) for side, cut in listed] for i, listed in ends.items()
    }
    found: dict[Group, list[int]] = {}
    for i in ends:
        for _, code, numbers in _counted(np.zeros_like(quarter), codes[i], quarter):
            for key in _held(keys[i], code):
                _add(found, (key,), numbers)
    if paired:
        listed = ended["c0"].combine_chunks().dictionary_encode()
        labels, label = listed.dictionary.to_pylist(), listed.indices.to_numpy()
        for i in ends:
            for place, code, numbers in _counted(label, codes[i], quarter):
                for key in _held(keys[i], code):
                    _add(found, ((where.CLASS, labels[place]), key), numbers)
    for i, j in combinations(ends, 2):
        for one, other, numbers in _counted(codes[i], codes[j], quarter):
            for first in _held(keys[i], one):
                for second in _held(keys[j], other):
                    _add(found, (first, second), numbers)
    return {group: Tally(*numbers) for group, numbers in found.items()}


def _ends(cursor: duckdb.DuckDBPyConnection) -> dict[int, list[tuple[str, float]]]:
    """The ends of each property by its place, each once, cut as they are written."""
    asked = ", ".join(
        f"quantile_cont(p{i}, {list(CUTS)}) filter (isfinite(p{i}))" for i in range(len(PROPERTIES))
    )
    (listed,) = cursor.execute(f"select {asked} from judged").fetchall()
    return {
        i: list(dict.fromkeys((side, float(f"{cut:.4g}")) for side, cut in zip(SIDES, cuts,
                                                                               strict=True)))
        for i, cuts in enumerate(listed)
        if cuts
    }  # fmt: skip


def _counted(
    one: NDArray[Any], other: NDArray[Any], quarter: NDArray[np.uint8]
) -> Iterator[tuple[int, int, list[int]]]:
    """Of each pair that occurs, of codes ``(n,)`` below 2**31 and below :data:`CODES`: how many
    images, and how many of them are wrong, in the first half and in the second.

    Args:
        quarter: twice the half, 0 or 1, and one more if an image is wrong.
    """
    both = one.astype(np.int64)
    both *= 4 * CODES
    both += 4 * other
    both += quarter
    most = 4 * CODES * (int(one.max(initial=0)) + 1)
    counts = np.bincount(both, minlength=most).reshape(-1, 4)
    for place in np.flatnonzero(counts.any(axis=1)).tolist():
        right, wrong, right_then, wrong_then = counts[place].tolist()
        yield *divmod(place, CODES), [right + wrong, wrong, right_then + wrong_then, wrong_then]


def _held(keys: list[Key], code: int) -> Iterator[Key]:
    """The ends whose bit a code has."""
    return (key for n, key in enumerate(keys) if code >> n & 1)


def _add(found: dict[Group, list[int]], group: Group, numbers: list[int]) -> None:
    before = found.setdefault(group, [0, 0, 0, 0])
    for n, number in enumerate(numbers):
        before[n] += number
