"""The pictures under maps: each encoded once, for all visitors."""

from __future__ import annotations

from attnlib.dashboard.parts.board import Card, Pictures, encoded
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace


def of(space: Workspace, cards: list[Card], side: int) -> Pictures:
    """Those that the cards need, at most ``side`` pixels."""
    found = Pictures()
    for card in cards:
        for figure in [*card.figures, *(one for pair in card.pairs for one in pair.figures)]:
            put(space, found, figure.picture, side)
    return found


def put(space: Workspace, pictures: Pictures, name: str, side: int) -> None:
    """Add the crop of an image, unless it is there."""
    if name in pictures.uris:
        return
    crop = space.crop(name)
    uri = results.numbers(
        space.choice, space.by_name[name], ("picture", side), lambda: encoded(crop, side)
    )
    pictures.put(name, crop, uri)
