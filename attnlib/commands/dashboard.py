"""``attnlib dashboard``: start the app, from a checkout or from the installed package."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

from attnlib.audit.opened import Opened
from attnlib.errors import AttnlibError

HELP = "start the dashboard, with audits to look at; options are handed to Streamlit"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Folders of audits come first, then any option of Streamlit, such as --server.port 8600."
    )


def folder() -> Path:
    """Where ``app.py`` lies with its pages and settings: in the package, or in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_app"
    return installed if installed.is_dir() else package.parent


def run(given: argparse.Namespace) -> None:
    """Serve until interrupted. Streamlit reads its settings from the folder it is started in.

    Raises:
        AttnlibError: there is no app, an audit cannot be opened, or the server failed.
    """
    place = folder()
    if not (place / "app.py").is_file():
        raise AttnlibError("This installation has no dashboard: install the package again.")
    audits = list(takewhile(lambda text: not text.startswith("-"), given.rest))
    options = given.rest[len(audits) :]
    for one in audits:
        Opened(one)
    # The app is started in its own folder: a path is meant from here.
    places = [one if "://" in one else os.path.abspath(one) for one in audits]
    more = {"ATTNLIB_AUDITS": ",".join(places)} if places else {}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.getenv("PYTHONPATH")]))
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
    ended = subprocess.run(command, cwd=place, env={**os.environ, "PYTHONPATH": path, **more})
    if ended.returncode:
        raise AttnlibError(f"The dashboard ended with code {ended.returncode}.")
