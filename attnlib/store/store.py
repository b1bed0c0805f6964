"""The store: everything that outlives a visit, behind one door that knows who asks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import platformdirs
from sqlalchemy import URL, Connection

from attnlib import settings
from attnlib.data.content import Content
from attnlib.errors import StoreError
from attnlib.store import (
    backup,
    cases,
    events,
    files,
    holding,
    packages,
    roles,
    sharing,
    text,
    transfer,
    workspaces,
)
from attnlib.store.blobs import Blobs, FolderBlobs
from attnlib.store.connection import Database
from attnlib.store.people import Person, Role
from attnlib.store.records import (
    Access,
    Case,
    Changes,
    Contents,
    Event,
    Head,
    Said,
    Setup,
    StoredFile,
    Usage,
)
from attnlib.store.remote import RemoteBlobs


class Store:
    """Workspaces on one database and one place for their contents.

    Any number of threads and processes may use the same database and place. ``me`` is who asks;
    every call raises `NotFound` for a workspace that is not there or that this person may not
    see, `Forbidden` for what they may see and not do, and `StoreError` for what the database or
    the disk cannot do. What a call wrote is safe on disk once it returns, and a call that is made
    again, because its answer was lost, changes nothing. Ids are made by the caller:
    ``uuid.uuid4().hex``.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def workspaces(self, me: Person, archived: bool = False) -> list[Head]:
        """Those in the person's list, the newest change first."""
        return self._database.read(lambda t: workspaces.heads(t, me, archived))

    def create(self, me: Person, id: str, name: str, access: Access = "private") -> Head:
        """A new workspace, empty."""
        return self._database.write(lambda t: workspaces.create(t, me, id, name, access))

    def head(self, me: Person, id: str) -> Head:
        """What a list shows of one workspace; its revision tells whether anything changed."""
        return self._database.read(lambda t: workspaces.head(t, me, id))

    def open(self, me: Person, id: str) -> Contents:
        """All that is in a workspace, as of one moment; bytes are read when asked for."""

        return self._database.read(lambda t: self._contents(t, me, id))

    def changes(self, me: Person, id: str) -> Changes:
        """What people change while others look on, as of one moment: all but files and setup."""

        def work(t: Connection) -> Changes:
            return Changes(
                workspaces.head(t, me, id),
                files.ids(t, id),
                cases.current(t, id),
                cases.comments(t, id),
            )

        return self._database.read(work)

    def add_files(self, me: Person, id: str, added: Sequence[StoredFile]) -> None:
        """Add files after those that are there; one whose id is there stays as it is."""
        self._database.read(lambda t: roles.workspace(t, me, id, "editor"))
        holding.put(self._blobs, files.contents(added))
        self._database.write(lambda t: files.add(t, self._blobs, me, id, added))

    def remove_files(self, me: Person, id: str, ids: Sequence[str]) -> None:
        """Take files away, and their bytes where nothing else uses them."""
        self._release(self._database.write(lambda t: files.remove(t, me, id, ids)))

    def set_up(
        self, me: Person, id: str, setup: Setup, blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Exchange how the workspace is set up.

        Args:
            blobs: SHA-256 -> bytes of attachments that are new.
        """
        given = {text.digest(sha): _content(sha, data) for sha, data in (blobs or {}).items()}
        used = {sha: given[sha] for sha in setup.attachments.values() if sha in given}
        self._database.read(lambda t: roles.workspace(t, me, id, "editor"))
        holding.put(self._blobs, used)
        self._release(
            self._database.write(lambda t: files.set_up(t, self._blobs, me, id, setup, used))
        )

    def blob(self, me: Person, id: str, sha256: str) -> bytes:
        """Bytes that the workspace refers to."""
        name = self._database.read(lambda t: files.name_of(t, me, id, sha256))
        return self._blobs.get(sha256, name)

    def say(self, me: Person, id: str, image: str, before: Case, now: Case) -> Said:
        """Change what is said of an image from what I saw (``before``) to what I want.

        Where somebody else changed it meanwhile, both keep their words; see
        `attnlib.store.merge`.
        """
        return self._database.write(lambda t: cases.say(t, me, id, image, before, now))

    def history(self, me: Person, id: str, image: str) -> list[Case]:
        """Every version of what was said of an image, the first one first."""

        def work(t: Connection) -> list[Case]:
            roles.workspace(t, me, id)
            return cases.history(t, id, image)

        return self._database.read(work)

    def comment(self, me: Person, id: str, comment_id: str, image: str, said: str) -> None:
        """Add a sentence to the talk about an image."""
        self._database.write(lambda t: cases.comment(t, me, id, comment_id, image, said))

    def uncomment(self, me: Person, id: str, comment_id: str) -> None:
        """Take a comment away: one's own, or any as an admin of the workspace."""
        self._database.write(lambda t: cases.uncomment(t, me, id, comment_id))

    def rename(self, me: Person, id: str, name: str) -> None:
        self._database.write(lambda t: workspaces.rename(t, me, id, name))

    def share(self, me: Person, id: str, access: Access, members: Mapping[str, Role]) -> None:
        """Exchange who may see it: ``members`` are ids or email addresses with their roles."""
        self._database.write(lambda t: sharing.share(t, me, id, access, members))

    def members(self, me: Person, id: str) -> dict[str, Role]:
        """Id or email address -> role, without the owner; for editors of the workspace."""
        return self._database.read(lambda t: sharing.members(t, me, id))

    def duplicate(self, me: Person, id: str, new_id: str, name: str) -> Head:
        """A private copy of all that is in it."""
        return self._database.write(lambda t: workspaces.duplicate(t, me, id, new_id, name))

    def archive(self, me: Person, id: str) -> None:
        """Put it out of the list."""
        self._database.write(lambda t: workspaces.archive(t, me, id, True))

    def restore(self, me: Person, id: str) -> None:
        """Put it back into the list."""
        self._database.write(lambda t: workspaces.archive(t, me, id, False))

    def delete(self, me: Person, id: str) -> None:
        """Delete it, and its images where nothing else uses them. There is no way back."""
        self._release(self._database.write(lambda t: workspaces.delete_(t, me, id)))

    def export(self, me: Person, id: str, target: BinaryIO) -> None:
        """Write the whole workspace as one zip; see `attnlib.store.transfer`."""
        contents, histories = self._database.read(
            lambda t: (self._contents(t, me, id), cases.histories(t, id))
        )
        transfer.write(contents, histories, self._blobs, target)
        self._database.write(lambda t: events.add(t, me, "export", id, contents.head.name))

    def import_(self, me: Person, source: BinaryIO, new_id: str, name: str | None = None) -> Head:
        """Read what `export` wrote as a new workspace.

        Raises:
            StoreError: the file is no such export, or a hostile one.
        """
        roles.may_make(me)
        with packages.opened(source, me) as package:
            holding.put(self._blobs, package.contents)
            return self._database.write(lambda t: package.store(t, self._blobs, me, new_id, name))

    def events(self, me: Person, limit: int = 1000) -> list[Event]:
        """The audit log, the newest line first; for admins."""
        return self._database.read(lambda t: events.events(t, me, limit))

    def record(
        self,
        person_id: str,
        person_name: str,
        what: str,
        detail: str = "",
        event_id: str | None = None,
    ) -> None:
        """Write a line into the audit log; with an id of its own, once only."""
        person = Person(person_id, person_name)
        self._database.write(lambda t: events.add(t, person, what, "", detail, event_id))

    def usage(self, me: Person) -> Usage:
        """What the person's own workspaces take up."""
        return self._database.read(lambda t: workspaces.usage(t, me))

    def sweep(self) -> int:
        """Delete contents that crashes left behind over an hour ago; how many there were."""
        return holding.sweep(self._database, self._blobs)

    def back_up(self, folder: Path) -> backup.Backup:
        """Copy all of it into a folder while people work; see `attnlib.store.backup`."""
        return backup.write(self._database, self._blobs, folder)

    def fill(self, folder: Path) -> backup.Backup:
        """Put a backup in; refused unless there are no workspaces yet."""
        return backup.fill(self._database, self._blobs, folder)

    def ready(self) -> None:
        """Raises StoreError unless the database and the place for contents answer."""
        self._database.ready()
        self._blobs.ready()

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def _contents(self, t: Connection, me: Person, id: str) -> Contents:
        row, _ = roles.workspace(t, me, id)
        model, settings = workspaces.settings_of(row)
        return Contents(
            workspaces.head(t, me, id),
            files.stored(t, self._blobs, id),
            Setup(model, settings, files.attachments(t, id)),
            cases.current(t, id),
            cases.comments(t, id),
        )

    def _release(self, candidates: Iterable[str]) -> None:
        holding.release(self._database, self._blobs, candidates)


def connect(
    database: str | None = None, blobs: str | None = None, home: Path | None = None
) -> Store:
    """The store, its database brought to this version's schema.

    Args:
        database: ``postgresql://…``, or None for ``ATTNLIB_DATABASE_URL``, or without it for an
            SQLite file in ``home``.
        blobs: URL of a store for contents (``s3://bucket/prefix``, ``file:///folder``), or None
            for ``ATTNLIB_BLOBS_URL``, or without it for a folder in ``home``.
        home: a folder, or None for ``ATTNLIB_HOME``, or without it the user's data folder.

    Raises:
        StoreError: the database or the place for contents cannot be used.
    """
    chosen = settings.current()
    home = home or chosen.home or platformdirs.user_data_path("attnlib", appauthor=False)
    database, blobs = database or chosen.database_url, blobs or chosen.blobs_url
    place: Blobs
    if blobs and not blobs.startswith("file://"):
        place = RemoteBlobs(blobs)
    else:
        place = FolderBlobs(Path(blobs.removeprefix("file://")) if blobs else home / backup.BLOBS)
    file = URL.create("sqlite", database=str(home / backup.FILE))
    return Store(Database(database or file), place)


def _content(sha256: str, data: bytes) -> Content:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError("The bytes of an attachment are not those of its SHA-256.")
    return Content(sha256, len(data), lambda: data)
