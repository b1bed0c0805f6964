"""``attnlib compare A B``: what a second model repairs and breaks, out of two audits of one set."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from attnlib.audit.opened import Opened
from attnlib.audit.regress import Compared, Group, compare
from attnlib.diagnosis.words import printable

HELP = "say what a second model repairs and breaks, out of two audits of the same set"
REGRESSED = 3
SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Ends with 3 if all images, a class, a folder or an end of a property (dark, blurred, "
        "small, …) got worse by more than chance (McNemar's exact test; classes, folders and "
        "properties each at a false discovery rate of 5 %), else with 0; with 2 if an audit cannot "
        "be read."
    )
    parser.add_argument("first", help="the audit's folder of the model as it was")
    parser.add_argument("second", help="that of the model as it is now")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(given: argparse.Namespace) -> int:
    """Print what changed; the code to end with.

    Raises:
        AttnlibError: an audit cannot be read, or they do not belong together.
    """
    found = compare(Opened(given.first), Opened(given.second))
    print(printable(_json(found) if given.json else lines(found)))
    return REGRESSED if found.regressions else 0


def lines(found: Compared) -> list[str]:
    """The numbers in words."""
    said = [_line(found.all, "All images")]
    changed = [group for group in found.groups if group.fixed + group.broken][:SHOWN]
    said += [_line(group, f"  {group.words}") for group in changed]
    if found.alone:
        said.append(f"Not compared: {found.alone} images that only one of them has or labels.")
    worse = [group.words for group in found.regressions]
    said.append(f"Worse by more than chance: {', '.join(worse)}." if worse else
                "Nothing got worse by more than chance.")  # fmt: skip
    return said


def _line(group: Group, title: str) -> str:
    return (
        f"{title}: {group.images} images, {group.fixed} fixed, {group.broken} broken, "
        f"{group.both_wrong} wrong with both (p {group.p_value:.2g})"
    )


def _json(found: Compared) -> list[str]:
    said = {
        "all": asdict(found.all),
        "groups": [asdict(group) for group in found.groups],
        "alone": found.alone,
        "regressions": ["all" if group.by == "all" else group.words for group in found.regressions],
    }
    return json.dumps(said, indent=1, ensure_ascii=False).splitlines()
