"""The tour from the first screen to its end, by clicks, over two pages."""

from __future__ import annotations

import re

import pytest

from tests.dashboard.browsing import in_a_browser

pytestmark = in_a_browser
playwright = pytest.importorskip("playwright.sync_api")


def test_three_clicks_lead_through_the_tour_and_one_out(untouched, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(untouched)
    page.get_by_role("button", name="Tour in three steps").click()
    box = page.locator(".st-key-tour-box")
    playwright.expect(box).to_contain_text("1 of 3")
    page.wait_for_url(re.compile("tour=1"))
    box.get_by_role("button", name="Next").click()
    playwright.expect(box).to_contain_text("2 of 3")
    page.wait_for_url(re.compile(r"/diagnosis\?.*tour=2"))
    playwright.expect(box.get_by_role("button", name="To this step")).to_have_count(0)
    box.get_by_role("button", name="Next").click()
    playwright.expect(box).to_contain_text("3 of 3")
    playwright.expect(box).to_contain_text("which is right")
    playwright.expect(box.locator("img")).to_have_count(2)
    box.get_by_role("button", name="Finish").click()
    playwright.expect(box).to_have_count(0)
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("Drawings of things")
    page.wait_for_url(lambda url: "tour" not in url and "source" not in url)
    assert page.locator("[data-testid=stException]").count() == 0
