"""``attnlib backup FOLDER``: copy all workspaces with their images, while people go on working."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from attnlib import store
from attnlib.errors import StoreError
from attnlib.store.backup import Backup

HELP = "copy all workspaces into a folder"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, help="empty, or an earlier backup, which is renewed")


def run(given: argparse.Namespace) -> None:
    """Copy the store of the settings.

    Raises:
        StoreError: it could not be copied, or not all of it.
    """
    with closing(store.connect()) as opened:
        made = opened.back_up(given.folder)
    print(f"{given.folder}: {said(made)}")
    if made.lost:
        raise StoreError(
            f"The rest is kept. Missing or damaged in the store: {len(made.lost)}, the first "
            f"of them {made.lost[0]}. Put back what an earlier backup has."
        )


def said(made: Backup) -> str:
    """What a backup holds, in a line."""
    return f"workspaces: {made.workspaces}, files: {made.contents}, as of {made.moment}"
