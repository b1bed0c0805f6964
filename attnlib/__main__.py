"""The command line: ``python -m attnlib cost vit_base_patch16_224 --img-size 384 --batch 8``."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence

from attnlib.complexity import Architecture, Cost, Problem, cost
from attnlib.complexity.cost import rows
from attnlib.complexity.memory import BYTES
from attnlib.errors import AttnlibError

Row = tuple[str, str | int | float, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 2 with a message on standard error when the input is bad."""
    given = _parser().parse_args(arguments)
    try:
        size = given.img_size
        image = None if size is None else (size[0], size[-1])
        architecture = Architecture.from_timm(given.model, image)
        result = cost(architecture, given.batch, given.dtype, given.training, given.materialised)
    except AttnlibError as error:
        print(f"attnlib: {error}", file=sys.stderr)
        return 2
    if given.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("quantity", "value", "unit"))
        writer.writerows(rows(result))
    else:
        _print_table(result, architecture.notes)
    return 0


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m attnlib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("cost", help="parameters, operations and memory of a timm ViT")
    sub.add_argument("model", help="a timm name, such as vit_base_patch16_224")
    sub.add_argument(
        "--img-size", type=int, nargs="+", action=_OneOrTwo, metavar="PIXELS",
        help="one number, or height and width",
    )  # fmt: skip
    sub.add_argument("--batch", type=int, default=1)
    sub.add_argument("--dtype", choices=tuple(BYTES), default="float32")
    sub.add_argument("--training", action="store_true", help="forward, backward and AdamW")
    sub.add_argument("--materialised", action="store_true", help="without fused attention")
    sub.add_argument("--csv", action="store_true", help="exact numbers as CSV")
    return parser


class _OneOrTwo(argparse.Action):
    def __call__(self, parser, namespace, values, option=None):  # type: ignore[no-untyped-def]
        if len(values) > 2:
            parser.error("--img-size takes one number, or height and width")
        setattr(namespace, self.dest, values)


if __name__ == "__main__":
    sys.exit(main())
