"""What a person can choose is text: in a browser it links, loads, opens and formats nothing."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from attnlib import audit
from attnlib.audit import Summary
from attnlib.audit.report import ReportEntry, html_report
from attnlib.dashboard.parts.markdown import JOINER
from tests.dashboard.browsing import ROOT, STREAMLIT, in_a_browser, serving
from tests.dashboard.driving import png
from tests.dashboard.hostile import TEXTS, seen
from tests.dashboard.hostile_app import KINDS

pytestmark = in_a_browser
playwright = pytest.importorskip("playwright.sync_api")
# Made by markup, never by a text.
MARKUP = "a, img:not([src*='/media/']), code, em, strong, del, h1, h2, h3, table, ul, ol, hr"
SPANS = ".katex, [role=img], [class*=stMarkdownColored], [class*=Badge], [class*=Shimmer], mark"


class Watch:
    """What a tab asked for from elsewhere, and what it opened."""

    def __init__(self, page: Any, host: str) -> None:
        self.elsewhere: list[str] = []
        self.opened: list[str] = []
        self._host = host
        page.context.on("request", self._asked)
        page.on("dialog", self._dialog)
        page.on("popup", lambda other: self.opened.append(other.url))

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self._host).netloc:
            self.elsewhere.append(request.url)

    def _dialog(self, dialog: Any) -> None:
        self.opened.append(dialog.message)
        dialog.dismiss()

    def check(self) -> None:
        assert not self.elsewhere and not self.opened


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    command = (*STREAMLIT, "tests/dashboard/hostile_app.py")
    with serving(command) as url:
        yield url


@pytest.mark.parametrize("kind", KINDS)
def test_each_text_stands_literally_in_every_kind_of_place(door: str, page: Any, kind: str) -> None:
    watch = Watch(page, door)
    page.goto(f"{door}/?kind={kind}")
    page.get_by_text("finished", exact=True).wait_for()
    # textContent of each block, and what elements stand in it; null until each has its text, which
    # the browser draws with parts that it fetches when they are needed.
    blocks = page.wait_for_function(
        """([count, markup, pills]) => { const read = [...Array(count).keys()].map(i => {
            const block = document.querySelector(`.st-key-text${i}`)
            const inside = [...block.querySelectorAll(
                '[data-testid=stMarkdownContainer], [data-testid=stCaptionContainer]')]
            const found = pills ? [...block.querySelectorAll('button')]
                : inside.length ? inside : [block]
            return [found.map(e => e.textContent).join(' '),
                    found.flatMap(e => [...e.querySelectorAll(markup)].map(x => x.outerHTML))]
        }); return read.every(([shown]) => shown.trim()) ? read : null }""",
        arg=[len(TEXTS), f"{MARKUP}, {SPANS}", kind == "pills"],
    ).json_value()
    for text, (shown, elements) in zip(TEXTS, blocks, strict=True):
        assert elements == [], text
        # Beside it a label, or the value of a metric, may stand.
        assert seen(text) in " ".join(shown.replace(JOINER, "").split())
    watch.check()


def keys() -> list[str]:
    """Every key that some control or value keeps in the address."""
    found = set()
    for path in (ROOT / "attnlib" / "dashboard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
            ):
                continue
            on, first = ast.unparse(node.func.value), node.args[0]
            of_address = on in ("address", "controls", "st.query_params")
            if of_address and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return sorted(found)


PAGES = (
    "", "diagnosis", "cls-attention", "head-similarity", "rollout-vs-flow", "model-comparison",
    "attention-walkthrough", "complexity-calculator", "workspaces",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_no_parameter_of_any_page_does_anything(server: str, page: Any, path: str) -> None:
    assert len(keys()) > 30
    watch = Watch(page, server)
    for turn in (0, 23, 46):
        values = {key: TEXTS[(turn + place) % len(TEXTS)] for place, key in enumerate(keys())}
        page.goto(f"{server}/{path}?{urlencode(values)}")
        page.locator("[data-testid=stSidebar] [data-testid=stSelectbox]").first.wait_for()
        page.locator("[data-testid=stMain] h1").first.wait_for()
        page.wait_for_timeout(1500)
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.locator("a[href*='evil']").count() == 0
        assert page.locator("img[src*='evil']").count() == 0
    watch.check()


def archive() -> bytes:
    """Images in folders that are hostile names of classes, with a table of hostile labels."""
    written = io.BytesIO()
    texts = [text for text in TEXTS if len(text) < 200 and "\n" not in text]
    with zipfile.ZipFile(written, "w") as made:
        for number, text in enumerate(texts):
            flat = text.replace("/", "∕").replace("\\", "⧵").strip(". ") or "x"
            folder, name = (
                (flat, f"{number}.png") if number % 2 else (str(number % 3), f"{flat}.png")
            )
            made.writestr(zipfile.ZipInfo(f"{folder}/{name}"), png(number))
        rows = [{"filename": f"{number}.png", "label": text} for number, text in enumerate(texts)]
        made.writestr("labels.csv", audit.to_csv(rows[1::4]))
    return written.getvalue()


@pytest.fixture
def visitor(server: str, page: Any) -> Any:
    """A tab whose images, folders, labels and names are hostile; and what it asked for."""
    watch = Watch(page, server)
    page.goto(server)
    page.locator("[data-testid=stMain] article.card").first.wait_for()
    files = [("<img src=x onerror=alert(1)>.zip", "application/zip", archive()),
             ("**b** www.evil.test :smile:.png", "image/png", png(99)),
             ("![x](http:evil.test).png", "image/png", b"no image")]  # fmt: skip
    page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(
        [{"name": name, "mimeType": mime, "buffer": data} for name, mime, data in files]
    )
    page.locator("[data-testid=stMain]").get_by_text("evil", exact=False).first.wait_for()
    page.wait_for_timeout(3000)
    yield page
    watch.check()


def harmless(page: Any) -> None:
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("a[href*='evil'], img[src*='evil'], script:not([src])").count() <= 1
    for made in ("alert(1)", "evil"):
        assert (
            page.locator(f"[onload*='{made}'], [onerror*='{made}'], [href*='{made}']").count() == 0
        )


def test_names_and_labels_of_uploads_are_text_on_every_page(server: str, visitor: Any) -> None:
    page = visitor
    harmless(page)
    for link in page.locator("[data-testid=stSidebarNav] a").all():
        link.click()
        page.wait_for_timeout(2500)
        harmless(page)


# Where there is something to type: the hub's id, what a file does not say, words, names.
FIELDS = {
    "?source=hub": 1,
    "?source=upload": 4,
    "attention-walkthrough": 0,
    "workspaces": 0,
}


@pytest.mark.parametrize("path", FIELDS)
def test_what_is_typed_is_text(server: str, page: Any, path: str) -> None:
    watch = Watch(page, server)
    page.goto(f"{server}/{path}")
    page.locator("[data-testid=stSidebar] [data-testid=stSelectbox]").first.wait_for()
    page.locator("[data-testid=stMain] h1").first.wait_for()
    page.wait_for_timeout(1500)
    closed = page.locator("[data-testid=stExpander] details:not([open]) summary")
    for _ in range(closed.count()):
        closed.first.click()
        page.wait_for_timeout(200)
    fields = page.locator("[data-testid=stTextInput] input, [data-testid=stTextArea] textarea")
    typed = 0
    for turn, place in ((turn, place) for turn in range(3) for place in range(fields.count())):
        try:
            field = fields.nth(place)
            text = TEXTS[(17 * turn + place) % len(TEXTS)].replace("\n", " ")
            field.fill(text, timeout=3000)
            field.press("Enter", timeout=3000)
        except playwright.TimeoutError:
            continue  # what was typed before took it away
        page.wait_for_timeout(400)
        typed += 1
    for button in page.get_by_role("button", name="Load", exact=True).all():
        button.click()
        page.wait_for_timeout(1000)
    harmless(page)
    assert typed >= FIELDS[path]
    watch.check()


def test_a_report_opened_from_disk_asks_for_nothing(page: Any, tmp_path: Path) -> None:
    # An entry for each text, which stands wherever a text can stand.
    picture = png(1)
    entries = [
        ReportEntry(text, "lynx", text, [(text, 0.7), ("lynx", 0.2)], [(text, picture)], text)
        for text in TEXTS
    ]
    summary = Summary(120, 100, 8, 0.92, (0.8501, 0.9589), 0.93, 0.61)
    document = html_report(TEXTS[1], TEXTS[2], summary, entries)
    (tmp_path / "report.html").write_text(document, encoding="utf-8")
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_timeout(500)
    others = [url for url in asked if not url.startswith(("file://", "data:"))]
    assert others == []
    shown = " ".join(page.locator("body").inner_text().split())
    for text in TEXTS:
        if seen(text) == " ".join(text.split()):  # the others turn or hide what is around them
            assert seen(text) in shown
    assert page.locator("a[href*=evil], img[src*=evil]").count() == 0
