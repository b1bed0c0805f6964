"""One of several views: only the chosen one is computed and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec

import streamlit as st

from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.errors import AttnlibError

P = ParamSpec("P")


def choose(
    key: str,
    views: Mapping[str, Callable[P, None]],
    *,
    help: str,
    label: str = "View",
    collapsed: bool = True,
) -> Callable[P, None]:
    """The view that is chosen among ``views`` (title -> what draws it), the first at first.

    A view is a file and one line in the registry of its page. What it refuses, it says.
    """
    title = controls.segments(
        key,
        label,
        list(views),
        label_visibility="collapsed" if collapsed else "visible",
        of=tuple(views),
        help=help,
    )
    return guarded(views[title])


def guarded(view: Callable[P, None]) -> Callable[P, None]:
    """The view, with what it refuses in words on the screen."""

    def show(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            view(*args, **kwargs)
        except AttnlibError as error:
            st.warning(literal(str(error)))

    return show
