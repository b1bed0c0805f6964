"""Work that a rerun spares itself: labels matched once, no matrix that nobody looks at."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib import audit
from attnlib.dashboard.state import workspace
from attnlib.model import demo
from tests.dashboard.driving import finish, path, settle, use
from tests.dashboard.library import Library

CLASSES = 21_841  # of ImageNet-21k
MEGABYTE = 2**20


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """The result of every call of a function."""
    results: list[Any] = []
    real: Callable[..., Any] = getattr(module, name)

    def counting(*args: Any, **rest: Any) -> Any:
        results.append(real(*args, **rest))
        return results[-1]

    monkeypatch.setattr(module, name, counting)
    return results


def test_labels_are_matched_once_for_each_set_of_labels(
    app: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, workspace, "match_labels")
    use(app, library.vit, monkeypatch, name="an oblong model")
    settle(app.run())
    app.run()
    app.switch_page(path("head_similarity")).run()
    app.switch_page(path("prediction_debugging")).run()
    assert not app.exception
    assert len(calls) == 1
    name = next(n for n in library.names if library.true[n] != 0)
    assert app.session_state["workspace"].labels.labels[name] == library.true[name]
    app.session_state["session"].manual = {name: (demo.CLASS_NAMES[0],)}
    app.run()
    app.run()
    assert len(calls) == 2
    assert app.session_state["workspace"].labels.labels[name] == 0
    assert app.session_state["workspace"].prediction_of[name].label == 0
    app.session_state["session"].manual = {}
    app.run()
    assert app.session_state["workspace"].labels.labels[name] == library.true[name]


def test_the_confusion_matrix_is_computed_only_while_it_is_open(
    oblong: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, audit, "confusion")
    oblong.run()
    oblong.segmented_control(key="gallery_only").set_value("All").run()
    assert not calls
    assert not oblong.get("vega_lite_chart")
    oblong.session_state["gallery_panel"] = "Confusion matrix"
    oblong.run()
    assert len(calls) == 1
    assert len(oblong.get("vega_lite_chart")) == 1
    oblong.session_state["gallery_panel"] = None
    oblong.run()
    oblong.run()
    assert len(calls) == 1
    assert not oblong.exception


@pytest.fixture
def many() -> attnlib.Vit:
    """The demo's trunk with a class for every synset of ImageNet-21k; the first ten are its own."""
    torch.manual_seed(0)
    module = demo.build()
    ten = module.head
    module.head = torch.nn.Linear(ten.in_features, CLASSES)
    module.head.weight.data[:10], module.head.bias.data[:10] = ten.weight.data, ten.bias.data
    module.pretrained_cfg = demo.DATA_CONFIG
    names = [*demo.CLASS_NAMES, *(f"synset {i}" for i in range(10, CLASSES))]
    return attnlib.load(module, class_names=names, device="cpu")


def test_a_page_of_a_model_with_many_classes_stays_small(
    app: AppTest, many: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dense matrix of 21,841 × 21,841 has 455 MB with one byte a pair."""
    use(app, many, monkeypatch)
    finish(app.run())
    app.session_state["gallery_panel"] = "Confusion matrix"
    tracemalloc.start()
    try:
        app.run()
        app.segmented_control(key="gallery_only").set_value("All").run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 1, "the matrix is on screen"
    predicted = {p.predicted for p in app.session_state["workspace"].predictions}
    assert len(predicted) > 1 and len(app.session_state["workspace"].predictions) == 80
    assert peak < 100 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"
