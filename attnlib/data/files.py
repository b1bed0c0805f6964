"""Which row of a table means which loaded file."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

T = TypeVar("T")


def _stem(path: str) -> str:
    return posixpath.splitext(path)[0].casefold()


# How a file's path and a table's row are compared, the strictest first.
_SPELLINGS: Final[tuple[tuple[Callable[[str], str], Callable[[str], str]], ...]] = (
    (str, str),
    (str.casefold, str.casefold),
    (_stem, str.casefold),
    (_stem, _stem),
)


def match_rows(
    paths: set[str], rows: Mapping[str, T]
) -> tuple[dict[str, T], tuple[str, ...], dict[str, set[str]]]:
    """Give each file the row that fits it best.

    A row fits the file whose path it is; else the one file whose path ends so, in any case,
    without its ending; else, in the same ways, by the row's base name. The closest row wins.

    Args:
        paths: of the loaded files, with ``/``.
        rows: path or name as written -> what it says of the file.

    Returns:
        Path -> what is said of it; rows that fit no file; rows that fit several, or that say
        different things of one file, each with the files that are in dispute.
    """
    ends: list[dict[str, set[str]]] = [defaultdict(set) for _ in _SPELLINGS]
    for name in paths:
        for (spell, _), index in zip(_SPELLINGS, ends, strict=True):
            for end in _ends(name):
                index[spell(end)].add(name)

    claims: dict[str, list[tuple[int, str]]] = defaultdict(list)  # file -> (closeness, row)
    unknown: set[str] = set()
    ambiguous: dict[str, set[str]] = {}
    for row in rows:
        if row in paths:
            claims[row].append((0, row))
            continue
        keys = (
            (index, spell(path))
            for path in (row, posixpath.basename(row))
            for (_, spell), index in zip(_SPELLINGS, ends, strict=True)
        )
        fits = ((level, index[key]) for level, (index, key) in enumerate(keys, 1) if key in index)
        level, names = next(fits, (0, set()))
        if not names:
            unknown.add(row)
        elif len(names) > 1:
            ambiguous[row] = set()  # it disputes no file: another row or a folder may name it
        else:
            claims[next(iter(names))].append((level, row))

    found: dict[str, T] = {}
    for name, claim in claims.items():
        best, _ = min(claim)
        closest = [row for level, row in claim if level == best]
        unknown.update(row for level, row in claim if level > best)  # they mean another file
        if all(rows[row] == rows[closest[0]] for row in closest):
            found[name] = rows[closest[0]]
        else:
            ambiguous |= {row: {name} for row in closest}
    return found, tuple(row for row in rows if row in unknown), ambiguous


def _ends(path: str) -> Iterable[str]:
    """The path and every shorter end of it: a/b/c, b/c, c."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
