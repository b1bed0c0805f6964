"""Fixtures that several test files share."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from PIL import Image

import attnlib
from attnlib import settings
from attnlib.model import demo

# Tests keep nothing in the folder of whoever runs them; each process has a store of its own.
os.environ["ATTNLIB_HOME"] = _HOME = tempfile.mkdtemp(prefix="attnlib-home-")
# Most pages are tested on the photographs; those of what opens unset it.
os.environ["ATTNLIB_OPENING_DEMO"] = "demo"
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# How long an example takes says nothing on a machine that others use.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Test files run side by side: threads of one would only wait for those of the other.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vit() -> attnlib.Vit:
    """The demo model on the CPU."""
    return attnlib.load("demo", device="cpu")


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """The embedded demo images."""
    return [Image.open(io.BytesIO(image.data)).convert("RGB") for image in demo.images()]


@pytest.fixture
def noise() -> Image.Image:
    """A picture of random pixels, neither square nor of any model's size."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8))


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., settings.Settings]:
    """Changes settings for one test, as if the environment had said so at the start."""

    def change(**fields: Any) -> settings.Settings:
        changed = settings.current().model_copy(update=fields)
        monkeypatch.setattr(settings, "_current", changed)
        return changed

    return change
