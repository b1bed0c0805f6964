"""All kinds of findings: a new one is one file and one line here."""

from __future__ import annotations

from attnlib.diagnosis import heads, outlier_tokens
from attnlib.diagnosis.finder import Finder

_ALL: tuple[Finder, ...] = (
    heads.FINDER,
    outlier_tokens.FINDER,
)

FINDERS: dict[str, Finder] = {finder.kind: finder for finder in _ALL}
