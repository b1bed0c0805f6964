"""What a click does is done to its end, also where the browser asks for something else meanwhile.

Streamlit looks for a newer request at each access to the session's state. Where one has come since
the click, the click's callback ends there, and nobody hears of it: whoever pressed “Finish” while
a picture was asked for saw nothing happen. The newer request can wait for a callback.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.state.safe_session_state import SafeSessionState


def finish() -> None:
    """From now on, in this process, no request ends the callbacks of another."""
    original = SafeSessionState.on_script_will_rerun
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def whole(state: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        runner = getattr(state._yield_callback, "__self__", None)
        if not isinstance(runner, ScriptRunner) or not runner._execing:
            original(state, *args, **kwargs)
            return
        # As outside of a run, where it looks for no request; it does so right after this.
        runner._execing = False
        try:
            original(state, *args, **kwargs)
        finally:
            runner._execing = True

    SafeSessionState.on_script_will_rerun = whole  # type: ignore[method-assign,assignment]
