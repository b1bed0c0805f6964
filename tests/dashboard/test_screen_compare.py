"""“Rollout vs flow”: what reached the screen and the files, against the library and SciPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.compare.localisation import outlined
from attnlib.dashboard.state import results
from attnlib.evaluation import localisation
from attnlib.methods import METHODS, Heat
from attnlib.model import demo
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.layer import muted
from attnlib.pictures.overlay import enlarge, fit, heat_image, overlay
from tests.dashboard.driving import finish, part
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, charted, pixels, table

ROWS, COLS = 4, 6
SHOWN = tuple(name for name, method in METHODS.items() if method.compared)


@pytest.fixture
def page(oblong: AppTest, name: str) -> AppTest:
    oblong.session_state["image"] = name
    oblong.switch_page("../../pages/rollout_vs_flow/page.py").run()
    return finish(oblong)


@pytest.fixture
def heats(library: Library, name: str) -> dict[str, Heat]:
    guess = library.predicted[name]
    return {m: library.vit.attribute(library.images[name], m, guess) for m in SHOWN}


def shares(heats: dict[str, Heat]) -> dict[str, NDArray[np.float64]]:
    """Positive parts as multiples of what each patch would get."""
    found = {}
    for method, heat in heats.items():
        positive = np.clip(heat.values.astype(np.float64), 0, None)
        found[method] = positive / positive.mean()
    return found


ROUND = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)


def common(maps: dict[str, NDArray[np.float64]]) -> Scale:
    """By ratio, as far above uniform as nine of ten patches reach, and as far below."""
    reached = np.quantile(np.stack(list(maps.values())), 0.9)
    end = next(number for number in ROUND if number >= reached)
    return Scale(1 / end, end, True, "× uniform", mark=1.0, log=True)


def close(shown: object, expected: Image.Image) -> None:
    apart = np.abs(np.asarray(shown, int) - np.asarray(expected.convert("RGB"), int))
    assert apart.max() <= 4, apart.max()


def test_every_map(
    page: AppTest, screen: Screen, library: Library, name: str, heats: dict[str, Heat]
) -> None:
    maps, crop = shares(heats), library.vit.crop(library.images[name])
    scale, size = common(maps), fit(crop.size, 400)
    shown, files = screen.cells(page), screen.downloads(page)
    for method, values in maps.items():
        there = shown[f"compare_map_{method}"]
        assert there.values == pytest.approx(values, rel=1e-3, abs=1e-5), method
        close(there.pixels, overlay(crop, values, scale, None, size=size))
    rows = table(next(d for k, d in files.items() if k.endswith("-methods") and "csv" in k))
    assert len(rows) == ROWS * COLS
    for row in rows:
        at = int(row["row"]), int(row["column"])
        for method, heat in heats.items():
            taken = float(row[f"{method} ({heat.unit})"])
            assert taken == pytest.approx(float(heat.values[at]), rel=1e-4, abs=1e-7)
            taken = float(row[f"{method} (× uniform)"])
            assert taken == pytest.approx(maps[method][at], rel=1e-3, abs=1e-5)
    sheet = pixels(next(d for k, d in files.items() if k.endswith("-methods") and "png" in k))
    # The first row holds the crop and three methods, each under its title.
    width, height = fit(crop.size, 320)
    for place, method in enumerate(SHOWN[:3], 1):
        x = place * (width + 8) + 4
        tile = sheet[4 + 26 : 4 + 26 + height, x : x + width]
        close(tile, overlay(crop, maps[method], scale, None, size=(width, height)))
    target = demo.CLASS_NAMES[library.predicted[name]]
    assert any(f"for “{target}”" in c.value for c in page.caption)


@pytest.mark.parametrize("kind", ["× uniform", "per map"])
def test_other_scales(
    page: AppTest,
    screen: Screen,
    library: Library,
    name: str,
    heats: dict[str, Heat],
    kind: str,
) -> None:
    page.segmented_control(key="compare_scale").set_value(kind).run()
    maps, crop = shares(heats), library.vit.crop(library.images[name])
    size, shown = fit(crop.size, 400), screen.cells(finish(page))
    end = common(maps).high
    for method, values in maps.items():
        own = Scale(float(values.min()), float(values.max()), False, "")
        scale = own if kind == "per map" else Scale(0.0, end, False, "")
        there = shown[f"compare_map_{method}"]
        close(there.pixels, overlay(crop, values, scale, "plasma", size=size))
        low, high = float(values.min()), float(values.max())
        assert any(
            f"{low:.2g} to {high:.3g} ×" in c.value or f"{low:.3g} to {high:.3g} ×" in c.value
            for c in page.caption
        ), method
    assert any(("do not compare" in c.value) == (kind == "per map") for c in page.caption)


def test_a_uniform_map_has_no_colour_and_is_said_to_be_uniform(
    oblong: AppTest,
    screen: Screen,
    library: Library,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = results.heat

    def even(choice: Any, vit: Any, sample: Any, method: str, *rest: Any, **more: Any) -> Heat:
        heat = made(choice, vit, sample, method, *rest, **more)
        if method != "rollout":
            return heat
        return dataclasses.replace(heat, values=np.full_like(heat.values, 0.25))

    monkeypatch.setattr(results, "heat", even)
    oblong.session_state["image"] = name
    page = finish(oblong.switch_page("../../pages/rollout_vs_flow/page.py").run())
    crop = library.vit.crop(library.images[name])
    # Nothing lies over the picture, of which little colour is left.
    expected = muted(enlarge(crop, fit(crop.size, 400)))
    close(screen.cells(page)["compare_map_rollout"].pixels, expected)
    assert "uniform: every patch gets the same" in [c.value for c in page.caption]


def test_a_map_without_a_positive_value_is_the_bare_crop(
    oblong: AppTest,
    screen: Screen,
    library: Library,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = results.heat

    def negative(choice: Any, vit: Any, sample: Any, method: str, *rest: Any, **more: Any) -> Heat:
        heat = made(choice, vit, sample, method, *rest, **more)
        return dataclasses.replace(heat, values=-heat.values) if method == "random" else heat

    monkeypatch.setattr(results, "heat", negative)
    oblong.session_state["image"] = name
    page = finish(oblong.switch_page("../../pages/rollout_vs_flow/page.py").run())
    there = screen.cells(page)["compare_map_random"]
    crop = library.vit.crop(library.images[name])
    assert there.values is None
    close(there.pixels, enlarge(crop, fit(crop.size, 400)))
    assert any("no positive value" in caption.value for caption in page.caption)


@pytest.mark.parametrize(("first", "second"), [("rollout", "flow"), ("relevance", "raw")])
def test_the_difference(
    page: AppTest,
    screen: Screen,
    library: Library,
    name: str,
    heats: dict[str, Heat],
    first: str,
    second: str,
) -> None:
    page.selectbox(key="compare_first").set_value(first).run()
    page.selectbox(key="compare_second").set_value(second).run()
    maps, crop = shares(heats), library.vit.crop(library.images[name])
    change = maps[first] - maps[second]
    there = screen.cells(page)["compare_difference"]
    assert there.values == pytest.approx(change, rel=1e-3, abs=1e-4)
    scale = Scale.shared([change], signed=True)
    picture = overlay(crop, change, scale, None, size=fit(crop.size, 640))
    close(there.pixels, picture)
    files = screen.downloads(page)
    stem = f"{first}-minus-{second}"
    rows = table(next(d for k, d in files.items() if k.endswith(stem) and "csv" in k))
    taken = [[float(row[f"column {col}"]) for col in range(COLS)] for row in rows]
    assert np.array(taken) == pytest.approx(change, rel=1e-3, abs=1e-4)
    png = pixels(next(d for k, d in files.items() if k.endswith(stem) and "png" in k))
    close(png, overlay(crop, change, scale, None, size=fit(crop.size, 896)))
    numbers = {metric.label: metric.value for metric in page.metric}
    rank = stats.spearmanr(maps[first].ravel(), maps[second].ravel()).statistic
    assert numbers["Spearman"] == f"{rank:.2f}"
    moved = np.abs(change).sum() / 2 / change.size
    assert numbers["Moved"] == f"{moved:.0%}"


def test_agreement(page: AppTest, screen: Screen, heats: dict[str, Heat]) -> None:
    part(page, "Agreement")
    values = [heats[m].values.ravel() for m in SHOWN]
    expected = stats.spearmanr(np.stack(values, 1)).statistic
    shown, files = screen.cells(page)["compare_spearman"], screen.downloads(page)
    assert shown.values == pytest.approx(expected, abs=2e-3)
    rows = table(next(d for k, d in files.items() if k.endswith("-spearman") and "csv" in k))
    taken = [[float(v) for k, v in row.items() if k] for row in rows]
    assert np.array(taken) == pytest.approx(expected, abs=2e-3)
    assert list(rows[0])[1:] == [row[""] for row in rows]
    for key in ("spearman", "overlap"):
        png = pixels(next(d for k, d in files.items() if k.endswith(f"-{key}") and "png" in k))
        np.testing.assert_array_equal(png, screen.cells(page)[f"compare_{key}"].pixels)
    # Corners of cells carry the colour, the middle its number.
    scale, count = Scale(-1.0, 1.0, True, "", mark=0.0), len(SHOWN)
    colours = np.asarray(heat_image(expected, scale, size=(count, count)).convert("RGB"), int)
    side = shown.pixels.shape[0] // count
    assert np.abs(shown.pixels[3::side, 3::side].astype(int) - colours).max() <= 4


def test_a_drawn_box(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    part(page, "Localisation")
    stem = "compare_box"
    box = {"left": 4, "top": 2, "right": 19, "bottom": 7}
    for side, value in reversed(box.items()):
        page.number_input(key=f"{stem}_{side}").set_value(value).run()
        assert not page.exception, "half a box is none"
    finish(page)
    there = screen.cells(page)[f"{stem}_cells"].pixels.astype(int)
    orange = np.abs(there - [230, 159, 0]).sum(-1) < 30
    rows, cols = np.flatnonzero(orange.any(1)), np.flatnonzero(orange.any(0))
    across, down = there.shape[1] / 24, there.shape[0] / 16
    assert (cols[0], cols[-1]) == pytest.approx((4 * across, 19 * across), abs=6)
    assert (rows[0], rows[-1]) == pytest.approx((2 * down, 7 * down), abs=6)
    mask = np.zeros((16, 24), bool)
    mask[2:7, 4:19] = True
    guess = library.predicted[name]
    frame = next(f.value for f in page.dataframe if "method" in f.value)
    for method in ("rollout", "relevance", "raw"):
        heat = library.vit.attribute(library.images[name], method, guess)
        measured = localisation.localise(heat.values, mask)
        row = frame[frame["method"] == METHODS[method].title].iloc[0]
        numbers = [float(v) for k, v in row.items() if k != "method" and v is not None]
        known = [float(v) for v in vars(measured).values() if isinstance(v, int | float)]
        assert all(min(abs(n - k) for k in known) < 2e-3 for n in numbers)


def test_faithfulness_is_taken_along(page: AppTest, screen: Screen) -> None:
    part(page, "Faithfulness")
    files = screen.downloads(page)
    for kind, column in (("deletion", "patches taken away"), ("insertion", "patches put in")):
        rows = table(next(d for k, d in files.items() if k.endswith(f"-blur-{kind}")))
        drawn = next(
            charted(chart, 2)
            for chart in page.get("vega_lite_chart")
            if column in charted(chart, 2)[0]
        )
        taken = {(r["method"], round(float(r[column]), 6)): float(r["probability"]) for r in rows}
        for point in drawn:
            known = taken[point["method"], round(point[column], 6)]
            assert point["probability"] == pytest.approx(known, abs=1e-6)


def test_an_object_is_coloured_where_its_mask_is() -> None:
    mask = np.zeros((16, 24), bool)
    mask[2:7, 4:19] = True
    # On black, all that is seen is two fifths of Okabe and Ito's orange.
    there = np.asarray(outlined(Image.new("RGB", (24, 16)), mask))
    down, across = there.shape[0] / 16, there.shape[1] / 24
    for (row, col), inside in np.ndenumerate(mask):
        colour = there[int((row + 0.5) * down), int((col + 0.5) * across)]
        assert tuple(colour) == ((92, 63, 0) if inside else (0, 0, 0)), (row, col)
