"""Contents that something refers to: held while it does, deleted when nothing does any longer.

A row of the table ``blob`` is the lock on its file. Whoever adds a reference locks the row first
and then sees to it that the file is there; whoever deletes a file locks the row, and counts the
references, first. A crash leaves at most a row or a file that nothing refers to, for `sweep`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, select, union
from sqlalchemy.dialects import postgresql, sqlite

from attnlib.data.content import Content
from attnlib.errors import StoreError
from attnlib.store import text
from attnlib.store.blobs import Blobs
from attnlib.store.connection import Database
from attnlib.store.tables import ATTACHMENT, BLOB, ITEM

LOG = logging.getLogger(__name__)

# Rows locked by one transaction: few enough that others do not wait long.
_CHUNK: Final = 200
# What is younger may be an upload that is not finished.
GRACE: Final = timedelta(hours=1)
# Most of the time of a write is waiting for the disk or the network.
_AT_ONCE: Final = 8


def put(blobs: Blobs, contents: Mapping[str, Content]) -> None:
    """Write contents that something is going to refer to; before the transaction, it takes time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda item: blobs.put(item[0], item[1].read()), contents.items()):
            pass


def hold(transaction: Connection, blobs: Blobs, contents: Mapping[str, Content]) -> None:
    """Lock the contents, so that references to them can be added, and see that they are there."""
    insert = postgresql.insert if transaction.dialect.name == "postgresql" else sqlite.insert
    now = datetime.now(UTC)
    # Everybody locks in this order: nobody waits in a circle.
    for chunk in _chunks(sorted(contents)):
        rows = [{"sha256": key, "size": contents[key].size, "added": now} for key in chunk]
        statement = insert(BLOB).values(rows)
        transaction.execute(
            statement.on_conflict_do_update(
                index_elements=[BLOB.c.sha256], set_={"added": statement.excluded.added}
            )
        )
    for key in sorted(blobs.missing(contents)):
        blobs.put(key, contents[key].read())


def release(database: Database, blobs: Blobs, candidates: Iterable[str]) -> int:
    """Delete those contents that nothing refers to any longer.

    Returns:
        How many were deleted. What cannot be deleted now is left to `sweep`, with a warning.
    """
    count = 0
    for chunk in _chunks(sorted(set(candidates))):
        try:
            count += database.write(partial(_drop, blobs=blobs, chunk=chunk))
        except StoreError as error:
            LOG.warning("Contents that nothing refers to are left to the next sweep: %s", error)
            break
    return count


def sweep(database: Database, blobs: Blobs) -> int:
    """Delete what crashes left behind, if it is older than `GRACE`.

    Returns:
        How many contents were deleted.
    """
    items = select(ITEM.c.sha256).where(ITEM.c.sha256.is_not(None))
    used = union(items, select(ATTACHMENT.c.sha256))
    unused = (
        select(BLOB.c.sha256)
        .where(BLOB.c.added < datetime.now(UTC) - GRACE)
        .where(BLOB.c.sha256.not_in(used))
    )
    count = release(database, blobs, database.read(lambda t: list(t.scalars(unused))))
    for chunk in _chunks(filter(text.is_sha256, blobs.older(GRACE.total_seconds()))):
        known = database.read(partial(_known, chunk=chunk))
        if orphans := sorted(set(chunk) - known):
            count += database.write(partial(_drop_orphans, blobs=blobs, orphans=orphans))
    return count


def _known(transaction: Connection, chunk: list[str]) -> set[str]:
    return set(transaction.scalars(select(BLOB.c.sha256).where(BLOB.c.sha256.in_(chunk))))


def _drop(transaction: Connection, blobs: Blobs, chunk: list[str]) -> int:
    rows = select(BLOB.c.sha256).where(BLOB.c.sha256.in_(chunk)).order_by(BLOB.c.sha256)
    locked = list(transaction.scalars(rows.with_for_update()))
    references = union(
        select(ITEM.c.sha256).where(ITEM.c.sha256.in_(locked)),
        select(ATTACHMENT.c.sha256).where(ATTACHMENT.c.sha256.in_(locked)),
    )
    used = set(transaction.scalars(references))
    unused = [sha256 for sha256 in locked if sha256 not in used]
    for sha256 in unused:
        blobs.delete(sha256)
    transaction.execute(delete(BLOB).where(BLOB.c.sha256.in_(unused)))
    return len(unused)


def _drop_orphans(transaction: Connection, blobs: Blobs, orphans: list[str]) -> int:
    """Files without a row get one for a moment: it is what locks them."""
    insert = postgresql.insert if transaction.dialect.name == "postgresql" else sqlite.insert
    now = datetime.now(UTC)
    rows = [{"sha256": sha256, "size": 0, "added": now} for sha256 in orphans]
    transaction.execute(insert(BLOB).values(rows).on_conflict_do_nothing())
    return _drop(transaction, blobs, orphans)


def _chunks(items: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
