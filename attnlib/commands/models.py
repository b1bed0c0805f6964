"""Which model a command asks: the arguments that say it."""

from __future__ import annotations

import argparse
from pathlib import Path

from attnlib.capture.outputs import KINDS
from attnlib.commands import files
from attnlib.data.labels import read_class_names


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "--model",
        default="demo",
        help="demo, demo-objects, a timm name, a folder of transformers or timm, hf-hub:org/name, "
        "or auto: the architecture that fits the checkpoint",
    )
    parser.add_argument("--checkpoint", help="a file of weights for that architecture")
    parser.add_argument("--weights", help="which of several in that file: ema, student, …")
    parser.add_argument(
        "--outputs", choices=KINDS, help="what the logits mean; found out if absent"
    )
    parser.add_argument("--class-names", type=Path, help="a file with one name per line, or JSON")


def class_names(given: argparse.Namespace) -> list[str] | None:
    """The names of the classes that were given as a file; None where none was.

    Raises:
        AttnlibError: it cannot be read.
        LabelError: it holds no list of names.
    """
    path: Path | None = given.class_names
    return None if path is None else list(read_class_names(files.read(path), path.name))
