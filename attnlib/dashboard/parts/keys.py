"""Arrow keys and Esc for a whole page; and the top of the page in view for every new image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

_COMPONENT = st.components.v2.component(
    "attnlib_keys", html="<i></i>", js=Path(__file__).with_name("keys.js").read_text()
)


def listen(name: str, actions: Mapping[str, Callable[[], None]]) -> None:
    """Call ``actions["previous"]``, ``["next"]`` or ``["back"]`` on ←, → and Esc.

    Args:
        name: of the image that is open; another one is shown from the top of the page.
    """
    key = "keys"

    def pressed() -> None:
        # What comes from a browser is checked like any other input.
        action = actions.get(str(st.session_state[key].go))
        if action is not None:
            action()

    _COMPONENT(key=key, data={"name": name}, on_go_change=pressed, height=0)
