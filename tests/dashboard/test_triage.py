"""The loop: look, open, judge, next; filters, order, what is said, and what leaves with it."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.state import results
from attnlib.data.remarks import Remark, tidy
from attnlib.methods import Heat
from attnlib.model import demo
from attnlib.pictures.colormaps import lookup
from attnlib.pictures.layer import layer
from tests.dashboard.driving import (
    finish,
    numbers,
    open_image,
    path,
    png,
    settle,
    text,
    upload,
    use,
    visitor,
)
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, pixels, table


def shown(app: AppTest, screen: Screen) -> list[str]:
    return [card.name for card in screen.cards(app)]


def press(app: AppTest, label: str) -> AppTest:
    return next(b for b in app.button if b.label == label).click().run()


def said(app: AppTest, name: str) -> Remark:
    found: Remark = app.session_state["session"].remarks.get(name, Remark())
    return found


def tag(app: AppTest, name: str, *tags: str) -> None:
    app.session_state["session"].remarks[name] = Remark(tags)


# -- filters -----------------------------------------------------------------------------------


def test_a_grid_has_the_next_twenty_four(oblong: AppTest, screen: Screen, library: Library) -> None:
    oblong.segmented_control(key="gallery_density").set_value("Grid").run()
    finish(oblong)
    cards = screen.cards(oblong)
    assert [card.name for card in cards] == library.wrong[:24]
    for card in cards[:6]:
        guess = library.predicted[card.name]
        made = library.vit.attribute(library.images[card.name], "relevance", guess)
        (figure,) = card.figures
        np.testing.assert_array_equal(figure.layer, np.asarray(layer(made.values, made.scale())))
        true = demo.CLASS_NAMES[library.true[card.name]]
        assert card.said["said"] == f"{true} → {demo.CLASS_NAMES[guess]}"
        share = float(library.records[card.name].probabilities.max())
        assert card.said["confidence"] == f"{share:.1%}"


def test_the_table_has_all_that_pass_in_the_same_order(oblong: AppTest, library: Library) -> None:
    oblong.segmented_control(key="gallery_density").set_value("Table").run()
    frame = oblong.dataframe[0].value
    assert frame["image"].tolist() == library.wrong
    oblong.multiselect(key="gallery_columns").set_value(["image", "loss", "note"]).run()
    frame = oblong.dataframe[0].value
    assert list(frame) == ["image", "loss", "note"]
    for name, loss in zip(frame["image"], frame["loss"], strict=True):
        true = float(library.records[name].probabilities[library.true[name]])
        assert loss == pytest.approx(-np.log(true), abs=1e-5)


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("gallery_confidence_from", 90, lambda lib, n: lib.records[n].probabilities.max() >= 0.9),
        ("gallery_confidence_to", 60, lambda lib, n: lib.records[n].probabilities.max() <= 0.6),
        ("gallery_text", "TEST-1", lambda lib, n: "test-1" in n),
        (
            "gallery_narrow",
            True,
            lambda lib, n: (
                lib.records[n].probabilities.max() - lib.records[n].probabilities[lib.true[n]] < 0.2
            ),
        ),
    ],
)
def test_a_filter_keeps_exactly_what_it_says(
    oblong: AppTest, screen: Screen, library: Library, key: str, value: object, fits: object
) -> None:
    oblong.segmented_control(key="gallery_density").set_value("Table")
    oblong.session_state[key] = value
    oblong.run()
    expected = [n for n in library.wrong if fits(library, n)]  # type: ignore[operator]
    assert 0 < len(expected) < len(library.wrong), "the filter changes something"
    assert oblong.dataframe[0].value["image"].tolist() == expected
    (chip,) = (b for b in oblong.button if b.key == f"chip_{key}")
    assert f"{len(expected)} of {len(library.names)} images:" in text(oblong)
    chip.click().run()
    assert oblong.dataframe[0].value["image"].tolist() == library.wrong


def test_tags_notes_and_corrected_labels_filter(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    first, second, third = library.wrong[:3]
    remarks = oblong.session_state["session"].remarks
    remarks[first] = Remark(("ambiguous",), "a strange picture")
    remarks[second] = Remark(should_be="dog")
    remarks[third] = Remark(("my own tag",))
    oblong.run()
    for wanted, expected in {
        "ambiguous": [first],
        "my own tag": [third],
        "label corrected": [second],
        "with a note": [first],
    }.items():
        oblong.multiselect(key="gallery_tag").set_value([wanted]).run()
        assert shown(oblong, screen) == expected, wanted
    oblong.multiselect(key="gallery_tag").set_value([]).run()
    oblong.text_input(key="gallery_text").set_value("STRANGE").run()
    assert shown(oblong, screen) == [first]


def test_what_is_chosen_holds_while_its_controls_are_put_away(
    screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link with filters, an order, a drawing and an option, opened by somebody new."""
    name = library.wrong[5]
    app = visitor(drawers=False)
    app.query_params.update(
        {
            "gallery_confidence_to": "60",
            "gallery_sort": "Loss",
            "colormap": "cividis",
            "opacity": "0.4",
            "keep": "40",
            "option_discard_ratio": "0.5",
            "method": "rollout",
        }
    )
    use(app, library.vit, monkeypatch, name="an oblong model")
    finish(settle(app.run()))

    def loss(n: str) -> float:
        return float(np.log(library.records[n].probabilities[library.true[n]]))

    unsure = [n for n in library.wrong if library.records[n].probabilities.max() <= 0.6]
    assert shown(app, screen) == sorted(unsure, key=loss)[:6]
    assert not any(e.key == "gallery_sort" for e in app.selectbox), "it is put away"
    open_image(app, name)
    finish(app)
    made = library.vit.attribute(library.images[name], "rollout", discard_ratio=0.5)
    figure = screen.cards(app)[0].figures[1]
    expected = layer(made.values, made.scale(), "cividis", 0.4, keep=0.4)
    np.testing.assert_array_equal(figure.layer, np.asarray(expected))
    # Under the pointer a share is read as a multiple of the uniform one.
    assert (figure.said["factor"], figure.said["unit"]) == (24, "× uniform")


# -- the opened case ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["prediction_debugging", "cls_attention", "head_similarity"])
def test_next_follows_the_gallery_on_every_page(
    oblong: AppTest, library: Library, page: str
) -> None:
    """By loss, lowest first, without cats: an order that no page has by itself."""
    cat = demo.CLASS_NAMES.index("cat")
    rest = sorted({t for t in library.true.values()} - {cat})
    oblong.multiselect(key="gallery_true").set_value(rest)
    oblong.toggle(key="gallery_up").set_value(True)
    oblong.selectbox(key="gallery_sort").set_value("Loss").run()

    def loss(name: str) -> float:
        return -float(np.log(library.records[name].probabilities[library.true[name]]))

    order = sorted((n for n in library.wrong if library.true[n] != cat), key=loss)
    open_image(oblong, order[1])
    if page != "prediction_debugging":
        oblong.switch_page(path(page)).run()
    finish(oblong)
    assert f"2 of {len(order)} in the gallery" in text(oblong)
    finish(press(oblong, "Next"))
    assert oblong.session_state["image"] == order[2]
    finish(press(oblong, "Previous"))
    finish(press(oblong, "Previous"))
    assert oblong.session_state["image"] == order[0]
    assert next(b for b in oblong.button if b.label == "Previous").disabled


def test_back_is_the_same_place(oblong: AppTest, screen: Screen, library: Library) -> None:
    oblong.session_state["gallery_page"] = 2
    oblong.run()
    there = shown(oblong, screen)
    assert there == library.wrong[6:12]
    open_image(oblong, there[3])
    press(oblong, "All images")
    assert shown(oblong, screen) == there
    (board,) = (
        e for e in oblong.get("bidi_component") if e.proto.component_name == "attnlib_board"
    )
    assert f'"focus":"{there[3]}"' in board.proto.json.replace('": "', '":"')


def test_what_is_said_is_kept_filtered_and_taken_along(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    name, other = library.wrong[:2]
    open_image(oblong, name)
    of = next(e.key for e in oblong.text_area if e.label == "Note").removeprefix("said_note_")
    pills = next(e for e in oblong.get("button_group") if e.key == f"said_tags_{of}")
    pills.set_value(["ambiguous"]).run()
    oblong.text_input(key=f"said_new_tag_{of}").set_value("  far  away ").run()
    oblong.text_area(key=f"said_note_{of}").set_value("=1+1 <b>bold</b>").run()
    oblong.selectbox(key=f"said_should_be_{of}").set_value("dog").run()
    assert said(oblong, name) == Remark(("ambiguous", "far away"), "=1+1 <b>bold</b>", "dog")
    assert said(oblong, other) == Remark()
    press(oblong, "Next")
    finish(oblong)
    assert oblong.session_state["image"] == other
    press(oblong, "Previous")
    assert oblong.text_area(key=f"said_note_{of}").value == "=1+1 <b>bold</b>"
    press(oblong, "All images")
    card = next(card for card in screen.cards(oblong) if card.name == name)
    assert card.said["tags"] == ["ambiguous", "far away", "should be dog"]
    rows = {row["image"]: row for row in table(screen.download(oblong, "Table (CSV)"))}
    assert rows[name]["tags"] == "ambiguous | far away"
    assert rows[name]["should be"] == "dog"
    assert rows[name]["note"] == "'=1+1 <b>bold</b>", "no spreadsheet runs it"
    assert rows[name]["true class"] == demo.CLASS_NAMES[library.true[name]], "as it came"
    report = screen.download(oblong, "Report of the wrong predictions (HTML)").decode()
    assert "<b>bold</b>" not in report and "&lt;b&gt;bold&lt;/b&gt;" in report
    assert "far away" in report and "should be dog" in report
    assert "**1** labels said to be wrong" in text(oblong)
    assert numbers(oblong)["wrong"] == str(len(library.wrong)), "the accuracy counts as before"


def test_a_slow_map_is_made_beside_the_page(
    oblong: AppTest, screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is there the inspection's own attention is shown, and said to be that."""
    gate, began = threading.Event(), threading.Event()
    make = results.heat

    def slow(choice: Any, vit: Any, sample: Any, method: str, *rest: Any, **more: Any) -> Heat:
        if method == "rollout":
            began.set()
            assert gate.wait(60)
        return make(choice, vit, sample, method, *rest, **more)

    monkeypatch.setattr(results, "heat", slow)
    name = library.wrong[4]
    open_image(oblong, name)
    finish(oblong)
    oblong.selectbox(key="method").set_value("rollout").run()
    assert began.wait(60)
    (card,) = screen.cards(oblong)
    assert card.figures[1].caption == "attention of the last layer, mean over heads"
    shares = library.records[name].cls_rows[-1].mean(0).reshape(4, 6)
    np.testing.assert_allclose(card.figures[1].values, shares, rtol=1e-5)
    assert "Attention rollout is being made." in text(oblong)
    gate.set()
    finish(oblong)
    (card,) = screen.cards(oblong)
    made = library.vit.attribute(library.images[name], "rollout")
    np.testing.assert_array_equal(card.figures[1].values, made.values)
    assert card.figures[1].caption == "Attention rollout"


def test_a_map_that_nobody_looks_at_any_longer_is_given_up(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    ended = threading.Event()
    make = results.heat

    def endless(
        choice: Any, vit: Any, sample: Any, method: str, target: Any, progress: Any, **more: Any
    ) -> Heat:
        if method != "occlusion":
            return make(choice, vit, sample, method, target, progress, **more)
        try:
            for i in range(100_000):
                steps.append(i)
                progress(i, 100_000)
                time.sleep(0.002)
        finally:
            ended.set()
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(results, "heat", endless)
    open_image(oblong, library.wrong[4])
    finish(oblong)
    oblong.selectbox(key="method").set_value("occlusion").run()
    assert steps and not ended.is_set()
    oblong.selectbox(key="method").set_value("rollout").run()
    assert ended.wait(60)
    finish(oblong)
    assert not any("could not be computed" in w.value for w in oblong.warning)


def test_tags_are_tidied() -> None:
    assert tidy(["  a  b ", "a b", "", "\x00", "x" * 99]) == ("a b", "x" * 40)


def test_the_code_of_a_picture_makes_the_picture(
    app: AppTest, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the demo, with options and colours that are not the default."""
    name = demo.images()[3].name
    for key, value in {"colormap": "viridis", "opacity": 0.6, "fade": False, "keep": 40}.items():
        app.session_state[key] = value
    for method in ("relevance", "contrast", "rollout"):
        app.session_state["method"] = method
        open_image(app, name)
        settle(app)
        if method == "rollout":
            app.slider(key="option_discard_ratio").set_value(0.5).run()
        finish(app)
        (code,) = (c.value for c in app.code if "attnlib.load" in c.value)
        monkeypatch.chdir(tmp_path)
        exec(compile(code, "copied", "exec"), {})
        (file,) = re.findall(r"picture\.save\('(.+)'\)", code)
        made = np.asarray(Image.open(tmp_path / file))
        taken = pixels(screen.download(app, "Picture (PNG)"))
        apart = np.abs(made.astype(int) - taken.astype(int))
        assert apart.max() <= 1, (method, apart.max())
        assert apart.any(axis=-1).mean() < 0.01


def test_the_code_of_an_own_picture_reads_its_file(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(app.run())
    upload(app, ("it's mine.png", png(3), "image/png"))
    open_image(app, "it's mine.png")
    finish(app)
    (code,) = (c.value for c in app.code if "attnlib.load" in c.value)
    (tmp_path / "it's mine.png").write_bytes(png(3))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "copied", "exec"), {})
    assert len(list(tmp_path.glob("it's mine-*.png"))) == 1


def test_drawing_is_the_same_on_every_page(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    """Chosen on the gallery, seen on “CLS attention”."""
    name = library.wrong[3]
    oblong.segmented_control(key="mode").set_value("map").run()
    oblong.selectbox(key="colormap").set_value("cividis").run()
    finish(oblong)
    first = screen.cards(oblong)[0].figures[1]
    assert first.said["mode"] == "alone"
    assert (np.asarray(first.layer)[..., 3] == 255).all(), "nothing shines through"
    open_image(oblong, name)
    oblong.switch_page(path("cls_attention")).run()
    finish(oblong)
    shares = library.records[name].cls_rows[-1].mean(0).reshape(4, 6)
    picture = dict(screen.pictures(oblong))["where the CLS token looks"]
    # Every patch is one colour of the palette: nothing of the picture is left.
    palette = {tuple(colour) for colour in lookup("cividis").tolist()}
    height, width = picture.shape[0] // 4, picture.shape[1] // 6
    found = picture[height // 2 :: height, width // 2 :: width][:4, :6]
    assert {tuple(colour) for colour in found.reshape(-1, 3).tolist()} <= palette
    order = np.argsort(found.astype(int).sum(-1).ravel(), kind="stable")
    clipped = np.minimum(shares.ravel(), np.quantile(shares, 0.99))
    assert (np.diff(clipped[order]) > -0.05 * clipped.max()).all(), "lighter is more"


def test_an_outline_and_no_map(oblong: AppTest, screen: Screen, library: Library) -> None:
    oblong.segmented_control(key="mode").set_value("outline").run()
    finish(oblong)
    for card in screen.cards(oblong):
        made = library.vit.attribute(
            library.images[card.name], "relevance", library.predicted[card.name]
        )
        figure = card.figures[1]
        assert figure.layer is None and figure.said["mode"] == ""
        edges = re.findall(r"M(\d+) (\d+)L(\d+) (\d+)", figure.said["outline"])
        # The three strongest of 24 patches: each of their sides that no other of them shares.
        strongest = set(np.argsort(-made.values.ravel(), kind="stable")[:3].tolist())
        places = {divmod(i, 6) for i in strongest}
        sides: dict[tuple[int, int, int, int], int] = {}
        for r, c in places:
            for side in (
                (c, r, c + 1, r),
                (c, r + 1, c + 1, r + 1),
                (c, r, c, r + 1),
                (c + 1, r, c + 1, r + 1),
            ):
                sides[side] = sides.get(side, 0) + 1
        expected = {side for side, count in sides.items() if count == 1}
        assert {tuple(map(int, edge)) for edge in edges} == expected
    oblong.segmented_control(key="mode").set_value("off").run()
    finish(oblong)
    figure = screen.cards(oblong)[0].figures[1]
    assert figure.layer is None and not figure.said["outline"]


def test_names_are_never_markup_on_a_board(app: AppTest, screen: Screen) -> None:
    """Every text of a board is set as text by its script."""
    source = (Path(attnlib.__file__).parent / "dashboard/parts/board.js").read_text()
    assert "innerHTML" not in source and "insertAdjacentHTML" not in source
    settle(app.run())
    upload(app, ("<img src=x onerror=alert(1)>.png", png(0), "image/png"))
    assert not app.exception
    (card,) = screen.cards(app)
    assert card.name == "<img src=x onerror=alert(1)>.png"
