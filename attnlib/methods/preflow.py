"""Push-relabel on a layered graph in float64: a preflow driven to one sink along distances.

Goldberg & Tarjan, "A new approach to the maximum-flow problem", 1988, with exact labels before
every sweep.  Whole levels are pushed at a time, in proportion to what edges and the nodes behind
them can take, which suits dense layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import AttnlibError

Array = NDArray[np.float64]

TINY = 1e-300
# What is below counts as nothing. The comparison of flow and cut covers what that loses.
_CRUMB = 1e-15


class Network:
    """The graph, and the flow in which every node hands on what it gets as evenly as it can.

    Attributes:
        capacity: ``capacity[l]`` ``(T, T)`` are the edges from level ``l`` to ``l - 1``, from 1.
        spread: ``spread[l]`` sends amounts at level ``l`` evenly down.
        supply: ``supply[l]`` ``(T,)`` is what then arrives at level ``l`` from the source.
    """

    def __init__(self, capacities: Sequence[Array], source: Array) -> None:
        count = len(capacities)
        self.source = np.asarray(source, np.float64)
        none = np.zeros((0, 0))
        self.capacity = [none, *(np.asarray(c, np.float64) for c in capacities)]
        self._check()
        self.spread = [Spread(edges) for edges in self.capacity]
        self.supply = [self.source] * (count + 1)
        for level in range(count, 1, -1):
            self.supply[level - 1] = self.spread[level](self.supply[level]).sum(axis=0)

    @property
    def levels(self) -> int:
        return len(self.capacity) - 1

    def _check(self) -> None:
        tokens = self.source.shape
        if not self.levels or len(tokens) != 1:
            raise AttnlibError("Give at least one layer, and a source with one value per token.")
        for edges in (self.source[None], *self.capacity[1:]):
            if edges.shape[1:] != tokens or edges.shape[0] not in (1, tokens[0]):
                raise AttnlibError(
                    f"Every layer must be {tokens[0]} x {tokens[0]} as the source has "
                    f"{tokens[0]} values, not {edges.shape}."
                )
            # NaN fails both comparisons, so they are written for it to be refused.
            if not (edges.min() >= 0 and edges.sum(axis=1).max() <= 1 + 1e-9):
                raise AttnlibError("Capacities must not be negative, and rows sum to 1 at most.")


class Spread:
    """Sends amounts over the edges of a layer as evenly as their capacities allow.

    That is ``min(C_ij, level_i)``, the level being such that rows sum to the amount, or whole
    rows where the amount is larger.
    """

    def __init__(self, edges: Array) -> None:
        self.edges = edges
        ordered = np.sort(edges, axis=1)
        self.below = np.cumsum(ordered, axis=1) - ordered
        self.wider = np.arange(edges.shape[1], 0, -1)
        self.sums = self.below + ordered * self.wider

    def __call__(self, amounts: Array) -> Array:
        """The flow ``(T, T)`` of the amounts ``(T,)``, one per row."""
        count = (self.sums < amounts[:, None]).sum(axis=1)[:, None]
        at = np.minimum(count, amounts.size - 1)
        level = (amounts[:, None] - np.take_along_axis(self.below, at, axis=1)) / self.wider[at]
        level[count == amounts.size] = np.inf
        flow: Array = np.minimum(self.edges, level)
        return flow


class Preflow:
    """A flow in which nodes may hold more than they have handed on: their excess.

    Attributes:
        value: what has reached the sink.
        excess: ``(levels + 2, T)``; rows 0 and ``levels + 1`` are no levels and stay empty.
        label: ``(levels + 2, T)``, edges to the sink along the shortest open path; 0 if none.
    """

    def __init__(self, network: Network, sink: int) -> None:
        self.network = network
        count = network.levels
        self.column = network.capacity[1][:, sink]
        self.room = self.column.copy()
        self.value = 0.0
        self.excess = np.zeros((count + 2, self.room.size))
        self.label = np.zeros(self.excess.shape, np.int64)
        self.up, self.down = list(network.capacity), list(network.capacity)
        self._open: dict[tuple[int, int], NDArray[np.float32]] = {}
        supply = network.source
        for level in range(count, 1, -1):
            edges = network.capacity[level]
            # The residual connection keeps a token's own column wide: what enters the sink's
            # column anywhere can ride it down. The rest is spread, to enter it further below.
            into = np.minimum(supply, edges[:, sink])
            into *= min(1.0, network.capacity[level - 1][sink, sink] / max(into.sum(), TINY))
            flow = network.spread[level](supply - into)
            flow[:, sink] = into
            self.up[level], self.down[level] = flow, edges - flow
            self.excess[level] = (supply - flow.sum(axis=1)).clip(min=0)
            supply = flow.sum(axis=0)
        self.excess[1] = supply

    def drain(self) -> None:
        """Move excess from level 1 into the sink as far as the edges allow."""
        part = np.minimum(self.excess[1], self.room)
        self.excess[1] -= part
        self.room -= part
        self.value += float(part.sum())

    def relabel(self) -> bool:
        """Exact distances to the sink, breadth first; whether any excess can still reach it."""
        label = self.label
        label[:] = 0
        label[1, self.room > _CRUMB] = 1
        holding = self.excess > _CRUMB
        found, distance = holding.any(), 1
        while (frontier := label == distance).any():
            # Distances beyond those of all nodes that hold something are not needed, until
            # none does and the cut is asked for.
            if found and not (holding & (label == 0)).any():
                return True
            for level in np.flatnonzero(frontier.any(axis=1)).tolist():
                goal = frontier[level].astype(np.float32)
                for other in self._neighbours(level):
                    reaches = self._opened(other, level, goal)
                    label[other, reaches & (label[other] == 0)] = distance + 1
            distance += 1
        # Distances never shrink: what is cut off from the sink now stays so.
        self.excess[label == 0] = 0
        return bool((holding & (label > 0)).any())

    def discharge(self) -> None:
        """Push excess one step nearer to the sink, farthest nodes first."""
        through = self._throughput()
        farthest = int(self.label[self.excess > _CRUMB].max())
        for distance in range(farthest, 1, -1):
            pushing = (self.label == distance) & (self.excess > _CRUMB)
            for level in np.flatnonzero(pushing.any(axis=1)).tolist():
                for other in self._neighbours(level):
                    # No more than a node can hand on, or it would only have to come back.
                    room = (through[other] - self.excess[other]).clip(min=0)
                    room *= self.label[other] == distance - 1
                    if room.any():
                        self._push(level, other, self.excess[level] * pushing[level], room)

    def cut(self) -> float:
        """Capacity of the edges from nodes that do not reach the sink to nodes that do."""
        network, reach = self.network, self.label > 0
        total = network.source[reach[network.levels]].sum() + self.column[~reach[1]].sum()
        for level in range(2, network.levels + 1):
            total += network.capacity[level][~reach[level]][:, reach[level - 1]].sum()
        return float(total)

    def _neighbours(self, level: int) -> list[int]:
        return [n for n in (level - 1, level + 1) if 1 <= n <= self.network.levels]

    def _opened(self, start: int, end: int, goal: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which nodes of level ``start`` have an open edge to the goal in level ``end``."""
        key = (start, end)
        if key not in self._open:
            edges = self.down[start] if end < start else self.up[end].T
            self._open[key] = (edges > _CRUMB).astype(np.float32)
        found: NDArray[np.bool_] = self._open[key] @ goal > 0
        return found

    def _throughput(self) -> Array:
        """What each node could hand on along shortest paths if it were alone, ``(.., T)``."""
        through = np.zeros_like(self.excess)
        through[1] = np.where(self.label[1] == 1, self.room, 0)
        for distance in range(2, int(self.label.max())):
            here = self.label == distance
            for level in np.flatnonzero(here.any(axis=1)).tolist():
                for other in self._neighbours(level):
                    onward = np.where(self.label[other] == distance - 1, through[other], 0)
                    if not onward.any():
                        continue
                    if other < level:
                        rows, columns, index = _pick(here[level], onward)
                        part = np.minimum(self.down[level][index], onward[columns])
                        through[level, rows] += part.sum(axis=1)
                    else:
                        rows, columns, index = _pick(onward, here[level])
                        part = np.minimum(self.up[other][index], onward[rows, None])
                        through[level, columns] += part.sum(axis=0) * here[level, columns]
        return through

    def _push(self, level: int, other: int, excess: Array, room: Array) -> None:
        """Push excess ``(T,)`` from a level to the one below or above, in proportion.

        Afterwards a node has no excess, or its edges are full, or those they lead to are.
        """
        layer = max(level, other)
        self._open.pop((layer, layer - 1), None)
        self._open.pop((layer - 1, layer), None)
        if other < level:
            rows, columns, index = _pick(excess, room)
            edges = self.down[layer][index]
            part = np.minimum(edges, room[columns])
            part *= _share(excess[rows], part.sum(axis=1))[:, None]
            part *= _share(room[columns], part.sum(axis=0))
            self.down[layer][index] = edges - part
            self.up[layer][index] += part
            self.excess[level, rows] -= part.sum(axis=1)
            self.excess[other, columns] += part.sum(axis=0)
        else:
            rows, columns, index = _pick(room, excess)
            edges = self.up[layer][index]
            part = np.minimum(edges, room[rows, None])
            part *= _share(excess[columns], part.sum(axis=0))
            part *= _share(room[rows], part.sum(axis=1))[:, None]
            self.up[layer][index] = edges - part
            self.down[layer][index] += part
            self.excess[level, columns] -= part.sum(axis=0)
            self.excess[other, rows] += part.sum(axis=1)
        np.maximum(self.excess[level], 0, out=self.excess[level])


def _pick(upper: Array, lower: Array) -> tuple[Any, Any, Any]:
    """Rows, columns and index of the part of a layer between two sets of nodes (not 0).

    Whole rows are so much cheaper to pick that columns are only left out where they are many.
    """
    rows, columns = np.flatnonzero(upper), np.flatnonzero(lower)
    if 3 * columns.size < lower.size:
        return rows, columns, np.ix_(rows, columns)
    return rows, slice(None), rows


def _share(available: Array, wanted: Array) -> Array:
    """By how much to scale each demand down so that it fits what is available: at most 1."""
    share: Array = np.minimum(1.0, available / np.maximum(wanted, TINY))
    return share
