"""Two servers on one database behind the proxy: a sign-in and a workspace hold at both.

Both answer under one address, as they are hosted: Streamlit takes a cookie for its own origin only.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from attnlib import store
from attnlib.errors import StoreError
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
ADMIN = store.Person("the tests", "Tests", role="admin")
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
            _answers(port)
            yield
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> None:
    """Wait until the proxy has made its certificate."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    latest = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("localhost", port), timeout=5) as plain:
                trusting.wrap_socket(plain, server_hostname="localhost").close()
                return
        except OSError:
            assert time.monotonic() < latest, "the proxy does not answer"
            time.sleep(0.1)


def keep_two_images(page: Any, kept: store.Store) -> str:
    """Upload, wait until they are kept, and give the workspace's id."""
    files = [
        {"name": name, "mimeType": "image/png", "buffer": png(seed)}
        for seed, name in enumerate(NAMES)
    ]
    expect(page.get_by_text("80 images").first).to_be_visible()
    page.locator("input[type=file]").first.set_input_files(files)
    page.wait_for_url("**workspace=**")
    id = page.evaluate("new URL(location).searchParams.get('workspace')")
    until(kept, lambda: len(kept.open(ADMIN, id).files) == len(NAMES))
    return str(id)


def until(kept: store.Store, holds: Callable[[], bool]) -> None:
    """Wait for what a server does beside its pages."""
    end = time.monotonic() + browsing.WAIT / 1000
    while True:
        with contextlib.suppress(StoreError, KeyError):
            if holds():
                return
        assert time.monotonic() < end, [event.what for event in kept.events(ADMIN)]
        time.sleep(0.2)


def note_is(kept: store.Store, id: str, words: str) -> Callable[[], bool]:
    return lambda: kept.open(ADMIN, id).cases[NAMES[0]].remark.note == words


def open_case(page: Any, url: str, id: str) -> Any:
    """The first image's note, to read and to write."""
    page.goto(f"{url}/?workspace={id}&image={NAMES[0]}")
    page.get_by_role("button", name="Note and label").click()
    note = page.get_by_label("Note", exact=True)
    note.wait_for()
    return note


def write(page: Any, note: Any, words: str) -> None:
    note.fill(words)
    note.press("Control+Enter")
    page.keyboard.press("Escape")


def pictures(page: Any) -> list[str]:
    """SHA-256 of the pixels of every picture that the page shows from a file."""
    page.wait_for_function("() => [...document.images].some((i) => i.src.includes('/media/'))")
    page.wait_for_function("() => [...document.images].every((i) => i.complete)")
    found = []
    for address in sorted(page.evaluate("() => [...document.images].map((i) => i.src)")):
        if "/media/" in address:
            answer = page.request.get(address)
            assert answer.ok, address
            image = Image.open(io.BytesIO(answer.body())).convert("RGBA")
            found.append(hashlib.sha256(image.tobytes()).hexdigest())
    return sorted(found)


def requests(site: Site) -> int:
    """Pages and uploads that a replica was asked for."""
    assert site.log is not None
    return sum(map(site.log.read_text().count, ("/upload_file/", "/_stcore/stream", "/cls-att")))


@pytest.mark.skipif(CADDY is None, reason="no Caddy on this machine: apt-get install caddy")
def test_the_proxy_keeps_a_visitor_at_one_replica_until_it_is_gone(
    database: str, tmp_path: Path, visitor: Visitor
) -> None:
    port = browsing.free_port()
    public = f"https://localhost:{port}"
    with (
        replicas(database, tmp_path, public) as sites,
        proxy(port, [site.port for site in sites], tmp_path),
    ):
        page = visitor()
        front = Site(public, port, sites[0].provider)
        sign_in(page, front, "ada+lab")
        assert {c["name"]: c["secure"] for c in page.context.cookies()}["_streamlit_user"], "by TLS"
        kept = store.connect(database, home=tmp_path)
        id = keep_two_images(page, kept)
        for place in ("/cls-attention", "/head-similarity", "/rollout-vs-flow"):
            page.goto(f"{public}{place}")
            shown(page)
        asked = [requests(site) for site in sites]
        assert min(asked) == 0 < max(asked), "one of them answers this browser, the other never"
        note = open_case(page, public, id)
        write(page, note, "seen at one of them")
        until(kept, note_is(kept, id, "seen at one of them"))
        before = pictures(page)
        sites[asked.index(max(asked))].stop()
        note = open_case(page, public, id)
        expect(page.get_by_test_id("stSidebar").get_by_text("Ada (edits)")).to_be_visible()
        expect(note).to_have_value("seen at one of them")
        assert pictures(page) == before != []
        write(page, note, "and at the other")
        until(kept, note_is(kept, id, "and at the other"))
        kept.close()
