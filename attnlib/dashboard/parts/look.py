"""What the page looks at: one image's attention, with the layer, head and query chosen on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.audit import Prediction
from attnlib.capture.tokens import TokenLayout
from attnlib.dashboard.parts.pictures import Style, over
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.heads import rows as attention
from attnlib.methods import Subject
from attnlib.methods.base import FUSIONS
from attnlib.pictures.colormaps import Scale

Array = NDArray[np.float32]

CLIPS = {"largest": 1.0, "99 %": 0.99, "95 %": 0.95}


@dataclass
class Look:
    """One run's view of one image.

    Attributes:
        layers, heads: how many there are.
        layer: the chosen layer, counted from 0.
        head: ``"mean"``, ``"max"``, ``"min"`` or the number of a head.
        query: the token that asks, in sequence order; None is the readout.
        style: how maps are drawn over the image.
        clip: which share of all values the scale covers; the rest is drawn as its upper end.
    """

    space: Workspace
    prediction: Prediction
    layers: int
    heads: int
    layer: int
    head: str
    query: int | None
    clip: float = 1.0
    style: Style = field(default_factory=Style)

    def draw(self, values: Array, scale: Scale, side: int) -> Image.Image:
        """A map ``(rows, cols)`` over the image; the longer side is ``side`` pixels."""
        return over(self.crop, values, scale, self.style, side, self.covers)

    @property
    def name(self) -> str:
        return self.prediction.name

    @property
    def crop(self) -> Image.Image:
        return self.space.inspected(self.name).picture

    @property
    def covers(self) -> tuple[float, float]:
        """How far the patches reach over the crop, in shares of its height and width."""
        return self.space.vit.covers

    @cached_property
    def subject(self) -> Subject:
        """The attention of this image, kept in the shared store."""
        return results.subject(self.space.choice, self.space.vit, self.space.by_name[self.name])

    @property
    def head_number(self) -> int | None:
        """The one head that was chosen, or None where heads are fused."""
        return number_of(self.head)

    @property
    def head_name(self) -> str:
        """In words."""
        return f"{self.head} over heads" if self.head_number is None else f"head {self.head}"

    @property
    def query_name(self) -> str:
        """In words; the readout is named by what it is in this model."""
        layout = self.space.vit.layout
        return layout.query if self.query is None else token_name(layout.token_name(self.query))

    @property
    def asker(self) -> str:
        """The query with its article, to stand in a sentence."""
        name = self.query_name
        return name if name.startswith("patch") else f"the {name}"

    def rows(self, layer: int | None = None) -> Array:
        """Where the query looks among the patches, ``(H, rows, cols)``."""
        layer = self.layer if layer is None else layer
        if self.query is None:
            found = self.space.inspected(self.name).record.rows
            rows = found[layer] if len(found) == self.layers else attention.row(self.subject, layer)
        else:
            rows = attention.row(self.subject, layer, self.query)
        return patches(self.space.vit.layout, rows)

    def map(self, layer: int | None = None) -> Array:
        """The row of the chosen head, or heads fused, ``(rows, cols)``."""
        return fused(self.rows(layer), self.head)

    def to_query(self) -> Array | None:
        """Who looks at the query, ``(rows, cols)``; None for a readout that is not one token."""
        key = self.query
        if key is None:
            key = 0 if self.space.vit.layout.readout == "cls" else None
        if key is None:
            return None
        return fused(
            patches(self.space.vit.layout, attention.column(self.subject, self.layer, key)),
            self.head,
        )

    def scale(self, *maps: Array, keys: int | None = None) -> Scale:
        """Multiples of uniform, one scale for all the given maps.

        Args:
            keys: among how many tokens a row divides its attention; None is the patches.
        """
        values = np.concatenate([one.ravel() for one in maps])
        values = values[values <= np.quantile(values, self.clip)]
        return Scale.times_uniform(values, keys or self.space.vit.layout.patches)


def patches(layout: TokenLayout, rows: Array) -> Array:
    """The patch part ``(H, rows, cols)`` of rows over tokens ``(H, T)``."""
    return rows[:, rows.shape[1] - layout.patches :].reshape(len(rows), *layout.grid)


def number_of(head: str) -> int | None:
    """The number of a head, or None for ``"mean"``, ``"max"`` and ``"min"`` over heads.

    Raises:
        AttnlibError: it is neither.
    """
    if head in FUSIONS:
        return None
    # Not `isdigit`, which takes “²” for a number too.
    if not (head.isascii() and head.isdecimal() and len(head) <= 6):
        raise AttnlibError(f"A head is a number or one of {', '.join(FUSIONS)}, not {head[:40]!r}.")
    return int(head)


def fused(maps: Array, head: str) -> Array:
    """One head, or mean, max or min over heads: ``(H, rows, cols) -> (rows, cols)``."""
    number = number_of(head)
    if number is not None:
        return np.asarray(maps[number])
    if head == "max":
        return np.asarray(maps.max(axis=0))
    return np.asarray(maps.min(axis=0) if head == "min" else maps.mean(axis=0))


def token_name(name: str) -> str:
    """A token's name as it stands on screen."""
    known = {"cls": "CLS token", "dist": "distillation token"}
    return known.get(name, name.replace("reg", "register "))
