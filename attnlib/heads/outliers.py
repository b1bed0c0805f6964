"""Patch tokens of outlying norm: they hold no patch any more, and maps light up at them.

Large models keep notes of their own in patches without content (Darcet et al., ICLR 2024); what
a map shows there is not about that place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.errors import CaptureError
from attnlib.heads.states import noise
from attnlib.heads.statistics import SINK_RATIO
from attnlib.model.vit import Vit

Array = NDArray[np.float32]
NOISES = 4


@dataclass(frozen=True)
class Norms:
    """How long the patch tokens of one image are, layer by layer.

    Attributes:
        values: ``(L, N)``, the norm with which each patch token enters each layer; NaN where the
            model makes no normalisation from whose input it could be read.
        typical: ``(L,)``, the model's own median over patches of several pictures.
        grid: ``(rows, cols)`` of the patches.
    """

    values: Array
    typical: Array
    grid: tuple[int, int]

    @property
    def ratio(self) -> Array:
        """``(L, N)``, each norm over the typical one."""
        return np.asarray(self.values / self.typical[:, None])

    @property
    def outlying(self) -> NDArray[np.bool_]:
        """``(rows, cols)``, the patches that are outliers in some layer."""
        found = (self.ratio >= SINK_RATIO).any(axis=0)
        return np.asarray(found.reshape(self.grid))


def token_norms(vit: Vit, images: Sequence[Tensor], typical: Array | None = None) -> list[Norms]:
    """The norms of each image's patch tokens, one forward pass an image.

    Args:
        images: ``(1, C, h, w)`` of one size each.
        typical: ``(L,)`` of this model, if it is known; else the median over these images and
            some pictures of noise, since the median of one image alone speaks of its background.

    Raises:
        CaptureError: the model has no layers between whose tokens it attends.
    """
    given = [_norms(vit, pixels) for pixels in images]
    if typical is None:
        beside = [_norms(vit, vit.pixels(picture)) for picture in noise(vit.size, NOISES)]
        pooled = np.concatenate([*given, *beside], axis=1)
        typical = np.median(pooled, axis=1).astype(np.float32)
    return [
        Norms(values, typical, vit.fitting(pixels).layout.grid)
        for values, pixels in zip(given, images, strict=True)
    ]


def share_on(map_: NDArray[np.floating], outlying: NDArray[np.bool_]) -> float:
    """The share of a map's positive mass ``(rows, cols)`` that stands on outliers, 0 to 1."""
    mass = np.clip(map_.astype(np.float64), 0, None)
    total = float(mass.sum())
    return float(mass[outlying].sum()) / total if total > 0 else 0.0


def _norms(vit: Vit, pixels: Tensor) -> Array:
    """``(L, N)`` of one image."""
    view = vit.fitting(pixels)
    if not view.support.calls("layer"):
        raise CaptureError(
            f"{vit.name} has no layers of attention between all tokens: {view.support.reason}."
        )
    layout = view.layout
    found: list[Array] = []

    def note(call: AttentionCall, role: str) -> None:
        if role != "layer":
            return
        if call.stream is None or call.stream.shape[1] != layout.tokens:
            found.append(np.full(layout.patches, np.nan, np.float32))
            return
        patches = call.stream[0, layout.tokens - layout.patches :].float()
        found.append(torch.linalg.vector_norm(patches, dim=-1).cpu().numpy())

    with passes.admitted(), torch.no_grad():
        vit.run(pixels, note)
    return np.stack(found)
