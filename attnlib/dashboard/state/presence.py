"""Whether a visitor is still there: the one question that work beside the page asks Streamlit."""

from __future__ import annotations

from collections.abc import Callable

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx


def of_visitor() -> Callable[[], bool]:
    """A question to be asked from any thread: is the session that runs now still connected?"""
    context = get_script_run_ctx(suppress_warning=True)
    session = "" if context is None else context.session_id
    return lambda: connected(session)


def connected(session: str) -> bool:
    """Whether this session has a browser now; always, where there is no server at all."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)
