"""A browser that sees what is drawn, for benchmarks."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator

from playwright.sync_api import Browser, Page, sync_playwright

from tests.dashboard.browsing import CHROMIUM, FLAGS

# The servers of a benchmark keep nothing in the folder of whoever runs it.
if "ATTNLIB_HOME" not in os.environ:
    os.environ["ATTNLIB_HOME"] = _HOME = tempfile.mkdtemp(prefix="attnlib-home-")
    atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# Elements by selector, also inside components, which have trees of their own.
DEEP = """
window.deep = (selector, root = document) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll('*')].filter(e => e.shadowRoot)
    .flatMap(e => window.deep(selector, e.shadowRoot)),
];
window.main = () => document.querySelector('[data-testid=stMain]');
window.pictures = () => window.main() ? window.deep('img', window.main()) : [];
window.shown = () => window.pictures().map(i => i.src).join();
window.loaded = () => window.pictures().every(i => i.complete);
window.card = (density, index) =>
  window.deep(`.board.${density} article`, window.main())[index]?.dataset.name;
"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def visitor(browser: Browser, height: int = 900) -> Page:
    """A tab of somebody new."""
    page = browser.new_context(viewport={"width": 1440, "height": height}).new_page()
    page.add_init_script(DEEP)
    page.set_default_timeout(180_000)
    return page


def until(page: Page, condition: str, act: Callable[[], object], arg: object = None) -> float:
    """Milliseconds from an action until a condition holds; ``before`` is `shown` at the start."""
    before = page.evaluate("window.shown()")
    start = time.perf_counter()
    act()
    page.wait_for_function(
        f"([before, arg]) => {condition} && window.loaded()", arg=[before, arg], polling="raf"
    )
    return 1000 * (time.perf_counter() - start)


def repainted(page: Page, act: Callable[[], object]) -> float:
    """Milliseconds from an action until the pictures differ and have loaded."""
    return until(page, "window.shown() !== before", act)
