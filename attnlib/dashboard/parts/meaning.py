"""Which class a label means that is the name of none: said by the visitor, kept in the link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import LONGEST

KEY: Final = "label_means"
# Characters of the address; of more the session alone knows.
ROOM: Final = 600
MOST: Final = 5000


class Pairs:
    """Texts and what they mean, each as ``label=class``.

    ``%``, ``=`` and what cannot be printed are encoded.
    """

    allowed = "pairs of a label and a class, as kitty=cat"

    def read(self, texts: list[str]) -> dict[str, str]:
        """The pairs.

        Raises:
            ValueError: one of them is no pair, or cannot be printed.
        """
        found: dict[str, str] = {}
        for text in texts:
            label, equals, name = text.partition("=")
            label, name = unquote(label), unquote(name)
            fits = equals and label and name and "=" not in text.partition("=")[2]
            if not fits or len(text) > LONGEST or not text.isprintable():
                raise ValueError(self.allowed)
            found[label] = name
        if len(found) != len(texts) or len(found) > MOST:
            raise ValueError(self.allowed)
        return found

    def write(self, value: Mapping[str, str]) -> list[str]:
        """One text for each."""
        return [f"{_coded(label)}={_coded(name)}" for label, name in value.items()]


def _coded(text: str) -> str:
    return "".join(
        one if one.isprintable() and one not in "%=" else quote(one, safe="") for one in text
    )


def held() -> dict[str, str]:
    """Label -> name of a class; what a link says where it is just opened."""
    now: Mapping[str, str] = st.session_state.get(KEY, {})
    linked = sum(map(len, Pairs().write(now))) <= ROOM
    if not linked:
        address.write(KEY, [])
    empty: dict[str, str] = {}
    return address.value(KEY, empty, Pairs(), label="What labels mean", linked=linked)


def say(more: Mapping[str, str | None]) -> None:
    """Add meanings; None takes one away."""
    together = {**st.session_state.get(KEY, {}), **more}
    st.session_state[KEY] = {label: name for label, name in together.items() if name is not None}
