"""The tables. What is written here must be what the migrations make; a test compares them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, kept as microseconds: SQLite has no type that knows of time zones."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


METADATA = MetaData()
ID = String(32)
SHA256 = String(64)

WORKSPACE = Table(
    "workspace",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("owner_name", Text, nullable=False),
    Column("access", String(8), nullable=False),
    Column("created", Moment, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    # JSON as text: nothing inside it is asked for in SQL.
    Column("model", Text, nullable=False),
    Column("settings", Text, nullable=False),
    # So that a list need not count the items of every workspace in it.
    Column("images", Integer, nullable=False, server_default="0"),
    Index("workspace_owner", "owner"),
)

# Who was given a role in a workspace: an id, or an email address in lower case.
MEMBER = Table(
    "member",
    METADATA,
    Column("workspace", ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True),
    Column("who", Text, primary_key=True),
    Column("role", String(8), nullable=False),
    Index("member_who", "who"),
)

# One row for each content that something refers to. Whoever adds or takes away a reference locks
# it, so that a file is never deleted while somebody adds it again.
BLOB = Table(
    "blob",
    METADATA,
    Column("sha256", SHA256, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("added", Moment, nullable=False),
)

FILE = Table(
    "file",
    METADATA,
    Column("workspace", ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True),
    Column("id", ID, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("zipped", Boolean, nullable=False),
)

# What came out of a file: a content under a name, or the reason why it was refused.
ITEM = Table(
    "item",
    METADATA,
    Column("workspace", ID, primary_key=True),
    Column("file", ID, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("sha256", ForeignKey("blob.sha256")),
    Column("size", BigInteger, nullable=False),
    Column("picture", Boolean, nullable=False),
    Column("reason", Text),
    ForeignKeyConstraint(["workspace", "file"], ["file.workspace", "file.id"], ondelete="CASCADE"),
    Index("item_sha256", "sha256"),
)

ATTACHMENT = Table(
    "attachment",
    METADATA,
    Column("workspace", ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sha256", ForeignKey("blob.sha256"), nullable=False),
    Index("attachment_sha256", "sha256"),
)

# Every version of what was said of an image; the highest is the one that counts.
CASE = Table(
    "remark",
    METADATA,
    Column("workspace", ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True),
    Column("image", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("tags", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("should_be", Text, nullable=False),
    Column("labels", Text),
    Column("by", Text, nullable=False),
    Column("by_name", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

COMMENT = Table(
    "comment",
    METADATA,
    Column("workspace", ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True),
    Column("id", ID, primary_key=True),
    Column("image", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

# The audit log. It outlives the workspaces that it speaks of.
EVENT = Table(
    "event",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("person", Text, nullable=False),
    Column("person_name", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("workspace", ID, nullable=False),
    Column("detail", Text, nullable=False),
    Index("event_at", "at"),
    Index("event_workspace", "workspace"),
)
