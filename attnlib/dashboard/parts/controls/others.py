"""Controls to switch, to type, and to open."""

from __future__ import annotations

from collections.abc import Hashable

import streamlit as st
from streamlit.elements.lib.mutable_popover_container import PopoverContainer

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Codec, Text, YesNo

_LINE = Text()


def toggle(
    key: str,
    label: str,
    *,
    help: str,
    default: bool = False,
    disabled: bool = False,
    of: Hashable = None,
) -> bool:
    """On or off."""
    codec = YesNo()
    begun = address.settle(key, default, codec, label=label, of=of)
    found = st.toggle(label, begun, key=key, help=help, disabled=disabled)
    address.keep(key, found, default, codec, of=of)
    return found


def text(
    key: str,
    label: str,
    default: str = "",
    *,
    help: str,
    placeholder: str | None = None,
    linked: bool = True,
    of: Hashable = None,
    codec: Codec[str] = _LINE,
    height: int | None = None,
) -> str:
    """A line of text, or with ``height`` (pixels) several, which no link holds."""
    linked = linked and height is None
    if linked:
        begun = address.settle(key, default, codec, label=label, of=of)
    else:
        begun = st.session_state.setdefault(key, address.recall(key, default))
    if height is None:
        found = st.text_input(label, begun, key=key, placeholder=placeholder, help=help)
    else:
        found = st.text_area(
            label, begun, key=key, placeholder=placeholder, height=height, help=help
        )
    address.keep(key, found, default, codec, of=of, linked=linked)
    return found


def drawer(key: str, label: str, *, help: str, icon: str) -> PopoverContainer:
    """Controls behind a button, to be drawn only while it is open::

        with controls.drawer("sort_open", "Sort", ...) as place:
            if place.open:
                ...

    A browser makes what is behind the button when it opens, and a control that was declared runs
    ago would then stand at its lowest value, whatever the session says.
    """
    return st.popover(label, icon=icon, help=help, key=key, on_change="rerun")
