"""A workspace as one file: out and in again, and files that only claim to be one."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnlib.data.archive import Refusal
from attnlib.errors import StoreError
from attnlib.store import Setup, Store, packages, parquet, transfer
from attnlib.store.blobs import FolderBlobs

from .making import ADA, BEN, ROOT, new, png, said, sha256, stored

Members = dict[str, bytes]
Change = Callable[[pa.Table], pa.Table]
MASK = b"mask"


def _full(store: Store) -> tuple[str, bytes]:
    """A workspace with everything in it, and its export."""
    id, buffer = new(), io.BytesIO()
    store.create(ADA, id, "Street signs", "team")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as package:
        for name, data in (("cat/a.png", png(1)), ("dog/a.png", png(2)), ("bad.png", b"bad")):
            package.writestr(name, data)
    store.add_files(ADA, id, [stored("set.zip", zipped.getvalue()), stored("a.png", png(1))])
    store.add_files(ADA, id, [stored("labels.csv", b"filename,label\na.png,cat\n")])
    setup = Setup({"name": "vit", "mean": [0.5]}, {"rule": None}, {"mask": sha256(MASK)})
    store.set_up(ADA, id, setup, {sha256(MASK): MASK})
    case = store.say(ADA, id, "a.png", said(), said("fog\n\n=1+1", "ä", should_be="dog")).case
    store.say(BEN, id, "a.png", case, replace(case, labels=("cat", "dog")))
    store.comment(BEN, id, new(), "a.png", "🐱?")
    store.export(ADA, id, buffer)
    return id, buffer.getvalue()


def _members(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def _zip(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as package:
        for name, data in members.items():
            package.writestr(name, data)
    return buffer.getvalue()


def test_what_was_exported_comes_back_as_it_was(connect: Callable[[], Store]) -> None:
    store, copy = connect(), new()
    id, data = _full(store)
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
    _, data = _full(empty)
    members = _members(data)
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
    _, data = _full(empty)
    copy = new()
    empty.import_(ADA, io.BytesIO(data), copy)
    versions = empty.history(ADA, copy, "a.png")
    assert [(v.by, v.by_name) for v in versions] == [
        (ADA.id, "Ada"),
        (f"imported|{BEN.id}", "Ben (imported)"),
    ]
    assert empty.open(ADA, copy).comments["a.png"][0].author_name == "Ben (imported)"


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
    "another zip": lambda m: _zip({"a.png": png(1)}),
    "cut off": lambda m: _zip(m)[:-200],
    "path": lambda m: _zip(m | {"../../etc/cron.d/x": b"x"}),
    "absolute path": lambda m: _zip(m | {"/etc/x": b"x"}),
    "path of a blob": lambda m: _zip(m | {"blobs/../x": b"x"}),
    "another file": lambda m: _zip(m | {"setup.py": b"x"}),
    "newer": lambda m: _zip(_described(m, version=2)),
    "version 0": lambda m: _zip(_described(m, version=0)),
    "version true": lambda m: _zip(_described(m, version=True)),
    "another format": lambda m: _zip(_described(m, format="x")),
    "no name": lambda m: _zip(_described(m, name="")),
    "name a list": lambda m: _zip(_described(m, name=["x"])),
    "files a text": lambda m: _zip(_described(m, files="x")),
    "file ids": lambda m: _zip(_described(m, files=[{"id": "../x", "name": "", "zipped": True}])),
    "files missing": lambda m: _zip(_described(m, files=[])),
    "attachment unknown": lambda m: _zip(_described(m, attachments={"m": "0" * 64})),
    "attachment a path": lambda m: _zip(_described(m, attachments={"m": "../../etc/passwd"})),
    "model a list": lambda m: _zip(_described(m, model=[])),
    "no json": lambda m: _zip(m | {"workspace.json": b"{"}),
    "deep json": lambda m: _zip(m | {"workspace.json": b"[" * 200_000}),
    "digits": lambda m: _zip(m | {"workspace.json": b'{"version": ' + b"1" * 10_000 + b"}"}),
    "json bomb": lambda m: _zip(
        m | {"workspace.json": b" " * (packages.MAX_JSON + 1)}, zipfile.ZIP_DEFLATED
    ),
    "no table": lambda m: _zip(_without(m, "cases.parquet")),
    "broken table": lambda m: _zip(m | {"cases.parquet": b"PAR1" + b"x" * 99 + b"PAR1"}),
    "another table": lambda m: _zip(m | {"cases.parquet": m["items.parquet"]}),
    "compressed table": lambda m: _zip(_table(m, "cases", lambda t: t, compression="zstd")),
    "version 0 of a case": lambda m: _zip(_table(m, "cases", _column("version", [0, 1]))),
    "a version twice": lambda m: _zip(_table(m, "cases", _column("version", [1]))),
    "tags no json": lambda m: _zip(_table(m, "cases", _column("tags", ["["]))),
    "tags no texts": lambda m: _zip(_table(m, "cases", _column("tags", ["[1]"]))),
    "labels an object": lambda m: _zip(_table(m, "cases", _column("labels", ["{}"]))),
    "an image without a name": lambda m: _zip(_table(m, "cases", _column("image", [""]))),
    "a comment's id": lambda m: _zip(_table(m, "comments", _column("id", ["x"]))),
    "a hash that is a path": lambda m: _zip(_table(m, "items", _column("sha256", ["../x"]))),
    "a blob is missing": lambda m: _zip(_without(m, _blob(m))),
    "a blob is another": lambda m: _zip(m | {_blob(m): b"other"}),
    "compressed blobs": lambda m: _zip(m, zipfile.ZIP_DEFLATED),
    "text bomb": lambda m: _zip(
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
    return kept, _members(_full(kept)[1])


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
    data = bytearray(_zip(members))
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
    buffer = io.BytesIO(_zip(members))
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
    store.import_(ADA, io.BytesIO(_zip(changed)), id)
    items = [item for file in store.open(ADA, id).files for item in file.opened.items]
    taken = {item[0] for item in items if not isinstance(item, Refusal)}
    assert taken <= {"ok.png"}
    bad = sha256(b"no image")
    hashes = _table(members, "items", _column("sha256", [bad])) | {f"blobs/{bad}": b"no image"}
    id = new()
    store.import_(ADA, io.BytesIO(_zip(hashes)), id)
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
    whole = _zip(members)
    target = bytearray(whole if name is None else members[name])
    for _ in range(data.draw(st.integers(1, 3))):
        target[data.draw(st.integers(0, len(target) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(target) if name is None else _zip(members | {name: bytes(target)})
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


def test_a_damaged_image_stops_the_export_with_its_name(empty: Store, tmp_path: Path) -> None:
    id, _ = _full(empty)
    (path,) = (tmp_path / "blobs").rglob(sha256(png(2)))
    path.write_bytes(b"x")
    with pytest.raises(StoreError, match=r"dog/a\.png is damaged"):
        empty.export(ADA, id, io.BytesIO())


def test_a_full_disk_stops_the_export_in_words(empty: Store) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    id, _ = _full(empty)
    with pytest.raises(StoreError, match="disk is full"):
        empty.export(ADA, id, Full())


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
        store.import_(ADA, io.BytesIO(_zip(members)), new())
    assert store.workspaces(ROOT) == before
