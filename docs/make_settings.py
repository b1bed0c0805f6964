"""Write the table of settings between its markers in README.md, from the class that reads them.

python -m docs.make_settings
"""

from __future__ import annotations

import re
from pathlib import Path

from attnlib import settings

PLACE = Path(__file__).parents[1] / "README.md"
_BETWEEN = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.S)


def table() -> str:
    """The table, in Markdown."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in settings.Settings.model_fields.items():
        default = settings.shown(name) or "–"
        lines.append(f"| `{settings.variable(name)}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The document with the table of now."""
    return _BETWEEN.sub(lambda _: f"\n{table()}\n", text)


if __name__ == "__main__":
    PLACE.write_text(written(PLACE.read_text()))
