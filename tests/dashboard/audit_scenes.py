"""The views of the page “Audits”, on an audit of the demo images that is made when it is wanted."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import attnlib
from tests.dashboard.library import Library, audited


@cache
def root() -> Path:
    """A folder of this process with the audit and a second one of the same."""
    place = Path(tempfile.mkdtemp(prefix="attnlib-scenes-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    audited(place, Library(attnlib.load("demo", device="cpu")), {"cat/broken.png": b"none"})
    shutil.copytree(place / "out", place / "other")
    return place


def first() -> str:
    """The path of the audit."""
    return str(root() / "out")


def other() -> str:
    """The path of the second."""
    return str(root() / "other")


AUDIT_SCENES: dict[str, tuple[str, dict[str, Any]]] = {
    "audits, of what is loaded": ("audits", {"audit_of": "The images loaded here"}),
    **{
        f"audits, {view}": ("audits", {"audit_folder": first, "audit_view": view, **more})
        for view, more in (
            ("Images", {}),
            ("Classes", {}),
            ("Map", {}),
            ("Groups that fail", {}),
            ("Nearest training images", {"audit_training_folder": other}),
            ("Compare with another audit", {"audit_other_folder": other}),
            ("Results from elsewhere", {}),
        )
    },
}
