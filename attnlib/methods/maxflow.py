"""Maximum flow through a layered graph, exact, from one source to many sinks.

The graph of attention flow (Abnar & Zuidema 2020, section 3) has ``L`` layers of edges between
``L + 1`` levels of ``T`` nodes; the edge from node ``i`` of level ``l`` to node ``j`` of level
``l - 1`` has capacity ``C_l[i, j]``.  The source feeds the top level, a sink is a node of level 0.

**Weak duality** is what all results rest on: a flow never exceeds a cut.  A feasible flow as
large as some cut therefore proves both to be optimal, however either was found.

1. *Closed form.*  The edges out of the source are a cut, and so are the edges into the sink, so
   the flow is at most the smaller of the source's total and the sink's column sum of ``C_1``.
2. *Certificate.*  For all sinks at once, a flow of that value is built in three parts.  From the
   top, nodes hand on what they get, as evenly as capacities allow.  From the bottom, nodes demand
   what the sink wants, from other tokens first and from their own column last.  One layer in
   between joins supply and demand by matrix scaling.  If every part keeps its capacities, this
   is a flow as large as the cut of 1, so both are optimal; if not, nothing is concluded.
3. *Solver.*  For the other sinks, push-relabel (``preflow``).  When it stops, the
   nodes that no longer reach the sink are a cut, and flow and cut are compared.

All arithmetic is float64; nothing is rounded to whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import AttnlibError
from attnlib.methods.preflow import TINY, Array, Network, Preflow

# Flow and cut may differ by this much. Typical gaps are 1e-16 to 1e-13.
TOLERANCE = 1e-9
# Scalings that the certificate tries at one joint before it gives up.
_SCALINGS = 100


@dataclass(frozen=True)
class LayeredFlow:
    """Maximum flows from one source to each of ``S`` sinks.

    Attributes:
        values: ``(S,)`` float64, each from 0 to the source's total.
        closed_form: ``(S,)``, whether the value is min(source's total, sink's column sum), so
            that nothing between the first and the last layer limits the flow.
        solved: for how many sinks the certificate failed and the solver ran.
    """

    values: Array
    closed_form: NDArray[np.bool_]
    solved: int


def layered(
    capacities: Sequence[Array], source: Array, sinks: slice | Sequence[int] | NDArray[np.int_]
) -> LayeredFlow:
    """The maximum flow to every sink, exact to ``TOLERANCE`` (flow and cut are compared).

    Args:
        capacities: one ``(T, T)`` matrix per layer, bottom first, not negative, rows sum to 1 at
            most; row ``i`` are the edges from node ``i`` of the level above.
        source: ``(T,)`` capacities from the source into the top level, sum at most 1.
        sinks: which nodes of level 0.

    Raises:
        AttnlibError: shapes do not fit, values are out of range, or flow and cut differ.
    """
    network = Network(capacities, source)
    nodes = np.arange(network.source.size)[sinks]
    columns = network.capacity[1][:, nodes]
    bound = np.minimum(network.source.sum(), columns.sum(axis=0))
    held = _certified(network, columns, bound)
    values = bound.copy()
    for index in np.flatnonzero(~held):
        values[index] = _solve(network, int(nodes[index]), float(bound[index]))
    return LayeredFlow(values, bound - values <= TOLERANCE, int((~held).sum()))


def _certified(network: Network, columns: Array, bound: Array) -> NDArray[np.bool_]:
    """For which sinks a flow of the bound's value is built without search, ``(S,)``."""
    sinks = columns.shape[1]
    demand = columns * (bound / np.maximum(columns.sum(axis=0), TINY))
    total = max(float(network.source.sum()), TINY)
    held: NDArray[np.bool_] = (demand <= network.supply[1][:, None]).all(axis=0)
    feasible = np.ones(sinks, np.bool_)
    joints: list[tuple[int, Array, NDArray[np.bool_]]] = []
    for level in range(2, network.levels + 1):
        joints.append((level, demand, feasible))
        self_edge = np.diagonal(network.capacity[level])
        others = network.capacity[level] - np.diag(self_edge)
        incoming = others.sum(axis=0)[:, None]
        moved = np.minimum(demand, incoming)
        stays = demand - moved
        feasible = feasible & (stays <= self_edge[:, None]).all(axis=0)
        demand = (others / np.maximum(incoming[:, 0], TINY)) @ moved + stays
    # Both parts spread out with every layer, so a joint in the middle is the likeliest to hold.
    joints.sort(key=lambda joint: abs(2 * joint[0] - network.levels - 2))
    for level, wanted, possible in joints:
        rest = np.flatnonzero(possible & ~held)
        supply = network.supply[level][:, None] * (bound[rest] / total)
        held[rest] = _joins(network.capacity[level], supply, wanted[:, rest])
    return held


def _joins(edges: Array, supply: Array, demand: Array) -> NDArray[np.bool_]:
    """For which columns of supply and demand ``(T, S)`` a flow through one layer meets both.

    The flow is ``a_i C_ij b_j``, scaled in turn to the supply and to the demand (Sinkhorn 1967);
    it fits if ``a_i b_j`` is at most 1. What is still sent beyond the supply would be cut off.
    """
    joined = np.zeros(supply.shape[1], np.bool_)
    alive = np.arange(supply.shape[1])
    columns = np.ones_like(demand)
    for step in range(1, _SCALINGS + 1):
        rows = _ratio(supply, edges @ columns)
        columns = _ratio(demand, edges.T @ rows)
        if step % 5:
            continue
        fits = rows.max(axis=0) <= 1 / np.maximum(columns.max(axis=0), TINY)
        sent = rows * (edges @ columns)
        missing = demand.sum(axis=0) - np.minimum(sent, supply).sum(axis=0)
        done = fits & (missing <= 0.1 * TOLERANCE)
        joined[alive[done]] = True
        more = fits & ~done
        if not more.any():
            break
        alive, rows, columns = alive[more], rows[:, more], columns[:, more]
        supply, demand = supply[:, more], demand[:, more]
    return joined


def _solve(network: Network, sink: int, bound: float) -> float:
    """The maximum flow into one sink, and a check that it equals a cut."""
    preflow = Preflow(network, sink)
    while True:
        preflow.drain()
        if bound - preflow.value <= 0.1 * TOLERANCE:
            return bound
        if not preflow.relabel():
            break
        preflow.discharge()
    cut = preflow.cut()
    if not abs(cut - preflow.value) <= TOLERANCE:
        raise AttnlibError(
            f"The maximum flow is not certain: the flow found is {preflow.value}, the cut {cut}. "
            "Please report this image and model."
        )
    # The cut sums capacities as they were given; the flow has been through many subtractions.
    return min(cut, bound)


def _ratio(amount: Array, over: Array) -> Array:
    """Elementwise quotient, 0 where there is nothing to divide by."""
    ratio: Array = np.divide(amount, over, out=np.zeros_like(amount), where=over > TINY)
    return ratio
