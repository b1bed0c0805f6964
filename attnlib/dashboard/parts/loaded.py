"""The list of models that this visitor has loaded: one is in use, another can stand beside it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from attnlib import settings
from attnlib.dashboard.parts import controls, output_kind
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.shelf import Kept, identity
from attnlib.data.image import sha256
from attnlib.data.text import counted
from attnlib.model import embedded
from attnlib.model.vit import Vit

KEY = "loaded_model"


def show(visitor: Session) -> None:
    """Choose among the models that were loaded; nothing where there is but one."""
    shelf = visitor.models
    if shelf.dropped:
        st.info(
            f"There was no more room for {literal(shelf.dropped)}: it left the list of at most "
            f"{counted(settings.current().max_models, 'model')}. Upload it again to look at it."
        )
    if len(shelf) < 2:
        return
    entries = {_code(kept): kept for kept in shelf}
    st.session_state[KEY] = _code(Kept(visitor.choice))
    st.selectbox(
        "Loaded models",
        list(entries),
        format_func=lambda code: shelf.title(entries[code]),
        key=KEY,
        on_change=_pick,
        args=(visitor, entries),
        help="What you loaded before stays here until the page is closed.",
    )


def _pick(visitor: Session, entries: dict[str, Kept]) -> None:
    kept = entries[st.session_state[KEY]]
    visitor.choice, visitor.upload = kept.choice.plain, kept.upload
    visitor.model_problem, visitor.failed = "", None
    # The form below then says the same, and so does a link.
    choice = visitor.choice
    source, field = choice.form
    st.session_state["source"] = source
    st.session_state["outputs"] = choice.outputs or output_kind.AUTO
    if field:
        st.session_state[field] = choice.source
        size = choice.img_size
        st.session_state["pre_size"] = "" if size is None else f"{size[0]}x{size[1]}"


def another(
    visitor: Session, key: str, label: str = "Other model", *, help: str
) -> tuple[ModelChoice, Vit] | None:
    """A second model to set beside the one in use: a loaded one, a demo's, or one of timm's.

    Returns:
        None while nothing is chosen.

    Raises:
        AttnlibError: it cannot be loaded.
    """
    shelf = visitor.models
    known = {
        _code(kept): kept for kept in shelf if identity(kept.choice) != identity(visitor.choice)
    }
    for name in embedded.NAMES:
        known.setdefault(name, Kept(ModelChoice(name)))
    options = [*known, *(name for name in models.timm_names() if name not in known)]
    code = controls.maybe(
        key,
        label,
        options,
        title=lambda code: shelf.title(known[code]) if code in known else code,
        placeholder="One that you loaded, or type to search",
        width=420,
        help=help,
    )
    if code is None:
        return None
    kept = known.get(code, Kept(ModelChoice(code)))
    now = visitor.choice
    choice = replace(kept.choice, device=now.device, precision=now.precision)
    return choice, models.get(choice, kept.upload)


def _code(kept: Kept) -> str:
    """A name where that says all, else a digest, which means something in this session alone."""
    key = identity(kept.choice)
    if key == ModelChoice(key.source):
        return key.source
    return f"loaded-{sha256(repr(key).encode())[:10]}"
