"""What the session remembers of every control, and what the address bar says of it.

A link is opened by somebody who has nothing else: whatever differs from its default stands in
it. In a session that has begun, what the visitor does wins over the address; only a page that is
just opened, or the browser's “back”, makes the address speak. The address is written once a run:
each writing is a step for “back”.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from attnlib.dashboard.parts.codecs import Codec
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.drawing import DRAWING

T = TypeVar("T")
P = ParamSpec("P")

# Values of controls, and what their defaults were then.
Remembered = tuple[dict[tuple[str, Hashable], Any], dict[tuple[str, Hashable], Any]]

_NOTHING = object()
# Seconds within which a browser may still send the address that was just written over.
IN_FLIGHT = 2.0
# What the sidebar's controls say of the image that is looked at, and of nothing else.
_OF_IMAGE = {"image", "images", "workspace"}


@dataclass
class _Memory:
    """One visitor's choices.

    Attributes:
        kept: the value of a control for each thing that it belonged to.
        defaults: what its default was then.
        of: by key, what the control belongs to now.
        wanted: by key, what the address is to say.
        sent: what it was last made to say of these keys.
        page: the page that these addresses belong to.
        flushed: when the address was last changed, on a monotonic clock.
        of_model: the keys that are about the model.
    """

    kept: dict[tuple[str, Hashable], Any] = field(default_factory=dict)
    defaults: dict[tuple[str, Hashable], Any] = field(default_factory=dict)
    of: dict[str, Hashable] = field(default_factory=dict)
    wanted: dict[str, list[str]] = field(default_factory=dict)
    sent: dict[str, list[str]] = field(default_factory=dict)
    page: str | None = None
    flushed: float = -IN_FLIGHT
    of_model: set[str] = field(default_factory=set)


def follow(page: str) -> None:
    """Before anything is drawn: go where “back” and “forward” of the browser lead.

    Args:
        page: the address of the page that is drawn.
    """
    memory = _memory()
    if memory.page != page:
        # Another page begins with an address of its own.
        memory.page, memory.wanted, memory.sent = page, {}, {}
        return
    in_flight = time.monotonic() - memory.flushed < IN_FLIGHT
    if not len(st.query_params) or in_flight or _touched(memory):
        return
    # Not with what is wanted: a run that was cut short wants what it never said.
    if any(st.query_params.get_all(key) != texts for key, texts in memory.sent.items()):
        for key in memory.wanted:
            # What the address does not say is at its default there.
            st.session_state.pop(key, None)
            memory.kept.pop((key, memory.of.pop(key, None)), None)
        memory.wanted, memory.sent = {}, {}


def write(key: str, texts: list[str]) -> None:
    """What the address is to say of a key from the end of this run on; nothing removes it."""
    _memory().wanted[key] = texts


def mark_model() -> None:
    """All that was written so far in this run is about the model and its images."""
    memory = _memory()
    memory.of_model = {key for key, texts in memory.wanted.items() if texts} - _OF_IMAGE


def of_model() -> dict[str, list[str]]:
    """What links say of the model, see :func:`mark_model`."""
    memory = _memory()
    return {key: memory.wanted[key] for key in sorted(memory.of_model) if memory.wanted.get(key)}


def flush() -> None:
    """At the end of a run, of a page or of a fragment: have the address say what is wanted."""
    memory = _memory()
    now = {key: st.query_params.get_all(key) for key in st.query_params}
    wanted = {key: texts for key, texts in {**now, **memory.wanted}.items() if texts}
    if wanted != now:
        st.query_params.from_dict(wanted)
        memory.flushed = time.monotonic()
    memory.sent = dict(memory.wanted)


def fragment(show: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that runs alone when one of its controls changes (``st.fragment``)."""

    @st.fragment
    @wraps(show)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        with DRAWING.draws("part"):
            show(*args, **kwargs)
            flush()

    return drawn


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
    """The value to begin with, which is put in ``st.session_state[key]`` for the widget.

    It is the first that there is of: what the visitor just did, what the address says on a page
    that is just opened, what was chosen before, and the default. What does not exist here falls
    back to the default, in one sentence.
    """
    DRAWING.give_way()
    memory = _memory()
    same = memory.of.get(key, of) == of
    texts = st.query_params.get_all(key) if linked else []
    # What nobody chose follows the default: another model's last layer has another number.
    untouched = memory.defaults.get((key, of), default)
    if same and key in st.session_state:
        chosen = st.session_state[key]
        found, asked = _judged(codec, default if chosen == untouched else chosen, default)
    elif same and texts and key not in memory.wanted:
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
    if linked:
        write(key, [] if found == default else codec.write(found))


def put(key: str, found: Any, of: Hashable = None) -> None:
    """Have a control hold a value from the next run on, or in this one where it is still to come.

    Args:
        of: as in :func:`value`.
    """
    memory = _memory()
    memory.of[key] = of
    memory.kept[key, of] = st.session_state[key] = found


def remembered(keys: Collection[str]) -> Remembered:
    """What some controls hold, whatever each choice belongs to."""
    memory = _memory()
    chosen = {at: found for at, found in memory.kept.items() if at[0] in keys}
    return chosen, {at: memory.defaults[at] for at in chosen if at in memory.defaults}


def put_back(keys: Collection[str], before: Remembered) -> None:
    """Have some controls hold what they held before, and those that held nothing their defaults.

    Args:
        before: see :func:`remembered`.
    """
    memory = _memory()
    for found in (memory.kept, memory.defaults):
        for at in [at for at in found if at[0] in keys]:
            del found[at]
    for mine, theirs in zip((memory.kept, memory.defaults), before, strict=True):
        mine |= theirs
    for key in keys:
        st.session_state.pop(key, None)
        memory.of.pop(key, None)
        memory.wanted[key] = []


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
