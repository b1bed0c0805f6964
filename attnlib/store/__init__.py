"""Workspaces and cases that last: SQLite or PostgreSQL for words, blobs by SHA-256 for bytes."""

from attnlib.errors import Forbidden as Forbidden
from attnlib.errors import NotFound as NotFound
from attnlib.errors import StoreError as StoreError
from attnlib.store.people import LOCAL as LOCAL
from attnlib.store.people import Person as Person
from attnlib.store.people import Role as Role
from attnlib.store.records import Access as Access
from attnlib.store.records import Case as Case
from attnlib.store.records import Changes as Changes
from attnlib.store.records import Comment as Comment
from attnlib.store.records import Contents as Contents
from attnlib.store.records import Event as Event
from attnlib.store.records import Head as Head
from attnlib.store.records import Said as Said
from attnlib.store.records import Setup as Setup
from attnlib.store.records import StoredFile as StoredFile
from attnlib.store.records import Usage as Usage
from attnlib.store.store import Store as Store
from attnlib.store.store import connect as connect
