"""Nearest training images among a million: exact by blocks, and by the index, with its recall.

    python -m benchmarks.audit_neighbours --rows 1000000 --dimensions 192

Rows lie in 1,000 clouds, as those of a trained model do; the index is measured where usearch is
installed.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from attnlib.audit import index, neighbours
from attnlib.audit.neighbours import nearest
from attnlib.audit.opened import Opened
from attnlib.audit.runs import Folder, Manifest, Wanted
from attnlib.audit.runs.schema import schema
from attnlib.data.sets import Entry

SHARD, CLOUDS, ASKED, COUNT = 8192, 1000, 24, 10


def write(root: Path, count: int, dimensions: int, seed: int) -> None:
    """An audit with embeddings and little else."""
    folder, rng = Folder(str(root)), np.random.default_rng(seed)
    middles = np.random.default_rng(99).standard_normal((CLOUDS, dimensions)).astype("f4")
    shards = -(-count // SHARD)
    entries = [Entry(f"{i:08d}.jpg", None, str(i)) for i in range(count)]
    folder.begin(Manifest({"source": str(root)}, {}, str(seed), (), {}, count, shards, {}),
                 entries, SHARD)  # fmt: skip
    kinds = schema(Wanted("x"))
    for shard in range(shards):
        names = [one.name for one in entries[shard * SHARD : (shard + 1) * SHARD]]
        label = rng.integers(0, CLOUDS, len(names))
        cloud = middles[label] + rng.standard_normal((len(names), dimensions), dtype="f4")
        given = {
            "name": names,
            "label": [f"class {one}" for one in label],
            "label_index": label.astype("i4"),
            "predicted_index": label.astype("i4"),
            "embedding": list(cloud.astype("f2")),
        }
        nothing = [None] * len(names)
        columns = [pa.array(given.get(kind.name, nothing), kind.type) for kind in kinds]
        folder.write(shard, pa.Table.from_arrays(columns, schema=kinds))


def main() -> None:
    """Write, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=192)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "train", given.rows, given.dimensions, 0)
        write(root / "val", 2000, given.dimensions, 1)
        audit, training = Opened(str(root / "val")), Opened(str(root / "train"))
        names = [f"{i:08d}.jpg" for i in range(ASKED)]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        exact = nearest(audit, training, names, COUNT)
        seconds = time.perf_counter() - began
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"exact: {given.rows:,} x {given.dimensions}, {ASKED} + {neighbours.USUAL} images in "
              f"{seconds:.1f} s; {more:.0f} MiB more at most")  # fmt: skip
        if problem := index.missing():
            print(problem)
            return
        neighbours.EXACT = 0
        for what in ("built and asked", "asked again"):
            began = time.perf_counter()
            quick = nearest(audit, training, names, COUNT)
            print(f"index: {what} in {time.perf_counter() - began:.1f} s")
        hits = [
            len({n.name for n in exact.of[name]} & {n.name for n in quick.of[name]})
            for name in names
        ]
        print(f"recall@{COUNT}: {sum(hits) / (COUNT * len(names)):.3f}")


if __name__ == "__main__":
    main()
