"""The database, SQLite in a file or PostgreSQL by URL: transactions, and migration at the start."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.pool import QueuePool

from attnlib.errors import StoreError
from attnlib.store.failures import passing, told
from attnlib.store.migrations import HEAD

T = TypeVar("T")

# How long a writer waits for the others, in seconds. Sixteen processes that write all the time
# let the unluckiest wait for 9 s on SQLite.
PATIENCE: Final = 60
_ATTEMPTS: Final = 5
# Any number that no other program takes for its advisory locks in the same database.
_MIGRATION_LOCK: Final = 0x6174746E
# Alembic's context is global to the process.
_ALEMBIC: Final = Lock()


class Database:
    """Transactions on one database, of this version's schema.

    Raises:
        StoreError: it cannot be reached, or a newer version has written it.
    """

    def __init__(self, url: str | URL) -> None:
        """
        Args:
            url: ``sqlite:///file`` or ``postgresql://user:password@host/name``.
        """
        with told():
            engine = _engine(url)
            self._engine = engine
            self._writer = engine.execution_options(attnlib_write=True)
            self._reader = engine
            if engine.dialect.name == "postgresql":
                self._reader = engine.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            self._migrate()

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` finds, all of it as of one moment."""
        with told(), self._reader.begin() as transaction:
            return work(transaction)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` gives, once all that it wrote is safe on disk; on any failure, none is.

        ``work`` may be run more than once.
        """
        with told():
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    with self._writer.begin() as transaction:
                        return work(transaction)
                except DBAPIError as error:
                    if attempt == _ATTEMPTS or not passing(error):
                        raise
        raise AssertionError

    def ready(self) -> None:
        """Raises StoreError unless the database answers."""
        self.read(lambda transaction: transaction.execute(text("SELECT count(*) FROM blob")))

    def close(self) -> None:
        self._engine.dispose()

    def _migrate(self) -> None:
        with self._reader.begin() as transaction:
            if _revision(transaction) == HEAD:
                return
        with self._writer.begin() as transaction:
            if transaction.dialect.name == "postgresql":
                transaction.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK}
                )
            revision = _revision(transaction)
            if revision != HEAD:  # another process may have been faster
                upgrade(transaction, revision)


def upgrade(transaction: Connection, revision: str | None, target: str = HEAD) -> None:
    """Bring a database to a revision, within the transaction.

    Args:
        revision: what it has now; None for an empty one.

    Raises:
        StoreError: ``revision`` is none that this version knows.
    """
    config = Config()
    config.set_main_option("script_location", "attnlib.store:migrations")
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"The database was written by a newer version of attnlib (its schema is {revision}): "
            "install that version. Nothing was changed."
        )
    config.attributes["connection"] = transaction
    with _ALEMBIC:
        command.upgrade(config, target)


def _revision(transaction: Connection) -> str | None:
    if not inspect(transaction).has_table("alembic_version"):
        return None
    found: str | None = transaction.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "The database's URL is none: write postgresql://user:password@host/name."
        ) from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database:
        return _sqlite(Path(parsed.database).absolute())
    if kind not in ("postgresql", "postgres"):
        raise StoreError(
            f"The database {kind!r} is not supported: give the URL of a PostgreSQL database, or "
            "none for a file of its own (SQLite)."
        )
    if find_spec("psycopg") is None:
        raise StoreError("PostgreSQL needs psycopg: run pip install 'attnlib[postgres]'.")
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=16,
        connect_args={
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "tcp_user_timeout": 30_000,
            # The locks of a writer whose machine is gone are not held for ever.
            "options": f"-c lock_timeout={PATIENCE}s -c idle_in_transaction_session_timeout=120s",
        },
    )


def _sqlite(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)

    def connect() -> sqlite3.Connection:
        # Never make the file anew: where its disk is gone for a while, writing into an empty
        # database would look like success.
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=8)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        record.info["file"] = _identity(path)
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "checkout")
    def same_file(connection: Any, record: Any, proxy: Any) -> None:
        """A connection to a file that was moved away would write where nobody reads."""
        if record.info["file"] != _identity(path):
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("attnlib_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _use_wal(connection: sqlite3.Connection) -> None:
    """The file remembers it; the change itself does not wait for others as other statements do."""
    for attempt in range(PATIENCE * 20):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == PATIENCE * 20 - 1:
                raise
            time.sleep(0.05)
