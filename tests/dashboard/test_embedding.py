"""The map of images: what is drawn of the set, what a lasso encloses, what a link keeps of it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from sklearn.decomposition import PCA
from streamlit.testing.v1 import AppTest

from attnlib.audit import projection
from attnlib.audit.projection import Projection
from attnlib.dashboard.mistakes import coloured, embedding, page, thumbnails
from attnlib.dashboard.parts import scatter
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import lassoed, projected
from attnlib.model import demo
from tests.dashboard.driving import finish, settle, text, use, visitor
from tests.dashboard.library import Library


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows the map and says what it filters to, whatever stands around it elsewhere."""

    def shown(space: Workspace) -> None:
        found = embedding.selected(space)
        st.caption(f"filter: {'none' if found is None else ' '.join(sorted(found))}.")
        st.caption(f"opened: {st.session_state.get('image')}.")
        embedding.show(space)

    monkeypatch.setattr(page, "show", shown)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the browser would report, by the name of the act."""
    acts: dict[str, Any] = {}
    real = scatter._COMPONENT

    def mounted(**given: Any) -> None:
        acts.update({key: call for key, call in given.items() if key.startswith("on_")})
        real(**given)

    monkeypatch.setattr(scatter, "_COMPONENT", mounted)
    yield acts


def sent(app: AppTest, name: str = "attnlib_scatter") -> dict[str, Any]:
    """What was sent to the browser."""
    (found,) = (e for e in app.get("bidi_component") if e.proto.component_name == name)
    said: dict[str, Any] = json.loads(found.proto.json)
    return said


def numbers(coded: str, kind: type[np.generic]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(coded), kind)


def points(said: dict[str, Any]) -> dict[str, np.ndarray]:
    """The place of every image."""
    return dict(zip(said["names"], numbers(said["points"], np.float32).reshape(-1, 2), strict=True))


def act(app: AppTest, kept: dict[str, Any], name: str, value: dict[str, Any]) -> AppTest:
    """The browser's report of an act, then the run that follows."""
    app.session_state[embedding.KEY] = {name: value}
    wanted = kept[f"on_{name}_change"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", Reported(app, {name: value}))
        wanted()
    del app.session_state[embedding.KEY]
    return app.run()


class Reported:
    """The visitor's state, with what a component has just reported."""

    def __init__(self, app: AppTest, values: dict[str, Any]) -> None:
        self._app, self._values = app, type("Report", (), values)

    def __getitem__(self, key: str) -> Any:
        return self._values if key == embedding.KEY else self._app.session_state[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._app.session_state[key] = value


def filtered(app: AppTest) -> set[str] | None:
    """What the lasso leaves of the gallery."""
    (line,) = (c.value for c in app.caption if c.value.startswith("filter: "))
    words = line.removeprefix("filter: ").removesuffix(".")
    return None if words == "none" else set(words.split())


def test_every_image_stands_where_its_embedding_lies(oblong: AppTest, library: Library) -> None:
    said = sent(oblong)
    found = points(said)
    assert set(found) == set(library.names)
    embeddings = np.stack([library.records[name].embedding for name in library.names])
    wanted = PCA(2, svd_solver="full").fit_transform(embeddings.astype(np.float64))
    placed = np.stack([found[name] for name in library.names]).astype(np.float64)
    # Moved and scaled, both axes alike, and maybe mirrored: distances are what counts.
    far = np.linalg.norm(wanted[:, None] - wanted, axis=2)
    near = np.linalg.norm(placed[:, None] - placed, axis=2)
    assert near * (far.max() / near.max()) == pytest.approx(far, abs=1e-4 * far.max())
    assert placed.min(axis=0) == pytest.approx(0)
    assert placed.max(axis=0) == pytest.approx(said["extent"])
    assert max(said["extent"]) == 1
    shares = PCA(2).fit(embeddings.astype(np.float64)).explained_variance_ratio_
    assert f"Left to right shows {shares[0]:.0%} and bottom to top {shares[1]:.0%}" in text(
        oblong
    ).replace("\\", "")


def test_what_is_right_and_wrong_is_told_by_shape_and_colour(
    oblong: AppTest, library: Library
) -> None:
    said = sent(oblong)
    shapes, codes = numbers(said["shapes"], np.uint8), numbers(said["codes"], np.uint8)
    for name, shape, code in zip(said["names"], shapes, codes, strict=True):
        wrong = name in library.wrong
        assert (shape == 1) == wrong
        assert said["palette"][code]["name"] == ("wrong" if wrong else "right")
        assert said["palette"][code]["shape"] == shape
    lines = dict(zip(said["names"], numbers(said["said"], np.uint32), strict=True))
    name = library.wrong[0]
    true, taken = (demo.CLASS_NAMES[i] for i in (library.true[name], library.predicted[name]))
    sure = float(library.records[name].probabilities.max())
    assert said["lines"][lines[name]] == f"{true} → {taken}, {sure:.0%} sure"


def test_classes_and_numbers_colour_the_dots(oblong: AppTest, library: Library) -> None:
    oblong.selectbox(key="embedding_colour").set_value("predicted_class").run()
    said = sent(oblong)
    for name, code in zip(said["names"], numbers(said["codes"], np.uint8), strict=True):
        entry = said["palette"][code]["name"]
        taken = demo.CLASS_NAMES[library.predicted[name]]
        assert entry == taken or entry.endswith(" others")
    shown = [e["name"] for e in said["palette"]]
    assert demo.CLASS_NAMES[library.predicted[library.names[0]]] in shown or "others" in shown[-2]
    oblong.selectbox(key="embedding_colour").set_value("confidence").run()
    said = sent(oblong)
    values = numbers(said["values"], np.float32)
    wanted = np.array([library.records[n].probabilities.max() for n in said["names"]])
    assert values == pytest.approx(wanted, abs=1e-5)
    codes = numbers(said["codes"], np.uint8).astype(int)
    order = np.argsort(wanted)
    assert (np.diff(codes[order]) >= 0).all()
    assert (codes.min(), codes.max()) == (0, 254)


def test_a_tag_colours_where_there_are_tags(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = oblong.selectbox(key="embedding_colour").options
    assert "Tag" not in options
    tagged = {library.names[0]: ["night"], library.names[1]: ["blurred", "night"]}
    remarks = {name: type("Remark", (), {"tags": frozenset(t)}) for name, t in tagged.items()}
    object.__setattr__(oblong.session_state["session"], "remarks", remarks)
    oblong.run()
    oblong.selectbox(key="embedding_colour").set_value("tag").run()
    said = sent(oblong)
    codes = dict(zip(said["names"], numbers(said["codes"], np.uint8), strict=True))
    named = {name: said["palette"][code]["name"] for name, code in codes.items()}
    assert named[library.names[0]] == "night"
    assert named[library.names[1]] == "blurred + night"
    assert named[library.names[2]] == "no tag"


def test_a_lasso_filters_to_what_it_encloses_and_a_link_keeps_it(
    oblong: AppTest, kept: dict[str, Any], library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = points(sent(oblong.run()))
    x, y = np.median(np.stack([*found.values()]), axis=0).tolist()
    box = [[-0.1, -0.1], [x, -0.1], [x, y], [-0.1, y]]
    act(oblong, kept, "lasso", {"corners": box})
    wanted = {name for name, (u, v) in found.items() if u < x - 1e-4 and v < y - 1e-4}
    assert 2 < len(wanted) < len(found) - 2
    assert filtered(oblong) == wanted
    said = sent(oblong)
    inside = numbers(said["chosen"], np.uint8)
    assert {name for name, is_in in zip(said["names"], inside, strict=True) if is_in} == wanted
    assert said["lasso"] == pytest.approx(np.array(box), abs=1e-4)
    link = dict(oblong.query_params)
    other = visitor()
    use(other, library.vit, monkeypatch, name=oblong.session_state["session"].choice.source)
    for key, value in link.items():
        other.query_params[key] = value
    assert filtered(settle(other.run())) == wanted
    assert not other.toast
    act(oblong, kept, "lasso", {"corners": []})
    assert filtered(oblong) is None
    assert "gallery_lasso" not in oblong.query_params


def test_a_lasso_drawn_among_other_images_is_refused_in_words(
    oblong: AppTest, kept: dict[str, Any]
) -> None:
    act(oblong.run(), kept, "lasso", {"corners": [[-0.1, -0.1], [0.5, -0.1], [0.5, 1], [0, 1]]})
    assert filtered(oblong)
    session = oblong.session_state["session"]
    session.samples = session.samples[3:]
    settle(oblong.run())
    assert filtered(oblong) is None
    assert "drawn among other images" in text(oblong)
    assert sent(oblong)["erasable"]
    assert sent(oblong)["chosen"] == ""


def test_a_lasso_of_a_link_that_is_none_is_said(app: AppTest) -> None:
    app.query_params["gallery_lasso"] = "pca_1234_0.0"
    app.run()
    assert any("a line as the map of images draws it" in t.value for t in app.toast)
    assert filtered(settle(app)) is None


NO_LINES: list[Any] = [
    None,
    3,
    [[0, 0]],
    [[0, 0], [1, 1]],
    [[0, 0], [1], [2, 2]],
    [["0", 0]] * 3,
    [[True, 0]] * 3,
    [[float("nan"), 0]] * 3,
    [[0, 1]] * 5000,
]


@pytest.mark.parametrize("bad", NO_LINES)
def test_a_line_that_is_none_is_not_taken_from_a_browser(bad: Any) -> None:
    assert scatter.corners(bad) is None


def test_a_click_opens_the_image(oblong: AppTest, kept: dict[str, Any]) -> None:
    names = sent(oblong.run())["names"]
    act(oblong, kept, "open", {"number": 7})
    assert f"opened: {names[7]}." in [c.value for c in oblong.caption]
    for number in (-1, len(names), "3", None):
        act(oblong, kept, "open", {"number": number})
        assert f"opened: {names[7]}." in [c.value for c in oblong.caption]


def test_thumbnails_come_a_sheet_at_a_time_in_the_order_of_the_dots(
    oblong: AppTest, kept: dict[str, Any], library: Library
) -> None:
    names = sent(oblong.run())["names"]
    assert sent(oblong, "attnlib_sheets")["image"] == ""
    act(oblong, kept, "sheet", {"number": 1})
    said = sent(oblong, "attnlib_sheets")
    assert said["number"] == 1
    assert said["of"] == sent(oblong)["of"]
    picture = Image.open(io.BytesIO(base64.b64decode(said["image"].split(",", 1)[1])))
    tile, rest = thumbnails.TILE, names[projected.PER_SHEET :]
    assert picture.size == (8 * tile, 8 * tile)
    for i, name in enumerate(rest[:12]):
        x, y = i % 8 * tile, i // 8 * tile
        # 16 x 24 pixels of the crop fill 32 x 48 in the middle of a tile.
        part = np.asarray(picture.crop((x, y + 8, x + tile, y + 40)), float)
        crop = library.vit.crop(library.images[name]).resize((48, 32))
        assert np.abs(part - np.asarray(crop, float)).mean() < 6, name


def test_neighbours_have_near_numbers() -> None:
    rng = np.random.default_rng(0)
    given = rng.random((2000, 2))
    order = projected.strips(given)
    assert sorted(order) == list(range(2000))
    sheets = [given[order[i : i + 64]] for i in range(0, 2000, 64)]
    spread = np.mean([np.ptp(sheet, axis=0).prod() for sheet in sheets])
    assert spread < 0.06, "a sheet covers much of the map"


def test_tsne_is_computed_when_asked_and_beside_the_page(
    oblong: AppTest, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    asked = []

    def project(embeddings: np.ndarray, method: str) -> Projection:
        asked.append((embeddings.shape, method))
        return Projection(rng.normal(size=(len(embeddings), 2)))

    monkeypatch.setattr(projection, "project", project)
    results.store.clear()
    oblong.segmented_control(key="embedding_projection").set_value("tsne").run()
    assert not asked
    button = next(b for b in oblong.button if b.label == "Compute t-SNE")
    finish(button.click().run())
    assert [method for _, method in asked if method == "tsne"] == ["tsne"]
    found = points(sent(oblong))
    assert len(found) == 80
    act(oblong, kept, "lasso", {"corners": [[-0.1, -0.1], [0.5, -0.1], [0.5, 1.1], [-0.1, 1.1]]})
    wanted = {name for name, (u, _) in found.items() if u < 0.5}
    assert filtered(oblong) == wanted
    # On another arrangement the same images stand out, without the line.
    oblong.segmented_control(key="embedding_projection").set_value("pca").run()
    said = sent(oblong)
    assert filtered(oblong) == wanted
    assert said["lasso"] == []
    assert numbers(said["chosen"], np.uint8).sum() == len(wanted)
    results.store.clear()
    oblong.run()
    assert filtered(oblong) is None
    assert "was drawn on t-SNE, which is not computed here yet" in text(oblong).replace("\\", "")


def test_a_missing_library_is_named(oblong: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    oblong.segmented_control(key="embedding_projection").set_value("umap").run()
    assert "python -m pip install umap-learn" in text(oblong)
    assert not oblong.exception


def test_while_images_come_in_the_map_grows_in_steps_and_nothing_is_encircled(
    oblong: AppTest, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    act(oblong.run(), kept, "lasso", {"corners": [[-0.1, -0.1], [0.5, -0.1], [0.5, 1], [0, 1]]})
    assert filtered(oblong)
    monkeypatch.setattr(projected, "finished", lambda space: False)
    oblong.run()
    said = sent(oblong)
    assert len(said["names"]) == projected.steps(80) == 60
    assert not said["lassoable"]
    assert filtered(oblong) is None
    assert "60 of 80 images so far" in text(oblong).replace("\\", "")
    assert "applied as soon as all images are inspected" in text(oblong)


def test_steps_never_exceed_what_there_is() -> None:
    found = [projected.steps(n) for n in range(2000)]
    assert all(0 <= step <= n for n, step in enumerate(found))
    assert all(step > n / 2 for n, step in enumerate(found) if n > 7)
    assert found[:8] == [0] * 8
    assert len(set(found)) < 20


def test_a_written_lasso_is_read_again() -> None:
    line = lassoed.Lasso("tsne", "0123abcd", np.array([[0, 0.5], [-0.25, 1.5], [1e-4, -0.5]]))
    again = lassoed.Lasso.read(str(line))
    assert (again.method, again.check) == ("tsne", "0123abcd")
    assert again.polygon == pytest.approx(line.polygon, abs=1e-12)
    for bad in ("", "pca", "svd_0123abcd_0.0_1.0_1.1", "pca_0123abcd_0.0_1.0", "pca_0123abcd_a.b"):
        with pytest.raises(ValueError, match="a line as the map"):
            lassoed.Lasso.read(bad)
    with pytest.raises(ValueError, match="a line as the map"):
        lassoed.Lasso.read("pca_0123abcd" + "_1.1" * 25)


def test_a_few_extreme_numbers_do_not_leave_one_colour() -> None:
    values = np.array([*np.linspace(0, 1, 300), 80.0, np.nan])
    found = coloured.numbers(values, "loss")
    assert found.codes[-1] == 255
    assert found.codes[-2] == 254
    assert len(set(found.codes[:300].tolist())) > 200
    assert found.ends is not None
    assert found.ends[1].startswith("≥ ")
    flat = coloured.numbers(np.full(5, 2.0), "loss")
    assert len(set(flat.codes.tolist())) == 1
