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
    """Attention of some words to some words.

    Attributes:
        queries, keys: the words.
        weights: ``(H, Tq, Tk)``, rows sum to 1.
        parameters: of W_Q, W_K, W_V and W_O with their biases, 4 (D² + D).
    """

    queries: tuple[str, ...]
    keys: tuple[str, ...]
    weights: Array
    parameters: int


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


def projections(dimension: int, seed: int) -> tuple[Array, Array]:
    """Random W_Q and W_K, ``(D, D)`` each, with entries of variance 1/D."""
    rng = np.random.default_rng([seed, dimension])
    shape = (2, dimension, dimension)
    drawn = rng.standard_normal(shape) / np.sqrt(dimension)
    return drawn[0], drawn[1]


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
    w_q, w_k = projections(dimension, seed)
    size = dimension // heads

    def split(tokens: Sequence[str], weight: Array) -> Array:
        return (embed(tokens, dimension, seed) @ weight.T).reshape(-1, heads, size).swapaxes(0, 1)

    scores = split(queries, w_q) @ split(keys, w_k).swapaxes(1, 2) / np.sqrt(size)
    if causal:
        hidden = np.triu(np.ones(scores.shape[1:], dtype=bool), k=1)
        scores = np.where(hidden, -np.inf, scores)
    grown = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = grown / grown.sum(axis=-1, keepdims=True)
    return Toy(queries, keys, weights, 4 * (dimension * dimension + dimension))
