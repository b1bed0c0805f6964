"""Labels that are no classes of the model: what the page says, and what a click makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.parts.meaning import ROOM, Pairs
from attnlib.model import demo
from tests.dashboard.driving import click, finish, folders, numbers, png, settle, text, upload, use
from tests.dashboard.scenes import Walker
from tests.dashboard.screen import Screen


def labels(app: AppTest) -> dict[str, str]:
    space = app.session_state["workspace"]
    return {
        name.split("/")[-2]: space.vit.class_names[index]
        for name, index in space.labels.labels.items()
    }


def test_labels_of_another_world_are_said_and_nothing_is_counted(
    app: AppTest, screen: Screen
) -> None:
    settle(app.run())
    folders(app, "circle", "square")
    warning = app.main.warning[0].value
    assert warning.startswith("Your labels circle, square are not among the classes of this model")
    assert "airplane, automobile, bird, cat and 6 more" in warning
    assert numbers(app) == {"images": "2"}, "no “Wrong 0”, no accuracy"
    assert app.segmented_control(key="gallery_only").value == "All", "every image is shown"
    finish(app)
    cards = {card.said["name"].split("/")[1]: card.said for card in screen.cards(app)}
    assert cards.keys() == {"circle", "square"}
    for label, said in cards.items():
        assert said["word"] == "label not known"
        assert f"Its label “{label}” is not known to this model." in said["lines"]


def test_a_label_that_is_the_name_of_two_classes_can_be_told_apart(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    vit = use(app, demo_with("crane, bird", "crane, machine"), monkeypatch)
    settle(app.run())
    folders(app, "crane", "crab")
    warning = app.main.warning[0].value
    assert warning.startswith("Your label crab is not among the classes of this model")
    app.query_params["label_means"] = ["crane=crane, machine"]
    app.session_state["label_means"] = {"crane": "crane, machine"}
    settle(app.run())
    assert labels(app) == {"crane": vit.class_names[1]}


def demo_with(*names: str) -> attnlib.Vit:
    module = demo.build()
    module.pretrained_cfg = dict(demo.DATA_CONFIG)
    given = [*names, *demo.CLASS_NAMES[len(names) :]]
    return attnlib.load(module, class_names=given, device="cpu")


def test_images_without_labels_are_not_wrong_0_either(app: AppTest) -> None:
    settle(app.run())
    upload(app, ("a.png", png(0), "image/png"))
    assert numbers(app) == {"images": "1", "labelled": "0"}
    assert not app.main.warning


def test_near_spellings_are_offered_and_used_at_a_click_alone(app: AppTest) -> None:
    settle(app.run())
    folders(app, "cats", "dogs", "circle")
    assert labels(app) == {}
    assert "cats → cat, dogs → dog" in "".join(element.value for element in app.main.text)
    click(app, "Use the near spellings")
    assert labels(app) == {"cats": "cat", "dogs": "dog"}
    assert numbers(app)["labelled"] == "2"
    assert not app.main.warning
    assert app.query_params["label_means"] == ["cats=cat", "dogs=dog"]


def test_a_cell_of_the_table_maps_a_folder_and_a_table_alike(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`AppTest` cannot type into a table; what its editor hands out stands in for it."""
    settle(app.run())
    wanted: dict[str, str | None] = {}
    drawn = streamlit.data_editor

    def edited(rows: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
        drawn(rows, **options)
        return (
            [{**row, "class": wanted.get(row["label"], row["class"])} for row in rows]
            if ("label" in rows[0] and "class" in rows[0])
            else rows
        )

    monkeypatch.setattr(streamlit, "data_editor", edited)
    table = b"filename,label\na.png,circle\nb.png,square\n"
    upload(
        app,
        ("a.png", png(0), "image/png"),
        ("b.png", png(1), "image/png"),
        ("labels.csv", table, "text/csv"),
    )
    wanted["circle"] = "ship"
    settle(app.run())
    space = app.session_state["workspace"]
    assert space.labels.labels == {"a.png": space.vit.class_names.index("ship")}
    assert space.labels.strange == {"b.png": "square"}
    wanted["circle"] = None
    settle(app.run())
    assert app.session_state["workspace"].labels.labels == {}
    assert app.session_state["label_means"] == {}


def test_a_link_says_what_labels_mean(app: AppTest, walker: Walker) -> None:
    app.query_params["label_means"] = ["circle=ship"]
    settle(app.run())
    folders(app, "circle", "square")
    assert labels(app) == {"circle": "ship"}


def test_pairs_survive_the_address() -> None:
    pairs = {"a=b": "50 %3D", "größe": "tench, Tinca tinca", "%": "=", "New\xa0York": "a\tb"}
    assert all(text.isprintable() for text in Pairs().write(pairs))
    assert Pairs().read(Pairs().write(pairs)) == pairs
    for broken in (
        ["cat"],
        ["=cat"],
        ["a="],
        ["a=b=c"],
        ["a=b", "a=c"],
        ["a=b\n"],
        ["a=" + 1000 * "b"],
    ):
        with pytest.raises(ValueError, match="pairs of a label"):
            Pairs().read(broken)


def test_what_no_link_has_room_for_stays_in_the_session(app: AppTest) -> None:
    many = {f"label {n}": "cat" for n in range(ROOM // 10)}
    app.session_state["label_means"] = many
    settle(app.run())
    assert app.session_state["session"].meanings == many
    assert "label_means" not in app.query_params
    assert "Traceback" not in text(app)
