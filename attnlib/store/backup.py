"""A whole store as a folder, and back: between any two databases and places for contents.

The folder is laid out as the store's own home: ``attnlib.sqlite3`` and ``blobs/``. Nobody is kept
from working meanwhile. Contents are copied after the rows that refer to them; whoever deletes one
in between is found out by the content that is gone, and then the rows are read again. So the rows
that are kept are of one moment after the start, and every content that they refer to is there.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, func, select, union
from sqlalchemy.dialects import postgresql, sqlite

from attnlib.errors import StoreError
from attnlib.store import failures
from attnlib.store.blobs import Blobs, FolderBlobs
from attnlib.store.connection import Database
from attnlib.store.tables import ATTACHMENT, ITEM, METADATA, WORKSPACE

# The names of a store's own home, so that a copy can be opened like one.
FILE: Final = "attnlib.sqlite3"
BLOBS: Final = "blobs"
_ABOUT: Final = "backup.json"
_ROWS: Final = 1_000
_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Attributes:
        moment: of which the rows are, in ISO 8601.
        workspaces: how many there are.
        contents: how many images and other files, equal ones once.
        lost: SHA-256 of contents that were gone or damaged in the store itself.
    """

    moment: str
    workspaces: int
    contents: int
    lost: tuple[str, ...] = ()


def write(database: Database, blobs: Blobs, folder: Path) -> Backup:
    """Copy all that is in a store; into the folder of an earlier backup only what is new.

    Until the end an earlier backup stays as it is.

    Raises:
        StoreError: the folder holds something else, another backup is being written there, or the
            store or the folder cannot be used.
    """
    with failures.told("The folder of the backup"), _alone(folder):
        place = FolderBlobs(folder / BLOBS)
        unfinished = folder / f"{FILE}.unfinished"
        lost: set[str] | None = None
        while True:
            _remove(unfinished)
            moment = datetime.now(UTC).isoformat(timespec="seconds")
            wanted, workspaces = _copy_rows(database, unfinished)
            before, lost = lost, _copy_contents(blobs, place, wanted)
            # What was there a moment ago may have been deleted since; what newer rows still refer
            # to is really gone.
            if not lost or (before is not None and lost <= before):
                break
        os.replace(unfinished, folder / FILE)
        made = Backup(moment, workspaces, len(wanted), tuple(sorted(lost)))
        _note(folder, asdict(made))
        for sha256 in set(place.older(0)) - wanted:
            place.delete(sha256)
        return made


def read(folder: Path) -> Backup:
    """What a backup says of itself. Raises StoreError where there is none that was finished."""
    try:
        said = json.loads((folder / _ABOUT).read_text())
        return Backup(
            str(said["moment"]),
            int(said["workspaces"]),
            int(said["contents"]),
            tuple(map(str, said["lost"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"There is no finished backup in {folder}: name the folder of one."
        ) from error


def fill(database: Database, blobs: Blobs, folder: Path) -> Backup:
    """Put a backup into a store without workspaces, of this or an earlier version's schema.

    Every content is verified before any row is written, and all rows are written at once.

    Raises:
        StoreError: there is no finished backup, a content of it is missing or damaged, the store
            has workspaces, or either cannot be used. Then no row was written.
    """
    made = read(folder)
    database.read(_refuse_workspaces)
    with tempfile.TemporaryDirectory() as aside, failures.told("The folder of the backup"):
        # The schema is brought to this version's in a copy: the backup itself stays as it is.
        shutil.copy(folder / FILE, aside)
        with closing(_file(Path(aside) / FILE)) as rows:
            wanted = rows.read(_referred) - set(made.lost)
            place = FolderBlobs(folder / BLOBS)
            if gone := _copy_contents(place, blobs, wanted):
                raise StoreError(
                    f"{len(gone)} of {len(wanted)} files in the backup are missing or damaged, the "
                    f"first of them {min(gone)}: restore an earlier backup, or put them back. No "
                    "workspace was restored."
                )

            def work(target: Connection) -> None:
                _refuse_workspaces(target)
                rows.read(lambda source: _pour(source, target))

            database.write(work)
    return made


def _copy_rows(database: Database, file: Path) -> tuple[set[str], int]:
    """All rows as of one moment as a file; the contents they refer to, and the workspaces."""
    with closing(_file(file)) as copy:
        database.read(lambda source: copy.write(lambda target: _pour(source, target)))
        count = select(func.count()).select_from(WORKSPACE)
        return copy.read(_referred), int(copy.read(lambda t: t.scalar(count)) or 0)


def _pour(source: Connection, target: Connection) -> None:
    insert = postgresql.insert if target.dialect.name == "postgresql" else sqlite.insert
    for table in METADATA.sorted_tables:
        found = source.execution_options(yield_per=_ROWS).execute(select(table))
        for rows in found.mappings().partitions():
            # A store in which nobody has worked yet may have lines in its log.
            target.execute(insert(table).on_conflict_do_nothing(), [dict(row) for row in rows])


def _copy_contents(source: Blobs, target: Blobs, wanted: Iterable[str]) -> set[str]:
    """Copy what is not there yet, verified; those that the source does not give."""

    def copy(sha256: str) -> bool:
        try:
            data = source.get(sha256, sha256)
        except StoreError:
            # One that is gone is one thing, a place that cannot be reached another.
            source.ready()
            return False
        target.put(sha256, data)
        return True

    absent = sorted(target.missing(wanted))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {name for name, done in zip(absent, pool.map(copy, absent), strict=True) if not done}


def _referred(transaction: Connection) -> set[str]:
    items = select(ITEM.c.sha256).where(ITEM.c.sha256.is_not(None))
    return set(transaction.scalars(union(items, select(ATTACHMENT.c.sha256))))


def _refuse_workspaces(transaction: Connection) -> None:
    if transaction.scalar(select(WORKSPACE.c.id).limit(1)) is not None:
        raise StoreError(
            "There are workspaces in the database already: restore into an empty one. Nothing was "
            "changed."
        )


def _file(path: Path) -> Database:
    return Database(URL.create("sqlite", database=str(path.absolute())))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A folder that is a backup's, or becomes one, and that nobody else writes to."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / _ABOUT).exists():
        if any(folder.iterdir()):
            raise StoreError(
                f"{folder} is neither empty nor a backup: name another folder. Nothing was changed."
            )
        _note(folder, {})
    # A lock that ends with its process, on every system.
    with closing(sqlite3.connect(folder / "lock", timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"Another backup is being written to {folder}: wait for it."
            ) from error
        yield


def _note(folder: Path, said: dict[str, object]) -> None:
    unfinished = folder / f"{_ABOUT}.unfinished"
    with open(unfinished, "w") as file:
        json.dump(said, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / _ABOUT)


def _remove(file: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{file}{end}").unlink(missing_ok=True)
