"""``attnlib restore FOLDER``: put a backup into an empty store, of whatever kind."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from attnlib import store
from attnlib.commands.backup import said

HELP = "put a backup into an empty store"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, help="what was given to the backup")


def run(given: argparse.Namespace) -> None:
    """Fill the store of the settings.

    Raises:
        StoreError: there is no whole backup, or the store is not empty. Nothing was restored.
    """
    with closing(store.connect()) as opened:
        print(f"restored: {said(opened.fill(given.folder))}")
