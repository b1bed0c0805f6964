"""Files that only claim to be an exported workspace."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnlib.data.archive import Refusal
from attnlib.errors import StoreError
from attnlib.store import Store, packages, parquet, transfer
from attnlib.store.blobs import FolderBlobs

from .exporting import Members, full, members_of, zipped_up
from .making import ADA, ROOT, new, png, sha256


def _described(members: Members, **changes: Any) -> Members:
    described = json.loads(members["workspace.json"]) | changes
    return members | {"workspace.json": json.dumps(described).encode()}


def _table(
    members: Members, name: str, change: Callable[[pa.Table], pa.Table], **how: Any
) -> Members:
    table = change(pq.read_table(io.BytesIO(members[f"{name}.parquet"])))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **({"compression": "none"} | how))
    return members | {f"{name}.parquet": buffer.getvalue()}


def _column(name: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field(name)
        made = pa.array((values * table.num_rows)[: table.num_rows], field.type)
        return table.set_column(table.schema.get_field_index(name), field, made)

    return change


def _without(members: Members, name: str) -> Members:
    return {key: data for key, data in members.items() if key != name}


def _blob(members: Members) -> str:
    return next(name for name in members if name.startswith("blobs/"))


HOSTILE: dict[str, Callable[[Members], bytes]] = {
    "empty": lambda m: b"",
    "no zip": lambda m: b"GIF89a" * 100,
    "another zip": lambda m: zipped_up({"a.png": png(1)}),
    "cut off": lambda m: zipped_up(m)[:-200],
    "path": lambda m: zipped_up(m | {"../../etc/cron.d/x": b"x"}),
    "absolute path": lambda m: zipped_up(m | {"/etc/x": b"x"}),
    "path of a blob": lambda m: zipped_up(m | {"blobs/../x": b"x"}),
    "another file": lambda m: zipped_up(m | {"setup.py": b"x"}),
    "newer": lambda m: zipped_up(_described(m, version=2)),
    "version 0": lambda m: zipped_up(_described(m, version=0)),
    "version true": lambda m: zipped_up(_described(m, version=True)),
    "another format": lambda m: zipped_up(_described(m, format="x")),
    "no name": lambda m: zipped_up(_described(m, name="")),
    "name a list": lambda m: zipped_up(_described(m, name=["x"])),
    "files a text": lambda m: zipped_up(_described(m, files="x")),
    "file ids": lambda m: zipped_up(_described(m, files=[{"id": "../x", "zipped": True}])),
    "files missing": lambda m: zipped_up(_described(m, files=[])),
    "attachment unknown": lambda m: zipped_up(_described(m, attachments={"m": "0" * 64})),
    "attachment a path": lambda m: zipped_up(_described(m, attachments={"m": "../../etc/passwd"})),
    "model a list": lambda m: zipped_up(_described(m, model=[])),
    "no json": lambda m: zipped_up(m | {"workspace.json": b"{"}),
    "deep json": lambda m: zipped_up(m | {"workspace.json": b"[" * 200_000}),
    "digits": lambda m: zipped_up(m | {"workspace.json": b'{"version": ' + b"1" * 10_000 + b"}"}),
    "json bomb": lambda m: zipped_up(
        m | {"workspace.json": b" " * (packages.MAX_JSON + 1)}, zipfile.ZIP_DEFLATED
    ),
    "no table": lambda m: zipped_up(_without(m, "cases.parquet")),
    "broken table": lambda m: zipped_up(m | {"cases.parquet": b"PAR1" + b"x" * 99 + b"PAR1"}),
    "another table": lambda m: zipped_up(m | {"cases.parquet": m["items.parquet"]}),
    "compressed table": lambda m: zipped_up(_table(m, "cases", lambda t: t, compression="zstd")),
    "version 0 of a case": lambda m: zipped_up(_table(m, "cases", _column("version", [0, 1]))),
    "a version twice": lambda m: zipped_up(_table(m, "cases", _column("version", [1]))),
    "tags no json": lambda m: zipped_up(_table(m, "cases", _column("tags", ["["]))),
    "tags no texts": lambda m: zipped_up(_table(m, "cases", _column("tags", ["[1]"]))),
    "labels an object": lambda m: zipped_up(_table(m, "cases", _column("labels", ["{}"]))),
    "an image without a name": lambda m: zipped_up(_table(m, "cases", _column("image", [""]))),
    "a comment's id": lambda m: zipped_up(_table(m, "comments", _column("id", ["x"]))),
    "a hash that is a path": lambda m: zipped_up(_table(m, "items", _column("sha256", ["../x"]))),
    "a blob is missing": lambda m: zipped_up(_without(m, _blob(m))),
    "a blob is another": lambda m: zipped_up(m | {_blob(m): b"other"}),
    "compressed blobs": lambda m: zipped_up(m, zipfile.ZIP_DEFLATED),
    "text bomb": lambda m: zipped_up(
        _table(
            m,
            "cases",
            lambda t: _long(t),
            use_dictionary=True,
            write_statistics=False,
            store_schema=False,
        )
    ),
}


# Where it matters that it was this that was found.
SAYS = {
    "newer": "newer version",
    "path": "a file that no export has",
    "json bomb": "unpacks to more than",
    "compressed table": "its tables are others",
    "text bomb": "too much text",
    "a blob is missing": "an image is missing",
    "a blob is another": "not those that were exported",
}


def _long(table: pa.Table) -> pa.Table:
    """One note of half a megabyte in all rows: half a megabyte of file, a gigabyte of text."""
    rows, note = 2000, "n" * 2**19
    indices = pa.array([0] * rows, pa.int32())
    columns = {
        f.name: pa.array([i + 1 if f.name == "version" else None for i in range(rows)], f.type)
        for f in table.schema
    }
    for name in ("image", "tags", "should_be", "by", "by_name"):
        columns[name] = pa.array(["[]"] * rows)
    columns["at"] = pa.array([0] * rows, table.schema.field("at").type)
    columns["note"] = pa.DictionaryArray.from_arrays(indices, pa.array([note]))
    made = pa.table(columns)
    fields = [f.with_type(made.schema.field(f.name).type) for f in table.schema]
    return made.cast(pa.schema(fields))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Members]:
    from attnlib import store

    home = tmp_path_factory.mktemp("home")
    kept = store.connect(f"sqlite:///{home}/attnlib.sqlite3", home=home)
    return kept, members_of(full(kept)[1])


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_only_claims_to_be_one_is_refused_in_a_sentence(
    exported: tuple[Store, Members], kind: str
) -> None:
    store, members = exported
    before, id = store.workspaces(ROOT), new()
    data = HOSTILE[kind](members)
    assert len(data) < 2**20
    tracemalloc.start()
    with pytest.raises(StoreError, match=r"^[A-Z].*\.$") as caught:
        store.import_(ADA, io.BytesIO(data), id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * 2**20
    assert "Traceback" not in str(caught.value) and len(str(caught.value)) < 400
    assert store.workspaces(ROOT) == before
    if kind in SAYS:
        assert SAYS[kind] in str(caught.value)


def test_the_same_bytes_under_many_names_do_not_unpack_to_more_than_the_file(
    exported: tuple[Store, Members], tmp_path: Path
) -> None:
    """Entries of a zip can share their bytes; what is read in all is bounded by the file."""
    store, members = exported
    data = bytearray(zipped_up(members))
    # Every entry of the directory says that it is as large as half the file.
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        struct.pack_into("<II", data, place + 20, len(data) // 2, len(data) // 2)
        place = data.find(b"PK\x01\x02", place + 4)
    with pytest.raises(StoreError, match=r"\.$"):
        store.import_(ADA, io.BytesIO(bytes(data)), new())


def test_too_many_entries_are_refused_before_they_are_read(
    exported: tuple[Store, Members], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, members = exported
    buffer = io.BytesIO(zipped_up(members))
    monkeypatch.setattr(packages, "MAX_ENTRIES", len(members) - 1)
    monkeypatch.setattr(packages.zipfile, "ZipFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(StoreError, match="entries"):
        store.import_(ADA, buffer, new())


def test_items_are_judged_again(exported: tuple[Store, Members]) -> None:
    """Whoever writes the file can call anything an image, and any path a name."""
    store, members = exported
    names = ["../../x.png", "/etc/x.png", ".hidden.png", "ok.png"]
    changed = _table(members, "items", _column("name", names))
    id = new()
    store.import_(ADA, io.BytesIO(zipped_up(changed)), id)
    items = [item for file in store.open(ADA, id).files for item in file.opened.items]
    taken = {item[0] for item in items if not isinstance(item, Refusal)}
    assert taken <= {"ok.png"}
    bad = sha256(b"no image")
    hashes = _table(members, "items", _column("sha256", [bad])) | {f"blobs/{bad}": b"no image"}
    id = new()
    store.import_(ADA, io.BytesIO(zipped_up(hashes)), id)
    items = [item for file in store.open(ADA, id).files for item in file.opened.items]
    pictures = [i for i in items if not isinstance(i, Refusal) and not i[0].endswith(".csv")]
    assert pictures == [] and store.head(ADA, id).images == 0


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_found_or_harmless(exported: tuple[Store, Members], data: Any) -> None:
    store, members = exported
    name = data.draw(st.sampled_from([None, *sorted(members)]))
    whole = zipped_up(members)
    target = bytearray(whole if name is None else members[name])
    for _ in range(data.draw(st.integers(1, 3))):
        target[data.draw(st.integers(0, len(target) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(target) if name is None else zipped_up(members | {name: bytes(target)})
    id = new()
    try:
        store.import_(ADA, io.BytesIO(damaged), id)
    except StoreError as error:
        assert str(error).endswith(".")
    else:
        for file in store.open(ADA, id).files:
            for item in file.opened.items:
                if not isinstance(item, Refusal):
                    assert sha256(item[1].read()) == item[1].sha256
        store.delete(ADA, id)


def test_bounds_of_tables_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"id": new(), "image": "x", "author": "a", "author_name": "A", "text": "t" * 100}
    rows = [row | {"at": 0}] * 10
    data = transfer._parquet(rows, transfer.COMMENTS)
    assert len(parquet.rows(data, transfer.COMMENTS)) == 10
    monkeypatch.setattr(parquet, "MAX_ROWS", 9)
    with pytest.raises(StoreError, match="rows"):
        parquet.rows(data, transfer.COMMENTS)
    monkeypatch.setattr(parquet, "MAX_ROWS", 10)
    monkeypatch.setattr(parquet, "MAX_CHARACTERS", 10 * 100)
    with pytest.raises(StoreError, match="too much text"):
        parquet.rows(data, transfer.COMMENTS)


def test_import_keeps_nothing_of_a_file_that_fails_late(
    exported: tuple[Store, Members], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, members = exported
    monkeypatch.setattr(FolderBlobs, "missing", lambda *_: (_ for _ in ()).throw(OSError(5, "no")))
    before = store.workspaces(ROOT)
    with pytest.raises(StoreError):
        store.import_(ADA, io.BytesIO(zipped_up(members)), new())
    assert store.workspaces(ROOT) == before
