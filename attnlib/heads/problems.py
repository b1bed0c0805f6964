"""Common problems of attention, each with the number that shows whether a model has it.

Over all queries and several images: the row of the readout on one image alone is peaked or even
by chance. A single head that stands out is normal, so a model has a problem where a quarter of its
heads do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attnlib.capture import passes
from attnlib.errors import AttnlibError
from attnlib.heads.layers import global_layers
from attnlib.heads.similarity import similarity
from attnlib.methods.subject import Subject

Array = NDArray[np.float64]
# Of longer sequences so many queries are looked at, evenly spread.
QUERIES = 512
SHARE = 0.25


@dataclass(frozen=True)
class Habits:
    """What every head does over all queries of one image, or on average over several.

    Attributes:
        similarity: ``(L, H, H)``, Pearson correlation of two heads of a layer over all weights.
        peak: ``(L, H)``, the largest share on one token, mean over queries.
        entropy: ``(L, H)``, of whole rows, mean over queries, in units of log T.
        images: over how many images it is the mean.
    """

    similarity: Array
    peak: Array
    entropy: Array
    images: int = 1

    @property
    def twin(self) -> Array:
        """``(L, H)``, the correlation with the most alike head of the layer; -1 without another."""
        heads = self.similarity.shape[1]
        others: Array = np.where(np.eye(heads, dtype=bool), -1.0, self.similarity)
        return np.asarray(others.max(axis=-1))


@dataclass(frozen=True)
class Problem:
    """One way in which attention goes wrong.

    Attributes:
        name: in a word or two.
        number: what is measured of each head.
        values: that number of every head, ``(L, H)``.
        threshold: from which value on a head counts.
        meaning: what it is, in a sentence or two.
        remedy: what helps, with where that comes from.
    """

    name: str
    number: str
    values: Callable[[Habits], Array]
    threshold: float
    meaning: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """A problem looked for in one model.

    Attributes:
        heads: which of them count, ``(L, H)``.
        most: the largest value, and the (layer, head) that has it.
        needed: how many heads must count for the model to have the problem.
    """

    problem: Problem
    heads: NDArray[np.bool_]
    most: float
    at: tuple[int, int]
    needed: int

    @property
    def count(self) -> int:
        """How many heads count."""
        return int(self.heads.sum())

    @property
    def present(self) -> bool:
        """Whether the model has the problem."""
        return self.count >= self.needed


ALIKE = Problem(
    "Heads collapse into one",
    "correlation with the most alike head of its layer",
    lambda habits: habits.twin,
    0.95,
    "Heads of a layer that look at the same places do the same work twice: the layer has fewer "
    "heads than it pays for.",
    "Remove heads and see whether anything changes (“Effect on the prediction”): most models keep "
    "their accuracy with a part of their heads (Michel et al., NeurIPS 2019). When training anew: "
    "fewer heads, or mixing them so that they differ (DeepViT, Zhou et al. 2021).",
)
ONE_HOT = Problem(
    "Saturated softmax",
    "largest share on one token, mean over queries",
    lambda habits: habits.peak,
    0.9,
    "A head that gives all its attention to one token per query no longer learns where to look: "
    "the gradient of the softmax vanishes, as its slope is α (1 − α).",
    "Normalise queries and keys (ViT-22B, Dehghani et al. 2023), lower the learning rate or warm "
    "up longer. Where the one token is a patch without content, give the model register tokens "
    "(Darcet et al., ICLR 2024).",
)
EVEN = Problem(
    "Vanishing attention",
    "entropy ÷ log T, mean over queries",
    lambda habits: habits.entropy,
    0.95,
    "A head whose weights are all about 1/T looks nowhere: it averages all tokens, whatever is in "
    "the image.",
    "First check that trained weights were loaded: random ones look so. Small data: learn the "
    "temperature and mask each patch's look at itself (Lee et al. 2021). Else train longer, or "
    "remove these heads: an average needs no queries and keys.",
)
PROBLEMS = (ALIKE, ONE_HOT, EVEN)


def habits(subject: Subject) -> Habits:
    """What every head does on one image; one layer is in memory at a time.

    Raises:
        CaptureError: the model has no attention between all tokens.
    """
    calls = global_layers(subject)
    tokens = subject.layout.tokens
    every = slice(None, None, -(-tokens // QUERIES))
    alike, peak, entropy = [], [], []
    for call in calls:
        with passes.admitted(), torch.no_grad():
            rows = call.rows(every)[0].double()
            peak.append(rows.amax(-1).mean(-1).cpu().numpy())
            nats = torch.special.entr(rows).sum(-1).mean(-1).cpu().numpy()
            weights = rows.float().cpu().numpy()
        entropy.append(nats / np.log(rows.shape[-1]))
        alike.append(similarity(weights))
    return Habits(np.stack(alike), np.stack(peak), np.stack(entropy))


def mean_habits(found: Iterable[Habits]) -> Habits:
    """The mean over images; they may differ in their number of tokens.

    Raises:
        AttnlibError: there are none.
    """
    listed = list(found)
    if not listed:
        raise AttnlibError("There are no images to look for problems on.")
    return Habits(
        np.mean([one.similarity for one in listed], axis=0),
        np.mean([one.peak for one in listed], axis=0),
        np.mean([one.entropy for one in listed], axis=0),
        len(listed),
    )


def look_for(problem: Problem, found: Habits) -> Finding:
    """Which heads have a problem, and whether the model has it."""
    values = problem.values(found)
    top = np.unravel_index(int(values.argmax()), values.shape)
    return Finding(
        problem,
        values >= problem.threshold,
        float(values.max()),
        (int(top[0]), int(top[1])),
        min(values.size, max(2, int(np.ceil(SHARE * values.size)))),
    )
