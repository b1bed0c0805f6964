"""Parquet, also an audit's parts and what ``datasets`` writes: names of labels in the schema."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from attnlib.data.results.files import MAX_BYTES, Files, check_cells
from attnlib.data.results.flat import flat
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import ROLES, Role
from attnlib.data.results.table import Results
from attnlib.errors import LabelError, brief

TITLE, FILE = "Parquet", "results.parquet"
HOLDS: Final[frozenset[Role]] = frozenset(ROLES) - {"issue"}


def fits(files: Files) -> bool:
    """Whether there are Parquet files."""
    return bool(files.ending(".parquet"))


def read(files: Files) -> Raw:
    """The rows of all files, one after the other; pictures in them are left out.

    Raises:
        LabelError: one is broken or too large, or their columns differ.
    """
    tables = [_read(files.read(name), name) for name in sorted(files.ending(".parquet"))]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise LabelError(f"The Parquet files do not fit together: {brief(error)}.") from error
    return Raw(frame(table, _features(table.schema)), "a Parquet table")


def _read(data: bytes, name: str) -> pa.Table:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        size = sum(
            file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)
        )
        if size > MAX_BYTES:
            raise LabelError(
                f"{name} unpacks to {size / 2**20:,.0f} MiB, and the limit is "
                f"{MAX_BYTES // 2**20} MiB: leave out columns, such as pictures or embeddings."
            )
        check_cells(file.metadata.num_rows, file.metadata.num_columns, name)
        found: pa.Table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LabelError(f"{name} is no Parquet: {brief(error)}.") from error
    return found


def frame(table: pa.Table, features: dict[str, Any]) -> pd.DataFrame:
    """The columns as cells: numbers of a class label by name, pictures by their path.

    Args:
        features: of ``datasets``: column -> its feature.
    """
    columns: dict[str, pd.Series] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_struct(column.type):
            if any(field.name == "path" for field in column.type):
                paths = pa.chunked_array([chunk.field("path") for chunk in column.chunks])
                columns[name] = _cells(paths)
            continue
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            continue
        names = _names(features.get(name))
        cells = _cells(column)
        columns[name] = cells.map(lambda v, n=names: _named(v, n)) if names else cells
    return pd.DataFrame(columns)


def _cells(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        # As arrays of numbers where they are that: a view, no Python number each.
        return pd.Series(column.to_pandas(), dtype=object)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return pd.Series(column.to_pandas())
    return pd.Series(column.to_pylist(), dtype=object)


def _named(value: object, names: list[str]) -> object:
    """A class label by name; -1 says that there is none."""
    if value is None or value != value:
        return None
    number = int(str(value).split(".")[0])
    return names[number] if 0 <= number < len(names) else None


def _names(feature: Any) -> list[str]:
    found = feature.get("names") if isinstance(feature, dict) else None
    return [str(name) for name in found] if isinstance(found, list) else []


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What ``datasets`` leaves in a schema's metadata."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(results: Results) -> bytes:
    """A column for each class; tags, likeliest classes and embeddings as lists."""
    out = io.BytesIO()
    pq.write_table(arrow(flat(results, lists=True)), out)
    return out.getvalue()


def arrow(flat_table: pd.DataFrame) -> pa.Table:
    """The flat table with a type for each column, so that an empty list has one too."""
    kinds: dict[str, pa.DataType] = {
        "tags": pa.list_(pa.string()),
        "top_classes": pa.list_(pa.string()),
        "top_probabilities": pa.list_(pa.float64()),
        "embedding": pa.list_(pa.float32()),
    }

    def column(name: str) -> Iterable[Any]:
        values = flat_table[name]
        if values.dtype.kind == "f":
            return values.to_numpy()
        return [None if isinstance(cell, float) else cell for cell in values.tolist()]

    made = {
        str(name): pa.array(
            column(str(name)),
            kinds.get(str(name), None if flat_table[name].dtype.kind == "f" else pa.string()),
        )
        for name in flat_table
    }
    return pa.table(made)
