"""Draw the wings of attnlib and who imports whom, from the real imports, as docs/house.svg.

python -m docs.make_house
"""

from __future__ import annotations

from pathlib import Path

import grimp

PLACE = Path(__file__).with_name("house.svg")
PURPOSE = {
    "pictures": "numbers to colours and pictures",
    "data": "what people bring",
    "capture": "one pass and its exact attention",
    "methods": "one map per file",
    "model": "a loaded model",
    "heads": "what heads do",
    "evaluation": "whether to believe a map",
    "audit": "many predictions",
    "diagnosis": "what is wrong, with evidence",
    "lessons": "one attention, explained",
    "complexity": "what a pass costs",
    "store": "workspaces that last",
    "dashboard": "all that imports Streamlit",
    "commands": "what the shell can ask",
}
WIDTH, HEIGHT, GAP, MARGIN = 190, 54, 46, 20


def arrows() -> dict[str, set[str]]:
    """Wing -> the wings that it imports directly."""
    graph = grimp.build_graph("attnlib")
    found: dict[str, set[str]] = {wing: set() for wing in PURPOSE}
    for module in graph.modules:
        wing = module.split(".")[1] if "." in module else ""
        for imported in graph.find_modules_directly_imported_by(module):
            other = imported.split(".")[1] if "." in imported else ""
            if wing in found and other in found and other != wing:
                found[wing].add(other)
    return found


def floors(found: dict[str, set[str]]) -> dict[str, int]:
    """Ground is 0; a wing lies above all that it imports."""
    level: dict[str, int] = {}

    def of(wing: str) -> int:
        if wing not in level:
            level[wing] = 1 + max((of(other) for other in found[wing]), default=-1)
        return level[wing]

    return {wing: of(wing) for wing in found}


def reduced(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that follow from others, so that the picture can be read."""

    def reach(wing: str) -> set[str]:
        return found[wing].union(*(reach(other) for other in found[wing]))

    return {
        wing: {o for o in others if not any(o in reach(p) for p in others - {o})}
        for wing, others in found.items()
    }


def draw() -> str:
    """The picture: the ground floor at the bottom, an arrow from who imports to what."""
    found = arrows()
    level = floors(found)
    rows = [[w for w in PURPOSE if level[w] == i] for i in range(max(level.values()) + 1)]
    across = max(map(len, rows))
    width = 2 * MARGIN + across * (WIDTH + GAP) - GAP
    height = 2 * MARGIN + len(rows) * (HEIGHT + GAP) - GAP
    place = {}
    for i, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for j, wing in enumerate(row):
            place[wing] = (left + j * (WIDTH + GAP), height - MARGIN - HEIGHT - i * (HEIGHT + GAP))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#7a8794"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for wing, others in sorted(reduced(found).items()):
        for other in sorted(others):
            (x, y), (u, v) = place[wing], place[other]
            parts.append(
                f'<line x1="{x + WIDTH / 2:g}" y1="{y + HEIGHT:g}" x2="{u + WIDTH / 2:g}" '
                f'y2="{v:g}" stroke="#7a8794" stroke-width="1.4" marker-end="url(#tip)"/>'
            )
    for wing, (x, y) in place.items():
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="7" '
            'fill="#eaf2fa" stroke="#0b6bb8"/>'
            f'<text x="{x + WIDTH / 2:g}" y="{y + 23:g}" text-anchor="middle" font-size="15" '
            f'font-weight="bold" fill="#17212b">{wing}</text>'
            f'<text x="{x + WIDTH / 2:g}" y="{y + 42:g}" text-anchor="middle" font-size="11" '
            f'fill="#43515f">{PURPOSE[wing]}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PLACE.write_text(draw())
