"""The number of forward passes at a time, as the environment has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
from attnlib.capture import passes
with passes.admitted():
    print(passes._admission().free)
"""


def imported(setting: str | None) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "ATTNLIB_CONCURRENT_PASSES"}
    if setting is not None:
        env["ATTNLIB_CONCURRENT_PASSES"] = setting
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("setting", "left"), [(None, 0), ("1", 0), (" 3 ", 2)])
def test_so_many_passes_at_a_time(setting: str | None, left: int) -> None:
    assert imported(setting).stdout.strip() == str(left)


@pytest.mark.parametrize("setting", ["0", "-1", "two", "", "1.5"])
def test_a_number_with_which_every_pass_would_wait_is_refused(setting: str) -> None:
    run = imported(setting)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert "ATTNLIB_CONCURRENT_PASSES" in last
    assert "whole number of at least 1" in last
    assert repr(setting) in last
