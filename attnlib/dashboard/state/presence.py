"""Who a visitor is and whether they are still there: all that computations ask Streamlit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attnlib.capture.admission import NOBODY, Asker
from attnlib.dashboard.state import people
from attnlib.errors import SignInError


def of_visitor() -> Callable[[], bool]:
    """A question to be asked from any thread: is the session that runs now still connected?"""
    context = get_script_run_ctx(suppress_warning=True)
    session = "" if context is None else context.session_id
    return lambda: connected(session)


def person() -> str:
    """Whoever shares limits and turns: the person, else the tab; "" where no script runs."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return ""
    if people.sign_in_is_on():
        with contextlib.suppress(SignInError):
            return people.person().id
    return context.session_id


def asker() -> Asker:
    """For whom a script that runs in this thread asks for a forward pass.

    Whoever clicks again, or leaves, no longer waits for what the click before asked for.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return NOBODY
    check = context.yield_check

    def here() -> bool:
        check()
        return True

    return Asker(person(), here=here)


def connected(session: str) -> bool:
    """Whether this session has a browser now; always, where there is no server at all."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)
