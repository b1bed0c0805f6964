"""``metadata.jsonl`` or ``metadata.csv`` beside images: an imagefolder of Hugging Face."""

from __future__ import annotations

import json
from typing import Final

import pandas as pd

from attnlib.data.results import delimited
from attnlib.data.results.files import Files
from attnlib.data.results.flat import flat
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import ROLES, Role
from attnlib.data.results.table import Results
from attnlib.data.results.texts import MAX_JSON, cell
from attnlib.errors import LabelError, brief

TITLE, FILE = "Hugging Face imagefolder (metadata.jsonl)", "metadata.jsonl"
HOLDS: Final[frozenset[Role]] = frozenset(ROLES) - {"issue"}


def fits(files: Files) -> bool:
    """Whether there is a table of that name, or another of lines of JSON."""
    return bool(files.called("metadata.csv", "metadata.jsonl") or files.ending(".jsonl"))


def read(files: Files) -> Raw:
    """The rows of all such files, one after the other: each folder may have its own.

    Raises:
        LabelError: a line is no JSON object, or a table cannot be read.
    """
    names = files.called("metadata.csv", "metadata.jsonl") or files.ending(".jsonl")
    parts = []
    for name in names:
        part = (
            delimited.table(files.read(name), name)
            if name.endswith(".csv")
            else _lines(files, name)
        )
        folder = name.rpartition("/")[0]
        if folder and "file_name" in part:
            part["file_name"] = part["file_name"].map(
                lambda path, folder=folder: f"{folder}/{path}" if path else None
            )
        parts.append(part)
    return Raw(pd.concat(parts, ignore_index=True), "metadata of an imagefolder")


def _lines(files: Files, name: str) -> pd.DataFrame:
    if files.sizes[name] > MAX_JSON:
        raise LabelError(f"{name} has more than {MAX_JSON // 2**20} MiB: give it as Parquet.")
    rows = []
    for number, line in enumerate(files.read(name).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LabelError(f"Line {number} of {name} is no JSON: {brief(error)}.") from error
        if not isinstance(row, dict):
            raise LabelError(f"Line {number} of {name} is no object with names and values.")
        rows.append(row)
    if not rows:
        raise LabelError(f"{name} has no rows.")
    return pd.DataFrame(rows, dtype=object)


def write(results: Results) -> bytes:
    """A line of JSON for each image, to be laid beside the images."""
    frame = flat(results, lists=True, name="file_name")
    names = [str(name) for name in frame]
    lines = [
        json.dumps(dict(zip(names, map(cell, row), strict=True)), ensure_ascii=False)
        for row in frame.itertuples(index=False, name=None)
    ]
    return "".join(f"{line}\n" for line in lines).encode()
