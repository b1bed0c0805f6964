"""The page “Audits” with a second audit: nearest training images, and two models on one set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.audit.neighbours import nearest
from attnlib.audit.opened import Opened, Where
from attnlib.audit.regress import compare
from tests.audit.synthetic import Row, drawn, later, written
from tests.dashboard.driving import finish, path, text
from tests.dashboard.screen import Screen, as_read, table

MODEL = {"weights_sha256": "a", "preprocessing": "p"}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    found = drawn(30, 900)
    # A name that would be markup.
    found[0]["name"] = found[0]["name"].replace("a/", "a/<b>*x*</b>")
    for row in found:
        row["probability_true"] = 1 - row["confidence"]
    return found


@pytest.fixture(scope="module")
def audits(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One set before two models, and a training set before the first."""
    root = tmp_path_factory.mktemp("audits")
    then = later(rows, 1, dark=0.3, broken=0.5, repaired=0.1)
    training = [{**row, "name": f"train/{row['name']}"} for row in drawn(30, 1400)[900:]]
    return {
        name: str(written(root / name, given, model={**MODEL, **model}))
        for name, given, model in (
            ("first", rows, {}),
            ("second", then, {"weights_sha256": "b"}),
            ("train", training, {}),
        )
    }


def opened(oblong: AppTest, audits: dict[str, str], setting: Callable[..., Any], view: str) -> Any:
    setting(audits=tuple(audits.values()))
    page = finish(oblong.switch_page(path("audits")).run())
    page.segmented_control(key="audit_view").set_value(view).run()
    return finish(page)


def test_neighbours_on_the_screen_are_the_librarys(
    oblong: AppTest, screen: Screen, audits: dict[str, str], setting: Callable[..., Any]
) -> None:
    page = opened(oblong, audits, setting, "Nearest training images")
    assert "Choose the other audit" in text(page)
    finish(page.selectbox(key="audit_training").set_value(audits["train"]).run())
    first, training = Opened(audits["first"]), Opened(audits["train"])
    mistakes = first.page(Where(), "confidence", descending=True, first=0, count=6)
    expected = nearest(first, training, list(mistakes["name"]), 5)
    said = as_read(text(page))
    html = "".join(str(element.proto) for element in page.get("html"))
    assert "It does not say whether a label is wrong" in said
    assert f"a likeness of {expected.usual.least:.2f} or more" in said
    listed = table(screen.downloads(page)["csv_nearest-training-images"])
    assert len(listed) == 30
    for row in mistakes.itertuples():
        near = expected.of[row.name]
        mine = [line for line in listed if line["image"] == row.name]
        assert [line["training image"] for line in mine] == [one.name for one in near]
        assert [float(line["likeness"]) for line in mine] == pytest.approx(
            [one.similarity for one in near], abs=1e-6
        )
        # Of a mistake: the label's share less the prediction's, from 0 to 1.
        score = (row.probability_true - row.confidence + 1) / 2
        assert float(mine[0]["label score"]) == pytest.approx(score, abs=1e-6)
        assert f"label score {score:.2f}" in said
        for one in near:
            assert f"likeness {one.similarity:.2f}" in html
        like = sum(one.label == row.predicted for one in near)
        given = sum(one.label == row.label for one in near)
        verb = "has" if like == 1 else "have"
        assert f"Of these 5, {like} {verb} the predicted label {row.predicted} and {given}" in said


def test_neighbours_before_another_model_are_refused(
    oblong: AppTest, audits: dict[str, str], setting: Callable[..., Any]
) -> None:
    page = opened(oblong, audits, setting, "Nearest training images")
    finish(page.selectbox(key="audit_training").set_value(audits["second"]).run())
    assert "not of the same model" in as_read(text(page))


def test_two_models_on_one_set(
    oblong: AppTest, screen: Screen, audits: dict[str, str], setting: Callable[..., Any]
) -> None:
    page = opened(oblong, audits, setting, "Compare with another audit")
    finish(page.selectbox(key="audit_other").set_value(audits["second"]).run())
    expected = compare(Opened(audits["first"]), Opened(audits["second"]))
    said, every = as_read(text(page)), expected.all
    assert f"Of **{every.images:,}** images the other model repairs **{every.fixed:,}**" in said
    assert f"**{every.broken:,}**; **{every.both_wrong:,}** are wrong with both" in said
    assert f"**{every.still_right:,}** right with both" in said
    worse = [one for one in expected.regressions if one.by != "all"]
    assert any(one.by == "brightness" for one in worse)
    assert f"**{len(worse)} slices get worse**" in said
    groups = next(t.value for t in page.dataframe if "broken" in t.value)
    assert [
        tuple(row) for row in groups[["by", "group", "fixed", "broken"]].itertuples(index=False)
    ] == [(one.by, one.value, one.fixed, one.broken) for one in expected.groups]
    shown = next(t.value for t in page.dataframe if "first" in t.value)
    broken = expected.of(expected.all, "broken")
    assert shown["name"].tolist() == broken["name"].tolist()[:24]
    # A click on a slice, as its callback leaves it.
    one = worse[0]
    page.session_state["compared_group"] = ((one.by, one.value),)
    page.segmented_control(key="compared_category").set_value("fixed").run()
    inside = expected.of(one, "fixed")
    if inside.empty:
        assert "No image of this group" in text(page)
    else:
        shown = next(t.value for t in page.dataframe if "first" in t.value)
        assert shown["name"].tolist() == inside["name"].tolist()[:24]
        assert shown["second"].tolist() == inside["label"].tolist()[:24]
    assert inside.empty or f"of **{one.words}**" in as_read(text(page))
    assert one.value in page.query_params["compared_group"]
    listed = table(screen.downloads(page)["csv_audits-compared"])
    assert [line["group"] for line in listed] == [group.value for group in expected.groups]


def test_an_audit_of_other_images_is_refused_in_words(
    oblong: AppTest, audits: dict[str, str], setting: Callable[..., Any]
) -> None:
    page = opened(oblong, audits, setting, "Compare with another audit")
    finish(page.selectbox(key="audit_other").set_value(audits["train"]).run())
    assert "share no labelled image" in text(page)
