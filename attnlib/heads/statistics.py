"""Numbers for every head on one image, and their mean over many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.record import row_entropy
from attnlib.capture.tokens import TokenLayout
from attnlib.capture.trace import Trace, carry
from attnlib.errors import AttnlibError, CaptureError
from attnlib.model.vit import Vit

Array = NDArray[np.float32]

# Patch tokens whose norm is this many times the layer's median are sinks: the artefacts that
# registers were made to absorb stand out by a factor of 2 to 10 (Darcet et al. 2024, fig. 3).
SINK_RATIO = 3.0


@dataclass(frozen=True)
class HeadStatistics:
    """What every head does on one image (or on average over several).

    Attributes:
        entropy: ``(L, H)``, of the readout's row over patches, renormalised, in units of log N:
            0 is one patch, 1 is uniform.
        distance: ``(L, H)``, attention distance in pixels: the mean distance between the centres
            of a query patch and of the patches that it attends to, weighted by attention and
            averaged over query patches (Dosovitskiy et al. 2021, fig. 7).
        peak: ``(L, H)``, the largest share that the readout's row gives to one token.
        peak_token: ``(L, H)``, which token that is, in sequence order; -1 in a mean.
        cls, registers: ``(L, H)``, share of the readout's row on the CLS and distillation
            tokens, and on the other prefix tokens.
        sinks: ``(L, H)``, share of the readout's row on patches of outlying norm.
        sink_count: ``(L,)``, how many such patches each layer has; NaN where the model makes no
            normalisation from whose input the norm could be read.
    """

    entropy: Array
    distance: Array
    peak: Array
    peak_token: Array
    cls: Array
    registers: Array
    sinks: Array
    sink_count: Array


def head_statistics(vit: Vit, pixels: Tensor) -> HeadStatistics:
    """Statistics of all heads in one forward pass of ``pixels`` ``(1, 3, h, w)``.

    One layer's attention is looked at, in blocks, and forgotten before the next.

    Raises:
        CaptureError: the model has no attention between all tokens.
    """
    vit = vit.fitting(pixels)
    if "rollout" not in vit.support.maps:
        raise CaptureError(
            f"{vit.name} has no layers of attention between all tokens: {vit.support.reason}."
        )
    layout = vit.layout
    calls: list[AttentionCall] = []
    distances: list[Tensor] = []
    high: list[Tensor | None] = []
    apart = torch.from_numpy(layout.distances()).float().to(vit.device)

    def note(call: AttentionCall, role: str) -> AttentionCall | None:
        if role == "layer":
            distances.append(_attention_distance(call, apart, layout))
            high.append(_outliers(call, layout))
        kept = call.compact() if role in ("layer", "pool") else None
        if kept is not None and role == "layer":
            calls.append(kept)
        return kept

    with passes.admitted(), torch.no_grad():
        trace = vit.observe(pixels, note)
        rows = _readout_rows(trace)
    return _summary(rows, torch.stack(distances), high, layout)


def _readout_rows(trace: Trace) -> Tensor:
    """``(L, H, T)``."""
    readout = trace.readout()[None]
    return torch.stack([carry(call, readout)[:, 0] for call in trace.layers])


def _summary(
    rows: Tensor, distance: Tensor, high: list[Tensor | None], layout: TokenLayout
) -> HeadStatistics:
    shares = rows.float().cpu().numpy()
    prefix = len(layout.prefix)
    classes = [i for i, name in enumerate(layout.prefix) if name in ("cls", "dist")]
    others = [i for i in range(prefix) if i not in classes]
    sinks = np.zeros(shares.shape[:2], np.float32)
    count = np.full(shares.shape[0], np.nan, np.float32)
    for layer, mask in enumerate(high):
        if mask is not None:
            where = mask.cpu().numpy()
            sinks[layer] = shares[layer][:, prefix:][:, where].sum(-1)
            count[layer] = where.sum()
    return HeadStatistics(
        entropy=row_entropy(shares[:, :, prefix:]),
        distance=distance.float().cpu().numpy(),
        peak=shares.max(-1),
        peak_token=shares.argmax(-1).astype(np.float32),
        cls=shares[:, :, classes].sum(-1),
        registers=shares[:, :, others].sum(-1),
        sinks=sinks,
        sink_count=count,
    )


def mean_statistics(found: Iterable[HeadStatistics]) -> tuple[HeadStatistics, int]:
    """The mean over images, and how many there were; one set of sums is held.

    Raises:
        AttnlibError: there are none.
    """
    names = [field.name for field in fields(HeadStatistics)]
    sums: dict[str, NDArray[np.float64]] = {}
    count = 0
    for statistics in found:
        count += 1
        for name in names:
            values = getattr(statistics, name).astype(np.float64)
            sums[name] = values if name not in sums else sums[name] + values
    if count == 0:
        raise AttnlibError("There are no images to average over.")
    means = {name: (total / count).astype(np.float32) for name, total in sums.items()}
    if count > 1:
        means["peak_token"] = np.full_like(means["peak_token"], -1)
    return HeadStatistics(**means), count


def _attention_distance(call: AttentionCall, apart: Tensor, layout: TokenLayout) -> Tensor:
    """``(H,)`` in pixels, over patch queries and patch keys, each query's row renormalised."""
    prefix = layout.tokens - layout.patches
    total = apart.new_zeros(call.shape[1])
    for heads, rows, block in call.image(0).blocks():
        skip = max(0, prefix - rows.start)
        patches = block[:, skip:, prefix:].float()
        if not patches.shape[1]:
            continue
        where = apart[rows.start + skip - prefix : rows.stop - prefix]
        mass = patches.sum(-1).clamp_min(torch.finfo(torch.float32).tiny)
        total[heads] += ((patches * where).sum(-1) / mass).sum(-1)
    return total / layout.patches


def _outliers(call: AttentionCall, layout: TokenLayout) -> Tensor | None:
    """``(N,)``: which patch tokens enter the layer with a norm far above the median."""
    if call.stream is None or call.stream.shape[1] != layout.tokens:
        return None
    norms = torch.linalg.vector_norm(
        call.stream[0, layout.tokens - layout.patches :].float(), dim=-1
    )
    outlying: Tensor = norms > SINK_RATIO * norms.median()
    return outlying
