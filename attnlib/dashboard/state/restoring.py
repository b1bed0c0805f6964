"""A workspace of the store as a session again, and what others change in it meanwhile."""

from __future__ import annotations

from attnlib.dashboard.state import embedded, model_reference, saving, storage
from attnlib.dashboard.state.session import File, Session, begun
from attnlib.dashboard.state.stored import Stored
from attnlib.data.annotation import read_coco
from attnlib.data.image import sha256
from attnlib.data.masks import Objects
from attnlib.errors import AttnlibError, NotFound, StoreError
from attnlib.store import Case, Contents, Person, Setup, Store


def load(me: Person, id: str) -> Session:
    """A session with all that a workspace holds; bytes of images are read when looked at.

    Raises:
        StoreError: there is no such workspace for this person, or it cannot be read.
    """
    store = storage.store()
    contents = store.open(me, id)
    visitor = begun()
    visitor.embed(embedded.of(str(contents.setup.model.get("source"))))
    head = contents.head
    visitor.stored = Stored(
        head.id,
        head.name,
        head,
        head.revision,
        cases=dict(contents.cases),
        comments=contents.comments,
        setup=saving.plain(contents.setup),
    )
    visitor.objects = _objects(store, me, contents)
    _files(visitor, contents)
    for image, case in contents.cases.items():
        saving.take(visitor, image, case)
    _model(store, me, contents.setup, visitor)
    return visitor


def refresh(visitor: Session, me: Person) -> None:
    """Take over what others changed since this session last looked.

    What the visitor has just said and what is not saved yet stays, and is merged when it is.

    Raises:
        NotFound: it was deleted, or is not shared with this person any longer.
    """
    stored = visitor.stored
    if stored.head is None or stored.saving:
        return
    try:
        store = storage.store()
        head = store.head(me, stored.id)
        if head.revision == stored.seen:
            stored.head = head
            return
        changes = store.changes(me, stored.id)
        if set(changes.files) != set(stored.files.values()):
            _take_files(visitor, store.open(me, stored.id))
    except NotFound:
        raise
    except StoreError as error:
        stored.failure = str(error)
        return
    stored.head, stored.name, stored.comments = changes.head, changes.head.name, changes.comments
    stored.seen = changes.head.revision
    for image in {**stored.cases, **changes.cases}:
        before = stored.cases.get(image, Case())
        now = changes.cases.get(image, Case())
        if now.version == before.version:
            continue
        if not saving.said(visitor, image).same(before):
            # Said and not saved yet: saving merges it with theirs.
            continue
        saving.take(visitor, image, now)
        stored.cases[image] = now
        if now.by != me.id:
            stored.news.append(f"{now.by_name} changed what is said of {image}.")


def _files(visitor: Session, contents: Contents) -> None:
    files = contents.files
    numbers = visitor.put([File(file.name, file.opened) for file in files])
    visitor.stored.files = dict(zip(numbers, (file.id for file in files), strict=True))


def _take_files(visitor: Session, contents: Contents) -> None:
    """Others' files beside those that this session has and has not saved yet."""
    stored = visitor.stored
    there = {file.id: file for file in contents.files}
    known = set(stored.files.values())
    gone = [number for number, id in stored.files.items() if id not in there]
    visitor.drop(gone)
    for number in gone:
        del stored.files[number]
    new = [file for id, file in there.items() if id not in known]
    numbers = visitor.put([File(file.name, file.opened) for file in new])
    stored.files |= zip(numbers, (file.id for file in new), strict=True)


def _objects(store: Store, me: Person, contents: Contents) -> Objects:
    found = Objects()
    for key, digest in contents.setup.attachments.items():
        kind, _, image = key.partition(" ")
        if kind == "mask":
            found.masks[image] = store.blob(me, contents.head.id, digest)
        elif kind == "coco":
            data = store.blob(me, contents.head.id, digest)
            found.coco = (sha256(data), read_coco(data))
    return found


def _model(store: Store, me: Person, setup: Setup, visitor: Session) -> None:
    """The model where its name alone does not say it: a file that was uploaded or lies here."""
    said = setup.model
    if not said or not (said.get("digest") or said.get("checkpoint")):
        return
    try:
        choice = model_reference.read(said)
        if "weights" in setup.attachments:
            visitor.upload = store.blob(me, visitor.stored.id, setup.attachments["weights"])
        visitor.choice = choice
    except AttnlibError as error:
        visitor.model_problem = str(error)
