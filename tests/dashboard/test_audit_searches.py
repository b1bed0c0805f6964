"""Long searches of an audit: beside the page, and once for all visitors."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attnlib.audit import kept_clusters
from attnlib.audit.opened import Opened, Where
from attnlib.audit.slices import slices
from attnlib.dashboard.audits import density, groups
from tests.audit.synthetic import drawn, written
from tests.dashboard.driving import finish, path, settle, text, visitor
from tests.dashboard.screen import as_read


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit in which what has much contrast is wrong, and clusters are many."""
    rows, rng = drawn(12, 2400), np.random.default_rng(12)
    for row in rows:
        wrong = rng.random() < (0.7 if row["contrast"] >= 0.375 else 0.1)
        row["predicted_index"] = (row["label_index"] + wrong) % 5
        row["probability_true"] = 0.2
    return written(tmp_path_factory.mktemp("searched") / "audit", rows)


@pytest.fixture
def audit(made: Path, tmp_path: Path, setting: Callable[..., Any]) -> Path:
    """A copy that nobody has opened."""
    place = shutil.copytree(made, tmp_path / "audit")
    setting(audits=(str(place),))
    return place


def opened(app: AppTest, view: str, **link: str) -> AppTest:
    app = settle(app.run())
    for key, value in {"audit_view": view, **link}.items():
        app.query_params[key] = value
    return finish(app.switch_page(path("audits")).run())


def test_a_link_to_a_cluster_looks_for_clusters_beside_the_page(
    audit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasts, of = threading.Event(), kept_clusters.of

    def slow(*given: Any) -> Any:
        lasts.wait(60)
        return of(*given)

    monkeypatch.setattr(kept_clusters, "of", slow)
    app = settle(visitor().run())
    app.query_params["audit_group"] = '[["cluster","0"]]'
    app.switch_page(path("audits")).run()
    # The page is there, and nothing of it waits.
    assert any(b.label == "Stop" for b in app.button) and not app.dataframe
    assert "2,400** images" in as_read(text(app)) and not app.exception
    lasts.set()
    finish(app)
    count = Opened(str(audit)).count(Where("wrong", group=(("cluster", "0"),)))
    assert f"{count} images; a page" in text(app) and count > 0
    assert "**Only** cluster 0 (mostly" in as_read(text(app))


def test_what_one_visitor_had_searched_is_there_for_the_next(
    audit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(visitor(), "Groups that fail")
    found = slices(*Opened(str(audit)).tallies(clustered=True))
    assert found and f"{found[0].group[0][0]} {found[0].group[0][1]}" in as_read(text(first))
    lines = [str(one.value) for one in first.markdown]

    def forbidden(*_: Any) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(groups, "search", forbidden)
    second = opened(visitor(), "Groups that fail")
    assert [str(one.value) for one in second.markdown] == lines
    opened(visitor(), "Map")
    monkeypatch.setattr(density, "compute", forbidden)
    drawn_again = opened(visitor(), "Map")
    assert "All 2,400 images" in text(drawn_again) and drawn_again.get("vega_lite_chart")
    # Of another audit, even at the same place, nothing is taken.
    said = (audit / "manifest.json").read_text()
    assert '"class_names"' in said
    assert Opened(str(audit)).stamp[1] != Opened(str(other(audit))).stamp[1]


def other(audit: Path) -> Path:
    """The same rows, said to be of another model."""
    place = shutil.copytree(audit, audit.parent / "other")
    manifest = place / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"model": {', '"model": {"x": 1', 1))
    return place


def test_a_link_to_a_page_shows_that_page(audit: Path) -> None:
    app = opened(visitor(), "Images", audit_page="3")
    expected = Opened(str(audit)).page(Where(), "confidence", descending=True, first=48, count=24)
    (frame,) = (one.value for one in app.dataframe if "confidence" in one.value)
    assert frame["name"].tolist() == expected["name"].tolist()
