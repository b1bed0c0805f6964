"""``attnlib check-predictions FILE AUDIT``: whether another evaluation says the same."""

from __future__ import annotations

import argparse
import json
from typing import Any

from attnlib.audit.handed import here
from attnlib.audit.joined import Joined, in_order, join
from attnlib.audit.opened import Opened
from attnlib.data import results
from attnlib.data.results import ROLES, Recognised, Results
from attnlib.diagnosis.words import printable
from attnlib.errors import AttnlibError

HELP = "say where the predictions in a file differ from those of an audit"
DIFFERS = 3
SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Ends with 0 if both agree on at least the share that --agree says, with 3 if on less, "
        "with 2 if something cannot be read or a column has to be named."
    )
    parser.add_argument("file", help=f"results: {results.KNOWN}; a file, folder or zip")
    parser.add_argument("audit", help="the audit's folder: a path or fsspec URL")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="WHAT=COLUMN",
        help=f"say what a column is: {', '.join(ROLES)}; an empty COLUMN says none",
    )
    parser.add_argument("--softmax", action="store_true", help="the probabilities are logits")
    parser.add_argument(
        "--in-order",
        action="store_true",
        help="the rows name no images and are in the order of folders and file names",
    )
    parser.add_argument(
        "--agree", type=float, default=0.98, help="share of images that must agree, 0 to 1"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(given: argparse.Namespace) -> int:
    """Print what was found; the code to end with.

    Raises:
        AttnlibError: something cannot be read, or a column has to be named.
    """
    audit = Opened(given.audit)
    ours = here(audit, embeddings=True)
    found = read(given, ours.class_names, ours.names)
    if not found.named and given.in_order:
        found = in_order(found, ours.names)
    joined = join(ours, found)
    print(printable(_json(joined, found) if given.json else lines(joined, found)))
    agrees = joined.compared and joined.agreeing >= given.agree * joined.compared
    return 0 if agrees else DIFFERS


def read(given: argparse.Namespace, class_names: Any, names: Any) -> Results:
    """The results in the file, with the columns that were named.

    Raises:
        AttnlibError: they cannot be read, or a column has to be named.
    """
    raw = results.read(results.at(given.file))
    proposed = decided(results.recognise(raw, class_names, names), given.column)
    if proposed.asked:
        why = " ".join(dict.fromkeys(proposed.asked.values()))
        first = next(iter(proposed.asked))
        raise AttnlibError(f"{why} Name it, as --column {first}=COLUMN, or --column {first}=")
    return results.take(raw, proposed, class_names, softmax=given.softmax)


def decided(found: Recognised, said: list[str]) -> Recognised:
    """The proposal with what was said of columns.

    Raises:
        AttnlibError: there is no such column, or it is not known what it should be.
    """
    for one in said:
        name, equals, column = one.partition("=")
        role = next((role for role in ROLES if role == name), None)
        if role is None or not equals:
            raise AttnlibError(f"--column {one}: say WHAT=COLUMN, WHAT being {', '.join(ROLES)}.")
        option = found.named(role, column)
        if column and option is None:
            listed = ", ".join(option.title for option in found.options[role][:8]) or "none"
            raise AttnlibError(f"“{column}” cannot be {role}; what can: {listed}.")
        found = found.choose(role, option)
    return found


def lines(found: Joined, read: Results) -> list[str]:
    """The numbers in words."""
    said = [
        f"{len(read)} rows, {len(found.table)} belong to an image of the audit; "
        f"{len(found.unknown)} name none, {len(found.ambiguous)} fit several, "
        f"{found.missing} images have no row",
        found.sentence,
    ]
    (theirs, of), (ours, _) = found.right("theirs"), found.right("ours")
    if of:
        said.append(f"Right: the file {theirs}, the audit {ours} of {of} with a label")
    if found.likeness is not None:
        said.append(f"Embeddings of an image: cosine {found.likeness:.3f} (median)")
    said += list(read.problems)
    if found.strange:
        said.append(f"No classes of the model: {', '.join(list(found.strange)[:6])}")
    for row in found.differing.head(SHOWN).to_dict("records"):
        said.append(
            f"  {row['name']}: {row['theirs']} {row['theirs_confidence']:.2f} in the file, "
            f"{row['ours']} {row['ours_confidence']:.2f} in the audit"
        )
    return said


def _json(found: Joined, read: Results) -> list[str]:
    low, high = found.interval if found.compared else (None, None)
    said = {
        "rows": len(read),
        "matched": len(found.table),
        "unknown": list(found.unknown),
        "ambiguous": list(found.ambiguous),
        "missing": found.missing,
        "compared": found.compared,
        "agreeing": found.agreeing,
        "interval": [low, high],
        "sentence": found.sentence,
        "problems": list(read.problems),
        "differing": found.differing["name"].tolist(),
    }
    return json.dumps(said, indent=1, ensure_ascii=False).splitlines()
