"""Labels of a table given to loaded samples: which row means which file."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attnlib.data.class_names import Classes
from attnlib.data.collection import Sample

if TYPE_CHECKING:
    from attnlib.data.labels import LabelTable


@dataclass(frozen=True)
class LabelMatch:
    """The labels of loaded samples.

    ``labels``: sample name to class index. ``unlabelled``: every other sample, in order.
    ``unknown_files``: table rows whose file is not loaded. ``ambiguous_files``: rows that fit
    several samples, or that give one sample different labels; none of them is used.
    ``unknown_names``: label text that is no class, to how many samples carry it.
    """

    labels: dict[str, int]
    unknown_files: tuple[str, ...]
    unknown_names: dict[str, int]
    unlabelled: tuple[str, ...]
    ambiguous_files: tuple[str, ...]


def match_labels(
    samples: Iterable[Sample],
    table: LabelTable | None,
    class_names: Sequence[str],
    aliases: Mapping[str, int] | None = None,
) -> LabelMatch:
    """Give each sample the class that its table row names, or else its folder.

    A row fits the sample whose path it is; else the one sample whose path ends so, in any case,
    without its ending; else, in the same ways, by the row's base name. The closest row wins.
    A label that is no class is counted in ``unknown_names``; the folder does not replace it.
    """
    samples = tuple(samples)
    texts, unknown_files, ambiguous_files = _match_files(samples, table.labels if table else {})
    disputed = {name for names in ambiguous_files.values() for name in names}
    classes = Classes(class_names, aliases or {})
    labels: dict[str, int] = {}
    unknown_names: dict[str, int] = {}
    for sample in samples:
        text = texts.get(sample.name, sample.label)
        if text is None or sample.name in disputed:
            continue
        index = classes.resolve(text)
        if index is None:
            unknown_names[text] = unknown_names.get(text, 0) + 1
        else:
            labels[sample.name] = index
    unlabelled = tuple(sample.name for sample in samples if sample.name not in labels)
    return LabelMatch(labels, unknown_files, unknown_names, unlabelled, tuple(ambiguous_files))


def _stem(path: str) -> str:
    return posixpath.splitext(path)[0].casefold()


# How a sample's path and a table's row are compared, the strictest first.
_SPELLINGS: Final[tuple[tuple[Callable[[str], str], Callable[[str], str]], ...]] = (
    (str, str),
    (str.casefold, str.casefold),
    (_stem, str.casefold),
    (_stem, _stem),
)


def _match_files(
    samples: Sequence[Sample], rows: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...], dict[str, set[str]]]:
    """Sample name to label text, rows that fit none, rows that fit badly with what they fit."""
    paths = {sample.name for sample in samples}
    ends: list[dict[str, set[str]]] = [defaultdict(set) for _ in _SPELLINGS]
    for name in paths:
        for (spell, _), index in zip(_SPELLINGS, ends, strict=True):
            for end in _ends(name):
                index[spell(end)].add(name)

    claims: dict[str, list[tuple[int, str]]] = defaultdict(list)  # sample -> (closeness, row)
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
            ambiguous[row] = set()  # it disputes no sample: another row or a folder may name it
        else:
            claims[next(iter(names))].append((level, row))

    texts: dict[str, str] = {}
    for name, claim in claims.items():
        best, _ = min(claim)
        closest = [row for level, row in claim if level == best]
        unknown.update(row for level, row in claim if level > best)  # they mean another file
        if len({rows[row] for row in closest}) == 1:
            texts[name] = rows[closest[0]]
        else:
            ambiguous |= {row: {name} for row in closest}
    return texts, tuple(row for row in rows if row in unknown), ambiguous


def _ends(path: str) -> Iterable[str]:
    """The path and every shorter end of it: a/b/c, b/c, c."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
