"""``attnlib dashboard``: start the app, from a checkout or from the installed package."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from attnlib.errors import AttnlibError

HELP = "start the dashboard; what follows is handed to Streamlit"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = "Any option of Streamlit may follow, such as --server.port 8600."


def folder() -> Path:
    """Where ``app.py`` lies with its pages and settings: in the package, or in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_app"
    return installed if installed.is_dir() else package.parent


def run(given: argparse.Namespace) -> None:
    """Serve until interrupted. Streamlit reads its settings from the folder it is started in."""
    place = folder()
    if not (place / "app.py").is_file():
        raise AttnlibError("This installation has no dashboard: install the package again.")
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.getenv("PYTHONPATH")]))
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *given.rest]
    ended = subprocess.run(command, cwd=place, env={**os.environ, "PYTHONPATH": path})
    if ended.returncode:
        raise AttnlibError(f"The dashboard ended with code {ended.returncode}.")
