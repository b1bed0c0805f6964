"""“Head similarity”: what reached the screen and the files, against copies of the model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from streamlit.testing.v1 import AppTest

from attnlib.errors import AttnlibError
from attnlib.heads import head_statistics
from attnlib.model import demo
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import enlarge, fit, heat_image, overlay
from tests.dashboard.driving import finish
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, charted, pixels, table

LAYERS, HEADS, WIDTH = 6, 4, 32
HEAD = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]


@pytest.fixture
def page(oblong: AppTest, name: str) -> AppTest:
    oblong.session_state["image"] = name
    oblong.switch_page("../../pages/head_similarity/page.py").run()
    return finish(oblong)


def section(page: AppTest, title: str) -> AppTest:
    page.segmented_control(key="heads_section").set_value(title).run()
    return finish(page)


def matrix(data: bytes) -> NDArray[np.float64]:
    return np.array([[float(v) for k, v in row.items() if k] for row in table(data)])


def without(library: Library, name: str, heads: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Logits ``(C,)`` of a float64 copy whose output projections see zeros from these heads."""
    module = copy.deepcopy(library.vit.module).double()
    for layer, head in heads:

        def silenced(m: Any, inputs: tuple[torch.Tensor], head: int = head) -> tuple[torch.Tensor]:
            seen = inputs[0].clone()
            seen[..., head * WIDTH : (head + 1) * WIDTH] = 0
            return (seen,)

        module.blocks[layer].attn.proj.register_forward_pre_hook(silenced)
    with torch.no_grad():
        found = module(library.vit.pixels(library.images[name]).double())[0]
    return np.asarray(found.numpy())


def test_the_effect_of_every_head(
    page: AppTest, screen: Screen, library: Library, name: str
) -> None:
    guess, true = library.predicted[name], library.true[name]

    def margin(logits: NDArray[np.float64]) -> float:
        return float(logits[guess] - logits[true])

    plain = margin(without(library, name, []))
    logits = {head: without(library, name, [head]) for head in HEAD}
    change = np.array([margin(logits[head]) - plain for head in HEAD]).reshape(LAYERS, HEADS)
    shown = screen.cells(page)["head-effects"]
    assert shown.values == pytest.approx(change, abs=2e-4)
    files = screen.downloads(page)
    assert matrix(files["csv_head-effects"]) == pytest.approx(change, abs=2e-4)
    np.testing.assert_array_equal(pixels(files["png_head-effects"]), shown.pixels)
    listed = table(files["csv_head-effects-list"])
    for (layer, head), row in zip(HEAD, listed, strict=True):
        assert row["head"] == f"L{layer}·H{head}"
        assert float(row["change of margin"]) == pytest.approx(change[layer, head], abs=2e-4)
        left = plain + change[layer, head]
        assert float(row["margin without it"]) == pytest.approx(left, abs=2e-4)
        assert row["prediction without it"] == demo.CLASS_NAMES[logits[layer, head].argmax()]
    words = "\n".join(m.value for m in [*page.markdown, *page.caption])
    assert f"logit of “{demo.CLASS_NAMES[guess]}” (predicted)" in words
    assert f"{plain:+.2f}" in words


def test_heads_removed_together(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    heads = [(1, 2), (4, 0)]
    page.multiselect(key="heads_removed").set_value(
        [f"L{layer}·H{head}" for layer, head in heads]
    ).run()
    finish(page)
    logits = without(library, name, heads)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    (rows,) = (charted(c) for c in page.get("vega_lite_chart"))
    removed = next(row["heads"] for row in rows if row["heads"] != rows[0]["heads"])
    for row in rows:
        index = demo.CLASS_NAMES.index(row["class"].removesuffix(" (true)"))
        assert (row["class"] != demo.CLASS_NAMES[index]) == (index == library.true[name])
        before = library.records[name].probabilities[index]
        expected = p[index] if row["heads"] == removed else before
        assert row["probability"] == pytest.approx(float(expected), abs=1e-4)


def similarity(library: Library, name: str) -> NDArray[np.float64]:
    """Pearson correlations of the CLS rows over patches, ``(L·H, L·H)``."""
    return np.corrcoef(library.weights(name)[:, :, 0, 1:].reshape(len(HEAD), -1))


@pytest.mark.parametrize("cluster", [True, False])
def test_similarity_of_heads(
    page: AppTest, screen: Screen, library: Library, name: str, cluster: bool
) -> None:
    section(page, "Similarity")
    page.toggle(key="heads_cluster").set_value(cluster).run()
    finish(page)
    expected = similarity(library, name)
    files = screen.downloads(page)
    listed = table(files["csv_head-similarity-pearson"])
    order = [HEAD.index(tuple(int(x[1:]) for x in row[""].split("·"))) for row in listed]
    assert sorted(order) == list(range(len(HEAD)))
    assert (order == sorted(order)) != cluster
    assert list(listed[0])[1:] == [row[""] for row in listed]
    found = matrix(files["csv_head-similarity-pearson"])
    assert found == pytest.approx(expected[np.ix_(order, order)], abs=2e-4)
    (shown,) = (c for k, c in screen.cells(page).items() if k.startswith("heads_similarity"))
    assert shown.values is not None
    assert shown.values[:, -len(HEAD) :] == pytest.approx(found, abs=1e-6)
    np.testing.assert_array_equal(pixels(files["png_head-similarity-pearson"]), shown.pixels)
    side = shown.pixels.shape[0] // len(HEAD)
    colours = np.asarray(
        heat_image(found, Scale(-1.0, 1.0, True, ""), size=(24, 24)).convert("RGB")
    )
    middles = shown.pixels[side // 2 :: side, -side * len(HEAD) + side // 2 :: side]
    assert np.abs(middles.astype(int) - colours.astype(int)).max() <= 3
    # The two most alike stand beside the matrix, over the image.
    apart = expected - 2 * np.eye(len(HEAD))
    pair = sorted(divmod(int(apart.argmax()), len(HEAD)))
    key = "heads-{}-pearson".format("-".join("L{}H{}".format(*HEAD[i]) for i in pair))
    (row,) = table(files[f"csv_{key}"])
    assert float(row["similarity (pearson)"]) == pytest.approx(expected[tuple(pair)], abs=2e-4)
    crop = library.vit.crop(library.images[name])
    maps = [library.weights(name)[layer, head, 0, 1:].reshape(4, 6) for layer, head in HEAD]
    both = Scale.times_uniform(np.stack([maps[i] for i in pair]).astype(np.float32), 24)
    drawn = dict(screen.pictures(page))
    image = drawn["the image"]
    size = (image.shape[1], image.shape[0])
    np.testing.assert_array_equal(image, np.asarray(enlarge(crop, size).convert("RGB")))
    assert size == fit(crop.size, size[0])
    for i in pair:
        there = drawn["L{}·H{}".format(*HEAD[i])].astype(int)
        assert np.abs(there - np.asarray(overlay(crop, maps[i], both, size=size), int)).max() <= 3
    by_layer = expected.reshape(LAYERS, HEADS, LAYERS, HEADS)
    for row in charted(page.get("vega_lite_chart")[0]):
        own = by_layer[row["layer"], :, row["layer"]]
        assert row["value"] == pytest.approx((1 - own[np.triu_indices(HEADS, 1)]).mean(), abs=2e-4)


def test_pooled_correlation_and_distances_over_all_images(
    page: AppTest, screen: Screen, library: Library
) -> None:
    section(page, "Similarity")
    page.toggle(key="heads_cluster").set_value(False).run()
    page.segmented_control(key="heads_scope").set_value("All images").run()
    page.segmented_control(key="heads_measure").set_value("pooled").run()
    finish(page)
    flat = np.stack([r.cls_rows.reshape(len(HEAD), 24) for r in library.records.values()], 1)
    expected = np.corrcoef(flat.reshape(len(HEAD), -1).astype(np.float64))
    found = matrix(screen.downloads(page)["csv_head-similarity-pooled"])
    assert found == pytest.approx(expected, abs=2e-4)
    assert any(f"pooled over {len(library.names)} images" in str(m.value) for m in page.markdown)
    page.segmented_control(key="heads_diversity").set_value("Euclidean distance").run()
    finish(page)
    apart = [
        np.mean(
            [
                float(
                    torch.pdist(torch.from_numpy(record.cls_rows[layer].astype(np.float64))).mean()
                )
                for record in library.records.values()
            ]
        )
        for layer in range(LAYERS)
    ]
    shown = {row["layer"]: row["value"] for row in charted(page.get("vega_lite_chart")[0])}
    assert [shown[layer] for layer in range(LAYERS)] == pytest.approx(apart, rel=1e-3)


def test_entropy_in_nats(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    section(page, "Numbers and flags")
    page.segmented_control(key="heads_entropy").set_value("nats").run()
    finish(page)
    rows = library.weights(name)[:, :, 0, 1:]
    rows = rows / rows.sum(-1, keepdims=True)
    nats = -(rows * np.log(rows)).sum(-1)
    assert screen.cells(page)["head-entropy"].values == pytest.approx(nats, abs=1e-3)
    listed = table(screen.downloads(page)["csv_head-numbers"])
    assert [float(row["entropy (nats)"]) for row in listed] == pytest.approx(nats.ravel(), abs=1e-3)


def test_common_problems(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    section(page, "Common problems")
    others = [other for other in library.names if other != name]
    order = sorted(np.random.default_rng(0).permutation(len(others))[:15].tolist())
    used = [name, *(others[i] for i in order)]
    weights = np.stack([library.weights(one) for one in used])
    entropy = stats.entropy(weights, axis=-1).mean((0, 3)) / np.log(25)
    peak = weights.max(-1).mean((0, 3))
    flat = weights.reshape(len(used), LAYERS, HEADS, -1)
    alike = np.mean([[np.corrcoef(layer) for layer in image] for image in flat], axis=0)
    twin = (alike - 3 * np.eye(HEADS)).max(-1)
    listed = table(screen.downloads(page)["csv_head-problems"])
    said = [str(m.value) for m in page.markdown]
    for (number, values), limit in zip(
        {
            "correlation with the most alike head of its layer": twin,
            "largest share on one token, mean over queries": peak,
            "entropy ÷ log T, mean over queries": entropy,
        }.items(),
        (0.95, 0.9, 0.95),
        strict=True,
    ):
        taken = [float(row[number]) for row in listed]
        assert taken == pytest.approx(values.ravel(), abs=1e-4)
        (card,) = (words for words in said if f"({number}, all queries of 16 images)" in words)
        assert f"**{(values >= limit).sum()} of 24 heads** are at {limit:g} or above" in card
        at = np.unravel_index(values.argmax(), values.shape)
        assert f"The largest is {values.max():.3f}, of L{at[0]}·H{at[1]}." in card
    # By hand: D = 128, T = 25, six layers, MLP of 512, ten classes, patches of 4 × 4 × 3.
    quadratic = 6 * 2 * 25 * 25 * 128
    linear = 6 * 25 * (4 * 128**2 + 2 * 128 * 512) + 24 * 48 * 128 + 128 * 10
    assert any(
        f"**{quadratic / (quadratic + linear):.1%} of the multiplications**" in words
        for words in said
    )
    badges = [str(words) for words in said if "this model" in words and words.startswith(":")]
    assert len(badges) == 4
    assert all("not in this model" in words for words in badges)


def test_numbers_of_every_head(page: AppTest, screen: Screen, library: Library, name: str) -> None:
    section(page, "Numbers and flags")
    said = "\n".join(caption.value for caption in page.caption)
    assert "CLS token (this image)" in said
    assert "no registers" in said and "no CLS" not in said
    found = head_statistics(library.vit, library.vit.pixels(library.images[name]))
    shown, files = screen.cells(page), screen.downloads(page)
    for key, values in {
        "head-entropy": found.entropy,
        "head-attention-distance": found.distance,
        "head-peak": found.peak,
    }.items():
        assert shown[key].values == pytest.approx(values, rel=1e-4)
        assert matrix(files[f"csv_{key}"]) == pytest.approx(values, rel=1e-4)
        np.testing.assert_array_equal(pixels(files[f"png_{key}"]), shown[key].pixels)
    listed = table(files["csv_head-numbers"])
    for (layer, head), row in zip(HEAD, listed, strict=True):
        assert row["head"] == f"L{layer}·H{head}"
        value = float(row["attention distance (px)"])
        assert value == pytest.approx(found.distance[layer, head], rel=1e-3)


def test_an_image_that_fails_says_why(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise AttnlibError("this image is too much")

    monkeypatch.setattr("attnlib.dashboard.heads.numbers.head_statistics", fail)
    # One whose numbers no other test has left in the store.
    oblong.session_state["image"] = library.wrong[-1]
    oblong.session_state["heads_section"] = "Numbers and flags"
    oblong.switch_page("../../pages/head_similarity/page.py").run()
    finish(oblong)
    said = [box.value for box in [*oblong.warning, *oblong.error, *oblong.info]]
    assert any("this image is too much" in words for words in said), said
