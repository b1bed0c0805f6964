"""Forward passes made into records: what a model says, and where its readout looked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.mixing import rollout_row
from attnlib.capture.record import Record
from attnlib.capture.trace import Trace, carry
from attnlib.errors import CaptureError, NotFinite
from attnlib.model.arrays import array

if TYPE_CHECKING:
    from attnlib.model.vit import Vit


def records(vit: Vit, pixels: Tensor, *, rollout: bool = True) -> list[Record]:
    """One pass of prepared images ``(B, 3, h, w)``, a record of each.

    Args:
        rollout: without it the pass costs about as much as a plain one.

    Raises:
        OutOfMemory: the device ran out of memory.
        NotFinite: the model returned values that are not finite.
    """
    batch = pixels.shape[0]
    maps = vit.support.maps
    want_rollout = rollout and "rollout" in maps
    # The rows of a leading CLS token are free; any other readout needs whole matrices.
    leading = vit.layout.leading if "rollout" in maps else 0
    rows: list[Tensor] = []
    checks: list[Tensor] = []

    def note(call: AttentionCall, role: str) -> AttentionCall | None:
        if role == "layer" and leading:
            part = call.rows(slice(0, leading))
            checks.append(call.check(slice(0, leading), part))
            rows.append(part.mean(dim=2))
            return call.compact() if want_rollout else None
        if role == "layer" and "rollout" not in maps:
            return None
        if role in ("layer", "pool"):
            checks.append(call.check(slice(0, 1)))
            return call.compact()
        return None

    with passes.admitted(), torch.no_grad():
        logits, embedding, calls = vit.run(pixels, note)
        traces = [vit.traced(calls, i) for i in range(batch)] if calls else []
        embedding = logits if embedding is None else embedding
        if embedding.shape[0] != batch or embedding.ndim != 2:
            embedding = logits
        row_stack = list(torch.stack(rows, dim=1)) if leading else _rows(vit, batch, traces)
        rollouts = [rollout_row(t) if want_rollout else None for t in traces]
        deviation = torch.stack(checks).amax(dim=0).tolist() if checks else [math.nan] * batch
        return [
            _record(
                vit,
                logits[i],
                embedding[i],
                row_stack[i],
                rollouts[i] if rollouts else None,
                deviation[i],
            )
            for i in range(batch)
        ]


def _rows(vit: Vit, batch: int, traces: list[Trace]) -> list[Tensor | None]:
    """Per image: the readout's rows ``(L, H, T)``."""
    if not traces or "readout rows" not in vit.support.maps:
        return [None] * batch
    result: list[Tensor | None] = []
    for trace in traces:
        if "rollout" in vit.support.maps:
            readout = trace.readout()[None]
            result.append(_stack([carry(call, readout)[:, 0] for call in trace.layers]))
        else:
            assert trace.pool is not None
            result.append(trace.pool.rows()[0].mean(dim=1)[None])
    return result


def _record(
    vit: Vit,
    logits: Tensor,
    embedding: Tensor,
    rows: Tensor | None,
    rollout: Tensor | None,
    check: float,
) -> Record:
    logits = logits.cpu().float()
    if not bool(torch.isfinite(logits).all()):
        raise NotFinite(
            "The model returned values that are not finite. If it runs in float16, use "
            "float32 or bfloat16; otherwise its weights are damaged."
        )
    empty = np.zeros((0, 0, vit.layout.tokens), np.float32)
    return Record(
        logits=array(logits),
        # On the processor: not every accelerator has float64.
        probabilities=array(vit.outputs.probabilities(logits.double())),
        embedding=array(embedding),
        rows=empty if rows is None else array(rows),
        rollout=None if rollout is None else array(rollout),
        layout=vit.layout,
        query=vit.layout.query,
        self_check=check,
        class_names=vit.class_names,
        outputs=vit.outputs,
    )


def _stack(rows: list[Tensor]) -> Tensor:
    """``(L, H, T)`` of per-layer rows; layers with fewer heads are an error of the model kind."""
    if len({row.shape for row in rows}) > 1:
        raise CaptureError("The layers of this model have different numbers of heads.")
    return torch.stack(rows)
