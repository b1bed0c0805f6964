"""Who may do what: every call with every person, and nothing that tells what one may not see."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from attnlib.store import LOCAL, Access, Forbidden, NotFound, Person, Role, Setup, Store

from .making import ADA, BEN, EVE, LOOKER, ROOT, new, png, said, sha256, stored

# Every call that concerns one workspace, and the least role that it needs. `theirs` is a comment
# of the owner's, `file` the owner's file.
Call = Callable[[Store, Person, str, str, str], object]
CALLS: Mapping[str, tuple[Role, Call]] = {
    "head": ("viewer", lambda s, me, id, *_: s.head(me, id)),
    "open": ("viewer", lambda s, me, id, *_: s.open(me, id)),
    "changes": ("viewer", lambda s, me, id, *_: s.changes(me, id)),
    "blob": ("viewer", lambda s, me, id, *_: s.blob(me, id, sha256(png(1)))),
    "history": ("viewer", lambda s, me, id, *_: s.history(me, id, "a.png")),
    "export": ("viewer", lambda s, me, id, *_: s.export(me, id, io.BytesIO())),
    "comment": ("viewer", lambda s, me, id, *_: s.comment(me, id, new(), "a.png", "hello")),
    "members": ("editor", lambda s, me, id, *_: s.members(me, id)),
    "add_files": ("editor", lambda s, me, id, *_: s.add_files(me, id, [stored("b.png", png(2))])),
    "set_up": ("editor", lambda s, me, id, *_: s.set_up(me, id, Setup({"by": me.id}))),
    "say": ("editor", lambda s, me, id, *_: s.say(me, id, "a.png", said(), said(me.id))),
    "rename": ("editor", lambda s, me, id, *_: s.rename(me, id, f"of {me.name}")),
    "archive": ("editor", lambda s, me, id, *_: s.archive(me, id)),
    "restore": ("editor", lambda s, me, id, *_: s.restore(me, id)),
    "remove_files": ("editor", lambda s, me, id, file, _: s.remove_files(me, id, [file])),
    "uncomment": ("admin", lambda s, me, id, _, theirs: s.uncomment(me, id, theirs)),
    "share": ("admin", lambda s, me, id, *_: s.share(me, id, "team", {})),
    "delete": ("admin", lambda s, me, id, *_: s.delete(me, id)),
}
# Calls that ask nothing of a workspace, or make a new one; tested one by one below.
OTHERS = {
    "workspaces", "create", "duplicate", "import_", "events", "record", "usage", "sweep", "ready",
    "close", "back_up", "fill",
}  # fmt: skip
RANK = {"none": -1, "viewer": 0, "editor": 1, "admin": 2}

# Person, what the workspace's owner gave, who else finds it -> the role.
WHO: list[tuple[Person, dict[str, Role], Access, str]] = [
    (ADA, {}, "private", "admin"),
    (ROOT, {}, "private", "admin"),
    (LOCAL, {}, "private", "admin"),
    (BEN, {}, "private", "none"),
    (BEN, {EVE.id: "admin"}, "private", "none"),
    (BEN, {BEN.id: "viewer"}, "private", "viewer"),
    (BEN, {" Ben@Example.ORG": "editor"}, "private", "editor"),
    (BEN, {BEN.id: "viewer", BEN.email: "admin"}, "private", "admin"),
    (BEN, {BEN.id: "viewer"}, "team", "editor"),
    (BEN, {}, "team", "editor"),
    (BEN, {}, "link", "editor"),
    (LOOKER, {}, "private", "none"),
    (LOOKER, {}, "team", "viewer"),
    (LOOKER, {}, "link", "viewer"),
    (LOOKER, {LOOKER.id: "admin"}, "private", "viewer"),
    (replace(ADA, role="viewer"), {}, "private", "viewer"),
    # An address that somebody does not have is not theirs, and no address is nobody's.
    (replace(EVE, email=""), {"": "viewer", BEN.email: "admin"}, "private", "none"),
    (replace(EVE, email=ADA.id), {}, "private", "none"),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    from attnlib import store

    home = tmp_path_factory.mktemp("home")
    return store.connect(f"sqlite:///{home}/attnlib.sqlite3", home=home)


def test_every_call_is_tested() -> None:
    public = {name for name in vars(Store) if not name.startswith("_")}
    assert public == set(CALLS) | OTHERS


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("case", range(len(WHO)))
def test_a_person_may_do_what_the_role_says(shared: Store, case: int, call: str) -> None:
    me, members, access, role = WHO[case]
    needed, act = CALLS[call]
    id, file, comment = new(), stored("a.png", png(1)), new()
    shared.create(ADA, id, "W")
    shared.add_files(ADA, id, [file])
    shared.comment(ADA, id, comment, "a.png", "mine")
    members = {who: given for who, given in members.items() if who}
    shared.share(ADA, id, access, members)
    before = shared.open(ADA, id)

    def do() -> object:
        return act(shared, me, id, file.id, comment)

    if me.id == ADA.id and call == "uncomment":
        do()  # her own
        assert not shared.open(ADA, id).comments
    elif RANK[role] >= RANK[needed]:
        do()
        if call == "delete":
            with pytest.raises(NotFound):
                shared.open(ADA, id)
    else:
        with pytest.raises(NotFound if role == "none" else Forbidden):
            do()
        assert shared.open(ADA, id) == before
    seen = id in {head.id for head in shared.workspaces(me)}
    gone = call == "delete" and RANK[role] >= RANK[needed]
    away = call == "archive" and RANK[role] >= RANK[needed]
    in_list = role != "none" and (access != "link" or bool(members))
    reached_by_all = call == "share" and RANK[role] >= RANK[needed]
    assert seen == ((in_list or reached_by_all) and not gone and not away)
    if role != "none" and not gone and call != "share":
        assert shared.head(me, id).role == role


@pytest.mark.parametrize("call", CALLS)
def test_what_one_may_not_see_answers_like_what_is_not_there(shared: Store, call: str) -> None:
    _, act = CALLS[call]
    id, file, comment = new(), stored("a.png", png(1)), new()
    shared.create(ADA, id, "W")
    shared.add_files(ADA, id, [file])
    answers = set()
    for asked in (id, new(), "no id", "'; DROP TABLE workspace", "", "é" * 40):
        with pytest.raises(NotFound) as caught:
            act(shared, EVE, asked, file.id, comment)
        answers.add((type(caught.value), str(caught.value)))
    assert len(answers) == 1
    with pytest.raises(NotFound) as caught:
        shared.duplicate(EVE, id, new(), "Mine")
    assert (type(caught.value), str(caught.value)) in answers


def test_viewers_make_no_workspaces(shared: Store) -> None:
    id = new()
    shared.create(ADA, id, "W", "team")
    package = io.BytesIO()
    shared.export(ADA, id, package)
    with pytest.raises(Forbidden):
        shared.create(LOOKER, new(), "Mine")
    with pytest.raises(Forbidden):
        shared.duplicate(LOOKER, id, new(), "Mine")
    with pytest.raises(Forbidden):
        shared.import_(LOOKER, package, new())
    assert shared.usage(LOOKER).images == 0


def test_nobody_takes_over_an_id(shared: Store) -> None:
    id, theirs = new(), new()
    shared.create(ADA, id, "Hers")
    shared.create(BEN, theirs, "His", "team")
    package = io.BytesIO()
    shared.export(BEN, theirs, package)
    for act in (
        lambda: shared.create(BEN, id, "Mine"),
        lambda: shared.duplicate(BEN, theirs, id, "Mine"),
        lambda: shared.import_(BEN, package, id),
    ):
        with pytest.raises(Exception, match="id of its own"):
            act()
    assert shared.head(ADA, id).name == "Hers"


def test_the_audit_log_is_for_admins_and_names_what_was_done(empty: Store) -> None:
    id = new()
    empty.create(ADA, id, "Signs")
    empty.share(ADA, id, "team", {BEN.id: "viewer"})
    empty.export(BEN, id, io.BytesIO())
    line = new()
    empty.record(BEN.id, BEN.name, "sign-in", "from 127.0.0.1", line)
    empty.record(BEN.id, BEN.name, "sign-in", "from 127.0.0.1", line)
    empty.delete(ROOT, id)
    found = [(e.what, e.person, e.workspace, e.detail) for e in empty.events(ROOT)]
    assert found == [
        ("delete", ROOT.id, id, "Signs"),
        ("sign-in", BEN.id, "", "from 127.0.0.1"),
        ("export", BEN.id, id, "Signs"),
        ("share", ADA.id, id, f"Signs: team; {BEN.id} (viewer)"),
    ]
    assert [e.what for e in empty.events(ROOT, limit=2)] == ["delete", "sign-in"]
    for me in (ADA, LOOKER):
        with pytest.raises(Forbidden):
            empty.events(me)


def test_a_comment_is_taken_away_by_its_author_or_an_admin_of_the_workspace(empty: Store) -> None:
    id, first, second = new(), new(), new()
    empty.create(ADA, id, "W", "team")
    empty.comment(LOOKER, id, first, "x", "looks odd")
    empty.comment(BEN, id, second, "x", "no")
    with pytest.raises(Forbidden):
        empty.uncomment(BEN, id, first)
    empty.uncomment(LOOKER, id, first)
    empty.uncomment(ADA, id, second)
    assert empty.open(ADA, id).comments == {}


def test_somebody_else_cannot_delete_twice_in_silence(empty: Store) -> None:
    id = new()
    empty.create(ADA, id, "W")
    empty.delete(ADA, id)
    empty.delete(ADA, id)  # the answer was lost
    with pytest.raises(NotFound):
        empty.delete(BEN, id)
