"""A data set of Hugging Face on disk: Arrow files beside ``dataset_info.json``."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa

from attnlib.data.results import parquet
from attnlib.data.results.files import MAX_BYTES, Files, check_cells
from attnlib.data.results.raw import Raw
from attnlib.errors import LabelError, brief


def fits(files: Files) -> bool:
    """Whether there are Arrow files."""
    return bool(files.ending(".arrow"))


def read(files: Files) -> Raw:
    """The rows of all files of one split, with class labels by name.

    Raises:
        LabelError: one is broken or too large, or there are several splits.
    """
    names = sorted(files.ending(".arrow"))
    folders = {name.rpartition("/")[0] for name in names}
    if len(folders) > 1:
        raise LabelError(
            f"There are several splits ({', '.join(sorted(folders)[:6])}): give one of these "
            "folders alone, since one image may be in both."
        )
    (folder,) = folders
    wanted = _listed(files, folder) or names
    tables = [_read(files.read(name), name) for name in wanted]
    try:
        table = pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise LabelError(f"The Arrow files do not fit together: {brief(error)}.") from error
    check_cells(table.num_rows, table.num_columns, "The data set")
    features = _json(files, _path(folder, "dataset_info.json")).get("features")
    known = features if isinstance(features, dict) else {}
    return Raw(parquet.frame(table, known), "a data set of Hugging Face")


def _listed(files: Files, folder: str) -> list[str]:
    """The files in the order of ``state.json``: others in the folder are caches."""
    listed = _json(files, _path(folder, "state.json")).get("_data_files")
    rows = listed if isinstance(listed, list) else []
    found = [_path(folder, str(row.get("filename"))) for row in rows if isinstance(row, dict)]
    missing = [name for name in found if name not in files.sizes]
    if missing:
        raise LabelError(f"The data set lacks {missing[0]}, which its state.json lists: add it.")
    return found


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _json(files: Files, path: str) -> dict[str, Any]:
    if path not in files.sizes:
        return {}
    try:
        found = json.loads(files.read(path))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is no JSON: {brief(error)}.") from error
    return found if isinstance(found, dict) else {}


def _read(data: bytes, name: str) -> pa.Table:
    """A stream, as ``datasets`` writes, or a file; batch by batch, so that none grows unseen."""
    source = io.BytesIO(data)
    try:
        try:
            batches: list[pa.RecordBatch] = []
            reader = pa.ipc.open_stream(source)
            size = 0
            for batch in reader:
                size += batch.nbytes
                if size > MAX_BYTES:
                    raise LabelError(f"{name} unpacks to more than {MAX_BYTES // 2**20} MiB.")
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema)
        except pa.ArrowInvalid:
            source.seek(0)
            found: pa.Table = pa.ipc.open_file(source).read_all()
            return found
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LabelError(f"{name} is no Arrow file: {brief(error)}.") from error
