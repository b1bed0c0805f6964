"""Which model a command asks: the arguments that say it."""

from __future__ import annotations

import argparse
from pathlib import Path

from attnlib.capture.outputs import KINDS


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
