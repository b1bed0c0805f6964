"""Rollout with a residual weight, residual propagation and attention flow, on whole matrices."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from scipy.stats import spearmanr

import attnlib
from attnlib.capture.call import AttentionCall
from attnlib.capture.mixing import mixing_map, rollout_row
from attnlib.capture.tokens import Readout, TokenLayout
from attnlib.capture.trace import Trace
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods.flow import flow_details
from attnlib.methods.residual import residual_row

Matrix = NDArray[np.float64]
FUSE = {"mean": np.mean, "max": np.max, "min": np.min}


# -- references with whole matrices in float64 -----------------------------------------------


def mixing(heads: Matrix, fusion: str, weight: float, ratio: float = 0.0) -> Matrix:
    """Rows of (1 - w) A + w I, renormalised, of one layer ``(H, T, T)`` with a CLS token."""
    fused = FUSE[fusion](heads, axis=0)
    if ratio > 0:
        low = fused < np.sort(fused, axis=None)[int(ratio * fused.size)]
        low[:, 0] = False
        fused = np.where(low, 0.0, fused)
    mixed = (1 - weight) * fused + weight * np.eye(len(fused))
    return mixed / mixed.sum(axis=1, keepdims=True)


def weights(trace: Trace) -> list[Matrix]:
    found = []
    for call in trace.layers:
        assert call.weights is not None
        found.append(call.weights[0].numpy())
    return found


def trace_of(layers: list[torch.Tensor], readout: Readout, grid: tuple[int, int]) -> Trace:
    layout = TokenLayout(("cls",) if readout == "cls" else (), grid, (16, 16), readout)
    calls = tuple(
        AttentionCall("", "", None, None, None, None, weights=layer[None]) for layer in layers
    )
    return Trace(layout, calls)


@st.composite
def traces(draw: st.DrawFn, readouts: tuple[Readout, ...] = ("cls", "average")) -> Trace:
    readout = draw(st.sampled_from(readouts))
    grid = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    tokens = grid[0] * grid[1] + (readout == "cls")
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    spread = draw(st.sampled_from([0.1, 1.0, 20.0]))
    shape = (draw(st.integers(1, 3)), tokens, tokens)
    layers = [
        (torch.randn(shape, generator=generator, dtype=torch.float64) * spread).softmax(-1)
        for _ in range(draw(st.integers(1, 5)))
    ]
    return trace_of(layers, readout, grid)


fusions = st.sampled_from(sorted(FUSE))
# Subnormal weights lose digits in any arithmetic.
shares = st.floats(0, 1, allow_subnormal=False)


# -- the residual weight ---------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(traces(), fusions, st.sampled_from([0.0, 0.4, 0.95]), shares)
def test_rows_stay_distributions(trace: Trace, fusion: str, ratio: float, weight: float) -> None:
    given_: dict[str, Any] = {
        "head_fusion": fusion,
        "discard_ratio": ratio,
        "residual_weight": weight,
    }
    for row in (rollout_row(trace, **given_), residual_row(trace, **given_)):
        assert float(row.min()) >= 0
        assert float(row.sum()) == pytest.approx(1, abs=1e-6)
    mixed = mixing_map(trace.layers[0], trace.layout.carriers, fusion, ratio, weight)
    assert mixed.min() >= 0
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(traces(("cls",)), fusions, st.sampled_from([0.0, 0.4]), st.floats(0.01, 1))
def test_rows_of_the_full_products(trace: Trace, fusion: str, ratio: float, weight: float) -> None:
    maps = [mixing(heads, fusion, weight, ratio) for heads in weights(trace)]
    product = total = np.eye(trace.layout.tokens)
    for mixed in maps:
        product = mixed @ product
        total = total + mixed @ total
    given_: dict[str, Any] = {
        "head_fusion": fusion,
        "discard_ratio": ratio,
        "residual_weight": weight,
    }
    np.testing.assert_allclose(rollout_row(trace, **given_).numpy(), product[0], atol=2e-6)
    found = residual_row(trace, **given_).numpy()
    np.testing.assert_allclose(found, total[0] / 2 ** len(maps), atol=2e-6)
    np.testing.assert_allclose(found, total[0] / total[0].sum(), atol=2e-6)
    for call, mixed in zip(trace.layers, maps, strict=True):
        ours = mixing_map(call, (0,), fusion, ratio, weight)
        np.testing.assert_allclose(ours, mixed, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(traces(), fusions, st.sampled_from([0.0, 0.4]))
def test_residual_alone_is_the_identity(trace: Trace, fusion: str, ratio: float) -> None:
    row = rollout_row(trace, head_fusion=fusion, discard_ratio=ratio, residual_weight=1.0)
    torch.testing.assert_close(row.double(), trace.readout().double(), atol=1e-7, rtol=0)


@settings(deadline=None, max_examples=30)
@given(traces(), shares)
def test_residual_propagation_is_a_rollout_with_more_residual(trace: Trace, weight: float) -> None:
    row = residual_row(trace, residual_weight=weight)
    other = rollout_row(trace, residual_weight=(1 + weight) / 2)
    torch.testing.assert_close(row, other, atol=1e-6, rtol=0)


def test_the_default_weight_is_one_half(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    subject = vit.subject(pictures[0])
    plain = vit.explain(subject, "rollout")
    half = vit.explain(subject, "rollout", residual_weight=0.5)
    np.testing.assert_array_equal(plain.values, half.values)
    recorded = vit.inspect(pictures[0]).rollout
    assert recorded is not None
    # That one is gathered during the pass, and rounded otherwise.
    np.testing.assert_allclose(plain.values.ravel(), recorded[-plain.values.size :], rtol=1e-6)
    assert plain.options["residual_weight"] == 0.5
    other = vit.explain(subject, "rollout", residual_weight=0.1)
    assert not np.allclose(plain.values, other.values, rtol=0.05)


def test_residual_propagation_of_trained_attention(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    depth = len(vit.subject(pictures[0]).trace.layers)
    for picture in pictures[:4]:
        subject = vit.subject(picture)
        total = product = np.eye(vit.layout.tokens)
        for layer in range(depth):
            mixed = mixing(vit.attention(picture, layer).astype(np.float64), "mean", 0.5)
            total, product = total + mixed @ total, mixed @ product
        expected = total[0, 1:] / 2**depth
        ours, rollout = (
            vit.explain(subject, name).values.ravel() for name in ("residual", "rollout")
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-4)
        # It ranks patches as rollout does in part only: on 80 images from 0.08 to 0.98.
        ranks = spearmanr(ours, rollout).statistic
        assert ranks == pytest.approx(spearmanr(expected, product[0, 1:]).statistic, abs=0.01)
        assert ranks < 0.99


# -- attention flow --------------------------------------------------------------------------


def network(vit: attnlib.Vit, image: Image.Image, layers: int) -> list[tuple[int, int, float]]:
    """Edges of the graph down to level 0; token ``t`` of level ``l`` is node ``l T + t``."""
    tokens = vit.layout.tokens
    edges = []
    for level in range(layers, 0, -1):
        mixed = mixing(vit.attention(image, level - 1).astype(np.float64), "mean", 0.5)
        for i, j in np.ndindex(mixed.shape):
            edges.append((level * tokens + i, (level - 1) * tokens + j, float(mixed[i, j])))
    return edges


@pytest.mark.parametrize("layers", [1, 2, 3, 4, None])
def test_flow_of_trained_attention(
    vit: attnlib.Vit, pictures: list[Image.Image], layers: int | None
) -> None:
    tokens, depth = vit.layout.tokens, len(vit.subject(pictures[5]).trace.layers)
    through = depth if layers is None else layers
    edges = network(vit, pictures[5], through)
    heat = vit.attribute(pictures[5], "flow", source_layer=layers)
    assert heat.unit == "flow, at most 1" and not heat.share
    values = heat.values.ravel()
    tail, head, capacity = (np.array(column) for column in zip(*edges, strict=True))
    whole = np.floor(capacity * 2**30).astype(np.int32)
    nodes = (through + 1) * tokens
    csr = csr_array((whole, (tail.astype(np.int32), head.astype(np.int32))), (nodes, nodes))
    for patch in (0, 9, 27, 36, 63):
        # Rounding down loses less than one unit per edge of a smallest cut; attention is float32.
        found = maximum_flow(csr, through * tokens, patch + 1).flow_value / 2**30
        assert values[patch] == pytest.approx(found, abs=1e-6)
    if through <= 3:
        graph = nx.DiGraph()
        graph.add_weighted_edges_from(edges, weight="capacity")
        expected = nx.maximum_flow_value(graph, through * tokens, 28)
        assert values[27] == pytest.approx(expected, abs=1e-6)


def test_deep_flow_is_the_closed_form_and_shallow_is_not(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    subject = vit.subject(pictures[0])
    deep = flow_details(subject)
    first = mixing(vit.attention(pictures[0], 0).astype(np.float64), "mean", 0.5)
    bound = np.minimum(1, first.sum(axis=0))[1:]
    assert deep.closed_form.all()
    np.testing.assert_allclose(deep.values, bound, atol=1e-6)
    shallow = flow_details(subject, source_layer=2)
    assert not shallow.closed_form.any() and shallow.solved == vit.layout.patches
    assert (shallow.values < deep.values).all()


def test_details_are_the_method(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    subject = vit.subject(pictures[1])
    options: dict[str, Any] = {
        "head_fusion": "max",
        "discard_ratio": 0.5,
        "residual_weight": 0.3,
        "source_layer": 3,
    }
    heat = vit.explain(subject, "flow", **options)
    details = flow_details(subject, **options)
    np.testing.assert_array_equal(heat.values.ravel(), details.values.astype(np.float32))
    layers = [vit.attention(pictures[1], index).astype(np.float64) for index in range(3)]
    maps = [mixing(heads, "max", 0.3, 0.5) for heads in layers]
    tokens = vit.layout.tokens
    graph = nx.DiGraph()
    for level, mixed in enumerate(maps, start=1):
        for i, j in np.argwhere(mixed > 0).tolist():
            graph.add_edge(level * tokens + i, (level - 1) * tokens + j, capacity=mixed[i, j])
    expected = nx.maximum_flow_value(graph, 3 * tokens, 11)
    assert details.values[10] == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=15)
@given(traces(("average",)))
def test_a_readout_of_many_queries_is_one_source(trace: Trace) -> None:
    class Stub:
        """A subject with attention of its own instead of a model's."""

        def __init__(self) -> None:
            self.trace, self.layout = trace, trace.layout

    values = attnlib.methods()["flow"].compute(Stub(), None).numpy()
    tokens, depth = trace.layout.tokens, len(trace.layers)
    graph = nx.DiGraph()
    for token in range(tokens):
        graph.add_edge("source", (depth, token), capacity=1 / tokens)
    for level, heads in enumerate(weights(trace), start=1):
        mixed = mixing(heads, "mean", 0.5)
        for i, j in np.ndindex(mixed.shape):
            graph.add_edge((level, i), (level - 1, j), capacity=mixed[i, j])
    expected = nx.maximum_flow_value(graph, "source", (0, tokens - 1))
    assert values[-1] == pytest.approx(expected, abs=1e-6)


def test_messages(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    depth = len(vit.subject(pictures[0]).trace.layers)
    for given_, message in (
        ({"source_layer": 0}, "source_layer must be at least 1, not 0."),
        ({"source_layer": 99}, f"source_layer must be from 1 to {depth}, not 99."),
        ({"residual_weight": 1.5}, "residual_weight must be at most 1.0, not 1.5."),
    ):
        with pytest.raises(AttnlibError) as caught:
            vit.attribute(pictures[0], "flow", **given_)
        assert str(caught.value) == message
        with pytest.raises(AttnlibError) as caught:
            flow_details(vit.subject(pictures[0]), **given_)
        assert str(caught.value) == message


def test_details_say_why_there_is_no_flow() -> None:
    windowed = attnlib.load(
        timm.create_model(
            "swin_tiny_patch4_window7_224",
            pretrained=False,
            depths=(1, 1),
            embed_dim=24,
            num_heads=(1, 2),
            num_classes=3,
            img_size=56,
        )
    )
    noise = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    with pytest.raises(CaptureError, match="Attention flow is not defined"):
        flow_details(windowed.subject(Image.fromarray(noise)))
