"""Forward passes made into records: what a model says, and where its readout looked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.followed import Followed
from attnlib.capture.record import Record
from attnlib.errors import NotFinite
from attnlib.model.arrays import array

if TYPE_CHECKING:
    from attnlib.model.running import Kept
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
    layers = vit.support.calls("layer") if "rollout" in vit.support.maps else ()
    seen = Followed(vit.layout, len(layers), rollout=rollout)

    def note(call: AttentionCall, role: str) -> AttentionCall | None:
        if role == "layer" and layers:
            seen.layer(call)
        elif role == "pool":
            seen.checks.append(call.check(slice(0, 1)))
            return call.compact()
        return None

    with passes.admitted(), torch.no_grad():
        logits, embedding, pools = vit.run(pixels, note)
        embedding = logits if embedding is None else embedding
        if embedding.shape[0] != batch or embedding.ndim != 2:
            embedding = logits
        rows, rolled = _followed(vit, batch, seen, pools) if layers else (None, None)
        if rows is None and "readout rows" in vit.support.maps:
            pool = pools[-1][0]
            rows = pool.rows().mean(dim=2)[None]
        deviation = (
            torch.stack(seen.checks).amax(dim=0).tolist() if seen.checks else [math.nan] * batch
        )
        return [
            _record(
                vit,
                logits[i],
                embedding[i],
                None if rows is None else rows[:, i],
                None if rolled is None else rolled[i],
                deviation[i],
            )
            for i in range(batch)
        ]


def _followed(vit: Vit, batch: int, seen: Followed, pools: Kept) -> tuple[Tensor, Tensor | None]:
    """The readout's rows ``(L, B, H, T)``, and rollout ``(B, T)`` if it is wanted."""
    if vit.layout.readout_weights() is not None:
        return seen.ended()
    return seen.ended(torch.stack([vit.traced(pools, i).readout() for i in range(batch)]))


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
