"""The page “Audits”: what it shows is what the parts hold, on a model of 4 x 6 patches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from attnlib.audit.opened import Opened, Where
from attnlib.audit.runs import Folder
from attnlib.audit.runs.said import Said
from attnlib.audit.slices import slices
from attnlib.audit.where import words
from attnlib.dashboard.state import audits
from attnlib.data.remarks import Remark
from attnlib.errors import AttnlibError
from attnlib.model import demo
from tests.audit.synthetic import written
from tests.dashboard.driving import finish, path, settle, text, visitor
from tests.dashboard.library import Library, audited
from tests.dashboard.screen import as_read

BROKEN = "cat/broken.png"


@pytest.fixture(scope="module")
def folder(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the demo images in folders, and of one file that is no image."""
    return audited(tmp_path_factory.mktemp("audited"), library, {BROKEN: b"none"})


@pytest.fixture
def page(oblong: AppTest, folder: Path, setting: Callable[..., Any]) -> AppTest:
    setting(audits=(str(folder),))
    return finish(oblong.switch_page(path("audits")).run())


def shown(page: AppTest) -> Any:
    (frame,) = (t.value for t in page.dataframe if "confidence" in t.value and "name" in t.value)
    return frame


def test_the_mistakes_are_the_librarys_most_confident_first(
    page: AppTest, library: Library
) -> None:
    frame = shown(page)
    wrong = library.wrong
    assert frame["name"].str.split("/").str[1].tolist() == wrong[:24]
    for row in frame.itertuples():
        name = row.name.split("/")[1]
        shares = library.records[name].probabilities
        names = library.vit.class_names
        assert (row.label, row.predicted) == (
            names[library.true[name]],
            names[library.predicted[name]],
        )
        assert row.confidence == pytest.approx(shares.max(), abs=1e-5)
        assert row.probability_true == pytest.approx(shares[library.true[name]], abs=1e-5)
        assert row.image.startswith("data:image/png;base64,")
    right = 80 - len(wrong)
    said = as_read(text(page))
    assert f"**81** images · **{len(wrong)}** of 80 wrong" in said
    assert f"accuracy **{right / 80:.1%}**" in said and "**1** refused" in said


def test_filters_and_order_are_those_that_were_chosen(page: AppTest, library: Library) -> None:
    page.segmented_control(key="audit_outcome").set_value("refused").run()
    assert shown(page)["name"].tolist() == [BROKEN]
    assert shown(page)["image"].isna().all() and shown(page)["error"].iloc[0]
    page.segmented_control(key="audit_outcome").set_value("all").run()
    page.selectbox(key="audit_label").set_value("dog").run()
    page.selectbox(key="audit_sort").set_value("loss").run()
    page.toggle(key="audit_ascending").set_value(True).run()
    names = [n for n in library.names if library.true[n] == demo.CLASS_NAMES.index("dog")]
    names.sort(key=lambda n: -float(library.records[n].probabilities[library.true[n]]))
    assert shown(page)["name"].str.split("/").str[1].tolist() == names
    page.text_input(key="audit_text").set_value("no such name").run()
    assert "No image of the audit fits" in text(page)


def test_classes_and_pairs(page: AppTest, library: Library) -> None:
    page.segmented_control(key="audit_view").set_value("Classes").run()
    classes, pairs = (t.value for t in page.dataframe)
    names = library.vit.class_names
    expected: dict[tuple[str, str], int] = {}
    for name in library.wrong:
        key = names[library.true[name]], names[library.predicted[name]]
        expected[key] = expected.get(key, 0) + 1
    assert {(r.label, r.predicted): r.images for r in pairs.itertuples()} == expected
    for row in classes.itertuples():
        mine = [n for n in library.names if names[library.true[n]] == row.label]
        assert row.images == len(mine)
        assert row.wrong == sum(n in library.wrong for n in mine)


def test_groups_that_fail_say_how_many_were_tried(page: AppTest) -> None:
    page.segmented_control(key="audit_view").set_value("Groups that fail").run()
    finish(page)
    elements = [*page.success, *page.markdown]
    said = " ".join(str(one.value) for one in elements)
    assert "looked at" in said and "fail" in said


@pytest.fixture(scope="module")
def spoiled(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same audit, many times over, where dark images are wrong."""
    rows = [row for shard in (0, 1, 2) for row in Folder(str(folder)).part(shard).to_pylist()]
    dark = float(np.quantile([row["brightness"] for row in rows if not row["error"]], 0.2))
    many = []
    for copy in range(12):
        for place, row in enumerate(rows):
            if row["error"]:
                continue
            wrong = row["brightness"] <= dark or place % 8 == copy % 8
            said = (row["label_index"] + wrong) % 10
            told = {"predicted_index": said, "predicted": demo.CLASS_NAMES[said]}
            many.append({**row, **told, "name": f"{copy}/{row['name']}"})
    return written(tmp_path_factory.mktemp("spoiled") / "out", many, classes=demo.CLASS_NAMES)


def test_a_group_that_fails_opens_its_images_and_is_a_link(
    oblong: AppTest, spoiled: Path, setting: Callable[..., Any]
) -> None:
    setting(audits=(str(spoiled),))
    page = finish(oblong.switch_page(path("audits")).run())
    page.segmented_control(key="audit_view").set_value("Groups that fail").run()
    finish(page)
    found = Opened(str(spoiled))
    announced = slices(*found.tallies(clustered=True))
    assert announced[0].group[0][0] == "brightness"
    said = as_read(text(page))
    assert f"**{len(announced)} groups fail**" in said or "**1 group fails**" in said
    assert f"**{words(announced[0].group)}**: {announced[0].numbers}" in said
    page.button(key=f"group_{announced[0].group}").click().run()
    finish(page)
    where = Where("wrong", group=announced[0].group)
    assert f"**Only** {words(announced[0].group)}" in as_read(text(page))
    expected = found.page(where, "confidence", descending=True, first=0, count=24)
    assert shown(page)["name"].tolist() == expected["name"].tolist()
    everything = found.page(Where(), "confidence", descending=True, first=0, count=24)
    assert everything["name"].tolist() != expected["name"].tolist()
    link = page.query_params["audit_group"]
    new = settle(visitor().run())
    for key, value in (("audit_group", link), ("audit", str(spoiled))):
        new.query_params[key] = value
    finish(new.switch_page(path("audits")).run())
    assert shown(new)["name"].tolist() == expected["name"].tolist()
    new.button(key="audit_group_out").click().run()
    count = found.count(Where("wrong"))
    assert f"{count} images; a page" in text(new)


@pytest.mark.parametrize("said", ['[["x","y"]]', "[1]", "{", '[["brightness","at most 1) or (1"]]'])
def test_a_link_to_no_group_says_so(
    oblong: AppTest, folder: Path, setting: Callable[..., Any], said: str
) -> None:
    setting(audits=(str(folder),))
    oblong.query_params["audit_group"] = said
    page = finish(oblong.switch_page(path("audits")).run())
    told = as_read(text(page)) + " ".join(str(one.value) for one in page.toast)
    assert "no group of images" in told or "not a group of images" in told
    assert len(shown(page)) > 0


def test_tags_are_groups_with_a_word_on_how_they_were_chosen(
    oblong: AppTest, spoiled: Path, setting: Callable[..., Any], tmp_path: Path
) -> None:
    place = shutil.copytree(spoiled, tmp_path / "audit")
    setting(audits=(str(place),))
    wrong = Opened(str(place)).page(Where(), "name", descending=False, first=0, count=60)["name"]
    for name in wrong:
        Said(Folder(str(place))).change(name, Remark(), Remark(("my tag",)))
    page = finish(oblong.switch_page(path("audits")).run())
    page.segmented_control(key="audit_view").set_value("Groups that fail").run()
    finish(page)
    assert "**tag my tag**" in as_read(text(page)) and "how its images were chosen" in text(page)
    page.button(key=f"group_{(('tag', 'my tag'),)}").click().run()
    assert set(shown(finish(page))["name"]) <= set(wrong)
    assert "60 images; a page" in text(page)


def test_the_map_counts_the_images_of_the_parts(
    page: AppTest, folder: Path, library: Library
) -> None:
    page.segmented_control(key="audit_view").set_value("Map").run()
    finish(page)
    (chart,) = (c for c in page.get("vega_lite_chart"))
    (layer,) = json.loads(chart.proto.spec)["layer"]
    cells = layer["data"]["values"]
    assert sum(one["images"] for one in cells) == 80
    assert sum(one["wrong"] for one in cells) == len(library.wrong)
    assert "All 80 images" in text(page)
    names, embeddings, judged, wrong = Opened(str(folder)).sample(1000)
    assert judged.all() and {n.split("/")[1] for n in np.array(names)[wrong]} == set(library.wrong)
    for name, vector in zip(names, embeddings, strict=True):
        expected = library.records[name.split("/")[1]].embedding
        np.testing.assert_allclose(vector, expected, rtol=2e-3, atol=2e-3)


def test_an_audit_is_run_beside_the_page_and_gone_on_with(
    oblong: AppTest, folder: Path, setting: Callable[..., Any], tmp_path: Path
) -> None:
    setting(audits=(), local_files=True)
    page = finish(oblong.switch_page(path("audits")).run())
    out = tmp_path / "mine"
    page.text_input(key="audit_source").set_value(str(folder.parent / "set")).run()
    page.text_input(key="audit_out").set_value(str(out)).run()
    page.button(key="task_audit_run").click().run()
    finish(page)
    assert page.success[0].value.startswith("81 images in")
    columns = ["name", "predicted", "confidence", "error"]
    mine, shell = (pd.read_parquet(place / "parts", columns=columns) for place in (out, folder))
    pd.testing.assert_frame_equal(mine, shell)
    page.button[[b.label for b in page.button].index("Open it")].click().run()
    assert len(shown(finish(page))) == 24
    page.text_input(key="audit_source").set_value(str(folder.parent / "set" / "cat")).run()
    page.button(key="task_audit_run").click().run()
    assert "begun otherwise" in text(finish(page))


def choose(page: AppTest, *rows: int) -> None:
    """Choose rows of the list, as a click does."""
    page.session_state["audit_table"] = {
        "selection": {"rows": list(rows), "columns": [], "cells": []}
    }
    finish(page.run())


def of_its_own(
    oblong: AppTest, folder: Path, setting: Callable[..., Any], root: Path
) -> tuple[AppTest, Said]:
    """The page on a copy of an audit, and what is said beside that."""
    place = shutil.copytree(folder, root / "audit")
    setting(audits=(str(place),))
    return finish(oblong.switch_page(path("audits")).run()), Said(Folder(str(place)))


def tags_of(page: AppTest) -> Any:
    return next(b for b in page.button_group if b.label.startswith("Tags of"))


def test_what_is_said_in_the_list_stays_beside_the_audit(
    oblong: AppTest, folder: Path, setting: Callable[..., Any], tmp_path: Path
) -> None:
    page, said = of_its_own(oblong, folder, setting, tmp_path)
    first, second = shown(page)["name"].tolist()[:2]
    said.change(second, Remark(), Remark(("ambiguous",), "seen by another"))
    choose(page, 0, 1)
    tags_of(page).set_value(["label error"]).run()
    assert said.all(now=True) == {
        first: Remark(("label error",)),
        second: Remark(("ambiguous", "label error"), "seen by another"),
    }
    choose(page, 0)
    next(a for a in page.text_area if a.label == "Note").set_value("a truck").run()
    next(b for b in page.selectbox if "should be" in b.label).set_value("truck").run()
    assert said.all(now=True)[first] == Remark(("label error",), "a truck", "truck")
    frame = shown(finish(page.run()))
    assert frame["tags"].tolist()[:3] == ["label error", "ambiguous, label error", ""]
    assert frame["should be"].tolist()[0] == "truck"
    page.selectbox(key="audit_tag").set_value("ambiguous").run()
    assert shown(finish(page))["name"].tolist() == [second]


def test_what_is_said_with_the_maps_comes_back_to_the_audit(
    oblong: AppTest, folder: Path, setting: Callable[..., Any], tmp_path: Path
) -> None:
    page, said = of_its_own(oblong, folder, setting, tmp_path)
    first, second = shown(page)["name"].tolist()[:2]
    said.change(first, Remark(), Remark(("ambiguous",)))
    next(b for b in page.button if b.label.startswith("Look at all")).click().run()
    finish(page)
    remarks = page.session_state["session"].remarks
    assert remarks == {first: Remark(("ambiguous",))}
    remarks[second] = Remark(("model blind",), "", "cat")
    finish(page.switch_page(path("audits")).run())
    assert said.all(now=True) == {
        first: Remark(("ambiguous",)),
        second: Remark(("model blind",), "", "cat"),
    }


def test_on_a_server_for_others_it_stays_in_the_tab(
    oblong: AppTest, folder: Path, setting: Callable[..., Any], tmp_path: Path
) -> None:
    place = shutil.copytree(folder, tmp_path / "audit")
    setting(audits=(str(place),), local_files=False)
    page = finish(oblong.switch_page(path("audits")).run())
    choose(page, 0)
    assert "stays in this tab" in text(page)
    tags_of(page).set_value(["label error"]).run()
    assert shown(finish(page))["tags"].tolist()[0] == "label error"
    assert not (place / "said").exists()


def test_a_page_of_images_comes_into_the_dashboard(page: AppTest, library: Library) -> None:
    page.selectbox(key="audit_label").set_value("cat").run()
    names = shown(page)["name"].tolist()
    assert names
    next(b for b in page.button if b.label.startswith("Look at all")).click().run()
    finish(page)
    session = page.session_state["session"]
    assert sorted(sample.name for sample in session.samples) == sorted(names)
    for sample in session.samples:
        assert sample.data == next(i.data for i in demo.images() if sample.name.endswith(i.name))
    space = page.session_state["workspace"]
    assert set(space.labels.labels) == set(names)
    assert {library.vit.class_names[i] for i in space.labels.labels.values()} == {"cat"}


def test_a_server_for_others_opens_no_folder_of_its_machine(
    folder: Path, setting: Callable[..., Any]
) -> None:
    setting(audits=("/audits/one",), local_files=False)
    with pytest.raises(AttnlibError, match="that its operator chose"):
        audits.get(str(folder))
    setting(audits=(), local_files=True)
    assert audits.get(str(folder)).totals().images == 81


def test_without_an_audit_the_page_says_how_to_make_one(
    oblong: AppTest, setting: Callable[..., Any]
) -> None:
    setting(audits=(), local_files=True)
    page = finish(oblong.switch_page(path("audits")).run())
    assert "Make one in a shell" in text(page)
    page.text_input(key="audit_folder").set_value("/no/such <b>folder</b>").run()
    assert "There is no audit in" in as_read(text(page)) and "<b>" not in text(page)
