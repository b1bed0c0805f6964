"""What the documents show is run: the notebook, the example of a method, the pictures."""

from __future__ import annotations

import io
import re
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import attnlib
from attnlib.methods import METHODS
from attnlib.pictures import markup
from docs import make_gallery, make_house

ROOT = Path(__file__).parents[2]


def test_the_notebook_runs_and_shows_three_maps_and_their_test() -> None:
    notebook = nbformat.read(ROOT / "docs/notebooks/debug_a_mistake.ipynb", 4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    resources = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    pages = [out["data"]["text/html"] for out in outputs if "text/html" in out.get("data", {})]
    assert sum("seen from the CLS token" in page for page in pages) == 3
    assert any("beats random orders" in page for page in pages)


def test_a_method_is_one_file_as_the_guide_says(
    vit: attnlib.Vit, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    code = next(c for c in re.findall(r"```python\n(.*?)```", guide, re.S) if "PEAK" in c)
    module = types.ModuleType("attnlib.methods.peak")
    exec(code, module.__dict__)
    monkeypatch.setitem(METHODS, "peak", module.__dict__["PEAK"])
    heat = vit.attribute(pictures[0], "peak")
    record = vit.inspect(pictures[0])
    np.testing.assert_allclose(
        heat.values.ravel(), record.cls_rows[-1].max(axis=0), rtol=1e-5, atol=1e-7
    )


def test_the_picture_of_the_house_is_that_of_the_imports() -> None:
    assert make_house.PLACE.read_text() == make_house.draw()
    assert {p.name for p in ROOT.glob("attnlib/*/") if (p / "__init__.py").is_file()} == set(
        make_house.PURPOSE
    )


def test_the_gallery_shows_every_method() -> None:
    kept = Image.open(make_gallery.PLACE)
    drawn = make_gallery.draw()
    assert kept.size == drawn.size
    # Rounding differs between processors by a palette entry here and there.
    apart = np.abs(np.asarray(kept.convert("RGB"), int) - np.asarray(drawn, int)).mean()
    assert apart < 1
    assert "docs/gallery.png" in (ROOT / "README.md").read_text()


def test_the_lock_holds_every_version_with_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)(?:\[\S*\])?==([^\s;]+)", lock, re.M))
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, wanted = line.split("==")
            assert locked[name.replace("_", "-")] == wanted, line
    entries = re.split(r"\n(?=\w)", re.sub(r"(?m)^#.*\n", "", lock).strip())
    assert len(entries) == len(locked)
    for entry in entries:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_a_map_shows_itself(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    heat = vit.attribute(pictures[3], "relevance")
    page = heat._repr_html_()
    assert "CLS token" in page
    assert markup.words(heat.unit) in page
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page
    bare = vit.explain(vit.subject(pictures[3]), "relevance")
    assert bare.crop is None
    drawn = bare.overlay(vit.crop(pictures[3]), side=64)
    assert drawn.tobytes() == heat.overlay(side=64).tobytes()
    with pytest.raises(attnlib.AttnlibError, match="crop"):
        bare.overlay()
    assert bare._repr_html_()
    out = io.BytesIO()
    heat.overlay().save(out, "PNG")
