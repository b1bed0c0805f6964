"""Audits whose driver is killed at random moments and started again: are the parts exact?

    python -m benchmarks.audit_faults --kills 20

Each round begins a run in a process of its own, kills it with all its children after a random
time, and begins it again, until it ends by itself. With Ray, workers are killed too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from attnlib.audit.runs import Folder


def write_images(root: Path, count: int) -> list[str]:
    """Images in folders of two classes, and one file that is none; their names in order."""
    rng = np.random.default_rng(0)
    for place in range(count):
        path = root / ("cat", "dog")[place % 2] / f"{place:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    (root / "cat" / "9999.png").write_bytes(b"no image")
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png"))


class Trial:
    """One audit of some images, to be killed.

    Attributes:
        done: how often the driver was killed, and how often a worker.
    """

    def __init__(self, root: Path, images: int, engine: Sequence[str], seed: int = 0) -> None:
        self.names = write_images(root / "set", images)
        self.out = root / "out"
        self._command = [
            sys.executable, "-m", "attnlib", "audit", str(root / "set"), "--out", str(self.out),
            "--shard-size", "4", "--batch-size", "4", "--device", "cpu", *engine,
        ]  # fmt: skip
        self._chance = random.Random(seed)
        self.done = {"driver": 0, "worker": 0}

    def run(self, kills: int, workers: int = 0, patience: float = 600) -> None:
        """Until the audit has ended, and so many drivers and workers were killed before."""
        left = {"driver": kills, "worker": workers}
        until = time.monotonic() + patience
        while True:
            victims = [name for name, count in left.items() for _ in range(count)]
            goal = self._next_goal()
            with self._started() as process:
                while process.poll() is None:
                    if time.monotonic() > until:
                        _kill_all(process.pid)
                        raise TimeoutError(f"{len(self.parts())} parts after {patience} s")
                    if victims and len(self.parts()) >= goal:
                        victim = self._chance.choice(victims)
                        # At any moment of the next shard.
                        time.sleep(self._chance.random() * 0.05)
                        if victim == "driver":
                            _kill_all(process.pid)
                        elif not _kill_one(process.pid, self._chance):
                            time.sleep(0.01)
                            continue
                        left[victim] -= 1
                        self.done[victim] += 1
                        victims.remove(victim)
                        goal = self._next_goal()
                    time.sleep(0.005)
            if process.returncode in (0, 3):
                return

    def parts(self) -> set[int]:
        """The shards that are done."""
        return Folder(str(self.out)).done()

    def faults(self, expected: pa.Table) -> list[str]:
        """What differs from an audit that nobody disturbed."""
        folder = Folder(str(self.out))
        tables = [folder.part(shard) for shard in sorted(folder.done())]
        found = [] if tables else ["there is no part"]
        table = pa.concat_tables(tables)
        if table["name"].to_pylist() != self.names:
            found.append("the names are others, or not once each and in order")
        if table.drop_columns(["embedding"]) != expected.drop_columns(["embedding"]):
            found.append("rows differ")
        if any(p.name.endswith(".tmp") for p in self.out.rglob("*")):
            found.append("unfinished files are left")
        return found

    def _next_goal(self) -> int:
        shards = -(-len(self.names) // 4)
        return min(len(self.parts()) + self._chance.randint(0, 1), shards - 1)

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            self._command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _kill_all(pid: int) -> None:
    for one in [*_below(pid), pid]:
        _kill(one)


def _kill_one(pid: int, chance: random.Random) -> bool:
    """Kill a worker of Ray; whether there was one."""
    workers = [one for one in _below(pid) if "ray::Actor" in _title(one)]
    if workers:
        _kill(chance.choice(workers))
    return bool(workers)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _below(pid: int) -> Iterator[int]:
    """All processes that a process started, and those that these started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield from _below(child)
        yield child


def undisturbed(root: Path, images: int) -> pa.Table:
    """The rows of the same audit without a kill."""
    trial = Trial(root, images, [])
    trial.run(0)
    folder = Folder(str(trial.out))
    return pa.concat_tables(folder.part(shard) for shard in sorted(folder.done()))


def main() -> None:
    """Both engines, with so many kills each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=160)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        expected = undisturbed(root / "plain", given.images)
        for name, engine, kills, workers in (
            ("here", [], given.kills, 0),
            ("Ray", ["--engine", "ray", "--workers", "2"], given.kills // 4, given.kills),
        ):
            began = time.monotonic()
            trial = Trial(root / name, given.images, engine)
            trial.run(kills, workers, patience=1800)
            print(
                f"{name}: {trial.done} killed in {time.monotonic() - began:.0f} s;"
                f" faults: {trial.faults(expected) or 'none'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
