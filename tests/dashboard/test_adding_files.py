"""Files added one after the other, and taken away again, as a visitor does it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from attnlib.dashboard.state.inspection import Inspection
from tests.dashboard.driving import numbers, png, settle, upload

A, B, C = ((f"{name}.png", png(seed), "image/png") for seed, name in enumerate("abc"))
TABLE = ("labels.csv", b"filename,label\na.png,cat\nb.png,dog\n", "text/csv")
BROKEN = ("broken.png", b"no image", "image/png")


def names(app: AppTest) -> list[str]:
    return [sample.name for sample in app.session_state["session"].samples]


def test_the_uploader_adds_and_its_cross_takes_away(app: AppTest) -> None:
    settle(app.run())
    upload(app, A)
    first: Inspection = app.session_state["session"].job
    upload(app, A, B, TABLE)
    assert names(app) == ["a.png", "b.png"]
    assert numbers(app)["images"] == "2"
    assert "labelled" not in numbers(app), "all of them are"
    job: Inspection = app.session_state["session"].job
    assert job is not first
    assert job.outcomes["a.png"] is first.outcomes["a.png"], "not inspected a second time"
    upload(app, B, TABLE)
    assert names(app) == ["b.png"]
    assert "labelled" not in numbers(app)
    upload(app)
    assert numbers(app)["images"] == "80", "without any file the demo's images are back"


def test_another_picture_of_the_same_name_has_its_own_numbers(app: AppTest) -> None:
    settle(app.run())
    found = []
    for seed in (0, 9):
        upload(app, ("a.png", png(seed), "image/png"))
        space = app.session_state["workspace"]
        (row,) = space.table.to_dict("records")
        assert row["confidence"] == space.prediction_of["a.png"].confidence
        found.append(row["confidence"])
    assert found[0] != found[1]


def test_files_stay_when_folders_are_added_and_can_be_taken_away_then(app: AppTest) -> None:
    settle(app.run())
    upload(app, A, B, C)
    app.segmented_control(key="upload_kind").set_value("Folder").run()
    assert names(app) == ["a.png", "b.png", "c.png"]
    (earlier,) = (box for box in app.multiselect if box.label == "Added before")
    assert list(earlier.value) == ["a.png", "b.png", "c.png"]
    earlier.set_value(["a.png", "c.png"]).run()
    settle(app)
    assert names(app) == ["a.png", "c.png"]
    app.segmented_control(key="upload_kind").set_value("Files").run()
    upload(app, B)
    assert names(app) == ["a.png", "c.png", "b.png"]


def test_what_was_refused_is_open_to_see(app: AppTest) -> None:
    settle(app.run())
    upload(app, A, BROKEN)
    (refused,) = (box for box in app.expander if "could not be used" in box.label)
    assert refused.proto.expanded
    assert "broken.png" in str(refused.dataframe[0].value.to_dict())
    upload(app, A)
    assert not [box for box in app.expander if "could not be used" in box.label]
