"""Saving as one works: what differs from the store is written beside the page, in order.

Nothing is asked of the visitor. What could not be written stays in the session, is said on the
screen, and is tried again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from attnlib import settings
from attnlib.dashboard.state import model_reference, storage, weights
from attnlib.dashboard.state.runner import Progress, Work
from attnlib.dashboard.state.session import File, Session
from attnlib.dashboard.state.stored import Stored
from attnlib.data.annotation import write_coco
from attnlib.data.collection import Refusal
from attnlib.data.content import Content
from attnlib.data.image import sha256
from attnlib.data.remarks import Remark
from attnlib.errors import StoreError
from attnlib.model.vit import Vit
from attnlib.store import Case, Person, Setup, Store, StoredFile

# Seconds to wait for what is quickly written, so that it is safe before the page is drawn.
PATIENCE_S = 0.4
# Files that are added in one step.
BATCH = 64
# Seconds after a failure before it is tried again by itself.
AGAIN_S = 5.0

Step = Callable[[Store], None]


@dataclass(frozen=True)
class Chosen:
    """How the visitor looks at the images, beside what lies in the session.

    Attributes:
        vit: the model in use.
        address: what links say of it: key -> texts.
    """

    vit: Vit
    address: Mapping[str, list[str]]


def said(visitor: Session, image: str) -> Case:
    """What the visitor says of an image now."""
    return Case(visitor.remarks.get(image, Remark()), visitor.manual.get(image))


def worth(visitor: Session) -> bool:
    """Whether there is anything that a visitor would miss."""
    said = visitor.remarks or visitor.manual or visitor.stored.unsent
    objects = visitor.given_masks() or visitor.objects.coco
    return bool(visitor.own or said or objects or visitor.choice.digest)


def save(visitor: Session, me: Person, chosen: Chosen, wait: float = PATIENCE_S) -> None:
    """Write what differs from the store, beside the page."""
    stored = visitor.stored
    if stored.saving or (not stored.id and not worth(visitor)):
        return
    _finish(stored)
    if stored.failure and time.monotonic() - stored.tried < AGAIN_S:
        return
    steps = pending(visitor, me, chosen)
    if not steps:
        stored.failure = ""
        return

    def write(progress: Progress) -> None:
        store = storage.store()
        for done, step in enumerate(steps):
            progress(done, len(steps))
            step(store)
        stored.head = store.head(me, stored.id)
        stored.name = stored.head.name

    # A closed page does not undo what was done on it.
    stored.work = Work(write)
    stored.work.start(wait)
    _finish(stored)


def _finish(stored: Stored) -> None:
    """Take over what became of the last saving."""
    if stored.work is not None and stored.work.finished:
        stored.failure = stored.work.failure
        stored.tried = time.monotonic() if stored.failure else stored.tried
        stored.work = None


def pending(visitor: Session, me: Person, chosen: Chosen) -> list[Step]:
    """What there is to write, in order; each step notes in ``visitor.stored`` that it is done."""
    stored = visitor.stored
    if stored.head is None and me.role == "viewer":
        return []
    steps: list[Step] = []
    if stored.head is None:
        stored.id = stored.id or uuid.uuid4().hex
        stored.name = stored.name or _name(visitor)
        steps.append(partial(_create, stored, me))
    if stored.writes:
        steps += _changes(visitor, me, chosen)
    for id, (image, text) in stored.unsent.items():
        steps.append(partial(_comment, stored, me, id, image, text))
    return steps


def _name(visitor: Session) -> str:
    """What a workspace is called until somebody names it."""
    first = next((file.name for file in visitor.files.values()), "Demo images")
    return f"{first.partition('/')[0][:60]}, {time.strftime('%d %b %H:%M')}"


def _changes(visitor: Session, me: Person, chosen: Chosen) -> list[Step]:
    """What an editor changed."""
    stored = visitor.stored
    steps: list[Step] = []
    gone = [number for number in stored.files if number not in visitor.files]
    if gone:
        steps.append(partial(_remove, stored, me, gone))
    new = [number for number in visitor.files if number not in stored.files]
    if new:
        steps.append(partial(_check_limits, me, [visitor.files[number] for number in new]))
    for first in range(0, len(new), BATCH):
        files = {number: visitor.files[number] for number in new[first : first + BATCH]}
        steps.append(partial(_add, stored, me, files))
    setup, blobs = _setup(visitor, chosen)
    if stored.setup is None or plain(stored.setup) != setup:
        steps.append(partial(_set_up, stored, me, setup, blobs, chosen.vit))
    for image in {**visitor.remarks, **visitor.manual, **stored.cases}:
        now, before = said(visitor, image), stored.cases.get(image, Case())
        if not now.same(before):
            steps.append(partial(_say, visitor, me, image, before, now))
    return steps


def _create(stored: Stored, me: Person, store: Store) -> None:
    stored.head = store.create(me, stored.id, stored.name)


def _comment(stored: Stored, me: Person, id: str, image: str, text: str, store: Store) -> None:
    store.comment(me, stored.id, id, image, text)
    del stored.unsent[id]


def _remove(stored: Stored, me: Person, numbers: list[int], store: Store) -> None:
    store.remove_files(me, stored.id, [stored.files[number] for number in numbers])
    for number in numbers:
        del stored.files[number]


def _check_limits(me: Person, files: list[File], store: Store) -> None:
    """Refuse what would take one person over the limits of this server.

    Raises:
        StoreError: it would.
    """
    usage, limit = store.usage(me), settings.current()
    contents = [item[1] for file in files for item in _items(file)]
    images, size = usage.images + len(contents), usage.bytes + sum(c.size for c in contents)
    if images > limit.max_images or size > limit.max_bytes:
        raise StoreError(
            f"These {len(contents)} files are not kept: you would have {images} stored images of "
            f"{limit.max_images} and {size / 1e9:.1f} GB of {limit.max_bytes / 1e9:.1f}. Delete "
            "workspaces that you no longer need, or ask whoever runs this server for more room."
        )


def _add(stored: Stored, me: Person, files: Mapping[int, File], store: Store) -> None:
    # Made once: a second try adds nothing twice.
    ids = {number: stored.ids.setdefault(number, uuid.uuid4().hex) for number in files}
    given = [StoredFile(ids[number], file.name, file.opened) for number, file in files.items()]
    store.add_files(me, stored.id, given)
    stored.files |= ids
    for file in files.values():
        for _, content in _items(file):
            # The memory is the session's no longer.
            content.let_go(partial(store.blob, me, stored.id, content.sha256))


def _items(file: File) -> list[tuple[str, Content]]:
    return [item for item in file.opened.items if not isinstance(item, Refusal)]


def _setup(visitor: Session, chosen: Chosen) -> tuple[Setup, dict[str, bytes]]:
    """The setup as it is now, and the bytes that it refers to."""
    blobs: dict[str, bytes] = {}
    attachments: dict[str, str] = {}
    if visitor.upload is not None and visitor.choice.digest:
        attachments["weights"] = visitor.choice.digest
        blobs[visitor.choice.digest] = visitor.upload
    objects = visitor.objects
    masks = visitor.given_masks()
    # Asked at the end of every run: what is the same is not hashed again.
    digests = visitor.memo("masks", masks, lambda: {i: sha256(mask) for i, mask in masks.items()})
    for image, digest in digests.items():
        attachments[f"mask {image}"], blobs[digest] = digest, masks[image]
    coco = visitor.given_coco()
    if coco is not None and objects.coco is not None:
        file = visitor.memo("coco", coco[0], lambda: Content.of(write_coco(coco[1])))
        attachments["coco"], blobs[file.sha256] = file.sha256, file.read()
    model = model_reference.written(visitor.choice, chosen.vit)
    return Setup(model, {"address": dict(chosen.address)}, attachments), blobs


def plain(setup: Setup) -> Setup:
    """The same without the hash of the weights, which takes a while to find."""
    return replace(setup, model={**setup.model, "weights_sha256": ""})


def _set_up(
    stored: Stored,
    me: Person,
    setup: Setup,
    blobs: Mapping[str, bytes],
    vit: Vit,
    store: Store,
) -> None:
    before = set() if stored.setup is None else set(stored.setup.attachments.values())
    new = {digest: data for digest, data in blobs.items() if digest not in before}
    model = {**setup.model, "weights_sha256": weights.sha256_of(vit)}
    store.set_up(me, stored.id, replace(setup, model=model), new)
    stored.setup = setup


def _say(visitor: Session, me: Person, image: str, before: Case, now: Case, store: Store) -> None:
    stored = visitor.stored
    answer = store.say(me, stored.id, image, before, now)
    stored.cases[image] = answer.case
    if said(visitor, image).same(now):
        take(visitor, image, answer.case)
    if answer.theirs is not None:
        stored.news.append(
            f"{answer.theirs.by_name} wrote about {image} at the same time. Both your words are "
            "kept."
        )


def take(visitor: Session, image: str, case: Case) -> None:
    """Have the session say of an image what the store says."""
    if case.remark:
        visitor.remarks[image] = case.remark
    else:
        visitor.remarks.pop(image, None)
    if case.labels is None:
        visitor.manual.pop(image, None)
    else:
        visitor.manual[image] = case.labels
