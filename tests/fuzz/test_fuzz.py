"""A short run of the fuzzer, with another seed each time, which it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import mutations, run, seeds
from tests.fuzz.targets import Target

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="counts memory by /proc")
def test_damaged_files_are_refused_in_words() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--minutes", "0.3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def _calls(data: bytes) -> None:
    if b"\xff" in data:
        raise IndexError(data)


def test_the_fuzzer_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_limit_address_space", lambda: None)
    planted = {"planted": Target(lambda: (b"\x01" * 40,), _calls)}
    monkeypatch.setattr(run, "TARGETS", planted)
    found = run.run(0.5, seed=1)
    assert [name for name in found.finds if "IndexError" in name]


@pytest.mark.parametrize(
    "files", [seeds.images, seeds.archives, seeds.checkpoints, lambda: seeds.NAMES]
)
def test_a_seed_says_what_is_tried(files: object) -> None:
    given = files()  # type: ignore[operator]
    one = [mutations.mutated(given[0], given, Random(3)) for _ in range(2)]
    assert one[0] == one[1] != given[0]
