"""How many parameters an architecture has, part by part."""

from __future__ import annotations

from dataclasses import dataclass

from attnlib.complexity.architecture import Architecture


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters; all blocks together.

    Attributes:
        patch_embedding: the linear layer from pixels to tokens, and its norm.
        tokens: class token, distillation token and registers.
        position: learned positions, relative-position tables, mixed rotary frequencies.
        attention: the projections of query, key, value and output, gates and their norms.
        mlp: both linear layers and the norm between them.
        norms: the norms of the blocks and around them, and LayerScale.
        pool: the attention pool.
        head: the classifier, and the distillation head.
    """

    patch_embedding: int
    tokens: int
    position: int
    attention: int
    mlp: int
    norms: int
    pool: int
    head: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(vars(self).values())


def parameters(a: Architecture) -> Parameters:
    """Count the parameters; equal to ``sum(p.numel())`` of the timm module."""
    per_norm = 2 if a.norm == "layer" else 1
    outer_norms = a.pre_norm + a.final_norm + a.pooled_norm
    blocks = a.depth * a.branches
    heads = 2 if a.distillation_token else 1
    return Parameters(
        patch_embedding=a.dim * a.channels * a.patch[0] * a.patch[1]
        + a.dim * a.patch_bias
        + per_norm * a.dim * a.patch_norm,
        tokens=a.prefix_tokens * a.dim,
        position=_position(a),
        attention=a.branches * sum(_attention(a, kv, per_norm) for kv in a.kv_widths),
        mlp=blocks * _mlp(a, per_norm),
        norms=a.dim
        * (blocks * (per_norm * a.block_norms + a.layer_scales) + per_norm * outer_norms),
        pool=_pool(a, per_norm),
        head=heads * (a.dim + 1) * a.classes,
    )


def _attention(a: Architecture, kv: int, per_norm: int) -> int:
    """One attention whose keys have width ``kv``."""
    width, d = a.attention_width, a.head_width
    weights = a.dim * (width + 2 * kv) + width * a.dim
    bias = {"qkv": width + 2 * kv, "qv": width + kv, "none": 0}[a.qkv_bias] + a.dim * a.out_bias
    halves = d // 2 if a.differential != "none" else d
    norms = per_norm * (2 * halves * a.qk_norm + width * a.attention_norm)
    gate = (a.dim + (a.qkv_bias != "none")) * width * a.attention_gate
    # Four vectors lambda of half a head's width, or two scalars, and an RMS norm of each head.
    lambdas = {"none": 0, "vectors": 4 * halves + d, "scalars": 2 + d}[a.differential]
    return weights + bias + norms + gate + lambdas


def _mlp(a: Architecture, per_norm: int) -> int:
    into = (1 + a.glu) * a.mlp_hidden
    return (
        a.dim * into
        + into * a.mlp_bias[0]
        + a.mlp_hidden * a.dim
        + a.dim * a.mlp_bias[1]
        + per_norm * a.mlp_hidden * a.mlp_norm
    )


def _position(a: Architecture) -> int:
    # timm sizes its tables by the whole patches, also where the image is padded for the rest.
    rows, cols = (side // patch for side, patch in zip(a.image, a.patch, strict=True))
    whole = rows * cols
    learned = {"all": whole + a.prefix_tokens, "patches": whole, "none": 0}[a.position] * a.dim
    # Every distance between patches, and three for class-to-patch, patch-to-class, class-to-class.
    table = ((2 * rows - 1) * (2 * cols - 1) + 3) * a.heads
    tables = {"none": 0, "per layer": a.depth, "shared": 1}[a.relative_position]
    frequencies = a.depth * a.attention_width if a.rope == "mixed" else 0
    return learned + tables * table + frequencies


def _pool(a: Architecture, per_norm: int) -> int:
    if a.pool != "map":
        return 0
    latent = a.dim
    linear = 4 * (a.dim + 1) * a.dim
    mlp = 2 * a.dim * a.pool_mlp_hidden + a.pool_mlp_hidden + a.dim
    return latent + linear + per_norm * a.dim + mlp
