"""Raw attention: one row of the attention matrix, as the model computed it."""

from __future__ import annotations

from torch import Tensor

from attnlib.capture.trace import carry
from attnlib.errors import AttnlibError
from attnlib.methods.base import HEAD_FUSION, Method, Option, fuse, patches_of
from attnlib.methods.subject import Subject


def raw(
    subject: Subject,
    target: int | None,
    *,
    layer: int = -1,
    head: int | None = None,
    head_fusion: str = "mean",
    query: int | None = None,
) -> Tensor:
    """The attention of one query to the patches, ``(N,)``: shares that sum to 1 at most.

    What is missing to 1 is the attention to prefix tokens.
    """
    trace = subject.trace
    calls = trace.layers or (() if trace.pool is None else (trace.pool,))
    if not -len(calls) <= layer < len(calls):
        raise AttnlibError(f"layer must be from 0 to {len(calls) - 1} (or -1 for the last).")
    call = calls[layer]
    tokens = subject.layout.tokens
    if query is None and not trace.layers:
        # Class attention alone (XCiT): its one query is the readout.
        rows = call.rows()[0].mean(dim=1)
    elif query is None:
        rows = carry(call, trace.readout()[None])[:, 0]
    elif 0 <= query < tokens:
        rows = call.rows(slice(query, query + 1))[0, :, 0]
    else:
        raise AttnlibError(f"query must be a token from 0 to {tokens - 1}, not {query}.")
    if head is not None:
        if not 0 <= head < rows.shape[0]:
            raise AttnlibError(f"head must be from 0 to {rows.shape[0] - 1}, not {head}.")
        return patches_of(rows[head], subject.layout)
    return patches_of(fuse(rows, head_fusion), subject.layout)


RAW = Method(
    name="raw",
    title="Raw attention",
    short="raw",
    description=(
        "Where one query looks in one layer: the row of the attention matrix, for one head or "
        "fused over heads. It shows what was read, not what the answer rests on."
    ),
    source="Dosovitskiy et al. 2021, eq. 7",
    unit="share of the query's attention",
    compute=raw,
    share=True,
    needs="readout rows",
    options={
        "layer": Option(-1, "Layer, counted from 0; -1 is the last."),
        "head": Option(None, "Head, counted from 0; empty fuses all heads.", low=0),
        "head_fusion": HEAD_FUSION,
        "query": Option(
            None, "Token whose attention is shown; empty is the readout.", low=0, shown=False
        ),
    },
)
