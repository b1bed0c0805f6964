"""The shape of a Vision Transformer: all that its parameters, operations and memory depend on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from attnlib.complexity.problem import ArchitectureError, Problem, is_count, is_number
from attnlib.complexity.validation import LIMITS, problems_of

Size = tuple[int, int]


@dataclass(frozen=True)
class Architecture:
    """A Vision Transformer by its numbers and switches. Sizes are ``(height, width)`` in pixels.

    The defaults are the plain pre-norm ViT of Dosovitskiy et al. 2021. Make one by hand with
    :meth:`vit`, or read one with :meth:`from_timm` or :meth:`from_module`.

    Attributes:
        image, patch: the patch is also the stride of the patch embedding.
        dim: D, the width of a token.
        depth: L, the number of blocks.
        heads: H, the attention heads of a block.
        mlp_hidden: the width between the two linear layers of the MLP.
        pads: an image that the patch does not divide is padded; otherwise its rest is cut off.
        class_token, distillation_token, registers: the prefix tokens.
        classes: outputs of the head; 0 is no head.
        head_dim: d, the width of a head; None is D / H.
        kv_heads: per block, of grouped-query attention; None is H everywhere.
        glu: the MLP is gated (GluMlp, SwiGLU): two projections to ``mlp_hidden``.
        branches: attentions, and then MLPs, side by side in one block (Touvron et al. 2022).
        block_norms: norms of a branch: 2, or 1 where attention and MLP share their input.
        layer_scales: LayerScale vectors of a branch: 0, 1 or 2.
        norm: "layer" has a weight and a bias, "rms" a weight.
        qkv_bias: which of query, key and value have one ("qv": BEiT and EVA).
        attention_norm: a norm between A V and the output projection.
        attention_gate: a sigmoid gate on A V, with a projection of its own.
        differential: A is the difference of two softmaxes, of half-width queries and keys; its
            lambda is learned as four vectors or two scalars.
        position: which tokens have a learned position.
        relative_position: a table of biases over distances, one per layer or one for all.
        rope: rotary embedding: "fixed" has no parameters, "mixed" has frequencies per head.
        pre_norm, final_norm, pooled_norm: norms before the blocks, after them, after pooling.
        pool: how the tokens become one vector; "map" is an attention pool with an MLP; "none"
            applies the head to every token.
        pool_prefix: the attention pool reads the prefix tokens too.
        name: the timm model that this was read from, empty otherwise.
    """

    image: Size
    patch: Size
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    channels: int = 3
    pads: bool = False
    class_token: bool = True
    distillation_token: bool = False
    registers: int = 0
    classes: int = 1000
    head_dim: int | None = None
    kv_heads: tuple[int, ...] | None = None
    glu: bool = False
    branches: int = 1
    block_norms: int = 2
    layer_scales: int = 0
    norm: Literal["layer", "rms"] = "layer"
    qkv_bias: Literal["qkv", "qv", "none"] = "qkv"
    out_bias: bool = True
    mlp_bias: tuple[bool, bool] = (True, True)
    qk_norm: bool = False
    attention_norm: bool = False
    attention_gate: bool = False
    mlp_norm: bool = False
    differential: Literal["none", "vectors", "scalars"] = "none"
    patch_bias: bool = True
    patch_norm: bool = False
    position: Literal["all", "patches", "none"] = "all"
    relative_position: Literal["none", "per layer", "shared"] = "none"
    rope: Literal["none", "fixed", "mixed"] = "none"
    pre_norm: bool = False
    final_norm: bool = True
    pooled_norm: bool = False
    pool: Literal["token", "avg", "max", "avgmax", "map", "none"] = "token"
    pool_prefix: bool = True
    pool_heads: int = 0
    pool_mlp_hidden: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        problems = problems_of(self)
        if problems:
            raise ArchitectureError(problems)

    @classmethod
    def vit(
        cls,
        image: int | Size = 224,
        patch: int | Size = 16,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        classes: int = 1000,
        registers: int = 0,
        class_token: bool = True,
        pool: Literal["token", "avg"] = "token",
        qk_norm: bool = False,
        layer_scale: bool = False,
        glu: bool = False,
    ) -> Architecture:
        """A free architecture, of the kind that timm's ``VisionTransformer`` builds.

        Args:
            image, patch: pixels; one number is a square.
            mlp_ratio: the hidden width of the MLP over ``dim``.

        Raises:
            ArchitectureError: naming every field that is impossible.
        """
        if not is_number(mlp_ratio) or not 0 < mlp_ratio <= 64:
            raise ArchitectureError(
                [Problem("mlp_ratio", f"The MLP ratio must be above 0 and at most 64, not "
                                      f"{mlp_ratio!r}.")]
            )  # fmt: skip
        hidden = int(dim * mlp_ratio) if is_count(dim) and dim <= LIMITS["dim"] else 1
        return cls(
            image=_pair(image),
            patch=_pair(patch),
            dim=dim,
            depth=depth,
            heads=heads,
            mlp_hidden=hidden,
            classes=classes,
            registers=registers,
            class_token=class_token,
            pool=pool,
            final_norm=pool == "token",
            pooled_norm=pool != "token",
            qk_norm=qk_norm,
            layer_scales=2 if layer_scale else 0,
            glu=glu,
        )

    @classmethod
    def from_timm(cls, name: str, img_size: int | Size | None = None) -> Architecture:
        """The architecture of a timm model, read from the module, which holds no weights.

        Raises:
            ArchitectureError: no such model, a size that it cannot have, or a model that the
                formulas do not cover, with the reason.
        """
        from attnlib.complexity.timm_models import read_name

        return read_name(str(name), img_size if img_size is None else _pair(img_size))

    @classmethod
    def from_module(cls, module: object) -> Architecture:
        """The architecture of a ready timm module.

        Raises:
            ArchitectureError: the formulas do not cover it, with the reason.
        """
        from attnlib.complexity.timm_models import read_module

        return read_module(module)

    def with_image(self, image: int | Size) -> Architecture:
        """The same model for another image size; learned positions are resized with it."""
        return dataclasses.replace(self, image=_pair(image))

    @property
    def grid(self) -> Size:
        """Patches as ``(rows, cols)``."""
        divide = _ceil_div if self.pads else int.__floordiv__
        return (divide(self.image[0], self.patch[0]), divide(self.image[1], self.patch[1]))

    @property
    def patches(self) -> int:
        """N, the patch tokens."""
        rows, cols = self.grid
        return rows * cols

    @property
    def prefix_tokens(self) -> int:
        """Class token, distillation token and registers."""
        return int(self.class_token) + int(self.distillation_token) + self.registers

    @property
    def tokens(self) -> int:
        """T = N + prefix tokens, the length of the sequence."""
        return self.patches + self.prefix_tokens

    @property
    def head_width(self) -> int:
        """d, the width of one head's queries, keys and values."""
        return self.dim // self.heads if self.head_dim is None else self.head_dim

    @property
    def attention_width(self) -> int:
        """A = H d: D, but for models whose heads have a width of their own."""
        return self.heads * self.head_width

    @property
    def kv_widths(self) -> tuple[int, ...]:
        """Per block, the width of all keys (and of all values)."""
        heads = self.kv_heads or (self.heads,) * self.depth
        return tuple(count * self.head_width for count in heads)

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What is allowed but easily overlooked: pixels that are cut off or padded."""
        found = []
        for axis, side, patch in zip(("height", "width"), self.image, self.patch, strict=True):
            rest = side % patch
            if rest and self.pads:
                done = f"padded by {patch - rest} pixels"
            elif rest:
                done = f"cut by {rest} pixels"
            else:
                continue
            found.append(
                Problem("image", f"The patch size {patch} does not divide the {axis} {side}: "
                                 f"the image is {done}.")
            )  # fmt: skip
        return tuple(found)


def _pair(value: int | Size) -> Size:
    """One number as a square; anything else stays, for the validation to judge."""
    if isinstance(value, int):
        return (value, value)
    return tuple(value) if isinstance(value, list) else value


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
