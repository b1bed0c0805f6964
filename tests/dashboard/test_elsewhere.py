"""Results from elsewhere on both pages: what is shown is what a second computation says."""

from __future__ import annotations

import csv
import html
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.audit.numbers import wilson
from attnlib.audit.runs.manifest import Folder
from attnlib.audit.runs.said import Said
from attnlib.dashboard.triage.elsewhere import differ
from attnlib.data import results
from attnlib.data.remarks import Remark
from attnlib.data.results import Results
from tests.dashboard.driving import finish, path, text
from tests.dashboard.library import Library, audited
from tests.dashboard.screen import Screen, as_read


def evaluation(library: Library) -> tuple[bytes, list[str]]:
    """A CSV of probabilities in which five images are said to be something else; their names."""
    out, other = io.StringIO(), library.names[4:9]
    writer = csv.writer(out)
    classes = list(library.vit.class_names)
    writer.writerow(["image", "label", *classes, "tags"])
    for name in library.names:
        shares = library.records[name].probabilities.astype(np.float64)
        if name in other:
            shares = np.roll(shares, 1)
        true = classes[library.true[name]]
        tags = "odd | blurred" if name == other[0] else ""
        writer.writerow([f"val/{name}", true, *shares, tags])
    return out.getvalue().encode(), other


def bring(app: AppTest, name: str, data: bytes) -> AppTest:
    """Drop a file where results go."""
    uploader = next(u for u in app.file_uploader if u.label.startswith("Results"))
    uploader.set_value([(name, data, "text/csv")]).run()
    return finish(app)


def use(app: AppTest) -> AppTest:
    next(b for b in app.button if b.label == "Use these columns").click().run()
    return finish(app)


def panel(app: AppTest) -> AppTest:
    app.session_state["gallery_panel"] = "Results from elsewhere"
    return finish(app.run())


def test_the_session_beside_an_evaluation(
    oblong: AppTest, library: Library, screen: Screen
) -> None:
    data, other = evaluation(library)
    app = bring(panel(oblong), "eval.csv", data)
    # Nothing is taken before somebody says so.
    assert "name the same class" not in as_read(text(app))
    boxes = {b.label: b.value for b in app.selectbox}
    assert boxes["Name"] == "image" and boxes["Label"] == "label"
    assert boxes["Predicted"] == "none"
    names = library.vit.class_names
    assert boxes["Probabilities"] == f"{names[0]} … {names[-1]} ({len(names)} columns)"
    app = use(app)
    low, high = wilson(75, 80)
    said = as_read(text(app) + "".join(str(w.value) for w in app.warning))
    assert "the same class for 75 of 80 images: 93.8%" in said
    assert f"(95 %: {low:.1%} to {high:.1%})" in said and "images are prepared" in said
    rows = list(
        csv.DictReader(io.StringIO(screen.downloads(app)["csv_elsewhere"].decode(), newline=""))
    )
    assert {row["image"] for row in rows} == set(other)
    for row in rows:
        shares = library.records[row["image"]].probabilities
        assert row["this model"] == names[int(shares.argmax())]
        assert row["your evaluation"] == names[(int(shares.argmax()) + 1) % len(names)]
        assert float(row["its confidence"]) == pytest.approx(float(shares.max()), abs=1e-5)
    # Each is opened by its button, and the way to the check of the preprocessing is there.
    next(b for b in app.button if b.label == "Check the preprocessing").click().run()
    assert app.session_state["gallery_panel"] == "Preprocessing check"


def test_an_image_that_differs_is_opened_and_tags_are_taken(
    oblong: AppTest, library: Library
) -> None:
    data, other = evaluation(library)
    app = use(bring(panel(oblong), "eval.csv", data))
    next(b for b in app.button if b.label.startswith("Take its tags")).click().run()
    finish(app)
    assert app.session_state["session"].remarks[other[0]] == Remark(("odd", "blurred"))
    button = next(b for b in app.button if b.label == "Look closer")
    name = button.key.removeprefix("elsewhere_open_")
    share, mine = library.records[name].probabilities.max(), library.predicted[name]
    names = library.vit.class_names
    (card,) = [e for e in app.get("html") if name in str(e.proto) and "yours" in str(e.proto)]
    assert f"yours: <b>{names[(mine + 1) % len(names)]} {share:.2f}</b>" in card.proto.body
    assert f"here: <b>{names[mine]} {share:.2f}</b>" in card.proto.body
    button.click().run()
    assert app.session_state["image"] == button.key.removeprefix("elsewhere_open_")
    assert app.session_state["image"] in other


def test_what_is_ambiguous_is_asked(oblong: AppTest, library: Library) -> None:
    rows = "".join(f"{name},cat,0.5\n" for name in library.names)
    app = bring(panel(oblong), "eval.csv", f"filename,label,score\n{rows}".encode())
    (button,) = [b for b in app.button if b.label == "Use these columns"]
    assert button.disabled and "what was predicted" in as_read(text(app))
    next(b for b in app.selectbox if b.label == "Label").set_value("none").run()
    next(b for b in app.selectbox if b.label == "Predicted").set_value("label").run()
    app = use(app)
    cats = sum(library.vit.class_names[p] == "cat" for p in library.predicted.values())
    said = as_read(text(app) + "".join(str(w.value) for w in app.warning))
    assert f"for {cats} of 80 images" in said


def test_hostile_names_reach_the_screen_as_text(oblong: AppTest) -> None:
    name = "<img src=x onerror=alert(1)>[a](javascript:b)"
    app = bring(panel(oblong), f"{name}.csv", f"filename,predicted\n{name},cat\n".encode())
    use(app)
    said = text(app)
    assert said.count("onerror") >= 2
    assert said.count("<img src=x") == said.count("\\<img src=x")
    assert "[a](javascript" not in said


def test_a_card_is_text_too() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    row = {"name": hostile, "label": hostile, "theirs": hostile, "ours": hostile}
    row |= {"theirs_confidence": 0.5, "ours_confidence": float("nan")}
    made = differ.card(row, "data:image/png;base64,' onload='x")
    assert made.count("<img") == 1 and "<img src=x" not in made and "' onload='x" not in made
    assert made.count(html.escape(hostile)) == 4


def test_another_model_has_the_columns_confirmed_again(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = evaluation(library)
    app = use(bring(panel(oblong), "eval.csv", data))
    assert app.session_state["elsewhere"].taken is not None
    names = [f"other {name}" for name in library.vit.class_names]
    other = attnlib.load(library.vit.module, class_names=names, device="cpu")
    monkeypatch.setattr("attnlib.dashboard.state.models.get", lambda choice, upload=None: other)
    finish(app.run())
    assert app.session_state["elsewhere"].taken is None


def test_a_file_of_another_kind_is_refused_in_words(oblong: AppTest) -> None:
    app = bring(panel(oblong), "eval.csv", b"\x00\x01\x02\x00")
    assert any("is no text" in as_read(str(w.value)) for w in app.warning)
    assert not app.exception


def test_columns_are_taken_beside_the_page(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = evaluation(library)
    app = bring(panel(oblong), "eval.csv", data)
    lasts, take = threading.Event(), results.take

    def slow(*given: Any, **more: Any) -> Results:
        lasts.wait(60)
        return take(*given, **more)

    monkeypatch.setattr(results, "take", slow)
    next(b for b in app.button if b.label == "Use these columns").click().run()
    # The page is there while it lasts, and can stop it.
    assert any(b.label == "Stop" for b in app.button)
    assert "belong to an image here" not in text(app) and not app.exception
    lasts.set()
    assert "**80** belong to an image here" in text(finish(app))


def test_columns_that_cannot_be_taken_say_why_until_they_are_changed(
    oblong: AppTest, library: Library
) -> None:
    rows = [f"{name},cat,dog,{101 + i}" for i, name in enumerate(library.names)]
    data = "\n".join(["image,label,predicted,confidence", *rows]).encode()
    app = use(bring(panel(oblong), "eval.csv", data))
    assert any("divide percents by 100" in str(w.value) for w in app.warning)
    finish(app.run())
    assert any("divide percents by 100" in str(w.value) for w in app.warning)
    next(b for b in app.selectbox if b.label == "Confidence").set_value("none").run()
    assert not any("divide percents by 100" in str(w.value) for w in app.warning)
    assert "**80** belong to an image here" in text(use(app))


def test_this_models_results_are_handed_out(
    oblong: AppTest, library: Library, screen: Screen
) -> None:
    name = library.names[0]
    oblong.session_state["session"].remarks[name] = Remark(("odd",), "a note", "dog")
    app = panel(oblong)
    app.selectbox(key="elsewhere_format").set_value("W&B table").run()
    table = json.loads(screen.downloads(app)["elsewhere_download"])
    rows = {
        row["filename"]: row
        for row in (dict(zip(table["columns"], line, strict=True)) for line in table["data"])
    }
    assert set(rows) == set(library.names)
    for one in library.names:
        row, record = rows[one], library.records[one]
        for place, text_ in enumerate(library.vit.class_names):
            assert row[f"probability_{text_}"] == pytest.approx(
                float(record.probabilities[place]), abs=1e-6
            )
        np.testing.assert_allclose(row["embedding"], record.embedding, atol=1e-4)
    assert rows[name]["tags"] == ["odd"] and rows[name]["corrected"] == "dog"
    data = screen.downloads(app)["csv_corrected-labels"].decode()
    (row,) = csv.DictReader(io.StringIO(data, newline=""))
    true = library.vit.class_names[library.true[name]]
    assert row == {"filename": name, "label": true, "corrected": "dog", "note": "a note"}


@pytest.fixture(scope="module")
def folder(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the demo images."""
    return audited(tmp_path_factory.mktemp("audited"), library)


def test_an_audit_beside_an_evaluation(
    oblong: AppTest, folder: Path, library: Library, screen: Screen, setting: Callable[..., Any]
) -> None:
    setting(audits=(str(folder),))
    app = finish(oblong.switch_page(path("audits")).run())
    app.segmented_control(key="audit_view").set_value("Results from elsewhere").run()
    data, other = evaluation(library)
    app = use(bring(finish(app), "eval.csv", data))
    next(b for b in app.button if b.label.startswith("Take its tags")).click().run()
    said = {n: one for n, one in Said(Folder(str(folder))).all().items() if one}
    assert {n.rsplit("/")[-1]: one for n, one in said.items()} == {
        other[0]: Remark(("odd", "blurred"))
    }
    finish(app)
    assert "the same class for 75 of 80 images" in as_read(
        "".join(str(w.value) for w in app.warning)
    )
    rows = csv.DictReader(io.StringIO(screen.downloads(app)["csv_elsewhere"].decode(), newline=""))
    assert {row["image"].rsplit("/")[-1] for row in rows} == set(other)
    button = next(b for b in app.button if b.label == "Look closer")
    name = button.key.removeprefix("elsewhere_open_")
    button.click().run()
    finish(app)
    assert [one.name for one in app.session_state["session"].samples] == [name]
    assert app.session_state["image"] == name


def test_a_path_is_read_on_ones_own_machine_alone(
    oblong: AppTest, library: Library, tmp_path: Path, setting: Callable[..., Any]
) -> None:
    data, _ = evaluation(library)
    (tmp_path / "eval.csv").write_bytes(data)
    setting(local_files=False)
    app = panel(oblong)
    assert not [one for one in app.text_input if one.key == "elsewhere_path"]
    # Nor by what an address or another run left behind.
    app.session_state["elsewhere_path"] = str(tmp_path / "eval.csv")
    assert "elsewhere" not in finish(app.run()).session_state
    setting(local_files=True)
    assert len(finish(app.run()).session_state["elsewhere"].raw.frame) == 80
