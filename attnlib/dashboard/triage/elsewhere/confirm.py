"""What each column is taken for: shown, changeable, and used once somebody confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from attnlib.audit.joined import in_order
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.triage.elsewhere.bring import Brought
from attnlib.data import results
from attnlib.data.results import MEANING, ROLES, Recognised, Results, Role
from attnlib.errors import AttnlibError

NONE: Final = "none"
# These are shown always, the others where a column may be one.
_ALWAYS: Final[tuple[Role, ...]] = ("name", "label", "predicted", "confidence", "probabilities")
# So many rows of the file are shown.
_PREVIEW: Final = 5
_WIDE: Final = 30


def show(brought: Brought, class_names: Sequence[str], names: Sequence[str]) -> Results | None:
    """The columns; the results once they are confirmed.

    Args:
        class_names: of the model at hand.
        names: of the images at hand.
    """
    if brought.classes != tuple(class_names):
        # What numbers mean was said by another model's classes.
        brought.unsure()
    found = _proposed(brought, class_names, names)
    with st.expander(
        "What each column is", icon=":material/view_column:", expanded=brought.confirmed is None
    ):
        _preview(brought)
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            for role in ROLES:
                if role in _ALWAYS or role in found.chosen or role in found.asked:
                    _role(brought, found, role)
        decided = _decided(brought, found)
        for reason in dict.fromkeys(decided.asked.values()):
            st.info(literal(reason), icon=":material/help:")
        _reasons(decided)
        _switches(brought, decided)
        st.button(
            "Use these columns",
            key=f"elsewhere_use_{brought.stamp}",
            type="primary",
            icon=":material/check:",
            disabled=bool(decided.asked),
            on_click=_confirm,
            args=(brought, decided, tuple(class_names)),
            help="Checks the numbers, then sets the results beside this model's own.",
        )
        if brought.problem:
            st.warning(literal(brought.problem))
    if brought.confirmed is not None and brought.taken is None:
        _take(brought, brought.confirmed, tuple(class_names), tuple(names))
    return brought.taken


def _proposed(brought: Brought, class_names: Sequence[str], names: Sequence[str]) -> Recognised:
    """The proposal, made once: it looks at every row."""
    key = hash((tuple(class_names), tuple(names)))
    if brought.proposed is None or brought.proposed[0] != key:
        brought.proposed = key, results.recognise(brought.raw, class_names, names)
    return brought.proposed[1]


def _preview(brought: Brought) -> None:
    frame = brought.raw.frame
    shown = frame.iloc[:_PREVIEW, :_WIDE].astype(str)
    st.dataframe(shown, hide_index=True, height=35 * (len(shown) + 1) + 3)
    more = f" and {_WIDE} of its {len(frame.columns):,} columns" if frame.shape[1] > _WIDE else ""
    st.caption(f"The first {len(shown)} of {len(frame):,} rows{more}, as they stand in the file.")


def _role(brought: Brought, found: Recognised, role: Role) -> None:
    """A list of the columns that could be it."""
    titles = [NONE, *dict.fromkeys(one.title for one in found.options[role])]
    now = brought.decided.get(role)
    if now is None and role not in found.asked:
        now = found.chosen[role].title if role in found.chosen else NONE
    key = f"elsewhere_as_{role}_{brought.stamp}"

    def decide() -> None:
        brought.decided[role] = st.session_state[key] or NONE
        brought.unsure()

    st.selectbox(
        role.replace("_", " ").capitalize(),
        titles,
        index=titles.index(now) if now in titles else None,
        key=key,
        placeholder="Please choose",
        on_change=decide,
        width=200,
        help=f"{MEANING[role].capitalize()}.",
    )


def _decided(brought: Brought, found: Recognised) -> Recognised:
    """The proposal as it was changed."""
    for role in ROLES:
        title = brought.decided.get(role)
        if title is not None:
            found = found.choose(role, None if title == NONE else found.named(role, title))
    return found


def _reasons(decided: Recognised) -> None:
    said = [
        f"{role.replace('_', ' ')}: {one.why}" for role, one in decided.chosen.items() if one.why
    ]
    if said:
        st.caption(literal(f"Proposed because of their names and contents. {'; '.join(said)}."))


def _switches(brought: Brought, decided: Recognised) -> None:
    """What no file says: whether numbers are logits, and in which order nameless rows are."""
    if "probabilities" in decided.chosen:
        softmax = st.toggle(
            "The probabilities are logits",
            brought.softmax,
            key=f"elsewhere_softmax_{brought.stamp}",
            help="The numbers before the softmax: a softmax makes probabilities of them.",
        )
        if softmax != brought.softmax:
            brought.softmax = softmax
            brought.unsure()
    if "name" not in decided.chosen:
        ordered = st.toggle(
            "The rows are in the order of the folders and file names",
            brought.ordered,
            key=f"elsewhere_ordered_{brought.stamp}",
            help="As torchvision's ImageFolder lists a folder. The file names no image, so nobody "
            "but you can know it; where both have labels, how many agree is shown.",
        )
        if ordered != brought.ordered:
            brought.ordered = ordered
            brought.unsure()


def _confirm(brought: Brought, decided: Recognised, class_names: tuple[str, ...]) -> None:
    brought.unsure()
    brought.confirmed, brought.classes = decided, class_names
    brought.times += 1


def _take(
    brought: Brought, decided: Recognised, class_names: tuple[str, ...], names: tuple[str, ...]
) -> None:
    """Make the results, beside the page: there may be a million rows."""
    raw, softmax, ordered = brought.raw, brought.softmax, brought.ordered

    def work(progress: tasks.Progress) -> Results | AttnlibError:
        try:
            found = results.take(raw, decided, class_names, softmax=softmax)
            if found.named:
                return found
            if ordered:
                return in_order(found, names)
        except AttnlibError as error:
            return error
        return AttnlibError(
            "No column names the images: choose the one that does, or say that the rows are in "
            "the order of the folders and file names."
        )

    made = tasks.run(
        "elsewhere_take",
        (brought.stamp, brought.times),
        work,
        button="Use these columns",
        help="Checks the numbers of every row.",
        eager=True,
    )
    if isinstance(made, AttnlibError):
        brought.unsure()
        brought.problem = str(made)
        st.rerun()
    brought.taken = made
    if made is not None:
        tasks.drop("elsewhere_take")
