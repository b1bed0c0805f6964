"""Parquet from anywhere, read in bounded memory."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from attnlib.errors import StoreError

MAX_ROWS: Final = 2_000_000
MAX_CHARACTERS: Final = 512 * 2**20
_AT_ONCE: Final = 4_096
_THRIFT: Final = 2**20
_OTHER = "This file is no workspace that attnlib exported: its tables are others"


def rows(data: bytes, schema: pa.Schema) -> list[dict[str, Any]]:
    """The rows of a table that must have this flat schema.

    A page says how large it gets when it is decompressed, and one text can stand in a million
    rows of a dictionary; so compressed files are refused, and dictionaries counted in full before
    they are expanded.

    Raises:
        StoreError: it has another schema, is compressed, or is too large.
    """
    if not _opened(data).schema_arrow.remove_metadata().equals(schema):
        raise StoreError(f"{_OTHER}.")
    texts = [field.name for field in schema if field.type == pa.string()]
    file = _opened(data, texts)
    meta = file.metadata
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    if any(column.compression != "UNCOMPRESSED" for column in columns):
        raise StoreError(f"{_OTHER}.")
    if sum(group.num_rows for group in groups) > MAX_ROWS or meta.num_rows > MAX_ROWS:
        raise StoreError(f"The file has more than {MAX_ROWS:,} rows: it is no export.")
    found: list[dict[str, Any]] = []
    characters = 0
    for batch in file.iter_batches(_AT_ONCE):
        characters += sum(_length(batch.column(name)) for name in texts)
        if characters > MAX_CHARACTERS:
            raise StoreError("The tables of this file hold too much text: it is no export.")
        found += pa.Table.from_batches([batch]).cast(schema).to_pylist()
    return found


def _opened(data: bytes, dictionaries: list[str] | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(
        pa.BufferReader(data),
        read_dictionary=dictionaries,
        thrift_string_size_limit=_THRIFT,
        thrift_container_size_limit=_THRIFT,
    )


def _length(column: pa.Array) -> int:
    """How many bytes its texts have, each row counted."""
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    lengths = pc.cast(pc.binary_length(column.dictionary), pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)
