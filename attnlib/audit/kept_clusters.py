"""The clusters of an audit, kept beside it: they are found once, and read from then on.

    clusters-4f….parquet  each image's cluster by the hash of its name; what is in each

Only beside an audit of this machine. Where that cannot be written, they are found anew.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from attnlib.audit import clusters
from attnlib.audit.clusters import PLACED, Cluster
from attnlib.audit.reading import protocols
from attnlib.audit.runs.manifest import Folder, Manifest
from attnlib.audit.where import FIRST, JUDGED
from attnlib.errors import AttnlibError
from attnlib.methods.base import Progress

if TYPE_CHECKING:
    from attnlib.audit.opened import Opened

_INSIDE = b"attnlib.clusters"


def of(audit: Opened, progress: Progress) -> list[Cluster]:
    """The clusters of an audit's labelled images, which it then has a table of; none of too few.

    Raises:
        AttnlibError: a part cannot be read.
    """
    about = audit.folder, audit.manifest, audit.done
    kept = read(*about)
    if kept is not None:
        audit.place(kept[0])
        return kept[1]
    condition = f"{JUDGED} and {FIRST}"
    sample = audit.table(
        f"select embedding from rows where {condition} and embedding is not null and "
        f"{audit.share(condition, clusters.SAMPLE)}"
    )
    middles = clusters.fit(clusters.units(clusters.vectors(sample["embedding"])))
    images = audit.manifest.images
    placed, examples = clusters.placed(
        middles, audit.blocks(), lambda rows: progress(min(rows, images), images)
    )
    found = clusters.listed(audit.place(placed), examples)
    keep(*about, placed, found)
    return found


def keep(
    folder: Folder, manifest: Manifest, done: int, placed: pa.Table, inside: list[Cluster]
) -> None:
    """Keep the clusters of so many parts.

    Args:
        placed: see :func:`attnlib.audit.clusters.placed`.
    """
    if not _local(folder):
        return
    said = json.dumps([astuple(one) for one in inside])
    sink = pa.BufferOutputStream()
    table = placed.cast(PLACED).replace_schema_metadata({_INSIDE: said.encode()})
    pq.write_table(table, sink, compression="zstd")
    # Where a folder may only be read, they are found anew.
    with suppress(AttnlibError):
        folder.put(_name(manifest, done), sink.getvalue().to_pybytes())


def read(folder: Folder, manifest: Manifest, done: int) -> tuple[pa.Table, list[Cluster]] | None:
    """What was kept of so many parts; None for nothing, or nothing that can be read."""
    if not _local(folder):
        return None
    try:
        data = folder.get(_name(manifest, done))
        if data is None:
            return None
        table = pq.read_table(pa.BufferReader(data))
        said = json.loads(table.schema.metadata[_INSIDE])
        inside = [
            Cluster(int(number), tuple(str(one) for one in classes), str(example))
            for number, classes, example in said
        ]
        return table.select(PLACED.names).cast(PLACED), inside
    except (AttnlibError, pa.ArrowException, KeyError, TypeError, ValueError, OSError):
        return None


def _local(folder: Folder) -> bool:
    try:
        return "file" in protocols(fsspec.core.url_to_fs(folder.url)[0])
    except (ImportError, ValueError):
        return False


def _name(manifest: Manifest, done: int) -> str:
    """Another one for whatever they would be others of."""
    how = (clusters.EACH, clusters.MOST, clusters.SAMPLE, clusters.STARTS, clusters.ROUNDS)
    of = hashlib.sha256(repr((manifest.digest, done, how)).encode()).hexdigest()
    return f"clusters-{of[:16]}.parquet"
