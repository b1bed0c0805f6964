"""How many multiply-accumulates (MACs) one image costs, and where the quadratic part overtakes.

Counted are the matrix products and the convolution: 1 MAC is one multiplication and one addition,
2 FLOPs. Norms, softmax, activations, biases and residual sums are left out; they move memory
rather than compute, and every common counter leaves them out too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from attnlib.complexity.architecture import Architecture


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates, of all blocks together.

    Attributes:
        patch_embedding: pixels to tokens.
        qkv: the projections to queries, keys and values, and of a gate.
        output: the projection after A V.
        scores: Q Kᵀ, quadratic in the tokens.
        values: A V, quadratic in the tokens.
        mlp: both linear layers.
        pool: the attention pool, its products included.
        head: the classifier, and the distillation head.
    """

    patch_embedding: int
    qkv: int
    output: int
    scores: int
    values: int
    mlp: int
    pool: int
    head: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(vars(self).values())

    @property
    def quadratic(self) -> int:
        """Q Kᵀ and A V of all blocks, which grow with the square of the tokens."""
        return self.scores + self.values

    @property
    def linear(self) -> int:
        """All that grows at most in proportion to the tokens."""
        return self.total - self.quadratic

    @property
    def flops(self) -> int:
        """2 FLOPs per MAC."""
        return 2 * self.total

    @property
    def without_attention_products(self) -> int:
        """The total as counters that see only layers give it: Q Kᵀ and A V left out.

        Many tables quote this number: 16.85 instead of 17.56 GMACs for ViT-B/16. timm's says
        16.87, since its counter adds five operations per element of the layer norms.
        """
        return self.linear

    @property
    def quadratic_share(self) -> float:
        """The quadratic part over the total, 0 to 1."""
        return self.quadratic / self.total

    def times(self, batch: int) -> Macs:
        """The same for ``batch`` images."""
        return Macs(*(batch * value for value in vars(self).values()))


@dataclass(frozen=True)
class Crossover:
    """Where the quadratic part costs as many MACs as the linear part.

    Attributes:
        tokens: T, prefix tokens included; not a whole number in general.
        patches: T without the prefix tokens.
            0: with so many prefix tokens the quadratic part is always the larger.
        image: the image of the same aspect ratio with so many patches, in pixels (not rounded to
            whole patches).
    """

    tokens: float
    patches: float
    image: tuple[float, float]


def macs(a: Architecture, materialised: bool = False) -> Macs:
    """MACs of one image.

    Args:
        materialised: differential attention subtracts its two matrices before A V where they are
            formed, and its two products A V where they are not; others cost the same.
    """
    tokens, width = a.tokens, a.attention_width
    keys = sum(a.kv_widths)
    blocks = a.depth * a.branches
    twice = 2 if a.differential != "none" and not materialised else 1
    gate = width * a.attention_gate
    square = blocks * tokens * tokens * width
    pooled = tokens if a.pool == "none" else 1
    heads = 2 if a.distillation_token else 1
    return Macs(
        patch_embedding=a.patches * a.dim * a.channels * a.patch[0] * a.patch[1],
        qkv=tokens * a.dim * (blocks * (width + gate) + 2 * a.branches * keys),
        output=blocks * tokens * width * a.dim,
        scores=square,
        values=twice * square,
        mlp=blocks * tokens * (2 + a.glu) * a.dim * a.mlp_hidden,
        pool=_pool(a),
        head=heads * pooled * a.dim * a.classes,
    )


def crossover(a: Architecture, materialised: bool = False) -> Crossover:
    """Solve ``quadratic(T) = linear(T)``, that is a T² = b T + c, for T.

    ``a`` is the quadratic cost of one pair of tokens, ``b`` the linear cost of one token, ``c``
    what does not depend on the tokens (head, pool) less the patch embedding of the prefix tokens,
    which have none. For a plain ViT with a large dimension T is about 6 D.
    """
    now = macs(a, materialised)
    square = now.quadratic / a.tokens**2
    embedding = now.patch_embedding // a.patches
    pool_per_token = 2 * a.dim * a.dim + 2 * a.dim if a.pool == "map" else 0
    head_per_token = now.head // a.tokens if a.pool == "none" else 0
    per_token = (now.qkv + now.output + now.mlp) // a.tokens
    slope = per_token + embedding + pool_per_token + head_per_token
    constant = now.linear - slope * a.tokens
    root = slope**2 + 4 * square * constant
    tokens = (slope + math.sqrt(root)) / (2 * square) if root >= 0 else 0.0
    tokens = max(tokens, float(a.prefix_tokens))
    patches = tokens - a.prefix_tokens
    scale = math.sqrt(patches / a.patches)
    rows, cols = a.grid
    image = (rows * scale * a.patch[0], cols * scale * a.patch[1])
    return Crossover(tokens, patches, image)


def _pool(a: Architecture) -> int:
    """One latent query: its projection, keys and values, both products, output and MLP."""
    if a.pool != "map":
        return 0
    square = a.dim * a.dim
    per_token = 2 * square + 2 * a.dim
    read = a.tokens if a.pool_prefix else a.patches
    return read * per_token + 2 * square + 2 * a.dim * a.pool_mlp_hidden
