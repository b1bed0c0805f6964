"""``attnlib export AUDIT FILE``: an audit's results in the format of another tool."""

from __future__ import annotations

import argparse
from pathlib import Path

from attnlib.audit.handed import of_audit
from attnlib.audit.opened import Opened
from attnlib.audit.runs.said import Said
from attnlib.data import results
from attnlib.diagnosis.words import printable
from attnlib.errors import AttnlibError

HELP = "write an audit's results as CSV, Parquet, .npz, for FiftyOne, W&B or Hugging Face"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    names = ", ".join(f"{one.FILE} ({one.TITLE})" for one in results.WRITERS)
    parser.epilog = f"The name says the format: {names}."
    parser.add_argument("audit", help="the audit's folder: a path or fsspec URL")
    parser.add_argument("file", type=Path, help="what to write, such as results.parquet")


def run(given: argparse.Namespace) -> None:
    """Write the file.

    Raises:
        AttnlibError: the audit cannot be read, no format is called so, or it cannot be written.
    """
    one = results.reading.writer(given.file.name)
    audit = Opened(given.audit)
    found = of_audit(audit, Said(audit.folder).all())
    try:
        given.file.write_bytes(one.write(found))
    except OSError as error:
        raise AttnlibError(f"{given.file} cannot be written: {error.strerror}.") from error
    print(*printable([f"{len(found)} rows in {given.file}"]), sep="")
