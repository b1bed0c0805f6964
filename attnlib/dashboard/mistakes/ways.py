"""How the patches chosen on the opened image are changed: replaced, or not looked at any longer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from torch import Tensor

from attnlib.dashboard.mistakes.regions import Region
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.places import Places
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.diagnosis import editing, knockout
from attnlib.diagnosis.editing import STAND_INS, WORDS, Edit, StandIn

ERASE, KEEP, CUT = "Erase these patches", "Keep only these", "Cut attention"
PATCH, RECTANGLE, PAINT = "takes a patch", "spans a rectangle", "paints"
# The patches that shall not look at the others.
OTHER = "change_lookers"


@dataclass(frozen=True, eq=False)
class Way:
    """What is done with a region.

    Attributes:
        key: names it, and all that it depends on beside the image.
        apply: a region changed so; raises AttnlibError.
        erases: what stands in where patches are erased, from which image; None where the region
            is kept or only attention is cut.
        edits: whether the model gets another image.
    """

    key: Hashable
    apply: Callable[[Region], Edit]
    erases: tuple[StandIn, Tensor | None] | None = None
    edits: bool = True


def choose(space: Workspace, name: str, region: Region) -> tuple[Way, str]:
    """What to do, and what the pointer does."""
    whole = knockout.askable(space.vit)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        what = controls.segments(
            "change_what",
            "What to do",
            [ERASE, KEEP, *([CUT] if whole else [])],
            help="Erased is what is not kept. Cutting attention leaves the image as it is: only "
            "the ways between tokens go.",
        )
        pointer = controls.segments(
            "change_click",
            "The pointer",
            [PATCH, RECTANGLE, PAINT],
            help="A second click gives a patch back; a rectangle is two clicks on its corners.",
        )
        if what == CUT:
            return _cut(space, name, whole, region), pointer
        return _replaced(space, name, keep=what == KEEP), pointer


def pixels(space: Workspace, name: str) -> Tensor:
    """``(1, C, h, w)``, what the model gets of an image."""
    return results.subject(space.choice, space.vit, space.by_name[name]).pixels


def _replaced(space: Workspace, name: str, *, keep: bool) -> Way:
    others = [one for one in space.by_name if one != name]
    stand_in = controls.choice(
        "change_with",
        "In their place",
        [one for one in STAND_INS if one != "image" or others],
        title=WORDS.__getitem__,
        width=280,
        help="A model answers to what stands in, too: try several.",
    )
    paste, digest = None, ""
    if stand_in == "image":
        other = controls.choice(
            "change_other",
            "Image to paste from",
            others,
            width=300,
            of=name,
            help="The same place of this image, as the model sees it.",
        )
        paste, digest = pixels(space, other), space.by_name[other].sha256
    vit, given = space.vit, pixels(space, name)
    return Way(
        (stand_in, digest, keep),
        lambda region: editing.edit(vit, given, region, stand_in, other=paste, keep=keep),
        None if keep else (stand_in, paste),
    )


def _cut(space: Workspace, name: str, whole: list[knockout.Who], region: Region) -> Way:
    vit, given = space.vit, pixels(space, name)
    who = controls.choice(
        "change_who",
        "Who looks at what",
        whole,
        title=knockout.WORDS.__getitem__,
        width=340,
        help="What is left of a row of attention grows to sum to 1.",
    )
    last = len(vit.support.calls("layer"))
    first = controls.number(
        "change_first", "From layer", 1, 1, last, help="The first where it is cut.", width=120
    )
    end = controls.number(
        "change_last", "to layer", last, first, last, help="The last one.", width=120, of=first
    )
    layers = range(first - 1, end)
    lookers = np.zeros(region.shape, dtype=bool)
    if who == "other":
        lookers.flat[list(_lookers(name, region))] = True
    return Way(
        (who, first, end, lookers.tobytes()),
        lambda region: knockout.knock_out(vit, given, region, who, layers, other=lookers),
        edits=False,
    )


def _lookers(name: str, region: Region) -> tuple[int, ...]:
    """The patches that shall not look: those that were chosen when the button was pressed."""
    known = Places(region.size)
    found: tuple[int, ...] = address.value(
        OTHER, (), known, label="Patches that shall not look", of=(name, region.shape)
    )
    st.button(
        "Those chosen now shall not look",
        on_click=_take,
        args=(region,),
        disabled=not region.any(),
        help="Then choose the patches that they shall not look at. "
        f"Now {counted(len(found), 'patch', 'patches')} shall not look.",
    )
    return found


def _take(region: Region) -> None:
    st.session_state[OTHER] = tuple(int(place) for place in np.flatnonzero(region))
