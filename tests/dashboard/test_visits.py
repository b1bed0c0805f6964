"""Visits to a server with a slow model: cold links go on by themselves, work ends with a visit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attnlib.model import demo
from tests.dashboard.browsing import STREAMLIT, in_a_browser, serving

pytestmark = in_a_browser
playwright = pytest.importorskip("playwright.sync_api")

# `streamlit run`, after the one place through which all passes go was made slow.
SLOW = """
import sys, time
from attnlib.capture import passes
quick = passes.forward
def forward(module, pixels, *args, **kwargs):
    time.sleep({seconds} * len(pixels))
    return quick(module, pixels, *args, **kwargs)
passes.forward = forward
from streamlit.web.cli import main
sys.argv[1:] = ["run", *sys.argv[1:]]
main()
"""
ENDLESS = """
import pathlib, time
from attnlib.dashboard.state import runner, tasks

runner.GRACE_S = 1.0

def work(progress):
    try:
        for step in range(100_000):
            progress(step, 100_000)
            pathlib.Path({path!r}).write_text(f"step {{step}}")
            time.sleep(0.02)
    except runner.Stopped as reason:
        pathlib.Path({path!r}).write_text(str(reason))
        raise

tasks.run("endless", 1, work, button="Endless", help="Never ends.", eager=True)
"""


def slowed(seconds: float) -> list[str]:
    """The command of the app in which every image takes so long."""
    return [sys.executable, "-c", SLOW.format(seconds=seconds), "app.py"]


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    with serving(slowed(0.5)) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "number"),
    [("cls-attention", -1), ("rollout-vs-flow", -2), ("attention-walkthrough", -3)],
)
def test_a_cold_link_to_an_image_goes_on_by_itself(slow, page, path: str, number: int) -> None:  # type: ignore[no-untyped-def]
    """All images take 40 s, the chosen one is the last of them, and nobody clicks."""
    name = demo.images()[number].name
    page.goto(f"{slow}/{path}?image={name}")
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("Inspecting:")
    began = time.monotonic()
    playwright.expect(body).to_contain_text(name, timeout=20_000)
    assert time.monotonic() - began < 20
    assert "waits for its turn" not in body.inner_text()
    assert page.locator("[data-testid=stException]").count() == 0


def test_every_page_shows_how_far_the_inspection_is(page) -> None:  # type: ignore[no-untyped-def]
    # A server of its own: results are shared, and here no earlier visitor may have made them.
    with serving(slowed(5.0)) as url:
        page.goto(url)
        body = page.locator("[data-testid=stMain]")
        playwright.expect(body).to_contain_text("Inspecting:", timeout=30_000)
        for link in page.locator("[data-testid=stSidebarNav] a").all():
            link.click()
            title = link.inner_text().splitlines()[-1]
            playwright.expect(body.locator("h1")).to_contain_text(title, timeout=30_000)
            playwright.expect(body).to_contain_text("Inspecting:", timeout=30_000)


def until(path: Path, true: Callable[[str], bool], seconds: float = 30.0) -> str:
    for _ in range(int(seconds / 0.05)):
        text = path.read_text() if path.exists() else ""
        if true(text):
            return text
        time.sleep(0.05)
    raise AssertionError(f"after {seconds:g} s it still says {text!r}")


def test_work_ends_with_its_session_and_not_before(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    note, script = tmp_path / "note.txt", tmp_path / "endless.py"
    script.write_text(ENDLESS.format(path=str(note)))
    with serving([*STREAMLIT, str(script)]) as url:
        page = browser.new_context().new_page()
        page.goto(url)
        step = int(until(note, lambda text: text.startswith("step")).split()[1])
        # Longer than the grace, with nothing but the open page: 100 steps of 0.02 s.
        until(note, lambda text: text.startswith("step") and int(text.split()[1]) > step + 100)
        page.context.close()
        assert "page was closed" in until(note, lambda text: not text.startswith("step") and text)
