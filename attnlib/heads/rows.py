"""Rows, columns and whole matrices of one image's attention, layer by layer."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.trace import carry
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods.subject import Subject
from attnlib.model.vit import Vit

# Entries of attention, in all heads, that are computed while somebody waits for a click.
SMALL = 2**20

Array = NDArray[np.float32]


def layer_shape(vit: Vit) -> tuple[int, int]:
    """``(L, H)``: layers whose rows stand for tokens of the whole image, and heads of each.

    Class attention after a body without token attention (XCiT) is one layer.  (0, 0) for a
    model that attends within windows only.
    """
    places = vit.support.calls("layer")
    if not places and "readout rows" in vit.support.maps:
        places = vit.support.calls("pool")[-1:]
    return (len(places), vit.support.shapes[places[0]][1]) if places else (0, 0)


def row(subject: Subject, layer: int, query: int | None = None) -> Array:
    """Where a query looks, ``(H, T)``: each row sums to 1.

    Args:
        query: a token in sequence order; None is the readout, whatever it is in this model.

    Raises:
        AttnlibError: there is no such layer or token.
        CaptureError: the model has no attention that a readout could stand for.
    """
    call = _call(subject, layer)
    with _admitted(call), torch.no_grad():
        if query is not None:
            _check(subject, query)
            found = call.rows(slice(query, query + 1))[0, :, 0]
        elif subject.trace.layers:
            found = carry(call, subject.trace.readout()[None])[:, 0]
        else:
            found = call.rows()[0].mean(dim=1)
        return found.float().cpu().numpy()


def column(subject: Subject, layer: int, key: int) -> Array:
    """Who looks at a token, ``(H, T)``: for every query the share that it gives to ``key``.

    Raises:
        AttnlibError: there is no such layer or token.
        CaptureError: the layer has a single query.
    """
    call = _call(subject, layer)
    _check(subject, key)
    with _admitted(call), torch.no_grad():
        if call.shape[2] != subject.layout.tokens:
            raise CaptureError("In this layer only the readout asks, so nobody else looks.")
        found = torch.empty(call.shape[1], call.shape[2], device=subject.trace.device)
        for heads, queries, block in call.blocks():
            found[heads, queries] = block[..., key].float()
        return found.cpu().numpy()


def matrix(subject: Subject, layer: int, head: int) -> Array:
    """One head's attention ``(Tq, Tk)``: rows are queries and sum to 1.

    Raises:
        AttnlibError: there is no such layer or head.
    """
    call = _call(subject, layer)
    if not 0 <= head < call.shape[1]:
        raise AttnlibError(f"head must be from 0 to {call.shape[1] - 1}, not {head}.")
    with passes.admitted(), torch.no_grad():
        found = torch.empty(call.shape[2], call.shape[3], device=subject.trace.device)
        for heads, queries, block in call.blocks():
            if heads.start <= head < heads.stop:
                found[queries] = block[head - heads.start].float()
        return found.cpu().numpy()


def _admitted(call: AttentionCall) -> AbstractContextManager[None]:
    """A place for what takes about as long as a pass; what takes a millisecond waits for none."""
    return nullcontext() if math.prod(call.shape) <= SMALL else passes.admitted()


def _call(subject: Subject, layer: int) -> AttentionCall:
    trace = subject.trace
    calls = trace.layers or (() if trace.pool is None else (trace.pool,))
    if not calls:
        raise CaptureError(f"{subject.vit.name}: {subject.vit.support.reason}.")
    if not 0 <= layer < len(calls):
        raise AttnlibError(f"layer must be from 0 to {len(calls) - 1}, not {layer}.")
    return calls[layer]


def _check(subject: Subject, token: int) -> None:
    if not 0 <= token < subject.layout.tokens:
        raise AttnlibError(f"There is no token {token}: this model has {subject.layout.tokens}.")
