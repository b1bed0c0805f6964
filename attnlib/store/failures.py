"""What a database or a disk could not do, in words for the person, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from attnlib.errors import StoreError

AGAIN: Final = "What was confirmed as saved is safe; trying again saves nothing twice."
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# PostgreSQL's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PG_DEADLOCK: Final = {"40P01", "40001"}
_PG_FULL: Final = {"53100", "53200"}
_PG_BUSY: Final = {"53300", "55P03", "57014"}


@contextmanager
def told(what: str = "The folder of the store") -> Iterator[None]:
    """Failures of databases and disks as StoreError.

    Args:
        what: cannot be used, where it is not the database.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(_database(error)) from error
    except OSError as error:
        raise StoreError(disk(error, what)) from error


def passing(error: DBAPIError) -> bool:
    """Whether the same transaction will do when it is run again.

    Two that waited for each other will; and of two that add the same row, as one call does that
    is made again too early, the later one finds it there.
    """
    return (
        isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _PG_DEADLOCK
    )


def disk(error: OSError, what: str = "The folder of the store") -> str:
    """A sentence on a failure of the file system."""
    if error.errno in _FULL:
        return f"The disk is full, so this could not be saved: free some space. {AGAIN}"
    return (
        f"{what} cannot be used ({error.strerror or error}): see to it that it is there and can be "
        f"written. {AGAIN}"
    )


def _database(error: SQLAlchemyError) -> str:
    if isinstance(error, PoolTimeout):
        return f"Too many people are saving at once: try again in a moment. {AGAIN}"
    if not isinstance(error, DBAPIError):
        return f"The database could not do this ({_first_line(error)}). {AGAIN}"
    text, code = str(error.orig).lower(), getattr(error.orig, "sqlstate", None)
    if code in _PG_FULL or "is full" in text or "no space left" in text or "disk i/o" in text:
        return f"The database's disk is full or failing: free some space. {AGAIN}"
    if code in _PG_BUSY or code in _PG_DEADLOCK or "locked" in text or "busy" in text:
        return f"The database is busy with others: try again in a moment. {AGAIN}"
    if "readonly" in text or "read-only" in text or code == "25006":
        return (
            f"The database can only be read: give its files or its user the right to write. {AGAIN}"
        )
    if "malformed" in text or "not a database" in text or "file is encrypted" in text:
        return (
            "The database's file is damaged: stop the program and put back a copy of it. "
            "Nothing was changed."
        )
    if code in {"28P01", "28000", "3D000", "42501"}:
        return f"The database does not let us in ({_first_line(error)}): check its URL."
    if _lost(error, code, text):
        return (
            f"The database cannot be reached: it may be starting, or its address may be wrong. Try "
            f"again in a moment. {AGAIN}"
        )
    return f"The database could not do this ({_first_line(error)}). {AGAIN}"


def _lost(error: DBAPIError, code: str | None, text: str) -> bool:
    if error.connection_invalidated or "unable to open" in text or "no such table" in text:
        return True
    if code is not None:
        return code.startswith(("08", "57P"))
    return any(sign in text for sign in ("connect", "resolve", "server closed", "terminat", "ssl"))


def _first_line(error: SQLAlchemyError) -> str:
    orig = error.orig if isinstance(error, DBAPIError) else error
    return str(orig).strip().splitlines()[0][:200] if str(orig).strip() else type(orig).__name__
