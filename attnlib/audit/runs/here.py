"""The engine of this process: one shard after the other, on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attnlib.audit.runs.manifest import Folder
from attnlib.audit.runs.shard import Worker

# Gets the number of images done; what it raises ends the run after the shard before.
Step = Callable[[int], None]


def run(worker: Worker, folder: Folder, shards: Iterable[int], step: Step) -> None:
    """Write the parts of some shards."""
    for shard in shards:
        folder.write(shard, worker.rows(folder.entries(shard), step))
