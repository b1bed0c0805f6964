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
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WAIT = 60_000  # ms
STREAMLIT = (sys.executable, "-m", "streamlit", "run")

if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("Chromium is missing in CI, where browser tests are never skipped")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@contextlib.contextmanager
def serving(command: Sequence[str] = (*STREAMLIT, "app.py")) -> Iterator[str]:
    """A server on a free port, by its address: the app as the README starts it, or a command."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=quiet, stderr=quiet)
    url = f"http://localhost:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2)
                break
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(20)
