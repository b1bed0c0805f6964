"""What heads are called on screen."""

from __future__ import annotations

Head = tuple[int, int]


def name(layer: int, head: int) -> str:
    """``"L2·H0"``, both counted from 0."""
    return f"L{layer}·H{head}"


def every(layers: int, heads: int) -> list[str]:
    """The names of all heads, those of a layer together."""
    return [name(layer, head) for layer in range(layers) for head in range(heads)]


def parse(text: str) -> Head:
    """The (layer, head) that :func:`name` made a name of."""
    layer, head = text.removeprefix("L").split("·H")
    return int(layer), int(head)
