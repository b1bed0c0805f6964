"""What one does outlives a reload, and a server that is killed in the middle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.dashboard.browsing import WAIT, free_port, in_a_browser, serving
from tests.dashboard.driving import png

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = in_a_browser


def test_a_reload_and_a_killed_server_lose_nothing(browser, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    port, environment = free_port(), {"ATTNLIB_HOME": str(tmp_path)}
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    files = {f"mine-{i}.png": png(i) for i in range(3)}
    body = page.locator("[data-testid=stMain]")
    saved = page.locator("[data-testid=stSidebar]").get_by_text(re.compile(r"\bSaved$"))
    with serving(port=port, environment=environment, kill=True) as url:
        page.goto(url)
        page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(
            [{"name": n, "mimeType": "image/png", "buffer": data} for n, data in files.items()]
        )
        page.wait_for_url("**workspace=*")
        page.reload()
        body.locator("article.card[data-name='mine-2.png']").wait_for()
        playwright.expect(body.locator("article.card")).to_have_count(3)
        body.locator("article.card[data-name='mine-1.png']").click()
        body.get_by_text("ambiguous", exact=True).first.click()
        # The strip names the tag once the run that saves it has drawn.
        playwright.expect(body.locator("[title='mine-1.png'] span")).to_have_text("ambiguous")
        saved.wait_for()
        page.wait_for_timeout(1000)
        address = page.url
    with serving(port=port, environment=environment) as url:
        page.goto(address)
        playwright.expect(body.locator("[title='mine-1.png'] span")).to_have_text("ambiguous")
        stranger = browser.new_context().new_page()
        stranger.goto(url)
        stranger.locator("[data-testid=stMain] article.card").first.wait_for(timeout=WAIT)
        assert "mine" not in stranger.locator("body").inner_text()
        assert "workspace" not in stranger.url
    context.close()
