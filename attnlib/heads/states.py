"""Four states in which heads do no work of their own: alike, one-hot, uniform, sink.

Over all queries: the row of the readout alone is even on every clean image and peaked on some.
And on pictures of noise beside the images: before a blank wall healthy heads are even, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.heads.layers import global_layers
from attnlib.heads.problems import QUERIES
from attnlib.heads.similarity import similarity
from attnlib.methods.subject import Subject

State = Literal["alike", "one-hot", "uniform", "sink"]
STATES: tuple[State, ...] = get_args(State)
Array = NDArray[np.float64]

# Healthy heads of the demo model stay below 0.88 (alike), 0.47 (one-hot) and 0.15 (sink) on each
# of its 80 images, and share at most 0.95 (uniform) on noise; made ones are above 0.99, 0.93, 0.9
# and 0.998.
THRESHOLDS: dict[State, float] = {"alike": 0.95, "one-hot": 0.8, "uniform": 0.98, "sink": 0.6}
# A head whose look does not depend on who asks is as good as uniform where it is about even.
BLIND, ABOUT_EVEN = 0.002, 0.75
# A sink takes its share from nine of ten queries.
FEWEST = 0.1


@dataclass(frozen=True)
class Habit:
    """What every head does over all queries of one image, or the median over several.

    Attributes:
        similarity: ``(L, H, H)``, Pearson correlation of two heads of a layer over all weights.
        peak: ``(L, H)``, the largest share on one token, mean over queries, 1/T to 1.
        information: ``(L, H)``, how much the place that a head looks at depends on who asks, in
            nats: the mutual information of query and key, 0 where all rows are equal.
        reach: ``(L, H)``, the tokens that a head looks at as a share of all, 1/T to 1: e to the
            mean entropy of its rows, over T.
        sink: ``(L, H)``, the largest share that one token gets from nine of ten queries, 0 to 1.
    """

    similarity: Array
    peak: Array
    information: Array
    reach: Array
    sink: Array

    @property
    def twin(self) -> Array:
        """``(L, H)``, the correlation with the most alike head of the layer; -1 without another."""
        heads = self.similarity.shape[1]
        others: Array = np.where(np.eye(heads, dtype=bool), -1.0, self.similarity)
        return np.asarray(others.max(axis=-1))

    def value(self, state: State) -> Array:
        """``(L, H)``, the number behind a state, which :data:`THRESHOLDS` speaks of."""
        return {"alike": self.twin, "one-hot": self.peak, "uniform": self.reach}.get(
            state, self.sink
        )

    def threshold(self, state: State) -> Array:
        """``(L, H)``, from which value on a head is in a state."""
        usual = np.full(self.peak.shape, THRESHOLDS[state])
        blind = self.information <= BLIND
        return np.where(blind, ABOUT_EVEN, usual) if state == "uniform" else usual

    def shows(self, state: State) -> NDArray[np.bool_]:
        """``(L, H)``, which heads reach the threshold of a state."""
        return np.asarray(self.value(state) >= self.threshold(state))


def habit(subject: Subject) -> Habit:
    """What every head does on one image; one layer is in memory at a time.

    Raises:
        CaptureError: the model has no attention between all tokens.
    """
    found = [_of_layer(call) for call in global_layers(subject)]
    return Habit(*(np.stack(part) for part in zip(*found, strict=True)))


def median(found: Sequence[Habit]) -> Habit:
    """The median over images of one model; at least one is needed."""
    names = ("similarity", "peak", "information", "reach", "sink")
    return Habit(*(np.median([getattr(one, name) for one in found], axis=0) for name in names))


def noise(size: tuple[int, int], count: int) -> list[Image.Image]:
    """Pictures of random pixels ``(h, w)``, the same ones each time."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in drawn]


def states(images: Habit, noises: Habit) -> dict[State, NDArray[np.bool_]]:
    """``(L, H)`` of each state: the heads that are in it on images and on noise.

    A head that is in several counts for one. A uniform head is alike to other uniform ones, and
    every sink is one-hot: they count as what explains more. Where half of a layer's one-hot heads
    have each query on a token of its own, one that has them all on the same is one of these.
    """
    found = {state: images.shows(state) & noises.shows(state) for state in STATES}
    found["sink"] &= ~found["uniform"]
    both = found["sink"] & found["one-hot"]
    alone = (found["one-hot"] & ~both).sum(1) >= found["sink"].sum(1)
    found["sink"] &= ~(both & alone[:, None])
    found["one-hot"] &= ~found["sink"]
    found["alike"] &= ~(found["uniform"] | found["sink"])
    return found


def _of_layer(call: AttentionCall) -> tuple[Array, Array, Array, Array, Array]:
    """The numbers of :class:`Habit` for the heads of one layer."""
    # Of longer sequences so many queries are looked at, evenly spread.
    every = slice(None, None, -(-call.shape[2] // QUERIES))
    with passes.admitted(), torch.no_grad():
        rows = call.rows(every)[0].cpu().double()
    entropy = torch.special.entr(rows).sum(-1).mean(-1)
    information = torch.special.entr(rows.mean(dim=1)).sum(-1) - entropy
    rank = int(FEWEST * (rows.shape[1] - 1)) + 1
    return (
        similarity(rows.numpy()),
        rows.amax(-1).mean(-1).numpy(),
        information.clamp_min(0).numpy(),
        (entropy.exp() / rows.shape[-1]).numpy(),
        rows.kthvalue(rank, dim=1).values.amax(-1).numpy(),
    )
