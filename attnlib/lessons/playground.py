"""Attention over words with random weights: the idea, without a model."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import AttnlibError

Array = NDArray[np.float64]

EXAMPLES = (
    "the cat sat on the mat because it was tired",
    "the animal did not cross the street because it was too wide",
    "time flies like an arrow fruit flies like a banana",
)
MAX_WORDS, MAX_DIMENSION = 64, 1024


@dataclass(frozen=True)
class Toy:
    """Attention of some words to some words, with every intermediate result.

    Attributes:
        queries, keys: the Tq words that ask and the Tk words that are asked.
        asking, asked: their vectors, ``(Tq, D)`` and ``(Tk, D)``.
        q, k, v: ``(H, Tq, d)``, ``(H, Tk, d)`` and ``(H, Tk, d)`` with d = D/H.
        scores: ``(H, Tq, Tk)``, q · k before scaling.
        hidden: ``(Tq, Tk)``, where the causal mask hides a word.
        weights: ``(H, Tq, Tk)``, softmax of the scaled scores of what is not hidden; rows sum to 1.
        outputs: ``(H, Tq, d)``, weights times values: what every head hands on.
        w_o: ``(D, D)``, what mixes the heads. There are no biases, or they are zero.
        parameters: of W_Q, W_K, W_V and W_O with their biases, 4 (D² + D).
    """

    queries: tuple[str, ...]
    keys: tuple[str, ...]
    asking: Array
    asked: Array
    q: Array
    k: Array
    v: Array
    scores: Array
    hidden: NDArray[np.bool_]
    weights: Array
    outputs: Array
    w_o: Array
    parameters: int

    @property
    def scale(self) -> float:
        """1/√d, the factor on the scores."""
        return float(1 / np.sqrt(self.q.shape[2]))

    @property
    def concatenated(self) -> Array:
        """``(Tq, D)``, the heads of each word one after the other."""
        heads, count, size = self.outputs.shape
        return self.outputs.swapaxes(0, 1).reshape(count, heads * size)

    @property
    def projected(self) -> Array:
        """``(Tq, D)``, W_O times the concatenated heads: the result."""
        found: Array = self.concatenated @ self.w_o.T
        return found


def words(text: str, limit: int = MAX_WORDS) -> tuple[str, ...]:
    """The first ``limit`` words of a text: split at white space, nothing else."""
    return tuple(text.split()[:limit])


def embed(tokens: Sequence[str], dimension: int, seed: int) -> Array:
    """``(T, D)``: a random vector for each word, the same for the same word, plus its position.

    Positions are sinusoids (Vaswani et al. 2017, section 3.5).
    """
    rows = []
    for word in tokens:
        rng = np.random.default_rng([seed, zlib.crc32(word.lower().encode())])
        rows.append(rng.standard_normal(dimension))
    place = np.arange(len(tokens))[:, None]
    channel = np.arange(dimension)[None]
    angle = place / 10000 ** (2 * (channel // 2) / dimension)
    return np.stack(rows) + np.where(channel % 2 == 0, np.sin(angle), np.cos(angle))


def projections(dimension: int, seed: int) -> Array:
    """Random W_Q, W_K, W_V and W_O, ``(4, D, D)``, with entries of variance 1/D."""
    rng = np.random.default_rng([seed, dimension])
    drawn: Array = rng.standard_normal((4, dimension, dimension)) / np.sqrt(dimension)
    return drawn


def softmax(scores: Array) -> Array:
    """Over the last axis; -inf is hidden and gets 0."""
    grown = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found: Array = grown / grown.sum(axis=-1, keepdims=True)
    return found


def toy(
    text: str,
    *,
    other: str | None = None,
    dimension: int = 64,
    heads: int = 4,
    causal: bool = False,
    seed: int = 0,
) -> Toy:
    """softmax(q kᵀ / √d) over words, with random projections.

    Args:
        text: the words that ask.
        other: the words that are asked (cross-attention); None for the same (self-attention).
        causal: whether a word sees only those up to its own place; for self-attention alone.

    Raises:
        AttnlibError: there are no words, the heads do not divide the dimension, or a causal mask
            is asked for between two texts.
    """
    if causal and other is not None:
        raise AttnlibError(
            "A causal mask hides the words that come later in the same text; words of two texts "
            "have no common order. Use it without cross-attention."
        )
    queries = words(text)
    keys = queries if other is None else words(other)
    if not queries or not keys:
        raise AttnlibError("Give at least one word.")
    if not 1 <= dimension <= MAX_DIMENSION:
        raise AttnlibError(f"The dimension must be from 1 to {MAX_DIMENSION}, not {dimension}.")
    if heads < 1 or dimension % heads:
        raise AttnlibError(f"{heads} heads do not divide the dimension {dimension}.")
    w_q, w_k, w_v, w_o = projections(dimension, seed)
    asking, asked = embed(queries, dimension, seed), embed(keys, dimension, seed)

    def split(vectors: Array, weight: Array) -> Array:
        return (vectors @ weight.T).reshape(len(vectors), heads, -1).swapaxes(0, 1)

    q, k, v = split(asking, w_q), split(asked, w_k), split(asked, w_v)
    scores = q @ k.swapaxes(1, 2)
    hidden = np.triu(np.full(scores.shape[1:], causal), k=1)
    weights = softmax(np.where(hidden, -np.inf, scores / np.sqrt(dimension // heads)))
    return Toy(
        queries=queries,
        keys=keys,
        asking=asking,
        asked=asked,
        q=q,
        k=k,
        v=v,
        scores=scores,
        hidden=hidden,
        weights=weights,
        outputs=weights @ v,
        w_o=w_o,
        parameters=4 * (dimension * dimension + dimension),
    )
