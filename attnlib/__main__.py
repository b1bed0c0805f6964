"""The command line: ``attnlib cost``, ``explain``, ``diagnose``, ``audit``, ``dashboard`` …."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from attnlib.commands import (
    audit,
    backup,
    check_predictions,
    compare,
    cost,
    dashboard,
    diagnose,
    explain,
    export,
    restore,
)
from attnlib.errors import AttnlibError

COMMANDS = {
    "cost": cost,
    "explain": explain,
    "diagnose": diagnose,
    "audit": audit,
    "compare": compare,
    "check-predictions": check_predictions,
    "export": export,
    "dashboard": dashboard,
    "backup": backup,
    "restore": restore,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and its own code or 0; 2 with a message on standard error on bad input."""
    parser = argparse.ArgumentParser(prog="attnlib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, help=command.HELP))
    given, rest = parser.parse_known_args(arguments)
    if rest and given.command != "dashboard":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    given.rest = rest
    try:
        ended: int | None = COMMANDS[given.command].run(given)
    except AttnlibError as error:
        print(f"attnlib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return ended or 0


if __name__ == "__main__":
    sys.exit(main())
