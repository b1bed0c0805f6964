"""The controls: which architecture, which pass. Everything they hold is in the address bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st
import timm
from streamlit.delta_generator import DeltaGenerator

from attnlib.complexity import Architecture, ArchitectureError, Problem
from attnlib.complexity.memory import BYTES
from attnlib.dashboard.cost.configuration import (
    FREE_PATCH,
    FREE_SIZE,
    Configuration,
    Resolved,
    Source,
    base,
    resolve,
    size,
)
from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace

# The titles stand in the address bar too, so they are short.
TITLES: dict[str, Source] = {
    "Loaded model": "loaded",
    "timm model": "timm",
    "Free": "free",
}
FAMILIES = ("vision_transformer", "deit", "beit", "eva")
PLAIN = Configuration()


class Slots:
    """A place under every control for what is wrong with it."""

    def __init__(self) -> None:
        self._places: dict[str, DeltaGenerator] = {}

    @contextmanager
    def control(self, *fields: str, width: int) -> Iterator[None]:
        """Draw a control inside; what is wrong with these fields will stand below it."""
        with st.container(width=width, gap=None):
            yield
            place = st.container(gap=None)
        self._places |= dict.fromkeys(fields, place)

    def say(self, problems: tuple[Problem, ...], notes: tuple[Problem, ...] = ()) -> None:
        """Every problem at its control; without one, below all controls."""
        told: set[str] = set()
        for problem in problems:
            # One at a time: height and width of a patch are wrong for one reason.
            if problem.field in told:
                continue
            told.add(problem.field)
            text = f":small[:red[:material/error: {literal(problem.message)}]]"
            place = self._places.get(problem.field)
            (st if place is None else place).markdown(text)
        for note in notes:
            st.caption(f":material/content_cut: {literal(note.message)}")


def choose(space: Workspace) -> Resolved:
    """Draw all controls; what is impossible is said beside the control that is wrong."""
    slots = Slots()
    shape = _shape(space, slots)
    run = _pass(slots)
    wanted = Configuration(**shape, **run)
    found = resolve(wanted, space.vit.module, space.choice.title)
    slots.say(found.problems, found.cost.architecture.notes if found.cost else ())
    if found.cost is None and wanted.source == "loaded":
        st.caption("Choose a model of timm or a free architecture instead.")
    return found


def _shape(space: Workspace, slots: Slots) -> dict[str, Any]:
    with st.container(horizontal=True):
        with slots.control(width=320):
            title = controls.segments(
                "cost_of",
                "Architecture",
                list(TITLES),
                help="Whose cost it is: the sidebar's model, any ViT of timm, or your own.",
            )
        source = TITLES[title]
        shape: dict[str, Any] = {"source": source}
        if source == "timm":
            with slots.control("name", width=330):
                shape["model"] = controls.choice(
                    "cost_model",
                    "Model",
                    vit_names(),
                    default=PLAIN.model,
                    help="Plain ViTs of timm (ViT, DeiT, BEiT, EVA, DINO); type to search.",
                )
        elif source == "loaded":
            with slots.control("name", width=330):
                st.caption(
                    f"**{literal(space.choice.title)}**  \nAnother is chosen in the sidebar."
                )
    own = _own(Configuration(**shape), space)
    with st.container(horizontal=True):
        _sizes(slots, shape, own)
        if source == "free":
            _free(slots, shape)
    return shape


def _sizes(slots: Slots, shape: dict[str, Any], own: Architecture | None) -> None:
    """A free architecture has its sizes written out; another's own stand behind empty fields."""
    free = shape["source"] == "free"
    for field, label, help, empty in (
        ("height", "Image height", "In pixels", "the architecture's own"),
        ("width", "Image width", "In pixels", "as the height"),
        ("patch", "Patch size", "Side of a square patch in pixels", "the own one"),
    ):
        placeholder = "own"
        if own is not None:
            height, width = size(Configuration(**shape), own.image)
            placeholder = str({"height": height, "width": width, "patch": own.patch[0]}[field])
        with slots.control(*(("image", field) if field == "height" else (field,)), width=150):
            shape[field] = controls.number(
                f"cost_{field}",
                label,
                int(placeholder) if free else None,
                step=1 if field == "patch" or own is None else own.patch[0],
                placeholder=placeholder,
                of="free" if free else None,
                help=f"{help}." if free else f"{help}; empty is {empty}.",
            )


def _own(wanted: Configuration, space: Workspace) -> Architecture | None:
    """What empty controls stand for."""
    if wanted.source == "free":
        return Architecture.vit(FREE_SIZE, FREE_PATCH)
    try:
        return base(wanted, space.vit.module)
    except ArchitectureError:
        return None


def _free(slots: Slots, shape: dict[str, Any]) -> None:
    for field, problem, label, help in (
        ("dim", "dim", "Dimension D", "Width of a token."),
        ("depth", "depth", "Depth L", "Number of blocks."),
        ("heads", "heads", "Heads H", "Attention heads of a block; they divide the dimension."),
        ("mlp_ratio", "mlp_ratio", "MLP ratio", "Hidden width of the MLP over the dimension."),
        ("prefix", "registers", "Prefix tokens", "The class token, then registers; 0 averages "
                                                 "the patches instead of reading a class token."),
        ("classes", "classes", "Classes", "Outputs of the head; 0 is no head."),
    ):  # fmt: skip
        with slots.control(problem, field, width=150):
            shape[field] = controls.number(
                f"cost_{field}",
                label,
                getattr(PLAIN, field),
                step=0.5 if field == "mlp_ratio" else 1,
                help=help,
            )


def _pass(slots: Slots) -> dict[str, Any]:
    with st.container(horizontal=True):
        with slots.control("batch", width=150):
            batch = controls.number("cost_batch", "Batch B", 1, help="Images in one pass.")
        with slots.control("dtype", width=150):
            dtype = controls.choice(
                "cost_dtype",
                "Data type",
                list(BYTES),
                default="float32",
                help="Of weights and activations; half precision takes half the memory.",
            )
        with slots.control(width=190):
            mode = controls.segments(
                "cost_pass",
                "Pass",
                ["inference", "training"],
                help="Forward only, or forward and backward with AdamW.",
            )
        with slots.control(width=220):
            form = controls.segments(
                "cost_attention",
                "Attention",
                ["fused", "materialised"],
                help="Whether the T × T matrices are written to memory (materialised) or not.",
            )
    return {
        "batch": batch,
        "dtype": dtype,
        "training": mode == "training",
        "materialised": form == "materialised",
    }


@st.cache_data(max_entries=1, show_spinner=False)
def vit_names() -> list[str]:
    """Every plain ViT of timm, and those with weights by their full names."""
    return sorted(
        {
            name
            for family in FAMILIES
            for pretrained in (False, True)
            for name in timm.list_models(module=family, pretrained=pretrained)
        }
    )
