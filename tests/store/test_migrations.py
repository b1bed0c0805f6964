"""A database of every earlier version, with data in it, becomes one of this version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from attnlib import store
from attnlib.store import Case, Store, StoreError, connection, migrations
from attnlib.store.connection import Database
from attnlib.store.tables import METADATA

from . import forking
from .making import ADA, BEN, new, png, said, sha256, stored

W, FILE, COMMENT = "a" * 32, "b" * 32, "c" * 32
# What version 0.3 wrote with its first schema, value by value.
ROWS_0001: list[tuple[str, dict[str, Any]]] = [
    ("workspace", {"id": W, "name": "Old", "owner": ADA.id, "owner_name": "Ada", "access": "team",
                   "created": 1_700_000_000_000_001, "changed": 1_700_000_000_000_002,
                   "archived": False, "revision": 7, "model": '{"name":"vit"}', "settings": "{}"}),
    ("workspace", {"id": "d" * 32, "name": "Bare", "owner": BEN.id, "owner_name": "Ben",
                   "access": "private", "created": 1, "changed": 2, "archived": True,
                   "revision": 1, "model": "{}", "settings": "{}"}),
    ("member", {"workspace": W, "who": BEN.id, "role": "viewer"}),
    ("blob", {"sha256": sha256(png(1)), "size": len(png(1)), "added": 5}),
    ("file", {"workspace": W, "id": FILE, "place": 0, "name": "set.zip", "zipped": True}),
    ("item", {"workspace": W, "file": FILE, "place": 0, "name": "cat/a.png",
              "sha256": sha256(png(1)), "size": len(png(1)), "picture": True, "reason": None}),
    ("item", {"workspace": W, "file": FILE, "place": 1, "name": "cat/b.png",
              "sha256": sha256(png(1)), "size": len(png(1)), "picture": True, "reason": None}),
    ("item", {"workspace": W, "file": FILE, "place": 2, "name": "labels.csv",
              "sha256": sha256(png(1)), "size": len(png(1)), "picture": False, "reason": None}),
    ("item", {"workspace": W, "file": FILE, "place": 3, "name": "bad.png", "sha256": None,
              "size": 0, "picture": False, "reason": "no image"}),
    ("attachment", {"workspace": W, "key": "mask", "sha256": sha256(png(1))}),
    ("remark", {"workspace": W, "image": "cat/a.png", "version": 1, "tags": '["fog"]',
                "note": "seen", "should_be": "dog", "labels": '["dog"]', "by": ADA.id,
                "by_name": "Ada", "at": 3}),
    ("comment", {"workspace": W, "id": COMMENT, "image": "cat/a.png", "author": BEN.id,
                 "author_name": "Ben", "text": "hello", "at": 4}),
    ("event", {"id": "e" * 32, "at": 6, "person": ADA.id, "person_name": "Ada", "what": "share",
               "workspace": W, "detail": "Old: team"}),
]  # fmt: skip


def _at(url: str, revision: str) -> None:
    """Make a database of an earlier revision with data in it."""
    engine = connection._engine(url).execution_options(attnlib_write=True)
    with engine.begin() as transaction:
        connection.upgrade(transaction, None, revision)
        for table, row in ROWS_0001:
            names = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(f":{name}" for name in row)
            transaction.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    engine.dispose()


def _revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", "attnlib.store:migrations")
    return [s.revision for s in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def test_the_newest_revision_is_the_one_that_the_tables_have() -> None:
    assert _revisions()[-1] == migrations.HEAD
    assert len(_revisions()) >= 2


@pytest.mark.parametrize("revision", _revisions())
def test_nothing_is_lost_from_a_database_of_any_earlier_version(
    database: str, tmp_path: Path, revision: str
) -> None:
    _at(database, revision)
    kept = store.connect(database, home=tmp_path)
    kept._blobs.put(sha256(png(1)), png(1))
    contents = kept.open(ADA, W)
    head = contents.head
    assert (head.name, head.access, head.revision, head.role) == ("Old", "team", 7, "admin")
    assert head.created.timestamp() == pytest.approx(1_700_000_000.000001, abs=1e-7)
    # The first revision did not count; a row that was written after the second stays as it was.
    assert head.images == (2 if revision == "0001" else 0)
    (file,) = contents.files
    assert [getattr(item, "reason", None) for item in file.opened.items] == [None] * 3 + [
        "no image"
    ]
    assert file.opened.items[1][1].read() == png(1)
    assert contents.setup.model == {"name": "vit"}
    assert contents.setup.attachments == {"mask": sha256(png(1))}
    case = contents.cases["cat/a.png"]
    assert (case.version, case.by, case.labels) == (1, ADA.id, ("dog",))
    assert case.same(Case(said("seen", "fog", should_be="dog").remark, ("dog",)))
    assert contents.comments["cat/a.png"][0].text == "hello"
    assert kept.members(ADA, W) == {BEN.id: "viewer"}
    assert [h.name for h in kept.workspaces(BEN, archived=True)] == ["Bare"]
    # And it goes on.
    kept.add_files(ADA, W, [stored("b.png", png(2))])
    assert kept.head(ADA, W).images == 3
    kept.delete(ADA, W)
    assert kept.usage(ADA).bytes == 0


def test_the_migrations_make_what_the_tables_say(database: str) -> None:
    def differences(transaction: Connection) -> list[Any]:
        context = MigrationContext.configure(transaction, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))

    base = Database(database)
    assert base.read(differences) == []
    # Autogeneration compares no primary keys and no rules of deletion.
    made = base.read(lambda t: {n: _rules(t, n) for n in METADATA.tables})
    for name, table in METADATA.tables.items():
        rules = {
            (tuple(key.column_keys), key.referred_table.name, key.ondelete)
            for key in table.foreign_key_constraints
        }
        assert made[name] == ([c.name for c in table.primary_key], rules)


def _rules(transaction: Connection, table: str) -> tuple[list[str], set[Any]]:
    found = inspect(transaction)
    keys = found.get_foreign_keys(table)
    return list(found.get_pk_constraint(table)["constrained_columns"]), {
        (tuple(k["constrained_columns"]), k["referred_table"], k["options"].get("ondelete"))
        for k in keys
    }


def test_several_processes_may_open_an_old_database_at_once(database: str, tmp_path: Path) -> None:
    _at(database, "0001")

    def work() -> int:
        return store.connect(database, home=tmp_path).head(store.LOCAL, W).images

    assert forking.answers(work, *[()] * 6) == [2] * 6


def test_several_processes_may_make_a_database_at_once(database: str, tmp_path: Path) -> None:
    def work(id: str) -> str:
        return store.connect(database, home=tmp_path).create(ADA, id, "W").id

    ids = [new() for _ in range(6)]
    assert forking.answers(work, *[(id,) for id in ids]) == ids
    assert {h.id for h in store.connect(database, home=tmp_path).workspaces(ADA)} == set(ids)


def test_a_migration_that_fails_changes_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _at(database, "0001")
    upgrade = connection.command.upgrade

    def broken(config: Config, target: str) -> None:
        upgrade(config, target)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(connection.command, "upgrade", broken)
        with pytest.raises(StoreError, match="full"):
            store.connect(database, home=tmp_path)
    engine = connection._engine(database)
    with engine.begin() as transaction:
        assert connection._revision(transaction) == "0001"
        assert "images" not in {c["name"] for c in inspect(transaction).get_columns("workspace")}
    engine.dispose()
    assert store.connect(database, home=tmp_path).head(ADA, W).images == 2


def test_a_database_of_a_newer_version_is_left_alone(
    connect: Callable[[], Store], database: str, tmp_path: Path
) -> None:
    connect().create(ADA, new(), "W")
    engine = connection._engine(database).execution_options(attnlib_write=True)
    with engine.begin() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer version of attnlib.*9999"):
        store.connect(database, home=tmp_path)
    with engine.begin() as transaction:
        assert connection._revision(transaction) == "9999"
    engine.dispose()
