"""The strip at the top of every page: which image is open, and the way to the next one."""

from __future__ import annotations

import html

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts import chosen, keys, pictures
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import judging, opened, order, verdict
from attnlib.dashboard.triage.order import Shown

SIDE = 92


def show(space: Workspace, picture: bool = True) -> Prediction | None:
    """Show which image this page is about; None (and why) where there is none yet.

    Args:
        picture: whether the image stands in it; false where the page shows it large.
    """
    shown = order.current(space)
    found = prediction(space, shown)
    if found is None:
        _why_not(space, shown)
        return None
    names = shown.names
    place = names.index(found.name) if found.name in names else None
    before, after = _neighbours(names, place)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if picture:
            crop = space.crop(found.name)
            pictures.show(plain(crop, 2 * SIDE), SIDE, alt=found.name)
        if st.session_state.get(opened.IMAGE) is not None:
            st.button(
                "All images" if picture is False else "Close",
                icon=":material/arrow_back:",
                on_click=opened.close,
                help="Back to the same place in the gallery. Key: Esc"
                if picture is False
                else "Look at the first of the gallery again. Key: Esc",
            )
        with st.container(width=340, gap="small"):
            st.html(_words(space, found))
        _steps(before, after, _where(space, names, place))
    judging.show(space, found)
    actions = {"back": opened.close}
    if before is not None:
        actions["previous"] = lambda: opened.open_image(before)
    if after is not None:
        actions["next"] = lambda: opened.open_image(after)
    keys.listen(found.name, actions)
    return found


def prediction(space: Workspace, shown: Shown) -> Prediction | None:
    """The chosen image's prediction; without a choice, the gallery's first."""
    name = st.session_state.get(opened.IMAGE)
    if name is not None:
        return space.prediction_of.get(name)
    return None if chosen.absent(space) else _first(space, shown)


def _first(space: Workspace, shown: Shown) -> Prediction | None:
    return next(iter(shown.predictions or space.predictions), None)


def _neighbours(names: list[str], place: int | None) -> tuple[str | None, str | None]:
    """Who comes before and after; from outside the gallery one goes to its first."""
    if place is None:
        return None, next(iter(names), None)
    before = names[place - 1] if place > 0 else None
    return before, names[place + 1] if place + 1 < len(names) else None


def _where(space: Workspace, names: list[str], place: int | None) -> str:
    of = f"of {len(names)}" + (" in the gallery" if len(names) < len(space.predictions) else "")
    return f"{place + 1} {of}" if place is not None else f"not among the {len(names)} shown"


def _steps(before: str | None, after: str | None, where: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        for label, name, icon, key in (
            ("Previous", before, ":material/chevron_left:", "←"),
            ("Next", after, ":material/chevron_right:", "→"),
        ):
            st.button(
                label,
                icon=icon,
                disabled=name is None,
                on_click=opened.open_image,
                args=(name,),
                help=f"In the gallery's order and filters. Key: {key}",
            )
        st.caption(where, width="content")


def _words(space: Workspace, prediction: Prediction) -> str:
    """Outcome, name, what it was taken for, and tags, in two lines."""
    word = verdict.word(space, prediction)
    said = html.escape(verdict.said(space, prediction))
    tags = "".join(
        "<span style='border:1px solid currentColor;border-radius:1rem;padding:0 .5rem;"
        f"margin-left:.3rem;font-size:.75rem;opacity:.8'>{html.escape(tag)}</span>"
        for tag in verdict.tags(space.remark(prediction.name))
    )
    return (
        f"<div><b class='outcome-{prediction.outcome}'>{word}</b> "
        f"<b>{said}</b> {verdict.confidence(space, prediction)}</div>"
        "<div style='font-size:.8rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap' "
        f"title='{html.escape(prediction.name)}'>{html.escape(prediction.name)}{tags}</div>"
    )


def _why_not(space: Workspace, shown: Shown) -> None:
    problem, first = chosen.absent(space), _first(space, shown)
    name = st.session_state.get(opened.IMAGE)
    if not problem or name is not None:
        chosen.missing(space, name)
        return
    st.warning(problem)
    if first is not None:
        st.button(
            "Open the first mistake",
            on_click=opened.open_image,
            args=(first.name,),
            help="The first of the images that are loaded here.",
        )
