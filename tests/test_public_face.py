"""The names that the README promises, and the house that they live in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import attnlib

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MODULES = ("ablation", "complexity", "faithfulness", "heads", "localisation", "randomisation")
NAMES = sorted({*re.findall(r"attnlib\.(\w+)", README), *MODULES} - {"py"})


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_readme_is_there(name: str) -> None:
    assert getattr(attnlib, name) is not None


def test_the_readme_names_the_whole_face() -> None:
    assert {"load", "methods", "Vit", *MODULES, "walkthrough"} <= {*NAMES, *attnlib.__all__}


@pytest.mark.parametrize("name", [*MODULES, "walkthrough"])
def test_a_wing_is_imported_when_it_is_asked_for(name: str) -> None:
    assert isinstance(getattr(attnlib, name), ModuleType)
    namespace: dict[str, object] = {}
    exec(f"from attnlib import {name}", namespace)
    assert namespace[name] is getattr(attnlib, name)


def test_names_that_users_already_import() -> None:
    from attnlib.capture import Capture
    from attnlib.model import load

    assert load is attnlib.load
    assert isinstance(Capture, type)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        attnlib.nonsense  # noqa: B018


def test_the_library_is_imported_without_streamlit() -> None:
    code = "import sys, attnlib, attnlib.audit; print('streamlit' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_no_file_is_long_without_saying_why() -> None:
    long = {}
    for path in [*ROOT.glob("attnlib/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"]:
        text = path.read_text()
        head = text.split('"""')[1] if text.startswith('"""') else ""
        if text.count("\n") > 300 and "300 lines" not in head:
            long[str(path.relative_to(ROOT))] = text.count("\n")
    assert not long
