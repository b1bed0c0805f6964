"""A table of Weights & Biases, as ``wandb.Table`` is stored: ``*.table.json``."""

from __future__ import annotations

import json
from typing import Any, Final

import pandas as pd

from attnlib.data.results.delimited import distinct
from attnlib.data.results.files import Files, check_cells
from attnlib.data.results.flat import flat
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import ROLES, Role
from attnlib.data.results.table import Results
from attnlib.data.results.texts import cell, parsed
from attnlib.errors import LabelError

TITLE, FILE = "W&B table", "results.table.json"
HOLDS: Final[frozenset[Role]] = frozenset(ROLES) - {"issue"}


def fits(files: Files) -> bool:
    """Whether there is one table."""
    return len(files.ending(".table.json")) == 1


def read(files: Files) -> Raw:
    """The rows; of a picture its path, and its caption as a column of its own.

    Raises:
        LabelError: it is no such table.
    """
    (name,) = files.ending(".table.json")
    found = parsed(files, name)
    columns = found.get("columns") if isinstance(found, dict) else None
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(columns, list) or not isinstance(data, list) or not data:
        raise LabelError(f"{name} has no “columns” with rows of “data”, as W&B stores a table.")
    titles = distinct([str(column) for column in columns], name)
    check_cells(len(data), len(titles), name)
    if any(not isinstance(row, list) or len(row) != len(titles) for row in data):
        raise LabelError(f"{name} has rows that are not as long as its list of columns.")
    frame = pd.DataFrame(data, columns=pd.Index(titles), dtype=object)
    for title in titles:
        captions = frame[title].map(lambda cell: _part(cell, "caption"))
        if captions.notna().any():
            frame[f"{title} caption"] = captions
        frame[title] = frame[title].map(_plain)
    return Raw(frame, "a table of W&B")


def _part(cell: Any, key: str) -> str | None:
    found = cell.get(key) if isinstance(cell, dict) else None
    return found if isinstance(found, str) and found else None


def _plain(cell: Any) -> Any:
    return _part(cell, "path") if isinstance(cell, dict) else cell


def write(results: Results) -> bytes:
    """Columns and rows, with tags and vectors as lists."""
    frame = flat(results, lists=True)
    rows = [[cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    said = {"columns": [str(name) for name in frame], "data": rows}
    return json.dumps(said, ensure_ascii=False, allow_nan=False).encode()
