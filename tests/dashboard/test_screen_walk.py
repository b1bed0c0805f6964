"""“Attention walk-through”: every step on screen against hooks on a float64 copy of the model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from attnlib.pictures.overlay import enlarge, fit
from tests.dashboard.driving import finish
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, pixels, table

LAYER, HEAD, QUERY = 3, 2, 1 + 6 * 2 + 1
HEADS, WIDTH = 4, 32
Values = dict[str, NDArray[np.float64]]


@pytest.fixture
def page(oblong: AppTest, name: str) -> AppTest:
    oblong.session_state["image"] = name
    oblong.session_state["walk_query"] = QUERY
    oblong.switch_page("../../pages/attention_walkthrough/page.py").run()
    oblong.selectbox(key="walk_layer").set_value(str(LAYER)).run()
    oblong.selectbox(key="walk_head").set_value(str(HEAD)).run()
    return finish(oblong)


def reference(library: Library, name: str) -> Values:
    """What hooks see in the layer, and what follows by hand."""
    module = copy.deepcopy(library.vit.module).double()
    block, seen = module.blocks[LAYER], {}

    def keep(key: str) -> object:
        return lambda m, inputs, output: seen.update({key: output[0].numpy()})

    block.register_forward_pre_hook(lambda m, inputs: seen.update(z=inputs[0][0].numpy()))
    for key, part in {"x": block.norm1, "qkv": block.attn.qkv, "y": block.attn.proj}.items():
        part.register_forward_hook(keep(key))
    with torch.no_grad():
        module(library.vit.pixels(library.images[name]).double())
    tokens = len(seen["x"])
    q, k, v = seen["qkv"].reshape(tokens, 3, HEADS, WIDTH).transpose(1, 2, 0, 3)
    scores = np.einsum("hd,htd->ht", q[:, QUERY], k)
    grown = np.exp(scores / np.sqrt(WIDTH))
    weights = grown / grown.sum(-1, keepdims=True)
    heads = np.einsum("ht,htd->hd", weights, v)
    return {
        "walk_x": seen["x"],
        "walk_queries": q[HEAD],
        "walk_keys": k[HEAD],
        "walk_values": v[HEAD],
        "walk_scores": scores[HEAD],
        "walk_unscaled": scores[HEAD],
        "walk_scaled": scores[HEAD] / np.sqrt(WIDTH),
        "walk_weights": weights[HEAD],
        "walk_v": v[HEAD],
        "walk_av": weights[HEAD][:, None] * v[HEAD],
        "walk_o": heads[HEAD],
        "walk_concat": heads.ravel(),
        "walk_y": seen["y"][QUERY],
        "walk_y_model": seen["y"][QUERY],
        "walk_before": seen["z"][QUERY],
        "walk_added": seen["y"][QUERY],
        "walk_after": seen["z"][QUERY] + seen["y"][QUERY],
    }


def on_screen(key: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """As cells: a number per patch over the image, a vector as one row, a matrix as it is."""
    if values.ndim == 2:
        return values
    return values[1:].reshape(4, 6) if len(values) == 25 else values[None]


def test_every_step(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    expected = reference(library, name)
    met = set()
    for _ in range(10):
        shown, files = screen.cells(page), screen.downloads(page)
        steps = [key for key in shown if key != "walk_patch"]
        assert steps
        for key in steps:
            met.add(key)
            values = on_screen(key, expected[key])
            assert shown[key].values == pytest.approx(values, abs=1e-3, rel=1e-3), key
            np.testing.assert_array_equal(pixels(files[f"png_{key}"]), shown[key].pixels)
            if f"csv_{key}" in files:
                rows = table(files[f"csv_{key}"])
                taken = [[float(v) for k, v in row.items() if k] for row in rows]
                assert np.array(taken) == pytest.approx(expected[key], abs=1e-3, rel=1e-3)
                assert rows[QUERY][""] == "patch (2, 1)"
        told = [c.value.split(": ")[1] for c in page.caption if c.value.startswith("CLS token: ")]
        first = [expected[k][0] for k in steps if len(expected[k]) == 25 and expected[k].ndim == 1]
        assert [float(value) for value in told] == pytest.approx(first, abs=1e-3, rel=1e-3)
        numbers = next((d for k, d in files.items() if k.startswith("csv_walk-")), None)
        vectors = [key for key in steps if expected[key].ndim == 1]
        if vectors:
            assert numbers is not None
            columns = [[float(v) for k, v in row.items() if k != "index"] for row in table(numbers)]
            for column, key in zip(np.array(columns).T, vectors, strict=True):
                assert column == pytest.approx(expected[key], abs=1e-3, rel=1e-3), key
        button = page.button(key="walk_next")
        if button.disabled:
            break
        button.click().run()
    assert met == set(expected)


def test_the_query_is_framed_on_the_image(
    page: AppTest, screen: Screen, library: Library, name: str
) -> None:
    shown = screen.cells(page)["walk_patch"]
    assert shown.shape == (4, 6)
    assert shown.said["selected"] == [[2, 1]]
    crop = library.vit.crop(library.images[name])
    expected = enlarge(crop, fit(crop.size, 456)).convert("RGB")
    np.testing.assert_array_equal(shown.pixels, np.asarray(expected))


def test_temperature(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    page.segmented_control(key="walk_part").set_value("Temperature").run()
    page.select_slider(key="walk_temperature").set_value(1.995).run()
    scaled = reference(library, name)["walk_scaled"]
    shown, files = screen.cells(page), screen.downloads(page)
    (data,) = (d for k, d in files.items() if k == "csv_walk-temperature")
    taken = np.array([[float(v) for k, v in r.items() if k != "index"] for r in table(data)]).T
    for key, tau, column in (("walk_t1", 1.0, taken[0]), ("walk_t", 1.995, taken[1])):
        weights = np.exp(scaled / tau)
        weights /= weights.sum()
        assert shown[key].values == pytest.approx(weights[1:].reshape(4, 6), rel=1e-3)
        assert column == pytest.approx(weights, rel=1e-3)
        np.testing.assert_array_equal(pixels(files[f"png_{key}"]), shown[key].pixels)
