"""The server's one store, and whether anything is kept here at all."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from threading import Lock

import streamlit as st

from attnlib import settings
from attnlib.dashboard.state import people
from attnlib.errors import StoreError
from attnlib.store import Store, connect

log = logging.getLogger(__name__)

# After a failure, whoever comes within these seconds is told of it without another try.
PAUSE_S = 5.0


@dataclass
class _Door:
    """The store once it could be opened, else why not."""

    lock: Lock = field(default_factory=Lock)
    store: Store | None = None
    failure: str = ""
    tried: float = -PAUSE_S

    def open(self) -> Store:
        with self.lock:
            if self.store is None and time.monotonic() - self.tried >= PAUSE_S:
                try:
                    self.store = _connect()
                except StoreError as error:
                    self.failure, self.tried = str(error), time.monotonic()
            if self.store is None:
                raise StoreError(self.failure)
            return self.store


def _connect() -> Store:
    chosen = settings.current()
    return connect(chosen.database_url or None, chosen.blobs_url or None, chosen.home)


@st.cache_resource(max_entries=1, show_spinner=False)
def _door() -> _Door:
    return _Door()


def store() -> Store:
    """The store of this process.

    Raises:
        StoreError: it cannot be opened, now or some seconds ago.
    """
    return _door().open()


def ready() -> None:
    """Whether what is kept can be reached; for the readiness check.

    Raises:
        StoreError: it cannot.
    """
    if not off():
        store().ready()


def tidy() -> None:
    """Delete what crashes left behind in the store; what fails is the log's."""
    try:
        if not off():
            store().sweep()
    except StoreError as error:
        log.warning("What crashes left in the store could not be deleted: %s", error)


def off() -> str:
    """Why nothing is kept on this server, in words; "" where it is.

    Without a sign-in nobody could tell one person's images from another's: then things are kept
    only where the server serves one machine.
    """
    if people.sign_in_is_on() or people.alone():
        return ""
    return (
        "This server is open to others and has no sign-in, so nothing is kept: what you do is "
        "gone when the page is closed. Downloads stay."
    )
