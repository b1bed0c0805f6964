"""Which columns of a table hold files and labels, told by what people call them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from attnlib.data.paths import IMAGE_ENDINGS
from attnlib.errors import LabelError

# As in a header without spaces, underscores and hyphens; the plainest first, since the first that
# a table has is taken ("id,image_name,category" has its files in image_name).
FILES = (
    "filename", "file", "filepath", "image", "imagename", "imagepath", "imagefile", "imagefilename",
    "img", "imgname", "imgpath", "picture", "photo", "path", "relpath", "name",
    "imageid", "imgid", "fileid", "id",
)  # fmt: skip
LABELS = (
    "label", "labels", "labelname", "class", "classname", "classes", "category", "categoryname",
    "target", "y", "ytrue", "groundtruth", "tag", "tags", "species", "breed", "wnid", "synset",
    "labelid", "labelidx", "labelindex", "classid", "classidx", "classindex", "categoryid",
    "targetid",
)  # fmt: skip
_YES = {"1", "1.0", "true", "yes"}
_NO = {"0", "0.0", "false", "no"}
_MINUS = {"-1", "-1.0"}
# A column with more kinds of cells than these is none of a class.
_FEW = len(_YES | _NO | _MINUS) + 1


@dataclass(frozen=True)
class Columns:
    """Where things stand in a row.

    Attributes:
        file: column of the file.
        label: column of the label, or None where each class has a column of its own.
        classes: column -> class, where a cell of 1 says that the file shows it, and 0 or -1
            that it does not.
        headed: whether the first row is a header.
    """

    file: int
    label: int | None
    classes: dict[int, str] = field(default_factory=dict)
    headed: bool = True

    def cell(self, row: Sequence[str], column: int) -> str:
        """A cell, "" where the row is too short."""
        return row[column].strip() if column < len(row) else ""

    @cached_property
    def _last(self) -> int:
        """The last column of a class."""
        return max(self.classes)

    def labels(self, row: Sequence[str]) -> tuple[str, ...] | None:
        """The label texts of a row, or None where a cell that should say it is empty."""
        if self.label is not None:
            text = self.cell(row, self.label)
            return (text,) if text else None
        if len(row) <= self._last:
            return None  # too short for one cell each, which needs no look at the others
        cells = {name: self.cell(row, column).casefold() for column, name in self.classes.items()}
        if not all(cells.values()):
            return None
        return tuple(name for name, cell in cells.items() if cell in _YES)


def find(rows: Sequence[Sequence[str]]) -> Columns | None:
    """The columns of a table, or None where neither a header nor their number tells them.

    Raises:
        LabelError: its columns of classes mix 0, 1 and -1, which says "not certain" then.
    """
    header = rows[0]
    file, label = _named(header)
    if file is not None and label is not None:
        return Columns(file, label)
    if file is not None:
        classes = _classes(rows, file)
        if len(classes) > 1:
            return Columns(file, None, classes)
    rest = [at for at, cell in enumerate(header) if not _is_index(cell) and at not in (file, label)]
    # Of two columns the header names one: the other is the other, whatever it is called.
    if (file is None) != (label is None) and len(rest) == 1 and not _is_file(header[rest[0]]):
        return Columns(file if file is not None else rest[0], label if file is None else rest[0])
    return Columns(0, 1, headed=False) if len(header) == 2 and file is None else None


def is_header(row: Sequence[str]) -> bool:
    """Whether a row names a column of files and another column."""
    return _named(row)[0] is not None and len(row) > 1


def _named(header: Sequence[str]) -> tuple[int | None, int | None]:
    cells = [re.sub(r"[\s_-]+", "", cell).casefold() for cell in header]
    files = [cells.index(name) for name in FILES if name in cells]
    labels = [cells.index(name) for name in LABELS if name in cells]
    return files[0] if files else None, labels[0] if labels else None


def _classes(rows: Sequence[Sequence[str]], file: int) -> dict[int, str]:
    """The columns of 0 and 1 (or -1 and 1, as CelebA's are), and what they are called."""
    found: dict[int, str] = {}
    seen: set[str] = set()
    # Row by row: a long header over many short rows costs no more than the cells there are.
    columns: list[set[str]] = [set() for _ in rows[0]]
    for row in rows[1:]:
        for held, cell in zip(columns, row, strict=False):
            if len(held) <= _FEW:
                held.add(cell.strip().casefold())
    for column, name in enumerate(rows[0]):
        cells = columns[column] - {""}
        if column != file and not _is_index(name) and cells and cells <= _YES | _NO | _MINUS:
            found[column] = name.strip()
            seen |= cells
    if len(found) > 1 and seen & _MINUS and seen & _NO:
        raise LabelError(
            "The columns of the classes hold 1, 0 and -1, and one of them must mean that it is "
            "not certain: write 1 for the classes that an image shows, and 0 for all others."
        )
    return found


def _is_index(cell: str) -> bool:
    """Whether it is the header of the index that pandas writes in front of a table."""
    return not cell.strip() or cell.strip().casefold().startswith("unnamed:")


def _is_file(cell: str) -> bool:
    return cell.strip().lower().endswith(IMAGE_ENDINGS) or "/" in cell or "\\" in cell
