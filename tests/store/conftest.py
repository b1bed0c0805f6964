"""A store on each kind of database, empty and of one test's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attnlib import store
from attnlib.store import Store

from . import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL server; the test is skipped where it is not installed, but not in CI."""
    programs = postgres.programs()
    if programs is None:
        assert os.environ.get("CI") != "true", "CI must install postgresql"
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    started = postgres.Server(programs)
    yield started
    started.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/attnlib.sqlite3"
    running: postgres.Server = request.getfixturevalue("server")
    return running.database()


@pytest.fixture
def connect(database: str, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same store again and again, as other processes would."""
    opened: list[Store] = []

    def again() -> Store:
        opened.append(store.connect(database, home=tmp_path))
        return opened[-1]

    yield again
    for one in opened:
        one.close()


@pytest.fixture
def empty(connect: Callable[[], Store]) -> Store:
    """An empty store."""
    return connect()
