"""What a browser makes of the gate: nothing of ours is forbidden, everything foreign is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from attnlib.dashboard.state.startup import ADDRESSES
from tests.dashboard import browsing
from tests.dashboard.browsing import in_a_browser
from tests.dashboard.conftest import browser as browser
from tests.dashboard.conftest import page as page
from tests.dashboard.conftest import server as server

IDLE = """() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState
  === 'notRunning' && document.querySelector('[data-testid=stMain] h1')"""
VIOLATIONS = """document.addEventListener('securitypolicyviolation',
  (event) => (window.violations ??= []).push(`${event.violatedDirective} ${event.blockedURI}`))"""
# Streamlit's numbers of 64 bits try WebAssembly and go on without it.
SPARED = ["script-src wasm-eval"]
CONNECT = """(place) => new Promise((resolve) => {
  const socket = new WebSocket(place)
  socket.onopen = () => resolve('open')
  socket.onclose = socket.onerror = () => resolve('closed')
})"""

pytestmark = in_a_browser


def test_no_page_needs_what_the_policy_forbids(page: Any, server: str) -> None:
    page.add_init_script(VIOLATIONS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for place in (*ADDRESSES, "/complexity-calculator?cost_part=Sweeps"):
        page.goto(server + place)
        page.wait_for_function(IDLE)
        # Components and charts are drawn by scripts that come later.
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => window.violations ?? []") == SPARED, place
    page.wait_for_selector("[data-testid=stVegaLiteChart] :is(canvas, svg)", state="attached")
    assert {url.split("://")[1].split("/")[0] for url in asked if url.startswith("http")} == {
        server.removeprefix("http://")
    }
    # What the policy forbids is noticed here.
    page.evaluate("() => { new Image().src = 'http://example.org/a.png' }")
    page.wait_for_function("() => window.violations.length > 1")
    assert page.evaluate("() => window.violations[1]") == "img-src http://example.org/a.png"
    page.evaluate("() => { setTimeout('window.evaluated = true') }")
    page.wait_for_function("() => window.violations.length > 2")
    assert page.evaluate("() => window.violations[2]") == "script-src eval"
    assert not page.evaluate("() => window.evaluated")


@pytest.fixture
def elsewhere(browser: Any, server: str) -> Iterator[Any]:
    """A tab of a browser that was told another name for this machine."""
    flags = [*browsing.FLAGS, "--host-resolver-rules=MAP rebound.example 127.0.0.1"]
    made = browser.browser_type.launch(executable_path=browsing.CHROMIUM, args=flags)
    yield made.new_page()
    made.close()


def test_a_site_that_points_its_name_here_reads_nothing(elsewhere: Any, server: str) -> None:
    port = server.rsplit(":", 1)[1]
    answer = elsewhere.goto(f"http://rebound.example:{port}/")
    assert answer.status == 421
    own = f"ws://rebound.example:{port}/_stcore/stream"
    assert elsewhere.evaluate(CONNECT, own) == "closed"


def test_a_page_of_another_site_cannot_connect(page: Any, server: str) -> None:
    stream = server.replace("http", "ws", 1) + "/_stcore/stream"
    page.goto(f"{server}/healthz")
    assert page.evaluate(CONNECT, stream) == "open"
    # A page without our policy, which would forbid it already.
    page.route("http://localhost:9/", lambda route: route.fulfill(body="another site"))
    page.goto("http://localhost:9/")
    assert page.evaluate(CONNECT, stream) == "closed"
