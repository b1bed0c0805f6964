"""Any calls by anybody in any order: the store does what a dictionary in memory would."""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from attnlib import store
from attnlib.store import Case, Forbidden, NotFound, Person, Role
from attnlib.store.merge import paragraphs

from .making import ADA, BEN, EVE, LOOKER, ROOT, new, png, said, sha256, stored

PEOPLE = [ADA, BEN, EVE, LOOKER, ROOT]
PICTURES = [png(i) for i in range(3)]
IMAGES = ["x", "y"]
RANK = {"viewer": 0, "editor": 1, "admin": 2}


@dataclass
class Model:
    """What one workspace should be: files by id, words and tags by image, comments by id."""

    owner: str
    access: str = "private"
    members: dict[str, Role] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, set[str]] = field(default_factory=dict)
    words: dict[str, set[str]] = field(default_factory=dict)
    comments: dict[str, tuple[str, str]] = field(default_factory=dict)
    archived: bool = False

    def role(self, me: Person) -> str | None:
        if me.role == "admin":
            return "admin"
        roles = [self.members[me.id]] if me.id in self.members else []
        roles += ["admin"] if me.id == self.owner else []
        roles += [me.role] if self.access != "private" else []
        return min(max(roles, key=RANK.__getitem__), me.role if me.role == "viewer" else "admin",
                   key=RANK.__getitem__) if roles else None  # fmt: skip


class StoreMachine(RuleBasedStateMachine):
    """Every call is made twice now and then, as if its answer had been lost."""

    ids = Bundle("ids")
    who = st.sampled_from(PEOPLE)
    again = st.booleans()

    @initialize()
    def start(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="attnlib-model-"))
        self.store = store.connect(f"sqlite:///{self.home}/db.sqlite3", home=self.home)
        self.model: dict[str, Model] = {}
        self.turn = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.home)

    def allowed(self, me: Person, id: str, needed: str, act: object, twice: bool) -> bool:
        """Make the call; whether it was to be done, and then it was."""
        model = self.model.get(id)
        role = None if model is None else model.role(me)
        assert callable(act)
        if role is not None and RANK[role] >= RANK[needed]:
            for _ in range(1 + twice):
                act()
            return True
        try:
            act()
        except NotFound:
            assert role is None
        except Forbidden:
            assert role is not None
        else:
            raise AssertionError("nobody refused it")
        return False

    @rule(target=ids, me=who, access=st.sampled_from(["private", "team", "link"]), twice=again)
    def create(self, me: Person, access: store.Access, twice: bool) -> str:
        id = new()
        if me.role == "viewer":
            try:
                self.store.create(me, id, "W", access)
            except Forbidden:
                return id
            raise AssertionError("a viewer made a workspace")
        for _ in range(1 + twice):
            self.store.create(me, id, "W", access)
        self.model[id] = Model(me.id, access)
        return id

    @rule(me=who, id=ids, picture=st.sampled_from(PICTURES), twice=again)
    def add(self, me: Person, id: str, picture: bytes, twice: bool) -> None:
        file = stored("a.png", picture)
        act = lambda: self.store.add_files(me, id, [file])  # noqa: E731
        if self.allowed(me, id, "editor", act, twice):
            self.model[id].files[file.id] = picture

    @rule(me=who, id=ids, place=st.integers(0, 5), twice=again)
    def remove(self, me: Person, id: str, place: int, twice: bool) -> None:
        files = list(self.model[id].files) if id in self.model else []
        wanted = files[place : place + 1]
        act = lambda: self.store.remove_files(me, id, wanted)  # noqa: E731
        if self.allowed(me, id, "editor", act, twice):
            for file in wanted:
                del self.model[id].files[file]

    @rule(me=who, id=ids, image=st.sampled_from(IMAGES), tag=st.sampled_from("abc"), twice=again)
    def say(self, me: Person, id: str, image: str, tag: str, twice: bool) -> None:
        """From an old sight of the case, empty: all that others said must stay."""
        self.turn += 1
        word = f"word {self.turn}"
        act = lambda: self.store.say(me, id, image, Case(), said(word, tag))  # noqa: E731
        if self.allowed(me, id, "editor", act, twice):
            self.model[id].tags.setdefault(image, set()).add(tag)
            self.model[id].words.setdefault(image, set()).add(word)

    @rule(me=who, id=ids, image=st.sampled_from(IMAGES), twice=again)
    def comment(self, me: Person, id: str, image: str, twice: bool) -> None:
        comment = new()
        act = lambda: self.store.comment(me, id, comment, image, "hello")  # noqa: E731
        if self.allowed(me, id, "viewer", act, twice):
            self.model[id].comments[comment] = me.id, image

    @rule(me=who, id=ids, twice=again)
    def uncomment_own(self, me: Person, id: str, twice: bool) -> None:
        own = [c for c, (by, _) in self.model[id].comments.items() if by == me.id] if (
            id in self.model
        ) else []  # fmt: skip
        if own and self.model[id].role(me) is not None:
            for _ in range(1 + twice):
                self.store.uncomment(me, id, own[0])
            del self.model[id].comments[own[0]]

    @rule(
        me=who,
        id=ids,
        access=st.sampled_from(["private", "team", "link"]),
        other=who,
        role=st.sampled_from(["viewer", "editor", "admin"]),
        twice=again,
    )
    def share(
        self, me: Person, id: str, access: store.Access, other: Person, role: Role, twice: bool
    ) -> None:
        before = self.model.get(id)
        if before is not None and me.id in before.members and me.id != before.owner:
            twice = False  # who takes their own rights away cannot do so again
        act = lambda: self.store.share(me, id, access, {other.id: role})  # noqa: E731
        if self.allowed(me, id, "admin", act, twice):
            self.model[id].access, self.model[id].members = access, {other.id: role}

    @rule(target=ids, me=who, id=ids, by_file=st.booleans())
    def copy(self, me: Person, id: str, by_file: bool) -> str:
        """Duplicated, or exported and imported."""
        copy, package = new(), io.BytesIO()

        def act() -> None:
            if by_file:
                self.store.export(me, id, package)
                self.store.import_(me, package, copy)
            else:
                self.store.duplicate(me, id, copy, "copy")

        if me.role == "viewer":
            try:
                act()
            except (Forbidden, NotFound):
                return copy
            raise AssertionError("a viewer made a workspace")
        if self.allowed(me, id, "viewer", act, False):
            old = self.model[id]
            comments = {
                c: (by if not by_file or me.id == by or me.role == "admin" else f"imported|{by}", i)
                for c, (by, i) in old.comments.items()
            }
            self.model[copy] = Model(
                me.id,
                files=dict(old.files),
                tags={k: set(v) for k, v in old.tags.items()},
                words={k: set(v) for k, v in old.words.items()},
                comments=comments,
            )
        return copy

    @rule(me=who, id=ids, away=st.booleans(), twice=again)
    def archive(self, me: Person, id: str, away: bool, twice: bool) -> None:
        act = lambda: (self.store.archive if away else self.store.restore)(me, id)  # noqa: E731
        if self.allowed(me, id, "editor", act, twice):
            self.model[id].archived = away

    @rule(me=who, id=ids, twice=again)
    def delete(self, me: Person, id: str, twice: bool) -> None:
        if id not in self.model:
            return  # for who deleted it, deleting it again is no mistake
        if self.allowed(me, id, "admin", lambda: self.store.delete(me, id), twice):
            del self.model[id]

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = store.connect(f"sqlite:///{self.home}/db.sqlite3", home=self.home)
        self.store.sweep()

    @invariant()
    def is_like_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        for id, model in self.model.items():
            contents = self.store.open(ROOT, id)
            files = {f.id: f.opened.items[0][1].read() for f in contents.files}
            assert files == model.files
            assert list(files) == list(model.files)
            assert contents.head.images == len(model.files)
            cases = contents.cases
            assert {i: set(c.remark.tags) for i, c in cases.items()} == model.tags
            words = {
                i: {p.rsplit("] ", 1)[-1] for p in paragraphs(c.remark.note)}
                for i, c in cases.items()
            }
            assert words == model.words
            comments = {c.id: (c.author, i) for i, cs in contents.comments.items() for c in cs}
            assert comments == model.comments
        for me in PEOPLE:
            for archived in (False, True):
                found = {h.id: h.role for h in self.store.workspaces(me, archived)}
                wanted = {
                    id: model.role(me)
                    for id, model in self.model.items()
                    if model.archived == archived
                    and model.role(me) is not None
                    and (
                        me.role == "admin"
                        or me.id in (model.owner, *model.members)
                        or model.access == "team"
                    )
                }
                assert found == wanted

    @invariant()
    def keeps_the_files_that_are_used_and_no_others(self) -> None:
        if not hasattr(self, "store"):
            return
        kept = {path.name for path in (self.home / "blobs").rglob("*") if path.is_file()}
        used = {sha256(data) for model in self.model.values() for data in model.files.values()}
        assert kept == used


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
