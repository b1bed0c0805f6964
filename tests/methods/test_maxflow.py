"""Layered maximum flow against general solvers, linear programming and closed forms."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_flow

from attnlib.errors import AttnlibError
from attnlib.methods import maxflow, preflow

Array = NDArray[np.float64]


# -- independent solvers ---------------------------------------------------------------------


def edge_list(capacities: list[Array], source: Array) -> tuple[Array, Array, Array, int]:
    """Tail, head and capacity of every edge; node 0 is the source, level 0 comes last."""
    tokens, count = len(source), len(capacities)
    tails, heads = [np.zeros(tokens, int)], [1 + np.arange(tokens)]
    values = [source]
    for depth, matrix in enumerate(reversed(capacities)):
        upper, lower = np.divmod(np.arange(tokens * tokens), tokens)
        tails.append(1 + depth * tokens + upper)
        heads.append(1 + (depth + 1) * tokens + lower)
        values.append(matrix.ravel())
    tail, head, value = map(np.concatenate, (tails, heads, values))
    keep = value > 0
    return tail[keep], head[keep], value[keep], 1 + count * tokens


def by_networkx(capacities: list[Array], source: Array, sink: int) -> float:
    """Preflow-push on the graph as it is, in float64."""
    tail, head, value, last = edge_list(capacities, source)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(last + len(source)))
    for a, b, capacity in zip(tail.tolist(), head.tolist(), value.tolist(), strict=True):
        graph.add_edge(a, b, capacity=capacity)
    return float(nx.maximum_flow_value(graph, 0, last + sink))


def by_scipy(capacities: list[Array], source: Array, sink: int) -> tuple[float, float]:
    """Dinic on capacities rounded down to 1 / 2^30, and by how much that may be too little."""
    tail, head, value, last = edge_list(capacities, source)
    whole = np.floor(value * 2**30).astype(np.int32)
    nodes = last + len(source)
    graph = csr_array((whole, (tail.astype(np.int32), head.astype(np.int32))), (nodes, nodes))
    # A cut loses less than one unit per edge; the source's and the sink's edges are such cuts.
    return float(maximum_flow(graph, 0, last + sink).flow_value) / 2**30, len(value) / 2**30


def by_linear_programming(capacities: list[Array], source: Array, sink: int) -> float:
    """Maximise what arrives, subject to conservation at every inner node (HiGHS)."""
    tail, head, value, last = edge_list(capacities, source)
    edges = np.arange(len(value))
    inner = last - 1
    into, out = (head >= 1) & (head < last), (tail >= 1) & (tail < last)
    rows = np.concatenate([head[into] - 1, tail[out] - 1])
    cols = np.concatenate([edges[into], edges[out]])
    signs = np.concatenate([np.ones(into.sum()), -np.ones(out.sum())])
    balance = coo_array((signs, (rows, cols)), (inner, len(value)))
    goal = -(head == last + sink).astype(float)
    found = linprog(
        goal, A_eq=balance, b_eq=np.zeros(inner), bounds=np.stack([0 * value, value], 1)
    )
    assert found.status == 0
    return float(-found.fun)


# -- graphs ----------------------------------------------------------------------------------


def attention(rng: np.random.Generator, kind: str, tokens: int) -> Array:
    """One layer ``(T, T)`` of a kind that trained models show; rows sum to 1."""
    if kind == "uniform":
        return np.full((tokens, tokens), 1 / tokens)
    spread = {"smooth": 0.5, "peaky": 8.0, "sparse": 1.0, "sinks": 1.0}[kind]
    scores = rng.normal(size=(tokens, tokens)) * spread
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    if kind == "sparse":
        weights *= rng.random((tokens, tokens)) < 0.3
        weights[weights.sum(axis=1) == 0, 0] = 1
    weights /= weights.sum(axis=1, keepdims=True)
    if kind == "sinks":
        taken = np.zeros(tokens)
        taken[rng.choice(tokens, max(1, tokens // 8), replace=False)] = 1
        weights = 0.06 * weights + 0.94 * taken / taken.sum()
    return weights


def graph(
    seed: int, kinds: list[str], tokens: int, residual: float = 0.5, readout: str = "cls"
) -> tuple[list[Array], Array]:
    """Capacities, one layer per kind, bottom first, and the source."""
    rng = np.random.default_rng(seed)
    layers = [
        (1 - residual) * attention(rng, kind, tokens) + residual * np.eye(tokens) for kind in kinds
    ]
    source = np.zeros(tokens)
    if readout == "cls":
        source[0] = 1
    elif readout == "two":
        source[:2] = 0.5
    else:
        source[1:] = rng.dirichlet(np.ones(tokens - 1))
    return layers, source


KINDS = ["uniform", "smooth", "peaky", "sparse", "sinks"]
graphs = st.builds(
    graph,
    st.integers(0, 2**31),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    st.integers(3, 9),
    st.sampled_from([0.0, 0.2, 0.5, 0.9]),
    st.sampled_from(["cls", "two", "average"]),
)


# -- exactness -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(graphs)
def test_random_graphs(given_: tuple[list[Array], Array]) -> None:
    capacities, source = given_
    tokens = len(source)
    found = maxflow.layered(capacities, source, slice(0, None))
    bound = np.minimum(source.sum(), capacities[0].sum(axis=0))
    for sink in range(tokens):
        rounded, error = by_scipy(capacities, source, sink)
        assert -1e-9 <= found.values[sink] - rounded <= error + 1e-9
    for sink in {0, tokens // 2, tokens - 1}:
        assert found.values[sink] == pytest.approx(by_networkx(capacities, source, sink), abs=1e-9)
    assert (found.values <= bound + 1e-15).all()
    np.testing.assert_array_equal(found.closed_form, bound - found.values <= maxflow.TOLERANCE)


@settings(deadline=None, max_examples=25)
@given(graphs)
def test_linear_programming_agrees(given_: tuple[list[Array], Array]) -> None:
    capacities, source = given_
    found = maxflow.layered(capacities, source, [1])
    # HiGHS keeps its constraints to 1e-7.
    expected = by_linear_programming(capacities, source, 1)
    assert found.values[0] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_larger_graphs(kind: str, depth: int) -> None:
    capacities, source = graph(depth, [kind] * depth, 40)
    found = maxflow.layered(capacities, source, slice(1, None))
    for sink in (1, 20, 39):
        rounded, error = by_scipy(capacities, source, sink)
        assert -1e-9 <= found.values[sink - 1] - rounded <= error + 1e-9
    assert found.values[4] == pytest.approx(by_networkx(capacities, source, 5), abs=1e-9)


# -- closed forms ----------------------------------------------------------------------------


def test_one_layer_is_the_source_against_the_column() -> None:
    capacities, source = graph(3, ["peaky"], 12, readout="average")
    expected = np.minimum(source[:, None], capacities[0]).sum(axis=0)
    np.testing.assert_allclose(
        maxflow.layered(capacities, source, slice(0, None)).values, expected, atol=1e-14
    )


def test_two_layers_from_one_token_meet_in_the_middle() -> None:
    capacities, source = graph(4, ["smooth", "peaky"], 12)
    expected = np.minimum(capacities[1][0][:, None], capacities[0]).sum(axis=0)
    found = maxflow.layered(capacities, source, slice(0, None))
    np.testing.assert_allclose(found.values, expected, atol=1e-14)
    assert found.solved > 0 and not found.closed_form.all()


def test_uniform_attention_by_hand() -> None:
    # Without a residual all columns sum to 1, and the whole source reaches every sink.
    tokens = 7
    layers = [np.full((tokens, tokens), 1 / tokens)] * 3
    source = np.eye(tokens)[0]
    found = maxflow.layered(layers, source, slice(0, None))
    np.testing.assert_allclose(found.values, 1, atol=1e-14)
    assert found.closed_form.all() and found.solved == 0


def test_identity_layers_reach_only_the_query() -> None:
    found = maxflow.layered([np.eye(5)] * 4, np.eye(5)[2], slice(0, None))
    np.testing.assert_array_equal(found.values, np.eye(5)[2])
    np.testing.assert_array_equal(found.closed_form, np.eye(5)[2] == 1)


# -- the certificate -------------------------------------------------------------------------


def bottleneck() -> tuple[list[Array], Array]:
    """Six layers, the third of which lets little through to the half that the sink reads."""
    tokens, leak = 8, 0.01
    half = np.zeros((tokens, tokens))
    half[:4, :4] = half[4:, 4:] = 1 / 4
    crossing = half.copy()
    crossing[:4] = np.repeat([[(1 - leak) / 4, leak / 4]], 4, axis=1)
    return [half, half, crossing, half, half, half], np.eye(tokens)[0]


def test_a_bottleneck_in_the_middle_goes_to_the_solver() -> None:
    capacities, source = bottleneck()
    found = maxflow.layered(capacities, source, slice(0, None))
    # 4 nodes with a leak of 0.01 each; the near half is reached whole.
    np.testing.assert_allclose(found.values, [1] * 4 + [0.04] * 4, atol=1e-14)
    np.testing.assert_array_equal(found.closed_form, [True] * 4 + [False] * 4)
    assert found.solved >= 4
    assert found.values[6] == pytest.approx(by_networkx(capacities, source, 6), abs=1e-12)


def test_a_deep_smooth_graph_needs_no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    capacities, source = graph(0, ["smooth"] * 12, 50)
    solver = {sink: maxflow.layered(capacities, source, [sink]) for sink in (1, 30)}
    assert all(one.solved == 0 for one in solver.values())
    monkeypatch.setattr(maxflow, "_certified", lambda network, columns, bound: bound < 0)
    for sink, one in solver.items():
        forced = maxflow.layered(capacities, source, [sink])
        assert forced.solved == 1
        np.testing.assert_allclose(forced.values, one.values, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(graphs)
def test_what_is_certified_is_true(given_: tuple[list[Array], Array]) -> None:
    capacities, source = given_
    network = preflow.Network(capacities, source)
    bound = np.minimum(source.sum(), capacities[0].sum(axis=0))
    for sink in np.flatnonzero(maxflow._certified(network, capacities[0], bound))[:4]:
        rounded, error = by_scipy(capacities, source, sink)
        assert bound[sink] - rounded <= error + 1e-9


def test_a_flow_below_its_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    capacities, source = bottleneck()
    monkeypatch.setattr(preflow.Preflow, "relabel", lambda self: False)
    with pytest.raises(AttnlibError, match="not certain"):
        maxflow.layered(capacities, source, [6])


# -- properties ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(graphs, st.integers(0, 2**31))
def test_renumbering_tokens_renumbers_flows(given_: tuple[list[Array], Array], seed: int) -> None:
    capacities, source = given_
    order = np.random.default_rng(seed).permutation(len(source))
    found = maxflow.layered(capacities, source, slice(0, None)).values
    moved = [matrix[np.ix_(order, order)] for matrix in capacities]
    np.testing.assert_allclose(
        maxflow.layered(moved, source[order], slice(0, None)).values, found[order], atol=1e-10
    )


@settings(deadline=None, max_examples=40)
@given(graphs)
def test_flow_is_at_least_the_product(given_: tuple[list[Array], Array]) -> None:
    # Handing on in proportion is one feasible flow, so rollout is a lower bound.
    capacities, source = given_
    row = source
    for matrix in reversed(capacities):
        row = row @ matrix
    assert (maxflow.layered(capacities, source, slice(0, None)).values >= row - 1e-10).all()


@pytest.mark.parametrize(
    ("capacities", "source", "message"),
    [
        ([], np.ones(2) / 2, "at least one layer"),
        ([np.eye(3)], np.ones(2) / 2, "must be 2 x 2"),
        ([-np.eye(2)], np.ones(2) / 2, "negative"),
        ([2 * np.eye(2)], np.ones(2) / 2, "sum to 1"),
        ([np.eye(2)], np.ones(2), "sum to 1"),
        ([np.full((2, 2), np.nan)], np.ones(2) / 2, "negative"),
    ],
)
def test_what_is_no_such_graph_is_refused(
    capacities: list[Array], source: Array, message: str
) -> None:
    with pytest.raises(AttnlibError, match=message):
        maxflow.layered(capacities, source, [0])
