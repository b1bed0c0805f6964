"""A million rows through the writer, and each question of the page on them, against pandas.

    python -m benchmarks.audit_rows --rows 1000000

Pandas reads the columns that the question needs from the same parts and answers in memory. Ratios
are of medians of runs that take turns. What the page searches beside itself runs in a process of
its own each: seconds, seconds of the processor, and memory at its peak.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from attnlib.audit.density import density
from attnlib.audit.handed import here
from attnlib.audit.joined import join
from attnlib.audit.neighbours import nearest
from attnlib.audit.opened import Opened, Where
from attnlib.audit.runs import Folder, Manifest, Wanted
from attnlib.audit.runs.schema import schema
from attnlib.audit.slices import slices
from attnlib.data import results
from attnlib.data.sets import Entry
from attnlib.data.traits import Traits

CLASSES, SHARD = 1000, 8192
NAMES = np.array([f"class {i}" for i in range(CLASSES)])


def write(root: Path, count: int, width: int) -> None:
    """An audit with synthetic rows, with embeddings of so many numbers."""
    folder, rng = Folder(str(root)), np.random.default_rng(0)
    shards = -(-count // SHARD)
    entries = [Entry(f"{i // SHARD:05d}/{i:08d}.jpg", None, str(i)) for i in range(count)]
    classes = tuple(NAMES.tolist())
    folder.begin(Manifest({"source": str(root)}, {}, "", classes, {}, count, shards, {}),
                 entries, SHARD)  # fmt: skip
    kinds = schema(Wanted("x"))
    for shard in range(shards):
        names = [one.name for one in entries[shard * SHARD : (shard + 1) * SHARD]]
        n = len(names)
        label = rng.integers(0, CLASSES, n)
        said = np.where(rng.random(n) < 0.8, label, rng.integers(0, CLASSES, n))
        share = rng.random(n).astype("f4")
        rows = {
            "name": names,
            "label": NAMES[label].tolist(),
            "label_index": label.astype("i4"),
            "predicted": NAMES[said].tolist(),
            "predicted_index": said.astype("i4"),
            **dict.fromkeys(("confidence", "probability_true", "margin", "self_check"), share),
            "loss": -np.log(share + 1e-6),
            "error": [None] * n,
            "embedding": list(rng.standard_normal((n, width)).astype("f2")),
            "top_index": list(rng.integers(0, CLASSES, (n, 5)).astype("i4")),
            "top_probability": list(rng.random((n, 5)).astype("f4")),
            **{c: list(rng.random((n, 12)).astype("f4")) for c in ("entropy", "distance")},
            **{side: rng.integers(200, 600, n).astype("i4") for side in ("width", "height")},
            "notes": [""] * n,
            **{field.name: rng.random(n).astype("f4") for field in fields(Traits)},
        }
        columns = [pa.array(rows[kind.name], kind.type) for kind in kinds]
        folder.write(shard, pa.Table.from_arrays(columns, schema=kinds))


def questions(root: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Ours and pandas', by what is asked."""
    opened, place = Opened(str(root)), root / "parts"

    def frame(*columns: str) -> pd.DataFrame:
        found: pd.DataFrame = pq.read_table(place, columns=list(columns)).to_pandas()
        return found

    def wrong(*columns: str) -> pd.DataFrame:
        found = frame("label_index", "predicted_index", *columns)
        return found[found["label_index"] != found["predicted_index"]]

    top = ("name", "label", "predicted", "confidence")
    return {
        "totals": (opened.totals, lambda: len(wrong("error"))),
        "first page": (
            lambda: opened.page(Where(), "confidence", descending=True, first=0, count=24),
            lambda: wrong(*top).nlargest(24, "confidence"),
        ),
        "page 4,000": (
            lambda: opened.page(Where(), "loss", descending=True, first=96_000, count=24),
            lambda: wrong(*top, "loss").sort_values("loss")[-96_024:-96_000],
        ),
        "one class, part of a name": (
            lambda: opened.count(Where("all", "class 7", text="0001")),
            lambda: frame("name", "label").query("label == 'class 7'")["name"]
            .str.contains("0001").sum(),
        ),
        "confusion": (
            opened.confusion,
            lambda: wrong("label", "predicted").value_counts(["label", "predicted"])[:200],
        ),
        "classes": (
            opened.classes,
            lambda: frame("label", "label_index", "predicted_index").groupby("label").size(),
        ),
        "groups that fail": (
            opened.tallies,
            lambda: frame("name", "label", "label_index", "predicted_index", "width", "height",
                          "entropy", "distance")["entropy"].map(np.mean).quantile([0.1, 0.9]),
        ),
    }  # fmt: skip


def groups(opened: Opened) -> object:
    """As the page looks for them."""
    return slices(*opened.tallies(clustered=True))


def plane(opened: Opened) -> object:
    """The map of a sample."""
    return density(*opened.sample(20_000))


def near(opened: Opened) -> object:
    """The nearest training images of a page of mistakes, in the same set."""
    names = opened.page(Where(), "confidence", descending=True, first=0, count=6)["name"]
    return nearest(opened, opened, list(names))


def elsewhere(opened: Opened) -> object:
    """A million rows of another evaluation: taken, and set beside the audit."""
    table = opened.table("select name, label, predicted, confidence from rows").to_pandas()
    raw = results.read(results.given([("other.csv", table.to_csv(index=False).encode())]))
    classes = opened.manifest.class_names
    return join(here(opened, False), results.take(raw, results.recognise(raw, classes), classes))


SEARCHES: dict[str, Callable[[Opened], object]] = {
    "groups that fail": groups,
    "groups that fail, clusters kept": groups,
    "map": plane,
    "nearest training images": near,
    "results from elsewhere": elsewhere,
}


def searched(root: str, name: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, MiB at the peak above what the process began with."""
    before = _highest()
    start, used = time.perf_counter(), time.process_time()
    SEARCHES[name](Opened(root))
    return time.perf_counter() - start, time.process_time() - used, _highest() - before


def _highest() -> float:
    """MiB that this process ever had; what `resource` says begins with its parent's."""
    said = Path("/proc/self/status").read_text()
    return int(said.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Write, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        write(Path(folder), given.rows, given.dimensions)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet")) / 2**20
        print(
            f"{given.rows:,} rows, {size:.0f} MiB, written in {time.perf_counter() - began:.0f} s"
        )
        asked = questions(Path(folder))
        seconds: dict[str, tuple[list[float], list[float]]] = {key: ([], []) for key in asked}
        print(f"memory before the questions: {_peak(before):.0f} MiB more at most")
        for _ in range(3):
            for key, both in asked.items():
                for times, ask in zip(seconds[key], both, strict=True):
                    start = time.perf_counter()
                    ask()
                    times.append(time.perf_counter() - start)
        for key, (ours, theirs) in seconds.items():
            own, other = statistics.median(ours), statistics.median(theirs)
            print(f"{key:28s} {own:6.2f} s, pandas {other:6.2f} s, ratio {own / other:.2f}")
        for name in SEARCHES:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                took, used, peak = pool.apply(searched, (folder, name))
            print(f"{name:32s} {took:6.2f} s, of the processor {used:6.2f} s, {peak:6.0f} MiB")


def _peak(before: int) -> float:
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
