"""The second model of the comparison, and the same images before it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import controls, loaded
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import beside
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace, short_name
from attnlib.errors import AttnlibError
from attnlib.model.classes import ClassNames
from attnlib.model.vit import Vit

KEY = "versus_other"
# As many as a sentence can hold.
NAMED = 6


def choose(space: Workspace) -> Workspace | None:
    """The second model on the visitor's images; None while there is none.

    Raises:
        AttnlibError: it cannot be loaded, or one of the two gives no classes.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        found = loaded.another(
            space.session,
            KEY,
            "Second model",
            help=(
                "The second model looks at all your images too, each prepared as that model "
                "needs it. Load a checkpoint in the sidebar, then go back to the first model in "
                "“Loaded models”: both can be chosen here."
            ),
        )
    if found is None:
        st.info(
            f"The first model is the one in the sidebar: {literal(space.choice.title)}. Choose a "
            "second one, and see which images it repairs and which it breaks."
        )
        return None
    choice, vit = _named(space, *found)
    for one in (space.vit, vit):
        if not one.outputs.classifies:
            raise AttnlibError(
                f"The outputs of {one.name} are {one.outputs.title}: nothing is right or wrong. "
                "Two models are compared by their mistakes; choose one that gives classes."
            )
    there = beside.look(space, choice, vit)
    _classes(space, there)
    return there


def _named(space: Workspace, choice: ModelChoice, vit: Vit) -> tuple[ModelChoice, Vit]:
    """The second model with the first one's names, if the visitor says so."""
    ours, theirs = space.vit, vit
    if not theirs.names.numbered or ours.names.numbered:
        return choice, vit
    if len(theirs.class_names) != len(ours.class_names):
        return choice, vit
    wanted = controls.toggle(
        "versus_names",
        "Its classes are those of the first model, in the same order",
        help=(
            "The second model brings no names of its classes, and has as many as the first. Only "
            "you can know whether they are the same ones."
        ),
    )
    if not wanted:
        return choice, vit
    names = ClassNames(tuple(ours.class_names), "the first model's, said by you")
    return replace(choice, names=names), vit.named(names)


def _classes(space: Workspace, there: Workspace) -> None:
    """Which classes only one of them has."""
    ours, theirs = space.vit.class_names, there.vit.class_names
    shared = audit.shared_classes(ours, theirs)
    if not shared:
        st.warning(
            "No class of one model is a class of the other: "
            f"{_listed(ours)} here, {_listed(theirs)} there. An image counts where each knows its "
            "label."
        )
        return
    here = [name for index, name in enumerate(ours) if index not in shared]
    back = set(shared.values())
    only = [name for index, name in enumerate(theirs) if index not in back]
    said = [
        f"only {literal(title)} has {_listed(names)}"
        for title, names in ((space.choice.title, here), (there.choice.title, only))
        if names
    ]
    if said:
        st.caption(f"Classes are compared by name; {'; '.join(said)}.")


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(literal(short_name(name)) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
