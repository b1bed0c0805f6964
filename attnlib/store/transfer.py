"""A whole workspace as one file: a zip of its contents, its tables as Parquet, the rest as JSON.

========================  ==========================================================
``workspace.json``        format, version, name, model, settings, attachments, files
``items.parquet``         what came out of each file
``cases.parquet``         every version of what was said of each image
``comments.parquet``      the talk about each image
``blobs/<SHA-256>``       the contents
========================  ==========================================================

Contents are stored, not compressed (images are compressed already), and so is Parquet within
itself: what a file unpacks to can then be bounded before it is unpacked.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from attnlib.data.archive import Refusal
from attnlib.store import failures, files
from attnlib.store.blobs import Blobs
from attnlib.store.records import Case, Contents

FORMAT: Final = "attnlib workspace"
VERSION: Final = 1

_TEXT = pa.string()
_MOMENT = pa.timestamp("us", tz="UTC")


def _required(**types: pa.DataType) -> list[pa.Field]:
    return [pa.field(name, kind, nullable=False) for name, kind in types.items()]


# Flat columns alone. Tags and labels are lists of JSON.
ITEMS: Final = pa.schema(
    [
        *_required(file=_TEXT, place=pa.int32(), name=_TEXT, size=pa.int64()),
        pa.field("sha256", _TEXT),
        pa.field("reason", _TEXT),
    ]
)
CASES: Final = pa.schema(
    [
        *_required(image=_TEXT, version=pa.int32(), tags=_TEXT, note=_TEXT, should_be=_TEXT),
        pa.field("labels", _TEXT),
        *_required(by=_TEXT, by_name=_TEXT, at=_MOMENT),
    ]
)
COMMENTS: Final = pa.schema(
    _required(id=_TEXT, image=_TEXT, author=_TEXT, author_name=_TEXT, text=_TEXT, at=_MOMENT)
)
SCHEMAS: Final = {"items": ITEMS, "cases": CASES, "comments": COMMENTS}


def write(
    contents: Contents, histories: Sequence[tuple[str, Case]], blobs: Blobs, target: BinaryIO
) -> None:
    """Write a workspace as one file.

    Args:
        histories: image and version of every case.

    Raises:
        StoreError: a content is gone or damaged, or the file cannot be written.
    """
    setup = contents.setup
    with (
        failures.told("The exported file"),
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package,
    ):
        described = {
            "format": FORMAT,
            "version": VERSION,
            "name": contents.head.name,
            "exported": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": dict(setup.model),
            "settings": dict(setup.settings),
            "attachments": dict(setup.attachments),
            "files": [
                {"id": file.id, "name": file.name, "zipped": file.opened.zipped}
                for file in contents.files
            ],
        }
        package.writestr("workspace.json", json.dumps(described, indent=1))
        for name, rows in (
            ("items", _items(contents)),
            ("cases", [_case(image, case) for image, case in histories]),
            ("comments", _comments(contents)),
        ):
            package.writestr(f"{name}.parquet", _parquet(rows, SCHEMAS[name]))
        held = files.contents(contents.files)
        called = {sha: key for key, sha in setup.attachments.items() if sha not in held}
        for sha256 in sorted({*held, *called}):
            data = held[sha256].read() if sha256 in held else blobs.get(sha256, called[sha256])
            package.writestr(f"blobs/{sha256}", data, zipfile.ZIP_STORED)


def _parquet(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema=schema)
    pq.write_table(table, buffer, compression="none", use_dictionary=False)
    return buffer.getvalue()


def _items(contents: Contents) -> list[dict[str, Any]]:
    rows = []
    for file in contents.files:
        for place, item in enumerate(file.opened.items):
            row: dict[str, Any] = {"file": file.id, "place": place}
            if isinstance(item, Refusal):
                row |= {"name": item.name, "size": 0, "reason": item.reason}
            else:
                row |= {"name": item[0], "size": item[1].size, "sha256": item[1].sha256}
            rows.append(row)
    return rows


def _case(image: str, case: Case) -> dict[str, Any]:
    return {
        "image": image,
        "version": case.version,
        "tags": json.dumps(case.remark.tags, ensure_ascii=False),
        "note": case.remark.note,
        "should_be": case.remark.should_be,
        "labels": None if case.labels is None else json.dumps(case.labels, ensure_ascii=False),
        "by": case.by,
        "by_name": case.by_name,
        "at": case.at,
    }


def _comments(contents: Contents) -> list[dict[str, Any]]:
    return [
        {
            "id": comment.id,
            "image": comment.image,
            "author": comment.author,
            "author_name": comment.author_name,
            "text": comment.text,
            "at": comment.at,
        }
        for comments in contents.comments.values()
        for comment in comments
    ]
