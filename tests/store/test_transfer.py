"""A workspace as one file: out and in again."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from attnlib.errors import StoreError
from attnlib.store import Store

from .exporting import MASK, full, members_of
from .making import ADA, BEN, ROOT, new, png, sha256


def test_what_was_exported_comes_back_as_it_was(connect: Callable[[], Store]) -> None:
    store, copy = connect(), new()
    id, data = full(store)
    head = store.import_(ROOT, io.BytesIO(data), copy)
    assert (head.name, head.owner, head.access, head.images) == (
        "Street signs", ROOT.id, "private", 3,
    )  # fmt: skip
    one, two = store.open(ADA, id), store.open(ROOT, copy)
    assert (one.files, one.setup, one.cases) == (two.files, two.setup, two.cases)
    assert one.comments == two.comments
    assert store.history(ADA, id, "a.png") == store.history(ROOT, copy, "a.png")
    assert store.import_(ROOT, io.BytesIO(data), copy) == head  # an answer that was lost
    store.delete(ADA, id)
    assert store.blob(ROOT, copy, sha256(MASK)) == MASK
    assert two.files[0].opened.items[0][1].read() == png(1)


def test_an_empty_workspace_goes_out_and_in(empty: Store) -> None:
    id, copy, buffer = new(), new(), io.BytesIO()
    empty.create(ADA, id, "Empty")
    empty.export(ADA, id, buffer)
    assert empty.import_(BEN, buffer, copy, "Mine").name == "Mine"
    assert empty.open(BEN, copy).files == ()


def test_anybody_can_read_what_was_exported(empty: Store) -> None:
    _, data = full(empty)
    members = members_of(data)
    described = json.loads(members["workspace.json"])
    assert (described["format"], described["version"]) == ("attnlib workspace", 1)
    cases = pd.read_parquet(io.BytesIO(members["cases.parquet"]))
    assert list(cases["version"]) == [1, 2]
    assert list(cases["by_name"]) == ["Ada", "Ben"]
    assert cases["at"].dt.tz is not None
    items = pd.read_parquet(io.BytesIO(members["items.parquet"]))
    assert {sha256(members[f"blobs/{sha}"]) for sha in items["sha256"].dropna()} == {
        sha256(png(1)), sha256(png(2)), sha256(b"filename,label\na.png,cat\n"),
    }  # fmt: skip


def test_others_words_are_marked_as_imported_unless_an_admin_imports(empty: Store) -> None:
    _, data = full(empty)
    copy = new()
    empty.import_(ADA, io.BytesIO(data), copy)
    versions = empty.history(ADA, copy, "a.png")
    assert [(v.by, v.by_name) for v in versions] == [
        (ADA.id, "Ada"),
        (f"imported|{BEN.id}", "Ben (imported)"),
    ]
    assert empty.open(ADA, copy).comments["a.png"][0].author_name == "Ben (imported)"


def test_a_damaged_image_stops_the_export_with_its_name(empty: Store, tmp_path: Path) -> None:
    id, _ = full(empty)
    (path,) = (tmp_path / "blobs").rglob(sha256(png(2)))
    path.write_bytes(b"x")
    with pytest.raises(StoreError, match=r"dog/a\.png is damaged"):
        empty.export(ADA, id, io.BytesIO())


def test_a_full_disk_stops_the_export_in_words(empty: Store) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    id, _ = full(empty)
    with pytest.raises(StoreError, match="disk is full"):
        empty.export(ADA, id, Full())
