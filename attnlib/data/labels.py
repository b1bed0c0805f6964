"""Labels as people supply them: tables of file names, folder names, lists of class names."""

import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from attnlib.data.class_names import check_class_count as check_class_count
from attnlib.data.class_names import read_class_names as read_class_names
from attnlib.data.class_names import resolve_class as resolve_class
from attnlib.data.matching import LabelMatch as LabelMatch
from attnlib.data.matching import match_labels as match_labels
from attnlib.data.text import MAX_BYTES as MAX_BYTES
from attnlib.data.text import counted, decoded
from attnlib.errors import LabelError

# Short rows could otherwise fill 16 MiB with millions of Python objects.
MAX_ROWS: Final = 1_000_000
# As many as a person reads.
MAX_PROBLEMS: Final = 100

_FILE_COLUMNS = ("filename", "file", "image", "path", "name")
_LABEL_COLUMNS = ("label", "class", "target", "y")


@dataclass(frozen=True)
class LabelTable:
    """``labels``: file name or path as written, with ``/``, to label text.

    ``problems``: rows not taken, as sentences. A file with two different labels is only there.
    """

    labels: dict[str, str]
    problems: tuple[str, ...]


def read_label_table(data: bytes) -> LabelTable:
    """The labels in a CSV file, delimited by comma, semicolon or tab.

    A header names the columns: filename (file, image, path, name) and label (class, target, y).
    Without one, two columns are file name and label. UTF-8, UTF-16 with a byte-order mark, or
    Windows-1252. Raises LabelError if no label can be read.
    """
    text = decoded(data, "label table")
    first_lines = text.splitlines(keepends=True)[:20]
    rows = _rows(text, _delimiter("".join(first_lines)))
    if not rows:
        raise LabelError("The label table has no rows.")
    columns = _columns(rows[0][1])
    if columns is not None:
        rows = rows[1:]
    elif len(rows[0][1]) == 2:
        columns = (0, 1)
    else:
        raise LabelError(
            f"The label table has {counted(len(rows[0][1]), 'column')} and no header that we know: "
            "the first line should be 'filename,label'."
        )
    file_column, label_column = columns

    given: dict[str, list[str]] = defaultdict(list)
    problems: list[str] = []
    for line, row in rows:
        cells = [cell.strip() for cell in row] + [""] * (max(columns) + 1 - len(row))
        name, label = _path(cells[file_column]), cells[label_column]
        if not name or not label:
            problems.append(f"Line {line}: the {'label' if name else 'file name'} is missing.")
        elif label not in given[name]:
            given[name].append(label)
    for name, labels in given.items():
        if len(labels) > 1:
            problems.append(f"{name}: conflicting labels {' and '.join(map(repr, labels))}.")
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        problems[MAX_PROBLEMS:] = [f"… and {counted(more, 'more problem')}."]
    if not given:
        raise LabelError(" ".join(["The label table has no labels.", *problems[:1]]))
    agreed = {name: labels[0] for name, labels in given.items() if len(labels) == 1}
    return LabelTable(agreed, tuple(problems))


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
    alike = []
    # A comma last: it is the one most likely to occur inside a label.
    for delimiter in "\t;,":
        try:
            rows = [row for _, row in _rows(text, delimiter)]
        except LabelError:  # quotes that make no sense under this delimiter
            continue
        if rows and _columns(rows[0]) is not None:
            return delimiter
        if rows and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            alike.append(delimiter)
    return alike[0] if alike else ","


def _columns(header: Sequence[str]) -> tuple[int, int] | None:
    """The columns of file name and label, or None where the row is no header that we know."""
    cells = [cell.strip().casefold() for cell in header]
    files = [cells.index(name) for name in _FILE_COLUMNS if name in cells]
    labels = [cells.index(name) for name in _LABEL_COLUMNS if name in cells]
    return (files[0], labels[0]) if files and labels else None


def _path(text: str) -> str:
    """As collection names its samples: composed, with ``/``, without a leading ``./``."""
    path = unicodedata.normalize("NFC", text.strip()).replace("\\", "/")
    return "/".join(part for part in path.split("/") if part not in ("", "."))
