"""Write the table of methods between its markers in README.md: of the registry, and as measured.

python -m docs.make_methods
"""

from __future__ import annotations

import re
from pathlib import Path

from attnlib.methods import METHODS, Method

PLACE = Path(__file__).parents[1] / "README.md"
MEASURED = Path(__file__).parents[1] / "benchmarks" / "README.md"
_BETWEEN = re.compile(r"(?<=<!-- methods -->\n).*?(?=<!-- /methods -->)", re.S)
COLUMNS = (
    *("method", "what it shows", "of a class", "signed", "passes"),
    *("deletion", "insertion", "caution", "use"),
)


def measured() -> dict[str, tuple[str, str]]:
    """Title -> deletion and insertion of the demo's 80 images, by the blurred image."""
    text = MEASURED.read_text(encoding="utf-8")
    listed = text.partition("<!-- maps -->")[2].partition("<!-- end maps -->")[0]
    rows = [line.strip("| ").split(" | ") for line in listed.splitlines() if line.startswith("|")]
    return {row[0].removesuffix(" ¹"): (row[1], row[2]) for row in rows[2:]}


def row(method: Method, areas: dict[str, tuple[str, str]]) -> str:
    """One line."""
    cells = [
        f"`{method.name}`",
        method.description.split(". ")[0].split(": ")[0].rstrip(".") + ".",
        "yes" if method.class_specific else "no",
        "yes" if method.signed else "no",
        method.passes,
        *areas.get(method.title, ("–", "–")),
        method.caution or "–",
        "LRP: patent notice" if method.patented else "free",
    ]
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    """The table, in Markdown."""
    areas = measured()
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---|---:|---:|---|---|"]
    return "\n".join([*lines, *(row(method, areas) for method in METHODS.values())]) + "\n"


def written(text: str) -> str:
    """The document with the table of now."""
    return _BETWEEN.sub(lambda _: f"\n{table()}\n", text)


if __name__ == "__main__":
    PLACE.write_text(written(PLACE.read_text()))
