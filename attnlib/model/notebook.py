"""What a notebook shows of a model: its input, its tokens, and which maps are defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnlib.pictures import markup

if TYPE_CHECKING:
    from attnlib.model.vit import Vit


def card(vit: Vit) -> str:
    """A table of facts as HTML; what people named is escaped."""
    rows, cols = vit.layout.grid
    height, width = vit.layout.patch_size
    layers = vit.support.calls("layer")
    heads = sorted({vit.support.shapes[i][1] for i in layers})
    attention = f"{len(layers)} layers of {'/'.join(map(str, heads))} heads"
    facts: list[tuple[str, object]] = [
        ("input", f"{vit.size[0]} x {vit.size[1]} pixels"),
        ("patches", f"{rows} x {cols} of {height} x {width} pixels"),
        ("prefix tokens", ", ".join(vit.layout.prefix) or "none"),
        ("seen from", vit.layout.query),
        ("attention between all tokens", attention if layers else "none"),
        ("maps", ", ".join(sorted(vit.support.maps)) or "none"),
        ("outputs", f"{vit.outputs.title}; {vit.outputs.source}"),
        ("classes", len(vit.class_names)),
        ("their names", vit.names.source),
        ("runs on", f"{vit.device} in {vit.precision}"),
    ]
    if vit.support.reason:
        facts.append(("not defined", vit.support.reason))
    return markup.facts(vit.name, facts)
