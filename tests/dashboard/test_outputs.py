"""Pages of models whose outputs are no exclusive classes, against the library's own answer."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

import attnlib
from attnlib import audit
from attnlib.data.image import decode
from attnlib.heads.ablation import without_heads
from attnlib.model import demo
from tests.dashboard.driving import PAGES, finish, numbers, settle, text, upload, use
from tests.dashboard.screen import Screen

PICTURES = demo.images()[:8]


def module(outputs: int) -> nn.Module:
    """The demo's trunk on an oblong input, with another head."""
    made = demo.build()
    made.set_input_size(img_size=(16, 24))
    torch.manual_seed(1)
    made.reset_classifier(outputs)
    if outputs:
        nn.init.normal_(made.head.weight, std=0.15)
    made.pretrained_cfg = {**demo.DATA_CONFIG, "input_size": (3, 16, 24)}
    return made


def files() -> list[tuple[str, bytes, str]]:
    """Images, and a table with one, two or no labels each."""
    rows = ["filename,label"]
    for i, image in enumerate(PICTURES):
        rows.append(f"{image.name},{['red', 'red|green', 'blue|green', 'blue'][i % 4]}")
    table = ("labels.csv", "\n".join(rows).encode(), "text/csv")
    return [*((i.name, i.data, "image/png") for i in PICTURES), table]


def predicted(vit: attnlib.Vit, threshold: float) -> list[audit.Prediction]:
    sets = [{0}, {0, 1}, {1, 2}, {2}]
    found = []
    for i, image in enumerate(PICTURES):
        record = vit.inspect(decode(image.data))
        with torch.inference_mode():
            p = vit.module(vit.pixels(decode(image.data)))[0].double().sigmoid().numpy()
        np.testing.assert_allclose(record.probabilities, p, atol=1e-6)
        found.append(
            audit.Prediction(
                image.name,
                None,
                record.probabilities,
                float(record.entropy.mean()),
                "labels",
                frozenset(sets[i % 4]),
                threshold,
            )
        )
    return found


@pytest.fixture
def several(
    app: AppTest, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> tuple[AppTest, attnlib.Vit]:
    names = ["red", "green", "blue"]
    vit = use(app, module(3), monkeypatch, outputs="labels", class_names=names)
    return upload(settle(app.run()), *files()), vit


def test_independent_labels_are_right_if_all_are(
    several: tuple[AppTest, attnlib.Vit], screen: Screen
) -> None:
    app, vit = several
    for threshold in (0.5, 0.3):
        app.slider(key="threshold").set_value(threshold).run()
        settle(app)
        expected = predicted(vit, threshold)
        shown = numbers(app)
        wrong = sum(p.wrong for p in expected)
        assert shown["images"] == "8" and "labelled" not in shown, "all are"
        assert shown["wrong"] == str(wrong) and wrong > 0
        assert shown["all labels right"] == f"{1 - wrong / 8:.1%}"
        each = audit.per_label(expected, vit.class_names)
        assert shown["mean average precision"] == f"{each['average_precision'].mean():.2f}"
        rows = list(csv.DictReader(io.StringIO(screen.download(app, "Table (CSV)").decode())))
        for row, image in zip(rows, expected, strict=True):
            assert row["predicted class"] == " | ".join(
                vit.class_names[i] for i in sorted(image.said)
            )
            assert row["outcome"] == image.outcome
            assert float(row["confidence (0 to 1)"]) == pytest.approx(image.confidence, abs=1e-5)
    report = screen.download(app, "Report of the wrong predictions (HTML)").decode()
    assert "independent labels" in report and "All labels right" in report
    assert not app.exception


def test_a_card_says_what_is_missed_and_what_is_not_true(
    several: tuple[AppTest, attnlib.Vit], screen: Screen
) -> None:
    app, vit = several
    app.slider(key="threshold").set_value(0.5).run()
    settle(app)
    expected = [p for p in predicted(vit, 0.5) if p.wrong]
    expected.sort(key=lambda p: -p.confidence)
    roles = [bar["role"] for card in screen.cards(app) for bar in card.said["bars"]]
    assert roles.count("true, missed") == sum(len(p.missed) for p in expected[:6])
    assert roles.count("not true") == sum(len(p.extra) for p in expected[:6])


def test_each_label_by_itself(several: tuple[AppTest, attnlib.Vit], screen: Screen) -> None:
    app, vit = several
    app.session_state["gallery_panel"] = "Each label"
    settle(app.run())
    each = audit.per_label(predicted(vit, 0.5), vit.class_names)
    each = each.sort_values("average_precision", kind="stable")
    shown = next(f.value for f in app.dataframe if "AUC" in f.value)
    assert list(shown["label"]) == list(each["label"])
    np.testing.assert_allclose(shown["AUC"], each["auc"])
    np.testing.assert_allclose(shown["average precision"], each["average_precision"])
    assert not app.exception


@pytest.mark.parametrize("kind", ["regression", "features"])
def test_numbers_show_no_confidence(
    kind: str, app: AppTest, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = 2 if kind == "regression" else 0
    vit = use(app, module(outputs), monkeypatch, outputs="regression" if outputs else None)
    settle(app.run())
    assert vit.outputs.kind == kind and not app.exception
    assert set(numbers(app)) == {"images"}
    words = text(app)
    assert "nothing has a confidence" in words and "confidence when" not in words.lower()
    record = vit.inspect(decode(PICTURES[0].data))
    shown = [bar["text"] for card in screen.cards(app) for bar in card.said["bars"]]
    assert f"{record.logits.max():.4g}" in shown


def test_one_logit_is_two_classes(
    app: AppTest, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    vit = use(app, module(1), monkeypatch, class_names=["no animal", "animal"])
    app = upload(
        settle(app.run()),
        *((i.name, i.data, "image/png") for i in PICTURES),
        ("l.csv", b"filename,label\n" + f"{PICTURES[0].name},animal".encode(), "text/csv"),
    )
    rows = list(csv.DictReader(io.StringIO(screen.download(app, "Table (CSV)").decode())))
    for row, image in zip(rows, PICTURES, strict=True):
        with torch.inference_mode():
            z = float(vit.module(vit.pixels(decode(image.data)))[0, 0])
        assert row["predicted class"] == ("animal" if z > 0 else "no animal")
        share = 1 / (1 + math.exp(-abs(z)))
        assert float(row["confidence (0 to 1)"]) == pytest.approx(share, abs=1e-5)
    assert not app.exception


KINDS = {"binary": 1, "features": 0, "labels": 3}
# The cost of a pass asks nothing of its outputs.
WITH_OUTPUTS = [name for name in PAGES if name != "complexity_calculator"]


@pytest.mark.parametrize("name", WITH_OUTPUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_every_page_stands_for_every_kind(
    kind: str, name: str, app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: Any = None if kind == "features" else kind
    vit = use(app, module(KINDS[kind]), monkeypatch, outputs=said)
    settle(app.run())
    assert vit.outputs.kind == kind
    app.session_state["image"] = PICTURES[3].name
    app.switch_page(f"../../pages/{name}/page.py").run()
    finish(app)
    key, parts = PAGES[name]
    for part in parts:
        if any(element.key == key for element in app.get("button_group")):
            app.segmented_control(key=key).set_value(part).run()
            finish(app)
            assert not app.exception
            assert not app.error
            if kind == "features":
                assert "%" not in said_of_classes(app), said_of_classes(app)


def said_of_classes(app: AppTest) -> str:
    """The verdicts on the page, which is where a probability would be shown."""
    return "\n".join(str(e.proto.body) for e in app.get("html") if "no classes" in str(e.proto))


def test_what_is_said_in_the_sidebar_is_used(app: AppTest) -> None:
    settle(app.run())
    app.selectbox(key="outputs").set_value("labels").run()
    settle(app)
    words = text(app)
    assert "independent labels" in words and "said by you" in words
    assert app.query_params["outputs"] == "labels"
    app.selectbox(key="outputs").set_value("binary").run()
    settle(app)
    assert "10 outputs" in text(app) and not app.exception


def test_heads_are_removed_from_the_decision_about_one_label(
    several: tuple[AppTest, attnlib.Vit], screen: Screen
) -> None:
    app, vit = several
    app.slider(key="threshold").set_value(0.3).run()
    image = next(p for p in predicted(vit, 0.3) if p.extra and not p.missed)
    label = max(image.extra, key=lambda i: image.probabilities[i])
    app.session_state["image"] = image.name
    app.switch_page("../../pages/head_similarity/page.py").run()
    finish(app)
    picture = next(decode(i.data) for i in PICTURES if i.name == image.name)
    pixels = vit.pixels(picture)
    with torch.no_grad():
        z = float(vit.module(pixels)[0, label])
    found = next(c for key, c in screen.cells(app).items() if "head-effects" in key)
    bar = math.log(0.3 / 0.7)
    for layer, head in [(0, 0), (3, 2), (5, 3)]:
        without = float(without_heads(vit, pixels, [(layer, head)])[0, label])
        assert found.values is not None
        assert found.values[layer, head] == pytest.approx(without - z, abs=1e-3)
    words = text(app)
    name = vit.class_names[label]
    assert f"logit of “{name}” (predicted) − logit of “no {name}” (true) = {z - bar:+.2f}" in words
