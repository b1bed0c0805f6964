"""What is said of one image: its case in versions, and the talk about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_

from attnlib.data.remarks import Remark
from attnlib.errors import Forbidden, StoreError
from attnlib.store import roles, text, workspaces
from attnlib.store.merge import authors, merged
from attnlib.store.people import Person
from attnlib.store.records import Case, Comment, Said
from attnlib.store.tables import CASE, COMMENT


def say(transaction: Connection, me: Person, id: str, image: str, before: Case, now: Case) -> Said:
    """Change a case from what I saw to what I want; see `attnlib.store.merge`."""
    roles.workspace(transaction, me, id, "editor", lock=True)
    image = text.key(image, "The name of the image")
    before, now = storable(before), limited(now)
    versions = [Case(), *history(transaction, id, image)]
    stored, joint = versions[-1], _joint(versions, before, now, me)
    meanwhile = [v for v in versions if v.version > before.version]
    theirs = [v for v in meanwhile if not any(v.same(known) for known in (before, now, joint))]
    seen = theirs[-1] if theirs else None
    if joint.same(stored):
        return Said(stored, seen)
    written = Case(
        joint.remark, joint.labels, stored.version + 1, me.id, me.name, datetime.now(UTC)
    )
    transaction.execute(insert(CASE).values(row(id, image, written)))
    workspaces.changed(transaction, id)
    return Said(written, seen)


def _joint(versions: Sequence[Case], before: Case, now: Case, me: Person) -> Case:
    """The change merged with what is stored, or what is stored where it was merged before.

    The answer to a change can be lost on its way and the change be sent again; by then somebody
    else may have decided otherwise, who had seen it.
    """
    for place in range(1, len(versions)):
        version = versions[place]
        if version.version > before.version and version.by == me.id:
            then = versions[:place]
            if merged(before, then[-1], now, version.by_name, authors(then)).same(version):
                return versions[-1]
    return merged(before, versions[-1], now, me.name, authors(versions))


def history(transaction: Connection, id: str, image: str) -> list[Case]:
    """All versions of what was said of an image, the first one first."""
    here = (CASE.c.workspace == id) & (CASE.c.image == text.storable(image))
    rows = transaction.execute(select(CASE).where(here).order_by(CASE.c.version))
    return [case(found) for found in rows]


def current(transaction: Connection, id: str) -> dict[str, Case]:
    """The case of each image of which anything was said."""
    latest = (
        select(CASE.c.image, func.max(CASE.c.version))
        .where(CASE.c.workspace == id)
        .group_by(CASE.c.image)
    )
    rows = transaction.execute(
        select(CASE)
        .where(CASE.c.workspace == id, tuple_(CASE.c.image, CASE.c.version).in_(latest))
        .order_by(CASE.c.image)
    )
    return {found.image: case(found) for found in rows}


def histories(transaction: Connection, id: str) -> list[tuple[str, Case]]:
    """All versions of all cases of a workspace, by the image's name."""
    rows = transaction.execute(
        select(CASE).where(CASE.c.workspace == id).order_by(CASE.c.image, CASE.c.version)
    )
    return [(found.image, case(found)) for found in rows]


def comment(
    transaction: Connection, me: Person, id: str, comment_id: str, image: str, said: str
) -> None:
    """Add a sentence to the talk about an image."""
    roles.workspace(transaction, me, id, lock=True)
    values = {
        "workspace": id,
        "id": text.new_id(comment_id),
        "image": text.key(image, "The name of the image"),
        "author": me.id,
        "author_name": me.name,
        "text": text.limited(said.strip(), "The comment", text.LONGEST_COMMENT),
        "at": datetime.now(UTC),
    }
    if not values["text"]:
        raise StoreError("The comment is empty.")
    there = (COMMENT.c.workspace == id) & (COMMENT.c.id == comment_id)
    if transaction.execute(select(COMMENT.c.id).where(there)).first() is None:
        transaction.execute(insert(COMMENT).values(values))
        workspaces.changed(transaction, id)


def uncomment(transaction: Connection, me: Person, id: str, comment_id: str) -> None:
    """Take a comment away: one's own, or as an admin of the workspace."""
    _, role = roles.workspace(transaction, me, id, lock=True)
    there = (COMMENT.c.workspace == id) & (COMMENT.c.id == comment_id)
    found = transaction.execute(select(COMMENT.c.author).where(there)).first()
    if found is None:
        return
    if found.author != me.id and role != "admin":
        raise Forbidden("This comment is somebody else's: only they or an admin can take it away.")
    transaction.execute(delete(COMMENT).where(there))
    workspaces.changed(transaction, id)


def comments(transaction: Connection, id: str) -> dict[str, tuple[Comment, ...]]:
    """All comments by the image's name, the first one first."""
    found: dict[str, list[Comment]] = {}
    rows = transaction.execute(
        select(COMMENT).where(COMMENT.c.workspace == id).order_by(COMMENT.c.at, COMMENT.c.id)
    )
    for r in rows:
        found.setdefault(r.image, []).append(
            Comment(r.id, r.image, r.author, r.author_name, r.text, r.at)
        )
    return {image: tuple(said) for image, said in found.items()}


def row(id: str, image: str, said: Case) -> dict[str, Any]:
    """A case as a row of the table."""
    return {
        "workspace": id,
        "image": image,
        "version": said.version,
        "tags": json.dumps(said.remark.tags),
        "note": said.remark.note,
        "should_be": said.remark.should_be,
        "labels": None if said.labels is None else json.dumps(said.labels),
        "by": said.by,
        "by_name": said.by_name,
        "at": said.at,
    }


def case(found: Row[Any]) -> Case:
    """A row of the table as a case."""
    return Case(
        Remark(tuple(json.loads(found.tags)), found.note, found.should_be),
        None if found.labels is None else tuple(json.loads(found.labels)),
        found.version,
        found.by,
        found.by_name,
        found.at,
    )


def limited(said: Case) -> Case:
    """The same in storable text. Raises StoreError if there is too much of it."""
    remark, labels = said.remark, said.labels or ()
    for what, several in (("tags", remark.tags), ("labels", labels)):
        if len(several) > text.MOST_TAGS:
            raise StoreError(
                f"One image has {len(several)} {what}, and the limit is {text.MOST_TAGS}."
            )
    text.limited(remark.note, "The note", text.LONGEST_NOTE)
    for one in (*remark.tags, *labels, remark.should_be):
        text.limited(one, "A tag or label", text.LONGEST_LABEL)
    return storable(said)


def storable(said: Case) -> Case:
    """The same in text that both databases can hold."""
    remark, labels = said.remark, said.labels
    return replace(
        said,
        remark=Remark(
            tuple(map(text.storable, remark.tags)),
            text.storable(remark.note),
            text.storable(remark.should_be),
        ),
        labels=None if labels is None else tuple(map(text.storable, labels)),
    )
