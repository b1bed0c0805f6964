"""All kinds of findings: a new one is one file and one line here."""

from __future__ import annotations

from attnlib.diagnosis import background, crop, fragile, heads, outlier_tokens
from attnlib.diagnosis.finder import Finder

_ALL: tuple[Finder, ...] = (
    background.FINDER,
    crop.FINDER,
    fragile.FINDER,
    heads.FINDER,
    outlier_tokens.FINDER,
)

FINDERS: dict[str, Finder] = {finder.kind: finder for finder in _ALL}
