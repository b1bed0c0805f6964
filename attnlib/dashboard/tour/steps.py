"""What the tour shows: its steps, and what each sets on the page that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from attnlib.dashboard.parts import address, controls, pictures
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.state import diagnoses, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.tour import proof
from attnlib.dashboard.tour.proof import PROOFS, Proof
from attnlib.dashboard.triage import concerns, opened
from attnlib.dashboard.triage.filters import FILTERS, OUTCOME
from attnlib.model import crop, objects

Act = Callable[[], None]

MISTAKES, DIAGNOSIS = "Prediction debugging", "Diagnosis"
PAGES = {MISTAKES: "prediction_debugging/page.py", DIAGNOSIS: "diagnosis/page.py"}
# The kinds of causes that are planted; to look for them takes some thousand passes.
KINDS = ["shortcut", "background"]
PROOF = "tour_proof"
# Of the page on which an image is changed, see `mistakes/changing.py`.
CHANGE = ("change_open", "change_what", "change_with", "change_other", "change_region")
# All controls that a step sets.
SETS = (
    "source",
    opened.IMAGE,
    *(one.key for one in FILTERS),
    concerns.OPEN,
    "diagnosis_kinds",
    PROOF,
    *CHANGE,
)
# The proof that is set on the page, and what is to be set before the next run draws anything.
_SET, _NEXT = "tour_proof_set", "tour_proof_next"
# Whether the tour has had causes looked for.
_BEGUN = "tour_begun"
SIDE = 140  # pixels of a picture on screen


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        page: title of the page that it is about.
        words: what to look at, as Markdown.
        enter: sets controls of the page, before they are drawn.
        draw: what stands under the words.
    """

    title: str
    page: str
    words: str
    enter: Act
    draw: Callable[[Workspace], None]


def _enter() -> None:
    """The demo with planted causes, and no image opened."""
    address.put("source", objects.NAME)
    address.put(opened.IMAGE, None)
    for one in FILTERS:
        one.clear()
    st.session_state.pop(_SET, None)


def _mistakes() -> None:
    _enter()
    address.put(OUTCOME.key, "Wrong", of=True)


def _nothing(space: Workspace) -> None:
    """The page itself says the rest."""


def _proof(space: Workspace) -> None:
    """Three changes of a picture; the chosen one is set on the page below as well."""
    if space.choice.source != objects.NAME:
        return
    title = controls.segments(
        PROOF, "Proof", list(PROOFS), label_visibility="collapsed", help="What to change."
    )
    found = proof.find(space, title)
    if found is None:
        st.caption("With these settings of the model, no picture shows it.")
        return
    if st.session_state.get(_SET) != title:
        st.session_state[_SET], st.session_state[_NEXT] = title, found
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        after, _ = crop.picture(space.vit.preparation, found.edit.pixels[0])
        with st.container(horizontal=True, gap="small", width="content"):
            for picture, words in ((space.crop(found.name), "before"), (after, "after")):
                pictures.show(plain(picture, 2 * SIDE), SIDE, alt=words, caption=words)
        with st.container(width=420):
            st.markdown(said(space, title, found))


def said(space: Workspace, title: str, found: Proof) -> str:
    """What the change did, in numbers, as Markdown."""
    edit = found.edit
    was, now = int(edit.before.argmax()), int(edit.after.argmax())
    true = proof.true_class(found.name)
    names = [literal(space.class_name(index)) for index in (was, now)]
    right = [", which is right" if space.class_name(i) == true else "" for i in (was, now)]
    return (
        f"The model says **{names[0]}** ({edit.before[was]:.0%}){right[0]}.  \n"
        f"{PROOFS[title].words}, it says **{names[1]}** ({edit.after[now]:.0%}){right[1]}.\n\n"
        ":small[The same is set below, under “Change the image”: try other spots there.]"
    )


def take_over() -> None:
    """Set on the page what a proof changes, before anything is drawn."""
    found: Proof | None = st.session_state.pop(_NEXT, None)
    if found is None:
        return
    address.put(opened.IMAGE, found.name)
    address.put("change_open", True)
    address.put("change_what", "Keep only these" if found.keep else "Erase these patches")
    address.put("change_with", found.stand_in)
    if found.other is not None:
        address.put("change_other", found.other, of=found.name)
    places: Any = tuple(int(place) for place in found.region.ravel().nonzero()[0])
    address.put("change_region", places, of=(found.name, found.region.shape))


def forget() -> None:
    """Nothing of the tour is left in the session, and nothing is looked for that only it wants."""
    for key in (_SET, _NEXT):
        st.session_state.pop(key, None)
    if st.session_state.pop(_BEGUN, False):
        tasks.drop(diagnoses.MORE)
        st.session_state.pop(diagnoses.ASKED, None)


def look(space: Workspace) -> None:
    """Have the planted causes looked for beside the page, so that they are found in time."""
    if space.choice.source != objects.NAME:
        return
    found = diagnoses.known(space)
    if found is None:
        diagnoses.begin(space)
        _again(space)
        return
    if set(KINDS) <= {*found.report.asked, *found.report.left_out}:
        return
    question = diagnoses.further(space, found, KINDS)
    if question is None:
        return
    if tasks.known(diagnoses.MORE, question.key) is not None:
        st.session_state[diagnoses.ASKED] = question.kinds
        st.rerun()
    if tasks.current(diagnoses.MORE, question.key) is None:
        # As it stands on the page of the diagnosis, which shows how far it is.
        address.put("diagnosis_kinds", KINDS, of=tuple(found.further))
        st.session_state[_BEGUN] = True
        tasks.begin(diagnoses.MORE, question.key, question.answer, shared=True)


@st.fragment(run_every=0.7)
def _again(space: Workspace) -> None:
    """The page again, once the cheap kinds were looked for."""
    job = space.session.job
    waits = diagnoses.question(space) is None and job is not None and not job.finished
    if not waits and not diagnoses.busy(space):
        st.rerun()


STEPS = (
    Step(
        "What went wrong",
        MISTAKES,
        "A small model names what a drawing shows. Below are the pictures that it got wrong, the "
        "surest first: what it is → what the model said. Colours mark the spots that spoke for "
        "its answer. Many of these mistakes have one hidden reason: do you see it?",
        _mistakes,
        _nothing,
    ),
    Step(
        "Why it went wrong",
        DIAGNOSIS,
        "The app looks for reasons by itself, and tests each by changing pictures. Every bold "
        "sentence below is one that held; what speaks for it and against it stands under it.",
        _enter,
        _nothing,
    ),
    Step(
        "The proof",
        MISTAKES,
        "Do not believe it: change a picture, and see whether the answer changes.",
        _enter,
        _proof,
    ),
)
