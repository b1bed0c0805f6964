"""Text can be read in both themes: axe-core's rules for contrast, names and structure."""

from __future__ import annotations

from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import pytest

from docs.make_screens import IDLE
from tests.dashboard.browsing import in_a_browser
from tests.dashboard.driving import PAGES
from tests.dashboard.scenes import IMAGE

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
    *(
        (page, {key: view} if key else {})
        for page, (key, views) in PAGES.items()
        for view in views or ("",)
    ),
    ("prediction_debugging", {"gallery_only": "All"}),
    ("prediction_debugging", {"gallery_density": "Grid"}),
    ("prediction_debugging", {"gallery_density": "Table"}),
    ("prediction_debugging", {"gallery_panel": "Map of images"}),
    ("prediction_debugging", {"gallery_panel": "Confusion matrix"}),
    ("prediction_debugging", {"image": IMAGE}),
]
RUN = """async (rules) => {
  const found = await axe.run("[data-testid=stApp]", {
    runOnly: { type: "rule", values: rules }, resultTypes: ["violations"],
  })
  return found.violations.flatMap((v) => v.nodes.map((n) => ({
    rule: v.id, html: n.html, why: n.failureSummary, target: n.target.flat().join(" "),
  })))
}"""

THEME = """(scheme) =>
  getComputedStyle(document.querySelector("[data-testid=stApp]")).colorScheme === scheme"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    pytest.importorskip("axe_playwright_python")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


@pytest.mark.parametrize(("view", "query"), VIEWS)
def test_text_can_be_read(
    server: str, page: Any, axe: str, view: str, query: dict[str, str]
) -> None:
    page.goto(f"{server}/{view.replace('_', '-')}?{urlencode(query)}")
    page.wait_for_function(IDLE, timeout=180_000, polling=200)
    page.evaluate(axe)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(THEME, arg=scheme)
        found: list[dict[str, str]] = page.evaluate(RUN, RULES)
        assert not found, scheme


def test_grey_on_grey_is_found(server: str, page: Any, axe: str) -> None:
    page.goto(f"{server}/attention-walkthrough")
    page.wait_for_function(IDLE, timeout=180_000, polling=200)
    page.evaluate(axe)
    page.evaluate(
        "() => document.querySelector('[data-testid=stMain] [data-testid=stCaptionContainer] p')"
        ".setAttribute('style', 'color: #999')"
    )
    assert [one["rule"] for one in page.evaluate(RUN, RULES)] == ["color-contrast"]
