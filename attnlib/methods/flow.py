"""Attention flow: the maximum flow from the readout to each patch through the layers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.mixing import mixing_map
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods import maxflow
from attnlib.methods.base import Method, Option, Progress
from attnlib.methods.maxflow import LayeredFlow
from attnlib.methods.rollout import CAUTION, MIXING_OPTIONS
from attnlib.methods.subject import Subject


def flow(
    subject: Subject,
    target: int | None,
    *,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 0.5,
    source_layer: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Maximum flow from the readout to each patch, ``(N,)`` float64, each from 0 to 1.

    The graph has one node per token and level; the edge from token ``i`` after a layer to token
    ``j`` before it has capacity ``Â[i, j]``, as in rollout (Abnar & Zuidema 2020, section 3).
    Every patch is a sink of its own, so the values do not sum to 1.  A readout of several
    queries is one source with edges of the readout's weights to them.

    Raises:
        AttnlibError: there is no such source layer.
    """
    if progress is not None:
        # The solver is one step that cannot be stopped midway.
        progress(0, 1)
    graph = _graph(subject, head_fusion, discard_ratio, residual_weight, source_layer)
    return torch.from_numpy(_solved(subject, *graph).values)


def flow_details(subject: Subject, **options: object) -> LayeredFlow:
    """What :func:`flow` computes, with how: a page can say why the map is what it is.

    Where ``closed_form`` holds, only the last and the first layer limit the flow: a patch has
    min(1, sum of its column of Â in the first layer), whatever the layers between do.

    Args:
        options: those of the method.

    Raises:
        AttnlibError: an option is unknown or out of range.
        CaptureError: no flow is defined for this model.
    """
    if FLOW.needs not in subject.vit.support.maps:
        raise CaptureError(
            f"{FLOW.title} is not defined for {subject.vit.name}: {subject.vit.support.reason}."
        )
    checked = FLOW.checked(options)
    return _solved(subject, *_graph(subject, **checked))


def _graph(
    subject: Subject,
    head_fusion: str,
    discard_ratio: float,
    residual_weight: float,
    source_layer: int | None,
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Capacities ``(T, T)`` of the layers, bottom first, and the source ``(T,)``."""
    # Only the forward pass needs a place; others may run theirs while this one is solved.
    with passes.admitted():
        trace = subject.trace
    count = len(trace.layers)
    through = count if source_layer is None else source_layer
    if not 1 <= through <= count:
        raise AttnlibError(f"source_layer must be from 1 to {count}, not {source_layer}.")
    capacities = [
        mixing_map(call, trace.layout.carriers, head_fusion, discard_ratio, residual_weight)
        for call in trace.layers[:through]
    ]
    source = trace.readout().cpu().numpy().astype(np.float64)
    return capacities, source / source.sum()


def _solved(
    subject: Subject, capacities: list[NDArray[np.float64]], source: NDArray[np.float64]
) -> LayeredFlow:
    first = subject.layout.tokens - subject.layout.patches
    return maxflow.layered(capacities, source, slice(first, None))


FLOW = Method(
    name="flow",
    title="Attention flow",
    short="flow",
    slow=True,
    description=(
        "The most that could reach the readout from each patch if every attention weight were "
        "the capacity of a pipe (exact maximum flow). In deep models often only the first layer "
        "limits it: choose a shallower source layer to see more. It is the same for every class."
    ),
    source="Abnar & Zuidema 2020, section 3",
    unit="flow, at most 1",
    compute=flow,
    caution=CAUTION,
    options={
        **MIXING_OPTIONS,
        "source_layer": Option(
            None,
            "How many layers the flow goes through, counted from the input: 3 starts at the "
            "readout's token after the third layer; empty is all layers.",
            low=1,
        ),
    },
    passes="1, then a solver",
)
