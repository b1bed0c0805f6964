"""The app, a small model that is not square, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.diagnosis import FINDERS, Finder
from attnlib.model import demo
from tests.dashboard import browsing
from tests.dashboard.driving import settle, use, visitor
from tests.dashboard.library import Library
from tests.dashboard.scenes import walker as walker
from tests.dashboard.screen import Screen
from tests.dashboard.screen import screen as screen


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A new visitor's app, before its first run."""
    monkeypatch.chdir(browsing.ROOT)
    return visitor()


@pytest.fixture
def finders() -> Iterator[dict[str, Finder]]:
    """The registry of findings, to be changed; put back in its order, in which causes are asked."""
    kept = dict(FINDERS)
    yield FINDERS
    FINDERS.clear()
    FINDERS.update(kept)


@pytest.fixture(scope="session")
def library() -> Library:
    module = demo.build()
    module.set_input_size(img_size=(16, 24))
    module.pretrained_cfg = {**demo.DATA_CONFIG, "input_size": (3, 16, 24)}
    vit = attnlib.load(module, class_names=demo.CLASS_NAMES, device="cpu")
    assert vit.layout.grid == (4, 6)
    return Library(vit)


@pytest.fixture
def oblong(
    app: AppTest, screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> AppTest:
    """The app on the demo images with the oblong model, as if the visitor had chosen it."""
    use(app, library.vit, monkeypatch, name="an oblong model")
    return settle(app.run())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the app, with the photographs."""
    with browsing.serving() as url:
        yield url


@pytest.fixture(scope="module")
def untouched() -> Iterator[str]:
    """The address of the app as a new visitor finds it, with the demo that opens."""
    with browsing.serving(environment=browsing.OBJECTS) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as play:
        # Five seconds are not enough on a busy machine; what is there is found at once.
        playwright.expect.set_options(timeout=browsing.WAIT)
        browser = play.chromium.launch(executable_path=browsing.CHROMIUM, args=browsing.FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab of a new visitor's browser."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(browsing.WAIT)
    yield page
    context.close()


@pytest.fixture
def name(library: Library) -> str:
    """A mistake of the oblong model, for tests of one image."""
    return library.wrong[3]
