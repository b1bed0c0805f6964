"""The number of forward passes at a time, as the environment has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnlib import settings
from attnlib.capture import passes
from attnlib.errors import SettingsError

ROOT = Path(__file__).parents[2]
CODE = """
from attnlib.capture import passes
with passes.admitted():
    print(passes._admission().free)
"""


def test_so_many_passes_at_a_time_in_a_process_of_its_own() -> None:
    env = {**os.environ, "ATTNLIB_CONCURRENT_PASSES": " 3 "}
    command = [sys.executable, "-c", CODE]
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "2"


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings and places as in a process that has just begun."""
    monkeypatch.setattr(settings, "_current", None)
    monkeypatch.setattr(passes, "_admission", passes._admission.__wrapped__)
    return monkeypatch


@pytest.mark.parametrize(("setting", "places"), [(None, 1), ("1", 1), (" 3 ", 3)])
def test_so_many_places(afresh: pytest.MonkeyPatch, setting: str | None, places: int) -> None:
    afresh.delenv("ATTNLIB_CONCURRENT_PASSES", raising=False)
    if setting is not None:
        afresh.setenv("ATTNLIB_CONCURRENT_PASSES", setting)
    assert passes._admission().free == places


@pytest.mark.parametrize("setting", ["0", "-1", "two", "", "1.5"])
def test_a_number_with_which_every_pass_would_wait_is_refused(
    afresh: pytest.MonkeyPatch, setting: str
) -> None:
    afresh.setenv("ATTNLIB_CONCURRENT_PASSES", setting)
    with pytest.raises(SettingsError) as refused, passes.admitted():
        pass
    said = str(refused.value)
    assert "ATTNLIB_CONCURRENT_PASSES" in said
    assert "whole number of at least 1" in said
    assert repr(setting) in said
