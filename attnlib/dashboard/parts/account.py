"""Who is signed in, and the way out."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import people
from attnlib.errors import SignInError


def require() -> None:
    """End the run before anything is drawn, unless somebody is here who may see it.

    The gate before the app lets nobody else in; this holds where a sign-in ends while the page
    is open.
    """
    try:
        people.person()
    except people.NoRole as error:
        st.warning(literal(str(error)))
        st.button("Sign out", on_click=st.logout, help="End the sign-in, at the provider, too.")
        st.stop()
    except SignInError as error:
        st.info(literal(str(error)))
        st.button("Sign in", on_click=st.login, type="primary", help="Go on to the provider.")
        st.stop()


def show() -> None:
    """Name and way out of whoever is signed in; nothing where nobody signs in."""
    if not people.sign_in_is_on():
        return
    person = people.person()
    role = {"viewer": "looks and comments", "editor": "edits", "admin": "administers"}[person.role]
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.caption(
            f"{literal(person.name)} ({role})", width="content", help=literal(person.email) or None
        )
        st.button(
            "Sign out",
            key="sign_out",
            type="tertiary",
            on_click=st.logout,
            help="End the sign-in here and at the provider.",
        )
