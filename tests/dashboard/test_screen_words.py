"""Words, lists and bars beside the pictures, and the charts' own frames, against the library."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attnlib.errors import AttnlibError
from attnlib.methods.heat import scale_of
from attnlib.model import demo
from attnlib.pictures.layer import layer
from tests.dashboard.driving import finish, settle
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, as_read, charted

PER_PAGE = 6


def opened(app: AppTest, library: Library, folder: str, **state: Any) -> AppTest:
    app.session_state["image"] = library.wrong[3]
    for key, value in state.items():
        app.session_state[key] = value
    app.switch_page(f"../../pages/{folder}/page.py").run()
    return finish(app)


def ranked(library: Library, name: str) -> list[int]:
    return [int(i) for i in np.argsort(-library.records[name].probabilities, kind="stable")]


def test_a_right_prediction_has_one_map(oblong: AppTest, screen: Screen, library: Library) -> None:
    oblong.segmented_control(key="gallery_only").set_value("Right").run()
    finish(oblong)
    right = [name for name in library.names if library.predicted[name] == library.true[name]]
    right.sort(key=lambda name: -float(library.records[name].probabilities.max()))
    cards = screen.cards(oblong)
    assert [card.name for card in cards] == right[:PER_PAGE]
    for card in cards:
        guess, image = library.predicted[card.name], library.images[card.name]
        made = library.vit.attribute(image, "relevance", guess)
        crop, shown = card.figures
        assert crop.caption == "what the model saw" and crop.layer is None
        assert shown.caption == f"for “{demo.CLASS_NAMES[guess]}”"
        expected = layer(made.values, scale_of([made]))
        np.testing.assert_array_equal(shown.layer, np.asarray(expected), card.name)


def test_why_a_card_has_no_maps_is_said(
    oblong: AppTest, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(caption.value for caption in oblong.caption), "nothing is said where nothing is"

    def refuse(*args: Any, **options: Any) -> None:
        raise AttnlibError("no gradients here")

    monkeypatch.setattr("attnlib.dashboard.mistakes.case.heat", refuse)
    monkeypatch.setattr("attnlib.dashboard.state.results.kept_heat", lambda *a, **o: None)
    oblong.run()
    finish(oblong)
    assert not oblong.exception
    cards = screen.cards(oblong)
    assert [card.said["problem"] for card in cards] == ["no gradients here"] * PER_PAGE


def test_bars_of_the_five_most_probable_classes(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    cards = screen.cards(oblong)
    assert [card.name for card in cards] == library.wrong[:PER_PAGE]
    for card in cards:
        name, bars = card.name, card.said["bars"]
        guess, true, p = library.predicted[name], library.true[name], library.records[name]
        roles = {guess: ("predicted", "wrong"), true: ("true", "right")}
        listed = ranked(library, name)[:5]
        listed += [true] if true not in listed else []
        for index, bar in zip(listed, bars, strict=True):
            assert bar["label"] == demo.CLASS_NAMES[index]
            assert (bar["role"], bar["kind"]) == roles.get(index, ("", ""))
            share = float(p.probabilities[index])
            assert float(bar["text"].removesuffix("%")) == pytest.approx(100 * share, abs=0.051)
            assert bar["share"] == pytest.approx(share, abs=1e-6)


def test_classes_to_explain_are_the_likely_ones_first(oblong: AppTest, library: Library) -> None:
    name = library.wrong[2]
    oblong.session_state["image"] = name
    oblong.run()
    guess, true, order = library.predicted[name], library.true[name], ranked(library, name)
    first = [guess, true, *(i for i in order[:5] if i not in (guess, true))]
    rest = [i for i in range(len(demo.CLASS_NAMES)) if i not in first]
    words = {guess: " (predicted)", true: " (true)"}
    expected = [demo.CLASS_NAMES[i] + words.get(i, "") for i in first + rest]
    assert list(oblong.selectbox(key="target").options) == expected


@pytest.mark.parametrize(
    ("folder", "state", "layer", "head"),
    [
        ("prediction_debugging", {"method": "raw"}, "layer", "head"),
        ("cls_attention", {}, "attention_layer", "attention_head"),
        ("attention_walkthrough", {}, "walk_layer", "walk_head"),
    ],
)
def test_every_layer_and_head_can_be_chosen(
    oblong: AppTest, library: Library, folder: str, state: dict[str, Any], layer: str, head: str
) -> None:
    page = opened(oblong, library, folder, **state)
    assert list(page.selectbox(key=layer).options) == ["5", "4", "3", "2", "1", "0"]
    assert list(page.selectbox(key=head).options)[-4:] == ["0", "1", "2", "3"]


def test_an_option_ends_where_its_method_does(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library, "prediction_debugging", method="rollout")
    ends = {key: page.slider(key=f"option_{key}") for key in ("discard_ratio", "residual_weight")}
    assert {key: (one.min, one.max) for key, one in ends.items()} == {
        "discard_ratio": (0.0, 0.99),
        "residual_weight": (0.0, 1.0),
    }


def test_labels_that_fit_nothing_are_counted(oblong: AppTest) -> None:
    session = oblong.session_state["session"]
    first, second, third = (sample.name for sample in session.samples[:3])
    session.manual.clear()
    samples = tuple(
        type(s)(**{**vars(s), "label": {first: "unicorn", second: "yeti", third: "yeti"}[s.name]})
        if s.name in (first, second, third)
        else s
        for s in session.samples
    )
    session.samples = samples
    oblong.run()
    (table,) = (f.value for f in oblong.dataframe if "images" in f.value.columns)
    assert dict(zip(table["label"], table["images"], strict=True)) == {"unicorn": 1, "yeti": 2}
    assert table["class"].isna().all(), "nothing is mapped before somebody says so"
    assert any("2 labels without a class" in box.label for box in oblong.expander)


def test_no_image_waits_once_all_are_inspected(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library, "head_similarity", heads_effect_scope="All wrong images")
    assert any("Remove every head in turn" in b.label for b in page.button)
    assert not any("not inspected" in caption.value for caption in page.caption)


def parts(node: Any, key: str) -> Iterator[Any]:
    """Everything under a name in a specification."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from parts(value, key) if name != "data" else ()
    elif isinstance(node, list):
        for value in node:
            yield from parts(value, key)


@pytest.mark.parametrize(
    ("folder", "state"),
    [
        ("prediction_debugging", {"image": None, "gallery_panel": "Confusion matrix"}),
        ("prediction_debugging", {}),
        ("attention_walkthrough", {"walk_part": "Temperature"}),
        ("head_similarity", {"heads_section": "Similarity"}),
        ("cls_attention", {"attention_view": "Through the layers"}),
    ],
)
def test_charts_have_an_extent_and_can_be_seen(
    oblong: AppTest, library: Library, folder: str, state: dict[str, Any]
) -> None:
    page = opened(oblong, library, folder, **state)
    charts = page.get("vega_lite_chart")
    assert charts
    for chart in charts:
        spec = json.loads(chart.proto.spec)
        for opacity in parts(spec, "opacity"):
            values = (
                [opacity] if isinstance(opacity, int | float) else list(parts(opacity, "value"))
            )
            assert all(0 < v <= 1 for v in values if isinstance(v, int | float)), opacity
        for domain in parts(spec, "domain"):
            if isinstance(domain, list) and all(isinstance(v, int | float) for v in domain):
                assert domain == sorted(set(domain)) and len(domain) > 1, domain


def test_an_image_that_cannot_be_read_says_so_where_it_is_opened(oblong: AppTest) -> None:
    session = oblong.session_state["session"]
    broken = session.samples[0]
    session.samples = (
        dataclasses.replace(broken, name="broken.png", content=broken.data[:200], sha256="0" * 64),
        *session.samples[1:4],
    )
    session.job = None
    settle(oblong.run())
    oblong.session_state["image"] = "broken.png"
    oblong.switch_page("../../pages/cls_attention/page.py").run()
    assert not oblong.exception
    (reason,) = [r.reason for r in session.job.refusals if r.name == "broken.png"]
    shown = {box.proto.title: as_read(box.value) for box in oblong.warning}
    assert shown["broken.png could not be used"] == reason
    oblong.session_state["image"] = session.samples[1].name
    oblong.run()
    assert not oblong.warning


@pytest.mark.parametrize(
    ("images", "said"), [(1, "1 wrong prediction."), (2, "2 wrong predictions.")]
)
def test_a_mean_says_over_how_many(images: int, said: str) -> None:
    def script(images: int) -> None:
        import numpy as np

        from attnlib.dashboard.heads import averaged

        zeros = np.zeros((2, 3), np.float32)
        averaged._show(averaged.Average(zeros, zeros, images), "wrong")

    app = AppTest.from_function(script, args=(images,), default_timeout=60).run()
    assert not app.exception
    assert any(caption.value.startswith(f"Mean over {said}") for caption in app.caption)


@pytest.mark.parametrize("present", [24, 26])
def test_of_many_classes_the_most_confused_are_shown(present: int) -> None:
    def script(present: int) -> None:
        from types import SimpleNamespace

        import numpy as np

        from attnlib import audit
        from attnlib.dashboard.mistakes import confusion

        names = [f"class {i}" for i in range(present)]
        sure = np.eye(present, dtype=np.float32)
        # Each is taken for the next; the more often the higher its number.
        wrong = [
            audit.Prediction(f"{i}-{n}", i, sure[(i + 1) % present], 0.5)
            for i in range(present)
            for n in range(1 + i)
        ]
        table = audit.predictions(wrong, names)
        confusion.show(SimpleNamespace(table=table, class_name=names.__getitem__))  # type: ignore

    app = AppTest.from_function(script, args=(present,), default_timeout=60).run()
    assert not app.exception, app.exception
    (chart,) = app.get("vega_lite_chart")
    shown = {row["true"] for row in charted(chart)}
    assert len(shown) == 24
    captions = [caption.value for caption in app.caption]
    words = ["The 24 classes with the most errors, of 26 present."]
    assert captions[1:] == (words if present > 24 else [])
