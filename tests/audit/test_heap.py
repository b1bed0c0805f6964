"""What a process frees is not taken from the system again, page by page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attnlib.audit.runs import heap

FREED = """
import importlib.util, resource, sys
spec = importlib.util.spec_from_file_location("heap", sys.argv[1])
heap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(heap)
if sys.argv[2] == "keep":
    assert heap.keep()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def passed(): bytearray(b"x") * (40 << 20)
passed()
before = faults()
for _ in range(5): passed()
print(faults() - before)
"""


def faults(word: str) -> int:
    path = str(Path(heap.__file__))
    run = [sys.executable, "-c", FREED, path, word]
    return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_pages_are_kept() -> None:
    taken, kept = faults("leave"), faults("keep")
    if taken < 1000:
        pytest.skip("this allocator keeps them anyway")
    # 40 MiB five times: 51,200 small pages, or 100 large ones.
    assert kept < taken / 100
