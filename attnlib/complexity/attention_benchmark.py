"""One layer of attention in several forms, timed on the same random queries, keys and values."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.capture.passes import choose_device
from attnlib.complexity.architecture import Architecture
from attnlib.complexity.build import attention
from attnlib.complexity.cost import cost
from attnlib.complexity.matmul_rate import repeat
from attnlib.complexity.measure import check_memory
from attnlib.complexity.memory import Dtype
from attnlib.complexity.savings import Options

FORMS = ("materialised", "fused", "windowed", "linear", "low_rank")


@dataclass(frozen=True)
class AttentionTime:
    """Seconds of one layer's attention product, without its projections; the median."""

    form: str
    seconds: float
    repeats: int


def benchmark_attention(
    architecture: Architecture,
    batch: int = 1,
    dtype: Dtype = "float32",
    device: str = "cpu",
    options: Options | None = None,
    seconds: float = 0.5,
) -> list[AttentionTime]:
    """Time ``(B, H, T, d)`` queries, keys and values in each form, ``seconds`` for each.

    Raises:
        ArchitectureError: the batch or dtype is impossible.
        OutOfMemory: the matrices would not fit.
    """
    where, options = choose_device(device), options or Options()
    check_memory(cost(architecture, batch, dtype, materialised=True), where)
    shape = (3, batch, architecture.heads, architecture.tokens, architecture.head_width)
    with torch.inference_mode():
        q, k, v = torch.randn(shape, device=where).to(getattr(torch, dtype)).unbind(0)
        rank = min(options.rank, architecture.tokens)
        project = torch.randn(rank, architecture.tokens, device=where).to(q.dtype)
        forms: dict[str, Callable[[], Tensor]] = {
            "materialised": lambda: attention(q, k, v),
            "fused": lambda: F.scaled_dot_product_attention(q, k, v),
            "windowed": lambda: windowed(q, k, v, options.window**2),
            "linear": lambda: linear(q, k, v),
            "low_rank": lambda: F.scaled_dot_product_attention(q, project @ k, project @ v),
        }
        rows = []
        for form in FORMS:
            times = repeat(forms[form], where, seconds)
            rows.append(AttentionTime(form, statistics.median(times), len(times)))
    return rows


def windowed(query: Tensor, key: Tensor, value: Tensor, length: int) -> Tensor:
    """Attention within runs of ``length`` tokens: the cost of windows, whatever their shape.

    All are ``(B, H, T, d)``. The last run is filled up with tokens that nobody may attend to.
    """
    tokens = query.shape[-2]
    length = min(length, tokens)
    rest = -tokens % length
    parts = [
        F.pad(t, (0, 0, 0, rest)).unflatten(2, (-1, length)) for t in (query, key, value)
    ]  # fmt: skip
    real = torch.arange(tokens + rest, device=query.device).unflatten(0, (-1, length)) < tokens
    mask = real[:, None, :].expand(-1, length, -1) if rest else None
    # Windows as part of the batch, since fused kernels take four dimensions.
    runs = parts[0].shape[2]
    flat = [t.transpose(1, 2).flatten(0, 1) for t in parts]
    if mask is not None:
        mask = mask.repeat(query.shape[0], 1, 1)[:, None]
    out: Tensor = F.scaled_dot_product_attention(flat[0], flat[1], flat[2], attn_mask=mask)
    whole: Tensor = out.unflatten(0, (-1, runs)).transpose(1, 2).flatten(2, 3)
    return whole[:, :, :tokens]


def linear(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """φ(Q) (φ(K)ᵀ V) / φ(Q) Σ φ(K) with φ = elu + 1 (Katharopoulos et al. 2020, eq. 4 to 7)."""
    q, k = F.elu(query) + 1, F.elu(key) + 1
    return q @ (k.mT @ value) / (q @ k.sum(dim=-2, keepdim=True).mT)
