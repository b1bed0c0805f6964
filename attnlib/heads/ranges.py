"""Early, middle and late layers: how far their heads look, how evenly, and in which pattern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from attnlib.capture import passes
from attnlib.capture.tokens import TokenLayout
from attnlib.heads.layers import global_layers
from attnlib.heads.pattern import pattern
from attnlib.heads.statistics import HeadStatistics
from attnlib.methods.base import Progress
from attnlib.methods.subject import Subject

NAMES = ("early", "middle", "late")


@dataclass(frozen=True)
class LayerRange:
    """A third of the layers and what its heads do.

    Attributes:
        name: ``"early"``, ``"middle"`` or ``"late"``.
        layers: their numbers, counted from 0.
        distance: attention distance in pixels, mean over its layers and heads.
        relative: the same over that of uniform attention: 1 looks at all patches alike.
        entropy: of the readout's row, mean over its layers and heads, in units of log N.
        patterns: how many of its heads have each pattern, the commonest first.
    """

    name: str
    layers: range
    distance: float
    relative: float
    entropy: float
    patterns: Mapping[str, int]


def thirds(layers: int) -> dict[str, range]:
    """Layers by range, as even as whole layers allow; without a middle where there are but two."""
    if layers < 3:
        return dict(zip(("early", "late"), (range(i, i + 1) for i in range(layers)), strict=False))
    ends = [round(i * layers / 3) for i in range(4)]
    return {name: range(ends[i], ends[i + 1]) for i, name in enumerate(NAMES)}


def head_patterns(subject: Subject, progress: Progress | None = None) -> list[list[str]]:
    """The name of every head's pattern on one image, ``(L, H)``; see :func:`pattern`.

    One layer's matrices ``(H, T, T)`` are held at a time.

    Raises:
        CaptureError: the model has no attention between all tokens.
    """
    calls = global_layers(subject)
    found = []
    for done, call in enumerate(calls):
        if progress is not None:
            progress(done, len(calls))
        with passes.admitted(), torch.no_grad():
            matrices = call.rows()[0].float().cpu().numpy()
        found.append([pattern(matrix, subject.layout).name for matrix in matrices])
    return found


def layer_ranges(
    statistics: HeadStatistics, patterns: Sequence[Sequence[str]], layout: TokenLayout
) -> list[LayerRange]:
    """The thirds of a model's layers.

    Args:
        statistics: of all heads, ``(L, H)``.
        patterns: of all heads, ``(L, H)``, as :func:`head_patterns` names them.
    """
    uniform = float(layout.distances().mean())
    found = []
    for name, layers in thirds(len(patterns)).items():
        distance = float(statistics.distance[layers].mean())
        found.append(
            LayerRange(
                name,
                layers,
                distance,
                distance / uniform if uniform else 0.0,
                float(statistics.entropy[layers].mean()),
                dict(Counter(p for layer in layers for p in patterns[layer]).most_common()),
            )
        )
    return found
