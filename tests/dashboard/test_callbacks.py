"""A click's callback is done to its end, also where the browser asks for a newer run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.state import callbacks


def script() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx

    def overtaken(way: str) -> None:
        ctx = get_script_run_ctx()
        assert ctx is not None and ctx.script_requests is not None
        # As a picture that is asked for does, in another thread.
        ctx.script_requests.request_rerun(RerunData(page_script_hash=ctx.page_script_hash))
        st.session_state["first"] = way
        st.query_params["said"] = way
        if way == "rerun":
            st.rerun()
        st.session_state["last"] = way

    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    for way in ("plain", "rerun"):
        st.button(way, key=way, on_click=overtaken, args=(way,))


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Streamlit as it comes."""
    found = SafeSessionState.on_script_will_rerun
    monkeypatch.setattr(
        SafeSessionState, "on_script_will_rerun", getattr(found, "__wrapped__", found)
    )
    yield


def test_streamlit_alone_loses_the_click(original: None) -> None:
    page = AppTest.from_function(script).run()
    page.button(key="plain").click().run()
    assert "first" not in page.session_state, "Streamlit mended it: attnlib need not any longer"


def test_the_callback_is_done_and_the_newer_run_comes(original: None) -> None:
    callbacks.finish()
    callbacks.finish()
    page = AppTest.from_function(script).run()
    page.button(key="plain").click().run()
    assert (page.session_state["first"], page.session_state["last"]) == ("plain", "plain")
    assert page.session_state["runs"] == 2


def test_a_callback_that_asks_for_a_run_ends_there(original: None) -> None:
    callbacks.finish()
    page = AppTest.from_function(script).run()
    page.button(key="rerun").click().run()
    assert page.session_state["first"] == "rerun" and "last" not in page.session_state
    assert page.session_state["runs"] == 2 and not page.exception
