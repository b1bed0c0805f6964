"""The app on a server of its own, for tests that only a browser can make."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WAIT = 60_000  # ms
# Which demo opens, as an environment: what a new visitor sees, and the photographs.
OBJECTS, PHOTOGRAPHS = ({"ATTNLIB_OPENING_DEMO": name} for name in ("demo-objects", "demo"))
STREAMLIT = (sys.executable, "-m", "streamlit", "run")

if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("Chromium is missing in CI, where browser tests are never skipped")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def serving(
    command: Sequence[str] = (*STREAMLIT, "app.py"),
    *,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    kill: bool = False,
) -> Iterator[str]:
    """A server, by its address: the app as the README starts it, or a command.

    Args:
        port: None for a free one.
        environment: variables beside those of this process.
        log: a file for all that the server writes.
        kill: end it as ``kill -9`` does.
    """
    port = free_port() if port is None else port
    options = ["--server.headless=true", f"--server.port={port}"]
    with open(log or os.devnull, "wb") as written:
        process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=written,
            stderr=written,
        )
    url = f"http://localhost:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2)
                break
            time.sleep(0.5)
        yield url
    finally:
        (process.kill if kill else process.terminate)()
        process.wait(20)
