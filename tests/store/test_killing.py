"""A small run of `benchmarks.store`: writers, servers and the database killed in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnlib import store
from benchmarks.killing import TEAM, WORKSPACES, Trial

from . import postgres

KINDS = ("writer", "server", "database")


def test_nothing_that_was_confirmed_is_lost_or_there_twice(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kill, kills = None, (4, 3, 0)
    if database.startswith("postgresql"):
        server: postgres.Server = request.getfixturevalue("server")
        kill = server.crash
        kills = (4, 3, 2)
    trial = Trial(database, tmp_path, 4, 48, kills, kill, seed=int.from_bytes(b"kill"))
    trial.run(patience=120)
    assert trial.done == {k: n for k, n in zip(KINDS, kills, strict=True) if n}
    assert len(trial.noted()) == 48
    assert trial.faults() == []


def test_the_trial_finds_what_is_lost(tmp_path: Path) -> None:
    """The run above can fail: it sees an image, a case and a comment that are gone."""
    database = f"sqlite:///{tmp_path}/db.sqlite3"
    trial = Trial(database, tmp_path, 2, 8, (0, 0, 0))
    trial.run(patience=60)
    assert trial.faults() == []
    kept = store.connect(database, home=tmp_path)
    (one, two, *_) = kept.open(TEAM[1], WORKSPACES[1]).files
    kept.remove_files(TEAM[1], WORKSPACES[1], [one.id])
    assert len(trial.faults()) == 1
    (path,) = (tmp_path / "blobs").rglob(two.opened.items[0][1].sha256)
    path.write_bytes(b"torn")
    assert len(trial.faults()) == 2
    contents = kept.open(TEAM[2], WORKSPACES[2])
    kept.uncomment(TEAM[2], WORKSPACES[2], contents.comments["shared.png"][0].id)
    assert len(trial.faults()) == 3
