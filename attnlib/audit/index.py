"""An index of an audit's embeddings, for sets that are too large to look at every row each time.

It is built once and kept beside the audit, where that is a folder of this machine. The library is
`usearch` (HNSW graphs; Y. Malkov, D. Yashunin, TPAMI 42, 2020): neighbours are found, not proved.
"""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from attnlib.audit.clusters import Vectors, units, vectors
from attnlib.errors import AttnlibError, brief
from attnlib.methods.base import Progress

if TYPE_CHECKING:
    from attnlib.audit.opened import Opened

# Links of each row and how many rows are tried: 0.99 of the ten nearest, measured; see
# benchmarks/README.md.
LINKS, TRIED_BUILDING, TRIED_ASKING = 16, 128, 128


def missing() -> str:
    """What to install, in a sentence; "" where nothing is missing."""
    if find_spec("usearch") is not None:
        return ""
    return (
        "More than a million training images are searched with an index, whose library usearch is "
        "not installed where this runs. Install it with “python -m pip install usearch”, or audit "
        "a sample of the training set (“attnlib audit … --sample 1000000”)."
    )


def search(
    training: Opened, queries: Vectors, count: int, progress: Progress
) -> tuple[Vectors, NDArray[np.int64], dict[int, tuple[str, str | None]]]:
    """The nearest rows of an audit, as the index finds them; it is built if there is none.

    Args:
        queries: ``(n, D)`` of length 1.

    Returns:
        Cosines ``(n, count)``, places ``(n, count)`` (-1 for none), names and labels by place.

    Raises:
        AttnlibError: the library is not installed, or the index cannot be written.
    """
    if problem := missing():
        raise AttnlibError(problem)
    place = _place(training)
    if not (place / "rows.parquet").exists():
        build(training, place, progress)
    found = empty(queries.shape[1])
    found.view(str(place / "graph"))
    matches = found.search(queries, count)
    keys = np.asarray(matches.keys).reshape(len(queries), -1).astype(np.int64)
    cosines = 1 - np.asarray(matches.distances, np.float32).reshape(len(queries), -1)
    rows = pq.read_table(place / "rows.parquet", memory_map=True)
    wanted = sorted({int(key) for key in keys.ravel()})
    taken = rows.take(pa.array(wanted))
    known = dict(
        zip(wanted, zip(taken["name"].to_pylist(), taken["label"].to_pylist(), strict=True),
            strict=True)
    )  # fmt: skip
    return np.asarray(cosines, np.float32), keys, known


def build(training: Opened, place: Path, progress: Progress) -> None:
    """Write the index of an audit's embeddings, and the names and labels of its rows.

    Raises:
        AttnlibError: it cannot be written, or the audit keeps no embeddings.
    """
    graph, start, total = None, 0, training.totals().images
    names = []
    for block in training.blocks("error is null"):
        rows = units(vectors(block["embedding"]))
        graph = empty(rows.shape[1]) if graph is None else graph
        graph.add(np.arange(start, start + len(rows)), rows)
        names.append(block.select(["name", "label"]))
        start += len(rows)
        progress(start, total)
    if graph is None:
        raise AttnlibError("The audit of the training set keeps no embeddings.")
    try:
        place.mkdir(parents=True, exist_ok=True)
        graph.save(str(place / "graph"))
        # Written last: where it is there, the graph is whole.
        pq.write_table(pa.concat_tables(names), place / "rows.parquet.tmp")
        os.replace(place / "rows.parquet.tmp", place / "rows.parquet")
    except OSError as error:
        raise AttnlibError(f"The index cannot be written to {place}: {brief(error)}.") from error


def empty(dimensions: int) -> Any:
    """An index without rows."""
    from usearch.index import Index

    return Index(
        ndim=dimensions,
        metric="cos",
        dtype="f16",
        connectivity=LINKS,
        expansion_add=TRIED_BUILDING,
        expansion_search=TRIED_ASKING,
    )


def _place(training: Opened) -> Path:
    """The folder of the index for the parts that are there now."""
    system, path = fsspec.core.url_to_fs(training.folder.url)
    known = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
    name = f"index-{training.manifest.listing[:16]}-{training.done}"
    return Path(path) / name if "file" in known else Path(tempfile.gettempdir()) / "attnlib" / name
