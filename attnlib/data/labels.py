"""Labels as people supply them: tables of file names, folder names, lists of class names."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from attnlib.data import columns
from attnlib.data.class_names import check_class_count as check_class_count
from attnlib.data.class_names import resolve_class as resolve_class
from attnlib.data.matching import LabelMatch as LabelMatch
from attnlib.data.matching import match_labels as match_labels
from attnlib.data.name_lists import read_class_names as read_class_names
from attnlib.data.numbering import TITLE as TITLE
from attnlib.data.numbering import Rule as Rule
from attnlib.data.text import MAX_BYTES as MAX_BYTES
from attnlib.data.text import counted, decoded
from attnlib.errors import LabelError

# Short rows could otherwise fill 16 MiB with millions of Python objects.
MAX_ROWS: Final = 1_000_000
# Of one file. A table of many more gives one image every class there is, and names none.
MAX_LABELS: Final = 1000
# As many as a person reads.
MAX_PROBLEMS: Final = 100

# What Excel reads and writes in front of a table to name its delimiter.
_SEP = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)


@dataclass(frozen=True)
class LabelTable:
    """What a table says of files, by name or path as written, with ``/``.

    Attributes:
        labels: file -> label text, of files with exactly one.
        problems: rows not taken, as sentences.
        several: file -> label texts, of files with more than one (in columns of 0 and 1, or in
            several rows) or with none of the columns.
    """

    labels: dict[str, str]
    problems: tuple[str, ...]
    several: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def every(self) -> Mapping[str, tuple[str, ...]]:
        """File -> all its label texts."""
        return {**{name: (text,) for name, text in self.labels.items()}, **self.several}

    @classmethod
    def joined(cls, tables: Iterable[LabelTable], problems: Iterable[str]) -> LabelTable:
        """Several tables as one; a later one wins where two name one file."""
        every = {name: texts for table in tables for name, texts in table.every.items()}
        return cls(*_by_number(every, tuple(problems)))


def read_label_table(data: bytes) -> LabelTable:
    """The labels in a CSV file, delimited by comma, semicolon or tab.

    A header names the columns (see :mod:`attnlib.data.columns`): one of files and one of labels,
    or one of files and for each class one of 0 and 1. Without one, two columns are file name and
    label. Several labels of a file may also stand in several rows, or in one cell (see
    :mod:`attnlib.data.several`). UTF-8, UTF-16 with a byte-order mark, or Windows-1252.

    Raises:
        LabelError: no label can be read.
    """
    text = decoded(data, "label table")
    said = _SEP.match(text)
    if said is not None:
        text = text[said.end() :]
    rows = _rows(text, said[1] if said else _delimiter(text))
    if not rows:
        raise LabelError("The label table has no rows.")
    found = columns.find([row for _, row in rows])
    if found is None:
        raise LabelError(
            f"The label table has {counted(len(rows[0][1]), 'column')} and no header that we know: "
            "the first line should be 'filename,label'."
        )
    # The labels of a file in their order, each once.
    given: dict[str, dict[str, None]] = defaultdict(dict)
    problems: list[str] = []
    for line, row in rows[found.headed :]:
        name = _path(found.cell(row, found.file))
        labels = found.labels(row)
        if not name or labels is None:
            problems.append(f"Line {line}: the {'label' if name else 'file name'} is missing.")
        else:
            given[name].update(dict.fromkeys(labels))
    for name in [name for name, labels in given.items() if len(labels) > MAX_LABELS]:
        count = len(given.pop(name))
        problems.append(f"{name} has {count} labels, and the limit is {MAX_LABELS}: none is used.")
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        problems[MAX_PROBLEMS:] = [f"… and {counted(more, 'more problem')}."]
    if not given:
        raise LabelError(" ".join(["The label table has no labels.", *problems[:1]]))
    return LabelTable(*_by_number(given, tuple(problems)))


def _by_number(
    given: Mapping[str, Iterable[str]], problems: tuple[str, ...]
) -> tuple[dict[str, str], tuple[str, ...], dict[str, tuple[str, ...]]]:
    every = {name: tuple(texts) for name, texts in given.items()}
    one = {name: texts[0] for name, texts in every.items() if len(texts) == 1}
    return one, problems, {name: texts for name, texts in every.items() if len(texts) != 1}


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """(line number from 1, cells) of every row that is not blank."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
            if len(rows) > MAX_ROWS:
                raise LabelError(f"The label table has more than {MAX_ROWS} rows.")
    except csv.Error as error:
        raise LabelError(
            f"The label table cannot be read at line {reader.line_num}: check its quotes."
        ) from error
    return rows


def _delimiter(text: str) -> str:
    """The one under which there is a header that we know, or rows are alike; else a comma."""
    text = "".join(text.splitlines(keepends=True)[:20])
    alike = []
    # A comma last: it is the one most likely to occur inside a label.
    for delimiter in "\t;,":
        try:
            rows = [row for _, row in _rows(text, delimiter)]
        except LabelError:  # quotes that make no sense under this delimiter
            continue
        if rows and columns.is_header(rows[0]):
            return delimiter
        if rows and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            alike.append(delimiter)
    return alike[0] if alike else ","


def _path(text: str) -> str:
    """As collection names its samples: composed, with ``/``, without a leading ``./``."""
    path = unicodedata.normalize("NFC", text.strip()).replace("\\", "/")
    return "/".join(part for part in path.split("/") if part not in ("", "."))
