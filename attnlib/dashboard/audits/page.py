"""The page as a whole: which audit, its numbers, then one of several views of it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.dashboard.audits import (
    begun,
    classes,
    compared,
    density,
    elsewhere,
    groups,
    images,
    near,
    own,
)
from attnlib.dashboard.parts import controls, views
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import audits
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError

KEPT, OWN = "A large set", "The images loaded here"
VIEWS: dict[str, Callable[[Workspace, Opened], None]] = {
    "Images": images.show,
    "Classes": classes.show,
    "Map": density.show,
    "Groups that fail": groups.show,
    "Nearest training images": near.show,
    "Compare with another audit": compared.show,
    "Results from elsewhere": elsewhere.show,
}


def show(space: Workspace) -> None:
    """The choice of an audit, then what it says."""
    try:
        found = own.show(space) if _of() == OWN else _opened(space)
        if found is not None:
            _numbers(found)
    except AttnlibError as error:
        st.warning(literal(str(error)))
        return
    if found is None or not found.done:
        return
    view = views.choose(
        "audit_view", VIEWS, help="The images, the classes, or groups of images that fail."
    )
    view(space, found)


def _of() -> str:
    """Whether an audit's folder is looked at, or the images that are loaded."""
    if not audits.named() and not audits.any_folder():
        return OWN
    return controls.segments(
        "audit_of",
        "Audit of",
        (KEPT, OWN),
        help="A large set that was audited into a folder, or the images that are loaded here.",
        label_visibility="collapsed",
    )


def _opened(space: Workspace) -> Opened | None:
    """The audit in the folder that is chosen; without one, how to make one.

    Raises:
        AttnlibError: it cannot be opened.
    """
    url = _choose()
    if audits.any_folder() and not audits.named():
        begun.show(space)
    if url:
        return audits.get(url)
    st.info(
        "An audit is what a model said of every image of a set, of any size. Make one in a "
        "shell, then open its folder here:"
    )
    st.code(
        "attnlib audit data/val --model runs/best.safetensors --out audits/best\n"
        "attnlib dashboard audits/best",
        language="sh",
    )
    return None


def _choose() -> str:
    """The audit's folder."""
    named = audits.named()
    chosen = ""
    if named:
        chosen = controls.choice(
            "audit", "Audit", named, width=520, help="Those that this server shows."
        )
    if audits.any_folder() and not named:
        chosen = controls.text(
            begun.FOLDER,
            "Folder of an audit",
            help="As “attnlib audit” wrote it: a path or a URL, such as s3://bucket/audits/best.",
            placeholder="audits/best",
        ).strip()
    return chosen


def _numbers(found: Opened) -> None:
    """How many images there are, how many are wrong, and of which model."""
    totals, manifest = found.totals(), found.manifest
    parts = [f"**{totals.images:,}** images"]
    if not found.whole:
        parts[0] += f" of {manifest.images:,}: it is not finished"
    if totals.labelled:
        low, high = totals.interval
        parts += [
            f"**{totals.labelled - totals.right:,}** of {totals.labelled:,} wrong",
            f"accuracy **{totals.accuracy:.1%}** (95 %: {low:.1%} to {high:.1%})",
        ]
    if totals.refused:
        parts.append(f"**{totals.refused:,}** refused")
    st.markdown(" · ".join(parts))
    model = str(manifest.model.get("checkpoint") or manifest.model.get("model") or "")
    st.caption(literal(f"Model: {model} · source: {manifest.wanted.get('source', '')}"))
