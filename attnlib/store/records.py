"""What is kept, as the rest of the house sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from attnlib.data.collection import Opened
from attnlib.data.remarks import Remark
from attnlib.store.people import Role

# private: the owner and the members; team: everybody who is signed in finds it in the list;
# link: whoever is signed in and has the link.
Access = Literal["private", "team", "link"]


@dataclass(frozen=True)
class Head:
    """What a list shows of a workspace.

    Attributes:
        role: of the person who asked, in this workspace.
        images: how many picture files it holds, masks among them.
        created, changed: in UTC.
        revision: grows with every change.
    """

    id: str
    name: str
    owner: str
    owner_name: str
    access: Access
    role: Role
    images: int
    created: datetime
    changed: datetime
    archived: bool
    revision: int


@dataclass(frozen=True)
class StoredFile:
    """One uploaded file as it was opened; of what was stored, bytes are fetched when read."""

    id: str
    name: str
    opened: Opened


@dataclass(frozen=True)
class Case:
    """What is said of one image.

    Attributes:
        labels: names of the classes that were corrected on the page; None where none were.
        version: 0 for what nobody has said yet, then 1, 2, …
        by, by_name, at: who wrote this version, and when (UTC).
    """

    remark: Remark = field(default_factory=Remark)
    labels: tuple[str, ...] | None = None
    version: int = 0
    by: str = ""
    by_name: str = ""
    at: datetime | None = None

    def same(self, other: Case) -> bool:
        """Whether both say the same, whoever said it and when."""
        return (self.remark, self.labels) == (other.remark, other.labels)


@dataclass(frozen=True)
class Said:
    """What became of a change.

    Attributes:
        case: as it is now stored.
        theirs: what somebody else had written meanwhile; None where nobody had.
    """

    case: Case
    theirs: Case | None


@dataclass(frozen=True)
class Comment:
    """A sentence in the talk about one image."""

    id: str
    image: str
    author: str
    author_name: str
    text: str
    at: datetime


@dataclass(frozen=True)
class Setup:
    """How a workspace looks at its images.

    Attributes:
        model: JSON that says which model, with the hash of its weights.
        settings: JSON of everything else that was chosen.
        attachments: key -> SHA-256 of a blob: uploaded weights, masks, annotations.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """A whole workspace; cases and comments by the image's name."""

    head: Head
    files: tuple[StoredFile, ...]
    setup: Setup
    cases: Mapping[str, Case]
    comments: Mapping[str, tuple[Comment, ...]]


@dataclass(frozen=True)
class Changes:
    """What people change in a workspace while others look on.

    Attributes:
        files: the ids of all files there are.
    """

    head: Head
    files: tuple[str, ...]
    cases: Mapping[str, Case]
    comments: Mapping[str, tuple[Comment, ...]]


@dataclass(frozen=True)
class Event:
    """One line of the audit log.

    Attributes:
        what: ``share``, ``delete``, ``export``, ``import``, ``sign-in``, …
        workspace: its id, or "".
        detail: in words or JSON.
    """

    id: str
    at: datetime
    person: str
    person_name: str
    what: str
    workspace: str
    detail: str


@dataclass(frozen=True)
class Usage:
    """What one person's workspaces take up: picture files, and bytes (each content once)."""

    images: int
    bytes: int
