"""The workspace that one works in: opened by a link, saved as one works, named, left."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import people, restoring, saving, session, startup, storage
from attnlib.dashboard.state.saving import Chosen
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import NotFound, StoreError
from attnlib.model import embedded

KEY = "workspace"
PAGE = startup.PAGES / "workspaces" / "page.py"
# The workspace that was left, and when.
_LEFT = "workspace_left"
TICK_S = 1.0


def begin() -> None:
    """Before anything reads the address: open the workspace that it asks for."""
    _signed_in()
    wanted = st.query_params.get(KEY, "")
    found = "session" in st.session_state
    visitor = session.current() if found else None
    if visitor is not None and wanted in ("", visitor.stored.id, *_just_left()):
        try:
            restoring.refresh(visitor, people.person())
        except NotFound as error:
            # Whoever may not see it any longer sees nothing that is left of it either.
            _forget(visitor)
            _refused(error)
        for line in visitor.stored.news:
            st.toast(literal(line), icon=":material/group:", duration="long")
        visitor.stored.news.clear()
        return
    if not wanted:
        return
    if visitor is not None:
        _forget(visitor)
    try:
        if reason := storage.off():
            raise StoreError(reason)
        visitor = restoring.load(people.person(), wanted)
    except StoreError as error:
        _refused(error)
    assert visitor is not None
    st.session_state["session"] = visitor
    _follow(visitor)


def _signed_in() -> None:
    """One line in the audit log for each sign-in, whichever server or tab notes it."""
    if "noted_sign_in" in st.session_state or not people.sign_in_is_on():
        return
    me = people.person()
    once = hashlib.sha256(f"{me.id} {st.user.get('iat')}".encode()).hexdigest()[:32]
    try:
        storage.store().record(me.id, me.name, "sign-in", event_id=once)
    except StoreError:
        return  # It is noted by the next run that reaches the store.
    st.session_state["noted_sign_in"] = True


def _follow(visitor: Session) -> None:
    """Have the address say what the workspace says of its model, unless a link says otherwise."""
    setup = visitor.stored.setup
    said = {} if setup is None else setup.settings.get("address", {})
    if not isinstance(said, dict):
        return
    model = {} if setup is None else setup.model
    if model.get("source") in embedded.NAMES:
        # The demo that opens stands in no address, and may have been another one then.
        said = {"source": [model["source"]], **said}
    here = set(st.query_params)
    for key, texts in said.items():
        if key not in here and isinstance(texts, list) and all(isinstance(t, str) for t in texts):
            st.query_params[key] = texts


def _refused(error: StoreError) -> None:
    """Say why a link cannot be opened; nothing else stands in its place."""
    st.title("This workspace cannot be opened", anchor=False)
    st.error(literal(str(error)))
    if isinstance(error, NotFound) and people.sign_in_is_on():
        st.caption(
            f"You are signed in as {literal(people.person().name)}. Whoever sent the link can "
            "share the workspace with you."
        )
    if st.button("Start with the demo images", type="primary", help="Leave the link."):
        go("")
    if st.button("Try again", help="Open the link once more."):
        st.rerun()
    st.stop()


def go(id: str) -> None:
    """Open another workspace, or with "" begin anew; everything of this one is left as it is."""
    _leave()
    st.query_params.from_dict({KEY: id} if id else {})
    st.rerun()


def _leave() -> None:
    left = st.query_params.get(KEY, "")
    if "session" in st.session_state:
        _forget(session.current())
    st.session_state[_LEFT] = left, time.monotonic()


def _forget(visitor: Session) -> None:
    """A session is over: its work ends, and nothing of it reaches the next one."""
    if visitor.job is not None:
        visitor.job.stop()
    for task in st.session_state.get("tasks", {}).values():
        task.stop()
    st.session_state.clear()


def _just_left() -> tuple[str, ...]:
    """The workspace that was left a moment ago, whose address a browser may still send."""
    left, at = st.session_state.get(_LEFT, ("", -address.IN_FLIGHT))
    return (left,) if time.monotonic() - at < address.IN_FLIGHT else ()


def show(visitor: Session) -> None:
    """In the sidebar: which workspace this is, whether it is saved, and the way to others."""
    stored = visitor.stored
    title = stored.name or "Not kept yet"
    with st.popover(
        literal(title if len(title) <= 34 else title[:33] + "…"),
        icon=":material/folder_open:",
        width="stretch",
        key="workspace_open",
        on_change="rerun",
        help="Images, model and all that is said of them. It is saved by itself.",
    ) as place:
        if place.open:
            _actions(visitor)
    _state(visitor)


def _actions(visitor: Session) -> None:
    stored = visitor.stored
    if reason := storage.off():
        st.caption(literal(reason))
    elif not stored.id:
        st.caption(
            "Once you add images, tag one or upload a model, all of it is kept under a name and "
            "a link of its own."
        )
    elif stored.writes:
        _name(visitor)
    if not storage.off():
        st.page_link(PAGE, label="All workspaces, sharing, export", icon=":material/folder:")
    if visitor.own or stored.id:
        st.button(
            "New workspace",
            icon=":material/add:",
            on_click=_begin_anew,
            help="Begin with the demo images; this one stays in the list.",
        )


def _begin_anew() -> None:
    _leave()
    st.query_params.clear()


def _name(visitor: Session) -> None:
    stored, key = visitor.stored, "workspace_name"
    if st.session_state.get("workspace_named") != stored.name:
        st.session_state[key] = st.session_state["workspace_named"] = stored.name

    def rename() -> None:
        wanted = st.session_state[key].strip()
        if wanted:
            attempt(lambda: storage.store().rename(people.person(), stored.id, wanted))

    st.text_input(
        "Name", key=key, on_change=rename, max_chars=200, help="What it is called in the list."
    )


def attempt(act: Callable[[], object]) -> bool:
    """Do something with the store; whether it was done. Why not is said on the screen.

    The next run takes over what came of it.
    """
    try:
        act()
    except StoreError as error:
        st.toast(literal(str(error)), icon=":material/error:", duration="infinite")
        return False
    return True


def keep(space: Workspace) -> None:
    """At the end of a run: save what is new, and have the address lead back here."""
    visitor = space.session
    if storage.off():
        return
    chosen = Chosen(space.vit, address.of_model())
    saving.save(visitor, people.person(), chosen)
    if visitor.stored.head is not None:
        address.write(KEY, [visitor.stored.id])


def _state(visitor: Session) -> None:
    """Saved, being saved, or why not."""
    stored = visitor.stored
    if stored.head is not None and not stored.writes:
        st.caption(
            f":material/visibility: You may look and comment. {literal(stored.head.owner_name)} "
            "owns it; what else you change stays in this tab."
        )
    elif stored.failure:
        st.warning(f"Not saved: {literal(stored.failure)} It is tried again by itself.")
        _again(time.monotonic())
    elif stored.saving:
        _again(time.monotonic())
    elif stored.head is not None:
        st.caption(":material/cloud_done: Saved")
    elif not storage.off() and people.person().role == "viewer" and saving.worth(visitor):
        st.caption(":material/cloud_off: Not kept: you may look and comment on this server.")


@st.fragment(run_every=TICK_S)
def _again(drawn: float) -> None:
    """The page once more when what is being saved is saved, or is to be tried again.

    Args:
        drawn: when the page was; the page's own run saves at its end.
    """
    stored = session.current().stored
    if stored.saving and stored.work is not None:
        st.caption(f":material/sync: Saving, step {stored.work.done + 1} of {stored.work.total}")
    elif time.monotonic() - drawn > TICK_S / 2 and (
        not stored.failure or time.monotonic() - stored.tried >= saving.AGAIN_S
    ):
        st.rerun()
