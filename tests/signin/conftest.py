"""A real provider, the app that trusts it, and browsers of several people."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard import browsing
from tests.dashboard.conftest import browser as browser

PROVIDER = Path(__file__).with_name("provider")
SECRET = "a secret of the tests, long enough for a signature"
NODE = shutil.which("node")
MISSING = ""
if NODE is None:
    MISSING = "no node on this machine"
elif not (PROVIDER / "node_modules" / "oidc-provider").is_dir():
    MISSING = "no provider: npm ci --prefix tests/signin/provider"
elif browsing.CHROMIUM is None:
    MISSING = "no Chromium on this machine"
if MISSING and os.environ.get("CI"):
    raise RuntimeError(f"The sign-in is never skipped in CI, and there is {MISSING}")


@dataclass
class Site:
    """The app with its provider.

    Attributes:
        url: of the app.
        provider: address of the provider.
        more: further settings.
        log: a file for what the app writes.
    """

    url: str
    port: int
    provider: str
    more: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        """Serve the app."""
        found = {
            "ATTNLIB_PUBLIC_URL": self.url,
            "ATTNLIB_OIDC_METADATA_URL": f"{self.provider}/.well-known/openid-configuration",
            "ATTNLIB_OIDC_CLIENT_ID": "vit-debugger",
            "ATTNLIB_OIDC_CLIENT_SECRET": "secret of the tests",
            "ATTNLIB_COOKIE_SECRET": SECRET,
            "ATTNLIB_ADMIN_GROUPS": "admins",
            "ATTNLIB_EDITOR_GROUPS": "lab",
            "ATTNLIB_DEFAULT_ROLE": "viewer",
            **self.more,
        }
        serving = browsing.serving(port=self.port, environment=found, log=self.log)
        self._running.enter_context(serving)

    def stop(self) -> None:
        """End the app's process."""
        self._running.close()


@contextlib.contextmanager
def provider(app: str) -> Iterator[str]:
    """The address of a provider that sends people back to the app's."""
    port = browsing.free_port()
    command = [str(NODE), "provider.mjs", str(port), f"{app}/oauth2callback"]
    process = subprocess.Popen(
        command, cwd=PROVIDER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        assert any("listening" in line for line in process.stdout), "the provider does not start"
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if MISSING:
        pytest.skip(MISSING)
    port = browsing.free_port()
    with provider(f"http://localhost:{port}") as issuer:
        made = Site(f"http://localhost:{port}", port, issuer)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def visitor(browser: Any) -> Iterator[Callable[[], Any]]:
    """Makes tabs, each in a browser of its own that knows nobody."""
    made: list[Any] = []

    def new() -> Any:
        context = browser.new_context(
            ignore_https_errors=True, viewport={"width": 1440, "height": 1000}
        )
        context.set_default_timeout(browsing.WAIT)
        made.append(context)
        return context.new_page()

    yield new
    for context in made:
        context.close()
