"""``attnlib explain IMAGE --out overlay.png``: one map of one image, from the shell."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import attnlib
from attnlib.capture.passes import PRECISIONS
from attnlib.commands import files, models
from attnlib.data.image import check, decode
from attnlib.data.numbering import number
from attnlib.errors import AttnlibError

HELP = "draw an attribution map over an image"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", type=Path)
    models.arguments(parser)
    parser.add_argument("--method", default="relevance", choices=tuple(attnlib.methods()))
    parser.add_argument("--target", help="class index or name; the predicted class if absent")
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="PNG to write")
    parser.add_argument("--side", type=int, default=448, help="pixels of the longer side")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")


def run(given: argparse.Namespace) -> None:
    """Write the overlay and say what it shows.

    Raises:
        AttnlibError: the image, the model, the class or the method cannot be used.
    """
    if given.out.suffix.lower() != ".png":
        raise AttnlibError(
            f"The overlay is a PNG; give --out a name that ends in .png, not {given.out}."
        )
    if given.side < 1:
        raise AttnlibError(f"--side must be at least 1 pixel, not {given.side}.")
    data = files.read(given.image)
    check(data)
    vit = attnlib.load(
        given.model,
        checkpoint=given.checkpoint,
        weights=given.weights,
        outputs=given.outputs,
        class_names=models.class_names(given),
        device=given.device,
        precision=given.precision,
    )
    image = decode(data, channels=vit.channels)
    for note in vit.notes:
        print(f"note: {note}", file=sys.stderr)
    target = None if given.target is None else _class(vit, given.target)
    heat = vit.attribute(image, given.method, target)
    try:
        heat.overlay(side=given.side).save(given.out)
    except OSError as error:
        raise AttnlibError(f"{given.out} cannot be written: {error.strerror}.") from error
    record = vit.inspect(image, rollout=False)
    top = record.predicted
    of = "" if heat.target is None else f" for {vit.class_names[heat.target]}"
    print(f"{vit.name}: {vit.class_names[top]} ({record.outputs.shown(record.probabilities[top])})")
    print(f"{given.out}: {given.method}{of}, seen from the {heat.query}, in {heat.unit}")


def _class(vit: attnlib.Vit, text: str) -> int:
    if text in vit.class_names:
        return vit.class_names.index(text)
    index = number(text)
    if index is not None and index < len(vit.class_names):
        return index
    raise AttnlibError(
        f"{text!r} is no class of this model. Give a name or a number from 0 to "
        f"{len(vit.class_names) - 1}."
    )
