"""The training images that a model finds most like some others: exact, and by an index.

Likeness is the cosine of embeddings, as an audit keeps them (float16). Neighbours say what a model
may have learned a mistake from. They must never rank labels by how doubtful they are: they share
the model's errors (average precision 0.15 to 0.24 where the loss has 0.47 to 0.90).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from attnlib.audit import index
from attnlib.audit.clusters import Vectors, units, vectors
from attnlib.audit.opened import Opened
from attnlib.errors import AttnlibError
from attnlib.methods.base import Progress

# Rows up to which each question looks at all of them; beyond, an index is built once.
EXACT = 1_000_000
# Right images that say how near a neighbour usually is, and the share of them that is far.
USUAL, FAR = 200, 0.05
# What embeddings depend on; images are prepared the same way too.
SAME = ("weights_sha256", "preprocessing")


Known = dict[int, tuple[str, str | None]]
"""Name and label of rows by their places."""


@dataclass(frozen=True)
class Neighbour:
    """A training image.

    Attributes:
        similarity: cosine of the embeddings, -1 to 1.
    """

    name: str
    label: str | None
    similarity: float


@dataclass(frozen=True)
class Usual:
    """How near the nearest training image of right images is.

    Attributes:
        similarities: ``(n,)``, ascending.
    """

    similarities: NDArray[np.float32]

    @property
    def least(self) -> float:
        """What 95 % of right images reach; NaN where none was right."""
        known = self.similarities
        return float(np.quantile(known, FAR)) if len(known) else float("nan")

    def near(self, similarity: float) -> bool:
        """Whether the nearest training image is as near as those of right images."""
        return not similarity < self.least

    def share(self, similarity: float) -> float:
        """The share of right images that have a nearest training image less near, 0 to 1."""
        known = self.similarities
        return (
            float(np.searchsorted(known, similarity) / len(known)) if len(known) else float("nan")
        )


@dataclass(frozen=True)
class Found:
    """What was asked.

    Attributes:
        of: by the name of an image, its neighbours, the nearest first.
        usual: see :class:`Usual`.
        exact: whether all rows were looked at.
    """

    of: dict[str, list[Neighbour]]
    usual: Usual
    exact: bool


def nearest(
    audit: Opened,
    training: Opened,
    names: Sequence[str],
    count: int = 5,
    progress: Progress = lambda done, total: None,
) -> Found:
    """The nearest training images of some images of an audit, and how near they usually are.

    Args:
        training: an audit of the training set by the same model.

    Raises:
        AttnlibError: the audits are of different models, or keep no embeddings; or there are more
            rows than are looked at one by one, and no library for an index is installed.
    """
    _together(audit, training)
    asked = _embedded(audit, "name in (select unnest(?::varchar[]))", [list(names)])
    condition = "label_index = predicted_index"
    # Twice as many are read as are taken: to sort them all, all would be held.
    among = f"{condition} and {audit.share(condition, 2 * USUAL)}"
    right = _embedded(audit, f"{among} order by hash(name) limit ?", [USUAL])
    if not len(asked) or not training.totals().images:
        return Found({}, Usual(np.zeros(0, np.float32)), True)
    queries = units(vectors(pa.concat_tables([asked, right])["embedding"]))
    # Of one set each image would be its own neighbour.
    own = audit.folder.url == training.folder.url
    exact = training.totals().images <= EXACT
    look = _exact if exact else index.search
    similarities, places, known = look(training, queries, count + own, progress)
    found: dict[str, list[Neighbour]] = {}
    nearest_right = []
    for row, name in enumerate([*asked["name"].to_pylist(), *right["name"].to_pylist()]):
        near = [
            Neighbour(*known[int(place)], float(similarity))
            for place, similarity in zip(places[row], similarities[row], strict=True)
            if place >= 0 and not (own and known[int(place)][0] == name)
        ][:count]
        if row < len(asked):
            found[name] = near
        elif near:
            nearest_right.append(near[0].similarity)
    return Found(found, Usual(np.sort(np.asarray(nearest_right, np.float32))), exact)


class Best:
    """The largest cosines of some queries with all rows that were seen, a block at a time.

    Args:
        queries: ``(n, D)`` of length 1.

    Attributes:
        similarities: ``(n, count)``, the largest first.
        places: ``(n, count)`` of the rows, counted over all blocks; -1 where there were fewer.
    """

    def __init__(self, queries: Vectors, count: int) -> None:
        self._queries, self._count, self._seen = queries, count, 0
        self.similarities = np.full((len(queries), count), -np.inf, np.float32)
        self.places = np.full((len(queries), count), -1, np.int64)

    def add(self, block: Vectors) -> NDArray[np.int64]:
        """See the rows ``(m, D)`` of length 1; which of them are among the best now.

        Raises:
            AttnlibError: they have another number of dimensions.
        """
        if block.shape[1] != self._queries.shape[1]:
            raise AttnlibError(
                f"Embeddings of {self._queries.shape[1]} and of {block.shape[1]} numbers cannot "
                "be compared."
            )
        found = self._queries @ block.T
        if len(block) > self._count:
            part = np.argpartition(-found, self._count - 1, axis=1)[:, : self._count]
            found = np.take_along_axis(found, part, axis=1)
        else:
            part = np.broadcast_to(np.arange(len(block)), found.shape)
        both = np.concatenate([self.similarities, found], axis=1)
        rows = np.concatenate([self.places, part + self._seen], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, : self._count]
        self.similarities = np.take_along_axis(both, order, axis=1)
        self.places = np.take_along_axis(rows, order, axis=1)
        new = np.unique(self.places[self.places >= self._seen]) - self._seen
        self._seen += len(block)
        return np.asarray(new, np.int64)


def _exact(
    training: Opened, queries: Vectors, count: int, progress: Progress
) -> tuple[Vectors, NDArray[np.int64], Known]:
    best, known, start = Best(queries, count), Known(), 0
    total = training.totals().images
    for block in training.blocks("error is null"):
        for row in best.add(units(vectors(block["embedding"]))).tolist():
            known[start + row] = block["name"][row].as_py(), block["label"][row].as_py()
        start += len(block)
        progress(start, total)
    return best.similarities, best.places, known


def _together(audit: Opened, training: Opened) -> None:
    one, other = audit.manifest.model, training.manifest.model
    changed = [name.replace("_", " ") for name in SAME if one.get(name) != other.get(name)]
    if changed:
        raise AttnlibError(
            f"The two audits are not of the same model: {' and '.join(changed)} differ, so their "
            "embeddings cannot be compared. Audit the training set with this model: “attnlib "
            "audit TRAINING --model … --out …”."
        )


def _embedded(audit: Opened, condition: str, values: list[object]) -> pa.Table:
    return audit.table(
        f"select name, embedding from rows where embedding is not null and {condition}", values
    )
