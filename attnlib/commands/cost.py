"""``attnlib cost vit_base_patch16_224 --img-size 384 --batch 8``: what a timm ViT costs."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence

from attnlib.complexity import Architecture, Cost, Problem, cost
from attnlib.complexity.cost import rows
from attnlib.complexity.memory import BYTES

HELP = "parameters, operations and memory of a timm ViT"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", help="a timm name, such as vit_base_patch16_224")
    parser.add_argument(
        "--img-size", type=int, nargs="+", action=_OneOrTwo, metavar="PIXELS",
        help="one number, or height and width",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=tuple(BYTES), default="float32")
    parser.add_argument("--training", action="store_true", help="forward, backward and AdamW")
    parser.add_argument("--materialised", action="store_true", help="without fused attention")
    parser.add_argument("--csv", action="store_true", help="exact numbers as CSV")


def run(given: argparse.Namespace) -> None:
    """Print the table.

    Raises:
        AttnlibError: the model is not covered, or what is asked of it is impossible.
    """
    size = given.img_size
    image = None if size is None else (size[0], size[-1])
    architecture = Architecture.from_timm(given.model, image)
    result = cost(architecture, given.batch, given.dtype, given.training, given.materialised)
    if given.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("quantity", "value", "unit"))
        writer.writerows(rows(result))
    else:
        _print_table(result, architecture.notes)


def _print_table(result: Cost, notes: Sequence[Problem]) -> None:
    mode = "training" if result.training else "inference"
    form = "materialised" if result.materialised else "fused"
    print(
        f"{result.architecture.name}: {mode}, batch {result.batch}, {result.dtype}, "
        f"{form} attention. 1 MAC = 2 FLOPs; matrix products and convolutions are counted."
    )
    for note in notes:
        print(f"Note: {note.message}")
    for quantity, value, unit in rows(result):
        print(f"  {quantity:<34}{_readable(value, unit):>18}")


def _readable(value: str | int | float, unit: str) -> str:
    if isinstance(value, str) or unit == "tokens":
        return f"{value} {unit}"
    if isinstance(value, float):
        return f"{100 * value:.2f} %"
    if unit == "B":
        return f"{value / 2**20:,.1f} MiB"
    if unit:
        return f"{value / 1e9:,.3f} G{unit}"
    return f"{value:,}"


class _OneOrTwo(argparse.Action):
    def __call__(self, parser, namespace, values, option=None):  # type: ignore[no-untyped-def]
        if len(values) > 2:
            parser.error("--img-size takes one number, or height and width")
        setattr(namespace, self.dest, values)
