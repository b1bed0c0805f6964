"""Head statistics, similarity, flags and patterns against explicit formulas and SciPy."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import attnlib
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads import (
    HeadStatistics,
    Similarity,
    accumulate,
    cluster_order,
    diversity,
    euclidean,
    flag,
    head_statistics,
    mean_statistics,
    pattern,
)
from attnlib.heads.similarity import similarity
from attnlib.model import demo

LAYOUT = TokenLayout(("cls",), (4, 5), (8, 8), "cls")


def some_maps(seed: int, heads: int = 5, rows: int = 3, keys: int = 7) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(keys, 0.3), size=(heads, rows))


# -- similarity ---------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_similarity_agrees_with_scipy(seed: int) -> None:
    maps = some_maps(seed)
    flat = maps.reshape(len(maps), -1)
    np.testing.assert_allclose(similarity(maps, "pearson"), np.corrcoef(flat), atol=1e-12)
    cosine = 1 - scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(flat, "cosine"))
    np.testing.assert_allclose(similarity(maps, "cosine"), cosine, atol=1e-12)
    found = similarity(maps, "jensen-shannon")
    for i in range(len(maps)):
        for j in range(len(maps)):
            rows = [
                scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2
                for p, q in zip(maps[i], maps[j], strict=True)
            ]
            assert found[i, j] == pytest.approx(1 - np.mean(rows), abs=1e-12)


def test_extremes_of_similarity() -> None:
    apart = np.zeros((2, 1, 4))
    apart[0, 0, 0] = apart[1, 0, 3] = 1
    assert similarity(apart, "cosine")[0, 1] == 0
    assert similarity(apart, "jensen-shannon")[0, 1] == pytest.approx(0, abs=1e-12)
    assert similarity(apart, "pearson")[0, 1] == pytest.approx(-1 / 3)
    same = np.repeat(some_maps(0, heads=1), 2, axis=0)
    for measure in attnlib.heads.MEASURES:
        assert similarity(same, measure)[0, 1] == pytest.approx(1, abs=1e-12)
    flat = np.full((2, 1, 4), 0.25)
    assert similarity(flat, "pearson")[0, 1] == 0, "a constant map correlates with nothing"


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(AttnlibError, match="pearson, pooled, cosine, jensen-shannon"):
        similarity(some_maps(0), "dot")  # type: ignore[arg-type]
    with pytest.raises(AttnlibError, match="no images"):
        accumulate([])


def test_the_mean_over_images_is_taken_one_image_at_a_time() -> None:
    images = [some_maps(seed) for seed in range(6)]
    found = accumulate(iter(images), "pearson")
    expected = np.mean([np.corrcoef(maps.reshape(5, -1)) for maps in images], axis=0)
    assert found.images == 6
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


def test_clustering_brings_families_together() -> None:
    family = np.array([0, 1, 0, 1, 2, 0, 2, 1])
    values = np.where(family[:, None] == family, 0.9, 0.1)
    np.fill_diagonal(values, 1.0)
    ordered = family[cluster_order(values)]
    assert sorted(cluster_order(values)) == list(range(8))
    assert (np.diff(ordered) != 0).sum() == 2, "each family stands in one run"


def test_diversity_is_the_mean_distance_within_a_layer() -> None:
    values = np.eye(6)
    values[0, 1] = values[1, 0] = 0.5
    values[0, 2] = values[2, 0] = 0.2
    values[1, 2] = values[2, 1] = -0.4
    values[3:, 3:] = 1.0
    np.testing.assert_allclose(diversity(values, 2), [(0.5 + 0.8 + 1.4) / 3, 0.0], atol=1e-12)
    assert np.isnan(diversity(np.eye(3), 3)).all()


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_pooled_is_one_correlation_over_all_images(seed: int) -> None:
    images = [some_maps(seed + i, keys=keys) * scale for i, keys, scale in [(0, 7, 1), (1, 4, 30)]]
    found = accumulate(images, "pooled")
    flat = np.concatenate([maps.reshape(len(maps), -1) for maps in images], axis=1)
    np.testing.assert_allclose(found.values, np.corrcoef(flat), atol=1e-12)
    assert found.images == 2
    assert not np.allclose(found.values, accumulate(images, "pearson").values, atol=0.01)
    one = accumulate(images[:1], "pooled").values
    np.testing.assert_allclose(one, similarity(images[0], "pearson"), atol=1e-12)
    constant = np.concatenate([flat[:1] * 0 + 0.1, flat[1:]])[:, None]
    assert accumulate([constant], "pooled").values[0, 1:].tolist() == [0] * 4
    with pytest.raises(AttnlibError, match="no images"):
        accumulate([], "pooled")


def test_euclidean_is_the_mean_of_torchs_pdist() -> None:
    maps = some_maps(5, heads=8)
    expected = [
        float(torch.pdist(torch.from_numpy(maps[first : first + 4].reshape(4, -1))).mean())
        for first in (0, 4)
    ]
    np.testing.assert_allclose(euclidean(maps, 2), expected, rtol=1e-12)
    apart = np.eye(4)[:, None]
    np.testing.assert_allclose(euclidean(apart, 1), [math.sqrt(2)])
    assert np.isnan(euclidean(maps, 8)).all()


# -- statistics ---------------------------------------------------------------------------------


def explicit(vit: attnlib.Vit, image: Image.Image) -> dict[str, NDArray[np.float64]]:
    """Every statistic from whole matrices, with loops, in float64."""
    layers = len(vit.support.calls("layer"))
    matrices = np.stack([vit.attention(image, layer) for layer in range(layers)]).astype(np.float64)
    rows, cols = vit.layout.grid
    prefix = len(vit.layout.prefix)
    centres = [
        ((i + 0.5) * vit.size[0] / rows, (j + 0.5) * vit.size[1] / cols)
        for i in range(rows)
        for j in range(cols)
    ]
    between = np.array([[np.hypot(a[0] - b[0], a[1] - b[1]) for b in centres] for a in centres])
    weights = vit.layout.readout_weights()
    readout = np.einsum("t,lhtk->lhk", weights, matrices)
    patch_row = readout[..., prefix:] / readout[..., prefix:].sum(-1, keepdims=True)
    patch_block = matrices[..., prefix:, prefix:]
    patch_block = patch_block / patch_block.sum(-1, keepdims=True)
    return {
        "entropy": scipy.stats.entropy(patch_row, axis=-1) / np.log(rows * cols),
        "distance": (patch_block * between).sum(-1).mean(-1),
        "peak": readout.max(-1),
        "peak_token": readout.argmax(-1).astype(float),
        "cls": readout[..., : min(prefix, 1)].sum(-1),
        "registers": readout[..., 1:prefix].sum(-1),
    }


@pytest.mark.parametrize("kind", ["demo", "registers", "not square", "average"])
def test_statistics_are_those_of_the_whole_matrices(
    kind: str, vit: attnlib.Vit, noise: Image.Image
) -> None:
    torch.manual_seed(1)
    if kind != "demo":
        module = timm.create_model(
            "vit_tiny_patch16_224",
            img_size=(64, 96) if kind == "not square" else 64,
            depth=3,
            num_classes=4,
            reg_tokens=2 if kind == "registers" else 0,
            global_pool="avg" if kind == "average" else "token",
        )
        # Sharp attention, so that the numbers differ from those of uniform attention.
        for block in module.blocks:
            block.attn.qkv.weight.data[: 2 * module.embed_dim] *= 6
        vit = attnlib.load(module.eval(), device="cpu")
    found = head_statistics(vit, vit.pixels(noise))
    for name, expected in explicit(vit, noise).items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=2e-4, atol=2e-5)


def test_statistics_of_uniform_attention(noise: Image.Image) -> None:
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=4)
    for block in module.blocks:
        block.attn.qkv.weight.data[: 2 * module.embed_dim] = 0
    vit = attnlib.load(module.eval(), device="cpu")
    found = head_statistics(vit, vit.pixels(noise))
    np.testing.assert_allclose(found.entropy, 1, atol=1e-6)
    np.testing.assert_allclose(found.peak, 1 / 17, atol=1e-6)
    grid = np.stack(np.meshgrid(range(4), range(4)), -1).reshape(-1, 2) * 16.0
    mean = scipy.spatial.distance.cdist(grid, grid).mean()
    np.testing.assert_allclose(found.distance, mean, rtol=1e-5)


def test_a_patch_of_outlying_norm_is_a_sink(noise: Image.Image) -> None:
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=4)
    module.pos_embed.data[0, 1 + 5] += 10.0
    vit = attnlib.load(module.eval(), device="cpu")
    found = head_statistics(vit, vit.pixels(noise))
    assert found.sink_count.tolist() == [1, 1]
    for layer in range(2):
        row = vit.attention(noise, layer)[:, 0, 1 + 5]
        np.testing.assert_allclose(found.sinks[layer], row, atol=1e-6)


def test_a_model_of_windows_is_refused_with_the_reason(noise: Image.Image) -> None:
    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, window_size=7)
    vit = attnlib.load(module.eval(), device="cpu")
    with pytest.raises(CaptureError, match="window"):
        head_statistics(vit, vit.pixels(noise))


def test_mean_statistics(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    each = [head_statistics(vit, vit.pixels(image)) for image in pictures[:3]]
    mean, count = mean_statistics(iter(each))
    assert count == 3
    np.testing.assert_allclose(
        mean.distance, np.mean([s.distance for s in each], axis=0), rtol=1e-6
    )
    assert (mean.peak_token == -1).all()
    with pytest.raises(AttnlibError, match="no images"):
        mean_statistics([])


# -- flags --------------------------------------------------------------------------------------


def statistics(peak: list[float], entropy: list[float]) -> HeadStatistics:
    one = np.zeros((1, len(peak)), np.float32)
    return HeadStatistics(
        entropy=np.array([entropy], np.float32),
        distance=one,
        peak=np.array([peak], np.float32),
        peak_token=one,
        cls=one,
        registers=one,
        sinks=one,
        sink_count=np.zeros(1, np.float32),
    )


def test_the_three_flags_are_three_different_things() -> None:
    values = np.array([[1, 0.97, 0.1, 0.2], [0.97, 1, 0, 0], [0.1, 0, 1, 0], [0.2, 0, 0, 1]])
    found = flag(Similarity(values, 1), statistics([0.1, 0.2, 0.95, 0.1], [0.5, 0.5, 0.1, 0.99]))
    assert found.redundant.tolist() == [[True, True, False, False]]
    assert found.one_hot.tolist() == [[False, False, True, False]]
    assert found.uniform.tolist() == [[False, False, False, True]]
    assert found.twin.tolist() == [[0.97, 0.97, 0.1, 0.2]]
    assert found.twin_head.tolist() == [[1, 0, 0, 0]]
    stricter = flag(Similarity(values, 1), statistics([0.1] * 4, [0.5] * 4), redundant=0.98)
    assert not stricter.redundant.any()


# -- patterns -----------------------------------------------------------------------------------


def attention(between: NDArray[np.float64], to_cls: float = 0.1) -> NDArray[np.float64]:
    matrix = np.zeros((21, 21))
    matrix[1:, 1:] = between / between.sum(1, keepdims=True) * (1 - to_cls)
    matrix[:, 0] = to_cls
    matrix[0, 1:] = (1 - to_cls) / 20
    return matrix


def test_patterns_by_construction() -> None:
    itself = pattern(attention(np.eye(20)), LAYOUT)
    assert (itself.name, itself.numbers["offset"]) == ("diagonal", (0, 0))
    assert itself.value == pytest.approx(1)

    right = np.zeros((20, 20))
    for i in range(20):
        right[i, i + 1 if i % 5 < 4 else i] = 1
    shifted = pattern(attention(right), LAYOUT)
    assert (shifted.name, shifted.numbers["offset"]) == ("diagonal", (0, 1))
    assert shifted.value == pytest.approx(16 / 20)

    uniform = pattern(attention(np.ones((20, 20))), LAYOUT)
    assert uniform.name == "global"
    assert uniform.value == pytest.approx(1)

    wide = TokenLayout((), (9, 9), (8, 8), "average")
    grid = np.stack(np.divmod(np.arange(81), 9), -1)
    apart = scipy.spatial.distance.cdist(grid, grid)
    neighbours = np.where((apart > 0) & (apart < 1.5), 1.0, 0.0)
    near = pattern(neighbours / neighbours.sum(1, keepdims=True), wide)
    assert near.name == "local"
    assert near.value < 0.5

    sink = pattern(attention(np.ones((20, 20)), to_cls=0.7), LAYOUT)
    assert (sink.name, sink.numbers["token"]) == ("broadcast", "cls")
    assert sink.value == pytest.approx(0.7)
    assert "70%" in sink.explanation


def seen(matrix: NDArray[np.floating]) -> dict[str, float]:
    """The three numbers of a head of the demo model, a patch and a key at a time."""
    wide = matrix.astype(np.float64)
    places = [(row, col) for row in range(8) for col in range(8)]
    uniform = scipy.spatial.distance.cdist(places, places).mean()
    at_offset: collections.Counter[tuple[int, int]] = collections.Counter()
    far = 0.0
    for query, (row, col) in enumerate(places):
        total = sum(wide[1 + query, 1:])
        for key, (down, right) in enumerate(places):
            share = wide[1 + query, 1 + key] / total / 64
            at_offset[down - row, right - col] += share
            far += share * math.hypot(down - row, right - col) / uniform
    most = max(sum(wide[:, token]) / 65 for token in range(65))
    return {"broadcast": most, "diagonal": max(at_offset.values()), "distance": far}


@pytest.mark.parametrize(("sharper", "names"), [(1, {"global"}), (40, {"global", "broadcast"})])
def test_a_real_head_gets_a_name(
    pictures: list[Image.Image], sharper: int, names: set[str]
) -> None:
    """The demo's heads, and the same with larger queries: they look at fewer places."""
    module = demo.build()
    for block in module.blocks:
        block.attn.qkv.weight.data[:128] *= sharper
        block.attn.qkv.bias.data[:128] *= sharper
    module.pretrained_cfg = demo.DATA_CONFIG
    pointed = attnlib.load(module, device="cpu")
    found_names = set()
    for layer in range(6):
        for matrix in pointed.attention(pictures[0], layer):
            found, numbers = pattern(matrix, pointed.layout), seen(matrix)
            for name, value in numbers.items():
                assert found.numbers[name] == pytest.approx(value, abs=1e-9)
            if numbers["broadcast"] >= 0.5:
                expected = "broadcast", numbers["broadcast"]
            elif numbers["diagonal"] >= 0.5:
                expected = "diagonal", numbers["diagonal"]
            else:
                expected = "local" if numbers["distance"] <= 0.5 else "global", numbers["distance"]
            assert (found.name, found.value) == (expected[0], pytest.approx(expected[1], abs=1e-9))
            found_names.add(found.name)
    assert found_names == names
