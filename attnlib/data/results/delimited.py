"""CSV and TSV: a header, then a row for each image. Cleanlab's issue tables are such tables."""

from __future__ import annotations

import csv
import io
from typing import Final

import pandas as pd

from attnlib.data.results.files import Files, check_cells
from attnlib.data.results.flat import flat
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import ROLES, Role
from attnlib.data.results.table import Results
from attnlib.errors import LabelError, brief

TITLE, FILE = "CSV", "results.csv"
HOLDS: Final[frozenset[Role]] = frozenset(ROLES) - {"top_classes", "top_probabilities", "issue"}
# Spreadsheets run what begins so as a formula, and file names come from strangers.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def fits(files: Files) -> bool:
    """Whether there is one table, and it is no list beside images."""
    return len(files.ending(".csv", ".tsv", ".txt")) == 1


def read(files: Files) -> Raw:
    """The table; every cell a text.

    Raises:
        LabelError: it is none.
    """
    (name,) = files.ending(".csv", ".tsv", ".txt")
    return Raw(table(files.read(name), name), "a CSV table")


def table(data: bytes, name: str) -> pd.DataFrame:
    """The cells of a delimited file as texts, None where one is empty.

    Raises:
        LabelError: it is binary, has no header with two columns, or rows of other lengths.
    """
    text = _text(data, name)
    first = text.split("\n", 1)[0]
    check_cells(text.count("\n") + 1, first.count(_delimiter(first)) + 1, name)
    try:
        found = pd.read_csv(
            io.StringIO(text, newline=""),
            sep=_delimiter(first),
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=True,
        )
    except (ValueError, csv.Error, pd.errors.ParserError) as error:
        raise LabelError(f"{name} is no table: {brief(error)}.") from error
    if len(found) < 2:
        raise LabelError(f"{name} has a header and no rows.")
    header = [plain(str(cell)) for cell in found.iloc[0]]
    rows = found.iloc[1:].reset_index(drop=True)
    rows.columns = pd.Index(distinct(header, name))
    return rows.apply(_cells)


def distinct(header: list[str], name: str) -> list[str]:
    """The header of a table, without the number that pandas writes in front.

    Raises:
        LabelError: two columns are called alike.
    """
    found = [cell.strip() or f"column {place + 1}" for place, cell in enumerate(header)]
    twice = (
        next((cell for cell in found if found.count(cell) > 1), None)
        if (len(set(found)) < len(found))
        else None
    )
    if twice is not None:
        raise LabelError(f"{name} has several columns called {twice[:60]!r}: rename all but one.")
    return found


def write(results: Results) -> bytes:
    """A column for each class and each number of an embedding."""
    frame = flat(results, lists=False)
    text = pd.DataFrame(
        {guarded(str(n)): frame[n].map(_cell, na_action=None) for n in frame}, dtype=object
    ).to_csv(index=False, lineterminator="\r\n", na_rep="")
    return str(text).encode()


def guarded(text: str) -> str:
    """A text that no spreadsheet runs; :func:`plain` undoes it."""
    return "'" + text if text.lstrip("'").startswith(_FORMULA) else text


def plain(text: str) -> str:
    """The text before it was guarded."""
    guard = text.startswith("'") and text.lstrip("'").startswith(_FORMULA)
    return text[1:] if guard else text


def _cells(column: pd.Series) -> pd.Series:
    """A column as it was before it was guarded, None where a cell is empty."""
    texts = column.astype(object)
    guarded_ones = column.str.startswith("'")
    texts[guarded_ones] = texts[guarded_ones].map(plain)
    return texts.where(texts != "", None)


def _cell(value: object) -> object:
    return guarded(value) if isinstance(value, str) else value


def _text(data: bytes, name: str) -> str:
    for coding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            text = data.decode(coding)
        except UnicodeDecodeError:
            continue
        if "\0" in text[:10_000]:
            break
        if text.strip():
            return text
    raise LabelError(f"{name} is no text: save it as UTF-8, with commas between the cells.")


def _delimiter(first: str) -> str:
    return max(",;\t", key=first.count)
