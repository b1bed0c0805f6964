"""Text can be read in both themes: axe-core's rules for contrast, names and structure."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from docs.make_screens import IDLE
from tests.dashboard.browsing import in_a_browser
from tests.dashboard.driving import PAGES

pytestmark = in_a_browser

RULES = [
    "color-contrast",
    "aria-allowed-attr",
    "aria-required-attr",
    "aria-roles",
    "aria-valid-attr-value",
    "button-name",
    "image-alt",
    "label",
    "link-name",
    "role-img-alt",
]
VIEWS = [
    (page, key, view) for page, (key, views) in PAGES.items() for view in (views or ("",))
]
RUN = """async (rules) => {
  const found = await axe.run("[data-testid=stApp]", {
    runOnly: { type: "rule", values: rules }, resultTypes: ["violations"],
  })
  return found.violations.flatMap((v) => v.nodes.map((n) => ({
    rule: v.id, html: n.html, why: n.failureSummary, target: n.target.flat().join(" "),
  })))
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    pytest.importorskip("axe_playwright_python")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def problems(tab: Any, axe: str) -> list[dict[str, str]]:
    """What axe-core finds on the page as it stands."""
    tab.evaluate(axe)
    found: list[dict[str, str]] = tab.evaluate(RUN, RULES)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("page", "key", "view"), VIEWS)
def test_text_can_be_read(
    server: str, browser: Any, axe: str, page: str, key: str, view: str, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1200}, color_scheme=scheme)
    tab = context.new_page()
    query = f"?{key}={view}" if view else ""
    tab.goto(f"{server}/{page.replace('_', '-')}{query}")
    tab.wait_for_function(IDLE, timeout=180_000, polling=200)
    found = problems(tab, axe)
    context.close()
    assert not found
