"""“CLS attention”: what reached the screen and the files, against weights seen by plain hooks."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

from attnlib.heads import pattern
from attnlib.model import demo
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import enlarge, fit, heat_image, overlay
from tests.dashboard.driving import settle
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, charted, pixels, table

PAGE = "../../pages/cls_attention/page.py"
ROWS, COLS = 4, 6
SIDE = 456
Weights = NDArray[np.float64]


@pytest.fixture
def weights(library: Library, name: str) -> Weights:
    return library.weights(name)


@pytest.fixture
def page(oblong: AppTest, name: str) -> AppTest:
    oblong.session_state["image"] = name
    oblong.switch_page(PAGE).run()
    assert not oblong.exception
    return oblong


def choose(page: AppTest, view: str, layer: int = 5, head: str = "mean") -> AppTest:
    page.segmented_control(key="attention_view").set_value(view).run()
    page.selectbox(key="attention_layer").set_value(str(layer)).run()
    page.selectbox(key="attention_head").set_value(head).run()
    assert not page.exception
    return page


def scale(*maps: Weights) -> Scale:
    """From 0 to the 99 % quantile of all the values, in multiples of uniform."""
    values = np.concatenate([one.astype(np.float32).ravel() for one in maps])
    return Scale.times_uniform(values[values <= np.quantile(values, 0.99)], ROWS * COLS)


def close(shown: object, expected: object, levels: int = 3) -> None:
    """Equal pictures, but for the palette entry that a rounding error decides."""
    apart = np.abs(np.asarray(shown, int) - np.asarray(expected, int))
    assert apart.max() <= levels, apart.max()


@pytest.mark.parametrize(
    ("layer", "head", "query"), [(5, "mean", None), (2, "3", None), (1, "max", 1 + 6 * 1 + 4)]
)
def test_one_head(
    page: AppTest,
    screen: Screen,
    library: Library,
    name: str,
    weights: Weights,
    layer: int,
    head: str,
    query: int | None,
) -> None:
    page.session_state["attention_query"] = query
    choose(page, "One head", layer, head)
    asks = query or 0

    def fused(rows: Weights) -> Weights:
        by_head = rows.reshape(-1, ROWS, COLS)
        if head == "mean":
            return by_head.mean(0)
        return by_head.max(0) if head == "max" else by_head[int(head)]

    seen = fused(weights[layer, :, asks, 1:])
    back = fused(weights[layer, :, 1:, asks])
    shown = screen.cells(page)["attention_patch"]
    assert shown.shape == (ROWS, COLS)
    assert shown.values == pytest.approx(seen * ROWS * COLS, rel=1e-4)
    assert shown.said["selected"] == ([] if query is None else [[1, 4]])
    crop = library.vit.crop(library.images[name])
    close(shown.pixels, enlarge(crop, fit(crop.size, SIDE)).convert("RGB"), 0)
    both = scale(seen, back)
    size = fit(crop.size, SIDE)
    drawn = dict(screen.pictures(page))
    if query is None:
        close(drawn["where the CLS token looks"], overlay(crop, seen, both, size=size))
        close(drawn["who looks at the CLS token"], overlay(crop, back, both, size=size))
        (plain_map,) = (p for caption, p in drawn.items() if caption.startswith("map of"))
        close(plain_map, heat_image(seen, both, size=size).convert("RGB"))
    else:
        framed = np.asarray(drawn["where patch (1, 4) looks"], int)
        bare = np.asarray(overlay(crop, seen, both, size=size).convert("RGB"), int)
        rows, cols = np.nonzero(np.abs(framed - bare).max(-1) > 3)
        assert len(rows), "no frame"
        across, down = size[0] / COLS, size[1] / ROWS
        assert (rows.min(), rows.max()) == pytest.approx((down, 2 * down), abs=4)
        assert (cols.min(), cols.max()) == pytest.approx((4 * across, 5 * across), abs=4)
    (data,) = (d for key, d in screen.downloads(page).items() if key.startswith("csv_"))
    rows = table(data)
    assert len(rows) == ROWS * COLS
    for row in rows:
        at = int(row["row"]), int(row["col"])
        assert float(row["share"]) == pytest.approx(seen[at], rel=1e-4)
        assert float(row["share given to the query"]) == pytest.approx(back[at], rel=1e-4)
    (data,) = (d for key, d in screen.downloads(page).items() if key.startswith("png_"))
    close(pixels(data), overlay(crop, seen, both, size=fit(crop.size, 896)))


def long_table(data: bytes) -> dict[tuple[int, ...], float]:
    keys = ("layer", "head", "row", "col")
    return {tuple(int(row[key]) for key in keys): float(row["share"]) for row in table(data)}


def test_heads_of_a_layer(
    page: AppTest, screen: Screen, library: Library, name: str, weights: Weights
) -> None:
    choose(page, "Heads of a layer", 3)
    maps = weights[3, :, 0, 1:].reshape(-1, ROWS, COLS)
    shown = screen.cells(page)["attention_heads"]
    assert shown.shape == (1, len(maps))
    crop = library.vit.crop(library.images[name])
    width, height = fit(crop.size, 400)
    for head, one in enumerate(maps):
        tile = shown.pixels[:, head * width : (head + 1) * width]
        close(tile, overlay(crop, one, scale(maps), size=(width, height)))
        flat = one.ravel()
        entropy = -(flat / flat.sum() * np.log(flat / flat.sum())).sum() / np.log(len(flat))
        peak = flat.max() * len(flat)
        assert f"entropy {entropy:.2f}, peak {peak:.1f}" in shown.said["cell_names"][head]
    files = screen.downloads(page)
    np.testing.assert_array_equal(pixels(files["png_attention_heads"]), shown.pixels)
    rows = table(files["csv_attention_heads"])
    assert len(rows) == maps.size
    for row in rows:
        at = int(row["head"]), int(row["row"]), int(row["col"])
        assert float(row["share"]) == pytest.approx(maps[at], rel=1e-4)


def test_all_layers_and_heads(page: AppTest, screen: Screen, weights: Weights) -> None:
    choose(page, "All layers × heads", 3, "1")
    shown = screen.cells(page)["attention_all_heads"]
    layers, heads = weights.shape[:2]
    assert shown.shape == (layers, heads)
    assert shown.said["selected"] == [[3, 1]]
    maps = weights[:, :, 0, 1:].reshape(layers, heads, ROWS, COLS)
    both = scale(maps)
    assert shown.pixels.shape[1] <= 2 * shown.said["width"], "more pixels than any screen has"
    height, width = shown.pixels.shape[0] / layers, shown.pixels.shape[1] / heads
    for (layer, head), _ in np.ndenumerate(maps[:, :, 0, 0]):
        # The middle of every patch of every small map, a line apart from its neighbours.
        colours = np.asarray(heat_image(maps[layer, head], both, size=(COLS, ROWS)).convert("RGB"))
        for (row, col), _ in np.ndenumerate(maps[layer, head]):
            y = int((layer + (row + 0.5) / ROWS) * height)
            x = int((head + (col + 0.5) / COLS) * width)
            close(shown.pixels[y, x], colours[row, col])
    files = screen.downloads(page)
    np.testing.assert_array_equal(pixels(files["png_all-heads"]), shown.pixels)
    found = long_table(files["csv_all-heads"])
    assert len(found) == maps.size
    for at, share in found.items():
        assert share == pytest.approx(maps[at], rel=1e-4)


def test_through_the_layers(
    page: AppTest, screen: Screen, library: Library, name: str, weights: Weights
) -> None:
    choose(page, "Through the layers", 5, "2")
    maps = weights[:, 2, 0, 1:].reshape(-1, ROWS, COLS)
    crop = library.vit.crop(library.images[name])
    size = fit(crop.size, SIDE)
    shown = {c: p for c, p in screen.pictures(page) if c.startswith("layer ")}
    assert list(shown) == ["layer 0", "layer 2", "layer 4", "layer 5"]
    for caption, picture in shown.items():
        layer = int(caption.split()[1])
        close(picture, overlay(crop, maps[layer], scale(maps), size=size))
    share = weights[:, :, 0, 1:]
    share = share / share.sum(-1, keepdims=True)
    entropy = -(share * np.log(share)).sum(-1) / np.log(ROWS * COLS)
    for row in charted(page.get("vega_lite_chart")[0]):
        assert row["value"] == pytest.approx(entropy[row["layer"], row["head"]], abs=1e-4)
    files = screen.downloads(page)
    for layer, row in enumerate(table(files["csv_entropy-by-layer"])):
        assert [float(row[f"head {i}"]) for i in range(4)] == pytest.approx(
            entropy[layer], abs=1e-4
        )
    strip = pixels(files["png_progression"])
    for layer, one in enumerate(maps):
        part = strip[:, layer * size[0] : (layer + 1) * size[0]]
        close(part, overlay(crop, one, scale(maps), size=size))
    for row in table(files["csv_progression"]):
        at = int(row["layer"]), int(row["row"]), int(row["col"])
        assert float(row["share"]) == pytest.approx(maps[at], rel=1e-4)


def test_peaks_and_nats_of_every_layer(page: AppTest, screen: Screen, weights: Weights) -> None:
    choose(page, "Through the layers", 5, "2")
    page.segmented_control(key="attention_entropy").set_value("in nats").run()
    maps = weights[:, :, 0, 1:]
    share = maps / maps.sum(-1, keepdims=True)
    nats = -(share * np.log(share)).sum(-1)
    for row in charted(page.get("vega_lite_chart")[0]):
        assert row["value"] == pytest.approx(nats[row["layer"], row["head"]], abs=1e-3)
    rows = table(screen.downloads(page)["csv_peak-by-layer"])
    assert len(rows) == len(weights)
    for layer, row in enumerate(rows):
        at = divmod(int(np.argmax(maps[layer, 2])), COLS)
        assert row["peak (row, col)"] == str(at)
        assert float(row["× uniform"]) == pytest.approx(maps[layer, 2].max() * 24, rel=1e-3)
        assert float(row["entropy (nats)"]) == pytest.approx(nats[layer, 2], abs=1e-3)


def test_early_middle_and_late_layers(
    page: AppTest, screen: Screen, library: Library, weights: Weights
) -> None:
    choose(page, "Through the layers", 5, "2")
    rows = table(screen.downloads(page)["csv_layer-ranges"])
    assert [row["layers"] for row in rows] == [
        "early, layers 0–1",
        "middle, layers 2–3",
        "late, layers 4–5",
    ]
    between = weights[:, :, 1:, 1:] / weights[:, :, 1:, 1:].sum(-1, keepdims=True)
    y, x = np.divmod(np.arange(24), COLS)
    height, width = library.vit.layout.patch_size
    apart = np.hypot((y[:, None] - y) * height, (x[:, None] - x) * width)
    distance = (between * apart).sum(-1).mean((1, 2))
    columns = [str(m.value) for m in page.markdown if "Typical pattern" in str(m.value)]
    assert len(columns) == 3
    for i, row in enumerate(rows):
        here = distance[2 * i : 2 * i + 2].mean()
        assert float(row["distance (px)"]) == pytest.approx(here, rel=1e-3)
        words = f"**{here:.1f} px**, {here / apart.mean():.0%} of looking everywhere alike"
        assert words in columns[i]
        heads = [
            pattern(m, library.vit.layout).name
            for m in weights[2 * i : 2 * i + 2].reshape(-1, 25, 25)
        ]
        assert all(f"{name} {heads.count(name)} of 8" in row["patterns"] for name in heads)
        assert row["patterns"] in columns[i]
    change = distance[4:].mean() / distance[:2].mean() - 1
    verdict = {True: "follows the rule", False: "opposite"}[bool(change > 0)]
    assert abs(change) > 0.05, "else another sentence is due"
    assert any(
        verdict in str(m.value) and f"({change:+.0%})" in str(m.value) for m in page.markdown
    )


def test_an_animation_moves(
    page: AppTest, screen: Screen, library: Library, name: str, weights: Weights
) -> None:
    choose(page, "Through the layers", 5, "2")
    page.toggle(key="attention_play").set_value(True).run()
    assert max(screen.frames(page)) == 6
    assert "layers 0 to 5, one after the other" in dict(screen.pictures(page))
    opened = [Image.open(io.BytesIO(data)) for data in screen.files.values()]
    (moving,) = (one for one in opened if getattr(one, "n_frames", 1) > 1)
    maps = weights[:, 2, 0, 1:].reshape(-1, ROWS, COLS)
    crop = library.vit.crop(library.images[name])
    for layer, one in enumerate(maps):
        moving.seek(layer)
        close(moving.convert("RGB"), overlay(crop, one, scale(maps), size=fit(crop.size, SIDE)))


@pytest.mark.parametrize(("clip", "share"), [("largest", 1.0), ("99 %", 0.99), ("95 %", 0.95)])
def test_where_the_scale_ends(
    page: AppTest,
    screen: Screen,
    library: Library,
    name: str,
    weights: Weights,
    clip: str,
    share: float,
) -> None:
    page.segmented_control(key="attention_clip").set_value(clip).run()
    choose(page, "Heads of a layer", 3)
    maps = weights[3, :, 0, 1:].reshape(-1, ROWS, COLS).astype(np.float32)
    end = Scale.times_uniform(maps[maps <= np.quantile(maps, share)], ROWS * COLS)
    crop = library.vit.crop(library.images[name])
    size = fit(crop.size, 400)
    shown = screen.cells(page)["attention_heads"].pixels[:, : size[0]]
    close(shown, overlay(crop, maps[0], end, size=size))


def test_the_whole_matrix(page: AppTest, screen: Screen, weights: Weights) -> None:
    choose(page, "Token × token", 4, "1")
    matrix = weights[4, 1]
    tokens = len(matrix)
    shown = screen.cells(page)["attention_matrix"]
    assert shown.values == pytest.approx(matrix * tokens, rel=1e-3)
    assert shown.said["row_names"][1 + 6 + 4] == "patch (1, 4) →"
    assert shown.said["col_names"][1 + 6 + 4] == "patch (1, 4)"
    files = screen.downloads(page)
    (data,) = (d for key, d in files.items() if key.startswith("csv_"))
    taken = [[float(v) for k, v in row.items() if k] for row in table(data)]
    assert np.array(taken) == pytest.approx(matrix, rel=1e-3, abs=1e-7)
    dark, bright = np.unravel_index([matrix.argmin(), matrix.argmax()], matrix.shape)
    for (row, col), least in zip(zip(dark, bright, strict=True), (False, True), strict=True):
        level = shown.pixels.astype(int).sum(-1)[row, col]
        assert level == (shown.pixels.astype(int).sum(-1).max() if least else level)
    (data,) = (d for key, d in files.items() if key.startswith("png_"))
    factor = pixels(data).shape[0] // tokens
    np.testing.assert_array_equal(pixels(data)[::factor, ::factor], shown.pixels)


@pytest.mark.parametrize("kind", ["Nearest correct", "Another image"])
def test_beside_another_image(
    page: AppTest, screen: Screen, library: Library, name: str, weights: Weights, kind: str
) -> None:
    choose(page, "Compare", 2, "3")
    page.segmented_control(key="attention_compare").set_value(kind).run()
    other = library.nearest_correct(name, library.true[name])
    if kind == "Another image":
        other = next(n for n in reversed(library.names) if n != name)
        page.selectbox(key="attention_other").set_value(other).run()
    assert other is not None
    sides = [
        (library.vit.crop(library.images[n]), library.weights(n)[2, 3, 0, 1:].reshape(ROWS, COLS))
        for n in (name, other)
    ]
    top = Scale.times_uniform(np.stack([m for _, m in sides]).astype(np.float32), ROWS * COLS)
    shown = [p for c, p in screen.pictures(page) if p.shape[1] == SIDE]
    expected = []
    for crop, one in sides:
        size = fit(crop.size, SIDE)
        expected += [enlarge(crop, size).convert("RGB"), overlay(crop, one, top, size=size)]
    for there, picture in zip(shown, expected, strict=True):
        close(there, picture)
    titles = [t.value for t in page.text]
    for title, which in zip(titles, (name, other), strict=True):
        assert which in title
        assert f"predicted: {demo.CLASS_NAMES[library.predicted[which]]}" in title
        assert f"true: {demo.CLASS_NAMES[library.true[which]]}" in title
    files = screen.downloads(page)
    (data,) = (d for key, d in files.items() if key.startswith("csv_"))
    for place, row in enumerate(table(data)):
        side, at = divmod(place, ROWS * COLS)
        assert (int(row["row"]), int(row["col"])) == divmod(at, COLS)
        assert float(row["share"]) == pytest.approx(sides[side][1].ravel()[at], rel=1e-4)
    (data,) = (d for key, d in files.items() if key.startswith("png_"))
    height = shown[0].shape[0]
    for place, there in enumerate(shown):
        down, across = divmod(place, 2)
        part = pixels(data)[
            down * height : (down + 1) * height, across * SIDE : (across + 1) * SIDE
        ]
        np.testing.assert_array_equal(part, there)


def test_files_are_named_after_the_image_without_its_folder(
    page: AppTest, screen: Screen, name: str
) -> None:
    session = page.session_state["session"]
    session.samples = tuple(
        dataclasses.replace(s, name=f"a/b/{s.name}") if s.name == name else s
        for s in session.samples
    )
    session.job = None
    settle(page.run())
    page.session_state["image"] = f"a/b/{name}"
    choose(page, "One head", 2, "3")
    assert {f"csv_{name}-layer2-3", f"png_{name}-layer2-3"} <= set(screen.downloads(page))
