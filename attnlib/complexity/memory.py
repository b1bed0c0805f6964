"""How much memory a pass takes: weights, attention matrices, activations, training state.

An estimate of PyTorch in eager mode, in bytes. What it assumes:

- Weights and activations have the same dtype (no autocast copies), dropout is off.
- Fused attention keeps one number per query and head instead of a row. Workspace inside kernels
  and the allocator's rounding are not counted.
- Inference: freed as soon as no Python frame holds it. The peak is the widest moment of a block:
  the softmax of materialised attention (its input and its output), or the MLP.
- Fused kernels that cannot be used (some need equal widths of keys and values, or no learned
  bias) fall back to forming the matrices: read "materialised" for BEiT in training and for
  differential attention on the CPU.
- Training: the inputs that autograd keeps until the backward pass, gradients of the size of the
  weights, and AdamW's two moments in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnlib.complexity.architecture import Architecture
from attnlib.complexity.parameters import parameters

Dtype = Literal["float64", "float32", "bfloat16", "float16"]
BYTES: dict[str, int] = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Memory:
    """Bytes, for the whole batch.

    Attributes:
        weights: all parameters.
        attention_per_head: one matrix ``(T, T)`` of one image.
        attention_per_layer: ``(B, H, T, T)``.
        attention_per_model: the same for all layers, as somebody who keeps every map needs.
        activations: inference: the most that is alive at once. Training: what autograd keeps.
        gradients, optimiser: zero for inference.
        workspace: training: what the backward pass of one block needs besides.
    """

    weights: int
    attention_per_head: int
    attention_per_layer: int
    attention_per_model: int
    activations: int
    gradients: int
    optimiser: int
    workspace: int

    @property
    def peak(self) -> int:
        """Everything that is held at the widest moment."""
        return (
            self.weights + self.activations + self.gradients + self.optimiser + self.workspace
        )  # fmt: skip


def memory(
    a: Architecture,
    batch: int = 1,
    dtype: Dtype = "float32",
    training: bool = False,
    materialised: bool = False,
) -> Memory:
    """Memory of one pass over ``batch`` images.

    Args:
        training: a forward and a backward pass with AdamW, not inference.
        materialised: the attention matrices are formed, not fused away.
    """
    size = BYTES[dtype]
    count = parameters(a).total
    # Differential attention forms two matrices per head.
    per_head = a.tokens**2 * size
    per_layer = batch * _maps(a) * per_head * a.branches
    if training:
        kept = size * batch * _kept(a, materialised)
        kept += a.depth * _softmax_sums(a, batch, materialised)
        workspace = size * batch * _mlp_stage(a) + (2 * per_layer if materialised else 0)
    else:
        kept, workspace = size * batch * _alive(a, materialised), 0
    return Memory(
        weights=count * size,
        attention_per_head=per_head,
        attention_per_layer=per_layer,
        attention_per_model=per_layer * a.depth,
        activations=kept,
        gradients=count * size if training else 0,
        optimiser=2 * 4 * count if training else 0,
        workspace=workspace,
    )


def checkpointed_activations(a: Architecture, batch: int, dtype: Dtype, materialised: bool) -> int:
    """Bytes that autograd keeps when each block is recomputed (Chen et al. 2016).

    The input of every block, and all of one block while it runs backward.
    """
    stem, block = _kept_parts(a, materialised)
    inputs = a.depth * a.tokens * a.dim
    sums = _softmax_sums(a, batch, materialised)
    return BYTES[dtype] * batch * (stem + inputs + block) + sums


def _softmax_sums(a: Architecture, batch: int, materialised: bool) -> int:
    """Bytes of the float32 log-sum-exp of every query and map, for one block.

    The fused kernel keeps them to form the weights again; a softmax keeps the weights instead.
    """
    return 0 if materialised else 4 * batch * a.branches * _maps(a) * a.tokens


def _maps(a: Architecture) -> int:
    """Attention matrices of one layer and image."""
    return a.heads * (2 if a.differential != "none" else 1)


def _pixels(a: Architecture) -> int:
    return a.channels * a.image[0] * a.image[1]


def _alive(a: Architecture, materialised: bool) -> int:
    """Elements alive at the widest moment of inference, per image."""
    td, ta = a.tokens * a.dim, a.tokens * a.attention_width
    rotated = 2 * ta if a.rope != "none" else 0
    maps = _maps(a) * a.tokens**2
    bias = 0 if a.relative_position == "none" else a.heads * a.tokens**2
    # The embedded image, the block's input and its norm; queries, keys and values; one more.
    attention = 3 * td + 4 * ta + rotated + bias + (2 * maps if materialised else ta)
    return _pixels(a) + max(attention, _mlp_stage(a))


def _mlp_stage(a: Architecture) -> int:
    """Elements alive at the activation: four of width D, and the hidden layer in and out."""
    return a.tokens * (4 * a.dim + (4 if a.glu else 2) * a.mlp_hidden)


def _kept(a: Architecture, materialised: bool) -> int:
    """Elements that autograd keeps, per image."""
    stem, block = _kept_parts(a, materialised)
    return stem + a.depth * block


def _kept_parts(a: Architecture, materialised: bool) -> tuple[int, int]:
    """Kept outside the blocks (pixels, and the inputs of the norms around), and by one block.

    A linear layer keeps its input, a norm its input, an activation its input, LayerScale its
    input, a product both factors, softmax its output.
    """
    td, ta, th = (a.tokens * width for width in (a.dim, a.attention_width, a.mlp_hidden))
    stem = _pixels(a) + td * (a.pre_norm + a.final_norm + (a.pool == "map") * 4)
    keys = sum(a.kv_widths) // a.depth * a.tokens
    # Input and output of the norm, queries, keys, values, A V; a norm or rotation copies q and k.
    attention = 2 * td + ta + 2 * keys + ta
    attention += 2 * ta * (a.qk_norm + (a.rope != "none")) + ta * a.attention_norm
    attention += 2 * ta * a.attention_gate
    if materialised:
        # Differential attention keeps both softmaxes and their difference.
        attention += a.heads * (3 if a.differential != "none" else 1) * a.tokens**2
    # Input and output of the norm, the hidden layer before and after its activation.
    mlp = (2 if a.block_norms == 2 else 0) * td + (4 if a.glu else 2) * th + th * a.mlp_norm
    return stem, a.branches * (attention + mlp + a.layer_scales * td)
