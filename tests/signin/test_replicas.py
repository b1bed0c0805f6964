"""Two servers on one database: a link opens on either, and so does a sign-in."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnlib import store
from tests.dashboard import browsing
from tests.dashboard.driving import png
from tests.signin.conftest import MISSING, Site, provider
from tests.signin.test_in_browser import shown, sign_in
from tests.store.conftest import database as database
from tests.store.conftest import server as server

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
CADDY = shutil.which("caddy")
CADDYFILE = Path(__file__).parents[2] / "deploy" / "Caddyfile"
NAMES = ("left.png", "right.png")
Visitor = Callable[[], Any]
if CADDY is None and os.environ.get("CI"):
    raise RuntimeError("Caddy is missing in CI, where the proxy is never skipped")


@contextlib.contextmanager
def replicas(database: str, home: Path, public: str = "") -> Iterator[list[Site]]:
    """Two servers of one site; without an address of its own, it has that of the first."""
    ports = [browsing.free_port(), browsing.free_port()]
    public = public or f"http://localhost:{ports[0]}"
    with provider(public) as issuer, contextlib.ExitStack() as running:
        more = {
            "ATTNLIB_PUBLIC_URL": public,
            "ATTNLIB_DATABASE_URL": database,
            "ATTNLIB_HOME": str(home),
            "ATTNLIB_TRUSTED_PROXIES": "127.0.0.1",
        }
        sites = [
            Site(f"http://localhost:{port}", port, issuer, more, home / f"{port}.log")
            for port in ports
        ]
        for site in sites:
            running.callback(site.stop)
            site.start()
        yield sites


@contextlib.contextmanager
def proxy(port: int, ports: list[int], home: Path) -> Iterator[None]:
    """Caddy as it is hosted; only where its replicas are is said in another way."""
    text = CADDYFILE.read_text()
    start = text.index("dynamic a app 8501 {")
    end = text.index("}", start) + 1
    to = "to " + " ".join(f"127.0.0.1:{port}" for port in ports)
    text = text[:start] + to + text[end:]
    text = text.replace("admin off", "admin off\n\tauto_https disable_redirects")
    (home / "Caddyfile").write_text(text)
    command = [str(CADDY), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    folders = {name: str(home) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    env = {**os.environ, **folders, "VIT_SITE": f"https://localhost:{port}"}
    with open(home / "caddy.log", "wb") as log:
        process = subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def keep_two_images(page: Any) -> str:
    """Upload, wait until they are kept, and give the part of the address that leads back."""
    files = [
        {"name": name, "mimeType": "image/png", "buffer": png(seed)}
        for seed, name in enumerate(NAMES)
    ]
    page.locator("input[type=file]").first.set_input_files(files)
    page.wait_for_function("new URL(location).searchParams.get('workspace')")
    expect(page.get_by_text("Saved", exact=True).first).to_be_visible()
    return f"workspace={page.evaluate('new URL(location).searchParams.get(`workspace`)')}"


def open_case(page: Any, url: str, link: str) -> Any:
    """The first image's note, to read and to write."""
    page.goto(f"{url}/?{link}&image={NAMES[0]}")
    page.get_by_role("button", name="Note and label").click()
    note = page.get_by_label("Note", exact=True)
    note.wait_for()
    return note


def write(page: Any, note: Any, words: str) -> None:
    note.fill(words)
    note.press("Control+Enter")
    page.keyboard.press("Escape")


def large_picture(page: Any) -> np.ndarray:
    """The pixels of the first picture of the open case."""
    picture = page.locator("[data-testid=stMain] img").first
    picture.wait_for()
    page.wait_for_function("() => [...document.images].every((i) => i.complete)")
    answer = page.request.get(picture.evaluate("(i) => i.src"))
    assert answer.ok
    return np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB"))


def test_what_is_kept_at_one_is_there_at_the_other(
    database: str, tmp_path: Path, visitor: Visitor
) -> None:
    with replicas(database, tmp_path) as (first, second):
        page = visitor()
        sign_in(page, first, "ada+lab")
        link = keep_two_images(page)
        note = open_case(page, first.url, link)
        write(page, note, "seen at the first")
        kept = store.connect(database, home=tmp_path)
        ada = store.Person("ada", "Ada", role="admin")
        wait_for_note(kept, ada, link, "seen at the first")
        # The same browser at the other server: its cookie is good there, without a sign-in.
        there = page.context.new_page()
        note = open_case(there, second.url, link)
        expect(there.get_by_test_id("stSidebar").get_by_text("Ada (edits)")).to_be_visible()
        expect(note).to_have_value("seen at the first")
        for name in NAMES:
            expect(there.get_by_text(name).first).to_be_visible()
        write(there, note, "and at the second")
        wait_for_note(kept, ada, link, "and at the second")
        # With the next click the first server knows.
        page.bring_to_front()
        page.locator("[data-testid=stSidebar] [data-testid=stSidebarNav] a").nth(1).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("CLS attention")
        page.go_back()
        page.get_by_role("button", name="Note and label").click()
        expect(page.get_by_label("Note", exact=True)).to_have_value("and at the second")
        kept.close()


def wait_for_note(kept: store.Store, ada: store.Person, link: str, words: str) -> None:
    id, until = link.removeprefix("workspace="), time.monotonic() + 60
    while True:
        cases = kept.open(ada, id).cases
        if NAMES[0] in cases and cases[NAMES[0]].remark.note == words:
            return
        assert time.monotonic() < until, f"{words!r} is not kept: {cases}"
        time.sleep(0.2)


@pytest.mark.skipif(CADDY is None, reason="no Caddy on this machine: apt-get install caddy")
def test_the_proxy_keeps_a_visitor_at_one_replica_until_it_is_gone(
    tmp_path: Path, visitor: Visitor
) -> None:
    port = browsing.free_port()
    public = f"https://localhost:{port}"
    file = f"sqlite:///{tmp_path}/attnlib.sqlite3"
    with (
        replicas(file, tmp_path, public) as sites,
        proxy(port, [site.port for site in sites], tmp_path),
    ):
        page = visitor()
        front = Site(public, port, sites[0].provider)
        sign_in(page, front, "ada+lab")
        assert {c["name"]: c["secure"] for c in page.context.cookies()}["_streamlit_user"], "by TLS"
        link = keep_two_images(page)
        for place in ("/cls-attention", "/head-similarity", "/rollout-vs-flow"):
            page.goto(f"{public}{place}")
            shown(page)
        asked = [sum(map(site.log.read_text().count, ("/upload_file/", "/_stcore/stream", "similarity"))) for site in sites]  # fmt: skip  # noqa: E501
        assert min(asked) == 0 < max(asked), "one of them answers this browser, the other never"
        sites[asked.index(max(asked))].stop()
        open_case(page, public, link)
        expect(page.get_by_test_id("stSidebar").get_by_text("Ada (edits)")).to_be_visible()
        for name in NAMES:
            expect(page.get_by_text(name).first).to_be_visible()
