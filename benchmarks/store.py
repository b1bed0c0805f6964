"""What the store loses when everything is killed, and how fast it opens.

python -m benchmarks.store [--cases 1000] [--writers 16] [--images 10000]

PostgreSQL 15 or newer must be installed; the benchmark starts a server of its own.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnlib import store
from attnlib.data.collection import Opened
from attnlib.data.content import Content
from attnlib.data.remarks import Remark
from attnlib.store import LOCAL, Case, StoredFile
from benchmarks.killing import Trial, picture
from tests.store import postgres


@contextmanager
def databases() -> Iterator[dict[str, tuple[str, Path, postgres.Server | None]]]:
    """An empty database of each kind with a folder, on a disk."""
    folder = Path(tempfile.mkdtemp(prefix="attnlib-store-", dir="/var/tmp"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    programs = postgres.programs()
    assert programs is not None, "apt-get install postgresql"
    server = postgres.Server(programs, folder)
    homes = {kind: folder / f"home-{kind}" for kind in ("SQLite", "PostgreSQL")}
    for home in homes.values():
        home.mkdir()
    try:
        yield {
            "SQLite": (f"sqlite:///{homes['SQLite']}/db.sqlite3", homes["SQLite"], None),
            "PostgreSQL": (server.database(), homes["PostgreSQL"], server),
        }
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def opening(database: str, home: Path, images: int) -> None:
    """A workspace of many images, each with a case, as one upload."""
    kept, id = store.connect(database, home=home), uuid.uuid4().hex
    kept.create(LOCAL, id, "Many")
    base = picture(0)
    # Bytes after a PNG's end change its hash and nothing else.
    items = tuple(
        (f"class {i % 10}/{i}.png", Content.of(base + i.to_bytes(4))) for i in range(images)
    )
    start = time.perf_counter()
    kept.add_files(LOCAL, id, [StoredFile(uuid.uuid4().hex, "many.zip", Opened(items, True))])
    added = time.perf_counter() - start
    start = time.perf_counter()
    for i in range(200):
        kept.say(LOCAL, id, items[i][0], Case(), Case(Remark(("fog",), f"note {i}")))
    said = (time.perf_counter() - start) / 200
    times = []
    for _ in range(5):
        start = time.perf_counter()
        contents = kept.open(LOCAL, id)
        times.append(time.perf_counter() - start)
    assert contents.head.images == images and len(contents.cases) == 200
    start = time.perf_counter()
    kept.duplicate(LOCAL, id, uuid.uuid4().hex, "copy")
    copied = time.perf_counter() - start
    start = time.perf_counter()
    kept.delete(LOCAL, id)
    deleted = time.perf_counter() - start
    print(
        f"  {images} images: added in {added:.1f} s, opened in {statistics.median(times):.2f} s "
        f"(slowest {max(times):.2f}), copied in {copied:.2f} s, the original deleted in "
        f"{deleted:.2f} s; one change of a case {said * 1000:.1f} ms"
    )
    kept.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--images", type=int, default=10_000)
    chosen = parser.parse_args()
    with databases() as kinds:
        for kind, (database, home, server) in kinds.items():
            print(kind)
            opening(database, home, chosen.images)
            for kills in ((0, 0, 0), (40, 12, 5 if server else 0)):
                trial = Trial(
                    server.database() if server else f"sqlite:///{home}/{sum(kills)}.sqlite3",
                    home / f"trial-{sum(kills)}",
                    chosen.writers,
                    chosen.cases,
                    kills,
                    server.crash if server else None,
                )
                trial.home.mkdir()
                seconds = trial.run()
                waits = sorted(trial.noted().values())
                faults, middle = trial.faults(), statistics.median(waits)
                print(
                    f"  {chosen.writers} writers, {len(waits)} cases in {seconds:.0f} s; killed: "
                    f"{dict(trial.done) or 'nobody'}; one case waited {middle:.2f} s, "
                    f"the slowest {waits[-1]:.1f} s; lost, twice or damaged: {len(faults)}"
                )
                for fault in faults[:10]:
                    print("   ", fault)


if __name__ == "__main__":
    main()
