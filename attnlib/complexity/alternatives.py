"""What would make it cheaper, and by how much: each with its formula, computed on the spot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from attnlib.complexity.architecture import Architecture
from attnlib.complexity.cost import cost
from attnlib.complexity.memory import BYTES, Dtype, checkpointed_activations, memory
from attnlib.complexity.operations import macs
from attnlib.complexity.savings import NOT_PUBLISHED, Alternative, Options, Subject


def alternatives(
    architecture: Architecture,
    batch: int = 1,
    dtype: Dtype = "float32",
    options: Options | None = None,
) -> list[Alternative]:
    """All of them, for one architecture.

    Raises:
        ArchitectureError: the batch or dtype is impossible.
    """
    cost(architecture, batch, dtype)
    subject = Subject(architecture, batch, dtype, options or Options())
    return [make(subject) for make in _ALL]


def _fused(s: Subject) -> Alternative:
    before = memory(s.a, s.batch, s.dtype, materialised=True).peak
    return Alternative(
        "fused", "Fused attention", r"\mathcal{O}(T^2) \to \mathcal{O}(T) \text{ memory}",
        "The weights are never written to memory; the operations stay.", {},
        s.macs, s.macs, "peak of inference", before, memory(s.a, s.batch, s.dtype).peak,
        "None: the same function.", "Dao et al. 2022 (FlashAttention)", exact=True,
    )  # fmt: skip


def _mixed_precision(s: Subject) -> Alternative:
    full = memory(s.a, s.batch, "float32", training=True)
    half = memory(s.a, s.batch, "bfloat16", training=True)
    # Weights, gradients and moments stay float32; a half-precision copy of the weights is added.
    after = full.weights + full.gradients + full.optimiser + half.weights
    after += half.activations + half.workspace
    return Alternative(
        "mixed_precision", "Mixed precision", r"4 \to 2 \text{ bytes per activation}",
        "Training from float32: master weights, gradients and AdamW's moments stay float32.", {},
        s.macs, s.macs, "peak of training", full.peak, after,
        "No loss of accuracy reported on the networks studied.", "Micikevicius et al. 2018",
    )  # fmt: skip


def _checkpointing(s: Subject) -> Alternative:
    pass_macs = cost(s.a, s.batch, s.dtype).training_macs
    blocks = macs(s.a)
    again = s.batch * (blocks.total - blocks.patch_embedding - blocks.head - blocks.pool)
    return Alternative(
        "checkpointing", "Gradient checkpointing", r"L\,m_\text{block} \to L\,T D + m_\text{block}",
        "Every block is recomputed in the backward pass. MACs are of a training step.", {},
        pass_macs, pass_macs + again, "activations kept by autograd",
        memory(s.a, s.batch, s.dtype, training=True).activations,
        checkpointed_activations(s.a, s.batch, s.dtype, False),
        "None: the same gradients.", "Chen et al. 2016", exact=True,
    )  # fmt: skip


def _windowed(s: Subject) -> Alternative:
    rows, cols = s.a.grid
    w = s.options.window
    local, prefix = min(w, rows) * min(w, cols), s.a.prefix_tokens
    # A patch sees its window and the prefix tokens, which see everything.
    pairs = s.a.patches * (local + prefix) + prefix * s.a.tokens
    return Alternative(
        "windowed", "Local windows", r"T^2 \to T\,w^2",
        "All blocks use windows of w × w patches; prefix tokens stay global.", {"window": w},
        **s.pattern(pairs),  # type: ignore[arg-type]
        accuracy="Another architecture, not a switch: Swin-T 81.3 % against DeiT-S 79.8 % top-1 on "
        "ImageNet-1k at about the same FLOPs.", source="Liu et al. 2021 (Swin)",
    )  # fmt: skip


def _strided(s: Subject) -> Alternative:
    stride = min(s.options.stride, s.a.tokens)
    per_query = stride + math.ceil(s.a.tokens / stride)
    return Alternative(
        "strided", "Strided attention", r"T^2 \to T\,(s + T/s)",
        "A query sees its s neighbours and every s-th token.", {"stride": stride},
        **s.pattern(s.a.tokens * per_query),  # type: ignore[arg-type]
        accuracy=NOT_PUBLISHED, source="Child et al. 2019 (Sparse Transformers)",
    )  # fmt: skip


def _random(s: Subject) -> Alternative:
    keys = s.options.random_keys
    pairs = s.a.patches * (keys + s.a.prefix_tokens) + s.a.prefix_tokens * s.a.tokens
    return Alternative(
        "random", "Random attention", r"T^2 \to T\,r",
        "A patch sees r random keys and the prefix tokens, which see everything.",
        {"random_keys": keys}, **s.pattern(pairs),  # type: ignore[arg-type]
        accuracy=NOT_PUBLISHED, source="Zaheer et al. 2020 (BigBird)",
    )  # fmt: skip


def _sparse(s: Subject) -> Alternative:
    density = s.options.density
    return Alternative(
        "sparse", "General sparse attention", r"T^2 \to \rho\,T^2",
        "A share ρ of the pairs is computed, at no cost for finding them. Hardware reaches this "
        "only for patterns made of blocks.", {"density": density},
        **s.pattern(density * s.a.tokens**2),  # type: ignore[arg-type]
        accuracy=NOT_PUBLISHED, source="Child et al. 2019; Zaheer et al. 2020",
    )  # fmt: skip


def _linear(s: Subject) -> Alternative:
    d = s.a.head_width
    # φ(K)ᵀ V and φ(Q) (φ(K)ᵀ V): 2 T d² of each head, instead of 2 T² d.
    now = macs(s.a)
    products = 2 * s.a.depth * s.a.branches * s.a.heads * s.a.tokens * d * d
    state = s.batch * s.a.branches * s.a.heads * d * d * BYTES[s.dtype]
    return Alternative(
        "linear", "Linear (kernel) attention",
        r"\phi(Q)\,(\phi(K)^\top V):\; 2 T^2 d \to 2 T d^2",
        "A feature map φ of the width of a head; the normaliser is not counted.", {"features": d},
        s.macs, s.macs - s.batch * (now.quadratic - products),
        "attention weights of one layer, and the d × d state in their place", s.map_bytes, state,
        NOT_PUBLISHED, "Katharopoulos et al. 2020",
    )  # fmt: skip


def _low_rank(s: Subject) -> Alternative:
    rank = min(s.options.rank, s.a.tokens)
    # Keys and values of every head are projected along the tokens: 2 k T A of each block.
    extra = 2 * s.a.depth * s.a.branches * rank * s.a.tokens * s.a.attention_width
    return Alternative(
        "low_rank", "Low-rank attention", r"Q (E K)^\top (F V):\; T^2 \to T k",
        "Keys and values are projected from T to k; k × T weights more per projection.",
        {"rank": rank}, **s.pattern(s.a.tokens * rank, extra),  # type: ignore[arg-type]
        accuracy=NOT_PUBLISHED, source="Wang et al. 2020 (Linformer)",
    )  # fmt: skip


def _latents(s: Subject) -> Alternative:
    m = min(s.options.latents, s.a.tokens)
    now, a = macs(s.a), s.a
    share = m / a.tokens
    # Queries, output and MLP of m latents; keys and values of all tokens, in every block.
    keys = 2 * a.branches * sum(a.kv_widths) * a.dim * a.tokens
    rest = now.patch_embedding + now.pool + now.head + keys
    after = rest + share * (now.qkv - keys + now.output + now.mlp + now.quadratic)
    return Alternative(
        "latents", "Cross-attention with fewer queries", r"T^2 \to m\,T",
        "m latent queries read all tokens in every block, and no latent attends to another.",
        {"latents": m}, s.macs, round(s.batch * after), "attention weights of one layer",
        s.map_bytes, round(s.map_bytes * share),
        "Another architecture: Perceiver 78.0 % against ViT-B/16 77.9 % top-1 on ImageNet-1k.",
        "Jaegle et al. 2021 (Perceiver)",
    )  # fmt: skip


def _merging(s: Subject) -> Alternative:
    lengths = [s.a.tokens]
    for _ in range(s.a.depth):
        movable = lengths[-1] - s.a.prefix_tokens
        lengths.append(lengths[-1] - min(s.options.merged, movable // 2))
    return Alternative(
        "merging", "Token merging", r"T_{l+1} = T_l - r",
        "r tokens are merged between attention and MLP of every block, at most half; matching "
        "is not counted.", {"merged": s.options.merged}, **s.shrinking(lengths),  # type: ignore[arg-type]
        accuracy="0.2 to 0.3 % lower top-1 at twice the throughput, ViT-L at 512 and ViT-H at 518 "
        "pixels.", source="Bolya et al. 2023 (ToMe)",
    )  # fmt: skip


def _pruning(s: Subject) -> Alternative:
    stages = {s.a.depth * k // 4 for k in (1, 2, 3)}
    lengths = [s.a.tokens]
    for layer in range(s.a.depth):
        movable = lengths[-1] - s.a.prefix_tokens
        kept = math.ceil(movable * s.options.kept) if layer + 1 in stages else movable
        lengths.append(s.a.prefix_tokens + kept)
    return Alternative(
        "pruning", "Token pruning", r"T_{l+1} = \rho\,T_l \text{ at three stages}",
        "A share ρ of the patches stays after each quarter of the blocks; the small network that "
        "chooses is not counted.", {"kept": s.options.kept}, **s.shrinking(lengths),  # type: ignore[arg-type]
        accuracy="Within 0.5 % top-1 at 31 to 37 % fewer FLOPs (ρ = 0.7, after retraining).",
        source="Rao et al. 2021 (DynamicViT)",
    )  # fmt: skip


def _larger_patches(s: Subject) -> Alternative:
    most = min(image // patch for image, patch in zip(s.a.image, s.a.patch, strict=True))
    factor = min(s.options.patch_factor, most)
    rows, cols = s.a.patch
    a = dataclasses.replace(s.a, patch=(rows * factor, cols * factor), name="")
    return Alternative(
        "larger_patches", "Larger patches", r"N \to N / f^2",
        "The side of a patch grows by f; the model is trained anew.", {"patch_factor": factor},
        s.macs, s.batch * macs(a).total, "attention weights of one layer, were they formed",
        s.map_bytes, memory(a, s.batch, s.dtype).attention_per_layer,
        "ViT-B/32 81.28 % against ViT-B/16 83.97 % top-1 on ImageNet-1k, pre-trained on "
        "ImageNet-21k.", "Dosovitskiy et al. 2021, Table 5",
    )  # fmt: skip


_ALL: tuple[Callable[[Subject], Alternative], ...] = (
    _fused,
    _mixed_precision,
    _checkpointing,
    _windowed,
    _strided,
    _random,
    _sparse,
    _linear,
    _low_rank,
    _latents,
    _merging,
    _pruning,
    _larger_patches,
)
