"""What the session remembers of every control, and what the address bar says of it.

A link is opened by somebody who has nothing else: whatever differs from its default stands in
it. In a session that has begun, what the visitor does wins over the address; only a page that is
just opened, or the browser's “back”, makes the address speak.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from attnlib.dashboard.parts.codecs import Codec
from attnlib.dashboard.parts.markdown import literal

T = TypeVar("T")

_NOTHING = object()


@dataclass
class _Memory:
    """One visitor's choices.

    Attributes:
        kept: the value of a control for each thing that it belonged to.
        defaults: what its default was then.
        of: by key, what the control belongs to now.
        written: by key, what the address was made to say.
        page: the page that these addresses belong to.
    """

    kept: dict[tuple[str, Hashable], Any] = field(default_factory=dict)
    defaults: dict[tuple[str, Hashable], Any] = field(default_factory=dict)
    of: dict[str, Hashable] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)
    page: str | None = None


def follow(page: str) -> None:
    """Before anything is drawn: go where “back” and “forward” of the browser lead.

    Args:
        page: the address of the page that is drawn.
    """
    memory = _memory()
    if memory.page != page:
        # Another page begins with an address of its own.
        memory.page, memory.written = page, {}
        return
    if not len(st.query_params) or _touched(memory):
        return
    if any(st.query_params.get_all(key) != texts for key, texts in memory.written.items()):
        for key in memory.written:
            st.session_state.pop(key, None)
            memory.of.pop(key, None)
        memory.written = {}


def value(
    key: str,
    default: T,
    codec: Codec[T],
    *,
    label: str,
    of: Hashable = None,
    linked: bool = True,
) -> T:
    """A value that is remembered and linked, whether or not a widget shows it.

    It lies in ``st.session_state[key]``, where a callback may change it.

    Args:
        label: what it is called where an address asks for what does not exist.
        of: what the choice belongs to; for another image, say, there is another choice.
        linked: whether it stands in the address.
    """
    found = settle(key, default, codec, label=label, of=of, linked=linked)
    keep(key, found, default, codec, of=of, linked=linked)
    return found


def settle(
    key: str,
    default: T,
    codec: Codec[T],
    *,
    label: str,
    of: Hashable = None,
    linked: bool = True,
) -> T:
    """The value to begin with, put in ``st.session_state[key]``: the first that there is of

    what the visitor just did, what the address says on a page that is just opened, what was
    chosen before, and the default. What does not exist falls back to the default in one sentence.
    """
    memory = _memory()
    same = memory.of.get(key, of) == of
    texts = st.query_params.get_all(key) if linked else []
    # What nobody chose follows the default: another model's last layer has another number.
    untouched = memory.defaults.get((key, of), default)
    if same and key in st.session_state:
        chosen = st.session_state[key]
        found, asked = _judged(codec, default if chosen == untouched else chosen, default)
    elif same and texts:
        found, asked = _read(codec, texts, default)
    else:
        chosen = memory.kept.get((key, of), default)
        found, asked = _judged(codec, default if chosen == untouched else chosen, default)
    if asked:
        shown = ", ".join(codec.write(found)) or "nothing"
        st.toast(f"{label}: {asked}. Shown is {literal(_short(shown))}.", duration="infinite")
    memory.of[key] = of
    if key not in st.session_state or st.session_state[key] != found:
        st.session_state[key] = found
    return found


def keep(
    key: str,
    found: T,
    default: T,
    codec: Codec[T],
    *,
    of: Hashable = None,
    linked: bool = True,
) -> None:
    """Remember what a control holds now, and have the address say so where it is no default."""
    memory = _memory()
    memory.kept[key, of], memory.defaults[key, of] = found, default
    if not linked:
        return
    texts = [] if found == default else codec.write(found)
    memory.written[key] = texts
    if st.query_params.get_all(key) == texts:
        return
    if texts:
        st.query_params[key] = texts
    else:
        del st.query_params[key]


def recall(key: str, default: T) -> T:
    """What was chosen before, where it is not judged."""
    found: T = _memory().kept.get((key, None), default)
    return found


def _memory() -> _Memory:
    found: _Memory = st.session_state.setdefault("memory", _Memory())
    return found


def _touched(memory: _Memory) -> bool:
    """Whether the visitor has changed a control since it was drawn."""
    return any(
        st.session_state.get(key, _NOTHING) not in (_NOTHING, memory.kept.get((key, of)))
        for key, of in memory.of.items()
    )


def _read(codec: Codec[T], texts: list[str], default: T) -> tuple[T, str]:
    """What a link asks for, or the default and why."""
    try:
        return codec.read(texts), ""
    except ValueError as allowed:
        said = literal(_short(", ".join(texts)))
        return default, f"the link says “{said}”, which is not {literal(str(allowed))}"


def _judged(codec: Codec[T], found: Any, default: T) -> tuple[T, str]:
    """What was chosen before, or the default where it does not exist any more, and why."""
    if found == default:
        return default, ""
    try:
        return codec.read(codec.write(found)), ""
    except (ValueError, TypeError) as allowed:
        said = literal(_short(str(found)))
        return default, f"“{said}” is not {literal(str(allowed))} here"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
