"""All kinds of findings: a new one is one file and one line here.

Causes come before what they make look wrong: each finder gets the set with what was found before it
put right, or left out.
"""

from __future__ import annotations

from attnlib.diagnosis import background, crop, fragile, heads, outlier_tokens
from attnlib.diagnosis.class_names import CLASS_NAMES
from attnlib.diagnosis.finder import Finder
from attnlib.diagnosis.label_noise import LABEL_NOISE
from attnlib.diagnosis.preprocessing import PREPROCESSING
from attnlib.diagnosis.shortcut import SHORTCUT

_ALL: tuple[Finder, ...] = (
    PREPROCESSING,
    CLASS_NAMES,
    SHORTCUT,
    LABEL_NOISE,
    background.FINDER,
    crop.FINDER,
    fragile.FINDER,
    heads.FINDER,
    outlier_tokens.FINDER,
)

FINDERS: dict[str, Finder] = {finder.kind: finder for finder in _ALL}
