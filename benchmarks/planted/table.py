"""The table of docs/diagnosis.md from the rows that ``benchmarks.planted.run`` wrote.

python -m benchmarks.planted.table /tmp/planted --write
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
DOCUMENT = Path(__file__).parents[2] / "docs" / "diagnosis.md"
MARKS = "<!-- planted -->", "<!-- end planted -->"


def rows(folder: Path, section: str) -> list[Row]:
    """What one section found; none if it was not run."""
    path = folder / f"{section}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def share(found: Sequence[Row], holds: Callable[[Row], Any]) -> str:
    """How many of how many."""
    return f"{sum(bool(holds(row)) for row in found)} of {len(found)}"


def mean(found: Sequence[Row], name: str) -> str:
    """The mean of a number over the rows that have it."""
    values = [row[name] for row in found if name in row]
    return f"{np.mean(values):.2f}" if values else "–"


def lines(folder: Path) -> list[tuple[str, str, str]]:
    """What was planted, what was measured, and what came of it."""
    found: list[tuple[str, str, str]] = []
    for section in ("shortcuts", "shortcuts that thresholds were set on"):
        trials = [row for row in rows(folder, section) if "mark" in row]
        suffix = "" if section == "shortcuts" else " (a model that thresholds were set on)"
        for mark in dict.fromkeys(row["mark"] for row in trials):
            these = [row for row in trials if row["mark"] == mark]
            found.append(
                (
                    f"shortcut: {mark}{suffix}",
                    "class · place (overlap) · recall and precision of images · flips when put in",
                    f"{share(these, lambda row: 'recall' in row)} · {mean(these, 'overlap')} · "
                    f"{mean(these, 'recall')} and {mean(these, 'precision')} · "
                    f"{mean(these, 'turned')}",
                )
            )
    faults = rows(folder, "preprocessing")
    for fault in dict.fromkeys(row["fault"] for row in faults):
        these = [row for row in faults if row["fault"] == fault]
        cost = np.mean([row["cost"] for row in these])
        found.append(
            (
                f"preprocessing: {fault}",
                f"factor (it costs {100 * cost:.0f} points)",
                share(these, lambda row: row["right"]),
            )
        )
    if names := rows(folder, "names"):
        found.append(("class names", "exact names", share(names, lambda row: row["exact"])))
    noise = rows(folder, "noise")
    for distance in dict.fromkeys(row["distance"] for row in noise):
        these = [row for row in noise if row["distance"] == distance]
        found.append(
            (
                f"label noise, {distance} classes",
                "pair · average precision of images · another pair",
                f"{share(these, lambda row: row['pair'])} · {mean(these, 'precision')} · "
                f"{share(these, lambda row: row['others'])}",
            )
        )
    found += _others(folder)
    clean = rows(folder, "clean")
    twins = [row for row in rows(folder, "shortcuts") if "twin" in row]
    for title, these in (("clean sets", clean), ("twins", twins)):
        if these:
            said = share(these, lambda row: row["said"])
            found.append((title, "any false alarm of any kind", said))
    return found


def _others(folder: Path) -> list[tuple[str, str, str]]:
    """What is no mark, no preparation and no label."""
    found: list[tuple[str, str, str]] = []
    heads = rows(folder, "heads")
    for state in dict.fromkeys(row["state"] for row in heads if "state" in row):
        these = [row for row in heads if row.get("state") == state]
        right = share(these, lambda row: row["right"] and not row["others"])
        found.append((f"heads: {state}", "these heads, this state and nothing else", right))
    if healthy := [row for row in heads if "healthy" in row]:
        said = share(healthy, lambda row: row["said"])
        found.append(("healthy heads and tokens", "any false alarm", said))
    if tokens := rows(folder, "tokens"):
        found.append(("tokens too long", "exact patches", share(tokens, lambda row: row["right"])))
    for water in (True, False):
        these = [row for row in rows(folder, "background") if bool(row["share"]) == water]
        if these:
            title = "objects on exchanged grounds, " + ("with water" if water else "without water")
            what = "the class that water makes, and no other" if water else "silence"
            found.append((title, what, share(these, lambda row: row["right"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    options = parser.parse_args()
    table = "\n".join(
        ["| planted | measured | found |", "|---|---|---|"]
        + [f"| {' | '.join(line)} |" for line in lines(options.folder)]
    )
    print(table)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        between = re.compile(f"{MARKS[0]}.*?{MARKS[1]}", re.DOTALL)
        made = between.sub(lambda _: f"{MARKS[0]}\n{table}\n{MARKS[1]}", text)
        DOCUMENT.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
